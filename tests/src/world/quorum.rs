//! The metadata quorum of the model world: who votes, with which disk, and who is registered as a
//! controller; and the laws that hold while that changes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use ottla_plan::Desired;
use ottla_plan::action::{ChangeVoter, Target};
use ottla_plan::identity::{QUORUM, TRACES, VOTERS, first_voters};
use ottla_plan::names::ACCEPT_LOST_DISK_ANNOTATION;
use ottla_plan::node::FIRST_CONTROLLER_ID;
use ottla_plan::object::Kind;
use ottla_plan::observed::{QuorumRecord, Traces, Voter};

use super::World;
use super::nodes::{Disk, Pod};
use super::store::Refused;

/// Kafka's key for the controllers by which a node finds the quorum.
const BOOTSTRAP: &str = "controller.quorum.bootstrap.servers=";

impl World {
    /// The first voters are the quorum once a broker is there.
    pub(super) fn form_quorum(&mut self) {
        if self.quorum.is_empty() && !self.registered.is_empty() {
            let identity = self.store.get(Kind::ConfigMap, &self.names().identity());
            let voters = identity.and_then(|one| one.live["data"][VOTERS].as_str());
            self.quorum =
                voters.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        }
        let speaks =
            |(id, pod): (&i32, &Pod)| (pod.controller && !self.is_fenced(*id)).then_some(*id);
        let speak: Vec<i32> = self.pods.iter().filter_map(speaks).collect();
        self.controllers.extend(speak);
    }

    /// Nodes that vote in the metadata quorum, whether they have a pod or not.
    pub(super) fn voters(&self) -> Vec<i32> {
        self.quorum.keys().copied().collect()
    }

    /// The id of a node's metadata directory.
    fn directory_of(&self, id: i32) -> Option<String> {
        let claim = &self.pods.get(&id)?.metadata_claim;
        match self.disks.get(claim)? {
            Disk::Formatted { directory_id, .. } => Some(directory_id.clone()),
            Disk::Empty => None,
        }
    }

    /// Whether a voter is there, with the disk that votes.
    pub(super) fn is_voting(&self, id: i32) -> bool {
        let controls = self.pods.get(&id).is_some_and(|pod| pod.controller);
        controls && !self.is_fenced(id) && self.is_known_voter(id)
    }

    /// The active controller.
    pub(super) fn active_controller(&self) -> Option<i32> {
        self.voters().into_iter().find(|id| self.is_voting(*id))
    }

    /// Voters as the active controller sees them.
    pub(super) fn seen_voters(&self) -> BTreeMap<i32, Voter> {
        let seen = |(id, directory): (&i32, &String)| {
            let behind_milliseconds = self.is_voting(*id).then_some(0);
            (*id, Voter { directory: directory.clone(), behind_milliseconds })
        };
        self.quorum.iter().map(seen).collect()
    }

    /// Nodes that follow without a vote, and those whose vote was taken, as if they still did.
    pub(super) fn seen_observers(&self) -> BTreeMap<i32, Vec<Voter>> {
        let follows = |id: &&i32| !self.is_fenced(**id) && !self.is_voting(**id);
        let follow = self.pods.keys().filter(follows);
        let mut all: BTreeSet<(i32, String)> =
            follow.filter_map(|id| Some((*id, self.directory_of(*id)?))).collect();
        all.extend(self.former_voters.iter().cloned());
        let mut seen: BTreeMap<i32, Vec<Voter>> = BTreeMap::new();
        for (id, directory) in all {
            let voter = Voter { directory, behind_milliseconds: Some(0) };
            seen.entry(id).or_default().push(voter);
        }
        seen
    }

    /// Whether a majority of the voters is there without a node, or it has no vote to lose.
    pub(super) fn decides_without(&self, id: i32) -> bool {
        let others = self.voters().into_iter().filter(|other| *other != id);
        let voting = others.filter(|other| self.is_voting(*other)).count();
        !self.quorum.contains_key(&id) || voting > self.quorum.len() / 2
    }

