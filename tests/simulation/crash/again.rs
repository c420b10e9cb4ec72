//! The operator dies at each write of an operation, and then something else comes before the next one works: the spec
//! is edited again, or the KafkaCluster created again, or a disk breaks, or a day goes by: it goes to the new wish and leaves nothing behind.

use ottla_tests::world::{Mishap, World};
use serde_json::{Value, json};

use super::super::life::{Birth, born};
use super::{CONTROLLERS, VOLUMES, VOLUMES_OF_CONTROLLERS, at_every_write, disturbed, rests};

/// Edits a cluster, and again when the operator has met a mishap at its write of this number. Whether there was such
/// a write.
fn edited(
    birth: Birth,
    (path, value): (&[&str], &Value),
    (write, mishap): (usize, Mishap),
    again: impl FnOnce(&mut World),
) -> bool {
    let mut world = born(birth).clone();
    world.edit(path, value.clone()).unwrap();
    if !disturbed(&mut world, write, mishap) {
        return false;
    }
    again(&mut world);
    rests(&mut world, &format!("{path:?} {value}, {mishap:?} at write {write}"));
    true
}

/// Called back wherever the operator was when it died, an edit leaves nothing behind: no move, no cordon, no limit, no
/// vote, and no node without its disk.
#[test]
fn edits_that_are_called_back_survive_a_crash_at_every_write() {
    let colocated = Birth { oldest: false, dedicated: false, brokers: 3 };
    let five = Birth { brokers: 5, ..colocated };
    let dedicated = Birth { dedicated: true, ..colocated };
    let disk = |name: &str| json!([{ "name": name, "size": "2Gi" }]);
    let cases: [(Birth, &[&str], Value, Value); 5] = [
        (five, &["spec", "brokers", "replicas"], json!(3), json!(5)),
        (five, &["spec", "brokers", "excludedIds"], json!([3]), json!([])),
        (dedicated, CONTROLLERS, json!(5), json!(3)),
        (dedicated, VOLUMES_OF_CONTROLLERS, disk("d1"), disk("d0")),
        (colocated, VOLUMES, disk("d1"), disk("d0")),
    ];
    for (birth, path, after, back) in cases {
        at_every_write(&[Mishap::CrashBefore, Mishap::CrashAfter], |write, mishap| {
            edited(birth, (path, &after), (write, mishap), |world| {
                world.edit(path, back.clone()).unwrap();
            })
        });
    }
}

/// Named again wherever the operator was when it died, with and without another edit, a disk is there in the
/// end, and takes new replicas.
#[test]
fn disks_that_are_named_again_survive_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: true, brokers: 3 };
    let one = json!([{ "name": "d0", "size": "2Gi" }]);
    let both = json!([{ "name": "d0", "size": "2Gi" }, { "name": "d1", "size": "2Gi" }]);
    for also in [None, Some(json!(["-Xss1m"]))] {
        at_every_write(&Mishap::ALL, |write, mishap| {
            edited(birth, (VOLUMES, &one), (write, mishap), |world| {
                world.edit(VOLUMES, both.clone()).unwrap();
                if let Some(options) = &also {
                    world.edit(&["spec", "brokers", "jvm", "options"], options.clone()).unwrap();
                }
            })
        });
    }
}

/// Wherever the operator was when it died, a disk that leaves all brokers breaks on one of them: that one comes first,
/// and who had begun is not forgotten.
#[test]
fn a_disk_that_breaks_while_it_leaves_survives_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: true, brokers: 3 };
    let path: &[&str] = VOLUMES;
    let one = json!([{ "name": "d0", "size": "2Gi" }]);
    at_every_write(&[Mishap::CrashBefore, Mishap::CrashAfter], |write, mishap| {
        edited(birth, (path, &one), (write, mishap), |world| world.break_disk(2, "d1"))
    });
}

/// Wherever the operator was when it died, and although nobody operates for a day: clients can read of a new CA for
/// long enough before a broker shows a certificate of it. The model holds that.
#[test]
fn another_ca_is_published_long_enough_whenever_the_operator_dies() {
    let birth = Birth { oldest: false, dedicated: false, brokers: 3 };
    let path: &[&str] = &["metadata", "annotations", "ottla.dev/renew-ca"];
    at_every_write(&[Mishap::CrashAfter], |write, mishap| {
        edited(birth, (path, &json!("1")), (write, mishap), |world| world.days(1).unwrap())
    });
}

/// Deleted and created again as it was before the edit, as it is after it, or as neither, wherever the operator was,
/// a cluster is at rest in the end: with every broker and disk that is asked for, and with nothing left in Kafka.
#[test]
fn a_cluster_that_is_created_again_half_way_leaves_nothing_behind() {
    let both = json!([{ "name": "d0", "size": "2Gi" }, { "name": "d1", "size": "2Gi" }]);
    let one = json!([{ "name": "d0", "size": "2Gi" }]);
    let five = Birth { oldest: false, dedicated: false, brokers: 5 };
    let dedicated = Birth { oldest: false, dedicated: true, brokers: 3 };
    let brokers: &[&str] = &["spec", "brokers", "replicas"];
    let volumes: &[&str] = VOLUMES;
    for (birth, path, after, again) in [
        (five, brokers, json!(3), json!(5)),
        (five, brokers, json!(3), json!(4)),
        (five, brokers, json!(3), json!(3)),
        (dedicated, volumes, one, both),
    ] {
        at_every_write(&[Mishap::CrashBefore], |write, mishap| {
            edited(birth, (path, &after), (write, mishap), |world| {
                world.edit(path, again.clone()).unwrap();
                world.recreate();
            })
        });
    }
}

/// Called back and then on again: one release is everywhere in the end, also in what pods that die later
/// are made from.
#[test]
fn an_upgrade_that_is_called_back_and_on_again_survives_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: false, brokers: 3 };
    at_every_write(&Mishap::ALL, |write, mishap| called_back(birth, write, mishap));
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
    for id in [None, Some(0), Some(1), Some(2)] {
        if let Some(id) = id {
            world.kill(id);
        }
        rests(&mut world, &format!("{mishap:?} at write {write}"));
    }
    true
}
