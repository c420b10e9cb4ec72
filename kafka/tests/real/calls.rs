//! What each call answers while all nodes are well.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ottla_kafka::{
    Class, Cluster, ConfigChange, ConfigOperation, ConfigResource, ConfigSource, Endpoint, Error,
    ErrorCode, FetchOptions, Isolation, NewPartitions, NewTopic, OffsetAt, Options, Record, Topic,
    Uuid,
};

use crate::eventually;
use crate::kafka::{CLUSTER_ID, Kafka, directory_id};

/// A topic of one replica on each node, which later stages use again.
pub(crate) const ORDERS: &str = "orders";

pub(crate) async fn wait_until_up(kafka: &Kafka) {
    let controllers = kafka.controller_client();
    eventually("a quorum", || async { controllers.describe_quorum().await.ok() }).await;
    let cluster = kafka.client();
    eventually("three live brokers", || async {
        let nodes = cluster.describe_cluster().await.ok()?.nodes;
        (nodes.len() == 3 && nodes.iter().all(|node| node.fenced == Some(false))).then_some(())
    })
    .await;
}

pub(crate) async fn nodes_and_quorum(kafka: &Kafka) {
    let described = kafka.client().describe_cluster().await.unwrap();
    assert_eq!(described.cluster_id, CLUSTER_ID);
    let endpoints: Vec<_> = described.nodes.iter().map(|node| node.endpoint.clone()).collect();
    assert_eq!(endpoints, kafka.tls());
    assert_eq!(described.nodes[1].rack.as_deref(), Some("zone-2"));

    let plain = kafka.plain_client().describe_cluster().await.unwrap();
    assert_eq!(plain.nodes[0].endpoint, kafka.plain()[0]);

    let controllers = kafka.controller_client();
    let described = controllers.describe_cluster().await.unwrap();
    let endpoints: Vec<_> = described.nodes.iter().map(|node| node.endpoint.clone()).collect();
    assert_eq!((described.cluster_id.as_str(), endpoints), (CLUSTER_ID, kafka.controllers()));

    let quorum = controllers.describe_quorum().await.unwrap();
    assert_eq!(quorum.leader_id, described.controller_id);
    let voters: Vec<_> = quorum.voters.iter().map(|one| (one.id, one.directory_id)).collect();
    assert_eq!(voters, [1, 2, 3].map(|id| (id, directory_id(id))));
    assert!(quorum.voters.iter().all(|one| one.last_caught_up_milliseconds.is_some()));
    assert_eq!(
        quorum.nodes[2].listeners,
        [("CONTROLLER".to_owned(), kafka.controllers()[2].clone())]
    );
    let through_brokers = kafka.client().describe_quorum().await.unwrap();
    assert_eq!(through_brokers.leader_id, quorum.leader_id);
}

pub(crate) async fn tls_is_verified(kafka: &Kafka) {
    let options = Options { call_timeout: Duration::from_secs(2), ..Options::default() };
    let ask = async |endpoints: Vec<Endpoint>, security| {
        let cluster = Cluster::new(endpoints, &security, options.clone()).unwrap();
        cluster.describe_cluster().await.unwrap_err()
    };
    let strangers = crate::certificates::Certificates::new();
    let error = ask(kafka.tls(), strangers.mutual()).await;
    assert!(error.is_refused_handshake(), "an unknown CA: {error}");

    let port = kafka.tls()[0].port;
    let by_address = vec![Endpoint::new("127.0.0.1", port)];
    let error = ask(by_address, kafka.certificates.mutual()).await;
    assert!(error.is_refused_handshake(), "a name not in the certificate: {error}");

    let error = ask(kafka.tls(), kafka.certificates.anonymous()).await;
    assert!(error.is_retriable() && error.code().is_none(), "no certificate of our own: {error}");

    let error = ask(kafka.tls(), ottla_kafka::Security::Plaintext).await;
    assert!(error.is_retriable(), "plain to a TLS listener: {error}");
}

pub(crate) async fn features(kafka: &Kafka) {
    let any = kafka.client().describe_features().await.unwrap();
    let (lowest, highest) = any.supported["metadata.version"];
    assert!(lowest < highest && any.finalized["metadata.version"] == highest, "{any:?}");
    assert_eq!(any.supported["kraft.version"].0, 0, "only version 4 of the call tells");
    assert!(any.finalized_epoch.is_some());
    assert_eq!(kafka.client().describe_features_of(2).await.unwrap().supported, any.supported);
    let controller = kafka.controller_client().describe_features_of(3).await.unwrap();
    assert!(controller.supported.contains_key("metadata.version"));
    let error = kafka.client().describe_features_of(9).await.unwrap_err();
    assert_eq!(error.class(), Class::NotFound, "{error}");
}

