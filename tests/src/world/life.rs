//! What happens in the model world without the operator: pods start, nodes run, people and
//! accidents change things.

use anyhow::{Context, Result, bail};
use ottla_crds::agent::AgentState;
use ottla_plan::names::CLUSTER_LABEL;
use ottla_plan::object::{Kind, Object};
use serde_json::{Value, json};

use super::nodes::{Disk, has_jvm};
use super::{Agent, Issued, World};

impl World {
    /// The kubelets start every pod whose claims are there; agents look at their disks, and those that refused
    /// them look again.
    pub fn start_pods(&mut self) {
        let ids: Vec<i32> = self.pods.keys().copied().collect();
        ids.into_iter().for_each(|id| self.start_pod(id));
    }

    pub(super) fn start_pod(&mut self, id: i32) {
        let agent = self.word_on_image(id).unwrap_or_else(|| self.first_word(id));
        let starts = matches!(agent, Agent::Speaks(AgentState::Starting, _));
        let claims = self.mounted(id).count();
        let certificate = self.certificate_of(id);
        let now = self.now.as_second();
        let Some(pod) = self.pods.get_mut(&id) else { return };
        let refuses = matches!(pod.agent, Agent::Speaks(AgentState::Refused, _));
        let waits = pod.seen.address.is_none() || refuses;
        if waits && pod.seen.stuck.is_none() && claims == pod.claims.len() {
            pod.seen.address = Some(format!("10.0.0.{}", id % 250 + 1));
            pod.agent = agent;
            pod.certificate = certificate;
            pod.started_at_seconds = now;
            if starts {
                self.make_metadata_log(id);
            }
            if claims == 0 {
                self.broken.get_or_insert(format!("S1: node {id} is started without any disk"));
            }
            self.hold_release(id);
            self.hold_way(id);
            self.hold_disks(id);
            if let Err(law) = self.hold_trust() {
                self.broken.get_or_insert(format!("{law:#}"));
            }
        }
    }

    /// The certificate that a node's Kafka would be started with.
    fn certificate_of(&self, id: i32) -> Option<Issued> {
        let set = self.pods.get(&id)?.name.strip_suffix("-0")?.to_owned();
        let secret = self.store.get(Kind::Secret, &set)?;
        self.certificates.get(&secret.uid).cloned()
    }

    /// Brings the cluster up, until it runs and is at rest.
    ///
    /// # Errors
    /// A broken law.
    pub fn bring_up(&mut self) -> Result<()> {
        for _ in 0..4 {
            while self.pass()?.changed_something() {}
            self.start_pods();
            self.pass()?;
            self.run_nodes();
        }
        while self.pass()?.changed_something() {}
        self.at_rest(&[])
    }

    /// Every node whose Kafka was started serves and is in sync.
    pub fn run_nodes(&mut self) {
        for (id, pod) in &mut self.pods {
            let Agent::Speaks(state, _) = &pod.agent else { continue };
            if has_jvm(*state) {
                pod.agent = Agent::Speaks(AgentState::Running, None);
                pod.seen.ready = true;
                if pod.broker {
                    self.registered.insert(*id);
                }
            }
        }
        self.activate();
        self.make_topic();
        self.follow_brokers();
        while self.copy() {}
    }

    /// An agent does or says something else; its node is Ready only when it runs.
    ///
    /// # Errors
    /// Where the node has no pod.
    pub fn set_agent(&mut self, id: i32, agent: Agent) -> Result<()> {
        let pod = self.pods.get_mut(&id).with_context(|| format!("node {id} has no pod"))?;
        match &agent {
            Agent::Speaks(state, _) => pod.seen.ready = *state == AgentState::Running,
            Agent::Absent => pod.seen.ready = false,
            Agent::Silent(_) => {}
        }
        pod.agent = agent;
        self.follow_brokers();
        Ok(())
    }

    /// A pod cannot start, in Kubernetes' words.
    ///
    /// # Errors
    /// Where the node has no pod.
    pub fn stick_pod(&mut self, id: i32, reason: &str) -> Result<()> {
        let pod = self.pods.get_mut(&id).with_context(|| format!("node {id} has no pod"))?;
        pod.seen.restarts += i32::from(reason.starts_with("CrashLoopBackOff"));
        let has_no_place = reason.starts_with("cannot be scheduled");
        pod.seen.unscheduled_since_seconds = has_no_place.then(|| self.now.as_second());
        pod.seen.stuck = Some(reason.to_owned());
        pod.seen.ready = false;
        self.follow_brokers();
        Ok(())
    }

    /// Kafka does not answer any more, or again.
    pub fn silence_kafka(&mut self, reason: Option<&str>) {
        self.kafka.silent = reason.map(ToOwned::to_owned);
    }

    /// The active controller hears nothing of a node that runs, or hears of it again.
    pub fn cut_off(&mut self, id: i32, cut_off: bool) {
        if cut_off {
            self.kafka.cut_off.insert(id);
        } else {
            self.kafka.cut_off.remove(&id);
        }
        self.follow_brokers();
    }

