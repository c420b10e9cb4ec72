//! Takes part in the election: reads and writes the lease as `evaluate` says.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    DURATION, Decision, Leadership, LeaseRecord, MARGIN, Observed, RENEW_EVERY, Standing, evaluate,
};
use crate::metrics::Metrics;
use crate::telemetry::error_chain;

/// How long one request may take: two may time out within a tenure, and a third still succeed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// How soon a leader tries again after a failed renewal, and a standby looks again, so that it
/// takes over within a second of a release.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// How often to give the lease back when a renewal that was cut off lands in between: it can only
/// do so once.
const RELEASE_TRIES: usize = 2;

/// Who stands for election, and for which lease.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The namespace of the lease.
    pub namespace: String,
    /// The name of the lease.
    pub lease: String,
    /// The installation that the process belongs to; part of the holder's identity, so that a
    /// reader of the lease sees whose it is.
    pub installation: String,
    /// The name of the process, which no other running process may have: its pod's name.
    pub process: String,
}

impl Candidate {
    fn identity(&self) -> String {
        format!("{}_{}", self.installation, self.process)
    }
}

/// The lease was held and is not any more; the process must stop.
#[derive(Debug, thiserror::Error)]
#[error("the lease {lease} was lost, so this operator must not act any more")]
pub struct LeadershipLost {
    /// Namespace and name of the lease.
    pub lease: String,
}

/// One process' part in an election.
pub struct Election {
    api: Api<Lease>,
    candidate: Candidate,
    identity: String,
    observed: Observed,
    /// The lease as last read or written; nothing when the next step must read it.
    known: Option<Lease>,
    publisher: watch::Sender<Standing>,
    metrics: Metrics,
}

/// What came of one try to write.
enum Written {
    Accepted(Box<Lease>),
    /// Somebody else wrote since we read.
    Outrun,
}

