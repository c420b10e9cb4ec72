//! Kafka's releases in the model world: what each node runs, what is switched on, and what must not
//! come of it.

use anyhow::{Result, bail};
use ottla_crds::agent::{AgentState, NodeDocument};
use ottla_crds::kafka_cluster::KAFKA_VERSIONS;
use ottla_plan::GROWS_WITHIN_SECONDS;
use ottla_plan::WaitingOn;
use ottla_plan::action::RaiseFeature;
use ottla_plan::authority::CLIENTS_LEARN_SECONDS;
use ottla_plan::object::Kind;
use ottla_plan::resources::stateful_set;

use super::World;
use super::nodes::has_jvm;
use super::{Agent, Pod};

/// Features by their names, and the levels that each release knows.
const FEATURES: [(&str, [(&str, i32); 3]); 7] = [
    ("metadata.version", [("4.2.1", 29), ("4.3.1", 30), ("4.4.0", 33)]),
    ("share.version", [("4.2.1", 1), ("4.3.1", 1), ("4.4.0", 2)]),
    ("eligible.leader.replicas.version", [("4.2.1", 1), ("4.3.1", 1), ("4.4.0", 1)]),
    ("group.version", [("4.2.1", 1), ("4.3.1", 1), ("4.4.0", 1)]),
    ("kraft.version", [("4.2.1", 1), ("4.3.1", 1), ("4.4.0", 1)]),
    ("streams.version", [("4.2.1", 1), ("4.3.1", 1), ("4.4.0", 1)]),
    ("transaction.version", [("4.2.1", 2), ("4.3.1", 2), ("4.4.0", 2)]),
];

/// The level of a feature that a release knows.
fn level(feature: &str, release: &str) -> i32 {
    let levels = FEATURES.iter().find(|(name, _)| *name == feature).map(|(_, levels)| levels);
    let level = levels.and_then(|levels| levels.iter().find(|(name, _)| *name == release));
    level.map(|(_, level)| *level).unwrap_or_default()
}

impl World {
    /// A cluster is born with what the release of its first node knows.
    pub(super) fn switch_features_on(&mut self) {
        let first = self.pods.values().find(|pod| speaks_for_kafka(pod));
        let Some(release) = first.map(|pod| pod.version.clone()) else { return };
        for (feature, _) in FEATURES {
            self.features.entry(feature.to_owned()).or_insert_with(|| level(feature, &release));
        }
    }

    /// The release that a node's configuration names.
    pub(super) fn release_of(&self, configuration: &str) -> Option<String> {
        Some(self.document(configuration)?.kafka_version)
    }

    /// The node document of a configuration.
    pub(super) fn document(&self, configuration: &str) -> Option<NodeDocument> {
        let map = self.store.get(Kind::ConfigMap, configuration)?;
        serde_json::from_str(map.live["data"]["node.json"].as_str()?).ok()
    }

    /// What an agent says whose image holds another release than its configuration names.
    pub(super) fn word_on_image(&self, id: i32) -> Option<Agent> {
        let pod = self.pods.get(&id)?;
        let named = self.release_of(&pod.configuration)?;
        let reason = format!("the image holds Kafka {} and not {named}", pod.version);
        (named != pod.version).then_some(Agent::Speaks(AgentState::Refused, Some(reason)))
    }

    /// Somebody waits, where only time is waited for. Whether there is such a thing.
    ///
    /// # Errors
    /// A broken law.
    pub fn wait(&mut self) -> Result<bool> {
        let report = self.plan()?.report;
        let comes_by_itself = |one: &&WaitingOn| match one {
            WaitingOn::DisksGrowing { .. } => self.disks_may_still_grow(),
            _ => one.is_for_time(),
        };
        let Some(waits) = report.all_waiting().find(comes_by_itself) else {
            return Ok(false);
        };
        let seconds = match waits {
            WaitingOn::AuthorityPublished { .. } => CLIENTS_LEARN_SECONDS,
            WaitingOn::DisksGrowing { .. } => GROWS_WITHIN_SECONDS,
            _ => self.soak_seconds(),
        };
        self.seconds(seconds)?;
        Ok(true)
    }

    fn soak_seconds(&self) -> i64 {
        self.desired().map(|desired| desired.upgrade.soak_seconds).unwrap_or_default()
    }

