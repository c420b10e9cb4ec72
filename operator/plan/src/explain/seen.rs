//! What a pass knows as text for people: without what only tells one object from another, such as UIDs, so that
//! two clusters that are alike read alike.

use std::collections::BTreeMap;
use std::fmt::Display;

use ottla_crds::agent::{AgentStatus, DiskMeta, DiskStatus, InSync, JvmStatus, QuorumRole};
use serde_json::Value;

use crate::object::Kind;
use crate::observed::{
    Answer, Certificate, Claim, Identity, Kafka, Observed, Pod, Traces, Voter, disk_key,
};
use crate::resources::pod::TEMPLATE_ANNOTATION;
use crate::resources::stateful_set;

/// The text.
#[must_use]
pub fn seen(observed: &Observed) -> String {
    let mut lines = Vec::new();
    lines.extend(remembered(observed));
    lines.extend(traces(observed));
    lines.extend(identity(observed));
    lines.extend(objects(observed));
    lines.extend(observed.certificates.iter().map(|(name, one)| certificate(name, one)));
    lines.extend(observed.claims.iter().map(|(name, one)| claim(observed, name, one)));
    lines.extend(observed.pods.iter().map(|(id, one)| pod(observed, *id, one)));
    lines.extend(observed.agents.iter().map(|(id, one)| agent(observed, *id, one)));
    match &observed.kafka {
        Answer::Known(kafka) => lines.extend(self::kafka(observed, kafka)),
        Answer::Unknown { reason } => lines.push(format!("Kafka: unknown, {reason}")),
    }
    lines.iter().map(|line| format!("saw   {line}\n")).collect()
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// The template of a canary's pod is left out, because nobody reads it.
fn remembered(observed: &Observed) -> Option<String> {
    let mut memory = serde_json::to_value(&observed.memory).ok()?;
    if let Some(canary) = memory.get_mut("canary").and_then(Value::as_object_mut) {
        canary.remove("before");
    }
    (!observed.memory.is_empty()).then(|| format!("status.memory: {memory}"))
}

fn traces(observed: &Observed) -> Option<String> {
    // What Kafka has switched on is said of Kafka.
    let traces = Traces { features: BTreeMap::new(), ..observed.traces().clone() };
    let text = serde_json::to_string(&traces).ok()?;
    (traces != Traces::default()).then(|| format!("left behind: {text}"))
}

fn identity(observed: &Observed) -> Vec<String> {
    match (&observed.identity, &observed.identity_problem) {
        (_, Some(problem)) => vec![format!("identity: {problem}")],
        (None, None) => vec!["identity: none".to_owned()],
        (Some(identity), None) => vec![
            format!("identity: first voters {}", list(identity.voters.keys())),
            format!("identity: disks {}", list(identity.disks.keys())),
            format!(
                "identity: may vote {}; known as controllers {}; found by {}",
                list(identity.quorum.members.keys()),
                list(&identity.quorum.registered),
                list(&identity.quorum.bootstrap)
            ),
        ],
    }
}

/// How many there are of each kind, what goes, and how many brokers Kubernetes may evict.
fn objects(observed: &Observed) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut lines = Vec::new();
    for kind in Kind::ALL {
        for (name, child) in observed.children_of(kind) {
            *counts.entry(kind.word()).or_default() += usize::from(child.ours);
            if !child.ours {
                lines.push(format!("{} {name}: it belongs to somebody else", kind.word()));
            }
            if child.terminating {
                lines.push(format!("{} {name}: it is being deleted", kind.word()));
            }
            if kind == Kind::PodDisruptionBudget {
                let allowed = child.live.pointer("/status/disruptionsAllowed");
                let allowed = allowed.and_then(Value::as_i64).unwrap_or_default();
                lines.push(format!("{} {name}: {allowed} may be evicted", kind.word()));
            }
        }
    }
    let counts = counts.into_iter().map(|(kind, count)| format!("{count} {kind}"));
    lines.insert(0, format!("objects: {}", list(counts)));
    lines
}

fn certificate(name: &str, one: &Certificate) -> String {
    let signer = match (one.trusted, one.is_of_trusted_authority) {
        (true, _) => "of the present CA",
        (false, true) => "of another CA that is trusted",
        (false, false) => "of a CA that nobody trusts",
    };
    format!("certificate {name}: for {}, {signer}", one.common_name)
}

fn claim(observed: &Observed, name: &str, one: &Claim) -> String {
    let own = observed.identity.as_ref().map(|identity| &identity.cluster_id);
    let mut words = vec![if one.bound { "has a volume" } else { "has no volume" }.to_owned()];
    words.extend(one.terminating.then(|| "is being deleted".to_owned()));
    words.extend(one.rack.as_ref().map(|rack| format!("in zone {rack}")));
    words.extend((one.cluster_id.as_ref() != own).then(|| "of another cluster".to_owned()));
    words.extend(one.accepted_uid.as_ref().map(|_| "declared as new for a lost one".to_owned()));
    format!("claim {name}: {}", words.join(", "))
}

