//! The ServiceAccount of nodes, which has no right at all.

use serde_json::json;

use super::owned_metadata;
use crate::desired::Desired;
use crate::object::{Kind, Object};

/// The account under which every node's pod runs.
#[must_use]
pub fn nodes(desired: &Desired) -> Object {
    let name = desired.names.nodes();
    let tree = json!({
        "metadata": owned_metadata(desired, &name),
        "automountServiceAccountToken": false,
    });
    Object::new(Kind::ServiceAccount, name, tree)
}
