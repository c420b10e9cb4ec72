//! At rest after an operation: nothing is left to do, and nothing is written, neither to Kubernetes nor to
//! Kafka.

use std::time::Duration;

use super::audit::{self, Request};
use super::operator;
use super::stage::{Stage, say};
use super::wait::until;

/// Some passes come in this time, since Kafka's own comings and goings wake them.
const QUIET_FOR: Duration = Duration::from_secs(5);

/// An operator that was killed has to lead again first, and to write down what is over.
const RESTS_WITHIN: Duration = Duration::from_secs(90);

/// Waits until the operator has nothing to do, and has written nothing for a while.
pub(crate) async fn comes(stage: &Stage, cluster: &str, of: &str) -> anyhow::Result<()> {
    until(&format!("KafkaCluster {cluster} to be at rest"), RESTS_WITHIN, async || {
        let place = audit::end()?;
        let explained = match operator::explained(stage, cluster).await {
            Ok(explained) => explained,
            Err(error) => return Ok(Err(format!("{error:#}"))),
        };
        let left = operator::left_to_do(&explained);
        if !left.is_empty() {
            return Ok(Err(left.join("; ")));
        }
        let told = async || told_kafka(stage).await.map_err(|error| format!("{error:#}"));
        let told_before = told().await;
        tokio::time::sleep(QUIET_FOR).await;
        let (writes, told) = (written_since(stage, place)?, told().await);
        if told.is_err() || told != told_before {
            return Ok(Err(format!("Kafka was told to change: {told_before:?} became {told:?}")));
        }
        Ok(if writes.is_empty() { Ok(()) } else { Err(writes.join("; ")) })
    })
    .await?;
    say(&format!("{of}: at rest, nothing to do, and nothing written to Kubernetes or Kafka"));
    Ok(())
}

/// What the operator counts of its changes to Kafka. Another operator has another count.
pub(crate) async fn told_kafka(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let mut figures = operator::figures(stage).await?;
    figures.retain(|line| line.starts_with("ottla_kafka_changes_total"));
    Ok(figures)
}

/// What the operator wrote in the stage's namespace since a place in the audit log.
pub(crate) fn written_since(stage: &Stage, place: u64) -> anyhow::Result<Vec<String>> {
    let writes = audit::writes_since(place)?;
    let of_stage = writes.iter().filter(|one| one.namespace == stage.namespace);
    Ok(of_stage.map(Request::spell).collect())
}
