//! What follows from the disks: start, wait for the word to format, or refuse. Pure.

use ottla_crds::agent::{NodeDocument, ROOM_TO_START_BYTES};

use super::{Content, Disk, MetaProperties};
use crate::sentence;

/// What may be done with the disks as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Something is wrong that the agent must not mend; a sentence for people.
    Refused(String),
    /// These volumes carry no `meta.properties`.
    Unformatted {
        /// Their names, in the node's order.
        volumes: Vec<String>,
        /// A sentence for people.
        reason: String,
    },
    /// All are ours.
    Ours,
}

/// Judges all disks of a node together.
pub(crate) fn judge(node: &NodeDocument, disks: &[Disk]) -> Verdict {
    let unseen = node.volumes.iter().filter(|name| !disks.iter().any(|disk| disk.volume == **name));
    let unseen = unseen.map(|name| format!("volume {name} could not be looked at"));
    let wrong = disks.iter().filter_map(|disk| problem(node, disk));
    let wrong: Vec<String> = unseen.chain(wrong).chain(misplaced(node, disks)).collect();
    if !wrong.is_empty() {
        return Verdict::Refused(wrong.join("; "));
    }
    let unformatted: Vec<&Disk> = disks.iter().filter(|disk| disk.is_unformatted()).collect();
    if unformatted.is_empty() {
        return Verdict::Ours;
    }
    Verdict::Unformatted {
        volumes: unformatted.iter().map(|disk| disk.volume.clone()).collect(),
        reason: unformatted.iter().map(|disk| emptiness(disk)).collect::<Vec<_>>().join("; "),
    }
}

/// Whether the only metadata log is where Kafka is not told to look for it: it would not start.
fn misplaced(node: &NodeDocument, disks: &[Disk]) -> Option<String> {
    let formatted = |disk: &&Disk| matches!(disk.content, Content::Formatted(_));
    let holders = disks.iter().filter(formatted).filter(|disk| disk.metadata_log);
    let (right, others): (Vec<&Disk>, Vec<&Disk>) =
        holders.partition(|disk| disk.volume == node.metadata_volume);
    let elsewhere = others.first().filter(|_| right.is_empty())?;
    Some(format!(
        "volume {} holds a metadata log, and the one of this node is to be on volume {}",
        elsewhere.volume, node.metadata_volume
    ))
}

/// What is wrong with a disk, in a sentence, if anything.
fn problem(node: &NodeDocument, disk: &Disk) -> Option<String> {
    let volume = &disk.volume;
    if !disk.mounted {
        let Content::Unreadable(reason) = &disk.content else {
            return Some(format!("volume {volume} is not mounted"));
        };
        return Some(format!("volume {volume} is not mounted: {reason}"));
    }
    match &disk.content {
        Content::Unreadable(reason) => Some(format!("volume {volume}: {reason}")),
        Content::Unknown(what) => Some(format!(
            "volume {volume} holds {what}, so it is not known whose its files are; \
             an empty disk, or one of this node, is needed"
        )),
        Content::Formatted(meta) => {
            let unlike = foreign(node, volume, meta).or_else(|| elsewhere(disk));
            unlike.or_else(|| read_only(disk)).or_else(|| full(disk))
        }
        Content::HalfFormatted => half_foreign(node, disk).or_else(|| read_only(disk)),
        Content::Empty => read_only(disk),
    }
}

/// Whether the disk belongs to another cluster or node; the sentence names both.
fn foreign(node: &NodeDocument, volume: &str, meta: &MetaProperties) -> Option<String> {
    if meta.cluster_id != node.cluster_id {
        return Some(format!(
            "volume {volume} belongs to cluster {} and not to {} (cluster {})",
            meta.cluster_id, node.cluster, node.cluster_id
        ));
    }
    (meta.node_id != node.node_id).then(|| {
        format!("volume {volume} belongs to node {} and not to node {}", meta.node_id, node.node_id)
    })
}