fn counted(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: NewPartitions::Counted {
            partitions: Some(partitions),
            replication_factor: Some(replication_factor),
        },
        config: BTreeMap::new(),
    }
}

pub(crate) async fn topics(kafka: &Kafka) {
    let cluster = kafka.client();
    let mut orders = counted(ORDERS, 0, 0);
    orders.partitions = NewPartitions::Placed(vec![vec![1, 2, 3], vec![2, 3, 1], vec![3, 1, 2]]);
    orders.config.insert("min.insync.replicas".to_owned(), "2".to_owned());
    let wished = [orders, counted("payments", 2, 1)];

    for created in cluster.create_topics(&wished, true).await.unwrap() {
        created.unwrap();
    }
    assert_eq!(cluster.topics().await.unwrap(), [], "only validated");
    let created = cluster.create_topics(&wished, false).await.unwrap();
    let ids: Vec<_> = created.into_iter().map(|topic| topic.unwrap().id).collect();
    let again = [counted(ORDERS, 1, 1), counted("greedy", 1, 9)];
    let again = kafka.controller_client().create_topics(&again, false).await.unwrap();
    let codes: Vec<_> = again.iter().map(|one| one.as_ref().unwrap_err().code()).collect();
    let expected = [ErrorCode::TOPIC_ALREADY_EXISTS, ErrorCode::INVALID_REPLICATION_FACTOR];
    assert_eq!(codes, expected.map(Some));

    wait_until_in_sync(&cluster).await;
    let found = cluster.describe_topics(&["absent".to_owned(), ORDERS.to_owned()]).await.unwrap();
    assert_eq!((found.len(), found[0].id, found[0].internal), (1, ids[0], false));
    let leaders: Vec<_> = found[0].partitions().map(|one| one.leader).collect();
    assert_eq!(leaders, [Some(1), Some(2), Some(3)]);

    let raise = [("payments".to_owned(), 5), (ORDERS.to_owned(), 1)];
    let raised = cluster.create_partitions(&raise, false).await.unwrap();
    assert!(raised[0].is_ok());
    assert_eq!(raised[1].as_ref().unwrap_err().code(), Some(ErrorCode::INVALID_PARTITIONS));
    eventually("five partitions", || async {
        let payments = cluster.describe_topics(&["payments".to_owned()]).await.ok()?;
        (payments[0].partition_count() == 5).then_some(())
    })
    .await;
}

pub(crate) async fn wait_until_in_sync(cluster: &Cluster) {
    eventually("every replica in sync", || async {
        let topics = cluster.topics().await.ok()?;
        let all = topics.iter().flat_map(Topic::partitions);
        let behind = all.filter(|one| one.isr.len() < one.replicas.len()).count();
        (!topics.is_empty() && behind == 0).then_some(())
    })
    .await;
}

pub(crate) async fn pages_of_topics(kafka: &Kafka) {
    let cluster = kafka.client();
    let whole = cluster.topics().await.unwrap();
    let mut pages = cluster.topic_pages(&[]).of_at_most(2);
    let mut sizes = Vec::new();
    let mut seen = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        sizes.push(page.iter().map(Topic::partition_count).sum::<usize>());
        seen.extend(page.iter().flat_map(|topic| {
            topic.partitions().map(|one| (topic.name.clone(), one.index)).collect::<Vec<_>>()
        }));
    }
    assert_eq!(sizes, [2, 2, 2, 2], "three of orders, five of payments");
    let expected = whole.iter().flat_map(|topic| {
        topic.partitions().map(|one| (topic.name.clone(), one.index)).collect::<Vec<_>>()
    });
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

fn set(name: &str, value: &str) -> ConfigChange {
    ConfigChange { name: name.to_owned(), operation: ConfigOperation::Set(value.to_owned()) }
}

fn delete(name: &str) -> ConfigChange {
    ConfigChange { name: name.to_owned(), operation: ConfigOperation::Delete }
}

pub(crate) async fn configuration(kafka: &Kafka) {
    let (brokers, controllers) = (kafka.client(), kafka.controller_client());
    let orders = ConfigResource::Topic(ORDERS.to_owned());
    for (resource, key, source) in [
        (orders, "retention.ms", ConfigSource::DynamicTopic),
        (ConfigResource::Node(2), "max.connections", ConfigSource::DynamicNode),
        (ConfigResource::ClusterDefault, "message.max.bytes", ConfigSource::DynamicClusterDefault),
    ] {
        for writer in [&brokers, &controllers] {
            writer.alter_config(&resource, &[set(key, "1000001")], true).await.unwrap();
            assert_eq!(value_from(&brokers, &resource, key, source).await, None, "validated");
            writer.alter_config(&resource, &[set(key, "1000001")], false).await.unwrap();
            eventually("a configuration value", || async {
                let value = value_from(&brokers, &resource, key, source).await?;
                (value == "1000001").then_some(())
            })
            .await;
            writer.alter_config(&resource, &[delete(key)], false).await.unwrap();
            eventually("no configuration value", || async {
                value_from(&brokers, &resource, key, source).await.is_none().then_some(())
            })
            .await;
        }
    }
    let nonsense = [set("retention.ms", "soon")];
    let resource = ConfigResource::Topic(ORDERS.to_owned());
    let error = brokers.alter_config(&resource, &nonsense, false).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_CONFIG), "{error}");
    let absent = ConfigResource::Topic("absent".to_owned());
    let error = brokers.describe_config(&absent).await.unwrap_err();
    assert_eq!(error.class(), Class::NotFound, "{error}");
}