    /// The disk of a controller with a pod of its own is lost and another put in its place, and a person says
    /// so; never of one without which no majority of the voters would be left. Whether there was one.
    ///
    /// # Errors
    /// Where the API server would refuse the word.
    pub fn lose_controller(&mut self, number: usize) -> Result<bool> {
        let voting = self.voters().into_iter().filter(|id| self.is_voting(*id));
        let dedicated: Vec<i32> = voting.filter(|id| *id >= FIRST_CONTROLLER_ID).collect();
        let Some(id) = dedicated.get(number % dedicated.len().max(1)).copied() else {
            return Ok(false);
        };
        if !self.decides_without(id) {
            return Ok(false);
        }
        let claims: Vec<String> = self.claims_of(id).map(|(name, _, _)| name.to_owned()).collect();
        self.forget_disruption(id);
        self.remove_pod(id);
        for claim in claims {
            self.disks.insert(claim.clone(), Disk::Empty);
            let uid =
                self.store.get(Kind::PersistentVolumeClaim, &claim).map(|one| one.uid.clone());
            let path = ["metadata", "annotations", ACCEPT_LOST_DISK_ANNOTATION];
            let word = uid.unwrap_or_default().into();
            self.change(Kind::PersistentVolumeClaim, &claim, &path, word)?;
        }
        self.yield_pods();
        Ok(true)
    }

    pub(super) fn record_quorum(
        &mut self,
        target: &Target,
        record: &QuorumRecord,
    ) -> Result<(), Refused> {
        self.note(target, QUORUM, record)
    }

