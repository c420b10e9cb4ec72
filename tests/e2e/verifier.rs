//! A verifying producer and consumer in a pod of its own beside the cluster: what was acknowledged
//! must be there in the end.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::Request;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::rest;
use super::stage::{Stage, say};
use super::wait::until;

const POD: &str = "verifier";
/// The image is there already; the topic has to be made.
const STARTED_WITHIN: Duration = Duration::from_secs(60);
/// A client may have to learn where every partition's leader is.
const GOES_ON_WITHIN: Duration = Duration::from_secs(60);
/// How many more records show that each partition takes some again.
const MORE_RECORDS: u64 = 400;

/// The longest that a producer may wait for an acknowledgement while nodes are restarted as planned.
const GAP_MAX_MILLISECONDS: u64 = 10_000;

/// A run that goes on until its verdict is asked for.
pub(crate) struct Verifier<'a> {
    stage: &'a Stage,
    cluster: String,
}

impl<'a> Verifier<'a> {
    /// Starts a run, and waits until records are acknowledged.
    pub(crate) async fn beside(cluster: &Cluster<'a>) -> anyhow::Result<Self> {
        let bootstrap = format!("--bootstrap={}-plain-bootstrap:9092", cluster.name);
        Self::start(cluster, &[bootstrap]).await
    }

    /// As [`Verifier::beside`], as a client that verifies brokers, and reads the CA when it changes.
    pub(crate) async fn by_tls(cluster: &Cluster<'a>) -> anyhow::Result<Self> {
        let bootstrap = format!("--bootstrap={}-tls-bootstrap:9093", cluster.name);
        Self::start(cluster, &[bootstrap, "--ca=/ca/ca.crt".to_owned()]).await
    }

    async fn start(cluster: &Cluster<'a>, arguments: &[String]) -> anyhow::Result<Self> {
        let verifier = Self { stage: cluster.stage, cluster: cluster.name.clone() };
        verifier.stage.apply(&manifest(&cluster.name, arguments)).await?;
        let pods = verifier.stage.api::<Pod>();
        until("the verifier's pod to run", STARTED_WITHIN, async || {
            let phase = pods.get(POD).await?.status.and_then(|status| status.phase);
            Ok(if phase.as_deref() == Some("Running") { Ok(()) } else { Err(format!("{phase:?}")) })
        })
        .await?;
        verifier.goes_on().await?;
        Ok(verifier)
    }

    /// Waits until more records are acknowledged.
    pub(crate) async fn goes_on(&self) -> anyhow::Result<()> {
        let mut goal = None;
        until("records to be acknowledged", GOES_ON_WITHIN, async || {
            let Ok(progress) = self.ask("progress").await else {
                return Ok(Err("the verifier does not answer".to_owned()));
            };
            let acked = progress["acked"].as_u64().unwrap_or_default();
            let goal = *goal.get_or_insert(acked + MORE_RECORDS);
            Ok(if acked >= goal { Ok(()) } else { Err(progress.to_string()) })
        })
        .await
    }

    /// Waits until more records are acknowledged after an operation that was planned, and the cluster is at rest.
    /// Fails if a producer had to wait for long since the one before.
    pub(crate) async fn goes_on_after(&self, of: &str) -> anyhow::Result<()> {
        self.goes_on().await?;
        let lap = self.ask("lap").await?;
        say(&format!("{of}: longest wait for an acknowledgement {}", waits(&lap)));
        has_waited_for_no_long_time(&lap)?;
        rest::comes(self.stage, &self.cluster, of).await
    }

    /// Ends the run, and fails unless every acknowledged record is where it should be, once.
    pub(crate) async fn verdict(self, of: &str) -> anyhow::Result<()> {
        let verdict = self.ask("stop").await?;
        ensure!(verdict["ok"] == true, "the verifier's verdict: {verdict:#}");
        say(&format!(
            "{of}: verified: {} records acknowledged, {} read, none lost, twice, out of order or \
             wrong; {} batches sent again, no producer would have given up; longest wait for an \
             acknowledgement {}",
            verdict["acked"],
            verdict["read"],
            verdict["retries"],
            waits(&verdict)
        ));
        Ok(())
    }

    /// As [`Verifier::verdict`], of operations that were planned: no producer had to wait for long, and the
    /// cluster is at rest after them.
    pub(crate) async fn verdict_of_planned(self, of: &str) -> anyhow::Result<()> {
        let waited = self.has_waited_for_no_long_time(of).await;
        let rests = rest::comes(self.stage, &self.cluster, of).await;
        self.verdict(of).await?;
        waited.and(rests)
    }

    /// Fails if a producer had to wait for long up to now.
    pub(crate) async fn has_waited_for_no_long_time(&self, of: &str) -> anyhow::Result<()> {
        let progress = self.ask("progress").await?;
        say(&format!("{of}: longest wait for an acknowledgement up to now {}", waits(&progress)));
        has_waited_for_no_long_time(&progress)
    }

    async fn ask(&self, what: &str) -> anyhow::Result<Value> {
        let path =
            format!("/api/v1/namespaces/{}/pods/{POD}:8080/proxy/{what}", self.stage.namespace);
        let request = Request::get(path).body(Vec::new())?;
        self.stage.client.request(request).await.context("the verifier did not answer")
    }
}

fn has_waited_for_no_long_time(told: &Value) -> anyhow::Result<()> {
    let gap = told["longestGapMilliseconds"].as_u64().unwrap_or(u64::MAX);
    ensure!(
        gap <= GAP_MAX_MILLISECONDS,
        "a partition went {gap} ms without an acknowledgement: {told:#}"
    );
    Ok(())
}

/// The longest wait for an acknowledgement, of all and of each partition.
fn waits(told: &Value) -> String {
    let longest = &told["longestGapMilliseconds"];
    let partitions = told["partitions"].as_array().into_iter().flatten();
    let each = partitions.map(|one| one["longestGapMilliseconds"].to_string());
    format!("{longest} ms (of each partition: {})", each.collect::<Vec<_>>().join(", "))
}

fn manifest(cluster: &str, arguments: &[String]) -> Value {
    let task = ["run", "--topic=verified"].map(str::to_owned);
    let arguments = [&task[..], arguments].concat();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": POD },
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 1001,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": "verifier",
                "image": "ottla.dev/verifier:0.1.0",
                "imagePullPolicy": "IfNotPresent",
                "args": arguments,
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                },
                "volumeMounts": [{ "name": "ca", "mountPath": "/ca" }],
            }],
            "volumes": [{ "name": "ca", "configMap": { "name": format!("{cluster}-ca") } }],
        },
    })
}
