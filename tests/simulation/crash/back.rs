//! What was there before comes back, and the operator dies at each write of that: an older release, and a
//! controller that Kafka still knows.

use serde_json::{Value, json};

use super::super::life::{Birth, born};
use super::{rests, step, survives_in};

/// Every node has the newer release and its features are held, until the older one is named again, to stay.
#[test]
fn a_downgrade_that_stays_survives_a_crash_at_every_write() {
    for dedicated in [false, true] {
        let mut world = born(Birth { oldest: false, dedicated, brokers: 3 }).clone();
        let older = world.desired().unwrap().version;
        world.edit(&["spec", "upgrade"], json!({ "finalize": "Manual", "soak": "10s" })).unwrap();
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
    const CONTROLLERS: &[&str] = &["spec", "controllers", "replicas"];
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
