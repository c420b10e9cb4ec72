//! The program against a real Kafka of three nodes: it has to pass a cluster whose nodes die and
//! come back, and to fail one that lost what it had acknowledged.
//!
//! `OTTLA_KAFKA_LIBS=<folder of jars> cargo test -p ottla-verifier --features real-kafka --test real`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, also in functions that are no tests themselves"
)]

#[path = "../../../kafka/tests/real/certificates.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod certificates;
#[path = "../../../kafka/tests/real/kafka.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod kafka;
#[path = "real/verifier.rs"]
mod verifier;

use std::time::Duration;

use kafka::Kafka;
use ottla_kafka::Cluster;
use serde_json::Value;
use verifier::{Verifier, eventually};

const NODES: [i32; 3] = [1, 2, 3];

#[tokio::test]
async fn a_cluster_of_three_nodes() {
    let mut kafka = Kafka::start(3, None).await;
    nodes_die_and_come_back_and_nothing_is_lost(&mut kafka).await;
    records_that_are_gone_are_missed(&mut kafka).await;
}

async fn nodes_die_and_come_back_and_nothing_is_lost(kafka: &mut Kafka) {
    let verifier = Verifier::start("survives", &kafka.plain());
    verifier.goes_on("from the start").await;

    for victim in NODES {
        kafka.kill(victim).await;
        verifier.goes_on(&format!("while node {victim} is dead")).await;
        kafka.run(victim);
        wait_until_in_sync(&kafka.plain_client(), "survives").await;
    }
    for victim in NODES {
        kafka.kill(victim).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    for victim in NODES {
        kafka.run(victim);
    }
    verifier.goes_on("after all nodes were dead").await;

    let verdict = verifier.stop().await;
    println!("{verdict:#}");
    assert_eq!(verdict["ok"], true);
    assert_eq!(verdict["acked"], verdict["read"]);
    assert!(verdict["retries"].as_u64().unwrap() > 0);
    assert!(verdict["longestGapMilliseconds"].as_u64().unwrap() > 5000);
    assert_eq!(verifier.stop().await, verdict, "asked again");
}

async fn records_that_are_gone_are_missed(kafka: &mut Kafka) {
    let verifier = Verifier::start("suffers", &kafka.plain());
    verifier.goes_on("from the start").await;

    for victim in NODES {
        kafka.kill(victim).await;
    }
    for victim in NODES {
        std::fs::remove_dir_all(kafka.place(victim).join("log/suffers-0")).unwrap();
        kafka.run(victim);
    }
    verifier.goes_on("after a partition was emptied").await;

    let verdict = verifier.stop().await;
    println!("{verdict:#}");
    assert_eq!(verdict["ok"], false);
    let lost = &verdict["lost"];
    assert!(lost["count"].as_u64().unwrap() > 0);
    assert_eq!(lost["first"].as_array().unwrap().len(), 10);
    let of_partition_0 = |place: &Value| place["partition"] == 0;
    assert!(lost["first"].as_array().unwrap().iter().all(of_partition_0));
}

async fn wait_until_in_sync(cluster: &Cluster, topic: &str) {
    let names = [topic.to_owned()];
    eventually("all replicas are in sync", || async {
        let topics = cluster.describe_topics(&names).await.ok()?;
        let mut partitions = topics.first()?.partitions();
        partitions.all(|one| one.isr.len() == NODES.len()).then_some(())
    })
    .await;
}
