//! What others can ask: `GET /progress`, `GET /lap` for that with the longest waits since the last lap, and `GET /stop`, which ends the run and answers the
//! verdict, the first time and each time after.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::verdict::{Progress, Verdict};
use crate::verification::Verification;

/// A run as those see it who ask.
#[derive(Clone)]
pub(crate) struct Run {
    /// How far it is.
    pub(crate) verification: Arc<Verification>,
    /// Ends it.
    pub(crate) stop: watch::Sender<bool>,
    /// How it ended.
    pub(crate) verdict: watch::Receiver<Option<Arc<Verdict>>>,
}

/// Answers for as long as the program runs.
pub(crate) async fn serve(listener: TcpListener, run: Run) -> std::io::Result<()> {
    let router = Router::new()
        .route("/progress", get(progress))
        .route("/lap", get(lap))
        .route("/stop", get(stop))
        .with_state(run);
    axum::serve(listener, router).await
}

async fn progress(State(run): State<Run>) -> Json<Progress> {
    Json(Progress::of(&run.verification))
}

async fn lap(State(run): State<Run>) -> Json<Progress> {
    Json(Progress::of_lap(&run.verification))
}

async fn stop(State(run): State<Run>) -> Response {
    run.stop.send_replace(true);
    let mut verdict = run.verdict;
    let verdict = match verdict.wait_for(Option::is_some).await {
        Ok(verdict) => verdict.clone(),
        Err(_) => None,
    };
    match verdict {
        Some(verdict) => Json(&*verdict).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the run failed, see the log").into_response(),
    }
}
