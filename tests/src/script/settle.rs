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
        if outcome.done.is_empty() && outcome.not_done == refused {
            world.at_rest(&refused)?;
            text.push_str("then:\n");
            text.push_str(&explain::text(&world.plan()?));
            return Ok(text);
        }
        text.push_str(&format!("pass {pass}:\n"));
        outcome.done.iter().for_each(|line| text.push_str(&format!("did   {line}\n")));
        outcome.not_done.iter().for_each(|line| text.push_str(&format!("fail  {line}\n")));
        refused = outcome.not_done;
    }
    bail!("the world does not settle:\n{text}");
}
