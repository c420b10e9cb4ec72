//! Explains one cluster: the same reads, the same plan, and nothing written.

use jiff::Timestamp;
use kube::{Api, Client};
use ottla_crds::KafkaCluster;
use ottla_plan::cluster;
use ottla_plan::desired::{Desired, Settings};
use ottla_plan::explain::{self, Behind};

use crate::args::ClusterName;
use crate::observe::{Observation, ObserveError, observe};
use crate::reach::Reach;

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The KafkaCluster could not be read.
    #[error("the KafkaCluster could not be read")]
    Read(#[source] kube::Error),
    /// There is none.
    #[error("there is no KafkaCluster {} in namespace {}", .0.name, .0.namespace)]
    Missing(ClusterName),
    /// Its objects could not be read.
    #[error("its objects could not be read")]
    Observe(#[source] ObserveError),
}

/// What is seen of a cluster, what the next pass would do, and what it waits for.
///
/// # Errors
/// When the API server does not answer, or knows no such cluster.
pub async fn text(
    client: &Client,
    reach: &dyn Reach,
    settings: &Settings,
    name: &ClusterName,
) -> Result<String, ExplainError> {
    let api: Api<KafkaCluster> = Api::namespaced(client.clone(), &name.namespace);
    let found = api.get_opt(&name.name).await.map_err(ExplainError::Read)?;
    let found = found.ok_or_else(|| ExplainError::Missing(name.clone()))?;
    let desired = Desired::parse(&found, settings);
    let observation = observe(client, reach, &found).await.map_err(ExplainError::Observe)?;
    let late = behind(reach, &observation).await;
    let observed = observation.observed;
    let plan = cluster::plan(&desired, &observed, &settings.installation, Timestamp::now());
    Ok(explain::seen(&observed)
        + &explain::behind(&late)
        + &explain::text(&plan, observed.traces()))
}

/// What cannot be asked is not told: the rest says why.
async fn behind(reach: &dyn Reach, observation: &Observation) -> Vec<Behind> {
    let (kafka, ways) = (observation.observed.kafka.known(), &observation.ways);
    let late = kafka.filter(|kafka| kafka.partitions.tally().under_replicated.count > 0);
    match (late, &ways.credentials) {
        (Some(kafka), Some(credentials)) => reach.behind(credentials, &ways.bootstrap, kafka).await,
        _ => Vec::new(),
    }
}
