//! Names, labels and annotations of everything that belongs to a cluster. Names are injective:
//! two clusters, or two parts of one, never share one.

use std::collections::BTreeMap;

use ottla_crds::agent::{CONTROLLER_PORT, REPLICATION_PORT};

use crate::node::{Group, Node};

/// Label with the KafkaCluster's name, on every object of the cluster. Only objects with it are
/// ever changed.
pub const CLUSTER_LABEL: &str = "ottla.dev/cluster";
const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// Label with Kafka's `node.id`, on everything that belongs to one node.
pub const NODE_LABEL: &str = "ottla.dev/node-id";
/// Label with the node's group, `broker` or `controller`.
pub const GROUP_LABEL: &str = "ottla.dev/group";
/// Label with the volume's name, on claims.
pub const VOLUME_LABEL: &str = "ottla.dev/volume";
/// Label `true` on pods that hold Kafka's broker role.
pub const BROKER_LABEL: &str = "ottla.dev/broker";
/// Label `true` on pods that hold Kafka's controller role.
pub const CONTROLLER_LABEL: &str = "ottla.dev/controller";
/// Annotation with the hash of what we last applied.
pub const DESIRED_ANNOTATION: &str = "ottla.dev/desired";
/// Annotation with Kafka's cluster id, on claims.
pub const CLUSTER_ID_ANNOTATION: &str = "ottla.dev/cluster-id";
/// Annotation with the zone that a claim's node was dealt to.
pub const RACK_ANNOTATION: &str = "ottla.dev/rack";
/// Annotation by which a person declares that a disk is lost; its value is the new claim's UID.
pub const ACCEPT_LOST_DISK_ANNOTATION: &str = "ottla.dev/accept-lost-disk";
/// Annotation of a KafkaCluster by which a person asks for a restart of every node, by any new value.
/// Pods carry the value that they were made under.
pub const RESTART_ANNOTATION: &str = "ottla.dev/restart";

/// Annotation of a KafkaCluster by which a person asks for another CA, by any new value. The CA's Secret
/// carries the value that it was made for.
pub const RENEW_CA_ANNOTATION: &str = "ottla.dev/renew-ca";

/// Annotation by which a person hands a cluster over to another installation of the operator.
pub const TAKE_OVER_ANNOTATION: &str = "ottla.dev/take-over";

/// The names of one cluster's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Name of the KafkaCluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
}

impl Names {
    /// ConfigMap with the cluster id, the first voters and the disks formatted so far.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}-identity", self.cluster)
    }

    /// Secret with the key of the cluster's CA, and ConfigMap with its certificate.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}-ca", self.cluster)
    }

    /// Secret with the operator's own certificate, and that certificate's common name.
    #[must_use]
    pub fn operator(&self) -> String {
        format!("{}-operator", self.cluster)
    }

    /// Headless Service, ServiceAccount and NetworkPolicy of all nodes.
    #[must_use]
    pub fn nodes(&self) -> String {
        format!("{}-nodes", self.cluster)
    }

    /// Service by which clients find the first broker of a listener.
    #[must_use]
    pub fn bootstrap(&self, listener: &str) -> String {
        format!("{}-{listener}-bootstrap", self.cluster)
    }

    /// DNS name of that Service, without the Kubernetes cluster's domain.
    #[must_use]
    pub fn bootstrap_host(&self, listener: &str) -> String {
        format!("{}.{}.svc", self.bootstrap(listener), self.namespace)
    }

    /// PodDisruptionBudget of a group.
    #[must_use]
    pub fn disruption_budget(&self, group: Group) -> String {
        format!("{}-{}", self.cluster, group.word())
    }

    /// StatefulSet, Secret and certificate of a node, such as `orders-broker-0`.
    #[must_use]
    pub fn node(&self, node: &Node) -> String {
        format!("{}-{}-{}", self.cluster, node.group.word(), node.id)
    }

    /// The one pod of a node's StatefulSet.
    #[must_use]
    pub fn pod(&self, node: &Node) -> String {
        format!("{}-0", self.node(node))
    }

    /// Claim of one of a node's volumes.
    #[must_use]
    pub fn claim(&self, node: &Node, volume: &str) -> String {
        format!("{}-{volume}", self.node(node))
    }

    /// The node's DNS name. It is written into Kafka's log as a voter's endpoint and never
    /// changes, so it carries no domain of the Kubernetes cluster.
    #[must_use]
    pub fn host(&self, node: &Node) -> String {
        format!("{}.{}.{}.svc", self.pod(node), self.nodes(), self.namespace)
    }

    /// `host:port` of the node's controller listener.
    #[must_use]
    pub fn controller_endpoint(&self, node: &Node) -> String {
        format!("{}:{CONTROLLER_PORT}", self.host(node))
    }

    /// `host:port` of the node's inter-broker listener.
    #[must_use]
    pub fn replication_endpoint(&self, node: &Node) -> String {
        format!("{}:{REPLICATION_PORT}", self.host(node))
    }

    /// Labels of every object of the cluster.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        [
            ("app.kubernetes.io/name", "kafka"),
            (INSTANCE_LABEL, self.cluster.as_str()),
            ("app.kubernetes.io/managed-by", "ottla"),
            (CLUSTER_LABEL, self.cluster.as_str()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }

    /// Labels of objects that outlive the KafkaCluster. They name no instance: tools that deploy an
    /// application of that name and remove what they do not know would take the data with it.
    #[must_use]
    pub fn kept_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.remove(INSTANCE_LABEL);
        labels
    }

    /// Labels of everything that belongs to one node.
    #[must_use]
    pub fn node_labels(&self, node: &Node) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(NODE_LABEL.to_owned(), node.id.to_string());
        labels.insert(GROUP_LABEL.to_owned(), node.group.word().to_owned());
        labels
    }
}