fn pod(observed: &Observed, id: i32, one: &Pod) -> String {
    let mut sets = observed.children_of(Kind::StatefulSet).map(|(_, set)| set);
    let set = sets.find(|set| set.label(crate::names::NODE_LABEL) == Some(&id.to_string()));
    let template = set.and_then(|set| {
        let annotations = set.live.pointer("/spec/template/metadata/annotations")?;
        annotations.get(TEMPLATE_ANNOTATION)?.as_str()
    });
    let configuration = set.and_then(|set| stateful_set::configuration(&set.live));
    let mut words = vec![if one.ready { "Ready" } else { "not Ready" }.to_owned()];
    words.extend(one.terminating.then(|| "is being deleted".to_owned()));
    let older = one.template.as_deref() != template;
    words.push(if older { "made from another template" } else { "of the template" }.to_owned());
    let other = one.configuration.as_deref() != configuration;
    words.extend(other.then(|| "with another configuration".to_owned()));
    words.extend(one.stuck.as_ref().map(|why| format!("stuck: {why}")));
    words.extend((one.restarts > 0).then(|| format!("started again {} times", one.restarts)));
    format!("pod of node {id}: {}", words.join(", "))
}

fn agent(observed: &Observed, id: i32, answer: &Answer<AgentStatus>) -> String {
    let status = match answer {
        Answer::Known(status) => status,
        Answer::Unknown { reason } => return format!("agent of node {id}: unknown, {reason}"),
    };
    let mut words = vec![format!("{:?} with Kafka {}", status.state, status.kafka_version)];
    words.extend(status.reason.clone());
    words.push(match &status.in_sync {
        InSync::Yes => "in sync".to_owned(),
        InSync::No { waiting_on } => format!("not in sync: {waiting_on}"),
        InSync::Unknown { reason } => format!("nobody knows whether in sync: {reason}"),
    });
    words.extend(status.jvm.as_ref().and_then(quorum_role));
    let identity = observed.identity.as_ref();
    words.extend(status.disks.iter().map(|one| disk(identity, id, one)));
    format!("agent of node {id}: {}", words.join("; "))
}

/// Which of the voters is active is nobody's choice.
fn quorum_role(jvm: &JvmStatus) -> Option<String> {
    let word = match jvm.quorum_role? {
        QuorumRole::Leader | QuorumRole::Voter => "votes",
        QuorumRole::Observer => "observes the quorum",
    };
    Some(word.to_owned())
}

fn disk(identity: Option<&Identity>, id: i32, disk: &DiskStatus) -> String {
    let volume = &disk.volume;
    let recorded = identity.and_then(|one| one.disks.get(&disk_key(id, volume)));
    match &disk.meta {
        _ if !disk.mounted => format!("disk {volume} is not mounted"),
        DiskMeta::Absent => format!("disk {volume} is empty"),
        DiskMeta::Unreadable { reason } => format!("disk {volume} is not readable: {reason}"),
        DiskMeta::Present { cluster_id, node_id, directory_id } => {
            let own = identity.is_some_and(|one| one.cluster_id == *cluster_id) && *node_id == id;
            match (own, recorded) {
                (false, _) => format!("disk {volume} is of node {node_id} of cluster {cluster_id}"),
                (true, None) => format!("disk {volume} is its own, and not on record"),
                (true, known) if known == directory_id.as_ref() => {
                    format!("disk {volume} is its own")
                }
                (true, _) => format!("disk {volume} is its own, and another than on record"),
            }
        }
    }
}

fn kafka(observed: &Observed, kafka: &Kafka) -> Vec<String> {
    let alive = kafka.brokers.iter().filter(|(_, fenced)| !**fenced).map(|(id, _)| id);
    let fenced = kafka.brokers.iter().filter(|(_, fenced)| **fenced).map(|(id, _)| id);
    let leader = if kafka.leader.is_some() { "a leader" } else { "no leader" };
    let voter = |(id, voter): (&i32, &Voter)| voter_words(observed, *id, voter);
    let levels = kafka.features.iter().map(|(name, level)| format!("{name} {level}"));
    let set = kafka.dynamic_config.iter().map(|(key, value)| format!("{key}={value}"));
    let moving = kafka
        .reassignments
        .iter()
        .flat_map(|(topic, numbers)| numbers.keys().map(move |number| format!("{topic}-{number}")));
    let mut lines = vec![
        format!("Kafka: brokers alive {}, fenced {}", list(alive), list(fenced)),
        format!("Kafka: {leader} of the quorum; voters {}", list(kafka.voters.iter().map(voter))),
        format!("Kafka: switched on {}", list(levels)),
        format!("Kafka: set for all nodes {}", list(set)),
        format!("Kafka: partitions that move {}", list(moving)),
    ];
    let tally = kafka.partitions.tally();
    lines.push(match tally.under_replicated.count {
        0 => "Kafka: every partition is in sync".to_owned(),
        count => format!("Kafka: {count} partitions lack an in-sync replica"),
    });
    lines.extend(
        kafka.leavers.keys().map(|id| format!("Kafka: broker {id} is asked what it holds")),
    );
    lines.extend(
        kafka.folders.keys().map(|id| format!("Kafka: broker {id} is asked what its disks hold")),
    );
    lines
}

fn voter_words(observed: &Observed, id: i32, voter: &Voter) -> String {
    let members = observed.identity.as_ref().map(|identity| &identity.quorum.members);
    let recorded = members.and_then(|all| all.get(&id)) == Some(&voter.directory);
    let record = if recorded { "" } else { " (with a disk that is not on record)" };
    let behind = if voter.is_caught_up() { "" } else { " (not caught up)" };
    format!("{id}{record}{behind}")
}
