//! Kubernetes objects as trees: their kinds, their hash, and whether what lives is what is wanted.

use std::iter::Peekable;
use std::sync::Arc;

use serde::Serialize;
use serde_json::map::Iter;
use serde_json::{Map, Value};

use crate::names::DESIRED_ANNOTATION;
use crate::quantity;

/// The kinds of object that a cluster is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Kubernetes' ConfigMap.
    ConfigMap,
    /// Kubernetes' Secret.
    Secret,
    /// Kubernetes' Service.
    Service,
    /// Kubernetes' ServiceAccount.
    ServiceAccount,
    /// Kubernetes' PersistentVolumeClaim.
    PersistentVolumeClaim,
    /// Kubernetes' StatefulSet.
    StatefulSet,
    /// Kubernetes' PodDisruptionBudget.
    PodDisruptionBudget,
    /// Kubernetes' NetworkPolicy.
    NetworkPolicy,
}

impl Kind {
    /// Every kind, in the order in which objects of a cluster are made.
    pub const ALL: [Kind; 8] = [
        Kind::ConfigMap,
        Kind::Secret,
        Kind::ServiceAccount,
        Kind::Service,
        Kind::NetworkPolicy,
        Kind::PodDisruptionBudget,
        Kind::PersistentVolumeClaim,
        Kind::StatefulSet,
    ];

    /// `apiVersion`, `kind` and the plural in the address.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Kind::ConfigMap => ("v1", "ConfigMap", "configmaps"),
            Kind::Secret => ("v1", "Secret", "secrets"),
            Kind::Service => ("v1", "Service", "services"),
            Kind::ServiceAccount => ("v1", "ServiceAccount", "serviceaccounts"),
            Kind::PersistentVolumeClaim => {
                ("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
            }
            Kind::StatefulSet => ("apps/v1", "StatefulSet", "statefulsets"),
            Kind::PodDisruptionBudget => {
                ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
            }
            Kind::NetworkPolicy => ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
        }
    }

    /// The word that people know, such as `StatefulSet`.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.words().1
    }
}

/// What many objects have in common, built and hashed once.
#[derive(Debug, PartialEq)]
pub struct Common {
    tree: Value,
    hash: String,
}

impl Common {
    /// What is the same in the trees of many objects.
    #[must_use]
    pub fn new(tree: Value) -> Arc<Common> {
        Arc::new(Common { hash: hash(&tree), tree })
    }
}

/// An object as we want it: what it has in common with others and, over that, what is its own, the
/// hash of both included.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Maps of what is its own are laid over those that it has in common with others; anything else
    /// of its own takes the place of what is there.
    pub own: Value,
    common: Arc<Common>,
}

impl Object {
    /// An object that has nothing in common with others.
    #[must_use]
    pub fn new(kind: Kind, name: String, tree: Value) -> Object {
        let common = Common::new(Value::Object(Map::new()));
        Object::over(&common, kind, name, tree)
    }

    /// An object that is its own over what many have in common. It gets the hash annotation.
    #[must_use]
    pub fn over(common: &Arc<Common>, kind: Kind, name: String, mut own: Value) -> Object {
        let hash = hash(&(&common.hash, kind.words(), &own));
        own["metadata"]["annotations"][DESIRED_ANNOTATION] = hash.into();
        Object { kind, name, own, common: Arc::clone(common) }
    }

    /// The whole tree, `apiVersion` and `kind` included.
    #[must_use]
    pub fn tree(&self) -> Value {
        let mut tree = laid_over(&self.common.tree, &self.own);
        let (api_version, word, _) = self.kind.words();
        tree["apiVersion"] = api_version.into();
        tree["kind"] = word.into();
        tree
    }

    /// The hash of what is wanted.
    #[must_use]
    pub fn hash(&self) -> &str {
        desired_hash(&self.own).unwrap_or_default()
    }

