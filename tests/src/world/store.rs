//! The model's API server: UIDs, resource versions, preconditions, a few defaults, and what can
//! never change.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ottla_plan::action::Target;
use ottla_plan::names::CLUSTER_LABEL;
use ottla_plan::object::{Kind, Object};
use ottla_plan::observed::Child;
use ottla_plan::quantity;
use serde_json::{Map, Value};

/// Why a write was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// An object of that name exists and belongs to somebody else.
    Taken,
    /// There is no such object.
    Missing,
    /// The object is another one, or has changed.
    Conflict,
    /// A field that can never change would change.
    Immutable(&'static str),
    /// Kafka takes no such value of a key.
    Invalid(String),
    /// There was no answer.
    Silence,
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Taken => out.write_str("it belongs to somebody else"),
            Refused::Missing => out.write_str("there is no such object"),
            Refused::Conflict => out.write_str("it is another object by now, or has changed"),
            Refused::Invalid(key) => write!(out, "Kafka refuses this value of {key}"),
            Refused::Silence => out.write_str("there was no answer"),
            Refused::Immutable(field) => write!(out, "{field} can never change"),
        }
    }
}

#[derive(Clone, Debug)]
struct Stored {
    child: Child,
    /// What was last applied: fields of it that are wanted no more are removed by the next apply.
    applied: Arc<Value>,
}

/// Every object but pods.
#[derive(Clone, Debug, Default)]
pub struct Store {
    objects: BTreeMap<(Kind, String), Stored>,
    writes: u64,
}

impl Store {
    /// Objects by kind and name.
    pub fn iter(&self) -> impl Iterator<Item = (&(Kind, String), &Child)> {
        self.objects.iter().map(|(key, stored)| (key, &stored.child))
    }

    /// Objects of a kind whose names begin so.
    pub(super) fn named_like(
        &self,
        kind: Kind,
        prefix: String,
    ) -> impl Iterator<Item = (&str, &Child)> {
        let from = self.objects.range((kind, prefix.clone())..);
        let of_kind =
            from.take_while(move |((found, name), _)| *found == kind && name.starts_with(&prefix));
        of_kind.map(|((_, name), stored)| (name.as_str(), &stored.child))
    }

    /// One object.
    #[must_use]
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Child> {
        self.objects.get(&(kind, name.to_owned())).map(|stored| &stored.child)
    }

    /// How many numbers were given out: more after each write.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    /// A number that was never given out before.
    pub(super) fn number(&mut self) -> u64 {
        self.writes += 1;
        self.writes
    }

    /// Creates an object. One that exists and carries the same cluster label is taken for ours,
    /// because a reply may have been lost.
    ///
    /// # Errors
    /// [`Refused::Taken`].
    pub fn create(&mut self, object: &Object, tree: Value, seconds: i64) -> Result<(), Refused> {
        if let Some(found) = self.get(object.kind, &object.name) {
            let same = label(&found.live).is_some() && label(&found.live) == label(&tree);
            return if same { Ok(()) } else { Err(Refused::Taken) };
        }
        let uid = format!("uid-{}", self.number());
        let mut live = tree;
        live["metadata"]["uid"] = uid.as_str().into();
        prune(&mut live);
        add_defaults(object.kind, &uid, &mut live);
        let child = Child {
            uid,
            resource_version: self.number().to_string(),
            ours: label(&live).is_some(),
            terminating: false,
            created_at_seconds: seconds,
            live: live.into(),
        };
        let stored = Stored { child, applied: object.tree().into() };
        self.objects.insert((object.kind, object.name.clone()), stored);
        Ok(())
    }

    /// Server-side apply by force, for exactly the object that is meant.
    ///
    /// # Errors
    /// Where the object is gone or another one, or a field can never change.
    pub fn apply(&mut self, object: &Object, target: &Target) -> Result<(), Refused> {
        let key = (object.kind, object.name.clone());
        let stored = self.objects.get(&key).ok_or(Refused::Missing)?;
        if stored.child.uid != target.uid {
            return Err(Refused::Conflict);
        }
        let mut live = Value::clone(&stored.child.live);
        merge(&mut live, &stored.applied, &object.tree());
        prune(&mut live);
        add_defaults(object.kind, &stored.child.uid, &mut live);
        may_change(object.kind, &stored.child.live, &live)?;
        self.store(&key, live);
        if let Some(stored) = self.objects.get_mut(&key) {
            stored.applied = object.tree().into();
        }
        Ok(())
    }

    /// Checks that an object is still exactly as it was seen.
    ///
    /// # Errors
    /// Where it is gone, another one, or changed.
    pub fn expect(&self, kind: Kind, target: &Target) -> Result<(), Refused> {
        let child = self.get(kind, &target.name).ok_or(Refused::Missing)?;
        let same = child.uid == target.uid && child.resource_version == target.resource_version;
        if same { Ok(()) } else { Err(Refused::Conflict) }
    }

