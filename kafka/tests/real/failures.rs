//! Calls while a node dies and comes back.

use std::collections::BTreeMap;

use ottla_kafka::{Class, Elect, ErrorCode, FetchOptions};

use crate::calls::{ORDERS, record, wait_until_in_sync};
use crate::eventually;
use crate::kafka::{CLUSTER_ID, Kafka, directory_id};

/// The clients know the old controller and the old leaders, and find the new ones by themselves.
pub(crate) async fn the_active_controller_dies(kafka: &mut Kafka) {
    let (brokers, controllers) = (kafka.client(), kafka.controller_client());
    let victim = controllers.describe_quorum().await.unwrap().leader_id.unwrap();
    let producer = brokers.init_producer().await.unwrap();
    for partition in 0..3 {
        let written = brokers.produce(ORDERS, partition, producer, 0, &[record(100)]).await;
        assert_eq!(written.unwrap(), 100);
    }
    kafka.kill(victim).await;

    let quorum = controllers.describe_quorum().await.unwrap();
    assert!(quorum.leader_id.is_some_and(|leader| leader != victim), "{quorum:?}");
    for partition in 0..3 {
        let written = brokers.produce(ORDERS, partition, producer, 1, &[record(101)]).await;
        assert_eq!(written.unwrap(), 101);
        let read = brokers.fetch(ORDERS, partition, 100, &FetchOptions::default()).await.unwrap();
        let read = read.records().unwrap().records;
        let expected = [(100, record(100)), (101, record(101))];
        assert_eq!(
            read.into_iter().map(|one| (one.offset, one.record)).collect::<Vec<_>>(),
            expected
        );
    }
    eventually("the dead broker is fenced", || async {
        let nodes = brokers.describe_cluster().await.ok()?.nodes;
        let dead = nodes.iter().find(|node| node.id == victim)?;
        (dead.fenced == Some(true)).then_some(())
    })
    .await;
    let topics = brokers.describe_topics(&[ORDERS.to_owned()]).await.unwrap();
    for partition in topics[0].partitions() {
        assert_eq!((partition.isr.len(), partition.offline), (2, &[victim][..]));
    }
    let orders = Elect::Partitions(BTreeMap::from([(ORDERS.to_owned(), vec![0, 1, 2])]));
    let failed = brokers.elect_preferred_leaders(&orders).await.unwrap();
    let failed: Vec<_> = failed.iter().map(|one| (one.partition, one.error.code())).collect();
    assert_eq!(failed, [(victim - 1, Some(ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE))]);
}

/// The node that does not lead after its return leads again after an election.
pub(crate) async fn it_comes_back_and_leads_again(kafka: &mut Kafka) {
    let brokers = kafka.client();
    let nodes = brokers.describe_cluster().await.unwrap().nodes;
    let returning = nodes.iter().find(|node| node.fenced == Some(true)).unwrap().id;
    kafka.run(returning);
    wait_until_in_sync(&brokers).await;
    let failed = kafka.controller_client().elect_preferred_leaders(&Elect::All).await.unwrap();
    assert!(failed.is_empty(), "{failed:?}");
    eventually("the preferred leaders lead", || async {
        let topics = brokers.describe_topics(&[ORDERS.to_owned()]).await.ok()?;
        let leaders: Vec<_> = topics[0].partitions().map(|one| one.leader).collect();
        (leaders == [Some(1), Some(2), Some(3)]).then_some(())
    })
    .await;
}

pub(crate) async fn a_dead_broker_is_unregistered(kafka: &mut Kafka) {
    let brokers = kafka.client();
    kafka.kill(3).await;
    eventually("the dead broker is fenced", || async {
        let nodes = brokers.describe_cluster().await.ok()?.nodes;
        (nodes[2].fenced == Some(true)).then_some(())
    })
    .await;
    brokers.unregister_broker(3).await.unwrap();
    let again = kafka.controller_client().unregister_broker(3).await.unwrap_err();
    assert_eq!(again.class(), Class::NotFound, "{again}");
    eventually("two brokers", || async {
        let nodes = brokers.describe_cluster().await.ok()?.nodes;
        (nodes.len() == 2).then_some(())
    })
    .await;
}

/// The node that was killed.
pub(crate) async fn it_is_no_controller_any_more(kafka: &Kafka) {
    let brokers = kafka.client();
    brokers.remove_voter(CLUSTER_ID, 3, directory_id(3)).await.unwrap();
    brokers.unregister_controller(3).await.unwrap();
    let again = brokers.unregister_controller(3).await.unwrap_err();
    assert_eq!(again.class(), Class::NotFound, "{again}");
}
