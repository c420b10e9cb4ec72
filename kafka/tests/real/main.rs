//! Every call against a real Kafka of three nodes, two of which may be lost on the way.
//!
//! `OTTLA_KAFKA_LIBS=<folder of jars> cargo test -p ottla-kafka --features real-kafka --test real`
//!
//! With `OTTLA_RECORD_FRAMES=1` it records `tests/frames` anew instead.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, also in functions that are no tests themselves"
)]

mod calls;
mod certificates;
#[path = "../conversations.rs"]
mod conversations;
mod failures;
#[path = "../frames.rs"]
mod frames;
mod kafka;
mod recording;

use std::future::Future;
use std::time::{Duration, Instant};

use kafka::Kafka;

/// Set to anything, the golden frames are recorded anew, and nothing else is done.
const RECORD: &str = "OTTLA_RECORD_FRAMES";

#[tokio::test]
async fn a_cluster_of_three_nodes() {
    if std::env::var_os(RECORD).is_some() {
        return recording::record().await;
    }
    let mut kafka = Kafka::start(3, None).await;
    calls::wait_until_up(&kafka).await;

    calls::nodes_and_quorum(&kafka).await;
    calls::tls_is_verified(&kafka).await;
    calls::features(&kafka).await;
    calls::topics(&kafka).await;
    calls::pages_of_topics(&kafka).await;
    calls::configuration(&kafka).await;
    calls::records(&kafka).await;
    calls::log_directories(&kafka).await;
    calls::reassignments(&kafka).await;
    calls::a_voter_leaves_and_joins_again(&kafka).await;

    failures::the_active_controller_dies(&mut kafka).await;
    failures::it_comes_back_and_leads_again(&mut kafka).await;
    failures::a_dead_broker_is_unregistered(&mut kafka).await;
    failures::it_is_no_controller_any_more(&kafka).await;
    calls::topics_are_deleted(&kafka).await;
}

/// Asks again until the answer is there, for a minute.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            println!("{what}: after {} ms", began.elapsed().as_millis());
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "waited a minute for: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
