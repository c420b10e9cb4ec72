//! Pods, agents, disks and Kafka in the model world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_crds::agent::{
    AgentState, AgentStatus, DiskMeta, DiskStatus, InSync, JvmStatus, QuorumRole,
};
use ottla_plan::names::{
    BROKER_LABEL, CONTROLLER_LABEL, NODE_LABEL, RESTART_ANNOTATION, VOLUME_LABEL,
};
use ottla_plan::object::Kind;
use ottla_plan::observed::{self, Answer, Kafka};
use ottla_plan::resources::pod::{TEMPLATE_ANNOTATION, WISH_ANNOTATION};
use ottla_plan::resources::stateful_set;
use serde_json::Value;

use super::upgrade::release_in;
use super::{Issued, World};

/// What is on a disk; nothing, or what `meta.properties` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    Empty,
    Formatted {
        cluster_id: String,
        node_id: i32,
        directory_id: String,
        /// Whether Kafka has made its metadata log there.
        metadata_log: bool,
    },
}

/// What a pod's agent does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// The pod has not been started: nobody could ask.
    Absent,
    /// It is asked, and does not answer.
    Silent(String),
    /// It answers.
    Speaks(AgentState, Option<String>),
}

/// A pod, as Kubernetes and its agent see it.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) seen: observed::Pod,
    pub(super) agent: Agent,
    pub(super) configuration: String,
    /// The claims that it mounts.
    pub(super) claims: BTreeSet<String>,
    /// That on which it has its metadata log.
    pub(super) metadata_claim: String,
    pub(super) broker: bool,
    pub(super) controller: bool,
    pub(super) version: String,
    /// When its Kafka was started.
    pub(super) started_at_seconds: i64,
    /// What its Kafka was started with.
    pub(super) certificate: Option<Issued>,
    /// Where everything takes its time: whether the active controller hears of its Kafka.
    pub(super) heard: bool,
    /// … and whether its replicas are in sync.
    pub(super) follows: bool,
}

/// What is special about Kafka's answers.
#[derive(Clone, Debug, Default)]
pub(super) struct KafkaMood {
    pub(super) silent: Option<String>,
    pub(super) cut_off: BTreeSet<i32>,
    pub(super) refused_keys: BTreeSet<String>,
}

impl World {
    /// Every StatefulSet has its pod, and no pod is without its StatefulSet.
    pub(super) fn yield_pods(&mut self) {
        let sets: BTreeMap<i32, (String, Arc<Value>)> = self
            .store
            .iter()
            .filter(|((kind, _), child)| *kind == Kind::StatefulSet && !child.terminating)
            .filter_map(|((_, name), child)| {
                Some((node_id(&child.live)?, (name.clone(), child.live.clone())))
            })
            .collect();
        let lost: Vec<i32> =
            self.pods.keys().filter(|id| !sets.contains_key(id)).copied().collect();
        lost.into_iter().for_each(|id| self.lose_pod(id));
        for (id, (name, live)) in sets {
            if !self.pods.contains_key(&id) {
                self.grow_disks_of(id);
                let pod = self.pod(&name, &live);
                *self.lives.entry(pod.name.clone()).or_default() += 1;
                self.pods.insert(id, pod);
            }
        }
    }

