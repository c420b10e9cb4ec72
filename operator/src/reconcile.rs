//! Observe, plan, check, act, status: one pass over one object, and when the next is due.

use std::time::Duration;

use crate::act::Outcome;

pub mod cluster;
pub mod events;
pub mod lag;
pub mod status;

/// After a write the world is different: look again at once.
const AFTER_A_WRITE: Duration = Duration::from_millis(100);

/// While something is under way, it is looked at this often.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// What only a person can mend is looked at this often, so that mending it shows soon, and so is the
/// clock.
const NEEDS_A_PERSON: Duration = Duration::from_secs(5);

/// After a failed write, so that a broken API server is not hammered.
const AFTER_A_FAILURE: Duration = Duration::from_secs(2);

/// So many passes that try just the same are chance; whoever refuses or undoes it goes on.
const REPEATS_MAX: u32 = 5;

/// The pace after that, while something else is under way.
const SLOWER: Duration = Duration::from_secs(5);

/// When the next pass is due, where `remembers` is whether something else than before is remembered,
/// `rest` how long a cluster at rest is left alone, and `repeats` how many passes before tried just
/// the same.
fn next_pass(
    report: &ottla_plan::Report,
    outcome: &Outcome,
    remembers: bool,
    repeats: u32,
    rest: Duration,
) -> Duration {
    let waiting = || report.all_waiting();
    let under_way =
        || waiting().any(|one| !one.needs_person() && !one.is_harmless() && !one.is_for_time());
    if repeats > REPEATS_MAX {
        return if under_way() || !outcome.failed.is_empty() { SLOWER.min(rest) } else { rest };
    }
    if !outcome.failed.is_empty() {
        AFTER_A_FAILURE
    } else if remembers || !outcome.applied.is_empty() {
        AFTER_A_WRITE
    } else if under_way() {
        UNDER_WAY
    } else if waiting().any(|one| one.needs_person() || one.is_for_time()) {
        NEEDS_A_PERSON.min(rest)
    } else {
        rest
    }
}
