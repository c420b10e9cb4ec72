//! What a person changes in a simulated life.

use anyhow::{Result, bail};
use ottla_crds::kafka_cluster::KAFKA_VERSIONS;
use ottla_tests::world::{BAD_OPTION, World};
use serde_json::{Value, json};

use super::event::Event;

/// The names that disks have in a life.
pub(crate) const DISKS: [&str; 3] = ["d0", "d1", "d2"];

/// Where the spec names the disks of brokers.
const VOLUMES: &[&str] = &["spec", "brokers", "storage", "volumes"];

/// A person changes the spec, or an object by hand.
pub(crate) fn edit(world: &mut World, event: Event) -> Result<()> {
    match event {
        Event::Configure(number) => world
            .edit(&["spec", "config", "log.retention.hours"], (number % 5 + 1).to_string().into()),
        Event::ConfigureLive(number) => {
            let value = (!number.is_multiple_of(4)).then(|| number.to_string());
            world.edit(&["spec", "config", "message.max.bytes"], value.into())
        }
        Event::ConfigureByHand(number) => {
            let key = ["message.max.bytes", "compression.type"][usize::from(number % 2)];
            world.set_config(key, &(number % 8 + 4).to_string());
            Ok(())
        }
        Event::Heap(number) => world
            .edit(&["spec", "brokers", "jvm", "heap"], format!("{}Mi", 128 + number % 3).into()),
        Event::Resources(number) => {
            let requests = json!({ "cpu": format!("{}m", 100 + number % 3) });
            world.edit(&["spec", "brokers", "resources", "requests"], requests)
        }
        Event::Image(number) => {
            world.edit(&["spec", "image"], format!("kafka:{}", number % 3).into())
        }
        Event::Label(number) => {
            let labels = json!({ "team": format!("team-{}", number % 3) });
            world.edit(&["spec", "brokers", "pod"], json!({ "labels": labels }))
        }
        Event::AskRestart(number) => {
            world.edit(&["metadata", "annotations", "ottla.dev/restart"], number.to_string().into())
        }
        Event::RenewAuthority(number) => world.edit(
            &["metadata", "annotations", "ottla.dev/renew-ca"],
            (number % 3).to_string().into(),
        ),
        Event::BadOption => world.edit(&["spec", "brokers", "jvm", "options"], json!([BAD_OPTION])),
        Event::GoodOption => world.edit(&["spec", "brokers", "jvm", "options"], json!([])),
        Event::HalfAYear => world.days(245),
        Event::OpenBudget => world.open_budget(),
        Event::Reclaim(number) => {
            let policy = if number.is_multiple_of(2) { "Delete" } else { "Retain" };
            let reclaim = json!({ "whenScaled": policy });
            world.edit(&["spec", "brokers", "storage", "reclaim"], reclaim)
        }
        Event::Release(number) => name_release(world, number),
        Event::Upgrade(number) => {
            let finalize = if number.is_multiple_of(3) { "Manual" } else { "Automatic" };
            let soak = ["10s", "10m"][usize::from(number / 3 % 2)];
            world.edit(&["spec", "upgrade"], json!({ "finalize": finalize, "soak": soak }))
        }
        Event::Scale(number) => {
            edit_if_valid(world, &["spec", "brokers", "replicas"], (3 + number % 3).into())
        }
        Event::Exclude(number) => {
            let excluded = if number % 3 == 2 { json!([]) } else { json!([3 + number % 3]) };
            edit_if_valid(world, &["spec", "brokers", "excludedIds"], excluded)
        }
        Event::Controllers(number) => change_controllers(world, number),
        Event::Disks(number) => change_disks(world, number),
        Event::GrowDisks(number) => grow_disks(world, number),
        other => bail!("{other:?} is no edit"),
    }
}

/// The definition refuses what cannot be.
fn edit_if_valid(world: &mut World, path: &[&str], value: Value) -> Result<()> {
    let before = world.clone();
    world.edit(path, value)?;
    if world.desired().is_err() {
        *world = before;
    }
    Ok(())
}

