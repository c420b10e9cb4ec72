//! Who owns which field of an object, as server-side apply keeps it in `managedFields`.
//!
//! Server-side apply removes only what its manager owned before. Two things would stay for ever: a
//! field that we created, because a create counts as an update and not as an apply; and an item
//! that somebody else put into a list of ours, such as a port of a Service. Both are handed to our
//! apply before it is sent.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value};

use super::object::FIELD_MANAGER;

const APPLY: &str = "Apply";
const UPDATE: &str = "Update";

/// Hands over what we created, and everything in `lists`, given by the names of the fields that
/// lead to each. Returns whether anything changed.
pub(super) fn hand_over(entries: &mut Vec<ManagedFieldsEntry>, lists: &[Vec<String>]) -> bool {
    let created = entries.iter_mut().find(|entry| is_ours(entry, UPDATE));
    let mut changed = created.is_some();
    if let Some(created) = created {
        created.operation = Some(APPLY.to_owned());
    }
    let mut taken = Value::Object(Map::new());
    let mut taken_from = None;
    for entry in entries.iter_mut().filter(|entry| !is_ours(entry, APPLY) && is_of_object(entry)) {
        let Some(fields) = &mut entry.fields_v1 else { continue };
        let found: Vec<Value> = lists
            .iter()
            .filter_map(|list| Some(wrapped(list, take(&mut fields.0, list)?)))
            .collect();
        if !found.is_empty() {
            taken_from = Some(entry.clone());
        }
        found.into_iter().for_each(|items| merge(&mut taken, items));
    }
    if let Some(other) = taken_from {
        changed = true;
        give(entries, taken, &other);
    }
    changed
}

fn is_ours(entry: &ManagedFieldsEntry, operation: &str) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some(operation)
        && is_of_object(entry)
}

/// Gives fields to our apply, which may not have owned anything yet: an object that a person made
/// again from a backup is all theirs.
fn give(entries: &mut Vec<ManagedFieldsEntry>, taken: Value, like: &ManagedFieldsEntry) {
    let ours = entries.iter_mut().find(|entry| is_ours(entry, APPLY));
    match ours.and_then(|ours| ours.fields_v1.as_mut()) {
        Some(fields) => merge(&mut fields.0, taken),
        None => entries.push(ManagedFieldsEntry {
            manager: Some(FIELD_MANAGER.to_owned()),
            operation: Some(APPLY.to_owned()),
            fields_v1: Some(taken.into()),
            ..like.clone()
        }),
    }
}

/// Whether it is of the object itself, and not of its status.
fn is_of_object(entry: &ManagedFieldsEntry) -> bool {
    entry.subresource.as_deref().unwrap_or_default().is_empty()
}

fn key(field: &str) -> String {
    format!("f:{field}")
}

/// Takes what a manager owns at a path, if it owns anything there.
fn take(fields: &mut Value, path: &[String]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    let mut place = fields;
    for parent in parents {
        place = place.get_mut(key(parent))?;
    }
    place.as_object_mut()?.remove(&key(last))
}

/// The same at its path in an empty tree.
fn wrapped(path: &[String], content: Value) -> Value {
    path.iter()
        .rev()
        .fold(content, |inner, field| Value::Object(Map::from_iter([(key(field), inner)])))
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert_with(|| Value::Object(Map::new())), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            operation: Some(operation.to_owned()),
            fields_v1: Some(fields.into()),
            ..ManagedFieldsEntry::default()
        }
    }

    fn ports() -> Vec<Vec<String>> {
        vec![vec!["spec".to_owned(), "ports".to_owned()]]
    }

    #[test]
    fn what_was_created_becomes_what_is_applied() {
        let mut entries = vec![entry("ottla", "Update", json!({ "f:spec": {} }))];
        assert!(hand_over(&mut entries, &[]));
        assert_eq!(entries[0].operation.as_deref(), Some("Apply"));
        assert!(!hand_over(&mut entries, &[]), "only once");
    }

    #[test]
    fn items_of_others_in_a_list_of_ours_become_ours_and_nothing_else_does() {
        let mut entries = vec![
            entry("ottla", "Apply", json!({ "f:spec": { "f:ports": { "k:9092": {} } } })),
            entry(
                "person",
                "Update",
                json!({ "f:metadata": { "f:labels": {} }, "f:spec": { "f:ports": { "k:1": {} } } }),
            ),
        ];
        assert!(hand_over(&mut entries, &ports()));
        let fields = |index: usize| entries[index].fields_v1.as_ref().unwrap().0.clone();
        assert_eq!(fields(0), json!({ "f:spec": { "f:ports": { "k:9092": {}, "k:1": {} } } }));
        assert_eq!(fields(1), json!({ "f:metadata": { "f:labels": {} }, "f:spec": {} }));
        assert!(!hand_over(&mut entries, &ports()), "only once");
    }

    #[test]
    fn what_a_person_made_again_becomes_ours_too() {
        let mut entries = vec![entry("person", "Update", json!({ "f:spec": { "f:ports": {} } }))];
        assert!(hand_over(&mut entries, &ports()));
        assert!(is_ours(&entries[1], APPLY));
        assert!(!hand_over(&mut entries, &ports()), "only once");
    }

    #[test]
    fn a_status_is_left_alone() {
        let mut status = entry("person", "Update", json!({ "f:spec": { "f:ports": {} } }));
        status.subresource = Some("status".to_owned());
        assert!(!hand_over(&mut vec![status], &ports()));
    }
}
