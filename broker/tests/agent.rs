//! The agent as a whole, with a shell script in the place of Java: formats, starts, stops, crashes
//! and orphans are real, only Kafka is not.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what failed by panicking"
)]

#[path = "agent/world.rs"]
mod world;

use std::time::{Duration, Instant};

use world::World;

#[test]
fn it_formats_on_the_word_starts_and_stops() {
    let world = World::new();
    let agent = world.agent();
    agent.wait_for("\"state\":\"AwaitingFormat\"");
    assert!(!world.exists("v/d0/log"));
    assert_eq!(agent.format().0, 202);
    agent.wait_for("\"state\":\"Starting\"");
    assert!(world.exists("v/d0/formatted.json") && !world.exists("v/d0/format-intent.json"));
    agent.wait_for("\"formattedBy\":\"4.3.1\"");
    assert_eq!(agent.format(), (200, "the volumes are formatted".to_owned()));
    assert_eq!(agent.probe("/livez").0, 200);
    assert_eq!(agent.probe("/readyz").0, 503);
    world.wait_for_file("started");
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), 0);
    assert_eq!(world.read("terms"), "term\n");
    assert_eq!(world.read("formats"), "format\n");
    assert!(world.read("agent.log").contains("last words of the stand-in"));
}

#[test]
fn a_formatted_node_starts_without_anybody() {
    let world = World::formatted();
    let agent = world.agent();
    world.wait_for_file("started");
    agent.signal("INT");
    assert_eq!(agent.exit_code(), 0);
    assert!(!world.exists("formats"));
}

#[test]
fn the_jvms_end_is_passed_on() {
    for (mode, code) in [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137)] {
        let world = World::formatted();
        world.write("mode", mode);
        assert_eq!(world.agent().exit_code(), code, "{mode}");
    }
}

#[test]
fn a_jvm_that_does_not_stop_is_killed_after_its_time() {
    let world = World::formatted();
    world.write("mode", "trap 'echo term >> \"$HOME/terms\"' TERM");
    world.shutdown_seconds(2);
    let agent = world.agent();
    world.wait_for_file("started");
    agent.signal("TERM");
    agent.wait_for("\"state\":\"Stopping\"");
    agent.signal("TERM");
    let began = Instant::now();
    assert_eq!(agent.exit_code(), 137);
    assert!(began.elapsed() > Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(world.read("terms"), "term\n");
}

#[test]
fn orphans_are_reaped_and_the_jvm_is_not() {
    let world = World::formatted();
    world.write("mode", "(sleep 0.2 & echo $! > \"$HOME/orphan\"); (true &)");
    let agent = world.agent();
    world.wait_for_file("started");
    let orphan = world.read("orphan");
    let stat = format!("/proc/{}/stat", orphan.trim());
    world::wait_until("the orphan is reaped", || !std::path::Path::new(&stat).exists());
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), 0);
}

#[test]
fn a_format_that_was_broken_off_is_done_again_on_the_word() {
    let world = World::new();
    world.write("format-mode", "kill -9 $$");
    let agent = world.agent();
    agent.wait_for("\"state\":\"AwaitingFormat\"");
    assert_eq!(agent.format().0, 202);
    agent.wait_for("the last format failed: StorageTool ended with Signal(9)");
    agent.signal("KILL");
    agent.exit_code();

    world.write("format-mode", "true");
    let agent = world.agent();
    agent.wait_for("volume d0 is half formatted");
    assert_eq!(agent.format().0, 202);
    world.wait_for_file("started");
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), 0);
    assert_eq!(world.read("formats"), "format\nformat\n");
}

#[test]
fn a_missing_mount_is_refused_and_goes_on_once_it_is_there() {
    let world = World::formatted();
    let mounts = world.read("mountinfo");
    world.write("mountinfo", "");
    let agent = world.agent();
    agent.wait_for("volume d0 is not mounted: nothing is mounted at ");
    assert_eq!(agent.format().0, 409);
    assert_eq!(agent.probe("/livez").0, 200);
    assert!(!world.exists("started"));
    world.write("mountinfo", &mounts);
    world.wait_for_file("started");
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), 0);
}

#[test]
fn a_foreign_disk_is_refused_for_as_long_as_it_is_there() {
    let world = World::formatted();
    let meta = world.read("v/d0/log/meta.properties");
    world.write("v/d0/log/meta.properties", &meta.replace("clusterA", "clusterB"));
    let agent = world.agent();
    agent.wait_for("volume d0 belongs to cluster clusterB and not to orders (cluster clusterA)");
    assert_eq!(agent.format().0, 409);
    agent.signal("TERM");
    assert_eq!(agent.exit_code(), 0);
    assert!(!world.exists("started"));
}
