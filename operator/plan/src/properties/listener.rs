//! Listeners: Ottla's own two, always mutual TLS, and the user's.

use std::collections::BTreeMap;

use ottla_crds::agent::{CONTROLLER_PORT, REPLICATION_PORT, TLS_FOLDER};

use crate::desired::Desired;
use crate::node::Node;

struct Entry {
    name: String,
    port: i32,
    tls: bool,
    mutual: bool,
}

pub(super) fn own(desired: &Desired, node: &Node) -> Vec<(&'static str, String)> {
    let host = desired.names.host(node);
    vec![("advertised.listeners", at(&entries(desired, node), &host))]
}

/// Where each listener is, on a host.
fn at(entries: &[Entry], host: &str) -> String {
    let each: Vec<String> =
        entries.iter().map(|entry| format!("{}://{host}:{}", entry.name, entry.port)).collect();
    each.join(",")
}

pub(super) fn common(desired: &Desired, node: &Node) -> BTreeMap<String, String> {
    let entries = entries(desired, node);
    let mut properties = BTreeMap::from([
        ("listeners".to_owned(), at(&entries, "")),
        ("listener.security.protocol.map".to_owned(), protocol_map(desired)),
        ("controller.listener.names".to_owned(), "CONTROLLER".to_owned()),
        ("inter.broker.listener.name".to_owned(), "REPLICATION".to_owned()),
    ]);
    for entry in own_entries().iter().chain(&entries).filter(|entry| entry.tls) {
        properties.extend(tls(entry));
    }
    properties
}

fn own_entries() -> [Entry; 2] {
    let own = |name: &str, port: u16| Entry {
        name: name.to_owned(),
        port: i32::from(port),
        tls: true,
        mutual: true,
    };
    [own("CONTROLLER", CONTROLLER_PORT), own("REPLICATION", REPLICATION_PORT)]
}

fn entries(desired: &Desired, node: &Node) -> Vec<Entry> {
    let [controller, replication] = own_entries();
    let mut entries = Vec::new();
    if node.is_controller() {
        entries.push(controller);
    }
    if node.is_broker() {
        entries.push(replication);
        entries.extend(desired.listeners.iter().map(|listener| Entry {
            name: listener.name.to_uppercase(),
            port: listener.port,
            tls: listener.tls,
            mutual: false,
        }));
    }
    entries
}

/// Every node must know the protocol of Ottla's own listeners, also where it has no such listener:
/// it connects to others by them.
fn protocol_map(desired: &Desired) -> String {
    let mut map = vec!["CONTROLLER:SSL".to_owned(), "REPLICATION:SSL".to_owned()];
    map.extend(desired.listeners.iter().map(|listener| {
        let protocol = if listener.tls { "SSL" } else { "PLAINTEXT" };
        format!("{}:{protocol}", listener.name.to_uppercase())
    }));
    map.join(",")
}

fn tls(entry: &Entry) -> BTreeMap<String, String> {
    let key = |suffix: &str| format!("listener.name.{}.ssl.{suffix}", entry.name.to_lowercase());
    let client_auth = if entry.mutual { "required" } else { "none" };
    BTreeMap::from([
        (key("keystore.type"), "PEM".to_owned()),
        (key("keystore.location"), format!("{TLS_FOLDER}/keystore.pem")),
        (key("truststore.type"), "PEM".to_owned()),
        (key("truststore.location"), format!("{TLS_FOLDER}/ca.crt")),
        (key("client.auth"), client_auth.to_owned()),
    ])
}
