//! From the deletion of a broker's pod to the next one's readiness, beside a bare pod of the same
//! Kafka in the same run, and to that of the whole cluster; and the same for the JVM alone.

use std::time::Instant;

use super::Figure;
use super::stage::{BARE, OURS, Stage, median};
use crate::command::run;
use crate::{cluster, step};

/// Kills of each, taken in turn over the three pods.
const RUNS: usize = 3;

/// Kills Kafka inside a container. What is process 1 there ignores a signal from inside, so that
/// a bare Kafka cannot be killed this way.
const KILL_JAVA: &str = r#"for p in /proc/[0-9]*; do
    [ "$(readlink $p/exe)" = /opt/java/bin/java ] && kill -9 ${p#/proc/}; done"#;

pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    let kubectl = cluster::connect()?;
    let stage = Stage::open(&kubectl, "bench-killed")?;
    stage.raise(BARE, Stage::bare_is_ready)?;
    let mut bare = Vec::new();
    for run in 0..RUNS {
        bare.push(pod_deleted(&stage, &format!("bare-{run}"), Stage::bare_is_ready)?);
    }
    let stage = Stage::open(&kubectl, "bench-killed")?;
    stage.raise(OURS, Stage::ours_is_ready)?;
    let (mut ours, mut java) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let pod = format!("orders-broker-{run}-0");
        ours.push(pod_deleted(&stage, &pod, Stage::ours_is_ready)?);
        java.push(java_killed(&stage, &pod)?);
    }
    stage.close()?;
    let pod = |all: &[Seconds]| median(all.iter().map(|seconds| seconds.pod).collect());
    let cluster = |all: &[Seconds]| median(all.iter().map(|seconds| seconds.cluster).collect());
    Ok(vec![
        Figure::new("killed_bare_pod", pod(&bare), "s"),
        Figure::new("killed_pod", pod(&ours), "s"),
        Figure::new("killed_pod_ratio", pod(&ours) / pod(&bare), "x").at_most(1.3),
        Figure::new("killed_pod_until_cluster", cluster(&ours), "s"),
        Figure::new("killed_java", pod(&java), "s"),
        Figure::new("killed_java_until_cluster", cluster(&java), "s"),
    ])
}

/// How long it took until the pod was Ready again, and until all was said to be.
struct Seconds {
    pod: f64,
    cluster: f64,
}

type Check = fn(&Stage) -> anyhow::Result<bool>;

/// Deletes a pod, as `kubectl delete` does, and waits for another of its name.
fn pod_deleted(stage: &Stage, pod: &str, all_ready: Check) -> anyhow::Result<Seconds> {
    let life = "{.metadata.uid}";
    let before = stage.read(pod, life)?;
    let started = Instant::now();
    stage.run(&format!("delete pod {pod} --wait=false"))?;
    lives_again(stage, pod, (life, &before), started, all_ready)
}

fn java_killed(stage: &Stage, pod: &str) -> anyhow::Result<Seconds> {
    let life = "{.status.containerStatuses[0].restartCount}";
    let before = stage.read(pod, life)?;
    let started = Instant::now();
    // The container ends with its JVM, perhaps before the command is said to have ended.
    let _ = run(&mut stage.command(&["exec", pod, "--", "bash", "-c", KILL_JAVA]));
    lives_again(stage, pod, (life, &before), started, Stage::ours_is_ready)
}

/// Waits until the pod lives another life than `before` and is Ready, and then until all are.
fn lives_again(
    stage: &Stage,
    pod: &str,
    (life, before): (&str, &str),
    started: Instant,
    all_ready: Check,
) -> anyhow::Result<Seconds> {
    let seconds = stage.until(started, "another life of the pod", || {
        let now = stage.read(pod, life)?;
        Ok(!now.is_empty() && now != before && stage.is_ready(pod)?)
    })?;
    let cluster = stage.until(started, "all to be Ready", || all_ready(stage))?;
    step::say(&format!("    {pod}: {seconds:.1}s, all: {cluster:.1}s"));
    Ok(Seconds { pod: seconds, cluster })
}
