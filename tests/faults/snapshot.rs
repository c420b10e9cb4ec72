//! Everything that belongs to a cluster, without what differs from run to run by its nature.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{Api, ListParams};
use kube::core::DynamicObject;
use kube::{Client, ResourceExt};
use ottla_crds::KafkaCluster;
use ottla_operator::kubernetes_api::api;
use ottla_plan::identity::{CLUSTER_ID, DISKS, VOTERS};
use ottla_plan::names::{CLUSTER_LABEL, DESIRED_ANNOTATION, NODE_LABEL};
use ottla_plan::object::Kind;
use ottla_plan::resources::pod::TEMPLATE_ANNOTATION;
use serde_json::{Value, json};

/// Objects by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    objects: BTreeMap<String, Value>,
}

impl Snapshot {
    /// How many objects there are, the KafkaCluster not counted.
    pub(crate) fn count(&self) -> usize {
        self.objects.len().saturating_sub(1)
    }

    /// What is missing, too much, or different in `found`.
    pub(crate) fn difference(&self, found: &Snapshot) -> Option<String> {
        let names: BTreeSet<&String> = self.objects.keys().chain(found.objects.keys()).collect();
        let differences: Vec<String> = names
            .into_iter()
            .filter_map(|name| match (self.objects.get(name), found.objects.get(name)) {
                (Some(wanted), Some(found)) => {
                    different("", wanted, found).map(|text| format!("{name}{text}"))
                }
                (Some(_), None) => Some(format!("{name} is missing")),
                (None, _) => Some(format!("{name} should not be there")),
            })
            .collect();
        (!differences.is_empty()).then(|| differences.join("; "))
    }

    /// Takes one.
    pub(crate) async fn take(client: &Client, namespace: &str) -> anyhow::Result<Snapshot> {
        let ours = ListParams::default().labels(CLUSTER_LABEL);
        let mut found: Vec<(Kind, DynamicObject)> = Vec::new();
        for kind in Kind::ALL {
            let objects = api(client, namespace, kind).list(&ours).await?;
            found.extend(objects.into_iter().map(|object| (kind, object)));
        }
        let clusters: Api<KafkaCluster> = Api::namespaced(client.clone(), namespace);
        let clusters = clusters.list(&ListParams::default()).await?.items;
        let names = chance_names(namespace, &found);
        let mut objects = BTreeMap::new();
        for (kind, object) in &found {
            let name = format!("{} {}", kind.word(), object.name_any());
            objects.insert(replaced(&name, &names), plain(*kind, object, &names)?);
        }
        for cluster in &clusters {
            let status = serde_json::to_value(&cluster.status)?.to_string();
            let mut status: Value = serde_json::from_str(&replaced(&status, &names))?;
            for condition in status["conditions"].as_array_mut().into_iter().flatten() {
                condition["lastTransitionTime"] = Value::Null;
            }
            objects.insert(format!("KafkaCluster {}", cluster.name_any()), status);
        }
        Ok(Snapshot { objects })
    }
}

/// Names that chance has given, and what is written in their place.
fn chance_names(namespace: &str, found: &[(Kind, DynamicObject)]) -> BTreeMap<String, String> {
    let mut names = BTreeMap::from([(namespace.to_owned(), "NAMESPACE".to_owned())]);
    for (kind, object) in found {
        for owner in object.owner_references() {
            names.insert(owner.uid.clone(), "OWNER".to_owned());
        }
        if *kind != Kind::ConfigMap {
            continue;
        }
        if let (true, Some((_, hash))) =
            (object.labels().contains_key(NODE_LABEL), object.name_any().rsplit_once('-'))
        {
            names.insert(hash.to_owned(), "CONFIGURATION".to_owned());
        }
        let id = object.data.pointer(&format!("/data/{CLUSTER_ID}")).and_then(Value::as_str);
        names.extend(id.map(|id| (id.to_owned(), "CLUSTER-ID".to_owned())));
    }
    names
}

fn replaced(text: &str, names: &BTreeMap<String, String>) -> String {
    names.iter().fold(text.to_owned(), |text, (chance, name)| text.replace(chance, name))
}

fn plain(
    kind: Kind,
    object: &DynamicObject,
    names: &BTreeMap<String, String>,
) -> anyhow::Result<Value> {
    let metadata = &object.metadata;
    let mut annotations = metadata.annotations.clone().unwrap_or_default();
    annotations.remove(DESIRED_ANNOTATION);
    let mut tree = object.data.clone();
    if let Some(fields) = tree.as_object_mut() {
        fields.remove("status");
    }
    match kind {
        Kind::Secret => hide_values(&mut tree),
        Kind::ConfigMap => hide_chance(&mut tree),
        Kind::Service => {
            tree["spec"]["clusterIPs"] = Value::Null;
            if tree["spec"]["clusterIP"] != "None" {
                tree["spec"]["clusterIP"] = Value::Null;
            }
        }
        Kind::StatefulSet => {
            tree["spec"]["template"]["metadata"]["annotations"][TEMPLATE_ANNOTATION] = Value::Null;
        }
        _ => {}
    }
    // A budget is written again whenever the cluster's health turns.
    let generation = metadata.generation.filter(|_| kind != Kind::PodDisruptionBudget);
    tree["metadata"] = json!({
        "labels": metadata.labels,
        "annotations": annotations,
        "ownerReferences": metadata.owner_references,
        "finalizers": metadata.finalizers,
        "deletionTimestamp": metadata.deletion_timestamp,
        "generation": generation,
    });
    Ok(serde_json::from_str(&replaced(&tree.to_string(), names))?)
}

fn hide_values(tree: &mut Value) {
    for value in tree["data"].as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
        *value = "…".into();
    }
}

/// The CA's certificate, and directory ids. Which nodes and disks have one stays.
fn hide_chance(tree: &mut Value) {
    let Some(data) = tree["data"].as_object_mut() else { return };
    if let Some(certificate) = data.get_mut("ca.crt") {
        *certificate = "…".into();
    }
    for key in [VOTERS, DISKS] {
        let Some(text) = data.get_mut(key) else { continue };
        let ids: BTreeMap<String, String> =
            text.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        *text = json!(ids.keys().collect::<Vec<_>>());
    }
}

/// Where two trees differ first.
fn different(path: &str, wanted: &Value, found: &Value) -> Option<String> {
    match (wanted, found) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or(Value::Null)
                };
                different(&format!("{path}.{key}"), &of(a), &of(b))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs
                .into_iter()
                .find_map(|(index, (a, b))| different(&format!("{path}[{index}]"), a, b))
        }
        _ if wanted == found => None,
        _ => Some(format!("{path} should be {wanted} and is {found}")),
    }
}
