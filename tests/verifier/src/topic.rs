//! The topic: created where absent, and waited for until each partition has a leader.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use ottla_kafka::{Cluster, ErrorCode, NewPartitions, NewTopic};

use crate::args::RunArgs;
use crate::client::{Client, PAUSE};
use crate::verification::Verification;

/// With this many replicas one of them may be away while the others acknowledge.
const REPLICAS_THAT_SPARE_ONE: i16 = 3;

/// Waits until the topic is there and can be written to, however long that takes.
///
/// # Errors
/// When there is a topic of that name with another number of partitions.
pub(crate) async fn prepare(
    client: &Client,
    arguments: &RunArgs,
    verification: &Verification,
) -> anyhow::Result<()> {
    loop {
        match find_or_create(&client.cluster(), arguments).await {
            Ok(Some(partitions)) if partitions == arguments.partitions => return Ok(()),
            Ok(Some(partitions)) => bail!(
                "topic {} has {partitions} partitions and not {}: name another topic, or give \
                 --partitions={partitions}",
                arguments.topic,
                arguments.partitions
            ),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!("the topic is not there yet: {error:#}");
                verification.failed(&error);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How many partitions the topic has, once each has a leader. Creates it where it is absent.
async fn find_or_create(cluster: &Cluster, arguments: &RunArgs) -> anyhow::Result<Option<i32>> {
    let found = cluster.describe_topics(std::slice::from_ref(&arguments.topic)).await;
    let Some(topic) = found.context("cannot look for the topic")?.into_iter().next() else {
        create(cluster, arguments).await?;
        return Ok(None);
    };
    let leads = topic.partitions().all(|partition| partition.leader.is_some());
    let count = i32::try_from(topic.partitions().count())?;
    Ok(leads.then_some(count))
}

async fn create(cluster: &Cluster, arguments: &RunArgs) -> anyhow::Result<()> {
    let spares_one = arguments.replicas == REPLICAS_THAT_SPARE_ONE;
    let config = spares_one.then(|| ("min.insync.replicas".to_owned(), "2".to_owned()));
    let topic = NewTopic {
        name: arguments.topic.clone(),
        partitions: NewPartitions::Counted {
            partitions: Some(arguments.partitions),
            replication_factor: Some(arguments.replicas),
        },
        config: BTreeMap::from_iter(config),
    };
    let created =
        cluster.create_topics(&[topic], false).await.context("cannot create the topic")?;
    match created.into_iter().next() {
        Some(Err(error)) if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => Ok(()),
        Some(Err(error)) => Err(error).context("the topic was refused"),
        Some(Ok(_)) | None => Ok(()),
    }
}
