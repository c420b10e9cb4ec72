//! Why a node has to restart: an ordered list of small checks, each with its sentence.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ottla_crds::agent::Role;
use serde_json::Value;

use crate::authority;
use crate::certificate::RENEWAL_BEFORE_EXPIRY_SECONDS;
use crate::desired::Desired;
use crate::disks::growth::{self, Growing};
use crate::node::Node;
use crate::object::{Kind, holds};
use crate::observed::{Observed, Pod};
use crate::properties::{BOOTSTRAP, CLEANER_BUFFER, LOG_DIRS};
use crate::quorum;
use crate::repair::{Moment, Wanted};
use crate::resources::{config_map, stateful_set};

/// A node with what it runs and what it should run.
struct Case<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    growing: &'a Growing<'a>,
    node: &'a Node,
    pod: &'a Pod,
    wanted: &'a Wanted,
    now: Timestamp,
}

/// A kind of reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A person asks for it.
    Asked,
    /// Its certificate runs out.
    Expires,
    /// It has to do with another CA.
    Authority,
    /// A disk of it grows only before its pod starts.
    Growth,
    /// Another release of Kafka.
    Release,
    /// Another image.
    Image,
    /// It becomes a controller, or is one no more.
    Roles,
    /// It finds the quorum by others.
    Quorum,
    /// It gets disks, or goes on without some.
    Disks,
    /// Another configuration.
    Configuration,
    /// Another heap, or other options of the JVM.
    Java,
    /// Its pod is to look different.
    Template,
}

impl Reason {
    /// What is asked of every pod.
    const ALWAYS: [Reason; 4] = [Reason::Asked, Reason::Expires, Reason::Authority, Reason::Growth];

    /// What the spec may ask for that only a restart brings. Only asked of a pod that was made for
    /// another wish.
    const WISHES: [Reason; 8] = [
        Reason::Release,
        Reason::Image,
        Reason::Roles,
        Reason::Quorum,
        Reason::Disks,
        Reason::Configuration,
        Reason::Java,
        Reason::Template,
    ];

    /// All that a node is ever asked to restart for, in the order in which they are said.
    pub fn all() -> impl Iterator<Item = Reason> {
        Reason::ALWAYS.into_iter().chain(Reason::WISHES)
    }

    fn sentence(self, case: &Case<'_>) -> Option<String> {
        match self {
            Reason::Asked => asked(case),
            Reason::Expires => expires(case),
            Reason::Authority => other_authority(case),
            Reason::Growth => growth::needs_start(case.growing, case.observed, case.node, case.now),
            Reason::Release => release(case),
            Reason::Image => image(case),
            Reason::Roles => roles(case),
            Reason::Quorum => quorum(case),
            Reason::Disks => disks(case),
            Reason::Configuration => configuration(case),
            Reason::Java => java(case),
            Reason::Template => template(case),
        }
    }
}

