//! What the guard asks of a KafkaCluster before it permits anything, and how long a permit is good for.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use ottla_plan::desired::Settings;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::{BoxError, service_fn};

use super::*;
use crate::context::{Repeats, StandingBy, recorder};
use crate::lease::{Leadership, Standing};
use crate::metrics::Metrics;
use crate::reach::Network;

const INSTALLATION: &str = "ottla-system/ottla";

fn settings() -> Settings {
    Settings {
        installation: INSTALLATION.to_owned(),
        operator_namespace: "ottla-system".to_owned(),
        image_template: "ottla/kafka:{version}".to_owned(),
    }
}

/// A cluster of ours, as a pass read it when it began.
fn ours() -> KafkaCluster {
    let text = include_str!("../../../examples/quickstart.yaml");
    let mut cluster: KafkaCluster = serde_yaml::from_str(text).unwrap();
    cluster.metadata.namespace = Some("shop".to_owned());
    cluster.metadata.uid = Some("uid-1".to_owned());
    cluster.metadata.generation = Some(1);
    cluster.status.get_or_insert_default().operator = Some(INSTALLATION.to_owned());
    cluster
}

/// What became of a KafkaCluster.
type Change = fn(&mut KafkaCluster);

/// What no law is against.
fn action() -> Action {
    Action::ElectLeaders(Default::default())
}

/// A context over an API server that has this KafkaCluster, if any, and nothing else.
fn over(cluster: Option<KafkaCluster>) -> Context {
    let service = service_fn(move |request: Request<Body>| {
        let is_list = !request.uri().path().ends_with("/kafkaclusters/orders");
        let (status, answer) = match (&cluster, is_list) {
            (_, true) => (StatusCode::OK, empty_list()),
            (Some(cluster), false) => (StatusCode::OK, serde_json::to_value(cluster).unwrap()),
            (None, false) => (StatusCode::NOT_FOUND, json!({})),
        };
        let body = Full::new(Bytes::from(answer.to_string()));
        async move { Ok::<_, BoxError>(Response::builder().status(status).body(body)?) }
    });
    let client = Client::new(service, "shop");
    let (standing, _) = watch::channel(Standing::Standby);
    Context {
        recorder: recorder(client.clone(), "test"),
        client,
        reach: Arc::new(Network),
        settings: settings(),
        leadership: Leadership::of(&standing),
        metrics: Metrics::new(),
        rest: Duration::from_secs(1),
        standing_by: StandingBy::default(),
        repeats: Repeats::default(),
    }
}

fn empty_list() -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "1" }, "items": [] })
}

/// What the guard says of an action that was planned for our cluster, which is like this by now.
async fn ask(by_now: Option<KafkaCluster>) -> Result<Verdict, Refusal> {
    let cluster = ours();
    let desired = Desired::parse(&cluster, &settings()).unwrap();
    permits(&over(by_now), &cluster, &desired, vec![action()]).await
}

#[tokio::test]
async fn nothing_is_permitted_of_a_cluster_that_has_changed() {
    assert_eq!(ask(Some(ours())).await.unwrap().permits.len(), 1);
    let changes: [(&str, Change); 5] = [
        ("another of its name", |one| one.metadata.uid = Some("uid-2".to_owned())),
        ("another spec", |one| one.metadata.generation = Some(2)),
        ("on its way out", |one| {
            one.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH))
        }),
        ("another installation's", |one| {
            one.status.get_or_insert_default().operator = Some("ops/green".to_owned());
        }),
        ("nobody's", |one| one.status = None),
    ];
    for (what, change) in changes {
        let mut changed = ours();
        change(&mut changed);
        let said = ask(Some(changed)).await;
        assert!(matches!(said, Err(Refusal::Changed)), "{what}: {said:?}");
    }
    assert!(matches!(ask(None).await, Err(Refusal::Read(_))));
}

#[tokio::test]
async fn a_permit_is_good_for_seconds() {
    let permit = ask(Some(ours())).await.unwrap().permits.pop().unwrap();
    assert!(permit.expires <= Instant::now() + LIFE);
    assert_eq!(permit.redeem(), Some(action()));
    let late = Permit { action: action(), expires: Instant::now() };
    assert_eq!(late.redeem(), None);
}
