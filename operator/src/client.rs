//! How the operator reaches the Kubernetes API.
//!
//! kube's own retries are off: they would replay a request for minutes, past the end of the lease
//! under which it was allowed. A failed request is reported, and the next pass decides afresh.

use std::time::Duration;

use http::{HeaderValue, Request, Response, header};
use kube::client::{Body, ClientBuilder, DynBody};
use kube::{Client, Config};
use tower::layer::util::Identity;
use tower::util::BoxService;
use tower::{BoxError, Layer};

use crate::metrics::Metrics;

/// What the operator calls itself towards the API server; audit logs and flow schemas show it.
pub const USER_AGENT: &str = concat!("ottla-operator/", env!("CARGO_PKG_VERSION"));

/// How long a connection may take to come up. Within a cluster it takes milliseconds, and the
/// lease (15 s) must survive one failed try.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// kube's whole stack of address, credentials and connections, as one service.
pub type ApiService = BoxService<Request<Body>, Response<Box<DynBody>>, BoxError>;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Neither a kubeconfig nor a service account was found.
    #[error("no way to the Kubernetes API was found: set KUBECONFIG, or run in a pod")]
    Configuration(#[source] kube::config::InferConfigError),
    /// The configuration names certificates or credentials that cannot be used.
    #[error("the configuration for the Kubernetes API cannot be used")]
    Unusable(#[source] kube::Error),
}

/// The configuration from `KUBECONFIG`, `~/.kube/config`, or the pod's service account.
///
/// # Errors
/// When none of them exists.
pub async fn configuration() -> Result<Config, ClientError> {
    Config::infer().await.map_err(ClientError::Configuration)
}

/// A client over `config` whose requests are counted in `metrics`.
///
/// # Errors
/// When the certificates or credentials in `config` cannot be used.
pub fn connect(config: Config, metrics: &Metrics) -> Result<Client, ClientError> {
    connect_through(config, metrics, &Identity::new())
}

/// As [`connect`], with a layer of the caller's own between the counting and kube's stack.
///
/// # Errors
/// When the certificates or credentials in `config` cannot be used.
pub fn connect_through<L>(
    mut config: Config,
    metrics: &Metrics,
    layer: &L,
) -> Result<Client, ClientError>
where
    L: Layer<ApiService, Service = ApiService>,
{
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.headers.push((header::USER_AGENT, HeaderValue::from_static(USER_AGENT)));
    let stack = ClientBuilder::try_from(config).map_err(ClientError::Unusable)?;
    Ok(stack.with_layer(layer).with_layer(&metrics.request_layer()).build())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::State;
    use axum::http::HeaderMap;
    use http_body_util::{BodyExt, Empty};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tower::layer::layer_fn;
    use tower::service_fn;

    use super::*;

    /// An API server that is always overloaded, and passes on the headers it was sent.
    async fn overloaded_server(seen: mpsc::UnboundedSender<HeaderMap>) -> Config {
        let refuse = |State(seen): State<mpsc::UnboundedSender<HeaderMap>>, headers: HeaderMap| async move {
            seen.send(headers).unwrap();
            axum::http::StatusCode::SERVICE_UNAVAILABLE
        };
        let router = Router::new().fallback(refuse).with_state(seen);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Config::new(uri.parse().unwrap())
    }

    #[tokio::test]
    async fn an_overloaded_server_is_asked_once() {
        let (sender, mut seen) = mpsc::unbounded_channel();
        let metrics = Metrics::new();
        let client = connect(overloaded_server(sender).await, &metrics).unwrap();
        assert!(client.apiserver_version().await.is_err());
        assert_eq!(seen.recv().await.unwrap()[header::USER_AGENT], USER_AGENT);
        assert!(seen.try_recv().is_err(), "the client retried by itself");
        let text = metrics.encode().unwrap();
        assert!(text.contains("ottla_api_requests_total{verb=\"get\",code=\"503\"} 1"), "{text}");
    }

    #[tokio::test]
    async fn a_layer_can_stand_in_for_the_server() {
        let teapot = layer_fn(|_: ApiService| {
            BoxService::new(service_fn(|_| async {
                let empty = Empty::new().map_err(BoxError::from);
                let answer =
                    Response::builder().status(418).body(Box::new(empty) as Box<DynBody>)?;
                Ok::<_, BoxError>(answer)
            }))
        });
        let metrics = Metrics::new();
        let config = Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = connect_through(config, &metrics, &teapot).unwrap();
        assert!(client.apiserver_version().await.is_err());
        let text = metrics.encode().unwrap();
        assert!(text.contains("ottla_api_requests_total{verb=\"get\",code=\"418\"} 1"), "{text}");
    }
}