/// Everything that the spec asks a node to restart for, as one sentence; `None` where nothing does.
/// `outdated` is whether its pod would be made differently today.
pub(crate) fn reason(
    desired: &Desired,
    moment: &Moment<'_>,
    node: &Node,
    pod: &Pod,
    wanted: &Wanted,
    outdated: bool,
) -> Option<String> {
    let Moment { observed, growing, now, .. } = *moment;
    let case = Case { desired, observed, growing, node, pod, wanted, now };
    let mut reasons: Vec<String> =
        Reason::ALWAYS.into_iter().filter_map(|one| one.sentence(&case)).collect();
    let other_wish =
        || pod.wish.is_some() && pod.wish.as_deref() != stateful_set::wish(&wanted.set.own);
    if outdated && other_wish() {
        let wishes: Vec<String> =
            Reason::WISHES.into_iter().filter_map(|one| one.sentence(&case)).collect();
        let unnamed = wishes.is_empty().then(|| "the spec of its pod changed".to_owned());
        reasons.extend(wishes.into_iter().chain(unnamed));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn asked(case: &Case<'_>) -> Option<String> {
    let word = case.desired.restart.as_ref()?;
    (case.pod.restart.as_ref() != Some(word))
        .then(|| format!("asked for by the annotation {}", crate::names::RESTART_ANNOTATION))
}

/// Whether a node has to restart for its certificate, whatever the spec asks for.
pub(crate) fn certificate(
    desired: &Desired,
    moment: &Moment<'_>,
    node: &Node,
    pod: &Pod,
    wanted: &Wanted,
) -> Option<String> {
    let Moment { observed, growing, now, .. } = *moment;
    let case = Case { desired, observed, growing, node, pod, wanted, now };
    expires(&case).or_else(|| other_authority(&case))
}

/// Kafka's Raft client reads its certificate only at a start (KAFKA-20025).
fn expires(case: &Case<'_>) -> Option<String> {
    let jvm = case.observed.jvm(case.node.id)?;
    let expires_at_seconds = jvm.certificate_expires_at_seconds?;
    if expires_at_seconds - case.now.as_second() >= RENEWAL_BEFORE_EXPIRY_SECONDS {
        return None;
    }
    let secret = case.observed.certificates.get(&case.desired.names.node(case.node))?;
    let renewed = secret.trusted && jvm.certificate_serial != secret.serial;
    let expires = Timestamp::from_second(expires_at_seconds).ok()?;
    renewed.then(|| {
        format!("it runs with a certificate that expires on {}", expires.strftime("%Y-%m-%d"))
    })
}

fn other_authority(case: &Case<'_>) -> Option<String> {
    authority::reason(case.observed, case.node, || case.desired.names.node(case.node))
}

fn release(case: &Case<'_>) -> Option<String> {
    let running = &case.observed.agent(case.node.id)?.kafka_version;
    let wanted = &case.desired.version;
    (running != wanted).then(|| format!("Kafka {running} -> {wanted}"))
}

fn image(case: &Case<'_>) -> Option<String> {
    let running = case.pod.image.as_ref()?;
    let named = case.desired.own_image.as_ref()?;
    (running != named).then(|| format!("image {running} -> {named}"))
}

fn roles(case: &Case<'_>) -> Option<String> {
    let before = config_map::mounted_document(case.observed, case.pod)?.roles;
    let after = &case.node.roles;
    let says = match (before.contains(&Role::Controller), after.contains(&Role::Controller)) {
        (false, true) => "it becomes a controller",
        (true, false) => "it is no controller any more",
        _ => return None,
    };
    Some(says.to_owned())
}

fn quorum(case: &Case<'_>) -> Option<String> {
    let before = config_map::property(running_configuration(case)?, BOOTSTRAP)?;
    let after = config_map::property(&case.wanted.configuration.own, BOOTSTRAP)?;
    let ids = quorum::bootstrap(case.desired, case.observed);
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    (before != after).then(|| format!("it finds the quorum by the controllers {}", ids.join(", ")))
}

fn disks(case: &Case<'_>) -> Option<String> {
    let before = config_map::mounted_document(case.observed, case.pod)?.volumes;
    let new = case.node.volumes.iter().filter(|volume| !before.contains(&volume.name));
    let new: Vec<&str> = new.map(|volume| volume.name.as_str()).collect();
    let gone: Vec<&str> =
        before.iter().filter(|name| !case.node.has_disk(name)).map(String::as_str).collect();
    let of = |what: &str, names: &[&str]| {
        (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
    };
    let changes = [of("it gets another disk", &new), of("a disk of it goes", &gone)];
    let changes: Vec<String> = changes.into_iter().flatten().collect();
    (!changes.is_empty()).then(|| changes.join(", "))
}

/// Keys that other checks name: what nodes find the quorum by, what follows the heap, and disks.
const NAMED_BY_OTHERS: [&str; 3] = [BOOTSTRAP, CLEANER_BUFFER, LOG_DIRS];

/// Whether a key follows the roles of a node.
fn of_roles(key: &str) -> bool {
    key == "process.roles" || key.contains("listener")
}

/// More keys than these only make a sentence long.
const KEYS_NAMED: usize = 3;

fn configuration(case: &Case<'_>) -> Option<String> {
    let before = properties(&running_configuration(case)?["data"]);
    let after = properties(&case.wanted.configuration.own["data"]);
    let other_roles = roles(case).is_some();
    let keys: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut changes: Vec<String> = keys
        .into_iter()
        .filter(|key| before.get(key) != after.get(key))
        .filter(|key| !NAMED_BY_OTHERS.contains(key))
        .filter(|key| !other_roles || !of_roles(key))
        .map(|key| match (before.get(key), after.get(key)) {
            (Some(before), Some(after)) => format!("{key} {before} -> {after}"),
            (None, Some(after)) => format!("{key} {after}"),
            (_, None) => format!("{key} removed"),
        })
        .collect();
    let more = changes.len().saturating_sub(KEYS_NAMED);
    changes.truncate(KEYS_NAMED);
    if more > 0 {
        changes.push(format!("and {more} more"));
    }
    (!changes.is_empty()).then(|| format!("configuration {}", changes.join(", ")))
}

fn running_configuration<'a>(case: &Case<'a>) -> Option<&'a Value> {
    config_map::mounted(case.observed, case.pod)
}

fn properties(data: &Value) -> BTreeMap<&str, &str> {
    let text = data["server.properties"].as_str().unwrap_or_default();
    text.lines().filter_map(|line| line.split_once('=')).collect()
}

fn java(case: &Case<'_>) -> Option<String> {
    let before = config_map::mounted_document(case.observed, case.pod)?;
    let after = config_map::document_in(&case.wanted.configuration.own)?;
    let mut changes = Vec::new();
    if before.heap_bytes != after.heap_bytes {
        let mebibytes = |bytes: u64| bytes >> 20;
        let (before, after) = (mebibytes(before.heap_bytes), mebibytes(after.heap_bytes));
        changes.push(format!("heap {before} MiB -> {after} MiB"));
    }
    if before.jvm_options != after.jvm_options {
        let none = || "removed".to_owned();
        let options = Some(after.jvm_options.join(" ")).filter(|options| !options.is_empty());
        changes.push(format!("options {}", options.unwrap_or_else(none)));
    }
    (!changes.is_empty()).then(|| format!("JVM {}", changes.join(", ")))
}

/// Fields of a pod's spec whose change other checks name.
const NAMED_ELSEWHERE: [&str; 2] = ["containers", "volumes"];

/// Compares with the StatefulSet, as long as that still describes the pod.
fn template(case: &Case<'_>) -> Option<String> {
    let live = &case.observed.child(Kind::StatefulSet, &case.wanted.set.name)?.live;
    let wanted = case.wanted.set.tree();
    let (before, after) = (&live["spec"]["template"], &wanted["spec"]["template"]);
    let resources = |template: &Value| template["spec"]["containers"][0]["resources"].clone();
    let mut changes = Vec::new();
    if !holds(&resources(after), &resources(before))
        || !holds(&resources(before), &resources(after))
    {
        changes.push("resources");
    }
    if !holds(&after["metadata"]["labels"], &before["metadata"]["labels"]) {
        changes.push("labels");
    }
    let fields = after["spec"].as_object()?;
    let other = fields.iter().filter(|(field, value)| {
        !NAMED_ELSEWHERE.contains(&field.as_str()) && !holds(value, &before["spec"][field.as_str()])
    });
    changes.extend(other.map(|(field, _)| field.as_str()));
    (!changes.is_empty()).then(|| format!("{} of its pod", changes.join(", ")))
}
