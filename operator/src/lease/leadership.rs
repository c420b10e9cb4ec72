//! What the rest of the operator sees of the election: whether it leads, and until when.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Whether this process leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Another may lead; wait.
    Standby,
    /// This process leads, and may act until the deadline, which each renewal moves on.
    Leading {
        /// The end of the tenure less a margin, on the monotonic clock.
        deadline: Instant,
    },
    /// This process has led or stood by and never will again: the lease was lost or given back.
    Over,
}

/// A view of the election. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership {
    standing: watch::Receiver<Standing>,
}

/// An effect was not begun, or was cut off, because this process does not lead, or not for long
/// enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this operator does not hold the lease any more, or not for long enough to finish")]
pub struct NotLeading;

impl Leadership {
    /// A view of what `publisher` says; an election makes its own.
    pub fn of(publisher: &watch::Sender<Standing>) -> Self {
        Self { standing: publisher.subscribe() }
    }

    /// Whether this process leads, as of now.
    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// Until when effects may run; nothing when this process does not lead.
    pub fn deadline(&self) -> Option<Instant> {
        match self.standing() {
            Standing::Leading { deadline } if Instant::now() < deadline => Some(deadline),
            _ => None,
        }
    }

    /// Runs an effect that must be over before the tenure is.
    ///
    /// # Errors
    /// When this process does not lead, and when the effect took until the deadline that stood at
    /// its beginning. It may then have happened or not.
    pub async fn within_tenure<T>(&self, effect: impl Future<Output = T>) -> Result<T, NotLeading> {
        let deadline = self.deadline().ok_or(NotLeading)?;
        let mut effect = pin!(effect);
        let mut alarm = pin!(sleep_until(deadline));
        // The clock is read before every step of the effect: after the whole process was stopped
        // for a while, the effect must not get one more step before the alarm is delivered.
        poll_fn(|context| {
            if Instant::now() >= deadline || alarm.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(NotLeading));
            }
            effect.as_mut().poll(context).map(Ok)
        })
        .await
    }

    /// Waits until this process leads; false when it never will.
    pub async fn acquired(&mut self) -> bool {
        let settled = |standing: &Standing| *standing != Standing::Standby;
        let standing = self.standing.wait_for(settled).await;
        standing.is_ok_and(|standing| *standing != Standing::Over)
    }

    /// Waits until this process does not take part any more.
    pub async fn over(&mut self) {
        // An error means that the election itself is gone, which is as much an end.
        let _ = self.standing.wait_for(|standing| *standing == Standing::Over).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    fn leading_for(seconds: u64) -> Standing {
        Standing::Leading { deadline: Instant::now() + Duration::from_secs(seconds) }
    }

    #[tokio::test(start_paused = true)]
    async fn effects_run_only_within_the_tenure() {
        let (publisher, _) = watch::channel(Standing::Standby);
        let leadership = Leadership::of(&publisher);
        assert_eq!(leadership.within_tenure(async { 1 }).await, Err(NotLeading));
        publisher.send_replace(leading_for(10));
        assert_eq!(leadership.within_tenure(async { 2 }).await, Ok(2));
        let slow = leadership.within_tenure(sleep(Duration::from_secs(11)));
        assert_eq!(slow.await, Err(NotLeading));
        assert_eq!(leadership.deadline(), None, "the deadline has passed unrenewed");
        publisher.send_replace(leading_for(10));
        assert!(leadership.deadline().is_some());
        publisher.send_replace(Standing::Over);
        assert_eq!(leadership.within_tenure(async { 3 }).await, Err(NotLeading));
    }

    #[tokio::test(start_paused = true)]
    async fn an_effect_gets_no_step_after_the_deadline() {
        let (publisher, _) = watch::channel(leading_for(10));
        let leadership = Leadership::of(&publisher);
        let stepped_late = std::cell::Cell::new(false);
        let effect = async {
            tokio::task::yield_now().await;
            tokio::time::advance(Duration::from_secs(60)).await;
            stepped_late.set(true);
        };
        assert_eq!(leadership.within_tenure(effect).await, Err(NotLeading));
        assert!(!stepped_late.get());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_election() {
        let (publisher, _) = watch::channel(Standing::Standby);
        let mut leadership = Leadership::of(&publisher);
        publisher.send_replace(leading_for(10));
        assert!(leadership.acquired().await);
        publisher.send_replace(Standing::Over);
        assert!(!leadership.acquired().await);
        leadership.over().await;
        let (publisher, _) = watch::channel(Standing::Standby);
        let mut leadership = Leadership::of(&publisher);
        drop(publisher);
        leadership.over().await;
        assert!(!leadership.acquired().await);
    }
}
