//! The operator dies at each write of an operation, and then the spec is edited again, or the KafkaCluster created
//! again: it goes to the new wish and leaves nothing behind.

use ottla_tests::world::Mishap;
use serde_json::{Value, json};

use super::super::life::{Birth, born, settle};
use super::super::probes::Probes;
use super::disturbed;

/// Called back wherever the operator was when it died, an edit leaves nothing behind: no move, no cordon, no limit, no
/// vote, and no node without its disk.
#[test]
fn edits_that_are_called_back_survive_a_crash_at_every_write() {
    let colocated = Birth { oldest: false, dedicated: false, five: false };
    let five = Birth { five: true, ..colocated };
    let dedicated = Birth { dedicated: true, ..colocated };
    let disk = |name: &str| json!([{ "name": name, "size": "2Gi" }]);
    let cases: [(Birth, &[&str], Value, Value); 5] = [
        (five, &["spec", "brokers", "replicas"], json!(3), json!(5)),
        (five, &["spec", "brokers", "excludedIds"], json!([3]), json!([])),
        (dedicated, &["spec", "controllers", "replicas"], json!(5), json!(3)),
        (dedicated, &["spec", "controllers", "storage", "volumes"], disk("d1"), disk("d0")),
        (colocated, &["spec", "brokers", "storage", "volumes"], disk("d1"), disk("d0")),
    ];
    for (birth, path, after, back) in cases {
        for mishap in [Mishap::CrashBefore, Mishap::CrashAfter] {
            let mut write = 0;
            while called_back_at(birth, path, (&after, &back), (write, mishap)) {
                write += 1;
            }
            assert!(write > 5, "only {write} writes were disturbed");
        }
    }
}

/// Whether there was such a write.
fn called_back_at(
    birth: Birth,
    path: &[&str],
    (after, back): (&Value, &Value),
    (write, mishap): (usize, Mishap),
) -> bool {
    let mut world = born(birth).clone();
    world.edit(path, after.clone()).unwrap();
    if !disturbed(&mut world, write, mishap) {
        return false;
    }
    world.edit(path, back.clone()).unwrap();
    let (mut probes, mut trace) = (Probes::default(), Vec::new());
    if let Err(error) = settle(&mut world, &mut probes, &mut trace) {
        panic!("{path:?} {mishap:?} at write {write}: {error:#}\n{}", trace.join("\n"));
    }
    true
}

/// Named again wherever the operator was when it died, with and without another edit, a disk is there in the
/// end, and takes new replicas.
#[test]
fn disks_that_are_named_again_survive_a_crash_at_every_write() {
    for also in [None, Some(json!(["-Xss1m"]))] {
        for mishap in [Mishap::CrashBefore, Mishap::CrashAfter, Mishap::LostReply, Mishap::Refused]
        {
            let mut write = 0;
            while named_again(write, mishap, also.as_ref()) {
                write += 1;
            }
            assert!(write > 5, "only {write} writes were disturbed");
        }
    }
}

/// Whether there was such a write.
fn named_again(write: usize, mishap: Mishap, also: Option<&Value>) -> bool {
    const VOLUMES: [&str; 4] = ["spec", "brokers", "storage", "volumes"];
    let first = json!({ "name": "d0", "size": "2Gi" });
    let mut world = born(Birth { oldest: false, dedicated: true, five: false }).clone();
    world.edit(&VOLUMES, json!([first])).unwrap();
    if !disturbed(&mut world, write, mishap) {
        return false;
    }
    world.edit(&VOLUMES, json!([first, { "name": "d1", "size": "2Gi" }])).unwrap();
    if let Some(options) = also {
        world.edit(&["spec", "brokers", "jvm", "options"], options.clone()).unwrap();
    }
    let (mut probes, mut trace) = (Probes::default(), Vec::new());
    if let Err(error) = settle(&mut world, &mut probes, &mut trace) {
        panic!("{mishap:?} at write {write}, {also:?}: {error:#}\n{}", trace.join("\n"));
    }
    true
}

/// Deleted and created again as it was before the edit, as it is after it, or as neither, wherever the operator was,
/// a cluster is at rest in the end: with every broker and disk that is asked for, and with nothing left in Kafka.
#[test]
fn a_cluster_that_is_created_again_half_way_leaves_nothing_behind() {
    let both = json!([{ "name": "d0", "size": "2Gi" }, { "name": "d1", "size": "2Gi" }]);
    let one = json!([{ "name": "d0", "size": "2Gi" }]);
    let five = Birth { oldest: false, dedicated: false, five: true };
    let dedicated = Birth { oldest: false, dedicated: true, five: false };
    let brokers: &[&str] = &["spec", "brokers", "replicas"];
    let volumes: &[&str] = &["spec", "brokers", "storage", "volumes"];
    for (birth, path, after, again) in [
        (five, brokers, json!(3), json!(5)),
        (five, brokers, json!(3), json!(4)),
        (five, brokers, json!(3), json!(3)),
        (dedicated, volumes, one, both),
    ] {
        let mut write = 0;
        while created_again(birth, path, (&after, &again), write) {
            write += 1;
        }
        assert!(write > 5, "only {write} writes were disturbed");
    }
}

/// Whether there was such a write.
fn created_again(
    birth: Birth,
    path: &[&str],
    (after, again): (&Value, &Value),
    write: usize,
) -> bool {
    let mut world = born(birth).clone();
    world.edit(path, after.clone()).unwrap();
    if !disturbed(&mut world, write, Mishap::CrashBefore) {
        return false;
    }
    world.edit(path, again.clone()).unwrap();
    world.recreate();
    let (mut probes, mut trace) = (Probes::default(), Vec::new());
    if let Err(error) = settle(&mut world, &mut probes, &mut trace) {
        panic!("{path:?} {again} created again at write {write}: {error:#}\n{}", trace.join("\n"));
    }
    true
}

/// Called back and then on again: one release is everywhere in the end, also in what pods that die later
/// are made from.
#[test]
fn an_upgrade_that_is_called_back_and_on_again_survives_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: false, five: false };
    for mishap in [Mishap::CrashBefore, Mishap::CrashAfter, Mishap::LostReply, Mishap::Refused] {
        let mut write = 0;
        while called_back(birth, write, mishap) {
            write += 1;
        }
        assert!(write > 5, "only {write} writes were disturbed");
    }
}

/// Whether there was such a write.
fn called_back(birth: Birth, write: usize, mishap: Mishap) -> bool {
    let mut world = born(birth).clone();
    let before = world.desired().unwrap().version;
    world.edit(&["spec", "version"], json!("4.4.0")).unwrap();
    if !disturbed(&mut world, write, mishap) {
        return false;
    }
    let allowed = world.status().version.unwrap_or_default().allowed;
    if !allowed.contains(&before) {
        return false;
    }
    world.edit(&["spec", "version"], before.into()).unwrap();
    // Half-way back, and on again.
    world.pass().unwrap();
    world.pass().unwrap();
    world.edit(&["spec", "version"], json!("4.4.0")).unwrap();
    let (mut probes, mut trace) = (Probes::default(), Vec::new());
    for id in [None, Some(0), Some(1), Some(2)] {
        id.into_iter().for_each(|id| world.kill(id));
        if let Err(error) = settle(&mut world, &mut probes, &mut trace) {
            panic!("{mishap:?} at write {write}: {error:#}\n{}", trace.join("\n"));
        }
    }
    true
}