    fn pod(&mut self, set: &str, live: &Value) -> Pod {
        let metadata = &live["spec"]["template"]["metadata"];
        let annotation = |key: &str| metadata["annotations"][key].as_str().map(ToOwned::to_owned);
        let configuration = stateful_set::configuration(live).map(ToOwned::to_owned);
        let image = live["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
        let named = configuration.as_ref().and_then(|name| self.release_of(name));
        let named = image.and_then(release_in).or(named);
        let version = named.unwrap_or_else(|| self.cluster.spec.version.clone());
        let document = configuration.as_ref().and_then(|name| self.document(name));
        let metadata_volume = document.map(|document| document.metadata_volume);
        Pod {
            name: format!("{set}-0"),
            seen: observed::Pod {
                uid: format!("uid-{}", self.store.number()),
                resource_version: self.store.number().to_string(),
                address: None,
                ready: false,
                terminating: false,
                template: annotation(TEMPLATE_ANNOTATION),
                wish: annotation(WISH_ANNOTATION),
                restart: annotation(RESTART_ANNOTATION),
                configuration: configuration.clone(),
                image: image.map(ToOwned::to_owned),
                unscheduled_since_seconds: None,
                created_at_seconds: Some(self.now.as_second()),
                stuck: None,
                restarts: 0,
            },
            agent: Agent::Absent,
            configuration: configuration.unwrap_or_default(),
            claims: claims_in(&live["spec"]["template"]),
            metadata_claim: format!("{set}-{}", metadata_volume.unwrap_or_default()),
            broker: !metadata["labels"][BROKER_LABEL].is_null(),
            controller: !metadata["labels"][CONTROLLER_LABEL].is_null(),
            version,
            started_at_seconds: self.now.as_second(),
            certificate: None,
            heard: false,
            follows: false,
        }
    }

    /// A pod ends, and claims that waited for that go with it.
    pub(super) fn remove_pod(&mut self, id: i32) {
        self.pods.remove(&id);
        self.follow_brokers();
        let terminating: Vec<String> = self
            .claims_of(id)
            .filter(|(_, _, terminating)| *terminating)
            .map(|(name, _, _)| name.to_owned())
            .collect();
        for name in terminating {
            self.store.remove(Kind::PersistentVolumeClaim, &name);
            self.forget_disk(&name);
        }
    }

    /// A node's claims: name, volume, and whether it is being deleted.
    pub(super) fn claims_of(&self, id: i32) -> impl Iterator<Item = (&str, &str, bool)> {
        let cluster = self.names().cluster;
        let prefixes = ["broker", "controller"].map(|group| format!("{cluster}-{group}-{id}-"));
        let claims = prefixes
            .into_iter()
            .flat_map(|prefix| self.store.named_like(Kind::PersistentVolumeClaim, prefix));
        claims.filter_map(|(name, child)| {
            Some((
                name,
                child.live["metadata"]["labels"][VOLUME_LABEL].as_str()?,
                child.terminating,
            ))
        })
    }

    /// Those of them that its pod mounts.
    pub(super) fn mounted(&self, id: i32) -> impl Iterator<Item = (&str, &str, bool)> {
        let pod = self.pods.get(&id);
        self.claims_of(id)
            .filter(move |(name, _, _)| pod.is_none_or(|pod| pod.claims.contains(*name)))
    }

    /// What an agent says that has just been started.
    pub(super) fn first_word(&self, id: i32) -> Agent {
        let cluster_id = self.cluster_id();
        let mut awaits = false;
        for (name, volume, _) in self.mounted(id) {
            match self.disks.get(name) {
                Some(Disk::Formatted { cluster_id: found, node_id, .. })
                    if *node_id != id || Some(found) != cluster_id.as_ref() =>
                {
                    let reason =
                        format!("volume {volume} belongs to node {node_id} of the cluster {found}");
                    return Agent::Speaks(AgentState::Refused, Some(reason));
                }
                Some(Disk::Formatted { .. }) if self.is_full(name) => {
                    let reason = format!("volume {volume} is full: 0 MiB are free");
                    return Agent::Speaks(AgentState::Refused, Some(reason));
                }
                Some(Disk::Formatted { .. }) => {}
                _ => awaits = true,
            }
        }
        let metadata = self.pods.get(&id).map(|pod| pod.metadata_claim.clone());
        let metadata = metadata.unwrap_or_default();
        let mut holders = self.mounted(id).filter(|one| self.holds_metadata_log(one.0));
        let elsewhere = holders.find(|one| one.0 != metadata);
        if let Some((_, volume, _)) = elsewhere.filter(|_| !self.holds_metadata_log(&metadata)) {
            let reason = format!("volume {volume} holds a metadata log");
            return Agent::Speaks(AgentState::Refused, Some(reason));
        }
        if awaits {
            return Agent::Speaks(AgentState::AwaitingFormat, None);
        }
        Agent::Speaks(AgentState::Starting, None)
    }

    fn holds_metadata_log(&self, claim: &str) -> bool {
        matches!(self.disks.get(claim), Some(Disk::Formatted { metadata_log: true, .. }))
    }

    /// Kafka starts, and makes a metadata log where it is told to, if none is there. Others are set aside.
    pub(super) fn make_metadata_log(&mut self, id: i32) {
        let claim = self.pods.get(&id).map(|pod| pod.metadata_claim.clone());
        let claims: Vec<String> = self.mounted(id).map(|(name, _, _)| name.to_owned()).collect();
        for name in claims {
            if let Some(Disk::Formatted { metadata_log, .. }) = self.disks.get_mut(&name) {
                *metadata_log = Some(&name) == claim.as_ref();
            }
        }
    }

    /// The cluster id that node documents carry.
    pub(super) fn cluster_id(&self) -> Option<String> {
        let identity = self.store.get(Kind::ConfigMap, &self.names().identity())?;
        identity.live.pointer("/data/clusterId")?.as_str().map(ToOwned::to_owned)
    }

    pub(super) fn agent_status(
        &self,
        id: i32,
        pod: &Pod,
        state: AgentState,
        reason: &Option<String>,
    ) -> AgentStatus {
        let said = || reason.clone().unwrap_or_default();
        // As it found them when it refused them.
        let was_full = |name: &str| state == AgentState::Refused && self.has_been_full(name);
        let disks = self.mounted(id);
        let disks = disks.map(|(name, volume, _)| self.disk(name, volume, was_full(name)));
        AgentStatus {
            agent_version: "0.1.0".to_owned(),
            node_id: id,
            kafka_version: pod.version.clone(),
            config_hash: pod.configuration.rsplit('-').next().unwrap_or_default().to_owned(),
            state,
            reason: reason.clone(),
            disks: disks.collect(),
            jvm: has_jvm(state).then(|| self.jvm(id, pod)),
            in_sync: match state {
                AgentState::Running => InSync::Yes,
                AgentState::CatchingUp => InSync::No { waiting_on: said() },
                _ => InSync::Unknown { reason: said() },
            },
        }
    }

    fn jvm(&self, id: i32, pod: &Pod) -> JvmStatus {
        let role = match self.active_controller() {
            Some(active) if active == id => QuorumRole::Leader,
            Some(_) if !self.quorum.contains_key(&id) => QuorumRole::Observer,
            _ => QuorumRole::Voter,
        };
        let certificate = pod.certificate.as_ref().map(|issued| &issued.certificate);
        JvmStatus {
            started_at_seconds: pod.started_at_seconds,
            certificate_serial: certificate.map(|one| one.serial.clone()).unwrap_or_default(),
            certificate_expires_at_seconds: certificate.map(|one| one.expires_at_seconds),
            authority_serials: certificate
                .map(|one| one.authorities.iter().cloned().collect())
                .unwrap_or_default(),
            logs_to_recover: 0,
            offline_volumes: self.offline(id),
            quorum_role: pod.controller.then_some(role),
        }
    }

    fn disk(&self, claim: &str, volume: &str, is_full: bool) -> DiskStatus {
        let meta = match self.disks.get(claim) {
            Some(Disk::Formatted { cluster_id, node_id, directory_id, .. }) => DiskMeta::Present {
                cluster_id: cluster_id.clone(),
                node_id: *node_id,
                directory_id: Some(directory_id.clone()),
            },
            _ => DiskMeta::Absent,
        };
        DiskStatus {
            volume: volume.to_owned(),
            mounted: true,
            meta,
            holds_metadata_log: self.holds_metadata_log(claim),
            formatted_by: None,
            total_bytes: 1 << 30,
            available_bytes: if is_full { 0 } else { 1 << 29 },
        }
    }

    /// What Kafka says, if any broker is there to say it.
    pub(super) fn kafka_answer(&self) -> Answer<Kafka> {
        let unknown = |reason: &str| Answer::Unknown { reason: reason.to_owned() };
        if let Some(reason) = &self.kafka.silent {
            return unknown(reason);
        }
        if !self.pods.iter().any(|(id, pod)| pod.broker && !self.is_fenced(*id)) {
            return unknown("no broker is Ready");
        }
        let voting = self.quorum.keys().filter(|id| self.is_voting(**id)).count();
        if voting <= self.quorum.len() / 2 {
            return unknown("the metadata quorum has no leader");
        }
        Answer::Known(Kafka {
            cluster_id: self.cluster_id().unwrap_or_default(),
            brokers: self.registered.iter().map(|id| (*id, self.is_fenced(*id))).collect(),
            leader: self.active_controller(),
            voters: self.seen_voters(),
            observers: self.seen_observers(),
            partitions: self.stale.clone().unwrap_or_else(|| self.partitions()),
            features: self.features.clone(),
            dynamic_config: self.dynamic_config.clone(),
            reassignments: self.reassignments(),
            throttled: self.throttled(),
            leavers: self.leavers(),
            folders: self.folders(),
        })
    }

    /// Whether the active controller does not hear from a node.
    pub(super) fn is_fenced(&self, id: i32) -> bool {
        let heard = self.pods.get(&id).is_some_and(|pod| match self.gradual {
            Some(_) => pod.heard,
            None => pod.seen.ready && !pod.seen.terminating,
        });
        !heard || self.kafka.cut_off.contains(&id)
    }

    /// Whether the replicas of a broker that is heard of are in sync, but for those held back.
    pub(super) fn follows(&self, id: i32) -> bool {
        self.gradual.is_none() || self.pods.get(&id).is_some_and(|pod| pod.follows)
    }
}

pub(super) fn has_jvm(state: AgentState) -> bool {
    !matches!(state, AgentState::AwaitingFormat | AgentState::Refused | AgentState::Formatting)
}

fn node_id(live: &Value) -> Option<i32> {
    live.get("metadata")?.get("labels")?.get(NODE_LABEL)?.as_str()?.parse().ok()
}

/// The claims that a pod made from this template mounts.
pub(super) fn claims_in(template: &Value) -> BTreeSet<String> {
    let volumes = template["spec"]["volumes"].as_array().into_iter().flatten();
    let claims = volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
    claims.map(ToOwned::to_owned).collect()
}
