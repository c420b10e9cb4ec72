//! What Kafka is told to change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_crds::agent::CONTROLLER_PORT;
use ottla_kafka::{
    Class, Cluster, ConfigChange, ConfigOperation, ConfigResource, Elect, Endpoint, Error,
    ErrorCode, Uuid,
};
use ottla_plan::Action;
use ottla_plan::action::{
    self, ChangeVoter, ListChange, MoveReplicas, RaiseFeature, Reassign, Throttle, Unregister,
};
use ottla_plan::properties::log_dir;
use ottla_plan::release::Raise;
use tokio::time::Instant;

use super::{ALL, CORDONED, THROTTLED_REPLICAS, brokers, controllers, cordoned, dynamic_config};
use crate::reach::{Credentials, ReachError, Ways};
use crate::telemetry::error_chain;

/// Carries out an action that is Kafka's to take, and nothing of any other.
///
/// # Errors
/// When Kafka refuses it or does not answer.
pub async fn change(
    credentials: &Credentials,
    ways: &Ways,
    action: &Action,
) -> Result<(), ReachError> {
    let cluster = brokers(credentials, &ways.bootstrap).map_err(ReachError::Kafka)?;
    match action {
        Action::AlterConfig(changes) => alter_config(&cluster, changes).await,
        Action::ElectLeaders(partitions) => elect(&cluster, partitions).await,
        Action::Throttle(change) => throttle(&cluster, change).await,
        Action::Cordon { broker, cordoned } => cordon(&cluster, *broker, *cordoned).await,
        Action::CordonDisks { broker, folders, .. } => {
            cordon_disks(&cluster, *broker, folders).await
        }
        Action::MoveReplicas(moves) => move_replicas(&cluster, moves).await,
        Action::Reassign(change) => reassign(&cluster, change).await,
        Action::RaiseFeature(RaiseFeature { raise, .. }) => raise_feature(&cluster, raise).await,
        Action::AddVoter(change) => add_voter(&cluster, change).await,
        Action::RemoveVoter(change) => remove_voter(&cluster, change).await,
        Action::UnregisterController(unregister) => {
            gone(cluster.unregister_controller(unregister.id).await)
        }
        Action::Unregister(unregister) => {
            let controllers = controllers(credentials, ways).map_err(ReachError::Kafka)?;
            self::unregister(&controllers, unregister).await
        }
        _ => Ok(()),
    }
}

/// The name of the controllers' listener.
const CONTROLLER: &str = "CONTROLLER";

async fn add_voter(cluster: &Cluster, change: &ChangeVoter) -> Result<(), ReachError> {
    let endpoint = Endpoint::new(change.host.clone(), CONTROLLER_PORT);
    let ChangeVoter { cluster_id, id, .. } = change;
    let added = cluster.add_voter(cluster_id, *id, directory(change)?, CONTROLLER, &endpoint).await;
    added.map_err(voter_refusal)
}

async fn remove_voter(cluster: &Cluster, change: &ChangeVoter) -> Result<(), ReachError> {
    let removed = cluster.remove_voter(&change.cluster_id, change.id, directory(change)?).await;
    removed.map_err(voter_refusal)
}

/// The leader asks a new voter itself, and refuses one that is not ready to answer; one that has just been elected
/// refuses all for a moment.
fn voter_refusal(error: Error) -> ReachError {
    let passes = error.is_retriable();
    match refusal(error) {
        ReachError::KafkaRefuses { sentence } if passes => ReachError::NotYet { sentence },
        refusal => refusal,
    }
}

fn directory(change: &ChangeVoter) -> Result<Uuid, ReachError> {
    change.directory.parse().map_err(|_| ReachError::KafkaRefuses {
        sentence: format!("{} is no id of a directory", change.directory),
    })
}

