//! Who votes in the metadata quorum, and how that changes: one voter joins or leaves at a time
//! (KIP-853). A controller joins when it has caught up; one leaves when all have joined that the spec
//! asks for, and every node finds those.

use std::collections::BTreeSet;

use ottla_crds::agent::{AgentState, DiskMeta, Role};
use serde_json::Value;

use crate::action::{Action, ChangeVoter, Target};
use crate::desired::Desired;
use crate::identity::first_voters;
use crate::node::{FIRST_CONTROLLER_ID, Group, Node, of_id};
use crate::object::Kind;
use crate::observed::{Answer, Identity, Kafka, Observed, Pod, QuorumRecord, Voter};
use crate::properties::BOOTSTRAP;
use crate::release;
use crate::report::{self, Progress, WaitingOn};
use crate::resources::{config_map, stateful_set};
use crate::roll;

mod departure;

pub(crate) use departure::{leftovers, owner};

/// Controllers that the spec asks to vote.
#[must_use]
pub(crate) fn wished(desired: &Desired) -> BTreeSet<i32> {
    first_voters(desired).into_iter().collect()
}

/// Whether a node votes: as Kafka says or, while it is silent, as is on record.
pub(crate) fn votes(observed: &Observed, id: i32) -> bool {
    match &observed.kafka {
        Answer::Known(kafka) => kafka.voters.contains_key(&id),
        Answer::Unknown { .. } => {
            observed.identity.as_ref().is_some_and(|one| one.quorum.members.contains_key(&id))
        }
    }
}

/// Whether the features of another release wait for a node as a controller. Kafka keeps the registration of
/// each, and asks it whether it knows them (KAFKA-20295): one that has left has to run once more for that.
pub(crate) fn is_called_back(desired: &Desired, observed: &Observed, id: i32) -> bool {
    let registered = |one: &Identity| one.quorum.registered.contains(&id);
    observed.identity.as_ref().is_some_and(registered)
        && release::next_raise(&desired.version, &observed.features()).is_some()
}

/// Controllers with pods of their own that are there, or have to be, for the quorum's sake.
pub(crate) fn dedicated(desired: &Desired, observed: &Observed) -> Vec<i32> {
    let mut ids = wished(desired);
    if let Answer::Known(kafka) = &observed.kafka {
        ids.extend(kafka.voters.keys());
    }
    if let Some(identity) = &observed.identity {
        let QuorumRecord { members, registered, .. } = &identity.quorum;
        let needed = |id: &&i32| votes(observed, **id) || is_called_back(desired, observed, **id);
        ids.extend(members.keys().chain(registered).filter(needed));
    }
    ids.into_iter().filter(|id| group(*id) == Group::Controller).collect()
}

/// Controllers by which nodes find the quorum when they start.
pub(crate) fn bootstrap(desired: &Desired, observed: &Observed) -> BTreeSet<i32> {
    let recorded = observed.identity.as_ref().map(|one| &one.quorum.bootstrap);
    if let Some(ids) = recorded.filter(|ids| !ids.is_empty()) {
        return ids.clone();
    }
    // Nobody knows what nodes were told: those that vote are found by whoever asks.
    let voters = observed.kafka.known().map(|kafka| kafka.voters.keys().copied().collect());
    voters.filter(|voters: &BTreeSet<i32>| !voters.is_empty()).unwrap_or_else(|| wished(desired))
}

/// What the quorum comes to in one pass.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) actions: Vec<Action>,
    pub(crate) waiting_on: Option<WaitingOn>,
    /// How many votes are as the spec asks, of those that there are and those that are to come.
    pub(crate) progress: Option<Progress>,
}

/// The next change of the quorum, if there is one, and what is on record of it before it is made.
pub(crate) fn plan(desired: &Desired, observed: &Observed, nodes: &[Node]) -> Steps {
    let mut steps = Steps::default();
    let Some(identity) = &observed.identity else { return steps };
    let case = Case { desired, observed, nodes, identity };
    let change = observed.kafka.known().map(|kafka| case.next(kafka)).unwrap_or_default();
    let record = case.record(&change);
    if record != identity.quorum {
        let target = Target::of_identity(&desired.names, identity);
        steps.actions.push(Action::RecordQuorum { target, record });
    } else {
        steps.actions.extend(departure::unregister(desired, observed, identity));
    }
    let (action, detail) = change.spoken();
    steps.actions.extend(action);
    steps.actions.extend(departure::stop(desired, observed, nodes));
    steps.progress = detail.as_ref().and(observed.kafka.known()).map(|kafka| case.progress(kafka));
    steps.waiting_on = detail.map(|detail| WaitingOn::ChangingVoters { detail });
    steps
}

