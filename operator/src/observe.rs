//! All reads of a pass, side by side. It judges nothing, and what could not be asked stays
//! unknown.

use std::collections::BTreeMap;

use futures::future::{join, join_all};
use kube::{Client, ResourceExt};
use ottla_crds::KafkaCluster;
use ottla_crds::agent::AgentStatus;
use ottla_plan::names::Names;
use ottla_plan::observed::{Answer, Observed, Pod, Traces};

use crate::reach::{AgentAddress, Credentials, Reach, Ways};
use crate::telemetry::error_chain;

pub mod facts;
pub mod kubernetes;
pub mod secret;

/// What a pass knows, and with what it reaches nodes.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What the planner may know.
    pub observed: Observed,
    /// How the cluster's nodes are reached.
    pub ways: Ways,
}

/// Why a pass knows too little to go on.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The API server did not answer a list.
    #[error("{what} of the cluster could not be listed")]
    List {
        /// What was listed.
        what: &'static str,
        /// Why not.
        #[source]
        source: kube::Error,
    },
}

/// Reads everything about one cluster, afresh.
///
/// # Errors
/// When the API server does not answer: a part of the world is never taken for the whole.
pub async fn observe(
    client: &Client,
    reach: &dyn Reach,
    cluster: &KafkaCluster,
) -> Result<Observation, ObserveError> {
    let names =
        Names { cluster: cluster.name_any(), namespace: cluster.namespace().unwrap_or_default() };
    let found = kubernetes::list(client, &names).await?;
    let secrets = secret::read(&names, &found.secrets);
    let (identity, identity_problem) = facts::identity(&names, &found.children);
    let pods = facts::pods(&found.pods);
    let status = cluster.status.clone().unwrap_or_default();
    let bootstrap = facts::bootstrap(&names, &found.pods);
    let controllers = facts::controllers(&names, &found.pods);
    let (agents, kafka) = match &secrets.credentials {
        Some(credentials) => {
            let traces = identity.as_ref().map(|one| one.traces.clone()).unwrap_or_default();
            nodes(reach, &names, credentials, &found, &pods, &bootstrap, &traces).await
        }
        None => (BTreeMap::new(), unasked("the operator has no certificate for this cluster yet")),
    };
    let observed = Observed {
        owner: status.operator,
        memory: status.memory,
        recorded_cluster_id: status.cluster_id,
        recorded_features: status.version.unwrap_or_default().features,
        deleting: cluster.metadata.deletion_timestamp.is_some(),
        claims: facts::claims(&found.children),
        children: found.children,
        identity,
        identity_problem,
        authority: secrets.authority,
        certificates: secrets.certificates,
        pods,
        agents,
        kafka,
    };
    let ways = Ways { credentials: secrets.credentials, bootstrap, controllers };
    Ok(Observation { observed, ways })
}

fn unasked<T>(reason: &str) -> Answer<T> {
    Answer::Unknown { reason: reason.to_owned() }
}

type Agents = BTreeMap<i32, Answer<AgentStatus>>;

async fn nodes(
    reach: &dyn Reach,
    names: &Names,
    credentials: &Credentials,
    found: &kubernetes::Found,
    pods: &BTreeMap<i32, Pod>,
    bootstrap: &[String],
    traces: &Traces,
) -> (Agents, Answer<ottla_plan::observed::Kafka>) {
    let hosts = facts::hosts(names, &found.pods);
    let asked = pods.iter().filter_map(|(id, pod)| {
        let agent = AgentAddress { ip: pod.address.clone()?, host: hosts.get(id)?.clone() };
        Some(async move { (*id, status(reach, credentials, &agent).await) })
    });
    let kafka = async {
        if bootstrap.is_empty() {
            return unasked("no broker is Ready");
        }
        reach.kafka(credentials, bootstrap, traces).await
    };
    let (agents, kafka) = join(join_all(asked), kafka).await;
    (agents.into_iter().collect(), kafka)
}

async fn status(
    reach: &dyn Reach,
    credentials: &Credentials,
    agent: &AgentAddress,
) -> Answer<AgentStatus> {
    match reach.status(credentials, agent).await {
        Ok(status) => Answer::Known(status),
        Err(error) => Answer::Unknown { reason: error_chain(&error) },
    }
}
