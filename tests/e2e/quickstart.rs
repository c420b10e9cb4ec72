//! The first ten minutes: what the README promises, word for word.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::audit;
use super::cluster::Cluster;
use super::kcat::Kcat;
use super::manifest;
use super::stage::{Stage, play, say};
use super::wait::{spell, until};

/// After Ready, the last writes of a bring-up are over within seconds.
const QUIET_WITHIN: Duration = Duration::from_secs(60);
/// How long nothing must have been written to call it quiet.
const QUIET: Duration = Duration::from_secs(5);
/// How long it is watched then.
const WATCHED: Duration = Duration::from_secs(20);

#[tokio::test]
async fn quickstart() -> anyhow::Result<()> {
    play("quickstart", scenario).await
}

async fn scenario(stage: &Stage) -> anyhow::Result<()> {
    let cluster = Cluster::apply(stage, &manifest::quickstart()?).await?;
    say(&format!("quickstart: Ready after {}", spell(cluster.ready().await?)));
    let status = cluster.status().await?;
    let addresses: Vec<&str> =
        status.listeners.iter().map(|listener| listener.bootstrap_servers.as_str()).collect();
    ensure!(
        addresses
            == [
                "orders-plain-bootstrap.e2e-quickstart.svc:9092",
                "orders-tls-bootstrap.e2e-quickstart.svc:9093"
            ],
        "the status offers {addresses:?}"
    );
    let client = Kcat::beside(&cluster).await?;
    for listener in ["plain", "tls"] {
        client.round_trip(listener, &format!("hello-{listener}")).await?;
    }
    at_rest().await?;
    let lives = cluster.lives().await?;
    ensure!(lives.values().all(|(_, restarts)| *restarts == 0), "pods restarted: {lives:?}");
    Ok(())
}

/// The operator writes nothing at all, for any cluster, patches without effect included.
async fn at_rest() -> anyhow::Result<()> {
    let mut place = audit::end()?;
    let mut quiet_since = Instant::now();
    until("the operator to fall quiet", QUIET_WITHIN, async || {
        let writes = audit::writes_since(place)?;
        if let Some(last) = writes.last() {
            place = audit::end()?;
            quiet_since = Instant::now();
            return Ok(Err(last.spell()));
        }
        Ok(if quiet_since.elapsed() > QUIET { Ok(()) } else { Err("quiet for now".to_owned()) })
    })
    .await?;
    tokio::time::sleep(WATCHED).await;
    let writes: Vec<String> =
        audit::writes_since(place)?.iter().map(audit::Request::spell).collect();
    ensure!(writes.is_empty(), "the operator wrote at rest: {}", writes.join(", "));
    Ok(())
}