/// What comes next.
#[derive(Default)]
enum Change {
    #[default]
    Nothing,
    Add(ChangeVoter),
    Remove(ChangeVoter),
    /// Every node has to find the quorum by these from now on.
    NewBootstrap(BTreeSet<i32>),
    Wait(String),
}

const EVERY_NODE_LEARNS: &str =
    "every node is about to learn by which controllers it finds the metadata quorum";

impl Change {
    /// The action, and what people read meanwhile.
    fn spoken(self) -> (Option<Action>, Option<String>) {
        match self {
            Change::Nothing => (None, None),
            Change::NewBootstrap(_) => (None, Some(EVERY_NODE_LEARNS.to_owned())),
            Change::Wait(detail) => (None, Some(detail)),
            Change::Add(change) => {
                let detail = format!("controller {} joins the metadata quorum", change.id);
                (Some(Action::AddVoter(change)), Some(detail))
            }
            Change::Remove(change) => {
                let detail = format!("controller {} leaves the metadata quorum", change.id);
                (Some(Action::RemoveVoter(change)), Some(detail))
            }
        }
    }
}

struct Case<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    nodes: &'a [Node],
    identity: &'a Identity,
}

impl Case<'_> {
    fn next(&self, kafka: &Kafka) -> Change {
        if kafka.leader.is_none() {
            return Change::Nothing;
        }
        let wished = wished(self.desired);
        let mut voters = kafka.voters.keys();
        if let Some(id) = voters.find(|id| has_lost_its_disk(self.observed, kafka, **id)) {
            return self.remove(kafka, *id);
        }
        let known = bootstrap(self.desired, self.observed);
        // The only one that nodes know has lost its disk, and with it its vote.
        if !known.iter().any(|id| kafka.voters.contains_key(id)) {
            return Change::NewBootstrap(kafka.voters.keys().copied().collect());
        }
        let mut missing = wished.iter().filter(|id| !kafka.voters.contains_key(id));
        if let Some(id) = missing.next() {
            return self.add(kafka, *id);
        }
        if !finds(&known, &wished) {
            return Self::learn(kafka, wished);
        }
        let surplus = kafka.voters.keys().filter(|id| !wished.contains(id));
        // The leader goes last, so that it changes once.
        let Some(id) = surplus.min_by_key(|id| (kafka.leader == Some(**id), **id)) else {
            return Change::Nothing;
        };
        match lost(self.desired, self.observed, self.nodes) {
            Some(node) => Change::Wait(format!(
                "controller {id} leaves the metadata quorum when node {node} has started with the others' addresses"
            )),
            None => self.remove(kafka, *id),
        }
    }

    /// Who knows only controllers that are not there finds none when it starts.
    fn learn(kafka: &Kafka, wished: BTreeSet<i32>) -> Change {
        let there = kafka.voters.iter().filter(|(_, voter)| voter.is_caught_up());
        if finds(&there.map(|(id, _)| *id).collect(), &wished) {
            return Change::NewBootstrap(wished);
        }
        Change::Wait(
            "every node learns where the controllers are that the spec asks for when a majority of them has caught up"
                .to_owned(),
        )
    }

    fn add(&self, kafka: &Kafka, id: i32) -> Change {
        let node = self.nodes.iter().find(|node| node.id == id);
        let wait = |what: &str| {
            let report = |node| report::node(self.desired, self.observed, self.nodes, node);
            let why = node.map(report).and_then(|report| report.waiting_on);
            let why = why.map(|why| format!("; {why}")).unwrap_or_default();
            Change::Wait(format!("controller {id} joins the metadata quorum when {what}{why}"))
        };
        let Some(observer) = follower(self.observed, kafka, id) else {
            return wait("it has been started");
        };
        if !is_controller(self.observed, id) {
            return wait("it has restarted as a controller");
        }
        if !observer.is_caught_up() {
            return wait("it has caught up with the active controller");
        }
        if node.is_none_or(|node| roll::is_well(self.observed, node).is_err()) {
            return wait("it is Ready");
        }
        if !keeps_majority(self.observed, kafka, Some(id), None) {
            return wait("a majority of the voters has caught up");
        }
        Change::Add(self.voter(id, &observer.directory))
    }

    fn remove(&self, kafka: &Kafka, id: i32) -> Change {
        if !keeps_majority(self.observed, kafka, None, Some(id)) {
            return Change::Wait(format!(
                "controller {id} leaves the metadata quorum when a majority of the others has caught up"
            ));
        }
        let directory = kafka.voters.get(&id).map(|voter| voter.directory.clone());
        Change::Remove(self.voter(id, &directory.unwrap_or_default()))
    }

    /// The last vote is not done before nothing is left to change: every node has to find those that vote.
    fn progress(&self, kafka: &Kafka) -> Progress {
        let wished = wished(self.desired);
        let voters: BTreeSet<i32> = kafka.voters.keys().copied().collect();
        let lost = |id: &&i32| has_lost_its_disk(self.observed, kafka, **id);
        let as_wished = wished.intersection(&voters).filter(|id| !lost(id)).count();
        let of = wished.union(&voters).count();
        Progress { since: None, done: as_wished.min(of.saturating_sub(1)), of }
    }

    fn voter(&self, id: i32, directory: &str) -> ChangeVoter {
        let host = self.desired.names.host(&of_id(id));
        let cluster_id = self.identity.cluster_id.clone();
        ChangeVoter { cluster_id, id, directory: directory.to_owned(), host }
    }

    /// Nodes that Kafka may know as controllers: formatted ones whose pods were made as such, or will be.
    fn started(&self) -> impl Iterator<Item = i32> {
        let mut registered = self.identity.quorum.registered.iter();
        let may_be_brokers =
            !self.desired.dedicated() || registered.any(|id| group(*id) == Group::Broker);
        let may_be = move |node: &&Node| node.is_controller() || may_be_brokers;
        let next = |node: &Node| is_controller_next(self.desired, self.observed, node.id);
        let now = |node: &Node| node.is_controller() && is_controller(self.observed, node.id);
        let formatted = |id: &i32| {
            let on_record = self.identity.disks_of(*id).next().is_some();
            on_record || !was_surely_never_started(self.observed, *id)
        };
        let started = self.nodes.iter().filter(may_be).filter(move |one| next(one) || now(one));
        started.map(|node| node.id).filter(formatted)
    }

    /// What has to be on record before anything is done: who may vote, who is ever known to Kafka as a
    /// controller, and by whom nodes find the quorum.
    fn record(&self, change: &Change) -> QuorumRecord {
        let mut record = self.identity.quorum.clone();
        record.registered.extend(self.started());
        let Some(kafka) = self.observed.kafka.known().filter(|kafka| kafka.leader.is_some()) else {
            return record;
        };
        let directories = kafka.voters.iter().map(|(id, voter)| (*id, voter.directory.clone()));
        record.members = directories.collect();
        record.bootstrap = bootstrap(self.desired, self.observed);
        match change {
            Change::Add(voter) => {
                record.members.insert(voter.id, voter.directory.clone());
            }
            Change::NewBootstrap(ids) => record.bootstrap.clone_from(ids),
            Change::Nothing | Change::Remove(_) | Change::Wait(_) => {}
        }
        record
    }
}

