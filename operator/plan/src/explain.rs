//! A plan as text for people: what would be done, how every node is, and what is waited for.

use std::fmt::Write as _;

use crate::{Plan, Traces};

mod seen;

pub use seen::seen;

/// How far a broker's replicas are behind their leaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Kafka's `node.id`.
    pub broker: i32,
    /// How many of its replicas are not in sync.
    pub replicas: usize,
    /// What the leaders have on disk and they do not; `None` where somebody did not tell.
    pub bytes: Option<u64>,
}

/// As it follows what was seen.
#[must_use]
pub fn behind(brokers: &[Behind]) -> String {
    let mut text = String::new();
    for Behind { broker, replicas, bytes } in brokers {
        let lacks = match bytes {
            Some(bytes) => format!("lacks {bytes} bytes of what the leaders have"),
            None => "lacks nobody knows how much".to_owned(),
        };
        let noun = if *replicas == 1 { "replica" } else { "replicas" };
        line(
            &mut text,
            format_args!("saw   Kafka: broker {broker} {lacks}, {replicas} {noun} not in sync"),
        );
    }
    text
}

/// The text of a plan, and of what comes first where it differs from what is on record. Golden tests and `explain`
/// share it.
#[must_use]
pub fn text(plan: &Plan, on_record: &Traces) -> String {
    let mut text = String::new();
    if plan.traces != *on_record {
        text.push_str("do    note beside the identity what is about to be done, and plan anew\n");
    } else if plan.actions.is_empty() {
        text.push_str("nothing to do\n");
    }
    for action in &plan.actions {
        line(&mut text, format_args!("do    {}", action.describe()));
    }
    for node in &plan.report.nodes {
        let ready = if node.ready { ", ready" } else { "" };
        line(&mut text, format_args!("node  {} {:?}{ready}", node.node.id, node.phase));
    }
    for waiting_on in plan.report.all_waiting() {
        line(&mut text, format_args!("wait  {}: {waiting_on}", waiting_on.reason()));
    }
    text
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{content}");
}
