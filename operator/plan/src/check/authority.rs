//! What must hold before the cluster's CA is changed: else nodes would not let each other in.

use super::{Verdicts, unless, violation};
use crate::action::{AuthorityStep, RenewAuthority};
use crate::authority;
use crate::desired::Desired;
use crate::node::nodes;
use crate::observed::Observed;

pub(super) fn guards(renew: &RenewAuthority, desired: &Desired, fresh: &Observed) -> Verdicts {
    let Some(known) = &fresh.authority else {
        return vec![("the CA is there", Err(violation("S7", "the CA is not there")))];
    };
    let other = match renew.step {
        AuthorityStep::Introduce { .. } => known.next.is_some() || known.trusted.len() > 1,
        AuthorityStep::Switch => known.next.is_none(),
        AuthorityStep::Retire => known.next.is_some() || known.trusted.len() < 2,
    };
    let nodes = nodes(desired, fresh);
    let broken = authority::broken(desired, fresh, &nodes, known);
    let done = authority::done(desired, fresh, &nodes, known);
    vec![
        (
            "the Secret is what it was",
            broken.map_or(Ok(()), |sentence| Err(violation("S8", sentence))),
        ),
        ("the CA is there", Ok(())),
        ("it is the step that comes next", unless(other, "S7", "another step comes next by now")),
        (
            "every node runs with the step before",
            done.map_err(|sentence| violation("S8", sentence)),
        ),
    ]
}
