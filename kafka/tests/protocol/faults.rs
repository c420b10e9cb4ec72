//! What the client makes of nodes that are slow, wrong, gone, or not Kafka at all.

use std::time::{Duration, Instant};

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::describe_quorum_response::DescribeQuorumResponse;
use ottla_kafka::{Class, Cluster, Endpoint, Error, ErrorCode, Security, TlsOptions};

use crate::answers::{quorum, quorum_refused};
use crate::peer::{Asked, Peer, Reply, client, options};

/// A stand-in that offers DescribeQuorum and replies to it in this way.
async fn quorum_peer(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Peer {
    Peer::start(move |asked| match asked.key {
        ApiKey::ApiVersions => asked.offer(&[(ApiKey::DescribeQuorum, 2)]),
        _ => reply(asked),
    })
    .await
}

/// What the client says of a stand-in that always replies in this way.
async fn told(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (Error, Peer) {
    let peer = quorum_peer(reply).await;
    let cluster = client(&[&peer]).within(Duration::from_millis(700));
    (cluster.describe_quorum().await.unwrap_err(), peer)
}

#[tokio::test]
async fn a_silent_node_is_given_up_in_time() {
    let began = Instant::now();
    let (error, peer) = told(|_| Reply::Silence).await;
    let waited = began.elapsed();
    assert!(matches!(error, Error::Timeout { call: "DescribeQuorum", .. }), "{error}");
    assert!(error.to_string().contains(&peer.endpoint.to_string()), "{error}");
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    assert!(peer.calls().len() >= 2, "asked again while there was time");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_given_up_in_time() {
    let peer = quorum_peer(|_| Reply::Silence).await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = TlsOptions { ca_pem: made.cert.pem().into(), identity: None };
    let bootstrap = vec![peer.endpoint.clone()];
    let cluster = Cluster::new(bootstrap, &Security::Tls(tls), options()).unwrap();
    let error = cluster.within(Duration::from_millis(500)).describe_quorum().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { call: "connect", .. }), "{error}");
}

#[tokio::test]
async fn an_answer_to_another_request_is_refused() {
    let (error, _) = told(|asked| {
        let other = Asked { correlation_id: 77, frame: asked.frame.clone(), ..*asked };
        other.answer(&quorum())
    })
    .await;
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(error.to_string().contains("the answer is to request 77"), "{error}");
}

#[tokio::test]
async fn nonsense_is_refused() {
    for (bytes, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "does one side speak TLS"),
        (&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46], "does one side speak TLS"),
        (&[0xff; 64], "does one side speak TLS"),
        (&[0, 0, 0, 2, 0, 0], "shorter than its header"),
        (&[0, 0, 0, 8, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff], "make no sense"),
    ] {
        let (error, _) = told(move |_| Reply::Raw(bytes.to_vec())).await;
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn bytes_behind_an_answer_are_refused() {
    let (error, _) = told(|asked| {
        let mut frame = asked.encode(&quorum(), asked.version).to_vec();
        frame.push(0);
        Reply::Frame(frame.into())
    })
    .await;
    assert!(error.to_string().contains("1 bytes follow the answer"), "{error}");
}

#[tokio::test]
async fn a_connection_cut_in_an_answer_is_tried_again() {
    let peer = quorum_peer(|asked| match asked.before {
        0 => Reply::Raw(vec![0, 0, 0, 50, 0, 0, 0, 1, 0]),
        1 => Reply::Close,
        _ => asked.answer(&quorum()),
    })
    .await;
    assert_eq!(client(&[&peer]).describe_quorum().await.unwrap().leader_id, Some(1));
    assert_eq!((peer.calls().len(), peer.negotiations()), (3, 3));
}

#[tokio::test]
async fn a_retriable_code_is_tried_again_and_a_fatal_one_is_not() {
    let peer = quorum_peer(|asked| match asked.before {
        0 => asked.answer(&quorum_refused(ErrorCode::LEADER_NOT_AVAILABLE)),
        _ => asked.answer(&quorum()),
    })
    .await;
    assert_eq!(client(&[&peer]).describe_quorum().await.unwrap().leader_id, Some(1));
    assert_eq!((peer.calls().len(), peer.negotiations()), (2, 1), "the connection is kept");

    let fatal = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
    let (error, peer) = told(move |asked| asked.answer(&quorum_refused(fatal))).await;
    assert_eq!((error.code(), error.class()), (Some(fatal), Class::Fatal));
    assert_eq!(peer.calls().len(), 1);
}

#[tokio::test]
async fn an_answer_without_its_content_is_refused() {
    let (error, _) = told(|asked| asked.answer(&DescribeQuorumResponse::default())).await;
    assert!(error.to_string().contains("the metadata partition is missing"), "{error}");
}

#[tokio::test]
async fn a_dead_address_is_passed_over() {
    let peer = quorum_peer(|asked| asked.answer(&quorum())).await;
    // Port 1 of the loopback address refuses connections.
    let bootstrap = vec![Endpoint::new("127.0.0.1", 1), peer.endpoint.clone()];
    let cluster = Cluster::new(bootstrap, &Security::Plaintext, options()).unwrap();
    for _ in 0..2 {
        assert_eq!(cluster.describe_quorum().await.unwrap().leader_id, Some(1));
    }
    assert_eq!(peer.negotiations(), 1);

    let nobody = vec![Endpoint::new("127.0.0.1", 1)];
    let nobody = Cluster::new(nobody, &Security::Plaintext, options()).unwrap();
    let error = nobody.within(Duration::from_millis(200)).describe_quorum().await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }) && error.is_retriable(), "{error}");

    let nowhere = Cluster::new(Vec::new(), &Security::Plaintext, options()).unwrap();
    let error = nowhere.describe_quorum().await.unwrap_err();
    assert!(matches!(error, Error::NoRoute { .. }), "{error}");
}

#[tokio::test]
async fn an_idle_connection_that_the_node_closed_is_not_used() {
    let peer = Peer::closing_after_each_answer(|asked| match asked.key {
        ApiKey::ApiVersions => asked.offer(&[(ApiKey::UnregisterBroker, 0)]),
        _ => asked.answer(&crate::answers::unregistered()),
    })
    .await;
    let cluster = client(&[&peer]);
    // This call is never repeated, so that it would fail on a connection that is gone.
    for broker_id in 0..3 {
        cluster.unregister_broker(broker_id).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((peer.calls().len(), peer.negotiations()), (3, 3));
}

#[tokio::test]
async fn a_call_given_up_halfway_leaves_no_answer_behind() {
    let peer = quorum_peer(|asked| match asked.before {
        0 => Reply::Silence,
        _ => asked.answer(&quorum()),
    })
    .await;
    let cluster = client(&[&peer]);
    let given_up =
        tokio::time::timeout(Duration::from_millis(100), cluster.describe_quorum()).await;
    assert!(given_up.is_err());
    assert_eq!(cluster.describe_quorum().await.unwrap().leader_id, Some(1));
    assert_eq!(peer.negotiations(), 2);
}
