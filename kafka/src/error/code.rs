//! Kafka's error codes, with their names and what a caller can do about each.

use std::fmt;

use super::Class;

/// A code that Kafka answers with. Codes newer than this table keep their number and count as
/// fatal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(i16);

impl ErrorCode {
    /// No error.
    pub const NONE: Self = Self(0);
    /// The offset is not kept any more, or not written yet.
    pub const OFFSET_OUT_OF_RANGE: Self = Self(1);
    /// The node does not host the topic or partition.
    pub const UNKNOWN_TOPIC_OR_PARTITION: Self = Self(3);
    /// The partition has no leader just now.
    pub const LEADER_NOT_AVAILABLE: Self = Self(5);
    /// The node asked is not the leader: ask the leader.
    pub const NOT_LEADER_OR_FOLLOWER: Self = Self(6);
    /// The node did not get it done in time; it may still happen.
    pub const REQUEST_TIMED_OUT: Self = Self(7);
    /// The node does not hold that replica.
    pub const REPLICA_NOT_AVAILABLE: Self = Self(9);
    /// Fewer replicas are in sync than `min.insync.replicas`.
    pub const NOT_ENOUGH_REPLICAS: Self = Self(19);
    /// The client may not do this.
    pub const CLUSTER_AUTHORIZATION_FAILED: Self = Self(31);
    /// The node does not know this version of the request.
    pub const UNSUPPORTED_VERSION: Self = Self(35);
    /// There is a topic of that name.
    pub const TOPIC_ALREADY_EXISTS: Self = Self(36);
    /// The number of partitions is no good.
    pub const INVALID_PARTITIONS: Self = Self(37);
    /// The replication factor is no good, or too few brokers are registered.
    pub const INVALID_REPLICATION_FACTOR: Self = Self(38);
    /// A configuration key or value is no good.
    pub const INVALID_CONFIG: Self = Self(40);
    /// The node asked is not the active controller: ask that one.
    pub const NOT_CONTROLLER: Self = Self(41);
    /// The request contradicts itself.
    pub const INVALID_REQUEST: Self = Self(42);
    /// The producer's sequence number does not follow the last one.
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: Self = Self(45);
    /// The batch is stored already, and too long ago for Kafka to say where.
    pub const DUPLICATE_SEQUENCE_NUMBER: Self = Self(46);
    /// The node has no such log directory.
    pub const LOG_DIR_NOT_FOUND: Self = Self(57);
    /// The leader epoch in the request is older than the leader's.
    pub const FENCED_LEADER_EPOCH: Self = Self(74);
    /// The leader epoch in the request is newer than the node's.
    pub const UNKNOWN_LEADER_EPOCH: Self = Self(75);
    /// The preferred leader is not in sync or not alive.
    pub const PREFERRED_LEADER_NOT_AVAILABLE: Self = Self(80);
    /// The preferred replica leads already.
    pub const ELECTION_NOT_NEEDED: Self = Self(84);
    /// There is no reassignment that could be cancelled.
    pub const NO_REASSIGNMENT_IN_PROGRESS: Self = Self(85);
    /// Too many changes at once.
    pub const THROTTLING_QUOTA_EXCEEDED: Self = Self(89);
    /// The node does not host a topic with that id.
    pub const UNKNOWN_TOPIC_ID: Self = Self(100);
    /// No broker is registered under that id.
    pub const BROKER_ID_NOT_REGISTERED: Self = Self(102);
    /// The topic was deleted and created anew under the same name.
    pub const INCONSISTENT_TOPIC_ID: Self = Self(103);
    /// A controller was asked what brokers answer, or the reverse.
    pub const MISMATCHED_ENDPOINT_TYPE: Self = Self(114);

    /// The code of this number.
    #[must_use]
    pub const fn new(number: i16) -> Self {
        Self(number)
    }

    /// The number in the protocol.
    #[must_use]
    pub const fn number(self) -> i16 {
        self.0
    }