    /// Whether everything that is wanted is in a live tree, too.
    #[must_use]
    pub fn is_in(&self, live: &Value) -> bool {
        both_hold("", &self.common.tree, &self.own, Some(live))
    }
}

fn laid_over(common: &Value, own: &Value) -> Value {
    let (Value::Object(common), Value::Object(own)) = (common, own) else { return own.clone() };
    let mut tree = common.clone();
    for (key, own) in own {
        let laid = common.get(key).map_or_else(|| own.clone(), |common| laid_over(common, own));
        tree.insert(key.clone(), laid);
    }
    Value::Object(tree)
}

/// As [`holds`], of what `own` laid over `common` would be.
fn both_hold(key: &str, common: &Value, own: &Value, live: Option<&Value>) -> bool {
    let (Value::Object(common), Value::Object(own), Some(Value::Object(live))) =
        (common, own, live)
    else {
        return field_holds(key, own, live);
    };
    let mut rest = live.iter().peekable();
    let of_common = common.iter().all(|(key, common)| {
        let live = next_of(&mut rest, key);
        match own.get(key) {
            Some(own) => both_hold(key, common, own, live),
            None => field_holds(key, common, live),
        }
    });
    let mut alone = own.iter().filter(|(key, _)| !common.contains_key(*key));
    of_common && alone.all(|(key, own)| field_holds(key, own, live.get(key)))
}

/// The hash annotation of an object, wanted or live.
#[must_use]
pub fn desired_hash(tree: &Value) -> Option<&str> {
    tree.get("metadata")?.get("annotations")?.get(DESIRED_ANNOTATION)?.as_str()
}

/// Most objects are written in less.
const TEXT_BYTES: usize = 4096;

/// Sixteen hexadecimal digits that change whenever the content does.
#[must_use]
pub fn hash<T: Serialize + ?Sized>(content: &T) -> String {
    let mut text = Vec::with_capacity(TEXT_BYTES);
    // Writing into memory cannot fail.
    let _ = serde_json::to_writer(&mut text, content);
    let digest = ring::digest::digest(&ring::digest::SHA256, &text);
    let digits = digest.as_ref().iter().take(8).flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Whether everything in `wanted` is in `live` too. The API server adds defaults, and others may
/// add fields of their own; both are none of our business.
#[must_use]
pub fn holds(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            // Both are in the order of their keys.
            let mut rest = live.iter().peekable();
            wanted.iter().all(|(key, value)| field_holds(key, value, next_of(&mut rest, key)))
        }
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.len() == live.len() && wanted.iter().zip(live).all(|(w, l)| holds(w, l))
        }
        (Value::String(wanted), Value::String(live)) => {
            wanted == live || same_quantity(wanted, live)
        }
        _ => wanted == live,
    }
}

/// The value of a key in a map whose earlier keys have been looked at: both are in the order of their
/// keys. Most keys are there, and telling that two are the same costs less than their order.
fn next_of<'a>(rest: &mut Peekable<Iter<'a>>, key: &String) -> Option<&'a Value> {
    loop {
        let (found, live) = *rest.peek()?;
        if found == key {
            rest.next();
            return Some(live);
        }
        if found > key {
            return None;
        }
        rest.next();
    }
}

fn field_holds(key: &str, wanted: &Value, live: Option<&Value>) -> bool {
    match (key, wanted, live) {
        (OWNERS, Value::Array(wanted), Some(Value::Array(live))) => has_all(wanted, live),
        _ => live.map_or_else(|| is_empty(wanted), |live| holds(wanted, live)),
    }
}

