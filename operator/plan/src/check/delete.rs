//! What must hold before an object is deleted.

use super::{Verdicts, departure, unless};
use crate::action::Delete;
use crate::desired::Desired;
use crate::object::Kind;
use crate::observed::Observed;
use crate::resources::stateful_set;

/// A configuration goes when nobody uses it, and whatever else belongs to a node only with that.
pub(super) fn guards(delete: &Delete, desired: &Desired, fresh: &Observed) -> Verdicts {
    match delete.kind {
        Kind::ConfigMap => unused(delete, fresh),
        _ => departure::delete(delete, desired, fresh),
    }
}

fn unused(delete: &Delete, fresh: &Observed) -> Verdicts {
    let name = delete.target.name.as_str();
    let used = || {
        fresh
            .children_of(Kind::StatefulSet)
            .any(|(_, child)| stateful_set::configuration(&child.live) == Some(name))
    };
    let mounted = || fresh.pods.values().any(|pod| pod.configuration.as_deref() == Some(name));
    let canary = fresh.memory.canary.as_ref();
    let gone_back_to = canary.is_some_and(|canary| canary.before.contains(name));
    let in_use = format!("{name} is in use");
    vec![
        ("no StatefulSet names it", unless(used(), "S4", &in_use)),
        ("no pod mounts it", unless(mounted(), "S4", &in_use)),
        ("no node goes back to it", unless(gone_back_to, "S4", &in_use)),
    ]
}
