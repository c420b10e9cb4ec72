//! The operator dies before and after each write of a whole roll, and each reply is lost once: the
//! roll ends the same.

use std::collections::BTreeMap;

use ottla_tests::world::{Mishap, World};
use serde_json::json;

use super::life::{born, settle};
use super::probes::Probes;

/// More writes than a roll of six nodes has.
const WRITES_MAX: usize = 400;

#[test]
fn a_roll_survives_a_crash_at_every_write() {
    for dedicated in [false, true] {
        let undisturbed = end(dedicated, None).expect("a roll without any mishap");
        for mishap in [Mishap::CrashBefore, Mishap::CrashAfter, Mishap::LostReply, Mishap::Refused]
        {
            let mut write = 0;
            while let Some(end) = end(dedicated, Some((write, mishap))) {
                assert_eq!(end, undisturbed, "{mishap:?} at write {write}");
                write += 1;
                assert!(write < WRITES_MAX, "the roll has no end");
            }
            assert!(write > 10, "only {write} writes were disturbed");
        }
    }
}

/// How a roll ends that meets a mishap at its write of this number: every pod and how often it was
/// made. `None` where it has fewer writes.
fn end(dedicated: bool, mishap: Option<(usize, Mishap)>) -> Option<BTreeMap<String, usize>> {
    let mut world = born(dedicated).clone();
    world
        .edit(
            &["spec", "config"],
            json!({ "log.retention.hours": "7", "message.max.bytes": "2000000" }),
        )
        .unwrap();
    let met = mishap.is_none_or(|(write, mishap)| disturbed(&mut world, write, mishap));
    if !met {
        return None;
    }
    let (mut probes, mut trace) = (Probes::default(), Vec::new());
    if let Err(error) = settle(&mut world, &mut probes, &mut trace) {
        panic!("{mishap:?}: {error:#}\n{}", trace.join("\n"));
    }
    Some(world.pod_lives().clone())
}

/// Rolls until the write of this number, which meets the mishap. Whether there was one.
fn disturbed(world: &mut World, write: usize, mishap: Mishap) -> bool {
    world.arm(write, mishap);
    loop {
        let outcome = world.pass().unwrap();
        if !world.is_armed() {
            return true;
        }
        let noticed = world.notice_budgets();
        let advanced = world.advance_all();
        if !outcome.changed_something() && !noticed && !advanced {
            return false;
        }
    }
}
