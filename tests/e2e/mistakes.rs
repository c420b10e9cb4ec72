//! Mistakes that people make in a KafkaCluster, and what they are told.

use serde_json::{Value, json};

/// One mistake: where, what is written there, and a part of the sentence that refuses it.
pub(crate) type Mistake = (&'static str, Value, &'static str);

/// Mistakes in a quickstart.
pub(crate) fn of_colocated() -> Vec<Mistake> {
    [names(), sizes(), listeners(), configuration(), controllers(), pods()].concat()
}

fn names() -> Vec<Mistake> {
    let rule = "metadata.name must be at most 32 characters of a-z, 0-9 and '-'";
    vec![
        ("/metadata/name", json!("orders-of-a-name-that-goes-on-for-ever"), rule),
        ("/metadata/name", json!("1orders"), rule),
        ("/metadata/name", json!("orders.eu"), rule),
        ("/metadata/name", json!("Orders"), "RFC 1123"),
        ("/spec/version", json!("9.9.9"), "supported values: \"4.2.1\", \"4.3.1\", \"4.4.0\""),
        ("/spec/version", Value::Null, "spec.version: Required value"),
        (
            "/spec/upgrade",
            json!({ "soak": "ten minutes" }),
            "spec.upgrade.soak in body should match",
        ),
        (
            "/spec/upgrade",
            json!({ "finalize": "Never" }),
            "supported values: \"Automatic\", \"Manual\"",
        ),
        ("/spec/image", json!("my image"), "spec.image in body should match"),
        ("/spec/brokres", json!({}), "unknown field \"spec.brokres\""),
    ]
}

fn sizes() -> Vec<Mistake> {
    const VOLUMES: &str = "/spec/brokers/storage/volumes";
    const SIZE: &str = "/spec/brokers/storage/volumes/0/size";
    let quantity = "size is not a quantity: write a number and a unit, such as 100Gi";
    let small = "size must be at least 100Mi: Kafka's own metadata needs that much";
    let volume = |name: &str| json!({ "name": name, "size": "1Gi" });
    let many: Vec<Value> = (0..17).map(|number| volume(&format!("d{number}"))).collect();
    vec![
        ("/spec/brokers/replicas", json!(0), "should be greater than or equal to 1"),
        ("/spec/brokers/replicas", json!(-3), "should be greater than or equal to 1"),
        ("/spec/brokers/replicas", json!(1001), "should be less than or equal to 1000"),
        ("/spec/brokers/replicas", json!("three"), "must be of type integer"),
        ("/spec/brokers/replicas", Value::Null, "spec.brokers.replicas: Required value"),
        (SIZE, json!("lots"), quantity),
        (SIZE, json!("2 Gi"), quantity),
        (SIZE, json!("1Mi"), small),
        (SIZE, json!("-1Gi"), small),
        (SIZE, json!("2Pi"), "size must be at most 1Pi"),
        (VOLUMES, json!([]), "should have at least 1 items"),
        (VOLUMES, json!(many), "must have at most 16 items"),
        (VOLUMES, json!([volume("d0"), volume("d0")]), "Duplicate value"),
        (VOLUMES, json!([volume("Disk_1")]), "volumes[0].name in body should match"),
        (
            "/spec/brokers/storage/volumes/0/storageClassName",
            json!("Fast SSD"),
            "storageClassName in body should match",
        ),
    ]
}

fn listeners() -> Vec<Mistake> {
    const PORT: &str = "/spec/listeners/0/port";
    const NAME: &str = "/spec/listeners/0/name";
    vec![
        (
            PORT,
            json!(9093),
            "two listeners have the same port: give each listener a port of its own",
        ),
        (PORT, json!(9091), "should be greater than or equal to 9092"),
        (PORT, json!(9404), "port 9404 serves metrics: choose another port from 9092 up"),
        (PORT, json!(70000), "should be less than or equal to 65535"),
        (NAME, json!("tls"), "Duplicate value"),
        (NAME, json!("controller"), "are Ottla's own: choose another name"),
        (NAME, json!("plain-text"), "listeners[0].name in body should match"),
        ("/spec/listeners", json!([]), "should have at least 1 items"),
        ("/spec/listeners/0/authentication", json!("ScramSha512"), "supported values: \"None\""),
        ("/spec/listeners/0/access", json!("NodePort"), "supported values: \"Internal\""),
        ("/spec/listeners/0/tls", Value::Null, "listeners[0].tls: Required value"),
    ]
}

fn configuration() -> Vec<Mistake> {
    const CONFIG: &str = "/spec/config";
    let own = "config holds a key that Ottla sets itself";
    let group = "config holds a key of a group that Ottla sets itself";
    vec![
        (CONFIG, json!({ "node.id": "7" }), own),
        (CONFIG, json!({ "log.dirs": "/data" }), own),
        (CONFIG, json!({ "unclean.leader.election.enable": "true" }), own),
        (CONFIG, json!({ "listener.security.protocol.map": "PLAIN:PLAINTEXT" }), group),
        (CONFIG, json!({ "listeners": "PLAINTEXT://:9092" }), group),
        (CONFIG, json!({ "controller.quorum.voters": "0@localhost:9090" }), group),
        (CONFIG, json!({ "ssl.keystore.location": "/tmp/keystore" }), group),
        (
            CONFIG,
            json!({ "log.retention.hours": "1\nnode.id=7" }),
            "config.log.retention.hours in body should match",
        ),
        (CONFIG, json!({ "Log.Retention": "1" }), "config keys are Kafka's own: lower case words"),
        (CONFIG, json!({ "log retention": "1" }), "config keys are Kafka's own: lower case words"),
        (CONFIG, json!({ "log.retention.hours": 72 }), "must be of type string"),
    ]
}