/// Whether the disk is this node's, but under another volume's name.
fn elsewhere(disk: &Disk) -> Option<String> {
    let note = disk.formatted.as_ref().or(disk.intent.as_ref())?;
    (note.volume != disk.volume).then(|| {
        format!(
            "volume {} is the disk of volume {} of this node; they may have been swapped",
            disk.volume, note.volume
        )
    })
}

/// Whether a broken-off format was for another cluster, node or volume.
fn half_foreign(node: &NodeDocument, disk: &Disk) -> Option<String> {
    let note = disk.intent.as_ref()?;
    let meta = MetaProperties {
        cluster_id: note.cluster_id.clone(),
        node_id: note.node_id,
        directory_id: None,
    };
    foreign(node, &disk.volume, &meta).or_else(|| elsewhere(disk))
}

fn read_only(disk: &Disk) -> Option<String> {
    disk.read_only.then(|| format!("volume {} is mounted read-only", disk.volume))
}

/// Whether Kafka would end in its start, for want of room. It is started once there is some.
fn full(disk: &Disk) -> Option<String> {
    let (total, available) = (disk.total_bytes >> 20, disk.available_bytes >> 20);
    (disk.available_bytes < ROOM_TO_START_BYTES).then(|| {
        format!(
            "volume {} is full: {available} MiB of {total} MiB are free, and Kafka needs {} MiB to start",
            disk.volume,
            ROOM_TO_START_BYTES >> 20
        )
    })
}

/// Why a disk waits for the word to format.
fn emptiness(disk: &Disk) -> String {
    let volume = &disk.volume;
    match (&disk.content, &disk.formatted) {
        (Content::HalfFormatted, _) => {
            format!("volume {volume} is half formatted: its format was broken off")
        }
        (_, Some(note)) => format!(
            "volume {volume} was formatted at {} for node {} of cluster {}, and its files are gone",
            sentence::time(note.time),
            note.node_id,
            note.cluster_id
        ),
        (_, None) => format!("volume {volume} is empty"),
    }
}