/// The outermost lists of `wanted` that `live` does not hold as they are wanted, by the fields that
/// lead to each.
#[must_use]
pub fn foreign_lists(wanted: &Value, live: &Value) -> Vec<Vec<String>> {
    let (Value::Object(wanted), Value::Object(live)) = (wanted, live) else { return Vec::new() };
    let mut found = Vec::new();
    for (field, wanted) in wanted {
        let live = live.get(field);
        match (wanted, live) {
            (Value::Array(_), Some(_)) if !field_holds(field, wanted, live) => {
                found.push(vec![field.clone()]);
            }
            (Value::Object(_), Some(live)) => {
                let inner = foreign_lists(wanted, live).into_iter();
                found.extend(inner.map(|path| [vec![field.clone()], path].concat()));
            }
            _ => {}
        }
    }
    found
}

/// Owners are a set: an object of a KafkaCluster that was created again has its former owner until
/// the garbage collector forgets it.
const OWNERS: &str = "ownerReferences";

fn has_all(wanted: &[Value], live: &[Value]) -> bool {
    wanted.iter().all(|wanted| live.iter().any(|live| holds(wanted, live)))
}

/// The API server drops empty maps and lists.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The API server rewrites quantities: `1024Mi` comes back as `1Gi`.
fn same_quantity(wanted: &str, live: &str) -> bool {
    matches!((quantity::nanos(wanted), quantity::nanos(live)), (Some(a), Some(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_add_is_not_drift_and_what_they_change_is() {
        let wanted = json!({"a": {"b": "1024Mi", "list": [{"x": 1}], "none": {}}});
        for (live, expected) in [
            (json!({"a": {"b": "1Gi", "list": [{"x": 1, "default": true}]}, "more": 1}), true),
            (json!({"a": {"b": "2Gi", "list": [{"x": 1}]}}), false),
            (json!({"a": {"b": "1Gi", "list": [{"x": 1}, {"x": 2}]}}), false),
            (json!({"a": {"b": "1Gi"}}), false),
        ] {
            assert_eq!(holds(&wanted, &live), expected, "{live}");
        }
    }

    #[test]
    fn lists_with_something_else_in_them_are_found() {
        let wanted = json!({"spec": {"ports": [{"port": 1}], "same": [1]}, "ownerReferences": [1]});
        let live = json!({
            "spec": {"ports": [{"port": 1}, {"port": 2}], "same": [1]},
            "ownerReferences": [1, 2],
        });
        assert_eq!(foreign_lists(&wanted, &live), [["spec", "ports"]]);
    }

    #[test]
    fn what_is_an_objects_own_lies_over_what_is_common() {
        let common = Common::new(json!({ "metadata": { "labels": { "a": "1" } }, "list": [1, 2] }));
        let own = json!({ "metadata": { "labels": { "b": "2" } }, "list": [3] });
        let object = Object::over(&common, Kind::Service, "some".to_owned(), own);
        let tree = object.tree();
        assert_eq!(tree["metadata"]["labels"], json!({ "a": "1", "b": "2" }));
        assert_eq!(tree["list"], json!([3]));
        assert!(object.is_in(&tree) && holds(&tree, &tree));
        for pointer in ["/metadata/labels/a", "/metadata/labels/b", "/list/0"] {
            let mut changed = tree.clone();
            *changed.pointer_mut(pointer).unwrap() = json!("changed");
            assert!(!object.is_in(&changed), "{pointer}");
        }
        for key in ["list", "metadata"] {
            let mut without = tree.clone();
            without.as_object_mut().unwrap().remove(key);
            assert!(!object.is_in(&without), "{key}");
        }
    }

    /// Trees are compared key by key, side by side.
    #[test]
    fn keys_of_a_tree_are_in_order() {
        let tree = json!({ "b": 1, "a": 2, "c": 3 });
        let keys: Vec<&String> = tree.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["a", "b", "c"]);
    }

    #[test]
    fn the_hash_follows_the_content() {
        let object = |size| {
            Object::new(
                Kind::ConfigMap,
                "a".into(),
                json!({"metadata": {}, "data": {"size": size}}),
            )
        };
        assert_eq!(object(1).hash(), object(1).hash());
        assert_ne!(object(1).hash(), object(2).hash());
        assert_eq!(object(1).hash().len(), 16);
    }
}