/// The value of a key where it is set at just this place.
async fn value_from(
    cluster: &Cluster,
    resource: &ConfigResource,
    key: &str,
    source: ConfigSource,
) -> Option<String> {
    let config = cluster.describe_config(resource).await.unwrap();
    let entry = config.get(key)?;
    (entry.source == source).then(|| entry.value.clone())?
}

pub(crate) fn record(number: i32) -> Record {
    Record {
        timestamp_milliseconds: 1_700_000_000_000 + i64::from(number),
        key: Some(Bytes::from(format!("key {number}"))),
        value: Some(Bytes::from(format!("value {number}"))),
        headers: vec![("number".to_owned(), Some(Bytes::from(number.to_string())))],
    }
}

pub(crate) async fn records(kafka: &Kafka) {
    let cluster = kafka.client();
    let producer = cluster.init_producer().await.unwrap();
    for partition in 0..3 {
        for batch in 0..10 {
            let records: Vec<_> = (batch * 10..batch * 10 + 10).map(record).collect();
            let write = || cluster.produce(ORDERS, partition, producer, batch * 10, &records);
            assert_eq!(write().await.unwrap(), i64::from(batch * 10));
            assert_eq!(write().await.unwrap(), i64::from(batch * 10), "the same batch again");
        }
    }
    let gap = cluster.produce(ORDERS, 0, producer, 500, &[record(500)]).await.unwrap_err();
    assert_eq!(gap.code(), Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER), "{gap}");
    for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
        read_all(&cluster, isolation).await;
    }
    let offset = async |at| cluster.offset(ORDERS, 1, at, Isolation::default()).await.unwrap();
    assert_eq!(offset(OffsetAt::Earliest).await, Some(0));
    assert_eq!(offset(OffsetAt::Latest).await, Some(100));
    assert_eq!(offset(OffsetAt::Milliseconds(1_700_000_000_042)).await, Some(42));
    assert_eq!(offset(OffsetAt::Milliseconds(1_800_000_000_000)).await, None);
    let beyond = cluster.fetch(ORDERS, 1, 101, &FetchOptions::default()).await.unwrap_err();
    assert_eq!(beyond.code(), Some(ErrorCode::OFFSET_OUT_OF_RANGE), "{beyond}");
    let absent = cluster.fetch("absent", 0, 0, &FetchOptions::default()).await.unwrap_err();
    assert_eq!(absent.class(), Class::NotFound, "{absent}");
    let absent = cluster.fetch(ORDERS, 7, 0, &FetchOptions::default()).await.unwrap_err();
    assert_eq!(absent.class(), Class::NotFound, "{absent}");
}

/// Reads a partition to its end in small steps and compares each record.
async fn read_all(cluster: &Cluster, isolation: Isolation) {
    let options = FetchOptions { max_bytes: 500, isolation, ..FetchOptions::default() };
    let mut next = 35;
    while next < 100 {
        let fetched = cluster.fetch(ORDERS, 1, next, &options).await.unwrap();
        assert_eq!((fetched.high_watermark, fetched.log_start_offset), (100, 0));
        let read = fetched.records().unwrap();
        for one in read.records {
            assert_eq!((one.offset, one.record), (next, record(next as i32)));
            next += 1;
        }
        assert_eq!(read.next_offset, next);
    }
}

