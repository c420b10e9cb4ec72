//! How a simulated life comes to rest: misfortune ends, and a person mends what only a person can.

use anyhow::{Context, Result, bail};
use ottla_plan::{WaitingOn, release};
use ottla_tests::world::{Outcome, World};
use serde_json::json;

use super::edit::{DISKS, edit, leave_out_broken, volumes};
use super::event::Event;
use super::probes::Probes;

/// More rounds than eight rolls of ten nodes need, each with a step of every pod: two other CAs take six.
const ROUNDS_MAX: usize = 1000;

/// What a pass did, and what people read then.
pub(crate) fn note(world: &World, outcome: &Outcome, probes: &mut Probes, trace: &mut Vec<String>) {
    for line in &outcome.done {
        trace.push(format!("  did  {line}"));
        probes.note_action(line);
    }
    outcome.not_done.iter().for_each(|line| trace.push(format!("  fail {line}")));
    probes.note_status(&world.status());
    world.happened().iter().for_each(|name| probes.note(name));
}

/// The misfortunes stop, and a person mends what only a person can. Then the world must come to rest,
/// with every node as the spec wants it.
pub(crate) fn settle(
    world: &mut World,
    probes: &mut Probes,
    trace: &mut Vec<String>,
) -> Result<()> {
    trace.push("all misfortune ends".to_owned());
    world.silence_kafka(None);
    world.speak();
    world.let_all_catch_up();
    world.hear_all();
    world.catch_up_with_news();
    world.ready_all();
    edit(world, Event::GoodOption)?;
    edit(world, Event::Upgrade(1))?;
    go_where_there_is_a_way(world)?;
    for _ in 0..ROUNDS_MAX {
        let outcome = world.pass()?;
        note(world, &outcome, probes, trace);
        let noticed = world.notice_budgets();
        let advanced = world.advance_all();
        let copied = world.copy();
        world.produce();
        let still = !outcome.changed_something() && !noticed && !advanced && !copied;
        if still && !world.wait()? {
            if keeps_who_cannot_leave(world)?
                || fits_its_data(world)?
                || asks_for_more_controllers(world)?
                || world.declare_lost_disks()?
                || leave_out_broken(world, 0)?
                || gives_full_disks_room(world)?
                || world.take_back_moves_by_hand()
            {
                continue;
            }
            world.at_rest(&outcome.not_done).context("at the end")?;
            return world.as_wished().context("at the end");
        }
    }
    bail!("L1: the world does not come to rest");
}

/// A person lets a broker stay that was a controller, or is the last of a zone. Whether there is one.
fn keeps_who_cannot_leave(world: &mut World) -> Result<bool> {
    let mut waiting = world.plan()?.report.waiting_on.into_iter();
    let forbidden = |one: &WaitingOn| {
        let WaitingOn::ScaleInForbidden { detail } = one else { return false };
        detail.contains("it was a controller") || detail.contains("in fewer zones")
    };
    let is_forbidden = waiting.any(|one| forbidden(&one));
    if is_forbidden {
        world.edit(&["spec", "brokers", "excludedIds"], json!([]))?;
        world.edit(&["spec", "brokers", "replicas"], 5.into())?;
    }
    Ok(is_forbidden)
}

/// A person asks for three controllers where one alone has to give its metadata log away. Whether there was one.
fn asks_for_more_controllers(world: &mut World) -> Result<bool> {
    let mut waiting = world.plan()?.report.waiting_on.into_iter();
    let few = |one: &WaitingOn| matches!(one, WaitingOn::DiskCannotLeave { detail } if detail.contains("fewer than three controllers"));
    let is_alone = waiting.any(|one| few(&one));
    if is_alone {
        world.edit(&["spec", "controllers", "replicas"], 3.into())?;
    }
    Ok(is_alone)
}

/// A person makes full disks larger: by the spec or, where that does not name them any more, by hand. Whether there
/// were any.
fn gives_full_disks_room(world: &mut World) -> Result<bool> {
    let full = world.full_claims();
    let Some(claim) = full.first() else { return Ok(false) };
    let named = |volume: &str| claim.ends_with(&format!("-{volume}"));
    let desired = world.desired().map(|one| one.brokers.volumes.clone()).unwrap_or_default();
    if desired.iter().any(|volume| named(&volume.name)) {
        edit(world, Event::GrowDisks(0))?;
    } else {
        world.grow_claim(claim)?;
    }
    Ok(true)
}

/// A person creates a KafkaCluster again as its data is. Whether it was not.
fn fits_its_data(world: &mut World) -> Result<bool> {
    let mut waiting = world.plan()?.report.waiting_on.into_iter();
    let differs = waiting.any(|one| matches!(one, WaitingOn::DataMismatch { .. }));
    if differs {
        world.edit(&["spec", "brokers", "excludedIds"], json!([]))?;
        world.edit(&["spec", "brokers", "replicas"], 5.into())?;
        let all = volumes(world, &DISKS);
        world.edit(&["spec", "brokers", "storage", "volumes"], all.clone())?;
        if world.desired().is_ok_and(|desired| desired.dedicated()) {
            world.edit(&["spec", "controllers", "storage", "volumes"], all)?;
        }
    }
    Ok(differs)
}

/// A person names a release again that knows what is switched on.
fn go_where_there_is_a_way(world: &mut World) -> Result<()> {
    // The status may be from before the last feature was switched on.
    let allowed = release::allowed(&world.observe().features());
    let wanted = world.desired().map(|desired| desired.version).unwrap_or_default();
    match allowed.first() {
        Some(oldest) if !allowed.contains(&wanted) => {
            world.edit(&["spec", "version"], oldest.clone().into())
        }
        _ => Ok(()),
    }
}