    /// What is begun, as it is on record.
    pub(super) fn traces(&self) -> Traces {
        let identity = self.store.get(Kind::ConfigMap, &self.names().identity());
        let text = identity.and_then(|one| one.live["data"][TRACES].as_str());
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    pub(super) fn record_traces(
        &mut self,
        target: &Target,
        traces: &Traces,
    ) -> Result<(), Refused> {
        self.note(target, TRACES, traces)
    }

    /// Whether a StatefulSet is that of a controller which Kafka knows, and which neither votes nor is to.
    pub(super) fn is_of_former_controller(&self, set: &str) -> bool {
        let id = set.rsplit_once("-controller-").and_then(|(_, id)| id.parse().ok());
        id.is_some_and(|id: i32| {
            let is_wished = |desired: Desired| first_voters(&desired).contains(&id);
            let votes = self.quorum.contains_key(&id);
            self.controllers.contains(&id) && !votes && !self.desired().is_ok_and(is_wished)
        })
    }

    /// Whether Kafka can be told to (4.4-IV2).
    fn forgets_controllers(&self) -> bool {
        self.features.get("metadata.version").is_some_and(|level| *level >= 33)
    }

    /// S2: only of one that does not come back, because one that runs registers again.
    pub(super) fn unregister_controller(&mut self, id: i32) -> Result<(), Refused> {
        if !self.forgets_controllers() {
            return Err(Refused::Invalid("metadata.version".to_owned()));
        }
        if self.pods.get(&id).is_some_and(|pod| pod.controller) || self.quorum.contains_key(&id) {
            self.broken.get_or_insert(format!("S2: controller {id} is unregistered and runs"));
        }
        self.controllers.remove(&id);
        Ok(())
    }

    /// S3: what joins is there and has caught up, and a majority of all votes afterwards.
    pub(super) fn add_voter(&mut self, change: &ChangeVoter) -> Result<Result<(), Refused>> {
        let ChangeVoter { id, directory, .. } = change;
        if self.quorum.contains_key(id) || self.active_controller().is_none() {
            return Ok(Err(Refused::Invalid("voter".to_owned())));
        }
        let controls = self.pods.get(id).is_some_and(|pod| pod.controller);
        if !controls || self.is_fenced(*id) || self.directory_of(*id).as_ref() != Some(directory) {
            bail!("S3: controller {id} gets a vote and is not there with the disk {directory}");
        }
        self.quorum.insert(*id, directory.clone());
        self.former_voters.remove(&(*id, directory.clone()));
        if self.lost_votes.remove(id) {
            self.happened.insert("a lost vote given again");
        }
        self.hold_majority(&format!("controller {id} joined"))?;
        Ok(Ok(()))
    }

    /// S3: a majority of the others votes afterwards, and every node finds one of them.
    pub(super) fn remove_voter(&mut self, change: &ChangeVoter) -> Result<Result<(), Refused>> {
        let ChangeVoter { id, directory, .. } = change;
        if self.quorum.get(id) != Some(directory) || self.active_controller().is_none() {
            return Ok(Err(Refused::Invalid("voter".to_owned())));
        }
        if !self.is_voting(*id) {
            self.lost_votes.insert(*id);
        }
        self.quorum.remove(id);
        self.former_voters.insert((*id, directory.clone()));
        // Nobody misses it any more.
        if !self.registered.contains(id) {
            self.forget_disruption(*id);
        }
        self.hold_majority(&format!("controller {id} left"))?;
        match self.pods.keys().find(|node| !self.knows_voter(**node)) {
            Some(node) => bail!("S3: controller {id} left, and node {node} knows no voter"),
            None => Ok(Ok(())),
        }
    }

    fn hold_majority(&self, what: &str) -> Result<()> {
        let voters = self.voters();
        let voting = voters.iter().filter(|id| self.is_voting(**id)).count();
        if voting <= voters.len() / 2 {
            bail!("S3: {what}, and {voting} of {} voters are there", voters.len());
        }
        Ok(())
    }

    /// Whether a node finds the quorum when it starts: by its own vote, which it has on disk with the others', or
    /// by a voter that its configuration names and that is there.
    pub(super) fn finds_quorum(&self, id: i32) -> bool {
        self.is_known_voter(id) || self.names_any(id, |voter| self.is_voting(*voter))
    }

    /// … or would, if nobody had lost a disk or was away.
    fn knows_voter(&self, id: i32) -> bool {
        let voted =
            |voter: &i32| self.quorum.contains_key(voter) || self.lost_votes.contains(voter);
        self.is_known_voter(id) || self.names_any(id, voted)
    }

    fn is_known_voter(&self, id: i32) -> bool {
        let voter = self.quorum.get(&id);
        voter.is_some() && voter == self.directory_of(id).as_ref()
    }

    /// Whether the configuration of a node's pod names one of these.
    fn names_any(&self, id: i32, which: impl Fn(&i32) -> bool) -> bool {
        let configuration = self.pods.get(&id).map(|pod| pod.configuration.as_str());
        // Without its configuration a pod is not started at all.
        let map = configuration.and_then(|name| self.store.get(Kind::ConfigMap, name));
        let Some(map) = map else { return true };
        let text = map.live["data"]["server.properties"].as_str();
        let mut lines = text.unwrap_or_default().lines();
        let list = lines.find_map(|line| line.strip_prefix(BOOTSTRAP)).unwrap_or_default();
        let named = |id: &i32| list.contains(&format!("-{id}-0.")) && which(id);
        self.quorum.is_empty() || self.quorum.keys().chain(&self.lost_votes).any(named)
    }

    /// S3: a voter is started as a controller, and every node finds a voter when it starts.
    pub(super) fn hold_way(&mut self, id: i32) {
        let Some(pod) = self.pods.get(&id) else { return };
        if self.quorum.contains_key(&id) && !pod.controller {
            self.broken.get_or_insert(format!("S3: node {id} votes and starts without its role"));
        }
        if !self.knows_voter(id) {
            self.broken.get_or_insert(format!("S3: node {id} starts and knows no voter"));
        }
    }

    /// L1: those vote that the spec asks for, and only they are controllers, as far as Kafka can forget others.
    pub(super) fn hold_quorum_as_wished(&self) -> Result<()> {
        let Ok(desired) = self.desired() else { return Ok(()) };
        let wished: BTreeSet<i32> = first_voters(&desired).into_iter().collect();
        let voters: BTreeSet<i32> = self.voters().into_iter().collect();
        if let Some(node) = self.pods.keys().find(|node| !self.finds_quorum(**node)) {
            bail!("L1: at rest, and node {node} finds no voter");
        }
        let controllers = self.pods.iter().filter(|(_, pod)| pod.controller);
        let controllers: BTreeSet<i32> = controllers.map(|(id, _)| *id).collect();
        if voters != wished || controllers != wished {
            bail!("L1: at rest with the voters {voters:?} and the controllers {controllers:?}");
        }
        if self.forgets_controllers() && self.controllers != wished {
            bail!("L1: at rest, and Kafka knows the controllers {:?}", self.controllers);
        }
        Ok(())
    }
}
