//! Waiting for something outside this process to come true.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Short beside what is waited for (a server's start), long beside a look at it.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until `look` says yes; fails after `patience`.
///
/// `what` completes the sentence "timed out waiting for …".
pub(crate) fn until(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while !look().with_context(|| format!("could not tell whether there is {what}"))? {
        if started.elapsed() > patience {
            bail!("timed out after {}s waiting for {what}", patience.as_secs());
        }
        pause(PAUSE);
    }
    Ok(())
}

/// Lets time pass where nothing tells when to look again.
#[allow(
    clippy::disallowed_methods,
    reason = "this tool waits for other programs' files, sockets and processes, which tell nobody"
)]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
