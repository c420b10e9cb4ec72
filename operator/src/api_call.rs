//! What a request asks of the Kubernetes API, read from its method and address.
//!
//! Metrics count by verb, and tests inject faults by verb and resource; both read it here.

use http::{Method, Uri};

/// One request to the Kubernetes API, in the API's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiCall {
    /// The verb as roles and audit logs spell it: `get`, `list`, `watch`, `create`, `update`,
    /// `patch`, `delete` or `deletecollection`.
    pub verb: &'static str,
    /// The API group; empty for the core group and for addresses outside of any group.
    pub group: String,
    /// The plural resource name, or the whole path where the address names no resource.
    pub resource: String,
    /// The part of the object that is addressed, as `status`.
    pub subresource: Option<String>,
    /// The namespace, for namespaced resources.
    pub namespace: Option<String>,
    /// The object's name, where one object is addressed.
    pub name: Option<String>,
}

impl ApiCall {
    /// Reads a call from the method and the address of its request.
    pub fn of(method: &Method, uri: &Uri) -> Self {
        let target = Target::of(uri.path());
        Self {
            verb: verb(method, uri, target.name.is_some() || target.group.is_none()),
            group: target.group.unwrap_or_default().to_owned(),
            resource: target.resource.to_owned(),
            subresource: target.subresource.map(str::to_owned),
            namespace: target.namespace.map(str::to_owned),
            name: target.name.map(str::to_owned),
        }
    }

    /// Whether the call can change something.
    pub fn is_mutating(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }
}

/// What a path addresses. `group` is `None` for paths outside of `/api` and `/apis`.
struct Target<'a> {
    group: Option<&'a str>,
    resource: &'a str,
    subresource: Option<&'a str>,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn of(path: &'a str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _version, rest @ ..] if !rest.is_empty() => ("", rest),
            ["apis", group, _version, rest @ ..] if !rest.is_empty() => (*group, rest),
            _ => return Self::without_group(path),
        };
        // `/namespaces/{name}` addresses a Namespace; only a longer path lies inside of one.
        // Its subresources `status` and `finalize` are nothing that anyone here calls.
        let (namespace, rest) = match rest {
            ["namespaces", namespace, inside @ ..] if !inside.is_empty() => {
                (Some(*namespace), inside)
            }
            _ => (None, rest),
        };
        Self {
            group: Some(group),
            resource: rest[0],
            subresource: rest.get(2).copied(),
            namespace,
            name: rest.get(1).copied(),
        }
    }

    fn without_group(path: &'a str) -> Self {
        Self { group: None, resource: path, subresource: None, namespace: None, name: None }
    }
}

fn verb(method: &Method, uri: &Uri, addresses_one: bool) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if addresses_one => "delete",
        Method::DELETE => "deletecollection",
        _ if asks_to_watch(uri) => "watch",
        _ if addresses_one => "get",
        _ => "list",
    }
}

fn asks_to_watch(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default();
    query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: Method, uri: &str) -> ApiCall {
        ApiCall::of(&method, &uri.parse().unwrap())
    }

    #[test]
    fn verbs_follow_method_and_address() {
        let pods = "/api/v1/namespaces/shop/pods";
        let pod = "/api/v1/namespaces/shop/pods/orders-broker-0-0";
        for (method, uri, verb) in [
            (Method::GET, pods, "list"),
            (Method::GET, "/api/v1/pods?limit=500", "list"),
            (
                Method::GET,
                "/api/v1/namespaces/shop/pods?watch=true&allowWatchBookmarks=true",
                "watch",
            ),
            (Method::GET, "/api/v1/pods?&labelSelector=a%3Dwatch&resourceVersion=0", "list"),
            (Method::GET, pod, "get"),
            (Method::POST, pods, "create"),
            (Method::PUT, pod, "update"),
            (Method::PATCH, pod, "patch"),
            (Method::DELETE, pod, "delete"),
            (Method::DELETE, pods, "deletecollection"),
            (Method::GET, "/version", "get"),
            (Method::GET, "/apis", "get"),
            (Method::GET, "/api/v1/namespaces/shop", "get"),
            (Method::GET, "/api/v1/namespaces", "list"),
        ] {
            assert_eq!(call(method.clone(), uri).verb, verb, "{method} {uri}");
        }
    }

    #[test]
    fn the_address_is_taken_apart() {
        let status = call(
            Method::PATCH,
            "/apis/ottla.dev/v1alpha1/namespaces/shop/kafkaclusters/orders/status?fieldManager=ottla",
        );
        assert_eq!(status.group, "ottla.dev");
        assert_eq!(status.resource, "kafkaclusters");
        assert_eq!(status.subresource.as_deref(), Some("status"));
        assert_eq!(status.namespace.as_deref(), Some("shop"));
        assert_eq!(status.name.as_deref(), Some("orders"));

        let node = call(Method::GET, "/api/v1/nodes/worker-1");
        assert_eq!((node.group.as_str(), node.resource.as_str()), ("", "nodes"));
        assert_eq!(node.namespace, None);
    }

    #[test]
    fn only_reads_do_not_mutate() {
        assert!(!call(Method::GET, "/api/v1/pods?watch=1").is_mutating());
        assert!(call(Method::POST, "/api/v1/namespaces/shop/secrets").is_mutating());
    }
}
