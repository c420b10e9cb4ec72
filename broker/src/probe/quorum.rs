//! Whether the controller has its place in the metadata quorum and has caught up.

use ottla_crds::agent::{InSync, QuorumRole};
use ottla_kafka::{Quorum, QuorumReplica};

use super::Answer;

/// This node's place, if the leader knows it.
pub(crate) fn role(quorum: &Quorum, me: i32) -> Option<QuorumRole> {
    if quorum.leader_id == Some(me) {
        return Some(QuorumRole::Leader);
    }
    latest(quorum, me).map(|(role, _)| role)
}

/// This node as the leader heard of it last. With another disk it is another replica of the same id, and the leader
/// remembers the former one, which may even have a vote still.
fn latest(quorum: &Quorum, me: i32) -> Option<(QuorumRole, &QuorumReplica)> {
    let voters = quorum.voters.iter().map(|replica| (QuorumRole::Voter, replica));
    let observers = quorum.observers.iter().map(|replica| (QuorumRole::Observer, replica));
    let mine = voters.chain(observers).filter(|(_, replica)| replica.id == me);
    // Of those heard of at the same time, such as never, the first: one that votes.
    mine.rev().max_by_key(|(_, replica)| replica.last_fetch_milliseconds)
}

/// Judges a controller whose copy of the metadata log is known to have caught up.
pub(crate) fn membership(quorum: &Quorum, me: i32) -> Answer {
    match (role(quorum, me), quorum.leader_id) {
        (Some(_), Some(_)) => Answer { serving: true, in_sync: InSync::Yes },
        (None, Some(leader)) => unheard_of(leader),
        (_, None) => no_leader(),
    }
}

fn unheard_of(leader: i32) -> Answer {
    Answer::waits(format!("controller {leader}, the leader, has not heard of it"))
}

fn no_leader() -> Answer {
    Answer::waits("the quorum has no leader".to_owned())
}

/// Follows one controller's fetches.
///
/// The leader remembers a follower across its restart, with the offset and times of the life
/// before. So the first answer only marks where the follower and the quorum were; a fetch after
/// that, seen by the leader's own clock, is one of this life, and with it must come everything
/// that was committed at the mark.
#[derive(Debug, Default)]
pub(crate) struct FetchWatch(Option<Mark>);

/// Where things stood at the first answer.
#[derive(Clone, Copy, Debug)]
struct Mark {
    leader_epoch: i32,
    fetched_milliseconds: Option<i64>,
    committed: i64,
}

impl FetchWatch {
    /// Judges the leader's answer.
    pub(crate) fn judge(&mut self, quorum: &Quorum, me: i32) -> Answer {
        if quorum.leader_id == Some(me) {
            return Answer { serving: true, in_sync: InSync::Yes };
        }
        let Some(leader) = quorum.leader_id else {
            return no_leader();
        };
        let Some((_, replica)) = latest(quorum, me) else {
            return unheard_of(leader);
        };
        let now = Mark {
            leader_epoch: quorum.leader_epoch,
            fetched_milliseconds: replica.last_fetch_milliseconds,
            committed: quorum.high_watermark,
        };
        let mark = match self.0 {
            Some(mark) if mark.leader_epoch == now.leader_epoch => mark,
            _ => *self.0.insert(now),
        };
        if now.fetched_milliseconds <= mark.fetched_milliseconds {
            return Answer::waits(format!("it has not fetched from controller {leader} yet"));
        }
        let behind = mark.committed - replica.log_end_offset.unwrap_or_default();
        if behind > 0 {
            return Answer::waits(format!("the metadata log is {behind} records behind"));
        }
        Answer { serving: true, in_sync: InSync::Yes }
    }
}

#[cfg(test)]
mod tests {
    use ottla_crds::agent::{InSync, QuorumRole};
    use ottla_kafka::{Quorum, QuorumReplica, Uuid};

    use super::{FetchWatch, membership, role};

    fn replica(id: i32, end: i64, fetched: i64) -> QuorumReplica {
        QuorumReplica {
            id,
            directory_id: Uuid::ZERO,
            log_end_offset: Some(end),
            last_fetch_milliseconds: Some(fetched),
            last_caught_up_milliseconds: None,
        }
    }

