//! Plan twice: passes are made until nothing is left to do, and then nothing may be left to do.

use anyhow::{Result, bail};
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
    let (mut text, mut said) = (String::new(), String::new());
    for _ in 0..ROUNDS_MAX {
        let outcome = world.pass()?;
        outcome.done.iter().for_each(|line| text.push_str(&format!("did   {line}\n")));
        outcome.not_done.iter().for_each(|line| text.push_str(&format!("fail  {line}\n")));
        let says = headline(world);
        if says != said {
            text.push_str(&format!("says  {says}\n"));
            said = says;
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

/// What `kubectl get` shows: the condition Ready.
fn headline(world: &World) -> String {
    let conditions = world.status().conditions;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    ready.map(|one| format!("{} {}: {}", one.status, one.reason, one.message)).unwrap_or_default()
}
