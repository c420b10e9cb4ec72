//! Life in small steps: pods end, start and come into sync one step at a time, and Kubernetes takes
//! notice of a disruption budget only when it looks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use ottla_crds::agent::AgentState;
use ottla_plan::names::GROUP_LABEL;
use ottla_plan::object::Kind;
use serde_json::{Value, json};

use super::nodes::has_jvm;
use super::{Agent, World};

/// An option of the JVM with which it does not start.
pub const BAD_OPTION: &str = "-XX:Nonsense";

/// What only a world has that takes its time.
#[derive(Clone, Debug, Default)]
pub(super) struct Gradual {
    /// What Kubernetes' disruption controller said last, by the name of the budget.
    budgets: BTreeMap<String, Value>,
    /// Nodes that the operator stopped, or that Kubernetes evicted, and that are not back.
    disrupted: BTreeSet<i32>,
    /// Those of them that the operator stopped.
    stopped: BTreeSet<i32>,
    /// Agents that were silenced, as they were.
    silenced: BTreeMap<i32, Agent>,
    /// Whether somebody ever opened a budget by hand.
    opened: bool,
}

impl World {
    /// From now on everything takes its time.
    pub fn go_gradually(&mut self) {
        self.gradual = Some(Gradual::default());
        for pod in self.pods.values_mut() {
            pod.heard = pod.seen.ready;
            pod.follows = pod.seen.ready;
        }
        self.follow_brokers();
        self.notice_budgets();
    }

    /// The next step in the life of a node's pod, if there is one to take.
    pub fn advance(&mut self, id: i32) -> bool {
        if self.grow_disks_of(id) {
            return true;
        }
        let Some(pod) = self.pods.get(&id) else {
            let before = self.pods.len();
            self.yield_pods();
            return self.pods.len() != before;
        };
        if pod.seen.terminating {
            if pod.heard {
                self.hush(id);
            } else {
                self.remove_pod(id);
            }
            return true;
        }
        if pod.seen.address.is_none() {
            return self.start(id);
        }
        if matches!(pod.agent, Agent::Speaks(AgentState::Starting, _))
            && self.is_bad(&pod.configuration)
        {
            return self.crash_again(id);
        }
        if matches!(pod.agent, Agent::Speaks(AgentState::Refused, _)) {
            return self.looks_again(id);
        }
        let next = match &pod.agent {
            Agent::Speaks(AgentState::Starting, _) if !self.finds_quorum(id) => return false,
            Agent::Speaks(AgentState::Starting | AgentState::Recovering, _) => {
                AgentState::CatchingUp
            }
            Agent::Speaks(AgentState::CatchingUp, _) => AgentState::Running,
            _ => return false,
        };
        let broker = pod.broker;
        if let Some(pod) = self.pods.get_mut(&id) {
            pod.agent = Agent::Speaks(next, None);
            pod.heard = true;
            pod.follows = next == AgentState::Running;
            pod.seen.ready = pod.follows;
        }
        // A broker registers before it has caught up.
        if broker {
            self.registered.insert(id);
        }
        if next == AgentState::Running {
            self.forget_disruption(id);
        }
        self.activate();
        self.make_topic();
        self.follow_brokers();
        true
    }

    /// An agent that refuses its disks looks again and again. Whether it finds them otherwise.
    fn looks_again(&mut self, id: i32) -> bool {
        let found = self.word_on_image(id).unwrap_or_else(|| self.first_word(id));
        let is_news = !matches!(found, Agent::Speaks(AgentState::Refused, _));
        if is_news {
            self.start_pod(id);
        }
        is_news
    }

    /// The next step of every node. Whether any took one.
    pub fn advance_all(&mut self) -> bool {
        let ids = self.node_ids();
        ids.into_iter().filter(|id| self.advance(*id)).count() > 0
    }

