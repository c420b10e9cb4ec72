//! The way of one operator to the agents and to Kafka that the ground stands in for, with faults
//! of its own: a word to format is a write too.

use std::sync::Mutex;
use std::sync::PoisonError;

use futures::future::{BoxFuture, pending};
use ottla_crds::agent::{AgentStatus, FormatRequest};
use ottla_operator::reach::{AgentAddress, Credentials, Reach, ReachError, Ways};
use ottla_plan::Action;
use ottla_plan::explain::Behind;
use ottla_plan::observed::{Answer, Kafka, Traces};
use ottla_tests::fault::{Fault, Faults};

use super::ground::{Ground, Pod, agent_status, format, kafka};

/// One operator's way.
pub(crate) struct Agents {
    ground: Ground,
    namespace: String,
    faults: Faults,
    planned: Option<(usize, Fault)>,
    told: Mutex<usize>,
}

impl Agents {
    /// The way of the operator that `faults` may kill. The word to format with the planned number,
    /// counted from 1, meets the planned fault.
    pub(crate) fn new(
        ground: &Ground,
        namespace: &str,
        faults: &Faults,
        planned: Option<(usize, Fault)>,
    ) -> Self {
        Self {
            ground: ground.clone(),
            namespace: namespace.to_owned(),
            faults: faults.clone(),
            planned,
            told: Mutex::new(0),
        }
    }

    fn pod(&self, address: &str) -> Result<Pod, ReachError> {
        let place = self.ground.place(&self.namespace);
        let at = |pod: &&Pod| pod.started.as_ref().is_some_and(|(found, _)| found == address);
        place.pods.values().find(at).cloned().ok_or_else(|| silent(address))
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told += 1;
        self.planned.and_then(|(number, fault)| (number == *told).then_some(fault))
    }

    async fn tell(&self, address: &str, request: &FormatRequest) -> Result<(), ReachError> {
        let fault = self.next_fault();
        match fault {
            Some(Fault::DropRequest | Fault::Answer(_)) => return Err(silent(address)),
            Some(Fault::CrashBefore) => return self.die().await,
            Some(Fault::DropReply | Fault::CrashAfter) | None => {}
        }
        let pod = self.pod(address)?;
        let done = self.ground.with(&self.namespace, |place| format(place, &pod, request));
        match fault {
            Some(Fault::CrashAfter) => self.die().await,
            Some(_) => Err(silent(address)),
            None => done.map_err(|text| ReachError::Refused { text }),
        }
    }

    async fn die(&self) -> Result<(), ReachError> {
        self.faults.crash();
        pending().await
    }
}

fn silent(address: &str) -> ReachError {
    let source = std::io::Error::from(std::io::ErrorKind::ConnectionReset).into();
    ReachError::Connection { address: address.to_owned(), source }
}

impl Reach for Agents {
    fn status<'a>(
        &'a self,
        _credentials: &'a Credentials,
        agent: &'a AgentAddress,
    ) -> BoxFuture<'a, Result<AgentStatus, ReachError>> {
        Box::pin(async {
            let pod = self.pod(&agent.ip)?;
            let place = self.ground.place(&self.namespace);
            agent_status(&place, &pod).ok_or_else(|| silent(&agent.ip))
        })
    }

    fn format<'a>(
        &'a self,
        _credentials: &'a Credentials,
        agent: &'a AgentAddress,
        request: &'a FormatRequest,
    ) -> BoxFuture<'a, Result<(), ReachError>> {
        Box::pin(self.tell(&agent.ip, request))
    }

    fn kafka<'a>(
        &'a self,
        _credentials: &'a Credentials,
        _bootstrap: &'a [String],
        _traces: &'a Traces,
    ) -> BoxFuture<'a, Answer<Kafka>> {
        Box::pin(async { kafka(&self.ground.place(&self.namespace)) })
    }

    fn behind<'a>(
        &'a self,
        _credentials: &'a Credentials,
        _bootstrap: &'a [String],
        _kafka: &'a Kafka,
    ) -> BoxFuture<'a, Vec<Behind>> {
        Box::pin(async { Vec::new() })
    }

    fn change_kafka<'a>(
        &'a self,
        _credentials: &'a Credentials,
        _ways: &'a Ways,
        _action: &'a Action,
    ) -> BoxFuture<'a, Result<(), ReachError>> {
        Box::pin(async { Ok(()) })
    }
}
