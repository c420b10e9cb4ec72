//! What must hold before an object is deleted.

use super::{Verdicts, unless};
use crate::action::Delete;
use crate::object::Kind;
use crate::observed::Observed;
use crate::resources::stateful_set;

pub(super) fn guards(delete: &Delete, fresh: &Observed) -> Verdicts {
    let name = delete.target.name.as_str();
    let used = || {
        fresh
            .children_of(Kind::StatefulSet)
            .any(|(_, child)| stateful_set::configuration(&child.live) == Some(name))
    };
    let mounted = || fresh.pods.values().any(|pod| pod.configuration.as_deref() == Some(name));
    let in_use = format!("{name} is in use");
    vec![
        (
            "only configurations are deleted",
            unless(delete.kind != Kind::ConfigMap, "S4", &format!("{name} is no ConfigMap")),
        ),
        ("no StatefulSet names it", unless(used(), "S4", &in_use)),
        ("no pod mounts it", unless(mounted(), "S4", &in_use)),
    ]
}