/// Whether a node's pod was made to be a controller.
pub(crate) fn is_controller(observed: &Observed, id: i32) -> bool {
    let pod = observed.pods.get(&id);
    let document = pod.and_then(|pod| config_map::mounted_document(observed, pod));
    document.is_some_and(|document| document.roles.contains(&Role::Controller))
}

/// Whether a node runs as a controller, or would in its next life.
pub(crate) fn may_run(desired: &Desired, observed: &Observed, id: i32) -> bool {
    let controls = |pod: &Pod| {
        let document = config_map::mounted_document(observed, pod);
        document.is_none_or(|one| one.roles.contains(&Role::Controller))
    };
    is_controller_next(desired, observed, id) || observed.pods.get(&id).is_some_and(controls)
}

/// Whether a node's next pod would be made to be a controller.
fn is_controller_next(desired: &Desired, observed: &Observed, id: i32) -> bool {
    let set = observed.child(Kind::StatefulSet, &desired.names.node(&of_id(id)));
    set.is_some_and(|set| stateful_set::is_controller(&set.live))
}

/// Whether a majority of the voters has caught up after one more of them or one less.
pub(crate) fn keeps_majority(
    observed: &Observed,
    kafka: &Kafka,
    more: Option<i32>,
    less: Option<i32>,
) -> bool {
    let stays = kafka.voters.iter().filter(|(id, _)| Some(**id) != less);
    let added = more.as_ref().and_then(|id| Some((id, follower(observed, kafka, *id)?)));
    // One that is about to stop had everything a moment ago.
    let stands = |id: &i32| observed.pods.get(id).is_some_and(|pod| !pod.terminating);
    let counts = |(id, voter): (&i32, &Voter)| voter.is_caught_up() && stands(id);
    let voters: Vec<bool> = stays.chain(added).map(counts).collect();
    let caught_up = voters.iter().filter(|caught_up| **caught_up).count();
    caught_up > voters.len() / 2
}

