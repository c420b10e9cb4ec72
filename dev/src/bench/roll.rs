//! A roll of three brokers at rest, beside the sum of the restarts of the same brokers as bare pods in
//! the same run; and a change of configuration that restarts nobody.

use std::time::Instant;

use super::Figure;
use super::stage::{BARE, OURS, Stage, median};
use crate::command::run;
use crate::{cluster, step};

/// Rolls, and restarts of each bare pod.
const RUNS: usize = 3;

const PODS: usize = 3;

const UID: &str = "{.metadata.uid}";

pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    let kubectl = cluster::connect()?;
    let stage = Stage::open(&kubectl, "bench-roll")?;
    stage.raise(BARE, Stage::bare_is_ready)?;
    let bare = (0..RUNS).map(|_| bare_restarts(&stage)).collect::<anyhow::Result<Vec<f64>>>()?;
    let stage = Stage::open(&kubectl, "bench-roll")?;
    stage.raise(OURS, Stage::ours_is_ready)?;
    let rolls = (0..RUNS).map(|word| roll(&stage, word)).collect::<anyhow::Result<Vec<_>>>()?;
    let live = (0..RUNS)
        .map(|number| live_change(&stage, number))
        .collect::<anyhow::Result<Vec<f64>>>()?;
    stage.close()?;
    let begins = rolls.iter().map(|(begins, _)| *begins).collect();
    let (bare, ours) = (median(bare), median(rolls.into_iter().map(|(_, all)| all).collect()));
    Ok(vec![
        Figure::new("roll_bare_restarts", bare, "s"),
        Figure::new("roll", ours, "s"),
        Figure::new("roll_ratio", ours / bare, "x").at_most(1.3),
        Figure::new("roll_begins", median(begins), "s").at_most(2.0),
        Figure::new("live_change", median(live), "s").at_most(2.0),
    ])
}

/// Seconds that the restarts of all bare pods take, one after another.
fn bare_restarts(stage: &Stage) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for pod in (0..PODS).map(|number| format!("bare-{number}")) {
        let before = stage.read(&pod, UID)?;
        let started = Instant::now();
        stage.run(&format!("delete pod {pod} --wait=false"))?;
        sum += stage.until(started, "another pod to be Ready", || {
            let now = stage.read(&pod, UID)?;
            Ok(!now.is_empty() && now != before && stage.is_ready(&pod)?)
        })?;
    }
    step::say(&format!("    three bare restarts: {sum:.1}s"));
    Ok(sum)
}

/// Seconds from asking for a restart of everything until the first pod ends, and until all is Ready.
fn roll(stage: &Stage, word: usize) -> anyhow::Result<(f64, f64)> {
    let read = |path: &str| -> anyhow::Result<Vec<String>> {
        (0..PODS).map(|number| stage.read(&format!("orders-broker-{number}-0"), path)).collect()
    };
    let before = read(UID)?;
    let word = format!("ottla.dev/restart=run-{word}");
    let started = Instant::now();
    run(&mut stage.command(&["annotate", "--overwrite", "kafkacluster", "orders", &word]))?;
    let begins = stage.until(started, "the roll to begin", || {
        let told_to_end = read("{.metadata.deletionTimestamp}")?.iter().any(|at| !at.is_empty());
        Ok(told_to_end || read(UID)? != before)
    })?;
    let all = stage.until(started, "the roll to end", || {
        let now = read(UID)?;
        let restarted = now.iter().zip(&before).all(|(now, before)| now != before);
        Ok(restarted && stage.ours_is_ready()?)
    })?;
    step::say(&format!("    a roll: begins after {begins:.1}s, over after {all:.1}s"));
    Ok((begins, all))
}

/// Seconds from an edit of a key that nodes take while they run until an event says that Kafka has it:
/// the operator reads it back before it says so.
fn live_change(stage: &Stage, number: usize) -> anyhow::Result<f64> {
    let bytes = 2_000_000 + number;
    let patch = format!(r#"{{"spec":{{"config":{{"message.max.bytes":"{bytes}"}}}}}}"#);
    let note = format!("message.max.bytes {bytes}");
    let old = format!("-> {bytes}");
    let started = Instant::now();
    run(&mut stage.command(&["patch", "kafkacluster", "orders", "--type=merge", "-p", &patch]))?;
    let took = stage.until(started, "an event that says that Kafka has it", || {
        let events = stage.run("get events -o jsonpath={.items[*].message}")?;
        Ok(events.contains(&note) || events.contains(&old))
    })?;
    step::say(&format!("    a change of live configuration: {took:.1}s"));
    Ok(took)
}
