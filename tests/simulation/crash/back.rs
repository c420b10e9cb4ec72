//! What was there before comes back, and the operator dies at each write of that: what an edit that is called
//! back had taken away, an older release, and a controller that Kafka still knows.

use ottla_tests::world::{Mishap, World};
use serde_json::{Value, json};

use super::super::life::{Birth, born};
use super::{
    CONTROLLERS, VOLUMES, VOLUMES_OF_CONTROLLERS, WRITES_MAX, disturbed, rests, step, survives_in,
};

/// Called back when a quarter of it is done, or half, or three quarters.
#[test]
fn the_way_back_survives_a_crash_at_every_write() {
    let colocated = Birth { oldest: false, dedicated: false, brokers: 3 };
    let five = Birth { brokers: 5, ..colocated };
    let dedicated = Birth { dedicated: true, ..colocated };
    let disks = |names: &[&str]| -> Value {
        names.iter().map(|name| json!({ "name": name, "size": "2Gi" })).collect()
    };
    let cases: [(Birth, &[&str], Value, Value); 7] = [
        (five, &["spec", "brokers", "replicas"], json!(3), json!(5)),
        (five, &["spec", "brokers", "excludedIds"], json!([3]), json!([])),
        (five, CONTROLLERS, json!(5), json!(3)),
        (dedicated, CONTROLLERS, json!(5), json!(3)),
        (dedicated, VOLUMES, disks(&["d0"]), disks(&["d0", "d1"])),
        (colocated, VOLUMES, disks(&["d1"]), disks(&["d0"])),
        (dedicated, VOLUMES_OF_CONTROLLERS, disks(&["d1"]), disks(&["d0"])),
    ];
    for (birth, path, after, back) in cases {
        for quarter in 1..4 {
            survives_in(&half_way(born(birth), path, &after, quarter), path, &back);
        }
    }
}

/// So many quarters of what an edit leads to are done, and pods have taken their steps since: what one is made
/// from that ends at this very moment is a matter of chance.
fn half_way(world: &World, path: &[&str], value: &Value, quarter: usize) -> World {
    let mut edited = world.clone();
    edited.edit(path, value.clone()).unwrap();
    let is_last = |write: &usize| !disturbed(&mut edited.clone(), *write, Mishap::CrashBefore);
    let writes = (0..WRITES_MAX).find(is_last).expect("the edit has an end");
    assert!(disturbed(&mut edited, writes * quarter / 4, Mishap::CrashBefore));
    while edited.advance_all() {}
    edited
}

/// Features of another release are held, and the release that there is.
fn held(dedicated: bool) -> (World, String) {
    let mut world = born(Birth { oldest: false, dedicated, brokers: 3 }).clone();
    let older = world.desired().unwrap().version;
    world.edit(&["spec", "upgrade"], json!({ "finalize": "Manual", "soak": "10s" })).unwrap();
    (world, older)
}

/// No node has the newer release yet, or some have, or all, and its features are held.
#[test]
fn an_upgrade_that_is_called_back_survives_a_crash_at_every_write() {
    for dedicated in [false, true] {
        let (world, older) = held(dedicated);
        for quarter in 1..4 {
            let begun = half_way(&world, &["spec", "version"], &json!("4.4.0"), quarter);
            survives_in(&begun, &["spec", "version"], &json!(older));
        }
    }
}

/// Every node has the newer release and its features are held, until the older one is named again, to stay.
#[test]
fn a_downgrade_that_stays_survives_a_crash_at_every_write() {
    for dedicated in [false, true] {
        let (mut world, older) = held(dedicated);
        world.edit(&["spec", "version"], json!("4.4.0")).unwrap();
        while step(&mut world) {}
        let allowed = world.status().version.unwrap_or_default().allowed;
        assert!(allowed.contains(&older), "there is no way back to {older}: {allowed:?}");
        survives_in(&world, &["spec", "version"], &older.into());
    }
}

/// Before 4.4 Kafka forgets no controller. One that is named again is another life of the one that it knows, and
/// one that left once more runs again for another release.
#[test]
fn controllers_that_kafka_still_knows_survive_a_crash_at_every_write() {
    let mut left = born(Birth { oldest: false, dedicated: true, brokers: 3 }).clone();
    for count in [5, 3] {
        left.edit(CONTROLLERS, json!(count)).unwrap();
        rests(&mut left, &format!("{count} controllers"));
    }
    let cases: [(&[&str], Value); 2] =
        [(CONTROLLERS, json!(5)), (&["spec", "version"], json!("4.4.0"))];
    for (path, value) in cases {
        survives_in(&left, path, &value);
    }
}