    fn start(&mut self, id: i32) -> bool {
        let bad = self.pods.get(&id).is_some_and(|pod| self.is_bad(&pod.configuration));
        // Its agent asks for its disks before it starts a Kafka that ends.
        if bad && matches!(self.first_word(id), Agent::Speaks(AgentState::Starting, _)) {
            return self.crash_again(id);
        }
        self.start_pod(id);
        true
    }

    /// It goes on for ever, and nothing comes of it any more. Whether that is still news.
    fn crash_again(&mut self, id: i32) -> bool {
        let Some(pod) = self.pods.get_mut(&id) else { return false };
        pod.agent = Agent::Absent;
        pod.seen.address = None;
        pod.seen.stuck = Some("CrashLoopBackOff: back-off restarting failed container".to_owned());
        pod.seen.restarts += 1;
        pod.seen.restarts <= 4
    }

    fn is_bad(&self, configuration: &str) -> bool {
        let map = self.store.get(Kind::ConfigMap, configuration);
        let document = map.and_then(|map| map.live["data"]["node.json"].as_str());
        document.is_some_and(|document| document.contains(BAD_OPTION))
    }

    /// A pod is told to end. Where everything takes its time it is still there for a while.
    pub(super) fn end_pod(&mut self, id: i32) {
        // A node that Kafka does not hear of, or never did, is missed by nobody for that.
        let serves = self.pods.get(&id).is_some_and(|pod| pod.heard);
        let is_missed = (serves && self.registered.contains(&id)) || self.is_voting(id);
        let Some(gradual) = &mut self.gradual else {
            self.remove_pod(id);
            return;
        };
        if is_missed {
            gradual.disrupted.insert(id);
            gradual.stopped.insert(id);
        }
        self.terminate_pod(id);
    }

    /// A node is no disruption any more.
    pub(super) fn forget_disruption(&mut self, id: i32) {
        if let Some(gradual) = &mut self.gradual {
            gradual.disrupted.remove(&id);
            gradual.stopped.remove(&id);
        }
    }

    /// A pod has lost its StatefulSet.
    pub(super) fn lose_pod(&mut self, id: i32) {
        self.forget_disruption(id);
        match self.gradual {
            None => self.remove_pod(id),
            Some(_) => self.terminate_pod(id),
        }
    }

    fn terminate_pod(&mut self, id: i32) {
        if let Some(pod) = self.pods.get_mut(&id) {
            pod.seen.terminating = true;
            if matches!(pod.agent, Agent::Speaks(state, _) if has_jvm(state)) {
                pod.agent = Agent::Speaks(AgentState::Stopping, None);
            }
        }
        self.follow_brokers();
    }

    /// A node's Kafka is gone: leaders move, and nobody counts on it any more.
    pub(super) fn hush(&mut self, id: i32) {
        if let Some(pod) = self.pods.get_mut(&id) {
            pod.heard = false;
            pod.follows = false;
        }
        self.follow_brokers();
    }

    /// Kubernetes does not call a pod Ready any more, although its Kafka serves. Whether it did.
    pub fn unready(&mut self, id: i32) -> bool {
        let Some(pod) = self.pods.get_mut(&id) else { return false };
        std::mem::replace(&mut pod.seen.ready, false)
    }

    /// Kubernetes calls every pod Ready again whose Kafka is in sync.
    pub fn ready_all(&mut self) {
        self.pods.values_mut().for_each(|pod| pod.seen.ready = pod.follows);
    }

    /// Somebody kills a pod. Whether it was there.
    pub fn kill(&mut self, id: i32) -> bool {
        let is_there = self.pods.get(&id).is_some_and(|pod| !pod.seen.terminating);
        self.terminate_pod(id);
        is_there
    }

