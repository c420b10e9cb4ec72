//! Another Kafka release: whether it may run, in which order nodes take it, and when there is no way
//! back from it.
//!
//! A roll brings it, controllers first. One broker takes it before the others and is watched; when all
//! have it and were watched as long, its features are switched on one by one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ottla_crds::kafka_cluster::Finalize;

use crate::action::{Action, RaiseFeature};
use crate::desired::Desired;
use crate::node::{Group, Node};
use crate::observed::{Kafka, Observed, Partitions};
use crate::report::WaitingOn;
use crate::resources::config_map;
use crate::roll::{Hold, is_well, is_well_or_nobody_yet};
use crate::{quorum, release};

/// What an upgrade comes to in one pass, beside restarts.
#[derive(Clone, Default)]
pub(crate) struct Steps {
    pub(crate) actions: Vec<Action>,
    pub(crate) waiting_on: Option<WaitingOn>,
}

/// Why the release that the spec names must not run.
pub(crate) fn forbidden(desired: &Desired, observed: &Observed) -> Option<WaitingOn> {
    let detail = unknown_feature(desired, observed)?;
    Some(WaitingOn::DowngradeForbidden { detail })
}

fn unknown_feature(desired: &Desired, observed: &Observed) -> Option<String> {
    let features = observed.features();
    let (feature, level) = release::unknown(&desired.version, &features)?;
    Some(format!(
        "Kafka {} does not know {feature} {level}, which is switched on, and could not read what it says: set spec.version to {}",
        desired.version,
        release::allowed(&features).join(" or ")
    ))
}

/// Whether a node is known to have the release that the spec names.
fn has_release(desired: &Desired, observed: &Observed, node: &Node) -> bool {
    release_of(observed, node).is_some_and(|release| release == desired.version)
}

/// The release of a node: by its agent, or by the configuration that its pod was made with.
fn release_of(observed: &Observed, node: &Node) -> Option<String> {
    if let Some(agent) = observed.agent(node.id) {
        return Some(agent.kafka_version.clone());
    }
    let pod = observed.pods.get(&node.id)?;
    Some(config_map::mounted_document(observed, pod)?.kafka_version)
}

/// A node must not take a release that does not know what is switched on: it would not start.
pub(crate) fn knows_features(
    desired: &Desired,
    observed: &Observed,
    node: &Node,
) -> Result<(), Hold> {
    if has_release(desired, observed, node) || observed.memory.rejected.is_some() {
        return Ok(());
    }
    unknown_feature(desired, observed).map_or(Ok(()), |sentence| Err(Hold::Forbidden { sentence }))
}

/// Controllers with pods of their own take another release before any broker does, up and down. A broker
/// that is not well does not wait for them: it may be the reason why they cannot.
pub(crate) fn controllers_first(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    node: &Node,
) -> Result<(), Hold> {
    // What the spec asks for is taken by nobody: a restart brings the release that is there.
    if observed.memory.rejected.is_some() {
        return Ok(());
    }
    let is_well = is_well_or_nobody_yet(observed, node).is_ok();
    if node.group == Group::Controller || !is_well || has_release(desired, observed, node) {
        return Ok(());
    }
    // One that left and is called back has nobody who depends on it.
    let decides = |one: &&Node| !one.leaving || quorum::votes(observed, one.id);
    let mut controllers = nodes.iter().filter(|one| one.group == Group::Controller).filter(decides);
    match controllers.find(|one| !has_release(desired, observed, one)) {
        None => Ok(()),
        Some(controller) => Err(Hold::Upgrade {
            sentence: format!("controller {} takes Kafka {} first", controller.id, desired.version),
        }),
    }
}

/// The first broker that has another release, while it is watched.
#[derive(Default)]
pub(crate) struct Watch {
    /// What others wait for.
    sentence: Option<String>,
}

/// One broker takes another release and is watched before others follow. One that holds no partition, as
/// a new one does, shows nothing.
pub(crate) fn watch(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    now: Timestamp,
) -> Watch {
    let partitions = observed.kafka.known().map(|kafka| &kafka.partitions);
    let shows = |node: &&Node| {
        let holds = |all: &Partitions| all.iter().next().is_none() || all.held_by(node.id) > 0;
        node.is_broker() && partitions.is_none_or(holds) && has_release(desired, observed, node)
    };
    let started = nodes.iter().filter(shows);
    let started = started.filter_map(|one| Some((started_at_seconds(observed, one)?, one.id)));
    let Some((since, first)) = started.min() else { return Watch::default() };
    let until = since.saturating_add(desired.upgrade.soak_seconds);
    let sentence = (now.as_second() < until).then(|| {
        format!(
            "broker {first} runs with Kafka {} since {} and is watched until {} before others follow (spec.upgrade.soak)",
            desired.version,
            clock(since),
            clock(until)
        )
    });
    Watch { sentence }
}

impl Watch {
    /// Whether a node whose Kafka runs may take the release that the spec names.
    pub(crate) fn permits(
        &self,
        desired: &Desired,
        observed: &Observed,
        node: &Node,
    ) -> Result<(), Hold> {
        self.permits_from(desired, observed, node, release_of(observed, node).as_deref())
    }

