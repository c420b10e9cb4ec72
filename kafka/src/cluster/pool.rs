//! Connections that wait for the next call: at most one to each node, and not for long.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::Endpoint;
use crate::connection::Connection;

/// How long a connection may stand idle. Calls come in bursts; between them a connection would
/// only take memory on both sides.
const IDLE_MAX: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Pool(BTreeMap<Endpoint, (Instant, Connection)>);

impl Pool {
    /// Takes the idle connection to this node, and closes those that stood idle for too long.
    pub(super) fn take(&mut self, peer: &Endpoint) -> Option<Connection> {
        let now = Instant::now();
        self.0.retain(|_, (since, _)| now.duration_since(*since) < IDLE_MAX);
        self.0.remove(peer).map(|(_, connection)| connection)
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn put(&mut self, connection: Connection) {
        self.0.insert(connection.peer().clone(), (Instant::now(), connection));
    }
}
