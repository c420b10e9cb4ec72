//! Faults on the way between an operator and a real Kubernetes API server.
//!
//! [`Faults`] is a layer for the operator's client (`client::connect_through`) and at the same time
//! the test's handle on it: it numbers the requests that change something, does to the k-th what it
//! was told, and remembers them all. The server behind it stays an honest one.
//!
//! ```text
//! let faults = Faults::new();
//! faults.at(7, Fault::CrashAfter);
//! let client = connect_through(config, &metrics, &faults)?;
//! // run the operator until faults.crashed(), drop it, and start another one over new faults
//! ```

mod answer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use kube::client::{Body, DynBody};
use ottla_operator::api_call::ApiCall;
use ottla_operator::client::ApiService;
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Layer, Service};

/// What happens to one request that would change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives; the operator sees a broken connection.
    DropRequest,
    /// It is carried out; the operator sees a broken connection.
    DropReply,
    /// It never arrives; the operator is answered with this status.
    Answer(StatusCode),
    /// The operator dies before it is sent.
    CrashBefore,
    /// The operator dies after it was carried out, before it learns of that.
    CrashAfter,
}

/// What happens to the lists that a test chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFault {
    /// Each is answered as it was the last time before; the first time, as it is.
    Stale,
    /// Each is answered without any item.
    Empty,
}

/// Chooses among requests.
pub type Choice = fn(&ApiCall) -> bool;

type Answer = Response<Box<DynBody>>;

/// The faults of one operator's life. Clones share all.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Mutex<Shared>>,
    crashed: CancellationToken,
}

struct Shared {
    counted: Choice,
    planned: BTreeMap<usize, Fault>,
    trace: Vec<ApiCall>,
    lists: Option<(ListFault, Choice)>,
    seen_lists: BTreeMap<String, Bytes>,
    watches: CancellationToken,
    watches_expire: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

impl Faults {
    /// No faults yet. Renewals of the lease are not numbered, as they come when they come.
    pub fn new() -> Self {
        let shared = Shared {
            counted: |call| call.resource != "leases",
            planned: BTreeMap::new(),
            trace: Vec::new(),
            lists: None,
            seen_lists: BTreeMap::new(),
            watches: CancellationToken::new(),
            watches_expire: false,
        };
        Self { shared: Arc::new(Mutex::new(shared)), crashed: CancellationToken::new() }
    }

    /// Numbers only the changing requests that `choice` picks; all others pass unharmed.
    pub fn count_only(&self, choice: Choice) {
        self.shared().counted = choice;
    }

    /// Does `fault` to the request with this number, counted from 1.
    pub fn at(&self, number: usize, fault: Fault) {
        self.shared().planned.insert(number, fault);
    }

    /// How many changing requests were numbered so far.
    pub fn mutations(&self) -> usize {
        self.shared().trace.len()
    }

    /// The numbered requests in their order; the first has number 1.
    pub fn trace(&self) -> Vec<ApiCall> {
        self.shared().trace.clone()
    }

    /// Whether all faults that were planned have happened.
    pub fn met(&self) -> bool {
        let shared = self.shared();
        shared.planned.keys().all(|number| *number <= shared.trace.len())
    }

    /// Cancelled when the operator is to die: the test then drops all of it. Until it has, every
    /// request fails.
    pub fn crashed(&self) -> CancellationToken {
        self.crashed.clone()
    }

    /// Lets the operator die now.
    pub fn crash(&self) {
        self.crashed.cancel();
    }

    /// Falsifies the lists that `choice` picks, from now on.
    pub fn falsify_lists(&self, fault: ListFault, choice: Choice) {
        self.shared().lists = Some((fault, choice));
    }

    /// Answers all lists honestly again.
    pub fn honest_lists(&self) {
        self.shared().lists = None;
    }

    /// Breaks the connection of every open watch.
    pub fn break_watches(&self) {
        std::mem::take(&mut self.shared().watches).cancel();
    }