/// One, three or five of them, or three with pods of their own, from where the definition knows no way back.
fn change_controllers(world: &mut World, number: u8) -> Result<()> {
    let is_dedicated = world.desired().is_ok_and(|desired| desired.dedicated());
    if !is_dedicated && number.is_multiple_of(3) {
        let storage = json!({ "volumes": [{ "name": "d0", "size": "1Gi" }] });
        let controllers = json!({ "placement": "Dedicated", "replicas": 3, "storage": storage });
        return world.edit(&["spec", "controllers"], controllers);
    }
    let replicas = [3, 5, 1][usize::from(number / 3 % 3)];
    edit_if_valid(world, &["spec", "controllers", "replicas"], replicas.into())
}

/// Brokers get other disks and, where Kafka has cordons, lose some; or controllers with pods of their own get another.
fn change_disks(world: &mut World, number: u8) -> Result<()> {
    let is_dedicated = world.desired().is_ok_and(|desired| desired.dedicated());
    if is_dedicated && number % 3 == 1 {
        let name = DISKS[usize::from(number / 3 % 3)];
        let volumes = json!([{ "name": name, "size": "1Gi" }]);
        return world.edit(&["spec", "controllers", "storage", "volumes"], volumes);
    }
    let has_cordons = has_cordons(world);
    let chosen = |place: usize| !has_cordons || ((number / 4 % 8) >> place) & 1 == 1;
    let mut names: Vec<&str> = DISKS
        .into_iter()
        .enumerate()
        .filter(|(place, _)| chosen(*place))
        .map(|(_, name)| name)
        .collect();
    if names.is_empty() {
        names = DISKS.to_vec();
    }
    // The first stays the first, or is left out.
    let first =
        world.desired().ok().and_then(|one| Some(one.brokers.volumes.first()?.name.clone()));
    names.sort_by_key(|name| first.as_deref() != Some(name));
    let volumes = volumes(world, &names);
    world.edit(VOLUMES, volumes)
}

/// Whether Kafka can be told that a disk takes no new replicas, without which none leaves.
pub(crate) fn has_cordons(world: &World) -> bool {
    world.observe().features().get("metadata.version").is_some_and(|level| *level >= 30)
}

/// Volumes of brokers by these names, as large as they are.
pub(crate) fn volumes(world: &World, names: &[&str]) -> Value {
    let desired = world.desired().ok();
    let size = desired.and_then(|one| Some(one.brokers.volumes.first()?.size.clone()));
    let size = size.unwrap_or_else(|| "2Gi".to_owned());
    names.iter().map(|name| json!({ "name": name, "size": size })).collect()
}

/// Disks of brokers become larger, because they never shrink.
fn grow_disks(world: &mut World, number: u8) -> Result<()> {
    let Ok(desired) = world.desired() else { return Ok(()) };
    if !number.is_multiple_of(3) {
        world.grow_disks_at_starts();
    }
    let all = &desired.brokers.volumes;
    let largest = all.iter().map(|one| one.size_bytes >> 30).max().unwrap_or_default();
    let size = format!("{}Gi", largest + 1 + u64::from(number % 2));
    let volumes = all.iter().map(|one| json!({ "name": one.name, "size": size })).collect();
    world.edit(VOLUMES, volumes)
}

/// The spec leaves out the disks that are offline on any broker, or names others in their place. Whether there are
/// such.
pub(crate) fn leave_out_broken(world: &mut World, number: u8) -> Result<bool> {
    let broken = world.broken_volumes();
    let Ok(desired) = world.desired() else { return Ok(false) };
    let wished = desired.brokers.volumes.iter().map(|one| one.name.as_str());
    let (gone, mut names): (Vec<&str>, Vec<&str>) = wished.partition(|name| broken.contains(*name));
    if gone.is_empty() {
        return Ok(false);
    }
    if number.is_multiple_of(2) || names.is_empty() {
        let is_other = |name: &&str| !gone.contains(name) && !names.contains(name);
        names.extend(DISKS.into_iter().find(is_other));
    }
    let volumes = volumes(world, &names);
    world.edit(VOLUMES, volumes).map(|()| true)
}

/// A person names a release, unless the definition refuses it.
fn name_release(world: &mut World, number: u8) -> Result<()> {
    let release = KAFKA_VERSIONS[usize::from(number) % KAFKA_VERSIONS.len()];
    let allowed = world.status().version.unwrap_or_default().allowed;
    let refused = !allowed.is_empty() && !allowed.iter().any(|allowed| allowed == release);
    if refused { Ok(()) } else { world.edit(&["spec", "version"], release.into()) }
}
