//! What every pass needs: the ways to Kubernetes and to nodes, and who we are.

use std::sync::Arc;

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use ottla_plan::desired::Settings;

use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::reach::Reach;

/// What every pass needs. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The way to the Kubernetes API.
    pub client: Client,
    /// The way to agents and to Kafka.
    pub reach: Arc<dyn Reach>,
    /// The installation, its namespace and its images.
    pub settings: Settings,
    /// Until when effects may run.
    pub leadership: Leadership,
    /// Counts of passes and requests.
    pub metrics: Metrics,
    /// How long a cluster at rest is left alone.
    pub rest: std::time::Duration,
    /// Publishes events.
    pub recorder: Recorder,
}

/// The recorder of events, in the operator's name.
#[must_use]
pub fn recorder(client: Client, process: &str) -> Recorder {
    let reporter = Reporter {
        controller: "ottla.dev/operator".to_owned(),
        instance: Some(process.to_owned()),
    };
    Recorder::new(client, reporter)
}