    /// A quorum whose voter 2 stands there, at this high watermark.
    fn quorum(leader: Option<i32>, epoch: i32, committed: i64, two: QuorumReplica) -> Quorum {
        Quorum {
            leader_id: leader,
            leader_epoch: epoch,
            high_watermark: committed,
            voters: vec![replica(1, committed, 0), two],
            observers: vec![replica(7, committed, 0)],
            nodes: Vec::new(),
        }
    }

    fn said(watch: &mut FetchWatch, quorum: &Quorum) -> String {
        match watch.judge(quorum, 2).in_sync {
            InSync::Yes => "yes".to_owned(),
            InSync::No { waiting_on } => waiting_on,
            InSync::Unknown { reason } => reason,
        }
    }

    #[test]
    fn the_leader_is_caught_up() {
        let quorum = quorum(Some(2), 5, 100, replica(2, 100, 0));
        assert_eq!(said(&mut FetchWatch::default(), &quorum), "yes");
        assert_eq!(role(&quorum, 2), Some(QuorumRole::Leader));
        assert_eq!(role(&quorum, 1), Some(QuorumRole::Voter));
        assert_eq!(role(&quorum, 7), Some(QuorumRole::Observer));
        assert_eq!(role(&quorum, 9), None);
    }

    #[test]
    fn members_need_a_leader_that_knows_them() {
        let three = |leader| quorum(leader, 5, 100, replica(3, 0, 0));
        assert_eq!(membership(&three(Some(1)), 3).in_sync, InSync::Yes);
        for (quorum, me) in [(three(Some(1)), 2), (three(None), 3)] {
            assert!(matches!(membership(&quorum, me).in_sync, InSync::No { .. }));
        }
    }

    #[test]
    fn the_offset_of_an_earlier_life_does_not_count() {
        let mut watch = FetchWatch::default();
        let waits = "it has not fetched from controller 1 yet";
        assert_eq!(said(&mut watch, &quorum(Some(1), 5, 100, replica(2, 100, 1000))), waits);
        assert_eq!(said(&mut watch, &quorum(Some(1), 5, 130, replica(2, 100, 1000))), waits);
        assert_eq!(
            said(&mut watch, &quorum(Some(1), 5, 140, replica(2, 90, 1500))),
            "the metadata log is 10 records behind"
        );
        assert_eq!(said(&mut watch, &quorum(Some(1), 5, 150, replica(2, 105, 1600))), "yes");
    }

    #[test]
    fn another_disk_is_another_replica_and_the_former_one_is_remembered() {
        let mut watch = FetchWatch::default();
        let former = replica(2, 90, 1000);
        let mut seen = quorum(Some(1), 5, 100, former.clone());
        assert_eq!(said(&mut watch, &seen), "it has not fetched from controller 1 yet");
        seen.observers.push(replica(2, 100, 1500));
        assert_eq!(role(&seen, 2), Some(QuorumRole::Observer));
        assert_eq!(said(&mut watch, &seen), "yes");
        let voters = std::mem::replace(&mut seen.voters, vec![replica(1, 100, 0)]);
        assert_eq!(voters.len(), 2);
        seen.observers.insert(0, former);
        assert_eq!(said(&mut watch, &seen), "yes", "its former vote was taken away");
    }

    #[test]
    fn another_leader_means_another_mark() {
        let mut watch = FetchWatch::default();
        let waits = |leader: i32| format!("it has not fetched from controller {leader} yet");
        assert_eq!(said(&mut watch, &quorum(Some(1), 5, 100, replica(2, 0, 1000))), waits(1));
        assert_eq!(
            said(&mut watch, &quorum(None, 6, 100, replica(2, 0, 1))),
            "the quorum has no leader"
        );
        assert_eq!(said(&mut watch, &quorum(Some(3), 7, 100, replica(2, 0, 2000))), waits(3));
        assert_eq!(said(&mut watch, &quorum(Some(3), 7, 100, replica(2, 100, 2500))), "yes");
    }

    #[test]
    fn an_unknown_controller_waits() {
        let quorum = quorum(Some(1), 5, 100, replica(3, 100, 0));
        assert_eq!(
            said(&mut FetchWatch::default(), &quorum),
            "controller 1, the leader, has not heard of it"
        );
    }
}
