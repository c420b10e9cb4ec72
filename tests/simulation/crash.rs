//! The operator dies before and after each write of a whole operation, and each reply is lost once: it
//! ends the same.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::agent::{DiskMeta, DiskStatus};
use ottla_plan::WaitingOn;
use ottla_plan::object::Kind;
use ottla_plan::observed::disk_key;
use ottla_tests::world::{BAD_OPTION, Mishap, World};
use serde_json::{Value, json};

#[path = "crash/again.rs"]
mod again;
#[path = "crash/back.rs"]
mod back;
#[path = "crash/misfortune.rs"]
mod misfortune;
#[path = "crash/quorum.rs"]
mod quorum;

use super::life::{Birth, born};
use super::probes::Probes;
use super::rest::settle;

/// Where the spec says how many controllers there are.
const CONTROLLERS: &[&str] = &["spec", "controllers", "replicas"];

/// Where it names the disks of brokers.
const VOLUMES: &[&str] = &["spec", "brokers", "storage", "volumes"];

/// Where it names those of Dedicated controllers.
const VOLUMES_OF_CONTROLLERS: &[&str] = &["spec", "controllers", "storage", "volumes"];

/// More writes than any operation here has.
const WRITES_MAX: usize = 600;

#[test]
fn a_roll_survives_a_crash_at_every_write() {
    let config = json!({ "log.retention.hours": "7", "message.max.bytes": "2000000" });
    for dedicated in [false, true] {
        survives(Birth { oldest: false, dedicated, brokers: 3 }, &["spec", "config"], &config);
    }
}

#[test]
fn brokers_that_leave_survive_a_crash_at_every_write() {
    for dedicated in [false, true] {
        survives(
            Birth { oldest: false, dedicated, brokers: 5 },
            &["spec", "brokers", "replicas"],
            &json!(3),
        );
    }
}

#[test]
fn brokers_that_join_survive_a_crash_at_every_write() {
    survives(
        Birth { oldest: false, dedicated: false, brokers: 3 },
        &["spec", "brokers", "replicas"],
        &json!(4),
    );
}

/// Kafka's own topics get as many replicas as there are brokers now.
#[test]
fn brokers_that_join_one_alone_survive_a_crash_at_every_write() {
    survives(
        Birth { oldest: false, dedicated: false, brokers: 1 },
        &["spec", "brokers", "replicas"],
        &json!(3),
    );
}

#[test]
fn a_broker_that_another_takes_the_place_of_survives_a_crash_at_every_write() {
    survives(
        Birth { oldest: false, dedicated: false, brokers: 5 },
        &["spec", "brokers", "excludedIds"],
        &json!([3]),
    );
}

#[test]
fn disks_that_come_and_go_survive_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: true, brokers: 3 };
    let volumes = json!([{ "name": "d0", "size": "2Gi" }, { "name": "d2", "size": "2Gi" }]);
    survives(birth, VOLUMES, &volumes);
}

/// Kubernetes grows file systems only before their pods start, and nodes are restarted for it.
#[test]
fn disks_that_grow_at_starts_survive_a_crash_at_every_write() {
    let mut at_starts = born(Birth { oldest: false, dedicated: false, brokers: 3 }).clone();
    at_starts.grow_disks_at_starts();
    let larger = json!([{ "name": "d0", "size": "3Gi" }]);
    survives_in(&at_starts, VOLUMES, &larger);
}

/// Metadata logs move to other disks, and each voter is given its vote again.
#[test]
fn first_disks_that_go_survive_a_crash_at_every_write() {
    let other = json!([{ "name": "d1", "size": "2Gi" }]);
    let colocated = Birth { oldest: false, dedicated: false, brokers: 3 };
    survives(colocated, VOLUMES, &other);
    let dedicated = Birth { oldest: false, dedicated: true, brokers: 3 };
    survives(dedicated, VOLUMES_OF_CONTROLLERS, &other);
}

/// Brokers and disks whose claims go with them.
#[test]
fn claims_that_go_survive_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: false, brokers: 5 };
    let mut reclaiming = born(birth).clone();
    let reclaim = json!({ "whenScaled": "Delete" });
    reclaiming.edit(&["spec", "brokers", "storage", "reclaim"], reclaim).unwrap();
    rests(&mut reclaiming, "claims go");
    survives_in(&reclaiming, &["spec", "brokers", "replicas"], &json!(3));
    let other = json!([{ "name": "d1", "size": "2Gi" }]);
    survives_in(&reclaiming, VOLUMES, &other);
}

