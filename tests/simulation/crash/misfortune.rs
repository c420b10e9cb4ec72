//! What befalls a cluster asks for an operation, and the operator dies at each write of that: a disk breaks, or
//! is lost, or fills up, or certificates are about to run out.

use ottla_tests::world::World;
use serde_json::json;

use super::super::life::{Birth, born};
use super::{VOLUMES, step, survives_in};

/// A disk that Kafka took offline is left out, or another takes its place; on all brokers, because all have the
/// same disks.
#[test]
fn a_broken_disk_that_goes_survives_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: true, brokers: 3 };
    for names in [&["d0"][..], &["d0", "d2"]] {
        let mut broken = born(birth).clone();
        broken.break_disk(1, "d1");
        let volumes = names.iter().map(|name| json!({ "name": name, "size": "2Gi" })).collect();
        survives_in(&broken, VOLUMES, &volumes);
    }
}

/// The vote of the lost disk goes, that of the new one comes, and its replicas are copied from the others.
#[test]
fn the_lost_disk_of_a_broker_that_votes_survives_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: false, brokers: 3 };
    survives_in(&declared("orders", birth, "d0"), &SEEN, &json!("1"));
}

/// The disk with the metadata log, and the other one.
#[test]
fn the_lost_disk_of_a_broker_survives_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: true, brokers: 3 };
    for volume in ["d0", "d1"] {
        survives_in(&declared("payments", birth, volume), &SEEN, &json!("1"));
    }
}

/// An edit that asks for nothing.
const SEEN: [&str; 3] = ["metadata", "annotations", "seen"];

/// A disk of a broker was lost, another is there in its place, and a person has just said so.
fn declared(cluster: &str, birth: Birth, volume: &str) -> World {
    let mut world = born(birth).clone();
    world.lose_disk_of(1, &format!("{cluster}-broker-1-{volume}"), volume);
    while step(&mut world) {}
    assert!(world.declare_lost_disks().unwrap(), "there is no new claim");
    world
}

/// A node whose disk is full waits for room, and has it whatever write of the growth fails.
#[test]
fn a_full_disk_that_grows_survives_a_crash_at_every_write() {
    let mut full = born(Birth { oldest: false, dedicated: false, brokers: 3 }).clone();
    full.fill_disk(1, "d0");
    let volumes = json!([{ "name": "d0", "size": "3Gi" }]);
    survives_in(&full, VOLUMES, &volumes);
}

/// Its pod is made anew for it, where the file system grows only then.
#[test]
fn a_full_disk_that_grows_at_starts_survives_a_crash_at_every_write() {
    let mut full = born(Birth { oldest: false, dedicated: false, brokers: 3 }).clone();
    full.grow_disks_at_starts();
    full.fill_disk(1, "d0");
    let volumes = json!([{ "name": "d0", "size": "3Gi" }]);
    survives_in(&full, VOLUMES, &volumes);
}

/// A third of their lives is left to the certificates of all nodes: each is renewed, and read at a restart.
#[test]
fn certificates_that_run_out_survive_a_crash_at_every_write() {
    let mut later = born(Birth { oldest: false, dedicated: false, brokers: 3 }).clone();
    later.days(245).unwrap();
    survives_in(&later, &["metadata", "annotations", "seen"], &json!("1"));
}
