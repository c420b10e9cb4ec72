//! At rest after an operation: nothing is left to do, and nothing is written.

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
        tokio::time::sleep(QUIET_FOR).await;
        let writes = written_since(stage, place)?;
        Ok(if writes.is_empty() { Ok(()) } else { Err(writes.join("; ")) })
    })
    .await?;
    say(&format!("{of}: at rest, nothing to do and nothing written"));
    Ok(())
}

/// What the operator wrote in the stage's namespace since a place in the audit log.
pub(crate) fn written_since(stage: &Stage, place: u64) -> anyhow::Result<Vec<String>> {
    let writes = audit::writes_since(place)?;
    let of_stage = writes.iter().filter(|one| one.namespace == stage.namespace);
    Ok(of_stage.map(Request::spell).collect())
}