/// The operator dies after it permitted to format a disk that comes to a broker, and before it saw that this
/// was done; meanwhile the disk is in use, and lost. Only a person can know what was on it.
#[test]
fn a_disk_that_is_lost_before_it_was_seen_is_not_formatted_again() {
    let volumes = ["d0", "d1", "d2"].map(|name| json!({ "name": name, "size": "2Gi" }));
    let (mut write, mut lost) = (0, 0);
    loop {
        let mut world = born(Birth { oldest: false, dedicated: true, brokers: 3 }).clone();
        world.edit(VOLUMES, json!(volumes)).unwrap();
        if !disturbed(&mut world, write, Mishap::CrashAfter) {
            break;
        }
        write += 1;
        if let Some((broker, claim)) = formatted_unseen(&world) {
            lose_unseen(&mut world, broker, &claim);
            lost += 1;
        }
    }
    assert!(lost >= 3, "only {lost} disks were lost");
}

/// A broker's disk that was formatted and is not on record, by its claim.
fn formatted_unseen(world: &World) -> Option<(i32, String)> {
    let observed = world.observe();
    let identity = observed.identity?;
    observed.agents.into_iter().find_map(|(id, answer)| {
        let is_new = |disk: &&DiskStatus| {
            matches!(disk.meta, DiskMeta::Present { .. })
                && !identity.disks.contains_key(&disk_key(id, &disk.volume))
        };
        let disk = answer.known()?.disks.iter().find(is_new)?;
        Some((id, format!("payments-broker-{id}-{}", disk.volume)))
    })
}

fn lose_unseen(world: &mut World, broker: i32, claim: &str) {
    world.delete(Kind::PersistentVolumeClaim, claim).unwrap();
    world.kill(broker);
    while world.store().get(Kind::PersistentVolumeClaim, claim).is_some() {
        assert!(world.advance_all(), "claim {claim} stays");
    }
    let asks = |world: &World| {
        let report = world.plan().unwrap().report;
        report.all_waiting().any(|one| one.to_string().contains("nobody saw what became of that"))
    };
    for _ in 0..200 {
        step(world);
    }
    assert!(asks(world), "{:?}", world.plan().unwrap().report.waiting_on);
    let uid = world.store().get(Kind::PersistentVolumeClaim, claim).unwrap().uid.clone();
    let path = ["metadata", "annotations", "ottla.dev/accept-lost-disk"];
    world.change(Kind::PersistentVolumeClaim, claim, &path, uid.into()).unwrap();
    rests(world, "a declared loss");
}

/// Controllers with pods of their own make it twice as long: there the operator only dies, because a write that is
/// refused is as one that it died before, and one of which it hears nothing as one that it died after.
#[test]
fn another_ca_survives_a_crash_at_every_write() {
    let path = ["metadata", "annotations", "ottla.dev/renew-ca"];
    let colocated = Birth { oldest: false, dedicated: false, brokers: 3 };
    survives(colocated, &path, &json!("1"));
    let dedicated = born(Birth { dedicated: true, ..colocated });
    survives_each(dedicated, &path, &json!("1"), &[Mishap::CrashBefore, Mishap::CrashAfter]);
}

#[test]
fn an_upgrade_survives_a_crash_at_every_write() {
    for dedicated in [false, true] {
        let birth = Birth { oldest: false, dedicated, brokers: 3 };
        survives(birth, &["spec", "version"], &json!("4.4.0"));
    }
}

/// One node alone ever takes what it cannot start with, and runs in the end as it did before.
#[test]
fn a_canary_goes_back_whatever_write_fails() {
    for dedicated in [false, true] {
        let birth = Birth { oldest: false, dedicated, brokers: 3 };
        at_every_write(&Mishap::ALL, |write, mishap| canary_failed(birth, write, mishap));
    }
}

/// Whether there was such a write.
fn canary_failed(birth: Birth, write: usize, mishap: Mishap) -> bool {
    let mut world = born(birth).clone();
    let before = world.pod_lives().clone();
    world.edit(&["spec", "brokers", "jvm", "options"], json!([BAD_OPTION])).unwrap();
    if !disturbed(&mut world, write, mishap) {
        return false;
    }
    while step(&mut world) {}
    let plan = world.plan().unwrap();
    let said: Vec<&str> = plan.report.all_waiting().map(WaitingOn::reason).collect();
    assert_eq!(said, ["CanaryFailed"], "{mishap:?} at write {write}");
    assert!(plan.report.nodes.iter().all(|node| node.ready), "{mishap:?} at write {write}");
    assert_eq!(plan.memory.canary, None, "{mishap:?} at write {write}");
    let again = world.pod_lives().iter().filter(|(pod, lives)| before[*pod] != **lives);
    let again: Vec<usize> = again.map(|(pod, lives)| lives - before[pod]).collect();
    assert_eq!(again, [2], "{mishap:?} at write {write}: there and back, one node alone");
    true
}

