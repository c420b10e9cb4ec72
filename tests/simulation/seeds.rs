//! Many lives, one a seed. The first that breaks a law is shrunk and told.

use std::collections::BTreeSet;
use std::env;

use super::event::Event;
use super::life::Life;
use super::probes::{Counts, Probes};

/// How many seeds are played unless `OTTLA_SEEDS` says otherwise.
const SEEDS: u64 = 20_000;

/// Threads that play, each every so-manyth seed.
const THREADS: u64 = 2;

/// Of so many seeds the life is lived twice, and must be the same.
const REPEATED: u64 = 200;

#[test]
fn no_life_breaks_a_law_and_all_come_to_rest() {
    if let Some(seed) = number("OTTLA_SEED") {
        let (trace, result) = Life::of(seed).live(&mut Probes::default());
        panic!("seed {seed}:\n{}\n{result:?}", trace.join("\n"));
    }
    let seeds = number("OTTLA_SEEDS").unwrap_or(SEEDS);
    let mut counts = Counts::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|first| scope.spawn(move || play(first, seeds))).collect();
        for thread in threads {
            counts.add(&thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    let names: BTreeSet<String> = every_event().into_iter().map(Event::name).collect();
    let never = counts.never(&names.into_iter().collect::<Vec<_>>());
    println!("{seeds} lives: {}", counts.line());
    assert!(seeds < SEEDS || never.is_empty(), "never happened: {}", never.join(", "));
    let rare = counts.rare();
    assert!(seeds < SEEDS || rare.is_empty(), "too seldom: {}", rare.join(", "));
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

fn play(first: u64, seeds: u64) -> Counts {
    let mut counts = Counts::default();
    for seed in (first..seeds).step_by(THREADS as usize) {
        let life = Life::of(seed);
        let mut probes = Probes::default();
        let (trace, result) = life.live(&mut probes);
        counts.add_life(probes);
        if let Err(error) = result {
            tell(seed, &life, &format!("{error:#}"));
        }
        if seed < REPEATED {
            let (again, _) = Life::of(seed).live(&mut Probes::default());
            assert!(trace == again, "seed {seed} has two lives");
        }
    }
    counts
}

/// Fails with the shortest life that breaks the same law.
fn tell(seed: u64, life: &Life, error: &str) -> ! {
    let short = shrunk(life, law(error));
    let (trace, result) = short.live(&mut Probes::default());
    let why = result.err().map(|error| format!("{error:#}")).unwrap_or_default();
    panic!(
        "seed {seed} breaks a law: {error}\n\nthe shortest such life ({}, {} brokers):\n{}\n{why}",
        short.birth.example().0,
        short.birth.brokers,
        trace.join("\n")
    );
}

/// The part of an error that tells one law from another.
fn law(error: &str) -> &str {
    error.rsplit(": ").nth(1).unwrap_or(error)
}

/// Leaves out events as long as the same law is broken without them.
fn shrunk(life: &Life, law: &str) -> Life {
    let breaks = |life: &Life| {
        let (_, result) = life.live(&mut Probes::default());
        result.is_err_and(|error| format!("{error:#}").contains(law))
    };
    let mut short = life.clone();
    let mut size = short.events.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < short.events.len() {
            let mut without = short.clone();
            without.events.drain(at..(at + size).min(short.events.len()));
            if breaks(&without) {
                short = without;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    short
}

/// One event of each kind.
fn every_event() -> Vec<Event> {
    let mut rng = fastrand::Rng::with_seed(0);
    (0..10_000).map(|_| Event::random(&mut rng)).collect()
}
