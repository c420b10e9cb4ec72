//! What every pass needs: the ways to Kubernetes and to nodes, and who we are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Of which clusters it was said that another installation owns them.
    pub standing_by: StandingBy,
    /// What was tried for each cluster in its last pass.
    pub repeats: Repeats,
}

/// How often the same writes were tried for a cluster in passes that followed each other. They come
/// to nothing: they are refused, or somebody else, such as an admission webhook, undoes them. It only sets the pace.
/// Clones share all.
#[derive(Clone, Debug, Default)]
pub struct Repeats(Arc<Mutex<BTreeMap<String, Written>>>);

/// What the last pass over a cluster tried, and how many passes before it tried just the same.
#[derive(Debug)]
struct Written {
    actions: BTreeSet<String>,
    before: u32,
}

impl Repeats {
    /// Notes what a pass wrote. Returns how many passes before it wrote just the same.
    #[must_use]
    pub fn note(&self, cluster: &str, written: BTreeSet<String>) -> u32 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_empty() {
            known.remove(cluster);
            return 0;
        }
        let before = match known.get(cluster) {
            Some(last) if last.actions == written => last.before.saturating_add(1),
            _ => 0,
        };
        known.insert(cluster.to_owned(), Written { actions: written, before });
        before
    }
}

/// Clusters that another installation owns. It only keeps the log from saying the same at each
/// pass; a restarted operator says it again. Clones share all.
#[derive(Clone, Debug, Default)]
pub struct StandingBy(Arc<Mutex<BTreeMap<String, String>>>);

impl StandingBy {
    /// Notes who owns a cluster, if it is not this installation. Returns whether that is news.
    #[must_use]
    pub fn note(&self, cluster: &str, owner: Option<&str>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match owner {
            Some(owner) => {
                known.insert(cluster.to_owned(), owner.to_owned()).as_deref() != Some(owner)
            }
            None => {
                known.remove(cluster);
                false
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_writes_are_counted_until_others_come() {
        let repeats = Repeats::default();
        let note = |words: &[&str]| {
            repeats.note("shop/orders", words.iter().map(|word| (*word).to_owned()).collect())
        };
        assert_eq!([note(&["a"]), note(&["a"]), note(&["a"]), note(&["b"])], [0, 1, 2, 0]);
        assert_eq!([note(&["b"]), note(&[]), note(&["b"])], [1, 0, 0]);
    }

    #[test]
    fn the_same_owner_is_news_once() {
        let standing_by = StandingBy::default();
        assert!(standing_by.note("shop/orders", Some("ops/blue")));
        assert!(!standing_by.note("shop/orders", Some("ops/blue")));
        assert!(standing_by.note("shop/orders", Some("ops/green")));
        assert!(!standing_by.note("shop/orders", None));
        assert!(standing_by.note("shop/orders", Some("ops/green")));
    }
}
