//! Formatting in the model world, and the law S5.

use anyhow::{Result, bail};
use ottla_crds::agent::{AgentState, DiskMeta, FormatMode};
use ottla_plan::action::Format;
use ottla_plan::names::ACCEPT_LOST_DISK_ANNOTATION;
use ottla_plan::node::FIRST_CONTROLLER_ID;
use ottla_plan::object::Kind;
use ottla_plan::observed::disk_key;

use super::nodes::Disk;
use super::{Agent, World};

impl World {
    /// The agent formats the volumes that it is permitted and that are empty, and starts Kafka.
    pub(super) fn format(&mut self, format: &Format) -> Result<()> {
        let request = &format.request;
        let claims: Vec<(String, String)> = self
            .mounted(format.node_id)
            .map(|(name, volume, _)| (name.to_owned(), volume.to_owned()))
            .collect();
        let metadata = self.pods.get(&format.node_id).map(|pod| pod.metadata_claim.clone());
        for (claim, volume) in claims {
            if self.disks.get(&claim) != Some(&Disk::Empty) {
                continue;
            }
            if !request.volumes.contains(&volume) {
                bail!("node {} may not format volume {volume}, which is empty", format.node_id);
            }
            self.hold_s5(format.node_id, &claim, &volume)?;
            self.hold_first(format.node_id, &request.mode)?;
            let directory_id = match &request.mode {
                FormatMode::InitialControllers(_) if metadata.as_ref() == Some(&claim) => {
                    format!("directory-of-{}", format.node_id)
                }
                _ => format!("directory-{}", self.store.number()),
            };
            let uid =
                self.store.get(Kind::PersistentVolumeClaim, &claim).map(|one| one.uid.clone());
            self.formatted.insert(disk_key(format.node_id, &volume), uid.unwrap_or_default());
            let (cluster_id, node_id) = (request.cluster_id.clone(), request.node_id);
            let disk = Disk::Formatted { cluster_id, node_id, directory_id, metadata_log: false };
            self.disks.insert(claim, disk);
        }
        let now = self.now.as_second();
        if let Some(pod) = self.pods.get_mut(&format.node_id) {
            pod.agent = Agent::Speaks(AgentState::Starting, None);
            pod.started_at_seconds = now;
        }
        self.make_metadata_log(format.node_id);
        self.hold_release(format.node_id);
        Ok(())
    }

    /// Notes which disks a pass sees formatted: a memory that no plan has.
    pub(super) fn remember(&mut self) {
        for (id, answer) in self.agents() {
            let disks = answer.known().map(|agent| agent.disks.clone()).unwrap_or_default();
            let formatted =
                disks.iter().filter(|disk| matches!(disk.meta, DiskMeta::Present { .. }));
            self.seen.extend(formatted.map(|disk| disk_key(id, &disk.volume)));
        }
    }

    /// S5: once the quorum is there, its first list is only for those who still wait for it.
    fn hold_first(&self, id: i32, mode: &FormatMode) -> Result<()> {
        let first = format!("directory-of-{id}");
        let as_first = matches!(mode, FormatMode::InitialControllers(_));
        if as_first && !self.quorum.is_empty() && self.quorum.get(&id) != Some(&first) {
            bail!("S5: node {id} is formatted as one of the first voters");
        }
        Ok(())
    }

    /// The law itself, known from history.
    fn hold_s5(&mut self, node_id: i32, claim: &str, volume: &str) -> Result<()> {
        let found = self.store.get(Kind::PersistentVolumeClaim, claim);
        let declared = found.is_some_and(|found| {
            found.live["metadata"]["annotations"][ACCEPT_LOST_DISK_ANNOTATION] == *found.uid
        });
        let key = disk_key(node_id, volume);
        let another = self.formatted.get(&key).zip(found).is_some_and(|(uid, one)| *uid != one.uid);
        let again = another || self.seen.contains(&key);
        if again && !declared {
            bail!("S5: claim {claim} was formatted before, and nobody declared its loss");
        }
        if again {
            self.happened.insert(match node_id >= FIRST_CONTROLLER_ID {
                true => "a controller's disk formatted again",
                false => "a broker's disk formatted again",
            });
        }
        Ok(())
    }
}
