//! A topic and its partitions in memory: about 50 bytes a partition of three replicas.

use std::fmt;

use crate::Uuid;

/// A topic and its partitions.
#[derive(Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id, which a topic deleted and created anew does not share.
    pub id: Uuid,
    /// Whether it is one of Kafka's own.
    pub internal: bool,
    rows: Vec<Row>,
    /// The node ids of all partitions, one after another.
    nodes: Vec<i32>,
}

/// One partition; its lists are stretches of [`Topic::nodes`] in the order of [`Partition`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct Row {
    index: i32,
    leader: i32,
    leader_epoch: i32,
    start: u32,
    lengths: [u16; 5],
}

/// A partition as its topic holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Partition<'a> {
    /// Its number in the topic.
    pub index: i32,
    /// The leading node, if there is one.
    pub leader: Option<i32>,
    /// How often a leader was elected.
    pub leader_epoch: i32,
    /// The nodes that hold it, the preferred leader first.
    pub replicas: &'a [i32],
    /// The replicas in sync.
    pub isr: &'a [i32],
    /// Replicas out of sync that have every acknowledged record all the same (eligible leader
    /// replicas); empty from nodes that do not tell.
    pub elr: &'a [i32],
    /// The last replicas that were eligible, kept for a recovery without any.
    pub last_known_elr: &'a [i32],
    /// The replicas that are not online.
    pub offline: &'a [i32],
}

impl Topic {
    /// A topic without partitions.
    #[must_use]
    pub fn new(name: impl Into<String>, id: Uuid, internal: bool) -> Self {
        Self { name: name.into(), id, internal, rows: Vec::new(), nodes: Vec::new() }
    }

    /// How many partitions there are here.
    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.rows.len()
    }

    /// The partitions, by number.
    pub fn partitions(&self) -> impl Iterator<Item = Partition<'_>> {
        self.rows.iter().map(|row| self.partition(row))
    }

    /// Adds a partition; they are kept in the order in which they are added.
    pub fn push(&mut self, partition: Partition<'_>) {
        let start = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let lists = [
            partition.replicas,
            partition.isr,
            partition.elr,
            partition.last_known_elr,
            partition.offline,
        ];
        let lengths = lists.map(|list| {
            self.nodes.extend_from_slice(list);
            u16::try_from(list.len()).unwrap_or(u16::MAX)
        });
        let leader = partition.leader.unwrap_or(-1);
        let Partition { index, leader_epoch, .. } = partition;
        self.rows.push(Row { index, leader, leader_epoch, start, lengths });
    }

    /// Adds the partitions of the same topic from a further page.
    pub(super) fn append(&mut self, more: &Self) {
        for partition in more.partitions() {
            self.push(partition);
        }
    }

    /// Orders the partitions by number and gives back spare room.
    pub(super) fn seal(&mut self) {
        self.rows.sort_by_key(|row| row.index);
        self.rows.shrink_to_fit();
        self.nodes.shrink_to_fit();
    }

    fn partition(&self, row: &Row) -> Partition<'_> {
        let mut rest = self.nodes.get(row.start as usize..).unwrap_or_default();
        let [replicas, isr, elr, last_known_elr, offline] = row.lengths.map(|length| {
            let (list, behind) = rest.split_at(usize::from(length).min(rest.len()));
            rest = behind;
            list
        });
        Partition {
            index: row.index,
            leader: super::super::id_or_none(row.leader),
            leader_epoch: row.leader_epoch,
            replicas,
            isr,
            elr,
            last_known_elr,
            offline,
        }
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Topic")
            .field("name", &self.name)
            .field("id", &self.id)
            .field("internal", &self.internal)
            .field("partitions", &self.partitions().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_come_out_as_they_went_in() {
        let mut topic = Topic::new("orders", Uuid::ZERO, false);
        let first = Partition {
            index: 0,
            leader: Some(1),
            leader_epoch: 7,
            replicas: &[1, 2, 3],
            isr: &[1, 2],
            elr: &[3],
            last_known_elr: &[],
            offline: &[3],
        };
        let second = Partition { index: 1, replicas: &[2], ..Partition::default() };
        topic.push(first);
        topic.push(second);
        assert_eq!(topic.partitions().collect::<Vec<_>>(), [first, second]);
        assert_eq!(topic.partition_count(), 2);
    }

    #[test]
    fn a_partition_takes_little_room() {
        let row_bytes = size_of::<Row>();
        let three_replicas_in_sync_bytes = 6 * size_of::<i32>();
        assert!(row_bytes + three_replicas_in_sync_bytes <= 56, "{row_bytes}");
    }
}