    /// Breaks every open watch, and refuses new ones as expired until the next list, as a server
    /// does that has forgotten the past.
    pub fn expire_watches(&self) {
        self.shared().watches_expire = true;
        self.break_watches();
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // A panic of another thread cannot leave a half-made change behind here.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers a changing request, and says what is planned for it.
    fn number(&self, call: &ApiCall) -> Option<Fault> {
        let mut shared = self.shared();
        if !call.is_mutating() || !(shared.counted)(call) {
            return None;
        }
        shared.trace.push(call.clone());
        let number = shared.trace.len();
        shared.planned.get(&number).copied()
    }
}

impl Layer<ApiService> for Faults {
    type Service = ApiService;

    fn layer(&self, inner: ApiService) -> ApiService {
        ApiService::new(FaultyService { inner, faults: self.clone() })
    }
}

struct FaultyService {
    inner: ApiService,
    faults: Faults,
}

impl Service<Request<Body>> for FaultyService {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let crashed = self.faults.crashed();
        if crashed.is_cancelled() {
            return Box::pin(async { Err(answer::dead()) });
        }
        let answer = self.answer(request);
        Box::pin(async move {
            tokio::select! {
                biased;
                () = crashed.cancelled() => Err(answer::dead()),
                answer = answer => answer,
            }
        })
    }
}

impl FaultyService {
    fn answer(&mut self, request: Request<Body>) -> BoxFuture<'static, Result<Answer, BoxError>> {
        let call = ApiCall::of(request.method(), request.uri());
        let faults = self.faults.clone();
        match (faults.number(&call), call.verb) {
            (Some(Fault::DropRequest), _) => Box::pin(async { Err(answer::broken()) }),
            (Some(Fault::Answer(status)), _) => {
                Box::pin(async move { answer::refusal(&call, status) })
            }
            (Some(Fault::CrashBefore), _) => {
                faults.crash();
                Box::pin(async { Err(answer::dead()) })
            }
            (Some(Fault::DropReply), _) => carried_out(self.inner.call(request), || {}),
            (Some(Fault::CrashAfter), _) => {
                carried_out(self.inner.call(request), move || faults.crash())
            }
            (None, "list") => {
                let key = list_key(request.uri());
                let honest = self.inner.call(request);
                Box::pin(async move { faults.list(&call, key, honest.await?).await })
            }
            (None, "watch") => self.watch(request),
            (None, _) => self.inner.call(request),
        }
    }

    fn watch(&mut self, request: Request<Body>) -> BoxFuture<'static, Result<Answer, BoxError>> {
        if self.faults.shared().watches_expire {
            return Box::pin(async { answer::expired_watch() });
        }
        let broken = self.faults.shared().watches.clone();
        let crashed = self.faults.crashed();
        let honest = self.inner.call(request);
        Box::pin(async move { Ok(answer::breakable(honest.await?, broken, crashed)) })
    }
}

impl Faults {
    /// Remembers an honest list, and falsifies it if that is wanted.
    async fn list(&self, call: &ApiCall, key: String, honest: Answer) -> Result<Answer, BoxError> {
        let (parts, body) = honest.into_parts();
        let body = body.collect().await?.to_bytes();
        if !parts.status.is_success() {
            return Ok(Response::from_parts(parts, answer::whole(body)));
        }
        let mut shared = self.shared();
        shared.watches_expire = false;
        let fault = shared.lists.filter(|(_, choice)| choice(call)).map(|(fault, _)| fault);
        let body = match fault {
            None => {
                shared.seen_lists.insert(key, body.clone());
                body
            }
            Some(ListFault::Stale) => shared.seen_lists.entry(key).or_insert(body).clone(),
            Some(ListFault::Empty) => answer::without_items(&body)?,
        };
        Ok(Response::from_parts(parts, answer::whole(body)))
    }
}

/// Waits until the server has carried a request out, does `then`, and breaks the connection.
fn carried_out(
    honest: impl Future<Output = Result<Answer, BoxError>> + Send + 'static,
    then: impl FnOnce() + Send + 'static,
) -> BoxFuture<'static, Result<Answer, BoxError>> {
    Box::pin(async move {
        let _ = honest.await;
        then();
        Err(answer::broken())
    })
}

/// Lists that ask for the same thing have the same key: all of the address but how fresh the
/// answer should be.
fn list_key(uri: &Uri) -> String {
    let query = uri.query().unwrap_or_default().split('&');
    let kept: Vec<&str> = query.filter(|pair| !pair.starts_with("resourceVersion")).collect();
    format!("{}?{}", uri.path(), kept.join("&"))
}
