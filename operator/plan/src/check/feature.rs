//! What must hold before a feature is switched on, which nobody can take back. S2: a node that does not
//! know it would be down for good.

use ottla_crds::kafka_cluster::Finalize;

use super::{Verdicts, unless, violation};
use crate::action::RaiseFeature;
use crate::desired::Desired;
use crate::node::nodes;
use crate::observed::Observed;
use crate::{release, upgrade};

pub(super) fn guards(raise: &RaiseFeature, desired: &Desired, fresh: &Observed) -> Verdicts {
    let Some(kafka) = fresh.kafka.known() else {
        return vec![("Kafka was asked", Err(violation("S7", "Kafka cannot be asked")))];
    };
    let nodes = nodes(desired, fresh);
    let by_hand = desired.upgrade.finalize == Finalize::Manual;
    let other_release = raise.release != desired.version;
    let next = release::next_raise(&raise.release, &kafka.features);
    let behind = !upgrade::all_have_release(desired, fresh, &nodes);
    let stranger = upgrade::stranger(kafka, &nodes).is_some();
    let on_record = fresh.traces().features.get(&raise.raise.feature);
    let remembered = on_record.is_some_and(|level| *level >= raise.raise.to);
    vec![
        ("Kafka was asked", Ok(())),
        (
            "it is remembered",
            unless(!remembered, "S7", "it is not on record that it is about to be done"),
        ),
        ("the spec lets it be done", unless(by_hand, "S7", "the spec does not let it be done")),
        (
            "the spec names that release",
            unless(other_release, "S7", "the spec names another release"),
        ),
        (
            "it is what comes next",
            unless(next.as_ref() != Some(&raise.raise), "S7", "another feature comes next by now"),
        ),
        ("every node runs that release", unless(behind, "S2", "a node does not run that release")),
        (
            "no broker is unknown",
            unless(stranger, "S2", "a broker is registered that nobody knows"),
        ),
    ]
}
