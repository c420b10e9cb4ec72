//! Faults over a server that counts what reaches it.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use futures::stream::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, ObjectMeta, PostParams, WatchParams};
use kube::{Client, Error};
use tower::service_fn;

use super::*;

/// Knows config maps by their path, and watches that never say anything but their first event.
#[derive(Clone, Default)]
struct Server {
    objects: Arc<Mutex<BTreeMap<String, serde_json::Value>>>,
}

impl Server {
    fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    async fn answer(self, request: Request<Body>) -> Result<Answer, BoxError> {
        let call = ApiCall::of(request.method(), request.uri());
        let body = request.into_body().collect().await?.to_bytes();
        if call.verb == "watch" {
            let event = serde_json::json!({ "type": "ADDED", "object": object("first") });
            let first = futures::stream::once(async move {
                Ok(hyper::body::Frame::data(Bytes::from(format!("{event}\n"))))
            });
            let body =
                http_body_util::StreamBody::new(Box::pin(first.chain(futures::stream::pending())));
            return Ok(Response::new(Box::new(body) as Box<DynBody>));
        }
        let mut objects = self.objects.lock().unwrap();
        let answer = if call.verb == "create" {
            let object: serde_json::Value = serde_json::from_slice(&body)?;
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            objects.insert(name, object.clone());
            object
        } else {
            serde_json::json!({
                "kind": "ConfigMapList", "apiVersion": "v1", "metadata": { "resourceVersion": "1" },
                "items": objects.values().collect::<Vec<_>>(),
            })
        };
        Ok(Response::new(answer::whole(Bytes::from(answer.to_string()))))
    }
}

fn object(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    }
}

fn through(faults: &Faults, server: &Server) -> Api<ConfigMap> {
    let server = server.clone();
    let honest = ApiService::new(service_fn(move |request| server.clone().answer(request)));
    Api::namespaced(Client::new(faults.layer(honest), "shop"), "shop")
}

async fn create(api: &Api<ConfigMap>, name: &str) -> Result<ConfigMap, Error> {
    api.create(&PostParams::default(), &object(name)).await
}

async fn listed(api: &Api<ConfigMap>) -> usize {
    api.list(&ListParams::default()).await.unwrap().items.len()
}

#[tokio::test]
async fn the_kth_change_is_hit_and_no_other() {
    let (faults, server) = (Faults::new(), Server::default());
    let api = through(&faults, &server);
    faults.at(2, Fault::DropRequest);
    faults.at(3, Fault::DropReply);
    faults.at(4, Fault::Answer(StatusCode::CONFLICT));
    assert!(create(&api, "a").await.is_ok());
    assert!(create(&api, "b").await.is_err());
    assert!(create(&api, "c").await.is_err());
    let refused = create(&api, "d").await.unwrap_err();
    assert!(matches!(refused, Error::Api(status) if status.is_already_exists()));
    assert!(create(&api, "e").await.is_ok());
    assert_eq!(server.names(), ["a", "c", "e"]);
    assert_eq!(faults.mutations(), 5);
    assert!(faults.trace().iter().all(|call| call.verb == "create"));
}

#[tokio::test]
async fn a_crash_before_writes_nothing_and_a_crash_after_writes_once() {
    for (fault, names) in [(Fault::CrashBefore, vec!["a"]), (Fault::CrashAfter, vec!["a", "b"])] {
        let (faults, server) = (Faults::new(), Server::default());
        let api = through(&faults, &server);
        faults.at(2, fault);
        create(&api, "a").await.unwrap();
        assert!(!faults.crashed().is_cancelled());
        create(&api, "b").await.unwrap_err();
        assert!(faults.crashed().is_cancelled());
        create(&api, "c").await.unwrap_err();
        api.list(&ListParams::default()).await.unwrap_err();
        assert_eq!(server.names(), names, "{fault:?}");
    }
}

#[tokio::test]
async fn only_counted_changes_are_numbered() {
    let (faults, server) = (Faults::new(), Server::default());
    let api = through(&faults, &server);
    faults.count_only(|call| call.resource == "secrets");
    faults.at(1, Fault::DropRequest);
    create(&api, "a").await.unwrap();
    assert_eq!((faults.mutations(), server.names().len()), (0, 1));
}

#[tokio::test]
async fn lists_are_stale_or_empty_until_they_are_honest_again() {
    let (faults, server) = (Faults::new(), Server::default());
    let api = through(&faults, &server);
    create(&api, "a").await.unwrap();
    assert_eq!(listed(&api).await, 1);
    faults.falsify_lists(ListFault::Stale, |call| call.resource == "configmaps");
    create(&api, "b").await.unwrap();
    assert_eq!(listed(&api).await, 1);
    faults.falsify_lists(ListFault::Empty, |call| call.resource == "configmaps");
    assert_eq!(listed(&api).await, 0);
    faults.falsify_lists(ListFault::Empty, |call| call.resource == "secrets");
    assert_eq!(listed(&api).await, 2);
    faults.honest_lists();
    assert_eq!(listed(&api).await, 2);
}

#[tokio::test]
async fn watches_break_and_expire() {
    let (faults, server) = (Faults::new(), Server::default());
    let api = through(&faults, &server);
    let mut events = api.watch(&WatchParams::default(), "1").await.unwrap().boxed();
    assert!(events.try_next().await.unwrap().is_some());
    faults.break_watches();
    assert!(events.try_next().await.is_err());

    let mut events = api.watch(&WatchParams::default(), "1").await.unwrap().boxed();
    assert!(events.try_next().await.unwrap().is_some());
    faults.expire_watches();
    assert!(events.try_next().await.is_err());
    let mut events = api.watch(&WatchParams::default(), "1").await.unwrap().boxed();
    let expired = events.try_next().await.unwrap().unwrap();
    assert!(matches!(expired, kube::api::WatchEvent::Error(status) if status.code == 410));
    listed(&api).await;
    let mut events = api.watch(&WatchParams::default(), "1").await.unwrap().boxed();
    assert!(matches!(events.try_next().await.unwrap(), Some(kube::api::WatchEvent::Added(_))));

    faults.crash();
    assert!(events.try_next().await.is_err());
}
