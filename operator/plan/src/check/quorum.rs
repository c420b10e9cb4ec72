//! What must hold before a controller gets a vote, loses it, or is forgotten. S3: a caught-up majority of the
//! voters is there before and after.

use super::{Verdicts, Violation, unless, violation};
use crate::action::ChangeVoter;
use crate::desired::Desired;
use crate::node::nodes;
use crate::observed::{Kafka, Observed};
use crate::{quorum, release};

fn kafka(fresh: &Observed) -> Result<&Kafka, Violation> {
    let kafka = fresh.kafka.known().filter(|kafka| kafka.leader.is_some());
    kafka.ok_or_else(|| violation("S7", "the metadata quorum cannot be asked"))
}

pub(super) fn add(change: &ChangeVoter, desired: &Desired, fresh: &Observed) -> Verdicts {
    let kafka = match kafka(fresh) {
        Ok(kafka) => kafka,
        Err(silent) => return vec![("Kafka was asked", Err(silent))],
    };
    let wished = quorum::wished(desired).contains(&change.id);
    let follows = quorum::follower(fresh, kafka, change.id)
        .is_some_and(|observer| observer.directory == change.directory && observer.is_caught_up());
    let controls = quorum::is_controller(fresh, change.id);
    let members = fresh.identity.as_ref().map(|identity| &identity.quorum.members);
    let recorded = members.and_then(|all| all.get(&change.id)) == Some(&change.directory);
    let majority = quorum::keeps_majority(fresh, kafka, Some(change.id), None);
    vec![
        ("Kafka was asked", Ok(())),
        ("the spec asks for it", unless(!wished, "S7", "the spec does not ask for its vote")),
        ("it is on record", unless(!recorded, "S7", "it is not on record that it may vote")),
        ("it is a controller", unless(!controls, "S3", "the node is no controller")),
        ("it has caught up", unless(!follows, "S3", "the controller has not caught up")),
        (
            "a majority has caught up",
            unless(!majority, "S3", "no majority of the voters would have caught up"),
        ),
    ]
}

pub(super) fn remove(change: &ChangeVoter, desired: &Desired, fresh: &Observed) -> Verdicts {
    let kafka = match kafka(fresh) {
        Ok(kafka) => kafka,
        Err(silent) => return vec![("Kafka was asked", Err(silent))],
    };
    let wished = quorum::wished(desired);
    let lost_its_disk = quorum::has_lost_its_disk(fresh, kafka, change.id);
    let voter = kafka.voters.get(&change.id);
    let same = voter.is_some_and(|voter| voter.directory == change.directory);
    let needed = wished.contains(&change.id) && !lost_its_disk;
    let missing = wished.iter().any(|id| !kafka.voters.contains_key(id));
    let unfound = quorum::lost(desired, fresh, &nodes(desired, fresh)).is_some();
    let majority = quorum::keeps_majority(fresh, kafka, None, Some(change.id));
    vec![
        ("Kafka was asked", Ok(())),
        (
            "it votes with that disk",
            unless(!same, "S7", "it votes with another disk, or not at all"),
        ),
        ("nobody asks for its vote", unless(needed, "S3", "the spec asks for its vote")),
        (
            "others have taken its place",
            unless(missing && !lost_its_disk, "S3", "not all vote yet that the spec asks for"),
        ),
        (
            "every node finds the others",
            unless(unfound && !lost_its_disk, "S3", "a node would not find the other voters"),
        ),
        (
            "a majority has caught up",
            unless(!majority, "S3", "no majority of the others has caught up"),
        ),
    ]
}

/// A registration that is missing lets features be switched on that the controller does not know.
pub(super) fn unregister(id: i32, desired: &Desired, fresh: &Observed) -> Verdicts {
    let keeps = kafka(fresh).is_ok_and(|kafka| !release::unregisters_controllers(&kafka.features));
    let mut verdicts = left(id, desired, fresh);
    verdicts.extend([
        (
            "it does not run",
            unless(quorum::may_run(desired, fresh, id), "S2", "it runs as a controller, or would"),
        ),
        (
            "Kafka can forget it",
            unless(keeps, "S2", "Kafka keeps registrations of controllers before 4.4"),
        ),
    ]);
    verdicts
}

/// A controller that nobody needs any more.
pub(super) fn left(id: i32, desired: &Desired, fresh: &Observed) -> Verdicts {
    let kafka = kafka(fresh);
    let wished = quorum::wished(desired).contains(&id);
    let votes = kafka.as_ref().is_ok_and(|kafka| kafka.voters.contains_key(&id));
    let called_back = quorum::is_called_back(desired, fresh, id);
    vec![
        ("Kafka was asked", kafka.map(|_| ())),
        ("the spec does not ask for it", unless(wished, "S3", "the spec asks for the controller")),
        ("it does not vote", unless(votes, "S3", "it votes")),
        (
            "no release waits for it",
            unless(called_back, "S2", "features of a release wait for the controller"),
        ),
    ]
}
