//! What was ever reached: a fault or a branch that never was is tested by nobody, and fails the
//! build.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::kafka_cluster::status::KafkaClusterStatus;
use ottla_plan::roll::Reason;

/// What happened in one life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probes(BTreeSet<String>);

/// In how many lives each thing happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(BTreeMap<String, u64>);

/// In so many lives at least every operation is seen.
const LIVES_OF_AN_OPERATION: u64 = 200;

/// What the operator does to a running cluster, by the word that shows that it did, and what befalls disks.
const OPERATIONS: [&str; 40] = [
    "reason: configuration",
    "configured live",
    "a leftover removed",
    "reason: image",
    "reason: asked for",
    "reason: certificate",
    "leaders given back",
    "a canary goes back",
    "a broker joins",
    "broker stopped",
    "a move cancelled",
    "reason: a newer release",
    "reason: an older release",
    "a feature switched on",
    "reason: a new CA",
    "reason: another certificate",
    "reason: the former CA",
    "the former CA retired",
    "a broker's disk formatted again",
    "a controller's disk formatted again",
    "a lost vote given again",
    "a voter joined",
    "a voter left",
    "controllers with pods of their own",
    "a controller unregistered",
    "a controller that left runs again",
    "a claim deleted",
    "moved to other disks",
    "reason: another disk",
    "reason: an empty disk",
    "a metadata log moves",
    "LoseController",
    "LoseDisk",
    "DeclareLostDisks",
    "BreakDisk",
    "LeaveOutBroken",
    "FillDisk",
    "disks grow",
    "reason: growth",
    "internal topics grow",
];

/// Words in a status or an action, each of which must be met beside those of [`of_reason`].
const WORDS: [(&str, &str); 42] = [
    ("configured live", "message.max.bytes"),
    ("a leftover removed", "compression.type"),
    ("idle node restarted", "it runs no Kafka and the spec changed"),
    ("a canary goes back", "goes back to what it ran with"),
    ("a canary is tried again", "asked for by the annotation ottla.dev/restart; JVM options"),
    ("leaders given back", "elect preferred leaders"),
    ("certificate renewed", "renew Secret"),
    ("held: budget", "waits until Kubernetes lets no"),
    ("held: Kafka unknown", "could not be asked whether it may stop"),
    ("held: partition", "in-sync replicas and would have"),
    ("held: a move", "has moved to other brokers"),
    ("replicas moved", "because brokers leave"),
    ("a move cancelled", "which lead where they are not wanted"),
    ("copying limited", "at most 52428800 bytes"),
    ("limit lifted", "lift the limit"),
    ("cordoned", "takes no new replicas"),
    ("uncordoned", "takes new replicas again"),
    ("broker stopped", "holds no partition any more"),
    ("broker unregistered", "unregister broker"),
    ("moves wait for a roll", "waits for the roll"),
    ("moves wait for others'", "waits for a move of others"),
    ("disks struck", "strike from ConfigMap"),
    ("held: controllers first", " first"),
    ("held: one broker is watched", "before others follow"),
    ("held: a release is watched", "and there is no way back"),
    ("a feature switched on", "is there to stay"),
    ("new disks wait for a release", "is not there to stay yet"),
    ("the former CA retired", "take the former CA out of Secret"),
    ("controllers with pods of their own", "create StatefulSet orders-controller-1"),
    ("a voter joined", "let controller"),
    ("a voter left", "take the vote of controller"),
    ("a controller unregistered", "unregister controller"),
    ("a broker joins", "create StatefulSet orders-broker-3"),
    ("a claim deleted", "delete PersistentVolumeClaim"),
    ("disks grow", "apply PersistentVolumeClaim"),
    ("internal topics grow", "internal topics are to have more replicas"),
    ("a disk cordoned", "cordon disk d"),
    ("disks uncordoned", "uncordon the disks"),
    ("moved to other disks", "to its other disks: "),
    ("a disk comes back", "stays after all"),
    ("stuck", "CrashLoopBackOff"),
    ("cut off", "does not hear from"),
];

