//! Several addresses at once, a little apart, so that one that swallows packets costs little time.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long an address is waited for before the next one is tried beside it. A connection within
/// a cluster, TLS included, takes a tenth of this.
const HEAD_START: Duration = Duration::from_millis(300);

/// The first success of these attempts, which begin one after another; the last failure where
/// none succeeds, and `None` where there are none.
pub(super) async fn first<T, E, F>(attempts: impl Iterator<Item = F>) -> Option<Result<T, E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let mut attempts = attempts.peekable();
    let mut running = JoinSet::new();
    let mut last = None;
    loop {
        if let Some(attempt) = attempts.next() {
            running.spawn(attempt);
        }
        let patience = if attempts.peek().is_some() { HEAD_START } else { Duration::MAX };
        match timeout(patience, running.join_next()).await {
            Ok(Some(Ok(Ok(success)))) => return Some(Ok(success)),
            Ok(Some(Ok(Err(failure)))) => last = Some(Err(failure)),
            // The head start is over, or an attempt panicked: on to the next.
            Err(_) | Ok(Some(Err(_))) => {}
            Ok(None) => return last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, sleep};

    /// After so many milliseconds, this.
    async fn after(milliseconds: u64, outcome: Result<u64, u64>) -> Result<u64, u64> {
        sleep(Duration::from_millis(milliseconds)).await;
        outcome
    }

    async fn race(attempts: &[(u64, Result<u64, u64>)]) -> (Option<Result<u64, u64>>, u128) {
        let began = Instant::now();
        let attempts = attempts.iter().map(|(wait, outcome)| after(*wait, *outcome));
        let outcome = first(attempts).await;
        (outcome, began.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_success_wins() {
        assert_eq!(race(&[]).await, (None, 0));
        assert_eq!(race(&[(10, Ok(1)), (0, Ok(2))]).await, (Some(Ok(1)), 10));
        assert_eq!(race(&[(10, Err(1)), (10, Ok(2))]).await, (Some(Ok(2)), 20), "no head start");
        assert_eq!(race(&[(9_000, Ok(1)), (10, Ok(2))]).await, (Some(Ok(2)), 310), "beside it");
        assert_eq!(race(&[(400, Ok(1)), (9_000, Ok(2))]).await, (Some(Ok(1)), 400));
        assert_eq!(race(&[(50, Err(1)), (10, Err(2))]).await, (Some(Err(2)), 60));
    }
}