    /// S2: a node is never started with a release that does not know what is switched on.
    pub(super) fn hold_release(&mut self, id: i32) {
        let Some(pod) = self.pods.get(&id).filter(|pod| speaks_for_kafka(pod)) else { return };
        let mut features = self.features.iter();
        if let Some((feature, on)) = features.find(|(name, on)| level(name, &pod.version) < **on) {
            let version = &pod.version;
            self.broken.get_or_insert(format!(
                "S2: node {id} starts with Kafka {version}, which does not know {feature} {on}"
            ));
        }
    }

    /// A node takes another release after the Dedicated controllers, and no broker before the first that
    /// took it was watched.
    pub(super) fn hold_order(&self, id: i32) -> Result<()> {
        let Some(pod) = self.pods.get(&id).filter(|pod| speaks_for_kafka(pod)) else {
            return Ok(());
        };
        let set = self.store.get(Kind::StatefulSet, pod.name.trim_end_matches("-0"));
        let next = set.and_then(|set| self.release_of(stateful_set::configuration(&set.live)?));
        let Some(next) = next.filter(|next| *next != pod.version && pod.broker) else {
            return Ok(());
        };
        let serves = pod.seen.ready
            && matches!(pod.agent, Agent::Speaks(AgentState::Running, _))
            && !self.is_fenced(id);
        // One without a vote decides nothing.
        let behind = |(id, one): &(&i32, &Pod)| {
            serves && !one.broker && one.version != next && self.quorum.contains_key(id)
        };
        if let Some((_, behind)) = self.pods.iter().find(behind) {
            bail!("S2: node {id} takes Kafka {next} before {}", behind.name);
        }
        // The way back to the release whose features are switched on is quick.
        if self.features.iter().all(|(feature, on)| level(feature, &next) == *on) {
            return Ok(());
        }
        // One that holds no partition shows nothing, and one that starts at this very moment, as in a pass that
        // permits it to format, was seen by nobody when this one's restart was planned.
        let (partitions, now) = (self.partitions(), self.now.as_second());
        let has_it = |(id, one): &(&i32, &Pod)| {
            one.version == next
                && speaks_for_kafka(one)
                && one.started_at_seconds < now
                && partitions.held_by(**id) > 0
        };
        let first = self.pods.iter().filter(has_it).min_by_key(|(_, one)| one.started_at_seconds);
        let is_watched =
            |pod: &Pod| self.now.as_second() - pod.started_at_seconds >= self.soak_seconds();
        match first.filter(|(_, pod)| !is_watched(pod)) {
            Some((first, _)) => {
                bail!(
                    "S2: node {id} takes Kafka {next} before node {first}, which has it, was watched"
                )
            }
            None => Ok(()),
        }
    }

    /// S2: only where every node knows it, and was watched with it.
    pub(super) fn raise_feature(&mut self, raise: &RaiseFeature) -> Result<()> {
        let (feature, to) = (&raise.raise.feature, raise.raise.to);
        let controllers = self.voters().into_iter().chain(self.controllers.iter().copied());
        for id in self.registered.iter().copied().chain(controllers) {
            let knows = |pod: &Pod| level(feature, &pod.version) >= to;
            if !self.pods.get(&id).is_some_and(knows) {
                bail!("S2: {feature} {to} is switched on, and node {id} does not know it");
            }
        }
        let watched = |pod: &Pod| {
            self.now.as_second() - pod.started_at_seconds >= self.soak_seconds()
                || !speaks_for_kafka(pod)
        };
        if let Some(pod) = self.pods.values().find(|pod| !watched(pod)) {
            bail!("S2: {feature} {to} is switched on, and {} was not watched", pod.name);
        }
        self.features.insert(feature.clone(), to);
        Ok(())
    }

    /// L1: what the release knows is switched on.
    pub(super) fn hold_features(&self) -> Result<()> {
        let release = &self.cluster.spec.version;
        for (feature, on) in &self.features {
            if *on != level(feature, release) {
                bail!("L1: at rest with Kafka {release}, and {feature} is {on}");
            }
        }
        Ok(())
    }
}

fn speaks_for_kafka(pod: &Pod) -> bool {
    match &pod.agent {
        Agent::Speaks(state, _) => has_jvm(*state),
        Agent::Silent(_) => true,
        Agent::Absent => false,
    }
}

/// The release in an image, where its name tells.
pub(super) fn release_in(image: &str) -> Option<String> {
    let tag = image.rsplit(':').next()?;
    KAFKA_VERSIONS.contains(&tag).then(|| tag.to_owned())
}
