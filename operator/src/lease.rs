//! Leader election: of several operators of one installation, one acts.
//!
//! The election is a `Lease` object that its holder renews. Nobody compares clocks: a candidate
//! measures, on its own monotonic clock, how long the lease has stayed unchanged since it first saw
//! it so, and the holder counts its tenure from before it sent the renewal. So the holder always
//! gives up before another may take over, whatever the clocks on the wall say.
//!
//! This file decides and is pure; `election` carries out; `leadership` is what all others see.

mod election;
mod leadership;
#[cfg(test)]
mod simulation;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use tokio::time::Instant;

pub use election::{Candidate, Election, LeadershipLost};
pub use leadership::{Leadership, NotLeading, Standing};

/// How long a lease is good for after its last renewal.
///
/// As long as Kubernetes' own components take by default: short enough that a crashed operator is
/// replaced before anybody looks, long enough to ride out a restart of the API server.
pub const DURATION: Duration = Duration::from_secs(15);

/// How often the holder renews: two renewals may fail before the third comes too late.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);

/// How long before the end of its tenure a leader stops to act.
///
/// It covers what was sent before the deadline and is still on its way to the API server or to
/// Kafka, and clocks that run at rates up to a tenth apart.
pub const MARGIN: Duration = Duration::from_secs(3);

/// What of a lease matters to an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    /// The resource version, which changes with every write.
    pub version: String,
    /// Who holds it; nobody after a release.
    pub holder: Option<String>,
    /// How long it is good for after a write.
    pub duration: Duration,
}

impl LeaseRecord {
    /// Reads the record from a lease as the API server returned it.
    pub fn of(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            version: lease.metadata.resource_version.clone().unwrap_or_default(),
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            duration: seconds.map_or(DURATION, Duration::from_secs),
        }
    }
}

/// What one candidate has seen of the lease so far, on its own clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    unchanged: Option<Unchanged>,
    held_until: Option<Instant>,
}

/// Since when a version has been the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unchanged {
    version: String,
    since: Instant,
}

impl Observed {
    /// Notes what a read returned; `now` is when the answer had arrived.
    pub fn note(&mut self, lease: Option<&LeaseRecord>, now: Instant) {
        let known = self.unchanged.as_ref().map(|unchanged| unchanged.version.as_str());
        if lease.map(|lease| lease.version.as_str()) != known {
            self.unchanged =
                lease.map(|lease| Unchanged { version: lease.version.clone(), since: now });
        }
    }

    /// Notes that a write of ours, begun at `sent`, was accepted: we hold the lease from `sent` on.
    pub fn granted(&mut self, sent: Instant) {
        self.held_until = Some(sent + DURATION);
    }

    /// When our tenure ends; nothing when we do not hold the lease.
    pub fn held_until(&self) -> Option<Instant> {
        self.held_until
    }
}

/// What a candidate should do about the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Write our name: nobody holds it, or its holder has let it expire, or it was ours before this
    /// process started.
    Acquire,
    /// Write again before our tenure ends.
    Renew,
    /// Another holds it.
    Wait,
    /// We held it and do no longer; stop at once.
    Lost,
}

/// Decides what `me` should do about `lease`, the last state of it that was read and noted in
/// `observed`.
///
/// Names belong to one running process at a time, so a lease that carries ours although we have
/// not acquired it is left from our own predecessor, and can be taken over at once.
pub fn evaluate(
    lease: Option<&LeaseRecord>,
    me: &str,
    now: Instant,
    observed: &Observed,
) -> Decision {
    let holder = lease.and_then(|lease| lease.holder.as_deref());
    if let Some(end) = observed.held_until {
        return if holder == Some(me) && now < end { Decision::Renew } else { Decision::Lost };
    }
    let Some(lease) = lease else { return Decision::Acquire };
    match holder {
        None => Decision::Acquire,
        Some(holder) if holder == me => Decision::Acquire,
        Some(_) if has_expired(lease, now, observed) => Decision::Acquire,
        Some(_) => Decision::Wait,
    }
}

/// Whether we ourselves have watched the lease stay unchanged for as long as it is good for.
fn has_expired(lease: &LeaseRecord, now: Instant, observed: &Observed) -> bool {
    observed.unchanged.as_ref().is_some_and(|unchanged| {
        unchanged.version == lease.version && now >= unchanged.since + lease.duration
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(version: &str, holder: Option<&str>) -> LeaseRecord {
        let holder = holder.map(str::to_owned);
        LeaseRecord { version: version.to_owned(), holder, duration: DURATION }
    }

    #[test]
    fn decisions() {
        let start = Instant::now();
        let second = |seconds| start + Duration::from_secs(seconds);
        let stranger = || {
            let mut observed = Observed::default();
            observed.note(Some(&lease("7", Some("other"))), start);
            observed
        };
        let holder = || {
            let mut observed = Observed::default();
            observed.granted(start);
            observed
        };
        let other = Some(lease("7", Some("other")));
        let renewed = Some(lease("8", Some("other")));
        let mine = Some(lease("7", Some("me")));
        let free = Some(lease("7", None));
        for (case, lease, observed, now, decision) in [
            ("no lease yet", &None, Observed::default(), 0, Decision::Acquire),
            ("released", &free, stranger(), 0, Decision::Acquire),
            ("left by a predecessor", &mine, Observed::default(), 0, Decision::Acquire),
            ("never noted", &other, Observed::default(), 100, Decision::Wait),
            ("just seen", &other, stranger(), 0, Decision::Wait),
            ("almost expired", &other, stranger(), 14, Decision::Wait),
            ("expired", &other, stranger(), 15, Decision::Acquire),
            ("renewed meanwhile", &renewed, stranger(), 15, Decision::Wait),
            ("held", &mine, holder(), 14, Decision::Renew),
            ("held too long", &mine, holder(), 15, Decision::Lost),
            ("taken", &other, holder(), 1, Decision::Lost),
            ("emptied by somebody", &free, holder(), 1, Decision::Lost),
            ("deleted by somebody", &None, holder(), 1, Decision::Lost),
        ] {
            let found = evaluate(lease.as_ref(), "me", second(now), &observed);
            assert_eq!(found, decision, "{case}");
        }
    }

    #[test]
    fn only_a_change_restarts_the_wait() {
        let start = Instant::now();
        let mut observed = Observed::default();
        observed.note(Some(&lease("7", Some("other"))), start);
        let first = observed.clone();
        observed.note(Some(&lease("7", Some("other"))), start + Duration::from_secs(9));
        assert_eq!(observed, first);
        observed.note(Some(&lease("8", Some("other"))), start + Duration::from_secs(9));
        assert_ne!(observed, first);
    }

    #[test]
    fn records_are_read_with_care() {
        let empty = LeaseRecord::of(&Lease::default());
        assert_eq!(empty, lease("", None));
        let mut released = Lease::default();
        let spec = released.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        let record = LeaseRecord::of(&released);
        assert_eq!((record.holder, record.duration), (None, Duration::from_secs(1)));
    }
}
