//! The answers and errors that stand in for those of a server or a network.

use std::io;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::client::DynBody;
use ottla_operator::api_call::ApiCall;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::BoxError;

use super::Answer;

/// The error of a connection that broke.
pub(super) fn broken() -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by an injected fault").into()
}

/// The error of everything that a dead operator still tries.
pub(super) fn dead() -> BoxError {
    io::Error::other("this operator is dead by an injected fault").into()
}

/// A body that is there as a whole.
pub(super) fn whole(bytes: Bytes) -> Box<DynBody> {
    Box::new(Full::new(bytes).map_err(BoxError::from))
}

/// The answer of a server that refuses a call with this status.
pub(super) fn refusal(call: &ApiCall, status: StatusCode) -> Result<Answer, BoxError> {
    let reason = match status {
        StatusCode::CONFLICT if call.verb == "create" => "AlreadyExists",
        StatusCode::CONFLICT => "Conflict",
        StatusCode::GONE => "Expired",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::INTERNAL_SERVER_ERROR => "InternalError",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        StatusCode::GATEWAY_TIMEOUT => "Timeout",
        _ => "Unknown",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "refused by an injected fault", "reason": reason, "code": status.as_u16(),
    });
    json_answer(status, &body)
}

/// The answer to a watch whose starting point the server has forgotten.
pub(super) fn expired_watch() -> Result<Answer, BoxError> {
    let event = json!({
        "type": "ERROR",
        "object": {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old resource version", "reason": "Expired", "code": 410,
        },
    });
    json_answer(StatusCode::OK, &event)
}

fn json_answer(status: StatusCode, body: &Value) -> Result<Answer, BoxError> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    Ok(answer.body(whole(Bytes::from(format!("{body}\n"))))?)
}

/// The same list without its items.
pub(super) fn without_items(list: &Bytes) -> Result<Bytes, BoxError> {
    let mut list: Value = serde_json::from_slice(list)?;
    list["items"] = json!([]);
    if let Some(metadata) = list["metadata"].as_object_mut() {
        metadata.remove("continue");
        metadata.remove("remainingItemCount");
    }
    Ok(Bytes::from(list.to_string()))
}

/// The same watch, which ends in an error when either token is cancelled.
pub(super) fn breakable(
    watch: Answer,
    broken_off: CancellationToken,
    crashed: CancellationToken,
) -> Answer {
    let cut = async move {
        tokio::select! {
            () = broken_off.cancelled() => {}
            () = crashed.cancelled() => {}
        }
    };
    watch.map(|body| {
        let open = Some((body.into_data_stream(), Box::pin(cut)));
        let frames = stream::unfold(open, |open| async {
            let (mut events, mut cut) = open?;
            tokio::select! {
                biased;
                () = &mut cut => Some((Err(broken()), None)),
                event = events.next() => {
                    event.map(|event| (event.map(Frame::data), Some((events, cut))))
                }
            }
        });
        Box::new(StreamBody::new(Box::pin(frames))) as Box<DynBody>
    })
}