pub(crate) async fn log_directories(kafka: &Kafka) {
    let dirs = kafka.client().describe_log_dirs(2).await.unwrap();
    assert_eq!(dirs.len(), 1);
    assert!(dirs[0].error.is_none() && dirs[0].total_bytes > dirs[0].usable_bytes, "{dirs:?}");
    let orders: Vec<_> = dirs[0].replicas.iter().filter(|one| one.topic == ORDERS).collect();
    assert_eq!(orders.len(), 3);
    assert!(orders.iter().all(|one| one.size_bytes > 0 && !one.is_future && one.offset_lag == 0));
    let one = BTreeMap::from([(ORDERS.to_owned(), vec![0])]);
    let of_one = kafka.client().describe_replicas(2, &one).await.unwrap();
    let of_one: Vec<_> = of_one.iter().flat_map(|dir| &dir.replicas).collect();
    assert_eq!(of_one, [orders[0]]);
    let nowhere = BTreeMap::from([(ORDERS.to_owned(), vec![0])]);
    let nowhere = BTreeMap::from([("/nowhere".to_owned(), nowhere)]);
    let refused = kafka.client().move_replicas(2, &nowhere).await.unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!((refused[0].topic.as_str(), refused[0].partition), (ORDERS, 0));
    let here = BTreeMap::from([(ORDERS.to_owned(), vec![0])]);
    let here = BTreeMap::from([(dirs[0].path.clone(), here)]);
    assert!(kafka.client().move_replicas(2, &here).await.unwrap().is_empty());
}

pub(crate) async fn topics_are_deleted(kafka: &Kafka) {
    let cluster = kafka.client();
    let topics = cluster.topics().await.unwrap();
    let mut ids: Vec<_> = topics.iter().map(|topic| topic.id).collect();
    ids.push(Uuid::from_bytes([9; 16]));
    let deleted = cluster.delete_topics(&ids).await.unwrap();
    let failed: Vec<_> = deleted.iter().map(|one| one.as_ref().err().map(Error::class)).collect();
    assert_eq!(failed, [None, None, Some(Class::NotFound)]);
    eventually("no topics", || async { cluster.topics().await.ok()?.is_empty().then_some(()) })
        .await;
}

/// A partition moves to another node; another number of replicas is refused unless it is meant.
pub(crate) async fn reassignments(kafka: &Kafka) {
    const MOVED: &str = "moved";
    let cluster = kafka.client();
    let partitions = NewPartitions::Placed(vec![vec![1]]);
    let topic = NewTopic { name: MOVED.to_owned(), partitions, config: BTreeMap::new() };
    let made = cluster.create_topics(&[topic], false).await.unwrap().remove(0).unwrap();
    let wish = |to: Vec<i32>| BTreeMap::from([(MOVED.to_owned(), BTreeMap::from([(0, Some(to))]))]);
    let refused = cluster.reassign(&wish(vec![1, 2]), false).await.unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].error.code(), Some(ErrorCode::INVALID_REPLICATION_FACTOR));
    for (to, changes_count) in [(vec![2], false), (vec![2, 3], true), (vec![3], true)] {
        let refused = cluster.reassign(&wish(to.clone()), changes_count).await.unwrap();
        assert!(refused.is_empty(), "{refused:?}");
        eventually("a partition that has moved", || async {
            let topics = cluster.describe_topics(&[MOVED.to_owned()]).await.ok()?;
            let first = topics.first()?.partitions().next()?;
            (first.replicas == to && first.isr.len() == to.len()).then_some(())
        })
        .await;
        assert!(cluster.reassignments().await.unwrap().is_empty());
    }
    cluster.delete_topics(&[made.id]).await.unwrap().remove(0).unwrap();
}

/// Without its vote a controller goes on as an observer.
pub(crate) async fn a_voter_leaves_and_joins_again(kafka: &Kafka) {
    let cluster = kafka.client();
    let leader = cluster.describe_quorum().await.unwrap().leader_id;
    let id = [1, 2, 3].into_iter().find(|id| Some(*id) != leader).unwrap();
    let others: Vec<i32> = [1, 2, 3].into_iter().filter(|one| *one != id).collect();
    let votes = |voters: Vec<i32>| {
        let cluster = cluster.clone();
        async move {
            let quorum = cluster.describe_quorum().await.ok()?;
            let found: Vec<i32> = quorum.voters.iter().map(|one| one.id).collect();
            (found == voters).then_some(quorum)
        }
    };
    cluster.remove_voter(CLUSTER_ID, id, directory_id(id)).await.unwrap();
    let quorum = eventually("two voters", || votes(others.clone())).await;
    let observer = quorum.observers.iter().find(|one| one.id == id).unwrap();
    assert_eq!(observer.directory_id, directory_id(id));
    let again = cluster.remove_voter(CLUSTER_ID, id, directory_id(id)).await.unwrap_err();
    assert_eq!(again.class(), Class::NotFound, "{again}");

    let endpoint = &kafka.controllers()[id as usize - 1];
    eventually("it may vote again", || async {
        cluster.add_voter(CLUSTER_ID, id, directory_id(id), "CONTROLLER", endpoint).await.ok()
    })
    .await;
    eventually("three voters", || votes(vec![1, 2, 3])).await;
    let again = cluster
        .add_voter(CLUSTER_ID, id, directory_id(id), "CONTROLLER", endpoint)
        .await
        .unwrap_err();
    assert_eq!(again.class(), Class::Fatal, "{again}");
}
