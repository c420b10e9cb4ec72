//! Agents and Kafka: what they answer follows from their disks and from how long they have run.

use std::collections::BTreeMap;

use ottla_crds::agent::{
    AgentState, AgentStatus, DiskMeta, DiskStatus, FormatMode, FormatRequest, InSync, JvmStatus,
    QuorumRole, Role,
};
use ottla_plan::observed::{Answer, Kafka, Voter};
use ottla_plan::properties::{self, MIN_IN_SYNC};
use tokio::time::{Duration, Instant};

use super::disk::{Content, FORMAT_TIME};
use super::{Disk, Place, Pod};

/// How long a JVM takes until it serves, and from then on until it is in sync.
const START_TIME: Duration = Duration::from_millis(150);
const SYNC_TIME: Duration = Duration::from_millis(100);

/// What the agent in this pod says; nothing where none runs.
pub(crate) fn agent_status(place: &Place, pod: &Pod) -> Option<AgentStatus> {
    let disks = disks(place, pod);
    let state = state(pod, &disks)?;
    let serves = matches!(state, AgentState::CatchingUp | AgentState::Running);
    Some(AgentStatus {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        node_id: pod.node_id,
        kafka_version: "4.3.1".to_owned(),
        config_hash: pod.config_hash.clone(),
        state,
        reason: None,
        disks: disks.iter().map(|(volume, disk)| disk_status(volume, disk)).collect(),
        jvm: (serves || state == AgentState::Starting).then(|| JvmStatus {
            started_at_seconds: 1,
            certificate_serial: "1".to_owned(),
            certificate_expires_at_seconds: None,
            authority_serials: Vec::new(),
            logs_to_recover: 0,
            offline_volumes: Vec::new(),
            quorum_role: serves.then(|| role(place, pod)).flatten(),
        }),
        in_sync: match state {
            AgentState::Running => InSync::Yes,
            AgentState::CatchingUp => InSync::No { waiting_on: "catches up".to_owned() },
            _ => InSync::Unknown { reason: "Kafka does not serve".to_owned() },
        },
    })
}

fn disks(place: &Place, pod: &Pod) -> BTreeMap<String, Disk> {
    let disk = |claim: &String| place.disks.get(&place.claims.get(claim)?.uid).cloned();
    pod.volumes
        .iter()
        .map(|(volume, claim)| (volume.clone(), disk(claim).unwrap_or_default()))
        .collect()
}

fn state(pod: &Pod, disks: &BTreeMap<String, Disk>) -> Option<AgentState> {
    let (_, started) = pod.started.as_ref()?;
    let now = Instant::now();
    let mut since = *started;
    for disk in disks.values() {
        let Some(content) = &disk.content else { return Some(AgentState::AwaitingFormat) };
        since = since.max(content.done);
    }
    let ran = now.saturating_duration_since(since);
    Some(if now < since {
        AgentState::Formatting
    } else if ran < START_TIME {
        AgentState::Starting
    } else if ran < START_TIME + SYNC_TIME {
        AgentState::CatchingUp
    } else {
        AgentState::Running
    })
}

fn disk_status(volume: &str, disk: &Disk) -> DiskStatus {
    let meta = disk.meta();
    DiskStatus {
        volume: volume.to_owned(),
        mounted: true,
        holds_metadata_log: false,
        formatted_by: matches!(meta, DiskMeta::Present { .. }).then(|| "4.3.1".to_owned()),
        meta,
        total_bytes: 1 << 30,
        available_bytes: 1 << 29,
    }
}

/// The voter with the lowest id leads.
fn role(place: &Place, pod: &Pod) -> Option<QuorumRole> {
    let votes = |pod: &&Pod| pod.roles.contains(&Role::Controller);
    votes(&pod).then(|| {
        let leader = place.pods.values().filter(votes).map(|pod| pod.node_id).min();
        if leader == Some(pod.node_id) { QuorumRole::Leader } else { QuorumRole::Voter }
    })
}

