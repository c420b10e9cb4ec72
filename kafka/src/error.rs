//! What can go wrong in a call: what was asked, of whom, and whether it may be asked again.

mod code;

use std::io::ErrorKind;
use std::time::Duration;

pub use code::ErrorCode;

use crate::Endpoint;

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The same call may work later: the answer is unknown, which is neither yes nor no.
    Retriable,
    /// What the call is about does not exist.
    NotFound,
    /// The same call will fail again until something is changed.
    Fatal,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificates or the key given cannot be used.
    #[error("cannot use the TLS options for Kafka: {reason}")]
    TlsOptions {
        /// Which of them and why.
        reason: String,
    },
    /// No connection came about, so nothing was sent.
    #[error("cannot connect to {peer}")]
    Connect {
        /// Whom.
        peer: Endpoint,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke after the request was, or may have been, sent.
    #[error("lost the connection to {peer} while asking it for {call}")]
    Lost {
        /// What was asked.
        call: &'static str,
        /// Whom.
        peer: Endpoint,
        /// How it broke.
        #[source]
        source: std::io::Error,
    },
    /// No answer came in time.
    #[error("{peer} gave no answer to {call} within {} ms", waited.as_millis())]
    Timeout {
        /// What was asked; `connect` where no request was sent yet.
        call: &'static str,
        /// Whom.
        peer: Endpoint,
        /// How long it was waited.
        waited: Duration,
    },
    /// What came is no answer in Kafka's protocol.
    #[error("{peer} answered {call} with bytes that make no sense: {reason}")]
    Malformed {
        /// What was asked.
        call: &'static str,
        /// Whom.
        peer: Endpoint,
        /// What is wrong with them.
        reason: String,
    },
    /// The request cannot be written as the negotiated version wants it.
    #[error("cannot write the request {call} for {peer}: {reason}")]
    Unwritable {
        /// What was asked.
        call: &'static str,
        /// Whom.
        peer: Endpoint,
        /// What the encoder said.
        reason: String,
    },
    /// The peer knows no version of this call that this client knows.
    #[error("{peer} does not offer {call} in a version from {ours_min} to {ours_max}")]
    Unsupported {
        /// What was asked.
        call: &'static str,
        /// Whom.
        peer: Endpoint,
        /// The lowest version of this client.
        ours_min: i16,
        /// The highest version of this client.
        ours_max: i16,
    },
    /// Kafka answered with an error code.
    #[error("{peer} answered {call} for {subject} with {code}{}", said(message))]
    Refused {
        /// What was asked.
        call: &'static str,
        /// Whom.
        peer: Endpoint,
        /// What the code is about: a topic, a partition, a broker, or the cluster.
        subject: String,
        /// Kafka's code.
        code: ErrorCode,
        /// Kafka's own words, where it gave any.
        message: Option<String>,
    },
    /// Nobody is known to send the call to.
    #[error("nobody can answer {call}: {reason}")]
    NoRoute {
        /// What was asked.
        call: &'static str,
        /// Who is missing.
        reason: String,
        /// Whether somebody may turn up: true for a partition without a leader or a quorum
        /// without one, false for a broker or topic that the cluster does not know.
        retriable: bool,
    },
}

/// Kafka's own words as the end of a sentence.
fn said(message: &Option<String>) -> String {
    message.as_ref().map(|text| format!(": {text}")).unwrap_or_default()
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Connect { .. } | Self::Lost { .. } | Self::Timeout { .. } => Class::Retriable,
            // A proxy or a node that is just starting may answer properly a moment later.
            Self::Malformed { .. } => Class::Retriable,
            Self::TlsOptions { .. } | Self::Unwritable { .. } | Self::Unsupported { .. } => {
                Class::Fatal
            }
            Self::Refused { code, .. } => code.class(),
            Self::NoRoute { retriable: true, .. } => Class::Retriable,
            Self::NoRoute { retriable: false, .. } => Class::NotFound,
        }
    }

    /// Whether the same call may work later.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        self.class() == Class::Retriable
    }

    /// Whether a TLS handshake failed, as where the peer's certificate is not trusted. Kafka's own clients do not
    /// try again after that (`SslAuthenticationException`).
    #[must_use]
    pub fn is_refused_handshake(&self) -> bool {
        matches!(self, Self::Connect { source, .. } if source.kind() == ErrorKind::InvalidData)
    }

    /// Whether what the call is about does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.class() == Class::NotFound
    }

    /// The code that Kafka answered with, if it was Kafka who refused.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_as_a_sentence() {
        let error = Error::Refused {
            call: "CreateTopics",
            peer: Endpoint::new("kafka-0", 9091),
            subject: "topic orders".to_owned(),
            code: ErrorCode::INVALID_REPLICATION_FACTOR,
            message: Some("3 brokers wanted, 1 registered".to_owned()),
        };
        assert_eq!(
            error.to_string(),
            "kafka-0:9091 answered CreateTopics for topic orders with \
             INVALID_REPLICATION_FACTOR (38): 3 brokers wanted, 1 registered"
        );
        assert_eq!(error.class(), Class::Fatal);
    }
}
