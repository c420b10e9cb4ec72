//! A Kafka client that is not ours, in a pod of its own beside the cluster.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::exec::exec;
use super::stage::Stage;
use super::wait::until;

const STARTED_WITHIN: Duration = Duration::from_secs(60);

/// kube-proxy learns of a Ready pod after everybody else, and writes its rules at most once a
/// second; until then a Service's address refuses connections, and kcat gives up at the first.
const REACHED_WITHIN: Duration = Duration::from_secs(15);

/// A pod with kcat that trusts the CA of one cluster.
pub(crate) struct Kcat<'a> {
    stage: &'a Stage,
    pod: String,
    cluster: String,
}

impl<'a> Kcat<'a> {
    /// Starts it beside a cluster.
    pub(crate) async fn beside(cluster: &Cluster<'a>) -> anyhow::Result<Self> {
        let stage = cluster.stage;
        let pod = format!("client-{}", cluster.name);
        stage.apply(&manifest(&pod, &cluster.name)).await?;
        let pods = stage.api::<Pod>();
        until("the client's pod to run", STARTED_WITHIN, async || {
            let phase = pods.get(&pod).await?.status.and_then(|status| status.phase);
            Ok(if phase.as_deref() == Some("Running") { Ok(()) } else { Err(format!("{phase:?}")) })
        })
        .await?;
        Ok(Self { stage, pod, cluster: cluster.name.clone() })
    }

    /// Writes one record a line, each acknowledged by all in-sync replicas.
    pub(crate) async fn produce(
        &self,
        listener: &str,
        topic: &str,
        records: &str,
    ) -> anyhow::Result<()> {
        self.reach(listener).await?;
        let mut command = self.kcat(listener);
        command.extend(
            ["-P", "-t", topic, "-X", "acks=all", "-X", "enable.idempotence=true"]
                .map(str::to_owned),
        );
        self.run(&command, records).await?;
        Ok(())
    }

    /// Reads a topic from its beginning to its end.
    pub(crate) async fn consume(&self, listener: &str, topic: &str) -> anyhow::Result<String> {
        self.reach(listener).await?;
        let mut command = self.kcat(listener);
        command.extend(["-C", "-t", topic, "-o", "beginning", "-e", "-q"].map(str::to_owned));
        self.run(&command, "").await
    }

    /// Whether every replica of a topic is in sync, and what Kafka says of it.
    pub(crate) async fn in_sync(&self, topic: &str) -> anyhow::Result<(bool, String)> {
        let mut command = self.kcat("plain");
        command.extend(["-L", "-J", "-m", "5", "-t", topic].map(str::to_owned));
        let told = self.run(&command, "").await?;
        let topics: Value = serde_json::from_str(&told)?;
        let partitions = topics["topics"][0]["partitions"].as_array();
        let count = |one: &Value, what: &str| one[what].as_array().map_or(0, Vec::len);
        let whole = |one: &Value| count(one, "isrs") == count(one, "replicas");
        let all = partitions.is_some_and(|all| !all.is_empty() && all.iter().all(whole));
        Ok((all, told))
    }

    /// Writes records through a listener and reads them back.
    pub(crate) async fn round_trip(&self, listener: &str, topic: &str) -> anyhow::Result<()> {
        let records = numbered(topic, 100);
        self.produce(listener, topic, &records).await?;
        self.holds(listener, topic, &records).await
    }

    /// Fails unless a topic holds exactly these records.
    pub(crate) async fn holds(
        &self,
        listener: &str,
        topic: &str,
        records: &str,
    ) -> anyhow::Result<()> {
        let consumed = self.consume(listener, topic).await?;
        let mut found: Vec<&str> = consumed.lines().collect();
        let mut wanted: Vec<&str> = records.lines().collect();
        found.sort_unstable();
        wanted.sort_unstable();
        ensure!(
            found == wanted,
            "topic {topic} holds {} records, and {} were produced",
            found.len(),
            wanted.len()
        );
        Ok(())
    }

    /// Waits until a listener's bootstrap Service leads to a broker.
    async fn reach(&self, listener: &str) -> anyhow::Result<()> {
        let mut command = self.kcat(listener);
        command.extend(["-L", "-m", "5"].map(str::to_owned));
        until("the bootstrap Service to lead to a broker", REACHED_WITHIN, async || {
            Ok(self.run(&command, "").await.map(drop).map_err(|refusal| format!("{refusal:#}")))
        })
        .await
    }

    fn kcat(&self, listener: &str) -> Vec<String> {
        let port = if listener == "tls" { 9093 } else { 9092 };
        let bootstrap = format!("{}-{listener}-bootstrap:{port}", self.cluster);
        let mut command = vec!["kcat".to_owned(), "-b".to_owned(), bootstrap];
        if listener == "tls" {
            let tls = ["-X", "security.protocol=ssl", "-X", "ssl.ca.location=/ca/ca.crt"];
            command.extend(tls.map(str::to_owned));
        }
        command
    }

    async fn run(&self, command: &[String], input: &str) -> anyhow::Result<String> {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        exec(&self.stage.api(), &self.pod, &command, input).await
    }
}

/// So many different records.
pub(crate) fn numbered(word: &str, count: usize) -> String {
    (0..count).map(|number| format!("{word} {number}\n")).collect()
}

fn manifest(pod: &str, cluster: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": pod },
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 1001,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": "client",
                "image": "ottla.dev/client:0.1.0",
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "infinity"],
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
