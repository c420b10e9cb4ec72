//! Which of KRaft's roles this node has.

use ottla_crds::agent::{NodeDocument, Role};

/// The roles of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    /// It stores records.
    pub(crate) broker: bool,
    /// It takes part in the metadata quorum.
    pub(crate) controller: bool,
}

impl Roles {
    /// The roles that the document asks for.
    pub(crate) fn of(node: &NodeDocument) -> Self {
        Self {
            broker: node.roles.contains(&Role::Broker),
            controller: node.roles.contains(&Role::Controller),
        }
    }
}
