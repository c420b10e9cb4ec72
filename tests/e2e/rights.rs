//! What the operator asked for, it may do: nothing was denied to it, by the API server's own word.
//! It is played last, after all other scenarios.

use std::collections::BTreeSet;

use anyhow::ensure;

use super::audit::{self, OPERATOR, Request};

#[test]
fn rights_suffice() -> anyhow::Result<()> {
    let requests = audit::since(0)?;
    let mine: Vec<&Request> = requests.iter().filter(|one| one.user == OPERATOR).collect();
    ensure!(!mine.is_empty(), "the operator asked for nothing");
    let denied: BTreeSet<String> =
        mine.iter().filter(|one| one.forbidden).map(|one| one.spell()).collect();
    ensure!(denied.is_empty(), "denied: {denied:?}");
    Ok(())
}
