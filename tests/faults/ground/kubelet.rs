//! Binds claims and runs pods, as far as the API server can tell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::{StreamExt, future, stream};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod as LivePod};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use ottla_crds::KafkaCluster;
use ottla_crds::agent::{AgentState, Role};
use ottla_plan::identity::CLUSTER_ID;
use ottla_plan::names::{BROKER_LABEL, CLUSTER_LABEL, CONTROLLER_LABEL, NODE_LABEL};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, interval};

use super::{Claim, Ground, Place, Pod, agent_status};

/// How often it is looked whether something is to be done.
const TICK: Duration = Duration::from_millis(40);

/// Changes of status at the same time.
const CONCURRENCY: usize = 8;

/// Keeps the ground up to date, for ever.
pub(crate) async fn watch(ground: Ground, client: Client) {
    let claims = each::<PersistentVolumeClaim>(&client, |event| note_claim(&ground, event));
    let pods = each::<LivePod>(&client, |event| note_pod(&ground, event));
    let identities = each::<ConfigMap>(&client, |event| note_identity(&ground, event));
    let clusters = each::<KafkaCluster>(&client, |event| note_cluster(&ground, event));
    future::join4(claims, pods, identities, clusters).await;
}

enum Seen<K> {
    There(K),
    Gone(K),
}

async fn each<K>(client: &Client, note: impl Fn(Seen<K>))
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let events = watcher::watcher(Api::<K>::all(client.clone()), watcher::Config::default());
    events
        .default_backoff()
        .for_each(|event| {
            match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => note(Seen::There(object)),
                Ok(Event::Delete(object)) => note(Seen::Gone(object)),
                // The watcher begins again by itself.
                Ok(Event::Init | Event::InitDone) | Err(_) => {}
            }
            future::ready(())
        })
        .await;
}

fn note_claim(ground: &Ground, seen: Seen<PersistentVolumeClaim>) {
    match seen {
        Seen::There(claim) => {
            let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
            let uid = claim.uid().unwrap_or_default();
            let bound = phase == Some("Bound");
            ground.with(&namespace(&claim), |place| {
                place.disks.entry(uid.clone()).or_default();
                place.claims.insert(claim.name_any(), Claim { uid, bound });
            });
        }
        Seen::Gone(claim) => {
            ground.with(&namespace(&claim), |place| place.claims.remove(&claim.name_any()));
        }
    }
}

fn note_pod(ground: &Ground, seen: Seen<LivePod>) {
    let Seen::There(live) = seen else {
        let Seen::Gone(live) = seen else { return };
        ground.with(&namespace(&live), |place| place.pods.remove(&live.name_any()));
        return;
    };
    let Some(pod) = pod(&live) else { return };
    ground.with(&namespace(&live), |place| {
        let name = live.name_any();
        place.pods_ever.entry(name.clone()).or_default().insert(pod.uid.clone());
        let before = place.pods.get(&name).filter(|before| before.uid == pod.uid).cloned();
        let before = before.unwrap_or(pod);
        place.pods.insert(name, before);
    });
}

fn pod(live: &LivePod) -> Option<Pod> {
    let labels = live.labels();
    let roles = [(BROKER_LABEL, Role::Broker), (CONTROLLER_LABEL, Role::Controller)];
    let volumes = live.spec.as_ref()?.volumes.as_ref()?;
    let configuration =
        volumes.iter().find_map(|volume| Some(volume.config_map.as_ref()?.name.clone()));
    Some(Pod {
        uid: live.uid()?,
        node_id: labels.get(NODE_LABEL)?.parse().ok()?,
        roles: roles
            .into_iter()
            .filter_map(|(label, role)| labels.contains_key(label).then_some(role))
            .collect(),
        config_hash: configuration?.rsplit('-').next()?.to_owned(),
        volumes: volumes
            .iter()
            .filter_map(|volume| {
                let name = volume.name.strip_prefix("disk-")?.to_owned();
                Some((name, volume.persistent_volume_claim.as_ref()?.claim_name.clone()))
            })
            .collect(),
        started: None,
        ready: false,
    })
}

fn note_identity(ground: &Ground, seen: Seen<ConfigMap>) {
    let (Seen::There(object) | Seen::Gone(object)) = seen;
    if !object.labels().contains_key(CLUSTER_LABEL) {
        return;
    }
    let id = object.data.as_ref().and_then(|data| data.get(CLUSTER_ID)).cloned();
    ground.with(&namespace(&object), |place| place.cluster_ids.extend(id));
}

