//! Carries out a plan. It decides nothing: every action is as specific as a write can be.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream::iter;
use ottla_plan::action::{HeldBack, Target, UnregisterController};
use ottla_plan::object::Kind;
use ottla_plan::{Action, Traces};

use crate::context::Context;
use crate::guard::Permit;
use crate::reach::{ReachError, Ways};

mod certificate;
mod format;
mod identity;
mod object;
mod ownership;

/// Writes of one stage are independent; more at once would only crowd out others' requests.
const CONCURRENCY: usize = 8;

/// Why an action failed.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The API server said no, or nothing.
    #[error("the Kubernetes API did not take it")]
    Api(#[source] kube::Error),
    /// An object of that name exists and is not ours.
    #[error("{} {name} belongs to somebody else", kind.word())]
    Taken {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// Keys or certificates could not be made.
    #[error("the certificate could not be made")]
    Certificate(#[source] rcgen::Error),
    /// The CA's Secret cannot be used.
    #[error("Secret {secret} holds no usable CA")]
    Authority {
        /// Its name.
        secret: String,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// An agent did not obey.
    #[error("the agent did not obey")]
    Agent(#[source] ReachError),
    /// Kafka did not obey.
    #[error(transparent)]
    Kafka(ReachError),
    /// The operator has no certificate for this cluster's agents.
    #[error("the operator has no certificate for this cluster yet")]
    NoCredentials,
    /// The permit expired before it was used.
    #[error("the permit expired before it was used")]
    Expired,
    /// Leadership ended.
    #[error("this operator leads no longer")]
    NotLeading(#[source] crate::lease::NotLeading),
    /// A tree that is no Kubernetes object, which is a defect.
    #[error("the object is malformed")]
    Malformed(#[source] serde_json::Error),
}

/// One action that failed.
#[derive(Debug)]
pub struct Failure {
    /// The action in words.
    pub action: String,
    /// Why.
    pub error: ActError,
    /// What has to wait for it.
    pub holds_back: HeldBack,
}

impl Failure {
    /// Whether it is likely to be over at the next try.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self.error, ActError::Kafka(ReachError::NotYet { .. }))
    }
}

/// What came of the actions of a pass.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was done.
    pub applied: Vec<Action>,
    /// What failed.
    pub failed: Vec<Failure>,
}

impl Outcome {
    /// What was tried, in words, whether it was done or failed.
    #[must_use]
    pub fn tried(&self) -> BTreeSet<String> {
        let failed = self.failed.iter().map(|failure| failure.action.clone());
        self.applied.iter().map(Action::describe).chain(failed).collect()
    }

    /// Whether something failed that later actions build upon.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.failed.iter().any(|failure| failure.holds_back == HeldBack::Everything)
    }

    /// Whether an action has to wait for something that failed.
    #[must_use]
    pub fn holds_back(&self, action: &Action) -> bool {
        self.failed.iter().any(|failure| failure.holds_back.holds(action))
    }
}

/// Carries out harmless actions, stage after stage, and stops after a stage with a failure.
pub async fn act(context: &Context, namespace: &str, ways: &Ways, actions: Vec<Action>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut stages: std::collections::BTreeMap<u8, Vec<Action>> = Default::default();
    for action in actions.into_iter().filter(|action| !action.is_destructive()) {
        stages.entry(action.stage()).or_default().push(action);
    }
    for (_, actions) in stages {
        let results = iter(actions).map(|action| async move {
            let result = harmless(context, namespace, ways, &action).await;
            (action, result)
        });
        let results: Vec<_> = results.buffer_unordered(CONCURRENCY).collect().await;
        results.into_iter().for_each(|(action, result)| note(&mut outcome, action, result));
        if outcome.is_blocked() {
            break;
        }
    }
    outcome
}

/// Carries out what the guard permitted.
pub async fn act_permitted(
    context: &Context,
    namespace: &str,
    ways: &Ways,
    permits: Vec<Permit>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let results = iter(permits).map(|permit| async move {
        let action = permit.redeem()?;
        let result = destructive(context, namespace, ways, &action).await;
        Some((action, result))
    });
    let results: Vec<_> = results.buffer_unordered(CONCURRENCY).collect().await;
    for result in results {
        match result {
            Some((action, result)) => note(&mut outcome, action, result),
            None => outcome.failed.push(Failure {
                action: "a permitted action".to_owned(),
                error: ActError::Expired,
                holds_back: HeldBack::Everything,
            }),
        }
    }
    outcome
}

fn note(outcome: &mut Outcome, action: Action, result: Result<(), ActError>) {
    match result {
        Ok(()) => outcome.applied.push(action),
        Err(error) => {
            let holds_back = action.holds_back();
            outcome.failed.push(Failure { action: action.describe(), error, holds_back });
        }
    }
}

/// Writes what a plan asks to remember of what is left in Kafka, before anything else is done.
///
/// # Errors
/// See [`ActError`].
pub async fn remember(
    context: &Context,
    namespace: &str,
    target: &Target,
    traces: &Traces,
) -> Result<(), ActError> {
    let write = identity::record_traces(&context.client, namespace, target, traces);
    context.leadership.within_tenure(write).await.map_err(ActError::NotLeading)?
}

async fn harmless(
    context: &Context,
    namespace: &str,
    ways: &Ways,
    action: &Action,
) -> Result<(), ActError> {
    let effect = async {
        let client = &context.client;
        match action {
            Action::NewIdentity { object, voters } => {
                identity::create(client, namespace, object, voters).await
            }
            Action::IssueAuthority { object, common_name } => {
                certificate::authority(client, namespace, object, common_name).await
            }
            Action::IssueLeaf(leaf) => certificate::leaf(client, namespace, leaf).await,
            Action::Create(object) => object::create(client, namespace, object).await,
            Action::Apply(rewrite) => object::apply(client, namespace, rewrite).await,
            Action::RecordDisks { target, disks } => {
                identity::record(client, namespace, target, disks).await
            }
            Action::RecordQuorum { target, record } => {
                identity::record_quorum(client, namespace, target, record).await
            }
            Action::ForgetDisks { target, disks } => {
                identity::forget(client, namespace, target, disks).await
            }
            Action::AlterConfig(_)
            | Action::ElectLeaders(_)
            | Action::Throttle(_)
            | Action::CordonDisks { of_gone: true, .. }
            | Action::Cordon { cordoned: false, .. } => {
                kafka(context, namespace, ways, action).await
            }
            Action::Format(_)
            | Action::RestartPod(_)
            | Action::Delete(_)
            | Action::Reassign(_)
            | Action::Cordon { cordoned: true, .. }
            | Action::CordonDisks { of_gone: false, .. }
            | Action::MoveReplicas(_)
            | Action::Unregister(_)
            | Action::AddVoter(_)
            | Action::RemoveVoter(_)
            | Action::UnregisterController(_)
            | Action::RenewAuthority(_)
            | Action::RaiseFeature(_) => Ok(()),
        }
    };
    context.leadership.within_tenure(effect).await.map_err(ActError::NotLeading)?
}

async fn kafka(
    context: &Context,
    namespace: &str,
    ways: &Ways,
    action: &Action,
) -> Result<(), ActError> {
    let credentials = ways.credentials.as_ref().ok_or(ActError::NoCredentials)?;
    context.metrics.changes_kafka(namespace);
    context.reach.change_kafka(credentials, ways, action).await.map_err(ActError::Kafka)
}

async fn destructive(
    context: &Context,
    namespace: &str,
    ways: &Ways,
    action: &Action,
) -> Result<(), ActError> {
    let effect = async {
        match action {
            Action::Format(format) => {
                let credentials = ways.credentials.as_ref().ok_or(ActError::NoCredentials)?;
                format::permit(context.reach.as_ref(), credentials, format).await
            }
            Action::RenewAuthority(renew) => {
                certificate::renew(&context.client, namespace, renew).await
            }
            Action::RestartPod(restart) => {
                object::restart(&context.client, namespace, restart).await
            }
            Action::Delete(delete) => {
                object::delete(&context.client, namespace, delete.kind, &delete.target).await
            }
            // The record last: what is struck from it is never asked for again.
            Action::UnregisterController(unregister) => {
                kafka(context, namespace, ways, action).await?;
                let UnregisterController { target, record, .. } = unregister;
                identity::record_quorum(&context.client, namespace, target, record).await
            }
            Action::Reassign(_)
            | Action::Cordon { .. }
            | Action::CordonDisks { .. }
            | Action::MoveReplicas(_)
            | Action::Unregister(_)
            | Action::AddVoter(_)
            | Action::RemoveVoter(_)
            | Action::RaiseFeature(_) => kafka(context, namespace, ways, action).await,
            _ => Ok(()),
        }
    };
    context.leadership.within_tenure(effect).await.map_err(ActError::NotLeading)?
}
