//! From the command line to a running operator, and down again in order.

use std::sync::Arc;

use ottla_plan::desired::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::{Args, ClusterName};
use crate::client::{ClientError, configuration, connect};
use crate::context::{Context, Repeats, StandingBy, recorder};
use crate::explain::{self, ExplainError};
use crate::health::{HealthError, HealthServer};
use crate::lease::{Candidate, Election, Leadership, LeadershipLost};
use crate::metrics::Metrics;
use crate::reach::Network;
use crate::run::run;

/// Why the operator ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no way to the Kubernetes API.
    #[error("the operator has no way to Kubernetes")]
    Client(#[from] ClientError),
    /// The port for health checks is not to be had.
    #[error("the operator cannot answer health checks")]
    Health(#[from] HealthError),
    /// Leadership was lost.
    #[error("the operator stops")]
    Lost(#[from] LeadershipLost),
    /// The election ended in a panic, which is a defect of this program.
    #[error("the operator's election broke, please report it with the lines above")]
    Broken(#[source] tokio::task::JoinError),
    /// The process was given no name, and no random one is to be had.
    #[error("this process has no name of its own, set --identity")]
    Name(#[source] std::io::Error),
    /// A cluster cannot be explained.
    #[error("it cannot be explained")]
    Explain(#[from] ExplainError),
    /// The operating system refuses signals.
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
}

/// Runs until SIGTERM or SIGINT, or until leadership is lost.
///
/// # Errors
/// See [`StartError`].
pub async fn start(args: Args) -> Result<(), StartError> {
    let stop = stop_on_signals()?;
    let metrics = Metrics::new();
    let health = HealthServer::bind(args.listen, metrics.clone()).await?;
    let configuration = configuration().await?;
    let own_namespace = configuration.default_namespace.clone();
    let client = connect(configuration, &metrics)?;
    let candidate = candidate(&args, &own_namespace)?;
    let process = candidate.process.clone();
    let (election, leadership) = Election::new(client.clone(), candidate, metrics.clone());
    let context = Context {
        recorder: recorder(client.clone(), &process),
        standing_by: StandingBy::default(),
        repeats: Repeats::default(),
        client,
        reach: Arc::new(Network),
        settings: settings(&args, &own_namespace),
        leadership: leadership.clone(),
        metrics,
        rest: args.agent_poll(),
    };
    let ended = CancellationToken::new();
    let served = tokio::spawn(health.serve(ended.clone().cancelled_owned()));
    let release = CancellationToken::new();
    let election = tokio::spawn(election.run(release.clone()));
    lead(context, args.namespaces(), leadership, stop).await;
    release.cancel();
    let outcome = election.await;
    ended.cancel();
    // The health server has nothing left to say that the election's outcome does not.
    let _ = served.await;
    outcome.map_err(StartError::Broken)?.map_err(StartError::Lost)
}

/// Stands by, then works while it leads. Passes under way end before the lease is given back.
async fn lead(
    context: Context,
    namespaces: Vec<String>,
    mut leadership: Leadership,
    stop: CancellationToken,
) {
    tracing::info!(installation = context.settings.installation, "standing by for the lease");
    tokio::select! {
        () = stop.cancelled() => return,
        acquired = leadership.acquired() => if !acquired { return },
    }
    let stop_work = stop.child_token();
    let work = run(context, namespaces, stop_work.clone());
    tokio::pin!(work);
    tokio::select! {
        () = &mut work => {}
        () = leadership.over() => {}
        () = stop.cancelled() => {
            tracing::info!("stopping: passes under way end first");
            work.await;
        }
    }
}

fn candidate(args: &Args, own_namespace: &str) -> Result<Candidate, StartError> {
    Ok(Candidate {
        namespace: args.lease_namespace(own_namespace).to_owned(),
        lease: args.lease_name.clone(),
        installation: args.installation(own_namespace),
        process: args.process_name().map_err(StartError::Name)?,
    })
}

/// Explains one cluster instead.
///
/// # Errors
/// See [`StartError`].
pub async fn explain(args: &Args, cluster: &ClusterName) -> Result<String, StartError> {
    let configuration = configuration().await?;
    let settings = settings(args, &configuration.default_namespace);
    let client = connect(configuration, &Metrics::new())?;
    Ok(explain::text(&client, &Network, &settings, cluster).await?)
}

fn settings(args: &Args, own_namespace: &str) -> Settings {
    Settings {
        installation: args.installation(own_namespace),
        operator_namespace: own_namespace.to_owned(),
        image_template: args.kafka_image.to_string(),
    }
}

fn stop_on_signals() -> Result<CancellationToken, StartError> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(StartError::Signals)?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    Ok(stop)
}
