//! A Kafka cluster as one thing to ask: who answers what, retries, and a deadline on each call.

mod pool;
mod race;
mod route;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::call::Call;
use crate::connection::{Connection, TimeLimit, Transport};
use crate::{Endpoint, Error, ErrorCode, Security, Uuid};
use pool::Pool;
use route::Routes;
pub(crate) use route::Target;

/// The pause before a call is sent again; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause: an election is over in less, and a caller's deadline is tens of seconds.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Names and time limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How this client is called in Kafka's logs, metrics and quotas.
    pub client_id: String,
    /// The most that connecting to one node may take, TLS included.
    pub connect_timeout: Duration,
    /// The most that one request to one node may take.
    pub request_timeout: Duration,
    /// The most that a call may take with everything it needs: finding out whom to ask, and
    /// asking again. See also [`Cluster::within`].
    pub call_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_id: "ottla".to_owned(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            call_timeout: Duration::from_secs(30),
        }
    }
}

/// Which listener the addresses given belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// A listener of brokers; they pass on what only the controller can answer.
    Brokers,
    /// The controllers' own listener, where only the active one answers most calls.
    Controllers,
}

/// A cluster to ask. Cheap to create, to clone and to drop; a clone shares the connections, and
/// dropping the last one closes them. Nothing runs in the background: a connection that stood idle
/// for ten seconds is closed at the next call.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
    call_timeout: Duration,
}

struct Inner {
    bootstrap: Vec<Endpoint>,
    via: Via,
    transport: Transport,
    options: Options,
    routes: Mutex<Routes>,
    pool: Mutex<Pool>,
}

/// What the writer of a request is told about the node that will read it.
pub(crate) struct Asked {
    /// The version that will be spoken.
    pub(crate) version: i16,
    /// The id of the topic of [`Target::Leader`].
    pub(crate) topic_id: Uuid,
}

/// An answer and where it came from.
pub(crate) struct Answer<R> {
    pub(crate) response: R,
    pub(crate) peer: Endpoint,
    pub(crate) version: i16,
}

impl Cluster {
    /// A cluster that is asked through its brokers; any of them will do. Nothing is sent yet.
    ///
    /// # Errors
    /// When the certificates or the key cannot be used.
    pub fn new(
        bootstrap: Vec<Endpoint>,
        security: &Security,
        options: Options,
    ) -> Result<Self, Error> {
        Self::via(Via::Brokers, bootstrap, security, options)
    }

    /// A cluster that is asked through its controllers' own listener, which also answers while no
    /// broker is up. Topics, records and log directories cannot be asked for there.
    ///
    /// # Errors
    /// When the certificates or the key cannot be used.
    pub fn via_controllers(
        bootstrap: Vec<Endpoint>,
        security: &Security,
        options: Options,
    ) -> Result<Self, Error> {
        Self::via(Via::Controllers, bootstrap, security, options)
    }

