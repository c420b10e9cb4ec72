//! Lists of everything that carries the cluster's label.

use futures::future::{try_join, try_join_all};
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, ResourceExt};
use ottla_plan::names::{CLUSTER_LABEL, Names};
use ottla_plan::object::Kind;
use ottla_plan::observed::{Child, Children};
use serde_json::Value;

use super::ObserveError;
use crate::kubernetes_api::{api, pods};

/// How many objects a page of a list holds.
const PAGE_SIZE: u32 = 200;

/// What the API server holds of one cluster.
pub struct Found {
    /// Objects of every kind; Secrets without their content.
    pub children: Children,
    /// Secrets with their content.
    pub secrets: Vec<DynamicObject>,
    /// Pods.
    pub pods: Vec<DynamicObject>,
}

/// Lists everything of one cluster. Reads are consistent: none comes from a cache.
///
/// # Errors
/// When any list fails.
pub async fn list(client: &Client, names: &Names) -> Result<Found, ObserveError> {
    let kinds = Kind::ALL.map(|kind| async move {
        let api = api(client, &names.namespace, kind);
        Ok::<_, ObserveError>((kind, all(api, names, kind.words().2).await?))
    });
    let pods = all(pods(client, &names.namespace), names, "pods");
    let (kinds, pods) = try_join(try_join_all(kinds), pods).await?;
    let mut found = Found { children: Children::default(), secrets: Vec::new(), pods };
    for (kind, objects) in kinds {
        for object in objects {
            found.children.insert(kind, object.name_any(), child(kind, &object));
            if kind == Kind::Secret {
                found.secrets.push(object);
            }
        }
    }
    Ok(found)
}

async fn all(
    api: Api<DynamicObject>,
    names: &Names,
    what: &'static str,
) -> Result<Vec<DynamicObject>, ObserveError> {
    let selector = format!("{CLUSTER_LABEL}={}", names.cluster);
    let mut params = ListParams::default().labels(&selector).limit(PAGE_SIZE);
    let mut objects = Vec::new();
    loop {
        let page = api.list(&params).await.map_err(|source| ObserveError::List { what, source })?;
        objects.extend(page.items);
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => params = params.continue_token(&token),
            _ => return Ok(objects),
        }
    }
}

/// A child from a live object. A Secret's content stays behind.
#[must_use]
pub fn child(kind: Kind, object: &DynamicObject) -> Child {
    let mut metadata = object.metadata.clone();
    metadata.managed_fields = None;
    let mut live = if kind == Kind::Secret { Value::Null } else { object.data.clone() };
    if live.is_null() {
        live = serde_json::json!({});
    }
    live["metadata"] = serde_json::to_value(&metadata).unwrap_or_default();
    let (api_version, word, _) = kind.words();
    live["apiVersion"] = api_version.into();
    live["kind"] = word.into();
    Child {
        uid: object.uid().unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        ours: object.labels().contains_key(CLUSTER_LABEL),
        terminating: object.metadata.deletion_timestamp.is_some(),
        created_at_seconds: object.creation_timestamp().map_or(0, |time| time.0.as_second()),
        live: live.into(),
    }
}