fn note_cluster(ground: &Ground, seen: Seen<KafkaCluster>) {
    let (namespace, conditions) = match seen {
        Seen::There(cluster) => {
            (namespace(&cluster), cluster.status.unwrap_or_default().conditions)
        }
        Seen::Gone(cluster) => (namespace(&cluster), Vec::new()),
    };
    let holding = conditions.into_iter().filter(|condition| condition.status == "True");
    let holding: BTreeMap<String, String> =
        holding.map(|condition| (condition.type_, condition.reason)).collect();
    ground.with(&namespace, |place| place.conditions = holding);
}

fn namespace(object: &impl ResourceExt) -> String {
    object.namespace().unwrap_or_default()
}

/// Binds claims and moves pods on, for ever.
pub(crate) async fn stand_in(ground: Ground, client: Client) {
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        let due: Vec<(String, Step)> = {
            let places = ground.places();
            places.iter().flat_map(|(name, place)| steps(name, place)).collect()
        };
        let ground = &ground;
        let client = &client;
        stream::iter(due)
            .for_each_concurrent(CONCURRENCY, |(namespace, step)| async move {
                take(ground, client, &namespace, step).await;
            })
            .await;
    }
}

/// One change that a kubelet or a provisioner would make.
enum Step {
    Bind(String),
    Start(String, Pod),
    Ready(String, Pod),
}

fn steps(namespace: &str, place: &Place) -> Vec<(String, Step)> {
    let unbound = place.claims.iter().filter(|(_, claim)| !claim.bound);
    let mut steps: Vec<Step> = unbound.map(|(name, _)| Step::Bind(name.clone())).collect();
    for (name, pod) in &place.pods {
        let bound = |claim: &String| place.claims.get(claim).is_some_and(|claim| claim.bound);
        if pod.started.is_none() {
            if pod.volumes.values().all(bound) {
                steps.push(Step::Start(name.clone(), pod.clone()));
            }
        } else if !pod.ready && runs(place, pod) {
            steps.push(Step::Ready(name.clone(), pod.clone()));
        }
    }
    steps.into_iter().map(|step| (namespace.to_owned(), step)).collect()
}

fn runs(place: &Place, pod: &Pod) -> bool {
    agent_status(place, pod).is_some_and(|status| status.state == AgentState::Running)
}

/// A step that fails is tried again at the next tick, if it is still due then.
async fn take(ground: &Ground, client: &Client, namespace: &str, step: Step) {
    match step {
        Step::Bind(name) => {
            let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace);
            let volume = json!({ "spec": { "volumeName": format!("volume-of-{name}") } });
            if patch(&claims, &name, &volume).await {
                let params = PatchParams::default();
                let bound = Patch::Merge(json!({ "status": { "phase": "Bound" } }));
                // The watch tells whether it took.
                let _ = claims.patch_status(&name, &params, &bound).await;
            }
        }
        Step::Start(name, pod) => {
            let address = address();
            let pods = Api::<LivePod>::namespaced(client.clone(), namespace);
            if patch_pod(&pods, &name, &status(&pod, &address, false)).await {
                note(ground, namespace, &name, &pod, |pod| {
                    pod.started = Some((address, Instant::now()));
                });
            }
        }
        Step::Ready(name, pod) => {
            let address = pod.started.clone().map(|(address, _)| address).unwrap_or_default();
            let pods = Api::<LivePod>::namespaced(client.clone(), namespace);
            if patch_pod(&pods, &name, &status(&pod, &address, true)).await {
                note(ground, namespace, &name, &pod, |pod| pod.ready = true);
                let broker = pod.roles.contains(&Role::Broker).then_some(pod.node_id);
                ground.with(namespace, |place| place.registered.extend(broker));
            }
        }
    }
}

fn note(ground: &Ground, namespace: &str, name: &str, same: &Pod, change: impl FnOnce(&mut Pod)) {
    ground.with(namespace, |place| {
        let pod = place.pods.get_mut(name).filter(|pod| pod.uid == same.uid);
        if let Some(pod) = pod {
            change(pod);
        }
    });
}

async fn patch(claims: &Api<PersistentVolumeClaim>, name: &str, tree: &Value) -> bool {
    claims.patch(name, &PatchParams::default(), &Patch::Merge(tree)).await.is_ok()
}

async fn patch_pod(pods: &Api<LivePod>, name: &str, tree: &Value) -> bool {
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(tree)).await.is_ok()
}

/// A pod that runs. Its UID keeps a younger pod of the same name untouched.
fn status(pod: &Pod, address: &str, ready: bool) -> Value {
    let ready = if ready { "True" } else { "False" };
    json!({
        "metadata": { "uid": pod.uid },
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{ "ip": address }],
            "conditions": [
                { "type": "PodScheduled", "status": "True" },
                { "type": "Ready", "status": ready },
            ],
        },
    })
}

/// No two pods ever have the same address.
fn address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [_, high, middle, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("10.{high}.{middle}.{low}")
}
