//! Secrets, without their content: keys are drawn when a plan is carried out.

use serde_json::json;

use super::owned_metadata;
use crate::desired::Desired;
use crate::object::{Kind, Object};

/// The Secret of a node's certificate, or of the operator's.
#[must_use]
pub fn leaf(desired: &Desired, name: &str) -> Object {
    let tree = json!({
        "metadata": owned_metadata(desired, name),
        "type": "kubernetes.io/tls",
    });
    Object::new(Kind::Secret, name.to_owned(), tree)
}
