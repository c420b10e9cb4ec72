//! The small web server that Kubernetes asks whether the operator is well, and Prometheus for its
//! figures.
//!
//! A standby is as ready as the leader: it is what takes over. Readiness asks only whether the
//! Kubernetes API has served one request since the start. An operator that it never serves has no
//! rights or no way, and must not replace one that works; a later outage of the API is mended by
//! nothing that is done to operators.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::{CONTENT_TYPE, Metrics};

/// Why the server could not run.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for health checks and metrics")]
    Listen {
        /// The address as it was asked for.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Accepting connections failed.
    #[error("the server for health checks and metrics stopped")]
    Serve(#[source] std::io::Error),
}

/// A server that has its port and does not answer yet.
pub struct HealthServer {
    listener: TcpListener,
    metrics: Metrics,
}

impl HealthServer {
    /// Takes the port, so that a wrong address is known before anything else starts.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr, metrics: Metrics) -> Result<Self, HealthError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| HealthError::Listen { address, source })?;
        Ok(Self { listener, metrics })
    }

    /// The address that the server listens on, with the port that was chosen where 0 was asked for.
    ///
    /// # Errors
    /// When the operating system no longer knows the socket.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` resolves.
    ///
    /// # Errors
    /// When accepting connections fails.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), HealthError> {
        axum::serve(self.listener, routes(self.metrics))
            .with_graceful_shutdown(shutdown)
            .await
            .map_err(HealthError::Serve)
    }
}

fn routes(metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(metrics)
}

async fn ready(State(metrics): State<Metrics>) -> (StatusCode, &'static str) {
    if metrics.api_has_served() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the Kubernetes API has not served a request yet\n")
    }
}

async fn scrape(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio_util::sync::CancellationToken;
    use tower::{Layer, ServiceExt, service_fn};

    use super::*;

    async fn fetch(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn let_the_api_answer(metrics: &Metrics) {
        let api = service_fn(|_| async {
            Ok::<_, std::convert::Infallible>(axum::http::Response::new(()))
        });
        let request = axum::http::Request::get("/version").body(()).unwrap();
        metrics.request_layer().layer(api).oneshot(request).await.unwrap();
    }

    #[tokio::test]
    async fn it_is_alive_at_once_and_ready_once_the_api_answered() {
        let metrics = Metrics::new();
        let server = HealthServer::bind(([127, 0, 0, 1], 0).into(), metrics.clone()).await.unwrap();
        let address = server.address().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(server.serve(shutdown.clone().cancelled_owned()));

        assert!(fetch(address, "/livez").await.starts_with("HTTP/1.1 200"));
        let unready = fetch(address, "/readyz").await;
        assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");
        assert!(unready.contains("the Kubernetes API has not served a request yet"));
        let_the_api_answer(&metrics).await;
        assert!(fetch(address, "/readyz").await.starts_with("HTTP/1.1 200"));

        let scraped = fetch(address, "/metrics").await;
        assert!(scraped.contains("application/openmetrics-text"), "{scraped}");
        assert!(scraped.contains("ottla_api_requests_total{verb=\"get\",code=\"200\"} 1"));
        shutdown.cancel();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = HealthServer::bind(([127, 0, 0, 1], 0).into(), Metrics::new()).await.unwrap();
        let address = first.address().unwrap();
        let error = HealthServer::bind(address, Metrics::new()).await.err().unwrap();
        assert!(error.to_string().contains(&address.to_string()));
    }
}