    /// Somebody deletes a pod; its StatefulSet makes a new one.
    ///
    /// # Errors
    /// Where there is no such pod.
    pub fn delete_pod(&mut self, name: &str) -> Result<()> {
        let id = self.pods.iter().find(|(_, pod)| pod.name == name).map(|(id, _)| *id);
        self.remove_pod(id.with_context(|| format!("there is no pod {name}"))?);
        self.yield_pods();
        Ok(())
    }

    /// Somebody deletes an object. A claim in use stays until its pod is gone.
    ///
    /// # Errors
    /// Where there is no such object.
    pub fn delete(&mut self, kind: Kind, name: &str) -> Result<()> {
        if self.store.get(kind, name).is_none() {
            bail!("there is no {} {name}", kind.word());
        }
        let used = self.pods.keys().any(|id| self.claims_of(*id).any(|claim| claim.0 == name));
        if kind == Kind::PersistentVolumeClaim && used {
            self.store.terminate(kind, name);
        } else {
            self.store.remove(kind, name);
            if kind == Kind::PersistentVolumeClaim {
                self.forget_disk(name);
            }
        }
        self.yield_pods();
        Ok(())
    }

    /// Somebody deletes the KafkaCluster and creates it again: what it owns is gone, and what has
    /// no owner is left.
    pub fn recreate(&mut self) {
        let owned: Vec<(Kind, String)> = self
            .store
            .iter()
            .filter(|(_, child)| !child.live["metadata"]["ownerReferences"].is_null())
            .map(|(key, _)| key.clone())
            .collect();
        owned.iter().for_each(|(kind, name)| self.store.remove(*kind, name));
        self.yield_pods();
        self.cluster.metadata.uid = Some(format!("uid-{}", self.store.number()));
        self.cluster.metadata.generation = Some(1);
        self.cluster.status = None;
    }

    /// Somebody changes a field of an object.
    ///
    /// # Errors
    /// Where the API server would refuse it.
    pub fn change(&mut self, kind: Kind, name: &str, path: &[&str], value: Value) -> Result<()> {
        self.store
            .write(kind, name, path, value)
            .map_err(|refused| anyhow::anyhow!("{} {name}: {refused}", kind.word()))?;
        if kind == Kind::PersistentVolumeClaim {
            self.claim_changed();
        }
        Ok(())
    }

    /// Somebody else makes an object of a name that the cluster wants.
    ///
    /// # Errors
    /// Where the name is taken.
    pub fn add_stranger(&mut self, kind: Kind, name: &str) -> Result<()> {
        let tree = json!({ "metadata": { "name": name, "labels": { "app": "theirs" } } });
        let object = Object::new(kind, name.to_owned(), tree.clone());
        let added = self.store.create(&object, tree, self.now.as_second());
        added.map_err(|refused| anyhow::anyhow!("{} {name}: {refused}", kind.word()))
    }

    /// A disk is found empty; Kafka had nowhere to live, so that its pod was started again.
    ///
    /// # Errors
    /// Where there is no such claim.
    pub fn empty_disk(&mut self, claim: &str) -> Result<()> {
        let disk = self.disks.get_mut(claim).with_context(|| format!("no claim {claim}"))?;
        *disk = Disk::Empty;
        self.restart_node_of(claim);
        Ok(())
    }

    /// The disks of two claims are swapped, and their pods started again.
    ///
    /// # Errors
    /// Where there is no such claim.
    pub fn swap_disks(&mut self, one: &str, other: &str) -> Result<()> {
        let (Some(a), Some(b)) = (self.disks.get(one).cloned(), self.disks.get(other).cloned())
        else {
            bail!("no claim {one} or no claim {other}");
        };
        self.disks.insert(one.to_owned(), b);
        self.disks.insert(other.to_owned(), a);
        self.restart_node_of(one);
        self.restart_node_of(other);
        Ok(())
    }

    fn restart_node_of(&mut self, claim: &str) {
        let ids: Vec<i32> = self.pods.keys().copied().collect();
        for id in ids {
            if self.claims_of(id).any(|found| found.0 == claim) {
                self.remove_pod(id);
            }
        }
        self.yield_pods();
    }

    /// Pods by name, each with its UID, which shows whether it is still the same.
    pub fn pods(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.pods.values().map(|pod| (pod.name.as_str(), pod.seen.uid.as_str(), pod.seen.ready))
    }

    /// Node ids that have pods.
    #[must_use]
    pub fn pod_ids(&self) -> Vec<i32> {
        self.pods.keys().copied().collect()
    }

    /// Claims that have disks.
    #[must_use]
    pub fn disk_names(&self) -> Vec<String> {
        self.disks.keys().cloned().collect()
    }

    /// Somebody takes the cluster's label off an object.
    ///
    /// # Errors
    /// Where there is no such object.
    pub fn strip_label(&mut self, kind: Kind, name: &str) -> Result<()> {
        self.change(kind, name, &["metadata", "labels", CLUSTER_LABEL], Value::Null)
    }
}