/// Changes what is set for all nodes.
async fn alter_config(
    cluster: &Cluster,
    wanted: &BTreeMap<String, action::ConfigChange>,
) -> Result<(), ReachError> {
    let changes: Vec<ConfigChange> = wanted
        .iter()
        .map(|(key, change)| ConfigChange {
            name: key.clone(),
            operation: change.to.clone().map_or(ConfigOperation::Delete, ConfigOperation::Set),
        })
        .collect();
    let altered = cluster.alter_config(&ConfigResource::ClusterDefault, &changes, false).await;
    altered.map_err(refusal)?;
    read_back(cluster, wanted).await.map_err(ReachError::Kafka)
}

fn refusal(error: Error) -> ReachError {
    match error {
        Error::Refused { message: Some(sentence), .. } => ReachError::KafkaRefuses { sentence },
        error => ReachError::Kafka(error),
    }
}

/// A broker shows a change when it has read it from the metadata log, most often within a tenth of a
/// second. Where it takes longer the next pass sees.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

const LOOKS_EACH: Duration = Duration::from_millis(50);

/// Waits until the broker that is asked shows a change, so that the next pass does not make it again.
async fn read_back(
    cluster: &Cluster,
    wanted: &BTreeMap<String, action::ConfigChange>,
) -> Result<(), Error> {
    until_shown(|| async {
        let found = dynamic_config(cluster).await?;
        Ok(wanted.iter().all(|(key, change)| found.get(key) == change.to.as_ref()))
    })
    .await
}

async fn until_shown<L>(look: impl Fn() -> L) -> Result<(), Error>
where
    L: Future<Output = Result<bool, Error>>,
{
    let deadline = Instant::now() + SHOWN_WITHIN;
    while !look().await? && Instant::now() < deadline {
        tokio::time::sleep(LOOKS_EACH).await;
    }
    Ok(())
}

/// Switches a feature on, and waits until the broker that is asked shows it.
async fn raise_feature(cluster: &Cluster, raise: &Raise) -> Result<(), ReachError> {
    // No level of Kafka's is near the end of the wire's numbers.
    let level = i16::try_from(raise.to).unwrap_or(i16::MAX);
    cluster.raise_feature(&raise.feature, level).await.map_err(refusal)?;
    let shown = until_shown(|| async {
        let features = cluster.describe_features().await?;
        Ok(features.finalized.get(&raise.feature) == Some(&level))
    });
    shown.await.map_err(ReachError::Kafka)
}

/// Lets preferred leaders lead. Where one cannot after all, the next look shows it.
async fn elect(
    cluster: &Cluster,
    partitions: &BTreeMap<String, Vec<i32>>,
) -> Result<(), ReachError> {
    let elect = Elect::Partitions(partitions.clone());
    let election = cluster.elect_preferred_leaders(&elect).await;
    for failure in election.map_err(ReachError::Kafka)? {
        let partition = format!("{}-{}", failure.topic, failure.partition);
        tracing::info!(partition, reason = error_chain(&failure.error), "leader not elected");
    }
    Ok(())
}

/// The limit is set before the lists, and lifted after them: at no time is a listed replica without one.
async fn throttle(cluster: &Cluster, change: &Throttle) -> Result<(), ReachError> {
    if !change.rates.is_empty() {
        alter_config(cluster, &change.rates).await?;
    }
    for (topic, (leader, follower)) in &change.topics {
        let changes: Vec<ConfigChange> = THROTTLED_REPLICAS
            .into_iter()
            .zip([leader, follower])
            .filter_map(|(key, change)| {
                Some(ConfigChange { name: key.to_owned(), operation: operation(change)? })
            })
            .collect();
        let topic = ConfigResource::Topic(topic.clone());
        match cluster.alter_config(&topic, &changes, false).await {
            // The topic was deleted meanwhile, and its lists with it.
            Err(error) if error.class() == Class::NotFound => {}
            altered => altered.map_err(refusal)?,
        }
    }
    Ok(())
}

fn operation(change: &ListChange) -> Option<ConfigOperation> {
    match change {
        ListChange::Nothing => None,
        ListChange::Append(entries) => Some(ConfigOperation::Append(list(entries))),
        ListChange::Subtract(entries) => Some(ConfigOperation::Subtract(list(entries))),
        ListChange::Remove => Some(ConfigOperation::Delete),
    }
}

