//! What one pass of the planner costs, for a cluster of so many brokers at rest with 100 partitions
//! each: prints the milliseconds of a pass, those of packing its partitions, and the most memory that
//! this process ever held, the model of the cluster included, in megabytes. `cargo dev bench plan`
//! runs it for several sizes.

#![allow(clippy::unwrap_used, reason = "a benchmark ends where it cannot go on")]

use std::io::Write as _;
use std::time::{Duration, Instant};

use ottla_plan::cluster;
use ottla_plan::observed::{Answer, Observed, Partitions};
use ottla_tests::world::{INSTALLATION, World, manifest};

const PARTITIONS_PER_BROKER: i32 = 100;

/// A topic holds so many partitions.
const PARTITIONS_PER_TOPIC: i32 = 50;

/// Of so many passes the median counts.
const PASSES: usize = 21;

fn main() {
    // `cargo bench` adds an argument of its own.
    let brokers: i32 =
        std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(3);
    let world = raised(brokers);
    let desired = world.desired();
    let (observed, packing) = observed(&world, brokers);
    let mut passes: Vec<Duration> = (0..PASSES)
        .map(|_| {
            let start = Instant::now();
            let plan = cluster::plan(&desired, &observed, INSTALLATION, world.now());
            let took = start.elapsed();
            let left: Vec<String> = plan.actions.iter().map(|one| one.describe()).collect();
            assert!(left.is_empty(), "a pass at rest writes: {left:?}");
            took
        })
        .collect();
    passes.sort_unstable();
    let milliseconds = |took: Duration| took.as_secs_f64() * 1e3;
    let (pass, packing) = (milliseconds(passes[PASSES / 2]), milliseconds(packing));
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{pass:.3} {packing:.3} {}", peak_megabytes()).unwrap();
}

/// A cluster that runs and is at rest.
fn raised(brokers: i32) -> World {
    let mut cluster = manifest(include_str!("../../examples/production.yaml")).unwrap();
    cluster.spec.brokers.replicas = brokers;
    let mut world = World::new(cluster);
    world.bring_up().unwrap();
    world
}

/// What a pass sees, and how long the partitions took to be packed.
fn observed(world: &World, brokers: i32) -> (Observed, Duration) {
    let mut observed = world.observe();
    let Answer::Known(kafka) = &mut observed.kafka else { panic!("Kafka does not answer") };
    let start = Instant::now();
    let mut partitions = Partitions::default();
    for partition in 0..brokers * PARTITIONS_PER_BROKER {
        if partition % PARTITIONS_PER_TOPIC == 0 {
            partitions.begin_topic(&format!("topic-{}", partition / PARTITIONS_PER_TOPIC), 2);
        }
        let replicas = [0, 1, 2].map(|next| (partition + next) % brokers);
        partitions.push(partition % PARTITIONS_PER_TOPIC, Some(replicas[0]), &replicas, &replicas);
    }
    kafka.partitions = partitions;
    (observed, start.elapsed())
}

fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
