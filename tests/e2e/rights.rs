//! What the operator asked for, it may do, and what it may do, it asked for: by the API server's
//! own word. It is played last, after all other scenarios, which use every right.

use std::collections::BTreeSet;

use anyhow::ensure;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use super::audit::{self, OPERATOR, Request};
use super::stage::{connect, say};

/// A right: a verb and a kind of object.
type Right = (String, String);

#[tokio::test]
async fn rights_suffice_and_are_used() -> anyhow::Result<()> {
    let requests = audit::since(0)?;
    let mine: Vec<&Request> = requests.iter().filter(|one| one.user == OPERATOR).collect();
    ensure!(!mine.is_empty(), "the operator asked for nothing");
    let denied: BTreeSet<String> =
        mine.iter().filter(|one| one.forbidden).map(|one| one.spell()).collect();
    ensure!(denied.is_empty(), "denied: {denied:?}");
    let used: BTreeSet<Right> =
        mine.iter().map(|one| (one.verb.clone(), one.resource.clone())).collect();
    let granted = granted().await?;
    let unused: Vec<&Right> = granted.difference(&used).collect();
    ensure!(unused.is_empty(), "granted and never used by any scenario: {unused:?}");
    say(&format!("rights: {} granted, all used, none denied", granted.len()));
    Ok(())
}

/// Everything that the roles of the plain installation grant.
async fn granted() -> anyhow::Result<BTreeSet<Right>> {
    let client = connect().await?;
    let ours = ListParams::default().labels("app.kubernetes.io/component=operator");
    let wide: Api<ClusterRole> = Api::all(client.clone());
    let narrow: Api<Role> = Api::namespaced(client, "ottla-system");
    let mut rules: Vec<PolicyRule> = Vec::new();
    for role in wide.list(&ours).await? {
        // The others are for people: who may view or edit KafkaClusters.
        if role.name_any() == "ottla-system:ottla" {
            rules.extend(role.rules.unwrap_or_default());
        }
    }
    for role in narrow.list(&ours).await? {
        rules.extend(role.rules.unwrap_or_default());
    }
    ensure!(!rules.is_empty(), "no role of the operator was found");
    Ok(rules.iter().flat_map(rights).collect())
}

fn rights(rule: &PolicyRule) -> Vec<Right> {
    let resources = rule.resources.iter().flatten();
    let all = resources.flat_map(|resource| rule.verbs.iter().map(move |verb| (verb, resource)));
    all.map(|(verb, resource)| (verb.clone(), resource.clone())).collect()
}
