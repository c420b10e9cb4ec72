//! Waiting for something to come true, with a deadline and a word on what was seen instead.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// What a look found: what was waited for, or what there is instead.
pub(crate) type Seen<T> = Result<T, String>;

/// Short beside anything that Kafka does, long beside a look at the API server.
const PAUSE: Duration = Duration::from_millis(200);

/// Looks again and again until there is what is waited for. `what` completes the sentence
/// "timed out waiting for …".
pub(crate) async fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Seen<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        let seen = look().await.with_context(|| format!("could not look for {what}"))?;
        match seen {
            Ok(found) => return Ok(found),
            Err(instead) if started.elapsed() > patience => {
                bail!("timed out after {}s waiting for {what}: {instead}", patience.as_secs());
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Holds only if it is true at every look for this long: for what must not happen.
pub(crate) async fn throughout(
    what: &str,
    duration: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Seen<()>>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while started.elapsed() < duration {
        if let Err(instead) = look().await.with_context(|| format!("could not look at {what}"))? {
            bail!("{what} did not hold: {instead}");
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Seconds for people.
pub(crate) fn spell(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