/// Formats as an agent does that was told to, or says why not.
pub(crate) fn format(place: &mut Place, pod: &Pod, request: &FormatRequest) -> Result<(), String> {
    let sentence = format!("node {} is told to format {:?}", pod.node_id, request.volumes);
    let waits = state(pod, &disks(place, pod)) == Some(AgentState::AwaitingFormat);
    if !waits || request.node_id != pod.node_id {
        place.violations.push(format!("{sentence}, which does not wait for that"));
        return Err("does not wait for a format".to_owned());
    }
    for volume in &request.volumes {
        let claim = pod.volumes.get(volume).and_then(|name| place.claims.get(name)).cloned();
        let Some(claim) = claim else { return Err(format!("has no volume {volume}")) };
        let directory_id = directory_id(request, volume, pod);
        let disk = place.disks.entry(claim.uid).or_default();
        disk.formats += 1;
        if disk.formats > 1 {
            place.violations.push(format!("{sentence}, and {volume} was formatted before"));
        }
        disk.content = Some(Content {
            cluster_id: request.cluster_id.clone(),
            node_id: request.node_id,
            directory_id,
            done: Instant::now() + FORMAT_TIME,
        });
    }
    let mut ids: Vec<&str> = place
        .disks
        .values()
        .filter_map(|disk| Some(disk.content.as_ref()?.cluster_id.as_str()))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() > 1 {
        let ids = ids.join(", ");
        place.violations.push(format!("{sentence}, and disks have several cluster ids: {ids}"));
    }
    Ok(())
}

/// A voter's first disk gets the directory id that the list of first voters names.
fn directory_id(request: &FormatRequest, volume: &str, pod: &Pod) -> String {
    let first = pod.volumes.keys().next().map(String::as_str) == Some(volume);
    let listed = match &request.mode {
        FormatMode::InitialControllers(list) => list.split(',').find_map(|voter| {
            let (id, rest) = voter.split_once('@')?;
            (id == pod.node_id.to_string()).then(|| rest.rsplit(':').next())?
        }),
        FormatMode::NoInitialControllers | FormatMode::Plain => None,
    };
    match listed {
        Some(listed) if first => listed.to_owned(),
        _ => format!("directory-{}-{volume}", pod.node_id),
    }
}

/// A voter that has everything, with the directory that is on its disk.
fn caught_up(place: &Place, pod: &Pod) -> Voter {
    let mut volumes = pod.volumes.values();
    let disk = volumes.next().and_then(|claim| place.disks.get(claim));
    let content = disk.and_then(|disk| disk.content.as_ref());
    let directory = content.map(|content| content.directory_id.clone()).unwrap_or_default();
    Voter { directory, behind_milliseconds: Some(0) }
}

/// What the first active controller makes the cluster's.
fn min_in_sync(place: &Place) -> String {
    let brokers = place.pods.values().filter(|pod| pod.roles.contains(&Role::Broker)).count();
    properties::min_in_sync(brokers).to_string()
}

/// What Kafka says, once every node runs.
pub(crate) fn kafka(place: &Place) -> Answer<Kafka> {
    let runs = |pod: &Pod| {
        agent_status(place, pod).is_some_and(|status| status.state == AgentState::Running)
    };
    if !place.pods.values().all(runs) {
        return Answer::Unknown { reason: "not every node runs".to_owned() };
    }
    let voters = || place.pods.values().filter(|pod| pod.roles.contains(&Role::Controller));
    let content = place.disks.values().find_map(|disk| disk.content.as_ref());
    Answer::Known(Kafka {
        cluster_id: content.map(|content| content.cluster_id.clone()).unwrap_or_default(),
        brokers: place.registered.iter().map(|id| (*id, false)).collect(),
        leader: voters().map(|pod| pod.node_id).min(),
        voters: voters().map(|pod| (pod.node_id, caught_up(place, pod))).collect(),
        features: BTreeMap::from([("metadata.version".to_owned(), 30)]),
        dynamic_config: BTreeMap::from([(MIN_IN_SYNC.to_owned(), min_in_sync(place))]),
        ..Kafka::default()
    })
}