    /// A node's Kafka ends, and its container is started again. Whether it ran.
    pub fn crash(&mut self, id: i32) -> bool {
        let now = self.now.as_second();
        let Some(pod) = self.pods.get_mut(&id) else { return false };
        if pod.seen.terminating || !matches!(pod.agent, Agent::Speaks(AgentState::Running, _)) {
            return false;
        }
        pod.agent = Agent::Speaks(AgentState::Recovering, None);
        pod.started_at_seconds = now;
        pod.seen.ready = false;
        pod.seen.restarts += 1;
        self.hush(id);
        true
    }

    /// The disruption controller looks at every budget. Whether it says anything new.
    pub fn notice_budgets(&mut self) -> bool {
        let budgets: Vec<(String, Value)> = self
            .store
            .iter()
            .filter(|((kind, _), _)| *kind == Kind::PodDisruptionBudget)
            .map(|((_, name), child)| (name.clone(), self.noticed(&child.live)))
            .collect();
        let budgets = budgets.into_iter().collect();
        self.gradual.as_mut().is_some_and(|gradual| {
            let new = gradual.budgets != budgets;
            gradual.budgets = budgets;
            new
        })
    }

    fn noticed(&self, budget: &Value) -> Value {
        let least = budget["spec"]["minAvailable"].as_u64().unwrap_or_default();
        json!({
            "disruptionsAllowed": self.ready_pods(budget).saturating_sub(least),
            "observedGeneration": budget["metadata"]["generation"],
        })
    }

    /// What a budget's status says.
    pub(super) fn budget_status(&self, name: &str, budget: &Value) -> Value {
        match &self.gradual {
            None => self.noticed(budget),
            Some(gradual) => gradual.budgets.get(name).cloned().unwrap_or_default(),
        }
    }

    /// Pods of a budget's group that are Ready.
    fn ready_pods(&self, budget: &Value) -> u64 {
        let controllers = budget["spec"]["selector"]["matchLabels"][GROUP_LABEL] == "controller";
        let counts = |pod: &&super::Pod| {
            pod.seen.ready && !pod.seen.terminating && pod.broker != controllers
        };
        self.pods.values().filter(counts).count() as u64
    }

    /// Kubernetes evicts a pod, as far as its budget allows by what was noticed last.
    ///
    /// # Errors
    /// A broken law: another node is down because the operator wanted it so.
    pub fn evict(&mut self, id: i32) -> Result<bool> {
        let controller = self.pods.get(&id).is_some_and(|pod| !pod.broker);
        let group = if controller { "controller" } else { "broker" };
        let name = format!("{}-{group}", self.names().cluster);
        let ready = self.pods.get(&id).is_some_and(|pod| pod.seen.ready && !pod.seen.terminating);
        let Some(gradual) = &mut self.gradual else { return Ok(false) };
        let Some(budget) = gradual.budgets.get_mut(&name) else { return Ok(false) };
        let allowed = budget["disruptionsAllowed"].as_u64().unwrap_or_default();
        if !ready || allowed == 0 {
            return Ok(false);
        }
        budget["disruptionsAllowed"] = (allowed - 1).into();
        let down = gradual.stopped.clone();
        if self.registered.contains(&id) || self.quorum.contains_key(&id) {
            gradual.disrupted.insert(id);
        }
        self.terminate_pod(id);
        let opened = self.gradual.as_ref().is_some_and(|gradual| gradual.opened);
        if !down.is_empty() && self.rolls() && !opened {
            bail!("S2: node {id} could be evicted while {down:?} were down for a roll");
        }
        Ok(true)
    }

    fn rolls(&self) -> bool {
        self.status().memory.roll.is_some()
    }

    /// Somebody opens a budget by hand, so that it protects nothing until it is put right.
    ///
    /// # Errors
    /// Where there is no budget.
    pub fn open_budget(&mut self) -> Result<()> {
        let name = format!("{}-broker", self.names().cluster);
        if self.store.get(Kind::PodDisruptionBudget, &name).is_none() {
            return Ok(());
        }
        if let Some(gradual) = &mut self.gradual {
            gradual.opened = true;
        }
        self.change(Kind::PodDisruptionBudget, &name, &["spec", "minAvailable"], 0.into())
    }

