//! From `kubectl apply` to Ready, beside a bare StatefulSet of the same Kafka in the same run.

use serde_json::Value;

use super::Figure;
use super::stage::{BARE, OURS, Stage, median};
use crate::{cluster, step};

/// Runs of each, taken in turn so that a machine that slows down slows both.
const RUNS: usize = 2;

pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    let kubectl = cluster::connect()?;
    let (mut bare, mut ours, mut phases) = (Vec::new(), Vec::new(), Phases::default());
    for _ in 0..RUNS {
        let stage = Stage::open(&kubectl, "bench-ready")?;
        bare.push(noted(stage.raise(BARE, Stage::bare_is_ready)?));
        let stage = Stage::open(&kubectl, "bench-ready")?;
        ours.push(noted(stage.raise(OURS, Stage::ours_is_ready)?));
        phases = Phases::read(&stage)?;
        stage.close()?;
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

fn noted(seconds: f64) -> f64 {
    step::say(&format!("    {seconds:.1}s"));
    seconds
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
    fn read(stage: &Stage) -> anyhow::Result<Phases> {
        let get = |what: &str| -> anyhow::Result<Value> {
            Ok(serde_json::from_str(&stage.run(&format!("get {what} --output=json"))?)?)
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
                (&mut phases.kafka_started, kafka_started(stage, name)?),
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
fn kafka_started(stage: &Stage, pod: &str) -> anyhow::Result<f64> {
    let text = stage.run(&format!("logs {pod}"))?;
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