impl Disk {
    /// Whether it carries no `meta.properties`, though it could.
    pub(crate) fn is_unformatted(&self) -> bool {
        matches!(self.content, Content::Empty | Content::HalfFormatted)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ottla_crds::agent::FormatMode;

    use super::{Verdict, judge};
    use crate::disks::note::tests::note;
    use crate::disks::{Content, Disk, MetaProperties};
    use crate::node::tests::document;

    /// A mounted disk with this content.
    pub(crate) fn disk(volume: &str, content: Content) -> Disk {
        Disk {
            volume: volume.to_owned(),
            mounted: true,
            read_only: false,
            content,
            metadata_log: false,
            formatted: None,
            intent: None,
            total_bytes: 100 << 20,
            available_bytes: 50 << 20,
        }
    }

    /// A formatted folder of this cluster and node.
    pub(crate) fn meta(cluster_id: &str, node_id: i32) -> Content {
        let directory_id = Some("dirA".to_owned());
        Content::Formatted(MetaProperties {
            cluster_id: cluster_id.to_owned(),
            node_id,
            directory_id,
        })
    }

    fn told(first: Disk) -> String {
        let mut node = document();
        node.volumes[0].clone_from(&first.volume);
        match judge(&node, &[first, disk("d1", meta("clusterA", 3))]) {
            Verdict::Refused(reason) => format!("refused: {reason}"),
            Verdict::Unformatted { volumes, reason } => format!("format {volumes:?}: {reason}"),
            Verdict::Ours => "ours".to_owned(),
        }
    }

    #[test]
    fn the_only_metadata_log_is_where_the_configuration_has_it() {
        let holding =
            |volume: &str| Disk { metadata_log: true, ..disk(volume, meta("clusterA", 3)) };
        let without = |volume: &str| disk(volume, meta("clusterA", 3));
        let node = document();
        assert_eq!(judge(&node, &[holding("d0"), without("d1")]), Verdict::Ours);
        assert_eq!(judge(&node, &[without("d0"), without("d1")]), Verdict::Ours);
        assert_eq!(judge(&node, &[holding("d0"), holding("d1")]), Verdict::Ours, "one is a former");
        let Verdict::Refused(reason) = judge(&node, &[without("d0"), holding("d1")]) else {
            panic!("Kafka would end at once");
        };
        assert_eq!(
            reason,
            "volume d1 holds a metadata log, and the one of this node is to be on volume d0"
        );
    }

    #[test]
    fn every_finding_has_its_sentence() {
        let half = |mode_cluster: &str| {
            let mut note = note(FormatMode::Plain);
            note.cluster_id = mode_cluster.to_owned();
            Disk { intent: Some(note), ..disk("d0", Content::HalfFormatted) }
        };
        let unmounted = Content::Unreadable("nothing is mounted at /v/d0".to_owned());
        let swapped =
            Disk { formatted: Some(note(FormatMode::Plain)), ..disk("d9", meta("clusterA", 3)) };
        let emptied =
            Disk { formatted: Some(note(FormatMode::Plain)), ..disk("d0", Content::Empty) };
        let table = [
            (disk("d0", meta("clusterA", 3)), "ours"),
            (
                disk("d0", meta("clusterB", 3)),
                "refused: volume d0 belongs to cluster clusterB and not to orders (cluster clusterA)",
            ),
            (
                disk("d0", meta("clusterA", 4)),
                "refused: volume d0 belongs to node 4 and not to node 3",
            ),
            (
                Disk { mounted: false, ..disk("d0", unmounted) },
                "refused: volume d0 is not mounted: nothing is mounted at /v/d0",
            ),
            (
                Disk { read_only: true, ..disk("d0", Content::Empty) },
                "refused: volume d0 is mounted read-only",
            ),
            (
                disk("d0", Content::Unreadable("cannot read the disk: I/O error".to_owned())),
                "refused: volume d0: cannot read the disk: I/O error",
            ),
            (
                disk("d0", Content::Unknown("payments-0 without meta.properties".to_owned())),
                "refused: volume d0 holds payments-0 without meta.properties, so it is not known whose its files are; an empty disk, or one of this node, is needed",
            ),
            (
                swapped,
                "refused: volume d9 is the disk of volume d0 of this node; they may have been swapped",
            ),
            (
                half("clusterB"),
                "refused: volume d0 belongs to cluster clusterB and not to orders (cluster clusterA)",
            ),
            (
                half("clusterA"),
                "format [\"d0\"]: volume d0 is half formatted: its format was broken off",
            ),
            (disk("d0", Content::Empty), "format [\"d0\"]: volume d0 is empty"),
            (
                emptied,
                "format [\"d0\"]: volume d0 was formatted at 1970-01-01T00:00:00Z for node 3 of cluster clusterA, and its files are gone",
            ),
        ];
        for (first, sentence) in table {
            assert_eq!(told(first), sentence);
        }
    }

    #[test]
    fn a_full_disk_waits_for_room() {
        let with = |available_bytes| Disk { available_bytes, ..disk("d0", meta("clusterA", 3)) };
        assert_eq!(
            told(with((16 << 20) - 1)),
            "refused: volume d0 is full: 15 MiB of 100 MiB are free, and Kafka needs 16 MiB to start"
        );
        assert_eq!(told(with(16 << 20)), "ours");
    }

    #[test]
    fn a_disk_that_was_not_looked_at_is_not_ours() {
        let disks = [disk("d0", meta("clusterA", 3))];
        let refused = Verdict::Refused("volume d1 could not be looked at".to_owned());
        assert_eq!(judge(&document(), &disks), refused);
    }

    #[test]
    fn one_wrong_disk_outweighs_an_empty_one() {
        let disks = [disk("d0", Content::Empty), disk("d1", meta("clusterB", 3))];
        assert!(matches!(judge(&document(), &disks), Verdict::Refused(_)));
    }
}