    /// An agent does not answer any more. Whether it did before.
    pub fn mute(&mut self, id: i32, reason: &str) -> bool {
        let (Some(pod), Some(gradual)) = (self.pods.get_mut(&id), &mut self.gradual) else {
            return false;
        };
        if !matches!(pod.agent, Agent::Speaks(..)) {
            return false;
        }
        let silent = Agent::Silent(reason.to_owned());
        gradual.silenced.insert(id, std::mem::replace(&mut pod.agent, silent));
        true
    }

    /// Every agent answers again.
    pub fn speak(&mut self) {
        let Some(gradual) = &mut self.gradual else { return };
        for (id, agent) in std::mem::take(&mut gradual.silenced) {
            if let Some(pod) = self.pods.get_mut(&id)
                && matches!(pod.agent, Agent::Silent(_))
            {
                pod.agent = agent;
            }
        }
        self.follow_brokers();
    }

    /// The active controller hears of every node again.
    pub fn hear_all(&mut self) {
        self.kafka.cut_off.clear();
        self.follow_brokers();
    }

    /// Checks that nothing is waited for, nothing remembered, and every pod is as the spec wants it.
    ///
    /// # Errors
    /// What is not so.
    pub fn as_wished(&self) -> Result<()> {
        let plan = self.plan()?;
        let waiting: Vec<String> = plan.report.all_waiting().map(ToString::to_string).collect();
        if !waiting.is_empty() || !plan.memory.is_empty() || !plan.traces.is_gone() {
            let remembers = (&plan.memory, &plan.traces);
            bail!("L1: at rest, and waits for {waiting:?}, remembers {remembers:?}");
        }
        match plan.report.nodes.iter().find(|node| !node.ready) {
            Some(node) => bail!("L1: at rest, and node {} is not Ready", node.node.id),
            None => {
                self.hold_features()?;
                self.hold_quorum_as_wished()?;
                self.hold_configuration()?;
                self.hold_nothing_left()
            }
        }
    }

    /// S2: at most one voluntary disruption.
    pub(super) fn hold_one_disruption(&self, id: i32) -> Result<()> {
        let Some(gradual) = &self.gradual else { return Ok(()) };
        let there = self.node_ids();
        let others =
            gradual.disrupted.iter().filter(|other| **other != id && there.contains(other));
        let others: Vec<i32> = others.copied().collect();
        let is_broker = self.registered.contains(&id) && !self.is_fenced(id);
        if (is_broker || self.is_voting(id)) && !others.is_empty() {
            bail!("S2: node {id} is restarted while {others:?} are down");
        }
        Ok(())
    }

    /// S3: after a restart a majority of three or more voters serves.
    pub(super) fn hold_quorum(&self, id: i32) -> Result<()> {
        let voters = self.voters();
        let stays = |id: &&i32| {
            self.is_voting(**id) && self.pods.get(*id).is_some_and(|pod| !pod.seen.terminating)
        };
        let serving = voters.iter().filter(stays).count();
        let wished = self.desired().map(|desired| desired.voters).unwrap_or_default();
        let decides = voters.len() > 2 || wished > 2;
        if voters.contains(&id) && decides && serving <= voters.len() / 2 {
            bail!("S3: the restart of node {id} left {serving} of {} voters", voters.len());
        }
        Ok(())
    }

    /// Nodes that have a StatefulSet or a pod, by id.
    #[must_use]
    pub fn node_ids(&self) -> Vec<i32> {
        let sets = self.store.iter().filter(|((kind, _), _)| *kind == Kind::StatefulSet);
        let label = "/metadata/labels/ottla.dev~1node-id";
        let ids = sets.filter_map(|(_, child)| child.live.pointer(label)?.as_str()?.parse().ok());
        ids.chain(self.pods.keys().copied()).collect::<BTreeSet<i32>>().into_iter().collect()
    }
}