fn controllers() -> Vec<Mistake> {
    vec![
        ("/spec/controllers/replicas", json!(2), "supported values: \"1\", \"3\", \"5\""),
        (
            "/spec/controllers/replicas",
            json!(5),
            "controllers.replicas must not exceed brokers.replicas while controllers are Colocated",
        ),
        (
            "/spec/controllers/storage",
            json!({ "volumes": [{ "name": "d0", "size": "1Gi" }] }),
            "controllers that are Colocated live in the brokers",
        ),
        (
            "/spec/controllers/placement",
            json!("Dedicated"),
            "controllers.storage is required while controllers are Dedicated",
        ),
        (
            "/spec/controllers/placement",
            json!("Elsewhere"),
            "supported values: \"Dedicated\", \"Colocated\"",
        ),
        ("/spec/racks", json!({ "topologyKey": "zone" }), "racks.zones: Required value"),
        (
            "/spec/racks",
            json!({ "topologyKey": "a zone", "zones": ["a"] }),
            "racks.topologyKey in body should match",
        ),
        ("/spec/racks", json!({ "topologyKey": "zone", "zones": ["a", "a"] }), "Duplicate value"),
    ]
}

fn pods() -> Vec<Mistake> {
    const JVM: &str = "/spec/brokers/jvm";
    const RESOURCES: &str = "/spec/brokers/resources";
    const POD: &str = "/spec/brokers/pod";
    vec![
        (JVM, json!({ "heap": "much" }), "jvm.heap is not a quantity"),
        (JVM, json!({ "heap": "16Mi" }), "jvm.heap must be at least 128Mi"),
        (JVM, json!({ "options": ["-Xmx4g"] }), "set the heap by jvm.heap, not by -Xmx or -Xms"),
        (JVM, json!({ "options": ["-Da=b -Dc=d"] }), "options[0] in body should match"),
        (
            RESOURCES,
            json!({ "requests": { "cpu": "fast" } }),
            "resources.requests holds quantities",
        ),
        (RESOURCES, json!({ "limits": { "gpu": "1" } }), "resources.limits holds quantities"),
        (
            RESOURCES,
            json!({ "requests": { "memory": "2Gi" }, "limits": { "memory": "1Gi" } }),
            "a resource's request must not exceed its limit",
        ),
        (
            POD,
            json!({ "labels": { "ottla.dev/cluster": "payments" } }),
            "labels of ottla.dev and app.kubernetes.io are Ottla's own: choose other keys",
        ),
        (
            POD,
            json!({ "annotations": { "ottla.dev/template": "0" } }),
            "annotations of ottla.dev are Ottla's own: choose other keys",
        ),
    ]
}

/// Mistakes in a cluster with controllers of their own.
pub(crate) fn of_dedicated() -> Vec<Mistake> {
    let volume = |name: &str| json!({ "name": name, "size": "1Gi" });
    vec![
        (
            "/spec/controllers/storage",
            Value::Null,
            "controllers.storage is required while controllers are Dedicated",
        ),
        (
            "/spec/controllers/storage/volumes",
            json!([volume("d0"), volume("d1")]),
            "a controller has one volume: it stores only the metadata log",
        ),
        ("/spec/controllers/replicas", json!(4), "supported values: \"1\", \"3\", \"5\""),
    ]
}

/// Changes that a running quickstart must refuse.
pub(crate) fn of_running() -> Vec<Mistake> {
    const VOLUMES: &str = "/spec/brokers/storage/volumes";
    let volume = |name: &str| json!({ "name": name, "size": "2Gi" });
    vec![
        ("/spec/listeners/0/port", json!(9095), "port cannot be changed yet"),
        ("/spec/listeners/0/tls", json!(true), "tls cannot be changed yet"),
        (
            "/spec/racks",
            json!({ "topologyKey": "topology.kubernetes.io/zone", "zones": ["zone-a"] }),
            "racks cannot be added or removed yet",
        ),
        (
            "/spec/brokers/storage/volumes/0/storageClassName",
            json!("fast"),
            "storageClassName cannot be changed",
        ),
        (
            VOLUMES,
            json!([volume("d1"), volume("d0")]),
            "the first disk stays the first, or is left out",
        ),
        (VOLUMES, json!([]), "should have at least 1 items"),
        ("/spec/version", json!("4.2.1"), "choose one of 4.3.1, 4.4.0"),
        (
            "/spec/brokers/replicas",
            json!(2),
            "controllers.replicas must not exceed brokers.replicas",
        ),
        ("/spec/brokers/excludedIds", json!([1]), "names a broker that is to vote"),
        ("/spec/controllers/placement", json!("Dedicated"), "controllers.storage is required"),
    ]
}

/// Mistakes that no rule of a definition can see, and the reason under which the operator reports
/// them.
pub(crate) fn for_the_operator() -> Vec<(&'static str, Mistake)> {
    vec![
        (
            "InvalidSpec",
            (
                "/spec/brokers/resources",
                json!({ "requests": { "memory": "256Mi" }, "limits": { "memory": "256Mi" } }),
                "is not below the memory limit",
            ),
        ),
        (
            "InvalidSpec",
            (
                "/spec/config",
                json!({ "default.replication.factor": "5" }),
                "but there are 3 brokers: lower it or add brokers",
            ),
        ),
        (
            "InvalidSpec",
            (
                "/spec/config",
                json!({ "min.insync.replicas": "most" }),
                "which is no count from 1 up",
            ),
        ),
        (
            "InvalidSpec",
            (
                "/spec/config",
                json!({ "num.replica.fetchers": "0" }),
                "which is not a whole number from 1 up",
            ),
        ),
    ]
}
