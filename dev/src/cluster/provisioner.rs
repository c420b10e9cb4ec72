//! Serves claims with disks of the nodes: makes them, grows them, removes them.
//!
//! It watches claims and volumes through kubectl, which lists all of them when
//! it starts: whatever was missed is seen then, and each action can be repeated.

mod quantity;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::io::BufReader;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cluster::disk::Disk;
use crate::cluster::kubectl::Kubectl;
use crate::cluster::state::{State, text};
use crate::command::{run, run_with_input};
use crate::step;
use crate::wait;

/// What `manifests/storage.yaml` calls us.
const NAME: &str = "ottla.dev/local-disk";
/// Claims that are served at the same time; mkfs and kubectl are what they wait for.
const WORKERS: usize = 3;
/// How often something is tried; then it waits for the next change of its claim or volume.
const TRIES: usize = 10;
/// Before what failed is tried again: the API server is likely to be starting.
const PAUSE: Duration = Duration::from_millis(500);

struct Provisioner {
    state: State,
    kubectl: Kubectl,
}

/// Serves until it is killed.
pub(crate) fn serve(state: &State, kubectl: &Kubectl) {
    let provisioner = Provisioner { state: state.clone(), kubectl: kubectl.clone() };
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            let (sender, receiver) = channel();
            workers.push(sender);
            let provisioner = &provisioner;
            scope.spawn(move || provisioner.work(&receiver));
        }
        for kind in ["persistentvolumeclaims", "persistentvolumes"] {
            let (provisioner, workers) = (&provisioner, workers.clone());
            scope.spawn(move || provisioner.watch_for_ever(kind, &workers));
        }
    });
}

impl Provisioner {
    fn watch_for_ever(&self, kind: &str, workers: &[Sender<Value>]) {
        loop {
            if let Err(error) = self.watch(kind, workers) {
                step::say(&format!("the watch of {kind} broke: {error:#}"));
            }
            wait::pause(PAUSE);
        }
    }

    /// Hands each event to the worker of its volume, so that one volume has one worker.
    fn watch(&self, kind: &str, workers: &[Sender<Value>]) -> anyhow::Result<()> {
        let arguments =
            ["get", kind, "--all-namespaces", "--watch", "--output-watch-events", "--output=json"];
        let mut child = self.kubectl.command(arguments).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("kubectl has no output")?;
        let events = serde_json::Deserializer::from_reader(BufReader::new(output)).into_iter();
        for event in events {
            let mut event: Value = event.context("kubectl wrote something else than JSON")?;
            if event["type"] == "DELETED" {
                continue;
            }
            let object = event["object"].take();
            let mut hasher = DefaultHasher::new();
            volume_name(&object).hash(&mut hasher);
            let worker = usize::try_from(hasher.finish() % WORKERS as u64)?;
            workers[worker].send(object).context("the worker of the volume has ended")?;
        }
        child.wait()?;
        Ok(())
    }

    fn work(&self, objects: &Receiver<Value>) {
        for object in objects {
            for _ in 0..TRIES {
                match self.serve(&object) {
                    Ok(()) => break,
                    Err(error) => step::say(&format!("{}: {error:#}", volume_name(&object))),
                }
                wait::pause(PAUSE);
            }
        }
    }

    fn serve(&self, object: &Value) -> anyhow::Result<()> {
        match need(object) {
            Need::Nothing => Ok(()),
            Need::Disk { node } => self.provision(object, node),
            Need::Growth => self.grow(object),
            Need::Removal => self.remove(object),
        }
    }

    fn provision(&self, claim: &Value, node: &str) -> anyhow::Result<()> {
        let name = volume_name(claim);
        let size = wanted_size(claim)?;
        let disk = Disk::named(&self.state, node, &name);
        disk.create(quantity::bytes(size)?)?;
        let volume = volume(claim, node, &text(&disk.path), size);
        let mut create = self.kubectl.command(["create", "-f", "-"]);
        let created = run_with_input(&mut create, volume.to_string().as_bytes());
        if let Err(error) = created
            && !error.to_string().contains("AlreadyExists")
        {
            return Err(error);
        }
        step::say(&format!("{name}: {size} on {node} for {}", spell(claim)));
        Ok(())
    }

    fn grow(&self, claim: &Value) -> anyhow::Result<()> {
        let name = volume_name(claim);
        let size = wanted_size(claim)?;
        let path = run(&mut self.kubectl.command([
            "get",
            "persistentvolume",
            &name,
            "--output=jsonpath={.spec.local.path}",
        ]))?;
        let node = node_of_path(&path).with_context(|| format!("{path} is no disk of ours"))?;
        Disk::named(&self.state, node, &name).grow(quantity::bytes(size)?)?;
        let volume = json!({ "spec": { "capacity": { "storage": size } } });
        self.patch(&["persistentvolume", &name], &volume)?;
        let status = json!({ "status": {
            "capacity": { "storage": size },
            "conditions": null,
        }});
        let (namespace, claim_name) = names(claim);
        let target = ["persistentvolumeclaim", claim_name, "-n", namespace, "--subresource=status"];
        self.patch(&target, &status)?;
        step::say(&format!("{name}: grown to {size} for {}", spell(claim)));
        Ok(())
    }

    fn remove(&self, volume: &Value) -> anyhow::Result<()> {
        let name = volume_name(volume);
        let path = volume["spec"]["local"]["path"].as_str().unwrap_or_default();
        let node = node_of_path(path).with_context(|| format!("{path} is no disk of ours"))?;
        Disk::named(&self.state, node, &name).remove()?;
        self.kubectl.run(&format!("delete persistentvolume {name} --wait=false"))?;
        step::say(&format!("{name}: removed from {node}"));
        Ok(())
    }

