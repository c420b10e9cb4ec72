//! Which certificates are needed, and which must be renewed.

use jiff::Timestamp;
use serde_json::json;

use crate::action::{Action, Leaf, Target};
use crate::desired::Desired;
use crate::names::RENEW_CA_ANNOTATION;
use crate::node::Node;
use crate::object::{Kind, Object};
use crate::observed::{Certificate, Observed};
use crate::report::WaitingOn;
use crate::{authority, repair, resources};

/// How long a node's certificate lives. Renewing one ends with a restart, because the Raft client
/// never reloads (KAFKA-20025), so that it should be rare enough to join restarts that happen
/// anyway.
pub const LEAF_LIFE_SECONDS: i64 = 365 * 24 * 3600;

/// A certificate is renewed when a third of its life is left: four months in which the operator
/// may be down.
pub const RENEWAL_BEFORE_EXPIRY_SECONDS: i64 = LEAF_LIFE_SECONDS / 3;

/// Clocks of machines differ: a certificate is good from a little before it is made.
pub const BACKDATED_SECONDS: i64 = 300;

/// How long the CA lives.
pub const AUTHORITY_LIFE_SECONDS: i64 = 10 * LEAF_LIFE_SECONDS;

/// Creates the CA of a new cluster, or says why it must not: any Secret of ours holds a certificate
/// that an earlier CA signed, and nodes that exist trust no other.
pub(crate) fn authority(desired: &Desired, observed: &Observed) -> Result<Vec<Action>, WaitingOn> {
    let name = desired.names.authority();
    if observed.authority.is_some() {
        return Ok(Vec::new());
    }
    if let Some(taken) = repair::stranger(observed, Kind::Secret, &name) {
        return Err(taken);
    }
    let any = |kind: Kind| observed.children_of(kind).next().is_some();
    if any(Kind::Secret) || any(Kind::StatefulSet) || !observed.pods.is_empty() {
        return Err(WaitingOn::AuthorityLost { secret: name });
    }
    let mut tree = json!({
        "metadata": {
            "name": name,
            "namespace": desired.names.namespace,
            "labels": desired.names.kept_labels(),
        },
        "type": "kubernetes.io/tls",
    });
    if let Some(word) = &desired.renew_authority {
        tree["metadata"]["annotations"] = json!({ RENEW_CA_ANNOTATION: word });
    }
    Ok(vec![Action::IssueAuthority {
        object: Object::new(Kind::Secret, name.clone(), tree),
        common_name: name,
    }])
}

/// Certificates of the operator and of every node that are missing or have to be renewed, and what
/// stands in the way of one.
pub(crate) fn leaves(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    now: Timestamp,
) -> Vec<Result<Action, WaitingOn>> {
    let authority = observed.authority.as_ref();
    if authority.is_some_and(|one| authority::broken(desired, observed, nodes, one).is_some()) {
        return Vec::new();
    }
    let operator = desired.names.operator();
    let mut wanted = vec![(operator, Vec::new())];
    wanted.extend(nodes.iter().map(|node| (desired.names.node(node), node_names(desired, node))));
    wanted
        .into_iter()
        .filter_map(|(name, dns_names)| {
            if let Some(taken) = repair::stranger(observed, Kind::Secret, &name) {
                return Some(Err(taken));
            }
            leaf(desired, observed, name, dns_names, now).map(Ok)
        })
        .collect()
}

fn leaf(
    desired: &Desired,
    observed: &Observed,
    name: String,
    dns_names: Vec<String>,
    now: Timestamp,
) -> Option<Action> {
    let child = observed.child(Kind::Secret, &name);
    if child.is_some_and(|child| child.terminating) {
        return None;
    }
    let trusted = observed.authority.as_ref().map(|authority| &authority.trusted);
    let found = observed.certificates.get(&name);
    let fit = found
        .is_some_and(|found| is_fit(found, &dns_names, now) && Some(&found.authorities) == trusted);
    if fit && child.is_some() {
        return None;
    }
    let replaces = child.map(|child| Target::of(&name, child));
    Some(Action::IssueLeaf(Leaf {
        object: resources::secret::leaf(desired, &name),
        authority: desired.names.authority(),
        common_name: name,
        dns_names,
        replaces,
    }))
}

fn is_fit(found: &Certificate, dns_names: &[String], now: Timestamp) -> bool {
    let left = found.expires_at_seconds - now.as_second();
    found.trusted
        && left > RENEWAL_BEFORE_EXPIRY_SECONDS
        && dns_names.iter().all(|name| found.dns_names.contains(name))
}

/// Every name by which a client may reach the node: its own, and those of the bootstrap Services
/// of TLS listeners.
fn node_names(desired: &Desired, node: &Node) -> Vec<String> {
    let names = &desired.names;
    let mut dns_names = vec![names.host(node), format!("{}.cluster.local", names.host(node))];
    if node.is_broker() {
        for listener in desired.listeners.iter().filter(|listener| listener.tls) {
            let short = names.bootstrap(&listener.name);
            let host = names.bootstrap_host(&listener.name);
            dns_names.push(format!("{host}.cluster.local"));
            dns_names.push(format!("{short}.{}", names.namespace));
            dns_names.extend([host, short]);
        }
    }
    dns_names
}