fn survives(birth: Birth, path: &[&str], value: &Value) {
    survives_in(born(birth), path, value);
}

fn survives_in(world: &World, path: &[&str], value: &Value) {
    survives_each(world, path, value, &Mishap::ALL);
}

fn survives_each(world: &World, path: &[&str], value: &Value, mishaps: &[Mishap]) {
    let end = |mishap| end(world, path, value, mishap);
    let undisturbed = end(None).expect("an operation without any mishap");
    at_every_write(mishaps, |write, mishap| {
        let end = end(Some((write, mishap)));
        if let Some(end) = &end {
            assert_eq!(*end, undisturbed, "{mishap:?} at write {write}");
        }
        end.is_some()
    });
}

/// Lives through an operation with each of these mishaps at each of its writes, until it has no such write.
fn at_every_write(mishaps: &[Mishap], has_write: impl Fn(usize, Mishap) -> bool) {
    for mishap in mishaps {
        let mut write = 0;
        while has_write(write, *mishap) {
            write += 1;
            assert!(write < WRITES_MAX, "the operation has no end");
        }
        assert!(write > 5, "only {write} writes were disturbed");
    }
}

/// The world comes to rest, or the test fails with all that happened.
fn rests(world: &mut World, after: &str) {
    let mut trace = Vec::new();
    if let Err(error) = settle(world, &mut Probes::default(), &mut trace) {
        panic!("{after}: {error:#}\n{}", trace.join("\n"));
    }
}

/// What is there in the end.
#[derive(Debug, PartialEq)]
struct End {
    /// How often every pod was made.
    pod_lives: BTreeMap<String, usize>,
    /// By kind and name; but for configurations, of which former ones are kept.
    objects: BTreeSet<(&'static str, String)>,
    /// Disks on record.
    disks: BTreeSet<String>,
    voters: BTreeSet<i32>,
    brokers: BTreeSet<i32>,
    features: BTreeMap<String, i32>,
}

impl End {
    fn of(world: &World) -> End {
        let observed = world.observe();
        let kafka = observed.kafka.known().expect("Kafka answers in the end");
        let identity = observed.identity.as_ref().expect("it has an identity in the end");
        let objects = world.store().iter().filter(|((kind, _), _)| *kind != Kind::ConfigMap);
        End {
            pod_lives: world.pod_lives().clone(),
            objects: objects.map(|((kind, name), _)| (kind.word(), name.clone())).collect(),
            disks: identity.disks.keys().cloned().collect(),
            voters: kafka.voters.keys().copied().collect(),
            brokers: kafka.brokers.keys().copied().collect(),
            features: kafka.features.clone(),
        }
    }
}

/// How an operation ends that meets a mishap at its write of this number. `None` where it has fewer writes.
fn end(
    world: &World,
    path: &[&str],
    value: &Value,
    mishap: Option<(usize, Mishap)>,
) -> Option<End> {
    let mut world = world.clone();
    world.edit(path, value.clone()).unwrap();
    let met = mishap.is_none_or(|(write, mishap)| disturbed(&mut world, write, mishap));
    if !met {
        return None;
    }
    rests(&mut world, &format!("{mishap:?}"));
    Some(End::of(&world))
}

/// Goes on until the write of this number, which meets the mishap. Whether there was one.
fn disturbed(world: &mut World, write: usize, mishap: Mishap) -> bool {
    world.arm(write, mishap);
    loop {
        let happened = step(world);
        if !world.is_armed() {
            return true;
        }
        if !happened {
            return false;
        }
    }
}

/// A pass, and what follows from it in the world. Whether anything happened, or will.
fn step(world: &mut World) -> bool {
    let outcome = world.pass().unwrap();
    let noticed = world.notice_budgets();
    let advanced = world.advance_all();
    let copied = world.copy();
    let happened = outcome.changed_something() || noticed || advanced || copied;
    happened || outcome.crashed || world.wait().unwrap()
}
