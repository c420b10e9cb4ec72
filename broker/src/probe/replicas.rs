//! Whether the broker is in sync for every partition that it hosts. It is asked itself, and so
//! answers from the metadata that it has applied: a broker that restarts is first fenced, which
//! takes it out of every ISR, and is seen unfenced only after that.

use ottla_crds::agent::InSync;
use ottla_kafka::{Cluster, Error, Partition, Topic};

use super::Answer;
use crate::sentence::count;

/// Asks the broker about itself.
pub(crate) async fn ask(broker: &Cluster, me: i32) -> Result<Answer, Error> {
    if !is_unfenced(broker, me).await? {
        return Ok(fenced());
    }
    let mut tally = Tally::default();
    let mut pages = broker.topic_pages(&[]);
    while let Some(topics) = pages.next().await? {
        for topic in &topics {
            tally.count(topic, me);
        }
    }
    // A replica counts as offline both when its directory is and when its broker is fenced. Had
    // the broker been fenced in the meantime, this tells.
    if tally.offline > 0 && !is_unfenced(broker, me).await? {
        return Ok(fenced());
    }
    Ok(tally.answer())
}

/// Whether the broker is registered and alive.
async fn is_unfenced(broker: &Cluster, me: i32) -> Result<bool, Error> {
    let cluster = broker.describe_cluster().await?;
    Ok(cluster.nodes.iter().any(|node| node.id == me && node.fenced != Some(true)))
}

fn fenced() -> Answer {
    let reason = "the broker is not registered, or still fenced".to_owned();
    Answer { serving: false, in_sync: InSync::No { waiting_on: reason } }
}

/// The partitions of one broker.
#[derive(Debug, Default)]
struct Tally {
    hosted: usize,
    offline: usize,
    behind: usize,
    example: Option<String>,
}

impl Tally {
    fn count(&mut self, topic: &Topic, me: i32) {
        for partition in topic.partitions().filter(|one| one.replicas.contains(&me)) {
            self.hosted += 1;
            if partition.offline.contains(&me) {
                self.offline += 1;
            } else if is_behind(&partition, me) {
                self.behind += 1;
                self.example.get_or_insert_with(|| format!("{}-{}", topic.name, partition.index));
            }
        }
    }

    fn answer(self) -> Answer {
        let Some(example) = self.example else {
            return Answer { serving: true, in_sync: InSync::Yes };
        };
        let hosted = count(self.hosted, "partition");
        Answer::waits(match self.behind {
            1 => format!("partition {example} of {hosted} is not in sync"),
            behind => {
                format!("partition {example} and {} more of {hosted} are not in sync", behind - 1)
            }
        })
    }
}

/// Whether a replica could be in sync and is not. A partition without a leader has nobody to
/// follow, and the broker cannot mend that.
fn is_behind(partition: &Partition<'_>, me: i32) -> bool {
    partition.leader.is_some() && !partition.isr.contains(&me)
}

#[cfg(test)]
mod tests {
    use ottla_crds::agent::InSync;
    use ottla_kafka::{Partition, Topic, Uuid};

    use super::Tally;

    /// What broker 1 says of partitions given as leader, ISR and offline replicas; all have the
    /// replicas 1, 2 and 3.
    fn said(partitions: &[(Option<i32>, &[i32], &[i32])]) -> String {
        let mut topic = Topic::new("payments", Uuid::ZERO, false);
        for (index, (leader, isr, offline)) in (0..).zip(partitions) {
            let replicas = &[1, 2, 3];
            let (leader, isr, offline) = (*leader, *isr, *offline);
            topic.push(Partition { index, leader, replicas, isr, offline, ..Partition::default() });
        }
        let mut others = Topic::new("others", Uuid::ZERO, false);
        let replicas = &[2, 3];
        others.push(Partition { leader: Some(2), replicas, isr: &[2], ..Partition::default() });
        let mut tally = Tally::default();
        tally.count(&topic, 1);
        tally.count(&others, 1);
        match tally.answer().in_sync {
            InSync::Yes => "yes".to_owned(),
            InSync::No { waiting_on } => waiting_on,
            InSync::Unknown { reason } => reason,
        }
    }

    #[test]
    fn only_what_the_broker_could_mend_counts() {
        let good = (Some(2), [1, 2, 3].as_slice(), [].as_slice());
        let behind = (Some(2), [2, 3].as_slice(), [].as_slice());
        let leaderless = (None, [2].as_slice(), [2].as_slice());
        let offline = (Some(2), [2, 3].as_slice(), [1].as_slice());
        let foreign = (Some(2), [1, 2].as_slice(), [3].as_slice());
        assert_eq!(said(&[]), "yes");
        assert_eq!(said(&[good, leaderless, offline, foreign]), "yes");
        assert_eq!(said(&[good, behind]), "partition payments-1 of 2 partitions is not in sync");
        assert_eq!(
            said(&[good, behind, behind, behind]),
            "partition payments-1 and 2 more of 4 partitions are not in sync"
        );
    }
}