    /// Writes one value into a live object, whoever does it.
    ///
    /// # Errors
    /// Where there is no such object, or the field can never change.
    pub fn write(
        &mut self,
        kind: Kind,
        name: &str,
        path: &[&str],
        value: Value,
    ) -> Result<(), Refused> {
        let key = (kind, name.to_owned());
        let before = self.get(kind, name).ok_or(Refused::Missing)?.live.clone();
        let mut live = Value::clone(&before);
        let mut place = &mut live;
        for part in path {
            place = match part.parse::<usize>() {
                Ok(index) if place.is_array() => &mut place[index],
                _ => &mut place[*part],
            };
        }
        *place = value;
        prune(&mut live);
        may_change(kind, &before, &live)?;
        self.store(&key, live);
        Ok(())
    }

    fn store(&mut self, key: &(Kind, String), live: Value) {
        let version = self.number().to_string();
        if let Some(stored) = self.objects.get_mut(key) {
            stored.child.ours = label(&live).is_some();
            let (before, mut live) = (&stored.child.live, live);
            if key.0 == Kind::PodDisruptionBudget {
                let generation = before["metadata"]["generation"].as_u64().unwrap_or(1);
                let changed = u64::from(before["spec"] != live["spec"]);
                live["metadata"]["generation"] = (generation + changed).into();
            }
            stored.child.live = live.into();
            stored.child.resource_version = version;
        }
    }

    /// Marks an object as being deleted, while a finalizer keeps it.
    pub fn terminate(&mut self, kind: Kind, name: &str) {
        if let Some(stored) = self.objects.get_mut(&(kind, name.to_owned())) {
            stored.child.terminating = true;
        }
    }

    /// Removes an object.
    pub fn remove(&mut self, kind: Kind, name: &str) {
        self.objects.remove(&(kind, name.to_owned()));
    }
}

/// The cluster that an object belongs to.
pub(super) fn label(live: &Value) -> Option<&str> {
    live.get("metadata")?.get("labels")?.get(CLUSTER_LABEL)?.as_str()
}

/// The API server stores no empty maps, no empty lists and no nulls.
fn prune(value: &mut Value) {
    if let Value::Object(map) = value {
        map.values_mut().for_each(prune);
        map.retain(|_, value| match value {
            Value::Null => false,
            Value::Object(map) => !map.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => true,
        });
    }
    if let Value::Array(items) = value {
        items.iter_mut().for_each(prune);
    }
}

fn add_defaults(kind: Kind, uid: &str, live: &mut Value) {
    match kind {
        Kind::PersistentVolumeClaim => {
            live["spec"]["volumeName"] = format!("volume-of-{uid}").into();
            live["status"]["phase"] = "Bound".into();
            if live["status"]["capacity"].is_null() {
                live["status"]["capacity"] = live["spec"]["resources"]["requests"].clone();
            }
        }
        Kind::StatefulSet => {
            live["spec"]["template"]["spec"]["restartPolicy"] = "Always".into();
            live["spec"]["template"]["spec"]["schedulerName"] = "default-scheduler".into();
        }
        Kind::PodDisruptionBudget if live["metadata"]["generation"].is_null() => {
            live["metadata"]["generation"] = 1.into();
        }
        Kind::Service => {
            live["spec"]["sessionAffinity"] = "None".into();
            if live["spec"]["clusterIP"].is_null() {
                live["spec"]["clusterIP"] = format!("address-of-{uid}").into();
            }
        }
        _ => {}
    }
}

/// What server-side apply does to fields of ours: those wanted are set, those wanted no more go,
/// those of others stay. Lists are replaced as a whole.
fn merge(live: &mut Value, before: &Value, wanted: &Value) {
    let (Value::Object(live), Value::Object(wanted)) = (live, wanted) else { return };
    let nothing = Map::new();
    let before = before.as_object().unwrap_or(&nothing);
    live.retain(|key, _| wanted.contains_key(key) || !before.contains_key(key));
    for (key, value) in wanted {
        match live.get_mut(key) {
            Some(found) if found.is_object() && value.is_object() => {
                merge(found, before.get(key).unwrap_or(&Value::Null), value);
            }
            _ => {
                live.insert(key.clone(), value.clone());
            }
        }
    }
}

fn may_change(kind: Kind, before: &Value, after: &Value) -> Result<(), Refused> {
    let fixed: &[&'static str] = match kind {
        Kind::ConfigMap if before["immutable"] == true => &["/data", "/immutable"],
        Kind::PersistentVolumeClaim => {
            &["/spec/accessModes", "/spec/volumeMode", "/spec/storageClassName"]
        }
        Kind::StatefulSet => &["/spec/selector", "/spec/serviceName", "/spec/podManagementPolicy"],
        _ => &[],
    };
    for field in fixed {
        if before.pointer(field) != after.pointer(field) {
            return Err(Refused::Immutable(field));
        }
    }
    let size = |tree: &Value| {
        tree.pointer("/spec/resources/requests/storage")?.as_str().and_then(quantity::bytes)
    };
    if kind == Kind::PersistentVolumeClaim && size(after) < size(before) {
        return Err(Refused::Immutable("the size of a claim, unless it grows,"));
    }
    Ok(())
}
