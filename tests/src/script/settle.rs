//! Plan twice: passes are made until nothing is left to do, and then nothing may be left to do.

use anyhow::{Result, bail};
use ottla_plan::event::{self, Event};
use ottla_plan::explain;

use crate::world::World;

/// More passes than any change needs.
const PASSES_MAX: usize = 12;

/// Makes passes until the world rests, and tells each action and how the world is then.
///
/// # Errors
/// A broken law, or a world that does not come to rest.
pub(super) fn settle(world: &mut World) -> Result<String> {
    let mut text = String::new();
    let mut refused = Vec::new();
    for pass in 1..=PASSES_MAX {
        let outcome = world.pass()?;
        if !outcome.changed_something() && outcome.not_done == refused {
            world.at_rest(&refused)?;
            text.push_str("then:\n");
            text.push_str(&explain::text(&world.plan()?, world.observe().traces()));
            return Ok(text);
        }
        if !outcome.done.is_empty() || !outcome.not_done.is_empty() {
            text.push_str(&format!("pass {pass}:\n"));
        }
        outcome.done.iter().for_each(|line| text.push_str(&format!("did   {line}\n")));
        outcome.not_done.iter().for_each(|line| text.push_str(&format!("fail  {line}\n")));
        refused = outcome.not_done;
    }
    bail!("the world does not settle:\n{text}");
}

/// More rounds than a roll of a small cluster needs.
const ROUNDS_MAX: usize = 100;

/// Makes passes while pods start and nodes run, until nothing is left to happen, and tells what was
/// done and what people read meanwhile.
///
/// # Errors
/// A broken law, or a world that does not come to rest.
pub fn live(world: &mut World) -> Result<String> {
    let (mut text, mut got) = (String::new(), String::new());
    for _ in 0..ROUNDS_MAX {
        let before = world.status();
        let outcome = world.pass()?;
        for (line, event) in outcome.done.iter().zip(&outcome.events) {
            text.push_str(&match event {
                Some(event) => spelled(event, line),
                None => format!("did   {line}\n"),
            });
        }
        outcome.not_done.iter().for_each(|line| text.push_str(&format!("fail  {line}\n")));
        let turned = event::of_conditions(&before, &world.status());
        turned.iter().for_each(|one| text.push_str(&spelled(one, &one.note)));
        let gets = row(world);
        if gets != got {
            text.push_str(&format!("get   {gets}\n"));
            got = gets;
        }
        if !outcome.changed_something() {
            let before = world.observe();
            world.start_pods();
            if world.observe() == before {
                world.run_nodes();
            }
            if world.observe() == before && !world.wait()? {
                world.at_rest(&outcome.not_done)?;
                return Ok(text);
            }
        }
    }
    bail!("the world does not come to rest:\n{text}");
}

fn spelled(event: &Event, note: &str) -> String {
    let warning = if event.is_warning { "Warning " } else { "" };
    format!("event {warning}{}: {note}\n", event.reason)
}

/// What `kubectl get` shows (the columns Ready, Brokers, Controllers, Status and Waiting on), and how far
/// `status.operation` is.
fn row(world: &World) -> String {
    let status = world.status();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let (is_ready, reason) =
        ready.map(|one| (one.status.as_str(), one.reason.as_str())).unwrap_or_default();
    let summary = status.summary.unwrap_or_default();
    let mut row = format!("{is_ready} {} {} {reason}", summary.brokers, summary.controllers);
    if let Some(waiting_on) = summary.waiting_on {
        row.push_str(&format!(": {waiting_on}"));
    }
    if let Some(operation) = status.operation {
        row.push_str(&format!(" [{} {}/{}]", operation.name, operation.done, operation.of));
    }
    row
}