/// As Kafka writes lists.
fn list(entries: &BTreeSet<String>) -> String {
    entries.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

async fn cordon(cluster: &Cluster, broker: i32, cordoned: bool) -> Result<(), ReachError> {
    let all = if cordoned { BTreeSet::from([ALL.to_owned()]) } else { BTreeSet::new() };
    set_cordon(cluster, broker, &all).await
}

async fn cordon_disks(
    cluster: &Cluster,
    broker: i32,
    folders: &BTreeSet<String>,
) -> Result<(), ReachError> {
    set_cordon(cluster, broker, folders).await?;
    let shown = until_shown(|| async { Ok(cordoned(cluster, broker).await? == *folders) });
    shown.await.map_err(ReachError::Kafka)
}

async fn set_cordon(
    cluster: &Cluster,
    broker: i32,
    folders: &BTreeSet<String>,
) -> Result<(), ReachError> {
    let operation = if folders.is_empty() {
        ConfigOperation::Delete
    } else {
        ConfigOperation::Set(list(folders))
    };
    let change = ConfigChange { name: CORDONED.to_owned(), operation };
    let node = ConfigResource::Node(broker);
    cluster.alter_config(&node, &[change], false).await.map_err(refusal)
}

/// What the broker does not hold any more has nothing to move.
async fn move_replicas(cluster: &Cluster, moves: &MoveReplicas) -> Result<(), ReachError> {
    let by_path = moves.moves.iter().map(|(volume, topics)| (log_dir(volume), topics.clone()));
    let refused = cluster.move_replicas(moves.broker, &by_path.collect()).await;
    let errors = refused.map_err(refusal)?.into_iter().map(|one| one.error);
    let errors = errors.filter(|error| error.code() != Some(ErrorCode::REPLICA_NOT_AVAILABLE));
    first_refusal(errors).map_or(Ok(()), |error| Err(refusal(error)))
}

async fn reassign(cluster: &Cluster, change: &Reassign) -> Result<(), ReachError> {
    throttle(cluster, &change.limit).await?;
    let refused = cluster.reassign(&change.partitions, change.adds_replicas).await;
    let errors = refused.map_err(refusal)?.into_iter().map(|one| one.error);
    first_refusal(errors).map_or(Ok(()), |error| Err(refusal(error)))
}

/// A topic that was deleted meanwhile has no partition to move, which says nothing of the others.
fn first_refusal(errors: impl IntoIterator<Item = Error>) -> Option<Error> {
    errors.into_iter().find(|error| error.class() != Class::NotFound)
}

/// The cordon goes first, by the controllers: the broker itself is gone, and its configuration would
/// wait for the next of the same id.
async fn unregister(controllers: &Cluster, unregister: &Unregister) -> Result<(), ReachError> {
    if unregister.uncordon {
        cordon(controllers, unregister.broker, false).await?;
    }
    gone(controllers.unregister_broker(unregister.broker).await)
}

/// What Kafka does not know was forgotten by an attempt that was cut off.
fn gone(unregistered: Result<(), Error>) -> Result<(), ReachError> {
    match unregistered {
        Err(error) if error.class() != Class::NotFound => Err(refusal(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ottla_kafka::{Endpoint, ErrorCode};

    use super::*;

    #[test]
    fn a_deleted_topic_hides_no_refusal_of_another() {
        let refused = |code| Error::Refused {
            call: "AlterPartitionReassignments",
            peer: Endpoint::new("localhost", 9091),
            subject: "partition paid-0".to_owned(),
            code: ErrorCode::new(code),
            message: None,
        };
        let (deleted, invalid) = (3, 39);
        let found = first_refusal([refused(deleted), refused(invalid)]);
        assert_eq!(found.and_then(|error| error.code()), Some(ErrorCode::new(invalid)));
        assert!(first_refusal([refused(deleted)]).is_none());
    }
}
