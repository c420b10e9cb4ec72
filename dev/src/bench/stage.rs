//! What two ways to run the same Kafka are compared on: a namespace of its own, one way after the
//! other.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::cluster::kubectl::Kubectl;
use crate::command::run_with_input;
use crate::wait;

/// A StatefulSet of three brokers, as a person would write it by hand.
pub(super) const BARE: &str = include_str!("bare.yaml");
/// The same three brokers by Ottla.
pub(super) const OURS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart.yaml"));

const PATIENCE: Duration = Duration::from_secs(300);

/// A fresh namespace.
pub(super) struct Stage {
    kubectl: Kubectl,
    namespace: &'static str,
}

impl Stage {
    /// Makes it anew, with restricted pod security.
    pub(super) fn open(kubectl: &Kubectl, namespace: &'static str) -> anyhow::Result<Self> {
        let stage = Self { kubectl: kubectl.clone(), namespace };
        stage.close()?;
        kubectl.run(&format!("create namespace {namespace}"))?;
        let label = "pod-security.kubernetes.io/enforce=restricted";
        kubectl.run(&format!("label namespace {namespace} {label}"))?;
        Ok(stage)
    }

    /// Removes it with all that is in it. Pods go first and at once: with them in it, Kubernetes
    /// looks at a namespace again only after half of their time to say goodbye.
    pub(super) fn close(&self) -> anyhow::Result<()> {
        let name = self.namespace;
        let found = self.kubectl.run(&format!("get namespace {name} --ignore-not-found"))?;
        if found.is_empty() {
            return Ok(());
        }
        self.run("delete kafkaclusters,statefulsets --all --wait=false")?;
        self.run("delete pods --all --grace-period=1 --timeout=120s")?;
        self.kubectl.run(&format!("delete namespace {name} --timeout=300s"))?;
        Ok(())
    }

    /// kubectl within the namespace.
    pub(super) fn run(&self, line: &str) -> anyhow::Result<String> {
        self.kubectl.run(&format!("--namespace {} {line}", self.namespace))
    }

    /// The same with arguments that hold spaces.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        self.kubectl.command([&["--namespace", self.namespace], arguments].concat())
    }

    /// Seconds from applying manifests until `is_ready` says yes.
    pub(super) fn raise(
        &self,
        manifests: &str,
        is_ready: impl Fn(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<f64> {
        let mut apply = self.command(&["apply", "-f", "-"]);
        let started = Instant::now();
        run_with_input(&mut apply, manifests.as_bytes())?;
        self.until(started, "readiness", || is_ready(self))
    }

    /// Seconds from `started` until something holds.
    pub(super) fn until(
        &self,
        started: Instant,
        what: &str,
        holds: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<f64> {
        wait::until(what, PATIENCE, holds)?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// A field of a pod; empty where there is no pod, or no such field.
    pub(super) fn read(&self, pod: &str, path: &str) -> anyhow::Result<String> {
        let get = format!("get pod {pod} --ignore-not-found --output=jsonpath={path}");
        Ok(self.run(&get)?.trim().to_owned())
    }

    /// Whether a pod is Ready.
    pub(super) fn is_ready(&self, pod: &str) -> anyhow::Result<bool> {
        Ok(self.read(pod, "{.status.conditions[?(@.type=='Ready')].status}")? == "True")
    }

    /// Whether all pods of the StatefulSet are Ready.
    pub(super) fn bare_is_ready(&self) -> anyhow::Result<bool> {
        let path = "--output=jsonpath={.status.readyReplicas}";
        Ok(self.run(&format!("get statefulset bare {path}"))?.trim() == "3")
    }

    /// Whether the KafkaCluster is Ready.
    pub(super) fn ours_is_ready(&self) -> anyhow::Result<bool> {
        let path = "--output=jsonpath={.status.conditions[?(@.type=='Ready')].status}";
        Ok(self.run(&format!("get kafkacluster orders {path}"))?.trim() == "True")
    }
}

/// The value in the middle, or between the two that are.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}
