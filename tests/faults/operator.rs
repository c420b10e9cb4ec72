//! One life of the real operator, over a client with faults.

use std::sync::Arc;

use kube::runtime::events::Recorder;
use ottla_operator::client::connect_through;
use ottla_operator::context::{Context, Repeats, StandingBy, recorder};
use ottla_operator::lease::{Leadership, Standing};
use ottla_operator::metrics::Metrics;
use ottla_operator::run::run;
use ottla_plan::desired::Settings;
use ottla_tests::fault::Faults;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use super::agents::Agents;
use super::server::{Access, User};

/// A cluster at rest is looked at twice a second, so that a needless write shows soon.
const REST: Duration = Duration::from_millis(500);

/// An operator that works until it is ended, dropped, or killed by a fault.
pub(crate) struct Operator {
    pub(crate) faults: Faults,
    metrics: Metrics,
    task: JoinHandle<()>,
}

impl Operator {
    /// Starts the operator of a user for one namespace. It leads for as long as it lives.
    pub(crate) fn start(
        access: &Access,
        user: User,
        namespace: &str,
        faults: Faults,
        agents: Agents,
    ) -> anyhow::Result<Operator> {
        let metrics = Metrics::new();
        let client = connect_through(access.config(user)?, &metrics, &faults)?;
        let deadline = Instant::now() + Duration::from_secs(3600);
        let (standing, _) = watch::channel(Standing::Leading { deadline });
        let recorder: Recorder = recorder(client.clone(), user.name());
        let context = Context {
            client,
            reach: Arc::new(agents),
            settings: Settings {
                installation: user.name().to_owned(),
                operator_namespace: "ottla".to_owned(),
                image_template: "registry.invalid/kafka:{version}".to_owned(),
            },
            leadership: Leadership::of(&standing),
            metrics: metrics.clone(),
            rest: REST,
            recorder,
            standing_by: StandingBy::default(),
            repeats: Repeats::default(),
        };
        let killed = faults.crashed();
        let work = Box::pin(run(context, vec![namespace.to_owned()], CancellationToken::new()));
        let task = tokio::spawn(async move {
            // The election lives as long as the operator does.
            let _standing = standing;
            tokio::select! {
                () = killed.cancelled() => {}
                () = work => {}
            }
        });
        Ok(Operator { faults, metrics, task })
    }

    /// How many passes it has made.
    pub(crate) fn passes(&self) -> anyhow::Result<u64> {
        let text = self.metrics.encode()?;
        let line = text.lines().find_map(|line| line.strip_prefix(PASSES));
        Ok(line.and_then(|count| count.trim().parse().ok()).unwrap_or_default())
    }

    /// Kills it, and returns once nothing of it is left.
    pub(crate) async fn end(mut self) {
        self.task.abort();
        // It was cancelled, or a fault has killed it before: both are an end.
        let _ = (&mut self.task).await;
    }
}

const PASSES: &str = "ottla_reconciles_total{kind=\"KafkaCluster\"}";

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