    /// Whether a node may take the release that the spec names, coming from another, where anybody knows
    /// from which. The way back to the release whose features are switched on is quick: it has shown
    /// that it works.
    pub(crate) fn permits_from(
        &self,
        desired: &Desired,
        observed: &Observed,
        node: &Node,
        from: Option<&str>,
    ) -> Result<(), Hold> {
        let features = observed.features();
        let goes_back = from.is_some_and(|from| release::is_newer(from, &desired.version))
            && release::next_raise(&desired.version, &features).is_none();
        let takes = node.is_broker() && from.is_some_and(|from| from != desired.version);
        let rejected = observed.memory.rejected.is_some();
        match self.sentence.clone().filter(|_| takes && !goes_back && !rejected) {
            Some(sentence) => Err(Hold::Soaking { sentence }),
            None => Ok(()),
        }
    }
}

pub(crate) fn started_at_seconds(observed: &Observed, node: &Node) -> Option<i64> {
    Some(observed.jvm(node.id)?.started_at_seconds)
}

pub(crate) fn clock(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Whether disks that were never in use wait for the end of an upgrade, because the release before might
/// not read what the new one formats. Nothing waits where a broker that is down leaves: another is to
/// take its place, and without that the upgrade would have no end.
pub(crate) fn keeps_disks_empty(desired: &Desired, observed: &Observed, nodes: &[Node]) -> bool {
    let replaced = nodes.iter().any(|node| {
        node.is_broker() && node.leaving && is_well_or_nobody_yet(observed, node).is_err()
    });
    desired.upgrade.finalize == Finalize::Automatic
        && !replaced
        && release::next_raise(&desired.version, &observed.features()).is_some()
}

/// Switches the next feature on once every node has run long enough with the release that has it.
pub(crate) fn finalize(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    now: Timestamp,
) -> Steps {
    let steps = Steps::default();
    let Some(kafka) = observed.kafka.known() else { return steps };
    let Some(raise) = release::next_raise(&desired.version, &kafka.features) else { return steps };
    let waits = |waiting_on| Steps { waiting_on: Some(waiting_on), ..steps.clone() };
    if !all_have_release(desired, observed, nodes) {
        let lacks = |node: &&Node| {
            node.group == Group::Controller
                && node.leaving
                && (!has_release(desired, observed, node) || is_well(observed, node).is_err())
        };
        let Some(called_back) = nodes.iter().find(lacks) else { return steps };
        let detail = format!(
            "the features of Kafka {} wait for controller {}, which has left and has to run once more (KAFKA-20295)",
            desired.version, called_back.id
        );
        return waits(WaitingOn::NotFinal { detail });
    }
    if let Some(stranger) = stranger(kafka, nodes) {
        let detail = format!(
            "the features of Kafka {} wait until broker {stranger}, which is registered and leaves, is unregistered",
            desired.version
        );
        return waits(WaitingOn::NotFinal { detail });
    }
    if desired.upgrade.finalize == Finalize::Manual {
        let detail = format!(
            "Kafka {} runs with {} {}, so that the way back is open; spec.upgrade.finalize: Automatic switches its own features on, {} {} first",
            desired.version, raise.feature, raise.from, raise.feature, raise.to
        );
        return waits(WaitingOn::NotFinal { detail });
    }
    let started = nodes.iter().filter_map(|node| started_at_seconds(observed, node)).max();
    let until = started.unwrap_or_default().saturating_add(desired.upgrade.soak_seconds);
    if now.as_second() < until {
        let detail = format!(
            "Kafka {} is watched until {}; then {} {} is switched on, and there is no way back (spec.upgrade)",
            desired.version,
            clock(until),
            raise.feature,
            raise.to
        );
        return waits(WaitingOn::Finalizing { detail });
    }
    let detail = format!(
        "Kafka {} is there to stay: {} {} is being switched on",
        desired.version, raise.feature, raise.to
    );
    let action = Action::RaiseFeature(RaiseFeature { release: desired.version.clone(), raise });
    Steps { actions: vec![action], waiting_on: Some(WaitingOn::SwitchingOn { detail }) }
}

/// What was ever seen switched on, and what is about to be. A broker that is asked may not have heard of it yet, so
/// that no level is ever lowered.
pub(crate) fn on_record(observed: &Observed, raises: &[Action]) -> BTreeMap<String, i32> {
    let mut features = observed.traces().features.clone();
    let known = observed.kafka.known().into_iter().flat_map(|kafka| kafka.features.clone());
    let raised = raises.iter().filter_map(|action| match action {
        Action::RaiseFeature(raise) => Some((raise.raise.feature.clone(), raise.raise.to)),
        _ => None,
    });
    for (feature, level) in known.chain(raised) {
        let recorded = features.entry(feature).or_default();
        *recorded = level.max(*recorded);
    }
    features
}

/// Whether every node that Kafka knows runs well with the release that the spec names.
pub(crate) fn all_have_release(desired: &Desired, observed: &Observed, nodes: &[Node]) -> bool {
    let known = |node: &&Node| {
        observed.kafka.known().is_some_and(|kafka| {
            let called_back = quorum::is_called_back(desired, observed, node.id);
            called_back
                || kafka.brokers.contains_key(&node.id)
                || kafka.voters.contains_key(&node.id)
        })
    };
    let runs =
        |node: &Node| has_release(desired, observed, node) && is_well(observed, node).is_ok();
    nodes.iter().filter(known).all(runs)
}

/// A broker that Kafka asks before it switches a feature on, and that nobody here knows.
pub(crate) fn stranger(kafka: &Kafka, nodes: &[Node]) -> Option<i32> {
    let mut ids = kafka.brokers.keys().chain(kafka.voters.keys());
    ids.find(|id| !nodes.iter().any(|node| node.id == **id)).copied()
}
