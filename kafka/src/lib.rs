//! A thin Kafka client for administration: a few calls with a deadline each, mutual TLS, and
//! plain result types. It knows no Kubernetes and judges nothing.
//!
//! - [`Cluster`]: what is asked. Its methods are in `admin` and `record`, one file a subject.
//! - [`Security`] and [`Options`]: how it is spoken to, and how long it may take.
//! - [`Error`]: what was asked of whom and what a caller can do about it ([`Class`]).
//!
//! ```no_run
//! use ottla_kafka::{Cluster, Endpoint, Options, Security};
//!
//! # async fn example() -> Result<(), ottla_kafka::Error> {
//! let bootstrap = vec![Endpoint::new("localhost", 9092)];
//! let cluster = Cluster::new(bootstrap, &Security::Plaintext, Options::default())?;
//! for topic in cluster.topics().await? {
//!     let behind = topic.partitions().filter(|one| one.isr.len() < one.replicas.len()).count();
//!     tracing::debug!(topic = topic.name, behind, "asked");
//! }
//! # Ok(())
//! # }
//! ```

mod admin;
mod call;
mod cluster;
mod connection;
mod endpoint;
mod error;
mod record;
mod uuid;

pub use admin::change::{CreatedTopic, NewPartitions, NewTopic};
pub use admin::cluster::{ClusterDescription, NodeDescription};
pub use admin::config::{
    ConfigChange, ConfigEntry, ConfigOperation, ConfigResource, ConfigSource, ConfigSynonym,
};
pub use admin::election::{Elect, NotElected};
pub use admin::feature::Features;
pub use admin::log_dir::{LogDir, LogDirReplica, NotMoved};
pub use admin::quorum::{Quorum, QuorumNode, QuorumReplica};
pub use admin::reassignment::{NotReassigned, Reassignment, Wish};
pub use admin::topic::{Partition, Topic, TopicPages};
pub use cluster::{Cluster, Options};
pub use connection::{Security, TlsOptions};
pub use endpoint::{Endpoint, NotAnEndpoint};
pub use error::{Class, Error, ErrorCode};
pub use record::batch::BadBatch;
pub use record::fetch::{FetchOptions, Fetched, FetchedRecords};
pub use record::offset::OffsetAt;
pub use record::{FetchedRecord, Isolation, Producer, Record};
pub use uuid::{NotAUuid, Uuid};