    fn via(
        via: Via,
        bootstrap: Vec<Endpoint>,
        security: &Security,
        options: Options,
    ) -> Result<Self, Error> {
        let call_timeout = options.call_timeout;
        let inner = Inner {
            bootstrap,
            via,
            transport: Transport::new(security)?,
            options,
            routes: Mutex::default(),
            pool: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner), call_timeout })
    }

    /// The same cluster, where each call takes at most this long.
    #[must_use]
    pub fn within(&self, call_timeout: Duration) -> Self {
        Self { inner: Arc::clone(&self.inner), call_timeout }
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.inner.options.request_timeout.min(self.call_timeout)
    }

    pub(crate) fn listener(&self) -> Via {
        self.inner.via
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.inner.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.inner.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks whoever can answer, and asks again where that helps, until the deadline.
    pub(crate) async fn ask<C: Call>(
        &self,
        target: Target<'_>,
        build: impl Fn(&Asked) -> C,
    ) -> Result<Answer<C::Response>, Error> {
        let deadline = Instant::now() + self.call_timeout;
        let mut pause = PAUSE_FIRST;
        loop {
            let failed = match self.attempt(target, &build, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            self.routes().forget(target);
            if !failed.may_repeat::<C>(target) || Instant::now() + pause >= deadline {
                return Err(failed.error);
            }
            tracing::debug!(error = %failed.error, call = C::NAME, "asking again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Asks once.
    async fn attempt<C: Call>(
        &self,
        target: Target<'_>,
        build: &impl Fn(&Asked) -> C,
        deadline: Instant,
    ) -> Result<Answer<C::Response>, Failed> {
        let unsent = |error| Failed { error, sent: false };
        let sent = |error| Failed { error, sent: true };
        let route = self.route::<C>(target, deadline).await.map_err(unsent)?;
        let connection = self.connect::<C>(&route.candidates, deadline).await.map_err(unsent)?;
        let answer = self.exchange(connection, route.topic_id, build, deadline).await;
        let answer = answer.map_err(sent)?;
        match C::refusal(&answer.response) {
            None => Ok(answer),
            Some((code, message)) => {
                Err(sent(answer.refused::<C>(&target.to_string(), code, message)))
            }
        }
    }

    /// Sends the request and puts the connection back where it may be used again.
    async fn exchange<C: Call>(
        &self,
        mut connection: Connection,
        topic_id: Uuid,
        build: &impl Fn(&Asked) -> C,
        deadline: Instant,
    ) -> Result<Answer<C::Response>, Error> {
        let version = connection.version_of::<C>()?;
        let limit = TimeLimit::new(self.inner.options.request_timeout, deadline);
        let request = build(&Asked { version, topic_id });
        let response = connection.exchange(&request, version, limit).await?;
        let peer = connection.peer().clone();
        self.pool().put(connection);
        Ok(Answer { response, peer, version })
    }

    /// A connection to one of the candidates: an idle one, or the first that comes about.
    async fn connect<C: Call>(
        &self,
        candidates: &[Endpoint],
        deadline: Instant,
    ) -> Result<Connection, Error> {
        for peer in candidates {
            let idle = self.pool().take(peer);
            if let Some(mut connection) = idle
                && !connection.is_stale().await
            {
                return Ok(connection);
            }
        }
        let options = &self.inner.options;
        let opening = candidates.iter().map(|peer| {
            let (peer, transport) = (peer.clone(), self.inner.transport.clone());
            let (client_id, timeout) = (options.client_id.clone(), options.connect_timeout);
            async move {
                let limit = TimeLimit::new(timeout, deadline);
                Connection::open(&peer, &transport, &client_id, limit).await
            }
        });
        // Collected first: a closure that borrows may not live across an await in a spawned task.
        race::first(opening.collect::<Vec<_>>().into_iter()).await.unwrap_or_else(|| {
            Err(Error::NoRoute {
                call: C::NAME,
                reason: "no address was given to start from".to_owned(),
                retriable: false,
            })
        })
    }
}

impl<R> Answer<R> {
    /// An error for this answer.
    pub(crate) fn refused<C: Call>(
        &self,
        subject: &str,
        code: ErrorCode,
        message: Option<String>,
    ) -> Error {
        let (peer, subject) = (self.peer.clone(), subject.to_owned());
        Error::Refused { call: C::NAME, peer, subject, code, message }
    }

    /// An item of this answer that may have been refused on its own.
    pub(crate) fn item<C: Call>(
        &self,
        subject: &str,
        code: i16,
        message: Option<&str>,
    ) -> Result<(), Error> {
        match crate::call::refused(code, message) {
            None => Ok(()),
            Some((code, message)) => Err(self.refused::<C>(subject, code, message)),
        }
    }

    /// An error for an answer that lacks what was asked for.
    pub(crate) fn incomplete<C: Call>(&self, what: &str) -> Error {
        let reason = format!("{what} is missing");
        Error::Malformed { call: C::NAME, peer: self.peer.clone(), reason }
    }
}

/// Why an attempt failed, and whether the request may have reached a node.
struct Failed {
    error: Error,
    sent: bool,
}

impl Failed {
    /// Whether asking again may help, and cannot make the same change twice.
    fn may_repeat<C: Call>(&self, target: Target<'_>) -> bool {
        match &self.error {
            Error::Refused { code, .. } if code.is_misrouted() => true,
            Error::Refused { code, .. } if target.moved(*code) => C::REPEATABLE,
            // A certificate that is no good does not become good while we wait.
            error if error.is_refused_handshake() => false,
            error => error.is_retriable() && (C::REPEATABLE || !self.sent),
        }
    }
}
