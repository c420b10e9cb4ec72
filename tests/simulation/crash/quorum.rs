//! Other nodes vote than before, and the operator dies at each write of that.

use serde_json::json;

use super::super::life::{Birth, born};
use super::{CONTROLLERS, rests, survives, survives_in};

#[test]
fn voters_that_join_and_leave_survive_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: true, brokers: 3 };
    survives(birth, CONTROLLERS, &json!(5));
    let mut five = born(birth).clone();
    five.edit(CONTROLLERS, json!(5)).unwrap();
    rests(&mut five, "five");
    survives_in(&five, CONTROLLERS, &json!(3));
}

/// Kafka forgets those that left, whatever is lost on the way: at rest it knows no others than vote.
#[test]
fn controllers_that_kafka_forgets_survive_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: true, brokers: 3 };
    let mut five = born(birth).clone();
    for (path, value) in [(&["spec", "version"][..], json!("4.4.0")), (CONTROLLERS, json!(5))] {
        five.edit(path, value).unwrap();
        rests(&mut five, "five");
    }
    survives_in(&five, CONTROLLERS, &json!(3));
}

/// The vote of the lost disk goes, and that of the new one comes, whatever is lost on the way.
#[test]
fn the_lost_disk_of_a_voter_survives_a_crash_at_every_write() {
    let mut lost = born(Birth { oldest: false, dedicated: true, brokers: 3 }).clone();
    lost.lose_controller(1).unwrap();
    survives_in(&lost, &["metadata", "annotations", "seen"], &json!("1"));
}

/// Brokers get a vote and lose it: they are restarted with another role.
#[test]
fn brokers_that_vote_and_cease_to_survive_a_crash_at_every_write() {
    let birth = Birth { oldest: false, dedicated: false, brokers: 5 };
    survives(birth, CONTROLLERS, &json!(5));
    let mut five = born(birth).clone();
    five.edit(CONTROLLERS, json!(5)).unwrap();
    rests(&mut five, "five");
    survives_in(&five, CONTROLLERS, &json!(3));
}

/// One that decides alone lets others in.
#[test]
fn voters_that_join_one_alone_survive_a_crash_at_every_write() {
    let mut alone = born(Birth { oldest: false, dedicated: false, brokers: 1 }).clone();
    alone.edit(&["spec", "brokers", "replicas"], json!(3)).unwrap();
    rests(&mut alone, "three brokers");
    survives_in(&alone, CONTROLLERS, &json!(3));
}

#[test]
fn controllers_that_get_pods_of_their_own_survive_a_crash_at_every_write() {
    let storage = json!({ "volumes": [{ "name": "d0", "size": "1Gi" }] });
    let dedicated = json!({ "placement": "Dedicated", "replicas": 3, "storage": storage });
    let birth = Birth { oldest: false, dedicated: false, brokers: 3 };
    survives(birth, &["spec", "controllers"], &dedicated);
}
