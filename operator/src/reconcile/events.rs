//! Publishes events: what was done that a person should know, and every change of a condition.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use kube::runtime::events::{Event, EventType};
use ottla_crds::KafkaCluster;
use ottla_plan::event::{self, of_action, of_conditions};

use super::status::Written;
use crate::act::Outcome;
use crate::context::Context;
use crate::telemetry::error_chain;

/// Publishes what happened in a pass. An event that cannot be published is logged and no more:
/// the status says the same.
pub async fn publish(
    context: &Context,
    cluster: &KafkaCluster,
    outcome: &Outcome,
    written: Option<&Written>,
) {
    let mut events: Vec<event::Event> = outcome.applied.iter().filter_map(of_action).collect();
    if let Some(written) = written {
        events.extend(of_conditions(&written.previous, &written.current));
    }
    let reference = cluster.object_ref(&());
    for event in events {
        let event = published(event, &reference);
        let published = context.recorder.publish(&event, &reference);
        match context.leadership.within_tenure(published).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(reason = error_chain(&error), "event not published"),
            Err(_) => return,
        }
    }
}

/// As Kubernetes takes it.
fn published(event: event::Event, of: &ObjectReference) -> Event {
    let pod = |(name, uid)| ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(name),
        namespace: of.namespace.clone(),
        uid: Some(uid),
        ..ObjectReference::default()
    };
    Event {
        type_: if event.is_warning { EventType::Warning } else { EventType::Normal },
        reason: event.reason,
        action: event.action,
        note: Some(event.note),
        secondary: event.pod.map(pod),
    }
}
