//! From `kubectl apply` to Ready, beside a bare StatefulSet of the same Kafka in the same run.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Figure;
use crate::cluster::{self, kubectl::Kubectl};
use crate::command::{run, run_with_input};
use crate::{step, wait};

const BARE: &str = include_str!("ready/bare.yaml");
const OURS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart.yaml"));

const PATIENCE: Duration = Duration::from_secs(300);

/// Runs of each, taken in turn so that a machine that slows down slows both.
const RUNS: usize = 2;

const NAMESPACE: &str = "bench-ready";

pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    let kubectl = cluster::connect()?;
    let (mut bare, mut ours, mut phases) = (Vec::new(), Vec::new(), Phases::default());
    for _ in 0..RUNS {
        bare.push(timed(&kubectl, BARE, bare_is_ready)?);
        ours.push(timed(&kubectl, OURS, |kubectl| {
            let ready = ours_is_ready(kubectl)?;
            if ready {
                phases = Phases::read(kubectl)?;
            }
            Ok(ready)
        })?);
    }
    let (bare, ours) = (median(bare), median(ours));
    let mut figures = vec![
        Figure::new("ready_bare", bare, "s"),
        Figure::new("ready", ours, "s"),
        Figure::new("ready_ratio", ours / bare, "x").at_most(1.8),
    ];
    figures.extend(phases.figures());
    Ok(figures)
}

/// Seconds from apply until `is_ready` says yes, in a namespace of its own.
fn timed(
    kubectl: &Kubectl,
    manifests: &str,
    mut is_ready: impl FnMut(&Kubectl) -> anyhow::Result<bool>,
) -> anyhow::Result<f64> {
    drop_namespace(kubectl)?;
    kubectl.run(&format!("create namespace {NAMESPACE}"))?;
    let line = format!("label namespace {NAMESPACE} pod-security.kubernetes.io/enforce=restricted");
    kubectl.run(&line)?;
    let mut apply = kubectl.command(["--namespace", NAMESPACE, "apply", "-f", "-"]);
    let started = Instant::now();
    run_with_input(&mut apply, manifests.as_bytes())?;
    wait::until("readiness", PATIENCE, || is_ready(kubectl))?;
    let seconds = started.elapsed().as_secs_f64();
    step::say(&format!("    {seconds:.1}s"));
    drop_namespace(kubectl)?;
    Ok(seconds)
}

fn drop_namespace(kubectl: &Kubectl) -> anyhow::Result<()> {
    let line = format!("delete namespace {NAMESPACE} --ignore-not-found --wait --timeout=300s");
    kubectl.run(&line)?;
    Ok(())
}

fn bare_is_ready(kubectl: &Kubectl) -> anyhow::Result<bool> {
    let ready = kubectl.run(&format!(
        "--namespace {NAMESPACE} get statefulset bare --output=jsonpath={{.status.readyReplicas}}"
    ))?;
    Ok(ready.trim() == "3")
}

fn ours_is_ready(kubectl: &Kubectl) -> anyhow::Result<bool> {
    let ready = kubectl.run(&format!(
        "--namespace {NAMESPACE} get kafkacluster orders \
         --output=jsonpath={{.status.conditions[?(@.type=='Ready')].status}}"
    ))?;
    Ok(ready.trim() == "True")
}

/// Where the time of the slowest node goes, as Kubernetes and its agent dated it, in whole seconds
/// since the KafkaCluster was made.
#[derive(Debug, Default)]
struct Phases {
    scheduled: f64,
    container_started: f64,
    kafka_started: f64,
    pod_ready: f64,
}

impl Phases {
    fn read(kubectl: &Kubectl) -> anyhow::Result<Phases> {
        let get = |what: &str| -> anyhow::Result<Value> {
            let line = format!("--namespace {NAMESPACE} get {what} --output=json");
            Ok(serde_json::from_str(&kubectl.run(&line)?)?)
        };
        let cluster = get("kafkacluster orders")?;
        let began = seconds(&cluster["metadata"]["creationTimestamp"]);
        let pods = get("pods")?;
        let mut phases = Phases::default();
        for pod in pods["items"].as_array().into_iter().flatten() {
            let since = |value: f64| value - began;
            let started = &pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"];
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            for (phase, value) in [
                (&mut phases.scheduled, condition(pod, "PodScheduled")),
                (&mut phases.container_started, seconds(started)),
                (&mut phases.pod_ready, condition(pod, "Ready")),
                (&mut phases.kafka_started, kafka_started(kubectl, name)?),
            ] {
                *phase = phase.max(since(value));
            }
        }
        Ok(phases)
    }

    fn figures(&self) -> Vec<Figure> {
        [
            ("ready_until_scheduled", self.scheduled),
            ("ready_until_container_started", self.container_started),
            ("ready_until_kafka_started", self.kafka_started),
            ("ready_until_pod_ready", self.pod_ready),
        ]
        .into_iter()
        .map(|(name, value)| Figure::new(name, value, "s"))
        .collect()
    }
}

fn condition(pod: &Value, type_: &str) -> f64 {
    let conditions = pod["status"]["conditions"].as_array();
    let condition = conditions.into_iter().flatten().find(|c| c["type"] == type_);
    condition.map_or(0.0, |condition| seconds(&condition["lastTransitionTime"]))
}

/// When the agent started the JVM, by its own log.
fn kafka_started(kubectl: &Kubectl, pod: &str) -> anyhow::Result<f64> {
    let mut logs = kubectl.command(["--namespace", NAMESPACE, "logs", pod]);
    let text = run(&mut logs)?;
    let line = text.lines().find(|line| line.contains(" INFO Starting"));
    let date = line.and_then(|line| line.split_whitespace().nth(1)).unwrap_or_default();
    Ok(seconds(&Value::from(date)))
}

/// Seconds of the day of an RFC 3339 date: enough for differences of a minute.
fn seconds(date: &Value) -> f64 {
    let text = date.as_str().unwrap_or_default();
    let time = text.split('T').nth(1).unwrap_or_default().trim_end_matches('Z');
    time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse().unwrap_or(0.0))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}
