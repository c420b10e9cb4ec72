//! One pass over a KafkaCluster.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;
use ottla_crds::KafkaCluster;
use ottla_plan::action::Target;
use ottla_plan::desired::Problem;
use ottla_plan::names::Names;
use ottla_plan::observed::{Child, Observed};
use ottla_plan::{Action, Desired, Plan, Report, WaitingOn, check, cluster};

use super::{events, lag, next_pass, status};
use crate::act::{self, ActError, Failure, Outcome, act, act_permitted};
use crate::context::Context;
use crate::guard;
use crate::observe::{Observation, ObserveError, observe};
use crate::telemetry::error_chain;

/// Why a pass ended early. Waiting is no error.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The KafkaCluster could not be read.
    #[error("the KafkaCluster could not be read")]
    Read(#[source] kube::Error),
    /// The world could not be observed.
    #[error("the cluster could not be observed")]
    Observe(#[source] ObserveError),
    /// The status could not be written.
    #[error("the status could not be written")]
    Status(#[source] status::StatusError),
    /// What has to be remembered could not be written.
    #[error("what is about to be begun could not be noted beside the cluster's identity")]
    Remember(#[source] ActError),
    /// It took too long, so that it was broken off.
    #[error(
        "the pass was broken off after {seconds} s: the Kubernetes API answers slowly or not at all"
    )]
    TooLong {
        /// How long it was given.
        seconds: u64,
    },
    /// The plan would break a law, which is a defect in it. Nothing of it was done.
    #[error("the plan would break {0}, so nothing of it was done")]
    Law(String),
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// When the next is due; `None` when the cluster is gone.
    pub next: Option<Duration>,
    /// Whether a write failed.
    pub failed: bool,
}

impl Done {
    const GONE: Done = Done { next: None, failed: false };
    /// The KafkaCluster was stamped as ours, or something was remembered, and it is read again before
    /// anything is written for it.
    const AT_ONCE: Done = Done { next: Some(Duration::ZERO), failed: false };
}

/// One pass.
///
/// 1. Read the KafkaCluster afresh; a cache only wakes us. (client)
/// 2. Parse the spec. (no client)
/// 3. Observe. (client, reads)
/// 4. Plan, and check the plan. (no client)
/// 5. Stamp the cluster as ours, and remember what must be, before anything is done. (client)
/// 6. Act. (client, writes)
/// 7. Say how it is. (client, one write, and none when nothing changed)
///
///
/// # Errors
/// See [`PassError`]; the next pass decides afresh.
pub async fn pass(context: &Context, namespace: &str, name: &str) -> Result<Done, PassError> {
    let api: Api<KafkaCluster> = Api::namespaced(context.client.clone(), namespace);
    let Some(cluster) = api.get_opt(name).await.map_err(PassError::Read)? else {
        context.metrics.lag().forget(namespace, name);
        return Ok(Done::GONE);
    };
    let desired = Desired::parse(&cluster, &context.settings);
    let mut observation = observe(&context.client, context.reach.as_ref(), &cluster)
        .await
        .map_err(PassError::Observe)?;
    let mut plan = plan_checked(context, &desired, &observation.observed)?;
    announce(context, &cluster, &plan.report);
    lag::measure(context, &cluster, &observation);
    let remembered = remember(context, &cluster, &observation.observed, &plan).await;
    if let Err(error @ PassError::Remember(_)) = &remembered {
        // Nothing is done then, and the status would go on saying what it said.
        let failure = error_chain(error);
        let known = desired.as_ref().ok();
        let _ = status::write(context, &cluster, known, &plan, Some(&failure)).await;
    }
    if remembered? {
        return Ok(Done::AT_ONCE);
    }
    let outcome = carry_out(context, &cluster, &desired, &observation, &plan).await;
    if note_strangers(&outcome, &mut observation.observed) {
        plan.report = plan_checked(context, &desired, &observation.observed)?.report;
    }
    log(&cluster, &outcome);
    let repeats = context.repeats.note(&full_name(&cluster), outcome.tried());
    let failure = told(&outcome.failed, repeats).map(sentence);
    let remembers = plan.memory != observation.observed.memory;
    let next = next_pass(&plan.report, &outcome, remembers, repeats, context.rest);
    let written =
        status::write(context, &cluster, desired.as_ref().ok(), &plan, failure.as_deref()).await;
    let written = match written {
        // Somebody changed the KafkaCluster in the meantime: all is decided afresh.
        Err(error) if error.is_conflict() => None,
        written => written.map_err(PassError::Status)?,
    };
    events::publish(context, &cluster, &outcome, written.as_ref()).await;
    Ok(Done { next: Some(next), failed: !outcome.failed.is_empty() })
}

/// Marks the cluster as ours, or writes what later passes must know, if either has to come before what is
/// planned; then all is read again first.
async fn remember(
    context: &Context,
    cluster: &KafkaCluster,
    observed: &Observed,
    plan: &Plan,
) -> Result<bool, PassError> {
    let traces = plan.traces != *observed.traces();
    let writes = traces || !plan.actions.is_empty();
    if writes && status::must_come_first(context, cluster, plan) {
        status::stamp(context, cluster, plan).await.map_err(PassError::Status)?;
        return Ok(true);
    }
    let Some(identity) = observed.identity.as_ref().filter(|_| traces) else { return Ok(false) };
    let namespace = cluster.namespace().unwrap_or_default();
    let names = Names { cluster: cluster.name_any(), namespace };
    let target = Target::of_identity(&names, identity);
    match act::remember(context, &names.namespace, &target, &plan.traces).await {
        // Somebody wrote it meanwhile: all is read again, as after a write.
        Err(ActError::Api(kube::Error::Api(status))) if status.is_conflict() => Ok(true),
        written => written.map(|()| true).map_err(PassError::Remember),
    }
}

fn plan_checked(
    context: &Context,
    desired: &Result<Desired, Vec<Problem>>,
    observed: &Observed,
) -> Result<Plan, PassError> {
    let plan = cluster::plan(desired, observed, &context.settings.installation, Timestamp::now());
    match check::plan(&plan, observed) {
        Ok(()) => Ok(plan),
        Err(violations) => {
            let texts = violations.iter().map(|v| format!("{}: {}", v.law, v.sentence));
            Err(PassError::Law(texts.collect::<Vec<_>>().join("; ")))
        }
    }
}

/// Says once in the log that a cluster is another installation's: its status is not ours to write.
fn announce(context: &Context, cluster: &KafkaCluster, report: &Report) {
    let owner = report.waiting_on.iter().find_map(|waiting_on| match waiting_on {
        WaitingOn::ForeignOperator { owner } => Some((owner.as_str(), waiting_on.to_string())),
        _ => None,
    });
    let name = full_name(cluster);
    if context.standing_by.note(&name, owner.as_ref().map(|(owner, _)| *owner))
        && let Some((_, sentence)) = owner
    {
        tracing::warn!(cluster = name, "stands by: {sentence}");
    }
}

fn full_name(cluster: &KafkaCluster) -> String {
    format!("{}/{}", cluster.namespace().unwrap_or_default(), cluster.name_any())
}

/// Harmless actions first. Destructive ones follow only when those all succeeded, and only as far
/// as the guard permits them.
async fn carry_out(
    context: &Context,
    cluster: &KafkaCluster,
    desired: &Result<Desired, Vec<Problem>>,
    observation: &Observation,
    plan: &Plan,
) -> Outcome {
    let namespace = cluster.namespace().unwrap_or_default();
    let (mut destructive, harmless): (Vec<Action>, Vec<Action>) =
        plan.actions.iter().cloned().partition(Action::is_destructive);
    let mut outcome = act(context, &namespace, &observation.ways, harmless).await;
    let Ok(desired) = desired else { return outcome };
    destructive.retain(|action| !outcome.holds_back(action));
    if destructive.is_empty() {
        return outcome;
    }
    match guard::permits(context, cluster, desired, destructive).await {
        Ok(verdict) => {
            for (action, violation) in verdict.refused {
                let reason = format!("{}: {}", violation.law, violation.sentence);
                tracing::warn!(action = action.describe(), reason, "not permitted");
            }
            let ways = &observation.ways;
            let done = act_permitted(context, &namespace, ways, verdict.permits).await;
            outcome.applied.extend(done.applied);
            outcome.failed.extend(done.failed);
        }
        Err(refusal) => {
            tracing::warn!(reason = error_chain(&refusal), "nothing destructive is permitted");
        }
    }
    outcome
}

/// Objects of strangers that stood in the way become part of what is known, so that the report
/// names them.
fn note_strangers(outcome: &Outcome, observed: &mut Observed) -> bool {
    let mut any = false;
    for failure in &outcome.failed {
        if let ActError::Taken { kind, name } = &failure.error {
            observed.children.insert(*kind, name.clone(), stranger());
            any = true;
        }
    }
    any
}

fn stranger() -> Child {
    Child {
        uid: String::new(),
        resource_version: String::new(),
        ours: false,
        terminating: false,
        created_at_seconds: 0,
        live: serde_json::Value::Null.into(),
    }
}

/// What may pass is told once the same was tried in so many passes before and did not.
const PASSES_WITHIN: u32 = 3;

/// The failure that people are told of: what may pass comes of a node that is just starting.
fn told(failed: &[Failure], repeats: u32) -> Option<&Failure> {
    failed.iter().find(|failure| repeats >= PASSES_WITHIN || !failure.may_pass())
}

fn sentence(failure: &Failure) -> String {
    format!("could not {}: {}", failure.action, error_chain(&failure.error))
}

fn log(cluster: &KafkaCluster, outcome: &Outcome) {
    let name = full_name(cluster);
    for action in &outcome.applied {
        tracing::info!(cluster = name, "{}", action.describe());
    }
    for failure in &outcome.failed {
        tracing::warn!(cluster = name, "{}", sentence(failure));
    }
}

#[cfg(test)]
mod tests {
    use ottla_plan::action::HeldBack;

    use super::*;
    use crate::reach::ReachError;

    #[test]
    fn what_may_pass_is_told_when_it_does_not() {
        let failure = |error| Failure {
            action: "give node 3 a vote".to_owned(),
            error,
            holds_back: HeldBack::Everything,
        };
        let sentence = || "not ready to receive requests".to_owned();
        let passing = || ActError::Kafka(ReachError::NotYet { sentence: sentence() });
        let lasting = ActError::Kafka(ReachError::KafkaRefuses { sentence: sentence() });
        let failed = [failure(passing()), failure(lasting)];
        assert!(told(&failed[..1], 2).is_none());
        assert!(told(&failed[..1], 3).is_some_and(Failure::may_pass));
        assert!(told(&failed, 0).is_some_and(|told| !told.may_pass()));
    }
}
