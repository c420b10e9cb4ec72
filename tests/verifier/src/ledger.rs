//! What was sent to one partition and what of it was acknowledged, and how long nothing was.

use std::time::Duration;

use crate::stretches::Stretches;

/// The books of one partition. A batch is sent again, with the same sequence numbers, until it is
/// acknowledged, and only then comes the next: so all that is not acknowledged is the last batch,
/// and whether that is stored is unknown. Times are counted from the start of the run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: u64,
    acked: Stretches,
    /// When the last batch was acknowledged, or the first one sent.
    last_sign: Option<Duration>,
    longest_gap: Duration,
    /// Since somebody last asked for it.
    gap_of_lap: Duration,
}

impl Ledger {
    /// Takes so many sequence numbers for a batch, and returns the first.
    pub(crate) fn send(&mut self, count: u64, now: Duration) -> u64 {
        self.last_sign.get_or_insert(now);
        let first = self.sent;
        self.sent += count;
        first
    }

    /// Notes that the batch sent last is stored from this offset on.
    pub(crate) fn acknowledge(&mut self, base_offset: i64, now: Duration) {
        self.longest_gap = self.longest_gap(now);
        self.gap_of_lap = self.gap_of_lap.max(self.open_gap(now));
        self.last_sign = Some(now);
        for (offset, sequence) in (base_offset..).zip(self.acked.count()..self.sent) {
            self.acked.push(offset, sequence);
        }
    }

    /// How many records were sent; their sequence numbers are those below.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// The records that were acknowledged.
    pub(crate) fn acked(&self) -> &Stretches {
        &self.acked
    }

    /// How many records were sent and not acknowledged.
    pub(crate) fn unresolved(&self) -> u64 {
        self.sent - self.acked.count()
    }

    /// The longest time between two acknowledgements. One that is still waited for counts up to
    /// now.
    pub(crate) fn longest_gap(&self, now: Duration) -> Duration {
        self.longest_gap.max(self.open_gap(now))
    }

    /// As [`Ledger::longest_gap`], since the last time that this was asked.
    pub(crate) fn end_lap(&mut self, now: Duration) -> Duration {
        let open = self.open_gap(now);
        std::mem::take(&mut self.gap_of_lap).max(open)
    }

    fn open_gap(&self, now: Duration) -> Duration {
        let waiting_since = self.last_sign.filter(|_| self.unresolved() > 0);
        waiting_since.map(|sign| now.saturating_sub(sign)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_last_batch_is_unresolved_until_it_is_acknowledged() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.send(2, seconds(1)), 0);
        assert_eq!((ledger.sent(), ledger.unresolved()), (2, 2));
        ledger.acknowledge(10, seconds(1));
        assert_eq!(ledger.send(3, seconds(1)), 2);
        ledger.acknowledge(12, seconds(1));
        assert_eq!((ledger.sent(), ledger.unresolved()), (5, 0));
        let acked: Vec<_> = ledger.acked().iter().collect();
        assert_eq!(acked, [(10, 0), (11, 1), (12, 2), (13, 3), (14, 4)]);
    }

    #[test]
    fn a_gap_is_counted_while_it_lasts_and_stays() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.longest_gap(seconds(9)), seconds(0));
        ledger.send(1, seconds(10));
        assert_eq!(ledger.longest_gap(seconds(12)), seconds(2));
        ledger.acknowledge(0, seconds(13));
        assert_eq!(ledger.longest_gap(seconds(99)), seconds(3), "nothing is waited for");
        ledger.send(1, seconds(14));
        assert_eq!(ledger.longest_gap(seconds(18)), seconds(5), "since the last acknowledgement");
        ledger.acknowledge(1, seconds(14));
        assert_eq!(ledger.longest_gap(seconds(99)), seconds(3));
    }

    #[test]
    fn a_lap_has_its_own_longest_gap() {
        let mut ledger = Ledger::default();
        ledger.send(1, seconds(10));
        ledger.acknowledge(0, seconds(13));
        ledger.send(1, seconds(13));
        assert_eq!(ledger.end_lap(seconds(14)), seconds(3));
        assert_eq!(ledger.end_lap(seconds(15)), seconds(2), "it is still waited for");
        ledger.acknowledge(1, seconds(16));
        assert_eq!(ledger.end_lap(seconds(99)), seconds(3));
        assert_eq!(ledger.end_lap(seconds(99)), seconds(0));
        assert_eq!(ledger.longest_gap(seconds(99)), seconds(3));
    }
}
