//! A plan as text for people: what would be done, how every node is, and what is waited for.

use std::fmt::Write as _;

use crate::Plan;

mod seen;

pub use seen::seen;

/// The text of a plan. Golden tests and `explain` share it.
#[must_use]
pub fn text(plan: &Plan) -> String {
    let mut text = String::new();
    if plan.actions.is_empty() {
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
