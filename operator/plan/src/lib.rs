//! The pure core of Ottla: every decision of the product, without any input or output.
//!
//! [`cluster::plan`] is the place to begin: it names the steps in their order.

pub mod action;
pub mod authority;
mod canary;
pub mod certificate;
pub mod check;
pub mod cluster;
mod configuration;
pub mod desired;
mod disks;
pub mod duration;
pub mod event;
pub mod explain;
pub mod format;
pub mod identity;
mod moves;
pub mod names;
pub mod node;
pub mod object;
pub mod observed;
pub mod properties;
pub mod quantity;
mod quorum;
mod racks;
pub mod release;
pub mod repair;
pub mod report;
pub mod resources;
pub mod roll;
mod scale;
pub mod status;
mod upgrade;

pub use action::Action;
pub use desired::Desired;
pub use disks::growth::GROWS_WITHIN_SECONDS;
pub use observed::Observed;
pub use observed::Traces;
pub use ottla_crds::kafka_cluster::status::Memory;
pub use report::{Report, WaitingOn};

/// One pass's decisions: what to do, in order, and why everything else is not done.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an unread plan does nothing and explains nothing"]
pub struct Plan {
    /// What later passes must know. Where it differs from what was observed, it is written before
    /// anything else.
    pub memory: Memory,
    /// What is begun and outlives the KafkaCluster, kept with the identity and likewise written first.
    pub traces: Traces,
    /// Writes, in the order in which they may be made. Every one is idempotent.
    pub actions: Vec<Action>,
    /// What is, and what is waited for.
    pub report: Report,
}