    /// The name in Kafka's source, such as `NOT_CONTROLLER`.
    #[must_use]
    pub fn name(self) -> &'static str {
        // The table starts with the code -1.
        usize::try_from(i32::from(self.0) + 1)
            .ok()
            .and_then(|place| NAMES.get(place))
            .copied()
            .unwrap_or("UNKNOWN_CODE")
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn class(self) -> Class {
        match self.name() {
            "UNKNOWN_TOPIC_OR_PARTITION"
            | "UNKNOWN_TOPIC_ID"
            | "LOG_DIR_NOT_FOUND"
            | "DELEGATION_TOKEN_NOT_FOUND"
            | "GROUP_ID_NOT_FOUND"
            | "NO_REASSIGNMENT_IN_PROGRESS"
            | "RESOURCE_NOT_FOUND"
            | "BROKER_ID_NOT_REGISTERED"
            | "CONTROLLER_ID_NOT_REGISTERED"
            | "TRANSACTIONAL_ID_NOT_FOUND"
            | "UNKNOWN_CONTROLLER_ID"
            | "VOTER_NOT_FOUND" => Class::NotFound,
            name if RETRIABLE.contains(&name) => Class::Retriable,
            _ => Class::Fatal,
        }
    }

    /// Whether the node refused because another one is to be asked, so that nothing has happened.
    pub(crate) fn is_misrouted(self) -> bool {
        matches!(
            self,
            Self::NOT_CONTROLLER
                | Self::NOT_LEADER_OR_FOLLOWER
                | Self::FENCED_LEADER_EPOCH
                | Self::UNKNOWN_LEADER_EPOCH
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Codes after which the same request may work: Kafka's `RetriableException`s, without those that
/// say that something does not exist.
const RETRIABLE: [&str; 32] = [
    "CORRUPT_MESSAGE",
    "LEADER_NOT_AVAILABLE",
    "NOT_LEADER_OR_FOLLOWER",
    "REQUEST_TIMED_OUT",
    "BROKER_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
    "NETWORK_EXCEPTION",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "NOT_COORDINATOR",
    "NOT_ENOUGH_REPLICAS",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "NOT_CONTROLLER",
    "CONCURRENT_TRANSACTIONS",
    "KAFKA_STORAGE_ERROR",
    "REASSIGNMENT_IN_PROGRESS",
    "FETCH_SESSION_ID_NOT_FOUND",
    "INVALID_FETCH_SESSION_EPOCH",
    "LISTENER_NOT_FOUND",
    "FENCED_LEADER_EPOCH",
    "UNKNOWN_LEADER_EPOCH",
    "STALE_BROKER_EPOCH",
    "OFFSET_NOT_AVAILABLE",
    "PREFERRED_LEADER_NOT_AVAILABLE",
    "ELIGIBLE_LEADERS_NOT_AVAILABLE",
    "ELECTION_NOT_NEEDED",
    "UNSTABLE_OFFSET_COMMIT",
    "THROTTLING_QUOTA_EXCEEDED",
    "INCONSISTENT_TOPIC_ID",
    "FETCH_SESSION_TOPIC_ID_ERROR",
    "NEW_LEADER_ELECTED",
    "REBOOTSTRAP_REQUIRED",
];

/// The names of the codes from -1 on, in order.
const NAMES: [&str; 138] = [
    "UNKNOWN_SERVER_ERROR",
    "NONE",
    "OFFSET_OUT_OF_RANGE",
    "CORRUPT_MESSAGE",
    "UNKNOWN_TOPIC_OR_PARTITION",
    "INVALID_FETCH_SIZE",
    "LEADER_NOT_AVAILABLE",
    "NOT_LEADER_OR_FOLLOWER",
    "REQUEST_TIMED_OUT",
    "BROKER_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
    "MESSAGE_TOO_LARGE",
    "STALE_CONTROLLER_EPOCH",
    "OFFSET_METADATA_TOO_LARGE",
    "NETWORK_EXCEPTION",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "NOT_COORDINATOR",
    "INVALID_TOPIC_EXCEPTION",
    "RECORD_LIST_TOO_LARGE",
    "NOT_ENOUGH_REPLICAS",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "INVALID_REQUIRED_ACKS",
    "ILLEGAL_GENERATION",
    "INCONSISTENT_GROUP_PROTOCOL",
    "INVALID_GROUP_ID",
    "UNKNOWN_MEMBER_ID",
    "INVALID_SESSION_TIMEOUT",
    "REBALANCE_IN_PROGRESS",
    "INVALID_COMMIT_OFFSET_SIZE",
    "TOPIC_AUTHORIZATION_FAILED",
    "GROUP_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
    "INVALID_TIMESTAMP",
    "UNSUPPORTED_SASL_MECHANISM",
    "ILLEGAL_SASL_STATE",
    "UNSUPPORTED_VERSION",
    "TOPIC_ALREADY_EXISTS",
    "INVALID_PARTITIONS",
    "INVALID_REPLICATION_FACTOR",
    "INVALID_REPLICA_ASSIGNMENT",
    "INVALID_CONFIG",
    "NOT_CONTROLLER",
    "INVALID_REQUEST",
    "UNSUPPORTED_FOR_MESSAGE_FORMAT",
    "POLICY_VIOLATION",
    "OUT_OF_ORDER_SEQUENCE_NUMBER",
    "DUPLICATE_SEQUENCE_NUMBER",
    "INVALID_PRODUCER_EPOCH",
    "INVALID_TXN_STATE",
    "INVALID_PRODUCER_ID_MAPPING",
    "INVALID_TRANSACTION_TIMEOUT",
    "CONCURRENT_TRANSACTIONS",
    "TRANSACTION_COORDINATOR_FENCED",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    "SECURITY_DISABLED",
    "OPERATION_NOT_ATTEMPTED",
    "KAFKA_STORAGE_ERROR",
    "LOG_DIR_NOT_FOUND",
    "SASL_AUTHENTICATION_FAILED",
    "UNKNOWN_PRODUCER_ID",
    "REASSIGNMENT_IN_PROGRESS",
    "DELEGATION_TOKEN_AUTH_DISABLED",
    "DELEGATION_TOKEN_NOT_FOUND",
    "DELEGATION_TOKEN_OWNER_MISMATCH",
    "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
    "DELEGATION_TOKEN_AUTHORIZATION_FAILED",
    "DELEGATION_TOKEN_EXPIRED",
    "INVALID_PRINCIPAL_TYPE",
    "NON_EMPTY_GROUP",
    "GROUP_ID_NOT_FOUND",
    "FETCH_SESSION_ID_NOT_FOUND",
    "INVALID_FETCH_SESSION_EPOCH",
    "LISTENER_NOT_FOUND",
    "TOPIC_DELETION_DISABLED",
    "FENCED_LEADER_EPOCH",
    "UNKNOWN_LEADER_EPOCH",
    "UNSUPPORTED_COMPRESSION_TYPE",
    "STALE_BROKER_EPOCH",
    "OFFSET_NOT_AVAILABLE",
    "MEMBER_ID_REQUIRED",
    "PREFERRED_LEADER_NOT_AVAILABLE",
    "GROUP_MAX_SIZE_REACHED",
    "FENCED_INSTANCE_ID",
    "ELIGIBLE_LEADERS_NOT_AVAILABLE",
    "ELECTION_NOT_NEEDED",
    "NO_REASSIGNMENT_IN_PROGRESS",
    "GROUP_SUBSCRIBED_TO_TOPIC",
    "INVALID_RECORD",
    "UNSTABLE_OFFSET_COMMIT",
    "THROTTLING_QUOTA_EXCEEDED",
    "PRODUCER_FENCED",
    "RESOURCE_NOT_FOUND",
    "DUPLICATE_RESOURCE",
    "UNACCEPTABLE_CREDENTIAL",
    "INCONSISTENT_VOTER_SET",
    "INVALID_UPDATE_VERSION",
    "FEATURE_UPDATE_FAILED",
    "PRINCIPAL_DESERIALIZATION_FAILURE",
    "SNAPSHOT_NOT_FOUND",
    "POSITION_OUT_OF_RANGE",
    "UNKNOWN_TOPIC_ID",
    "DUPLICATE_BROKER_REGISTRATION",
    "BROKER_ID_NOT_REGISTERED",
    "INCONSISTENT_TOPIC_ID",
    "INCONSISTENT_CLUSTER_ID",
    "TRANSACTIONAL_ID_NOT_FOUND",
    "FETCH_SESSION_TOPIC_ID_ERROR",
    "INELIGIBLE_REPLICA",
    "NEW_LEADER_ELECTED",
    "OFFSET_MOVED_TO_TIERED_STORAGE",
    "FENCED_MEMBER_EPOCH",
    "UNRELEASED_INSTANCE_ID",
    "UNSUPPORTED_ASSIGNOR",
    "STALE_MEMBER_EPOCH",
    "MISMATCHED_ENDPOINT_TYPE",
    "UNSUPPORTED_ENDPOINT_TYPE",
    "UNKNOWN_CONTROLLER_ID",
    "UNKNOWN_SUBSCRIPTION_ID",
    "TELEMETRY_TOO_LARGE",
    "INVALID_REGISTRATION",
    "TRANSACTION_ABORTABLE",
    "INVALID_RECORD_STATE",
    "SHARE_SESSION_NOT_FOUND",
    "INVALID_SHARE_SESSION_EPOCH",
    "FENCED_STATE_EPOCH",
    "INVALID_VOTER_KEY",
    "DUPLICATE_VOTER",
    "VOTER_NOT_FOUND",
    "INVALID_REGULAR_EXPRESSION",
    "REBOOTSTRAP_REQUIRED",
    "STREAMS_INVALID_TOPOLOGY",
    "STREAMS_INVALID_TOPOLOGY_EPOCH",
    "STREAMS_TOPOLOGY_FENCED",
    "SHARE_SESSION_LIMIT_REACHED",
    "GROUP_DELETION_FAILED",
    "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED",
    "CONTROLLER_ID_NOT_REGISTERED",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_at_their_numbers() {
        for (number, name) in [
            (-1, "UNKNOWN_SERVER_ERROR"),
            (0, "NONE"),
            (3, "UNKNOWN_TOPIC_OR_PARTITION"),
            (41, "NOT_CONTROLLER"),
            (100, "UNKNOWN_TOPIC_ID"),
            (127, "VOTER_NOT_FOUND"),
            (133, "SHARE_SESSION_LIMIT_REACHED"),
            (136, "CONTROLLER_ID_NOT_REGISTERED"),
            (-2, "UNKNOWN_CODE"),
            (9999, "UNKNOWN_CODE"),
            (i16::MIN, "UNKNOWN_CODE"),
        ] {
            assert_eq!(ErrorCode::new(number).name(), name);
        }
    }

    #[test]
    fn each_listed_name_is_a_code() {
        for name in RETRIABLE {
            assert!(NAMES.contains(&name), "{name}");
        }
    }

    #[test]
    fn classes() {
        assert_eq!(ErrorCode::NOT_CONTROLLER.class(), Class::Retriable);
        assert_eq!(ErrorCode::UNKNOWN_TOPIC_ID.class(), Class::NotFound);
        assert_eq!(ErrorCode::INVALID_CONFIG.class(), Class::Fatal);
        assert_eq!(ErrorCode::new(9999).class(), Class::Fatal);
    }
}
