//! Accepts TLS connections for the operator's port.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::server::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::sentence::chain;
use crate::tls::{Identity, common_name};

/// The longest that a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Handshakes at the same time. The operator needs one; the rest is room for others who try.
const HANDSHAKES_MAX: usize = 16;
/// Pause after an accept that failed, as when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// The common name of the certificate.
    pub(crate) common_name: Option<String>,
}

/// Connections after their handshakes, which run beside each other.
pub(crate) struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, Peer)>,
}

impl TlsListener {
    /// Accepts connections from a socket with the certificates of a folder. The files are read
    /// for each connection, so that a renewed certificate serves at once; while they cannot be
    /// used, the last good ones serve.
    pub(crate) fn new(socket: TcpListener, folder: PathBuf) -> Self {
        let (accepted, ready) = mpsc::channel(HANDSHAKES_MAX);
        tokio::spawn(accept(socket, folder, accepted));
        Self { ready }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Peer::default())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.remote_addr().clone()
    }
}

async fn accept(
    socket: TcpListener,
    folder: PathBuf,
    accepted: mpsc::Sender<(TlsStream<TcpStream>, Peer)>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let mut last_good = None;
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        last_good = current(&folder).or(last_good);
        let Some(config) = last_good.clone() else { continue };
        let accepted = accepted.clone();
        tokio::spawn(async move {
            if let Some(connection) = handshake(config, stream).await {
                let _ending = accepted.send(connection).await;
            }
            drop(place);
        });
    }
}

/// The server with the certificates as they are now.
fn current(folder: &std::path::Path) -> Option<Arc<ServerConfig>> {
    match Identity::read(folder).and_then(|identity| identity.server()) {
        Ok(config) => Some(Arc::new(config)),
        Err(error) => {
            tracing::error!("{}", chain(&error));
            None
        }
    }
}

async fn handshake(
    config: Arc<ServerConfig>,
    stream: TcpStream,
) -> Option<(TlsStream<TcpStream>, Peer)> {
    let stream = match timeout(HANDSHAKE_MAX, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!("a handshake failed: {error}");
            return None;
        }
        Err(_) => return None,
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let peer = Peer { common_name: certificates.first().and_then(common_name) };
    Some((stream, peer))
}
