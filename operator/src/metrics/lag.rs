//! How far brokers' replicas are behind their leaders, as long as any is not in sync.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ottla_plan::explain::Behind;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Unit;

/// So often brokers are asked while replicas are behind.
const ASKED_EACH: Duration = Duration::from_secs(10);

/// What brokers said last, by cluster. A cluster whose replicas are all in sync is not there. Clones share all.
#[derive(Clone, Debug, Default)]
pub struct Lag(Arc<Mutex<BTreeMap<Cluster, Told>>>);

/// Namespace and name.
type Cluster = (String, String);

#[derive(Debug)]
struct Told {
    asked: Instant,
    behind: Vec<Behind>,
}

impl Lag {
    /// Notes that replicas of a cluster are behind. Whether it is time to ask its brokers how far.
    #[must_use]
    pub fn is_due(&self, namespace: &str, cluster: &str, now: Instant) -> bool {
        let mut known = self.known();
        let name = (namespace.to_owned(), cluster.to_owned());
        match known.get_mut(&name) {
            Some(told) if now.duration_since(told.asked) < ASKED_EACH => false,
            Some(told) => {
                told.asked = now;
                true
            }
            None => {
                known.insert(name, Told { asked: now, behind: Vec::new() });
                true
            }
        }
    }

    /// Notes what brokers said, unless the cluster has been forgotten since they were asked.
    pub fn tell(&self, namespace: &str, cluster: &str, behind: Vec<Behind>) {
        if let Some(told) = self.known().get_mut(&(namespace.to_owned(), cluster.to_owned())) {
            told.behind = behind;
        }
    }

    /// Forgets a cluster: all is in sync, or nobody knows, or it is gone.
    pub fn forget(&self, namespace: &str, cluster: &str) {
        self.known().remove(&(namespace.to_owned(), cluster.to_owned()));
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Cluster, Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn encode_each(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, unit): (&str, &str, Option<&Unit>),
        figure: impl Fn(&Behind) -> Option<u64>,
    ) -> fmt::Result {
        let known = self.known();
        let mut family = encoder.encode_descriptor(name, help, unit, Gauge::TYPE)?;
        for ((namespace, cluster), told) in known.iter() {
            for behind in &told.behind {
                let Some(figure) = figure(behind) else { continue };
                let labels = [
                    ("namespace", namespace.clone()),
                    ("cluster", cluster.clone()),
                    ("broker", behind.broker.to_string()),
                ];
                ConstGauge::new(figure).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// The type of every figure here.
struct Gauge;

impl TypedMetric for Gauge {
    const TYPE: MetricType = MetricType::Gauge;
}

impl Collector for Lag {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Replicas of a broker that are not in sync.";
        let replicas = |behind: &Behind| u64::try_from(behind.replicas).ok();
        self.encode_each(&mut encoder, ("kafka_replicas_behind", help, None), replicas)?;
        let help =
            "What their leaders have on disk and those replicas lack; absent where no broker told.";
        let bytes = |behind: &Behind| behind.bytes;
        self.encode_each(&mut encoder, ("kafka_replica_lag", help, Some(&Unit::Bytes)), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn brokers_are_asked_from_time_to_time_as_long_as_anything_is_behind() {
        let (lag, start) = (Lag::default(), Instant::now());
        let due = |seconds| lag.is_due("shop", "orders", start + Duration::from_secs(seconds));
        assert_eq!([due(0), due(9), due(10), due(19), due(20)], [true, false, true, false, true]);
        lag.forget("shop", "orders");
        assert!(due(21));
    }

    #[test]
    fn what_brokers_lack_is_told_until_it_is_forgotten() {
        let metrics = Metrics::new();
        let lag = metrics.lag();
        let behind = vec![
            Behind { broker: 2, replicas: 3, bytes: Some(700) },
            Behind { broker: 4, replicas: 1, bytes: None },
        ];
        lag.tell("shop", "orders", behind.clone());
        let figures = || {
            let text = metrics.encode().unwrap();
            let ours = |line: &&str| line.starts_with("ottla_kafka_replica");
            text.lines().filter(ours).map(ToOwned::to_owned).collect::<Vec<String>>()
        };
        assert!(figures().is_empty(), "it was forgotten before it was told");
        assert!(lag.is_due("shop", "orders", Instant::now()));
        lag.tell("shop", "orders", behind);
        let of = |broker: i32| format!("namespace=\"shop\",cluster=\"orders\",broker=\"{broker}\"");
        assert_eq!(
            figures(),
            [
                format!("ottla_kafka_replicas_behind{{{}}} 3", of(2)),
                format!("ottla_kafka_replicas_behind{{{}}} 1", of(4)),
                format!("ottla_kafka_replica_lag_bytes{{{}}} 700", of(2)),
            ]
        );
        lag.forget("shop", "orders");
        assert!(figures().is_empty());
    }
}
