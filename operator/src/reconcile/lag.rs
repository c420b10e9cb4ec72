//! How far replicas are behind, measured beside the passes: none waits for it.

use std::sync::Arc;
use std::time::Instant;

use kube::ResourceExt;
use ottla_crds::KafkaCluster;

use crate::context::Context;
use crate::observe::Observation;

/// Has brokers asked, from time to time, as long as any replica is not in sync.
pub fn measure(context: &Context, cluster: &KafkaCluster, observation: &Observation) {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let lag = context.metrics.lag().clone();
    let kafka = observation.observed.kafka.known();
    let late = kafka.filter(|kafka| kafka.partitions.tally().under_replicated.count > 0);
    let (Some(kafka), Some(credentials)) = (late, &observation.ways.credentials) else {
        lag.forget(&namespace, &name);
        return;
    };
    if !lag.is_due(&namespace, &name, Instant::now()) {
        return;
    }
    let (reach, kafka, credentials) =
        (Arc::clone(&context.reach), kafka.clone(), credentials.clone());
    let bootstrap = observation.ways.bootstrap.clone();
    tokio::spawn(async move {
        let behind = reach.behind(&credentials, &bootstrap, &kafka).await;
        lag.tell(&namespace, &name, behind);
    });
}
