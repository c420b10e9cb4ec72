//! What the operator counts about itself, in OpenMetrics text.
//!
//! `requests` counts every request to the Kubernetes API, `process` reads memory and processor
//! time at each scrape. Figures about Kafka come from Kafka itself, not from here, but for what the
//! operator waits for: `lag` says how far replicas are behind.

mod lag;
mod process;
mod requests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use lag::Lag;
pub use requests::{CountRequests, CountedService};

/// The media type of [`Metrics::encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the reconcile durations, in seconds.
///
/// A pass at rest takes some ten milliseconds, one that writes some hundred; a pass over many
/// agents or a slow API server takes seconds, and one minute is past every deadline.
const RECONCILE_SECONDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

/// The operator's figures. Cheap to clone; all clones count into the same registry.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Family<KindLabel, Counter>,
    reconcile_errors: Family<KindLabel, Counter>,
    reconcile_seconds: Family<KindLabel, Histogram, fn() -> Histogram>,
    requests: Family<RequestLabels, Counter>,
    kafka_changes: Family<NamespaceLabel, Counter>,
    leader: Gauge,
    lag: Lag,
    api_served: Arc<AtomicBool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NamespaceLabel {
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: &'static str,
    code: String,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry with all families at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            reconciles: Family::default(),
            reconcile_errors: Family::default(),
            reconcile_seconds: Family::new_with_constructor(reconcile_histogram),
            requests: Family::default(),
            kafka_changes: Family::default(),
            leader: Gauge::default(),
            lag: Lag::default(),
            api_served: Arc::default(),
        };
        let mut registry = Registry::with_prefix("ottla");
        metrics.register(&mut registry);
        metrics.registry = Arc::new(registry);
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of the operator", version);
        registry.register("reconciles", "Passes over an object", self.reconciles.clone());
        registry.register(
            "reconcile_errors",
            "Passes over an object that ended in an error",
            self.reconcile_errors.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "Time that a pass over an object took",
            Unit::Seconds,
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "api_requests",
            "Requests to the Kubernetes API, by verb and by code of the answer; the code is \
             'failed' where none came, 'cancelled' where nobody waited for it any more",
            self.requests.clone(),
        );
        registry.register(
            "kafka_changes",
            "Changes that Kafka clusters of a namespace were told to make",
            self.kafka_changes.clone(),
        );
        registry.register("leader", "1 while this process holds the lease", self.leader.clone());
        registry.register_collector(Box::new(process::Process));
        registry.register_collector(Box::new(self.lag.clone()));
    }

    /// Counts one pass over an object of `kind`.
    pub fn reconciled(&self, kind: &'static str, took: Duration, succeeded: bool) {
        let label = KindLabel { kind };
        self.reconciles.get_or_create(&label).inc();
        self.reconcile_seconds.get_or_create(&label).observe(took.as_secs_f64());
        // Looked up on success too, so that the count is exported as zero before the first error.
        self.reconcile_errors.get_or_create(&label).inc_by(u64::from(!succeeded));
    }

    /// Counts something that a Kafka cluster in `namespace` is told to change.
    pub fn changes_kafka(&self, namespace: &str) {
        self.kafka_changes.get_or_create(&NamespaceLabel { namespace: namespace.to_owned() }).inc();
    }

    /// How far replicas are behind their leaders.
    pub fn lag(&self) -> &Lag {
        &self.lag
    }

    /// Says whether this process leads.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// The layer that counts the requests of a client.
    pub fn request_layer(&self) -> CountRequests {
        CountRequests::new(self.clone())
    }

    /// Whether the Kubernetes API has served any request of ours since the process started.
    pub fn api_has_served(&self) -> bool {
        self.api_served.load(Ordering::Relaxed)
    }

    fn count_request(&self, verb: &'static str, code: String) {
        self.requests.get_or_create(&RequestLabels { verb, code }).inc();
    }

    fn note_api_service(&self) {
        self.api_served.store(true, Ordering::Relaxed);
    }

    /// All figures as OpenMetrics text.
    ///
    /// # Errors
    /// Only when a family cannot be written as text, which its types rule out.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn reconcile_histogram() -> Histogram {
    Histogram::new(RECONCILE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_counted_by_kind() {
        let metrics = Metrics::new();
        metrics.reconciled("KafkaCluster", Duration::from_millis(30), true);
        metrics.reconciled("KafkaCluster", Duration::from_millis(300), false);
        let text = metrics.encode().unwrap();
        for line in [
            "ottla_reconciles_total{kind=\"KafkaCluster\"} 2",
            "ottla_reconcile_errors_total{kind=\"KafkaCluster\"} 1",
            "ottla_reconcile_duration_seconds_bucket{le=\"0.05\",kind=\"KafkaCluster\"} 1",
            "ottla_reconcile_duration_seconds_count{kind=\"KafkaCluster\"} 2",
            concat!("ottla_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|found| found == line), "no line {line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn an_error_free_kind_exports_zero_errors() {
        let metrics = Metrics::new();
        metrics.reconciled("Topic", Duration::ZERO, true);
        let text = metrics.encode().unwrap();
        assert!(text.contains("ottla_reconcile_errors_total{kind=\"Topic\"} 0"), "{text}");
    }

    #[test]
    fn what_kafka_is_told_to_change_is_counted_by_namespace() {
        let metrics = Metrics::new();
        metrics.changes_kafka("shop");
        metrics.changes_kafka("shop");
        let text = metrics.encode().unwrap();
        assert!(text.contains("ottla_kafka_changes_total{namespace=\"shop\"} 2\n"), "{text}");
    }

    #[test]
    fn the_leader_gauge_follows() {
        let metrics = Metrics::new();
        assert!(metrics.encode().unwrap().contains("ottla_leader 0\n"));
        metrics.set_leader(true);
        assert!(metrics.clone().encode().unwrap().contains("ottla_leader 1\n"));
    }
}