#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("a request for the lease failed")]
    Failed(#[from] kube::Error),
    #[error("a request for the lease was not answered within {REQUEST_TIMEOUT:?}")]
    Timeout(#[from] tokio::time::error::Elapsed),
}

impl Election {
    /// A candidacy that begins when [`Election::run`] is called, and the view of it for others.
    pub fn new(client: Client, candidate: Candidate, metrics: Metrics) -> (Self, Leadership) {
        let publisher = watch::Sender::new(Standing::Standby);
        let leadership = Leadership::of(&publisher);
        let election = Self {
            api: Api::namespaced(client, &candidate.namespace),
            identity: candidate.identity(),
            candidate,
            observed: Observed::default(),
            known: None,
            publisher,
            metrics,
        };
        (election, leadership)
    }

    /// Stands by, leads and renews, until `release` is cancelled; then gives the lease back.
    ///
    /// Cancel `release` only after everything that acts under the lease has ended.
    ///
    /// # Errors
    /// When the lease was held and then lost. Leadership is over before this returns, and the
    /// process should exit: restarting is the one way to be sure that nothing half-done goes on.
    pub async fn run(mut self, release: CancellationToken) -> Result<(), LeadershipLost> {
        loop {
            let end = self.observed.held_until();
            let pause = tokio::select! {
                () = release.cancelled() => break,
                () = passed(end) => return Err(self.lost()),
                outcome = self.step() => self.pause_after(outcome)?,
            };
            let end = self.observed.held_until();
            tokio::select! {
                () = release.cancelled() => break,
                () = passed(end) => return Err(self.lost()),
                () = sleep(pause) => {}
            }
        }
        self.give_back().await;
        Ok(())
    }

    /// Says when the step after one with this outcome is due.
    fn pause_after(
        &mut self,
        outcome: Result<Decision, RequestError>,
    ) -> Result<Duration, LeadershipLost> {
        match outcome {
            Ok(Decision::Acquire | Decision::Renew) => Ok(RENEW_EVERY),
            Ok(Decision::Wait) => Ok(RETRY_EVERY),
            Ok(Decision::Lost) => Err(self.lost()),
            Err(error) => {
                tracing::warn!(lease = self.lease(), "{}", error_chain(&error));
                self.known = None;
                // A standby need not hurry, for nothing of its own runs out.
                let leads = self.observed.held_until().is_some();
                Ok(if leads { RETRY_EVERY } else { RENEW_EVERY })
            }
        }
    }

    /// Looks at the lease, writes it if that is due, and returns what it came to.
    async fn step(&mut self) -> Result<Decision, RequestError> {
        // A holder knows what it wrote last; all others must look.
        if self.known.is_none() || self.observed.held_until().is_none() {
            self.known = self.read().await?;
        }
        let now = Instant::now();
        let record = self.known.as_ref().map(LeaseRecord::of);
        self.observed.note(record.as_ref(), now);
        let decision = evaluate(record.as_ref(), &self.identity, now, &self.observed);
        if matches!(decision, Decision::Wait | Decision::Lost) {
            return Ok(decision);
        }
        match self.write(self.desired(decision)).await? {
            Written::Accepted(lease) => {
                self.accept(now, *lease);
                Ok(decision)
            }
            Written::Outrun => {
                self.known = None;
                Ok(Decision::Wait)
            }
        }
    }

    async fn read(&self) -> Result<Option<Lease>, RequestError> {
        Ok(timeout(REQUEST_TIMEOUT, self.api.get_opt(&self.candidate.lease)).await??)
    }

    fn desired(&self, decision: Decision) -> Lease {
        let mut lease = self.known.clone().unwrap_or_default();
        lease.metadata.name = Some(self.candidate.lease.clone());
        lease.metadata.managed_fields = None;
        let now = MicroTime(Timestamp::now());
        let spec = lease.spec.get_or_insert_default();
        if decision == Decision::Acquire {
            let transitions = spec.lease_transitions.unwrap_or_default();
            spec.lease_transitions = Some(transitions.saturating_add(1));
            spec.acquire_time = Some(now.clone());
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
        spec.renew_time = Some(now);
        lease
    }

    /// Creates the lease, or replaces the version that was read.
    async fn write(&self, lease: Lease) -> Result<Written, RequestError> {
        let parameters = PostParams::default();
        let name = &self.candidate.lease;
        let replaces = lease.metadata.resource_version.is_some();
        let answer = if replaces {
            timeout(REQUEST_TIMEOUT, self.api.replace(name, &parameters, &lease)).await?
        } else {
            timeout(REQUEST_TIMEOUT, self.api.create(&parameters, &lease)).await?
        };
        match answer {
            Ok(lease) => Ok(Written::Accepted(Box::new(lease))),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Written::Outrun),
            // Deleted since it was read; for a create it means that the namespace is missing.
            Err(kube::Error::Api(status)) if status.code == 404 && replaces => Ok(Written::Outrun),
            Err(error) => Err(error.into()),
        }
    }

    fn accept(&mut self, sent: Instant, lease: Lease) {
        if self.observed.held_until().is_none() {
            tracing::info!(lease = self.lease(), identity = self.identity, "leading");
        }
        self.known = Some(lease);
        self.observed.granted(sent);
        self.metrics.set_leader(true);
        self.publisher.send_replace(Standing::Leading { deadline: sent + DURATION - MARGIN });
    }

    fn lost(&mut self) -> LeadershipLost {
        self.finish();
        LeadershipLost { lease: self.lease() }
    }

    fn finish(&mut self) {
        self.metrics.set_leader(false);
        self.publisher.send_replace(Standing::Over);
    }

    /// Empties the lease if it is ours, so that a successor need not wait for it to expire.
    async fn give_back(&mut self) {
        self.finish();
        if self.observed.held_until().is_none() {
            return;
        }
        for _ in 0..RELEASE_TRIES {
            match self.write_empty().await {
                Ok(Written::Accepted(_)) => {
                    tracing::info!(lease = self.lease(), "gave the lease back");
                    return;
                }
                Ok(Written::Outrun) => {}
                Err(error) => {
                    tracing::warn!(
                        lease = self.lease(),
                        "could not give the lease back, a successor waits {DURATION:?}: {}",
                        error_chain(&error)
                    );
                    return;
                }
            }
        }
    }

    async fn write_empty(&self) -> Result<Written, RequestError> {
        // A renewal may have been cut off with its outcome unknown, so the lease is read again.
        let lease = self.read().await?.unwrap_or_default();
        if LeaseRecord::of(&lease).holder.as_ref() != Some(&self.identity) {
            return Ok(Written::Accepted(Box::new(lease)));
        }
        let mut emptied = lease;
        emptied.metadata.managed_fields = None;
        let spec = emptied.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        self.write(emptied).await
    }

    fn lease(&self) -> String {
        format!("{}/{}", self.candidate.namespace, self.candidate.lease)
    }
}

/// Resolves at the end of a tenure; never where there is none.
async fn passed(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
