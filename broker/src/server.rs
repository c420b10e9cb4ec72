//! What the agent answers: `/livez` and `/readyz` to anybody on a plain port, for the kubelet, and
//! `/status` and `/format` over mutual TLS to the operator alone.

pub(crate) mod listener;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use ottla_crds::agent::{AgentStatus, FormatRequest};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use crate::agent::Message;
use crate::supervisor::format::FormatAnswer;
use listener::Peer;

/// The agent's loop reports each second; without a word for this long it hangs.
const LOOP_SILENCE_MAX: Duration = Duration::from_secs(30);
/// More than any request has; a list of volumes and voters takes a few hundred bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What the agent's loop last said about itself.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// For the operator.
    pub(crate) status: AgentStatus,
    /// For the kubelet.
    pub(crate) ready: bool,
    /// When the loop said so.
    pub(crate) at: Instant,
}

/// What the probes see.
pub(crate) type Seen = watch::Receiver<Published>;

/// What the operator's calls need.
#[derive(Clone)]
pub(crate) struct Operator {
    /// The agent's state.
    pub(crate) seen: Seen,
    /// The agent's loop.
    pub(crate) messages: mpsc::Sender<Message>,
    /// The common name of the operator's certificate.
    pub(crate) name: Arc<str>,
}

/// Opens a port on all addresses, of both families where there are both.
pub(crate) async fn bind(port: u16) -> io::Result<TcpListener> {
    if let Ok(listener) = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        return Ok(listener);
    }
    let bound = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await;
    bound.map_err(|error| io::Error::new(error.kind(), format!("cannot open port {port}: {error}")))
}

/// Serves the probes.
pub(crate) fn probes(
    listener: TcpListener,
    seen: Seen,
) -> impl Future<Output = io::Result<()>> + Send {
    let router =
        Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).with_state(seen);
    axum::serve(listener, router).into_future()
}

/// Serves the operator.
pub(crate) fn operator(
    listener: listener::TlsListener,
    operator: Operator,
) -> impl Future<Output = io::Result<()>> + Send {
    let router = Router::new()
        .route("/status", get(status))
        .route("/format", post(format))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&operator.name), only_the_operator))
        .with_state(operator);
    axum::serve(listener, router.into_make_service_with_connect_info::<Peer>()).into_future()
}

async fn livez(State(seen): State<Seen>) -> Response {
    let silence = seen.borrow().at.elapsed();
    if silence < LOOP_SILENCE_MAX {
        return "the agent is alive".into_response();
    }
    let sentence = format!("the agent's loop was last heard {} s ago", silence.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, sentence).into_response()
}

async fn readyz(State(seen): State<Seen>) -> Response {
    let seen = seen.borrow();
    let sentence = match &seen.status.reason {
        Some(reason) => format!("{:?}: {reason}", seen.status.state),
        None => format!("{:?}", seen.status.state),
    };
    let code = if seen.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, sentence).into_response()
}

/// Lets only the operator's certificate through: the same CA signs the nodes' too.
async fn only_the_operator(
    State(name): State<Arc<str>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if peer.common_name.as_deref() == Some(&*name) {
        return next.run(request).await;
    }
    let whose = peer.common_name.as_deref().unwrap_or("nobody");
    tracing::warn!("refused {} to {whose}", request.uri().path());
    let sentence = format!("only {name} may ask this, and the certificate is that of {whose}");
    (StatusCode::FORBIDDEN, sentence).into_response()
}

async fn status(State(operator): State<Operator>) -> Json<AgentStatus> {
    Json(operator.seen.borrow().status.clone())
}

async fn format(State(operator): State<Operator>, Json(request): Json<FormatRequest>) -> Response {
    let (reply, answer) = oneshot::channel();
    let sent = operator.messages.send(Message::Format { request, reply }).await.is_ok();
    match answer.await {
        Ok(FormatAnswer::Accepted) if sent => {
            (StatusCode::ACCEPTED, "the format begins".to_owned()).into_response()
        }
        Ok(FormatAnswer::Already(sentence)) => (StatusCode::OK, sentence).into_response(),
        Ok(FormatAnswer::Conflict(sentence)) => (StatusCode::CONFLICT, sentence).into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the agent is ending".to_owned()).into_response(),
    }
}
