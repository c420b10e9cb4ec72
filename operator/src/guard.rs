//! The only door to anything destructive: it observes afresh, asks `ottla_plan::check`, and hands
//! out a permit.

use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::Api;
use ottla_crds::KafkaCluster;
use ottla_plan::check::{self, Violation};
use ottla_plan::{Action, Desired};

use crate::context::Context;
use crate::observe::{ObserveError, observe};

#[cfg(test)]
mod tests;

/// A permit is for now: what it was decided on may be different in a moment.
const LIFE: Duration = Duration::from_secs(10);

/// The right to carry out one destructive action, once. Only the guard can make one, and it cannot
/// be copied.
#[derive(Debug)]
pub struct Permit {
    action: Action,
    expires: Instant,
}

impl Permit {
    /// The action, if the permit has not expired.
    #[must_use]
    pub fn redeem(self) -> Option<Action> {
        (Instant::now() < self.expires).then_some(self.action)
    }
}

/// Why a destructive action was not permitted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The world could not be read again.
    #[error("the cluster could not be observed again")]
    Observe(#[source] ObserveError),
    /// The KafkaCluster could not be read again.
    #[error("the KafkaCluster could not be read again")]
    Read(#[source] kube::Error),
    /// The KafkaCluster is another one by now, or on its way out, or another operator's.
    #[error("the KafkaCluster is another one, on its way out, or owned by another operator by now")]
    Changed,
}

/// What the guard says of a list of actions, all judged on one fresh observation.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What may be done.
    pub permits: Vec<Permit>,
    /// What may not, and why.
    pub refused: Vec<(Action, Violation)>,
}

/// Asks for permits for several actions at once, all judged on one fresh observation.
///
/// # Errors
/// When the world cannot be read again; nothing is permitted then.
pub async fn permits(
    context: &Context,
    cluster: &KafkaCluster,
    desired: &Desired,
    actions: Vec<Action>,
) -> Result<Verdict, Refusal> {
    let namespace = cluster.namespace().unwrap_or_default();
    let api: Api<KafkaCluster> = Api::namespaced(context.client.clone(), &namespace);
    let fresh = api.get(&cluster.name_any()).await.map_err(Refusal::Read)?;
    let owner = fresh.status.as_ref().and_then(|status| status.operator.as_deref());
    let same = fresh.metadata.uid == cluster.metadata.uid
        && fresh.metadata.generation == cluster.metadata.generation
        && fresh.metadata.deletion_timestamp.is_none()
        && owner == Some(context.settings.installation.as_str());
    if !same {
        return Err(Refusal::Changed);
    }
    let fresh = observe(&context.client, context.reach.as_ref(), &fresh)
        .await
        .map_err(Refusal::Observe)?
        .observed;
    let expires = Instant::now() + LIFE;
    let mut verdict = Verdict::default();
    for action in actions {
        match check::permit(&action, desired, &fresh) {
            Ok(()) => verdict.permits.push(Permit { action, expires }),
            Err(violation) => verdict.refused.push((action, violation)),
        }
    }
    Ok(verdict)
}