/// Words that show that a node restarted for this: no kind of reason is without.
fn of_reason(reason: Reason) -> &'static [(&'static str, &'static str)] {
    match reason {
        Reason::Asked => &[("reason: asked for", "asked for by the annotation")],
        Reason::Growth => &[("reason: growth", "its file system grows only before its pod starts")],
        Reason::Expires => &[("reason: certificate", "with a certificate that expires on")],
        Reason::Authority => &[
            ("reason: a new CA", "it does not trust the new CA yet"),
            ("reason: another certificate", "it runs with a certificate of the former CA"),
            ("reason: the former CA", "it still trusts the former CA"),
        ],
        Reason::Release => &[
            ("reason: a newer release", "Kafka 4.3.1 -> 4.4.0"),
            ("reason: an older release", "Kafka 4.4.0 -> 4.3.1"),
        ],
        Reason::Image => &[("reason: image", "image ")],
        Reason::Roles => &[
            ("reason: a controller", "it becomes a controller"),
            ("reason: no controller", "it is no controller any more"),
        ],
        Reason::Quorum => {
            &[("reason: other controllers", "it finds the quorum by the controllers")]
        }
        Reason::Disks => &[
            ("reason: another disk", "it gets another disk"),
            ("reason: an empty disk", "a disk of it goes"),
        ],
        Reason::Configuration => &[
            ("reason: configuration", "configuration log.retention.hours"),
            ("a metadata log moves", "configuration metadata.log.dir"),
        ],
        Reason::Java => &[("reason: heap", "JVM heap")],
        Reason::Template => &[
            ("reason: resources", "resources of its pod"),
            ("reason: labels", "labels of its pod"),
        ],
    }
}

/// All words.
fn words() -> impl Iterator<Item = (&'static str, &'static str)> {
    WORDS.into_iter().chain(Reason::all().flat_map(of_reason).copied())
}

impl Probes {
    /// Something happened.
    pub(crate) fn note(&mut self, name: &str) {
        self.0.insert(name.to_owned());
    }

    fn note_words(&mut self, text: &str) {
        for (name, words) in words() {
            if text.contains(words) {
                self.note(name);
            }
        }
    }

    /// An action was carried out.
    pub(crate) fn note_action(&mut self, line: &str) {
        self.note_words(line);
    }

    /// A status was there to read.
    pub(crate) fn note_status(&mut self, status: &KafkaClusterStatus) {
        for condition in status.conditions.iter().filter(|one| one.type_ == "Ready") {
            self.note_words(&condition.message);
        }
    }
}

impl Counts {
    /// One more life.
    pub(crate) fn add_life(&mut self, life: Probes) {
        life.0.into_iter().for_each(|name| *self.0.entry(name).or_default() += 1);
    }

    /// Adds another's counts.
    pub(crate) fn add(&mut self, other: &Counts) {
        for (name, count) in &other.0 {
            *self.0.entry(name.clone()).or_default() += count;
        }
    }

    /// Of those named and of all words, what never happened.
    pub(crate) fn never(&self, names: &[String]) -> Vec<String> {
        let words = words().map(|(name, _)| name.to_owned());
        names.iter().cloned().chain(words).filter(|name| !self.0.contains_key(name)).collect()
    }

    /// Operations that happened in fewer lives than they must.
    pub(crate) fn rare(&self) -> Vec<String> {
        let count = |name: &str| self.0.get(name).copied().unwrap_or_default();
        let all = OPERATIONS.iter().map(|name| (name, count(name)));
        let rare = all.filter(|(_, count)| *count < LIVES_OF_AN_OPERATION);
        rare.map(|(name, count)| format!("{name} in {count} lives")).collect()
    }

    /// Every count in a line.
    pub(crate) fn line(&self) -> String {
        let counts: Vec<String> =
            self.0.iter().map(|(name, count)| format!("{name} {count}")).collect();
        counts.join(", ")
    }
}
