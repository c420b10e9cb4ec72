//! The administration calls, one file a subject. Each is a method of [`Cluster`](crate::Cluster).

pub(crate) mod broker;
pub(crate) mod change;
pub(crate) mod cluster;
pub(crate) mod config;
pub(crate) mod controller;
pub(crate) mod election;
pub(crate) mod feature;
pub(crate) mod log_dir;
pub(crate) mod quorum;
pub(crate) mod reassignment;
pub(crate) mod topic;
pub(crate) mod voter;

use std::time::Duration;

use kafka_protocol::protocol::StrBytes;

/// A string as the wire format's crate wants it.
pub(crate) fn wire(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// An id where -1 means "none".
pub(crate) fn id_or_none(id: i32) -> Option<i32> {
    (id >= 0).then_some(id)
}

/// How long Kafka may take for a change before it answers `REQUEST_TIMED_OUT`: less than this
/// client waits, so that the answer says more than silence would.
pub(crate) fn server_timeout_milliseconds(request_timeout: Duration) -> i32 {
    i32::try_from(request_timeout.as_millis() * 3 / 4).unwrap_or(i32::MAX)
}
