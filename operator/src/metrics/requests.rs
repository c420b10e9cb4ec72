//! Counts every request to the Kubernetes API, as a layer around the client's service.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use tower::{Layer, Service};

use super::Metrics;
use crate::api_call::ApiCall;

/// The code of a request that ended without any answer.
const FAILED: &str = "failed";
/// The code of a request whose caller stopped waiting, as a deadline makes it do.
const CANCELLED: &str = "cancelled";

/// Wraps a service in a [`CountedService`].
#[derive(Clone)]
pub struct CountRequests {
    metrics: Metrics,
}

impl CountRequests {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for CountRequests {
    type Service = CountedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CountedService { inner, metrics: self.metrics.clone() }
    }
}

/// A service whose requests are counted by verb and code.
///
/// A watch is counted when its answer begins, not when its stream ends.
#[derive(Clone)]
pub struct CountedService<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, B, R> Service<Request<B>> for CountedService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let verb = ApiCall::of(request.method(), request.uri()).verb;
        let mut count =
            CountOnDrop { metrics: self.metrics.clone(), verb, code: CANCELLED.to_owned() };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            count.code = match &answer {
                Ok(response) => response.status().as_str().to_owned(),
                Err(_) => FAILED.to_owned(),
            };
            if answer.as_ref().is_ok_and(|response| was_served(response.status())) {
                count.metrics.note_api_service();
            }
            answer
        })
    }
}

/// Whether the API server has let us in: that a thing is missing or has changed is an answer too,
/// that it does not know or does not allow us is none.
fn was_served(status: StatusCode) -> bool {
    status.is_success() || matches!(status, StatusCode::NOT_FOUND | StatusCode::CONFLICT)
}

/// Counts a request when it is over, also when its future is dropped half-way.
struct CountOnDrop {
    metrics: Metrics,
    verb: &'static str,
    code: String,
}

impl Drop for CountOnDrop {
    fn drop(&mut self) {
        self.metrics.count_request(self.verb, std::mem::take(&mut self.code));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn answer(request: Request<()>) -> Result<Response<()>, std::io::Error> {
        match request.uri().path() {
            "/api/v1/pods" => Ok(Response::new(())),
            "/api/v1/nodes" => Ok(Response::builder().status(503).body(()).unwrap()),
            "/api/v1/services" => Ok(Response::builder().status(403).body(()).unwrap()),
            "/api/v1/secrets" => futures::future::pending().await,
            _ => Err(std::io::Error::other("connection refused")),
        }
    }

    fn get(path: &str) -> Request<()> {
        Request::get(path).body(()).unwrap()
    }

    #[tokio::test]
    async fn requests_are_counted_by_verb_and_code() {
        let metrics = Metrics::new();
        let service = metrics.request_layer().layer(service_fn(answer));
        assert!(service.clone().oneshot(get("/version")).await.is_err());
        service.clone().oneshot(get("/api/v1/nodes")).await.unwrap();
        service.clone().oneshot(get("/api/v1/services")).await.unwrap();
        assert!(!metrics.api_has_served(), "neither a failure nor 503 nor 403 is a service");
        service.clone().oneshot(get("/api/v1/pods")).await.unwrap();
        service.clone().oneshot(get("/api/v1/pods")).await.unwrap();
        assert!(metrics.api_has_served());
        assert!(service.oneshot(get("/api/v1/secrets")).now_or_never().is_none());

        let text = metrics.encode().unwrap();
        for line in [
            "ottla_api_requests_total{verb=\"get\",code=\"failed\"} 1",
            "ottla_api_requests_total{verb=\"list\",code=\"503\"} 1",
            "ottla_api_requests_total{verb=\"list\",code=\"200\"} 2",
            "ottla_api_requests_total{verb=\"list\",code=\"cancelled\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "no line {line} in\n{text}");
        }
    }
}
