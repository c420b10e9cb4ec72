//! The agent's state as the operator and the probes see it. Pure.

use ottla_crds::agent::{AgentState, AgentStatus, InSync, JvmStatus};

use super::{Jvm, Phase, State};
use crate::role::Roles;
use crate::sentence::count;

impl State {
    /// The document of `GET /status`.
    pub(crate) fn status(&self) -> AgentStatus {
        let (state, reason) = self.state_and_reason();
        AgentStatus {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            node_id: self.node.node_id,
            kafka_version: self.image_release.as_ref().unwrap_or(&self.node.kafka_version).clone(),
            config_hash: self.node.config_hash.clone(),
            state,
            reason,
            disks: self.disks.iter().map(crate::disks::Disk::status).collect(),
            jvm: self.jvm().map(Jvm::status),
            in_sync: self.in_sync(),
        }
    }

    /// Whether the pod is ready: in sync since this start of the JVM, and not stopping.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(&self.phase, Phase::Up(jvm) if jvm.seen_in_sync)
    }

    fn jvm(&self) -> Option<&Jvm> {
        match &self.phase {
            Phase::Up(jvm) | Phase::Stopping { jvm: Some(jvm), .. } => Some(jvm),
            _ => None,
        }
    }

    fn in_sync(&self) -> InSync {
        match self.jvm() {
            Some(jvm) if jvm.seen_in_sync => InSync::Yes,
            Some(jvm) => jvm.view.in_sync.clone(),
            None => InSync::Unknown { reason: "the JVM does not run".to_owned() },
        }
    }

    fn state_and_reason(&self) -> (AgentState, Option<String>) {
        match &self.phase {
            Phase::Looking => {
                (AgentState::Starting, Some("the disks are being looked at".to_owned()))
            }
            Phase::Refused { reason } => (AgentState::Refused, Some(reason.clone())),
            Phase::AwaitingFormat { reason, .. } => (AgentState::AwaitingFormat, {
                let failure = self.format_failure.as_ref();
                Some(failure.map_or_else(
                    || reason.clone(),
                    |failure| format!("{reason}; the last format failed: {failure}"),
                ))
            }),
            Phase::Formatting { request } => {
                (AgentState::Formatting, Some(format!("volumes {}", request.volumes.join(", "))))
            }
            Phase::Up(jvm) => jvm.state_and_reason(),
            Phase::Stopping { jvm, killed } => {
                let what = match (jvm, killed) {
                    (_, true) => "it did not stop in time and was killed",
                    (None, false) => "a format comes to its end first",
                    (Some(_), false) if Roles::of(&self.node).broker => {
                        "leaders move to other brokers and logs are closed"
                    }
                    (Some(_), false) => "the controller stops after the brokers that are stopping",
                };
                (AgentState::Stopping, Some(what.to_owned()))
            }
            Phase::Ended => (AgentState::Stopping, Some("the node has ended".to_owned())),
        }
    }
}

impl Jvm {
    fn status(&self) -> JvmStatus {
        JvmStatus {
            started_at_seconds: self.started_at_seconds,
            certificate_serial: self.certificate.serial.clone(),
            certificate_expires_at_seconds: self.certificate.expires_at_seconds,
            authority_serials: self.certificate.authorities.clone(),
            logs_to_recover: self.view.logs_to_recover,
            offline_volumes: self.view.offline_volumes.clone(),
            quorum_role: self.view.quorum_role,
        }
    }

    fn state_and_reason(&self) -> (AgentState, Option<String>) {
        let offline = &self.view.offline_volumes;
        let offline = (!offline.is_empty())
            .then(|| format!("Kafka took volume {} offline", offline.join(", ")));
        if self.seen_in_sync {
            return (AgentState::Running, offline);
        }
        let waits = match &self.view.in_sync {
            InSync::Yes => None,
            InSync::No { waiting_on } => Some(waiting_on.clone()),
            InSync::Unknown { reason } => Some(reason.clone()),
        };
        let state = match (self.view.serving, self.view.logs_to_recover) {
            (true, _) => AgentState::CatchingUp,
            (false, 0) => AgentState::Starting,
            (false, left) => {
                let logs = format!("{} left to recover", count(left as usize, "log"));
                return (AgentState::Recovering, joined([Some(logs), offline]));
            }
        };
        (state, joined([waits, offline]))
    }
}

/// The sentences that there are, joined.
fn joined(sentences: [Option<String>; 2]) -> Option<String> {
    let sentences: Vec<String> = sentences.into_iter().flatten().collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}
