//! Where objects of each kind are read and written: observe and act share this and nothing else.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use ottla_plan::object::Kind;

/// The API for a kind of object in a namespace.
#[must_use]
pub fn api(client: &Client, namespace: &str, kind: Kind) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource(kind))
}

fn resource(kind: Kind) -> ApiResource {
    let (api_version, word, plural) = kind.words();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, word), plural)
}

/// The API for pods in a namespace.
#[must_use]
pub fn pods(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("", "v1", "Pod");
    let resource = ApiResource::from_gvk_with_plural(&kind, "pods");
    Api::namespaced_with(client.clone(), namespace, &resource)
}