/// A node that follows the quorum without a vote, with the disk that it has by now.
pub(crate) fn follower<'a>(observed: &Observed, kafka: &'a Kafka, id: i32) -> Option<&'a Voter> {
    let directories = directories(observed, kafka, id)?;
    kafka.observers.get(&id)?.iter().find(|one| directories.contains(&one.directory))
}

/// Whether a voter's node runs with another disk than the one that votes, and nobody hears of that one.
pub(crate) fn has_lost_its_disk(observed: &Observed, kafka: &Kafka, id: i32) -> bool {
    let Some(voter) = kafka.voters.get(&id).filter(|voter| voter.is_silent()) else { return false };
    let directories = directories(observed, kafka, id);
    directories.is_some_and(|all| !all.is_empty() && !all.contains(&voter.directory))
}

/// The directories on a node's disks, where all of them are known to be its own.
fn directories(observed: &Observed, kafka: &Kafka, id: i32) -> Option<Vec<String>> {
    let disks = observed.agent(id).map(|agent| agent.disks.as_slice()).unwrap_or_default();
    let of_node = |meta: &'_ DiskMeta| match meta {
        DiskMeta::Present { cluster_id, node_id, directory_id }
            if *node_id == id && *cluster_id == kafka.cluster_id =>
        {
            directory_id.clone()
        }
        _ => None,
    };
    disks.iter().map(|disk| of_node(&disk.meta)).collect()
}

/// Whether whoever knows one list of controllers finds one that is alive as long as a majority of the
/// others is.
fn finds(known: &BTreeSet<i32>, voters: &BTreeSet<i32>) -> bool {
    known.intersection(voters).count() > voters.len() / 2
}

/// A node that would not find the voters that the spec asks for, if there is one.
pub(crate) fn lost(desired: &Desired, observed: &Observed, nodes: &[Node]) -> Option<i32> {
    let is_lost = |node: &&Node| {
        observed.pods.get(&node.id).is_some_and(|pod| !is_told_of_wished(desired, observed, pod))
    };
    nodes.iter().find(is_lost).map(|node| node.id)
}

/// Whether a pod finds the voters that the spec asks for.
pub(crate) fn is_told_of_wished(desired: &Desired, observed: &Observed, pod: &Pod) -> bool {
    config_map::mounted(observed, pod).is_some_and(|one| finds_wished(desired, one))
}

/// Whether a node with this configuration finds the voters that the spec asks for.
pub(crate) fn finds_wished(desired: &Desired, configuration: &Value) -> bool {
    let wished = wished(desired);
    let list = config_map::property(configuration, BOOTSTRAP).unwrap_or_default();
    let known = |id: &&i32| {
        let endpoint = desired.names.controller_endpoint(&of_id(**id));
        list.split(',').any(|one| one == endpoint)
    };
    finds(&wished.iter().filter(known).copied().collect(), &wished)
}

/// Whether a controller with a pod of its own has nothing to do any more.
pub(crate) fn has_left(desired: &Desired, observed: &Observed, id: i32) -> bool {
    let wished = wished(desired).contains(&id);
    !wished && !votes(observed, id) && !is_called_back(desired, observed, id)
}

/// Whether a node's Kafka never ran, as far as this very life of its pod goes. Silence proves nothing.
pub(crate) fn was_surely_never_started(observed: &Observed, id: i32) -> bool {
    match observed.agent(id) {
        Some(agent) => agent.state == AgentState::AwaitingFormat && agent.jvm.is_none(),
        None => observed.pods.get(&id).is_none_or(|pod| pod.address.is_none()),
    }
}

/// Whether what Kafka may know of a controller is on record, so that it can be called back.
pub(crate) fn can_be_called_back(observed: &Observed, id: i32) -> bool {
    let registered = |one: &Identity| one.quorum.registered.contains(&id);
    let on_record = |one: &Identity| one.disks_of(id).next().is_some();
    let identity = observed.identity.as_ref();
    identity.is_some_and(registered)
        || (was_surely_never_started(observed, id) && !identity.is_some_and(on_record))
}

/// The group of a node's id.
pub(crate) fn group(id: i32) -> Group {
    if id >= FIRST_CONTROLLER_ID { Group::Controller } else { Group::Broker }
}