    fn patch(&self, target: &[&str], patch: &Value) -> anyhow::Result<()> {
        let patch = patch.to_string();
        let mut command = self.kubectl.command(["patch", "--type=merge", "--patch", &patch]);
        run(command.args(target))?;
        Ok(())
    }
}

/// What a claim or volume needs of us.
#[derive(Debug, PartialEq)]
enum Need<'a> {
    Nothing,
    Disk { node: &'a str },
    Growth,
    Removal,
}

fn need(object: &Value) -> Need<'_> {
    let annotation = |name: &str| object["metadata"]["annotations"][name].as_str();
    let phase = object["status"]["phase"].as_str();
    let is_leaving = object["metadata"].get("deletionTimestamp").is_some();
    if object["kind"] == "PersistentVolume" {
        let is_ours = annotation("pv.kubernetes.io/provisioned-by") == Some(NAME);
        let is_free = phase == Some("Released")
            && object["spec"]["persistentVolumeReclaimPolicy"] == "Delete";
        return if is_ours && is_free && !is_leaving { Need::Removal } else { Need::Nothing };
    }
    if annotation("volume.kubernetes.io/storage-provisioner") != Some(NAME) || is_leaving {
        return Need::Nothing;
    }
    match (object["spec"]["volumeName"].as_str(), annotation("volume.kubernetes.io/selected-node"))
    {
        (None, Some(node)) => Need::Disk { node },
        (Some(_), _) if phase == Some("Bound") && wants_growth(object) => Need::Growth,
        _ => Need::Nothing,
    }
}

fn wants_growth(claim: &Value) -> bool {
    let has = claim["status"]["capacity"]["storage"].as_str().map(quantity::bytes);
    let wants = wanted_size(claim).and_then(quantity::bytes);
    matches!((has, wants), (Some(Ok(has)), Ok(wants)) if wants > has)
}

fn wanted_size(claim: &Value) -> anyhow::Result<&str> {
    claim["spec"]["resources"]["requests"]["storage"].as_str().context("the claim names no size")
}

/// The volume of a claim has the claim's id in its name, as Kubernetes' own provisioners do it.
fn volume_name(object: &Value) -> String {
    let metadata = &object["metadata"];
    if object["kind"] == "PersistentVolume" {
        return metadata["name"].as_str().unwrap_or_default().to_owned();
    }
    format!("pvc-{}", metadata["uid"].as_str().unwrap_or_default())
}

fn names(claim: &Value) -> (&str, &str) {
    let name = |field: &str| claim["metadata"][field].as_str().unwrap_or_default();
    (name("namespace"), name("name"))
}

fn spell(claim: &Value) -> String {
    let (namespace, name) = names(claim);
    format!("{namespace}/{name}")
}

/// `…/<node>/disks/<volume>`.
fn node_of_path(path: &str) -> Option<&str> {
    let mut parts = path.rsplit('/');
    parts.next()?;
    if parts.next()? != "disks" {
        return None;
    }
    parts.next()
}

fn volume(claim: &Value, node: &str, path: &str, size: &str) -> Value {
    let (namespace, name) = names(claim);
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": volume_name(claim),
            "annotations": { "pv.kubernetes.io/provisioned-by": NAME },
        },
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": { "storage": size },
            "volumeMode": "Filesystem",
            "storageClassName": claim["spec"]["storageClassName"],
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": namespace,
                "name": name,
                "uid": claim["metadata"]["uid"],
            },
            "local": { "path": path },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [{
                "key": "kubernetes.io/hostname",
                "operator": "In",
                "values": [node],
            }]}]}},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Value {
        json!({
            "kind": "PersistentVolumeClaim",
            "metadata": { "uid": "1", "annotations": {
                "volume.kubernetes.io/storage-provisioner": NAME,
                "volume.kubernetes.io/selected-node": "node-2",
            }},
            "spec": { "resources": { "requests": { "storage": "2Gi" } } },
            "status": { "phase": "Pending" },
        })
    }

    #[test]
    fn a_claim_needs_a_disk_once_its_node_is_chosen() {
        assert_eq!(need(&claim()), Need::Disk { node: "node-2" });
        let mut undecided = claim();
        undecided["metadata"]["annotations"]["volume.kubernetes.io/selected-node"].take();
        assert_eq!(need(&undecided), Need::Nothing);
    }

    #[test]
    fn a_bound_claim_needs_growth_when_it_asks_for_more_than_it_has() {
        let mut claim = claim();
        claim["spec"]["volumeName"] = json!("pvc-1");
        claim["status"] = json!({ "phase": "Bound", "capacity": { "storage": "1Gi" } });
        assert_eq!(need(&claim), Need::Growth);
        claim["status"]["capacity"]["storage"] = json!("2048Mi");
        assert_eq!(need(&claim), Need::Nothing);
    }

    #[test]
    fn a_released_volume_is_removed_only_if_it_is_ours_and_not_to_be_kept() {
        let mut volume = json!({
            "kind": "PersistentVolume",
            "metadata": { "name": "pvc-1",
                "annotations": { "pv.kubernetes.io/provisioned-by": NAME } },
            "spec": { "persistentVolumeReclaimPolicy": "Delete" },
            "status": { "phase": "Released" },
        });
        assert_eq!(need(&volume), Need::Removal);
        volume["spec"]["persistentVolumeReclaimPolicy"] = json!("Retain");
        assert_eq!(need(&volume), Need::Nothing);
    }

    #[test]
    fn the_node_is_read_from_the_path_of_a_disk() {
        assert_eq!(node_of_path("/var/lib/ottla-dev/node-2/disks/pvc-1"), Some("node-2"));
        assert_eq!(node_of_path("/mnt/node-2/pvc-1"), None);
    }
}
