//! Which nodes there are.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::id_or_none;
use crate::call::{call, refused};
use crate::cluster::{Answer, Target, Via};
use crate::{Cluster, Endpoint, Error};

/// The first version with an endpoint type, and so with controllers.
const ENDPOINT_TYPES: i16 = 1;
/// The first version that also shows fenced brokers.
const FENCED: i16 = 2;

call!(DescribeClusterRequest => DescribeClusterResponse, DescribeCluster from 0, repeatable: true,
    |answer| refused(answer.error_code, answer.error_message.as_deref()));

/// A cluster and the nodes of the listener that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Kafka's cluster id, as in `meta.properties`.
    pub cluster_id: String,
    /// Through the controllers' listener the active controller; through brokers only a node that
    /// passes requests on to it.
    pub controller_id: Option<i32>,
    /// The brokers, or through the controllers' listener the controllers, by id.
    pub nodes: Vec<NodeDescription>,
}

/// A node as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDescription {
    /// Kafka's `node.id`.
    pub id: i32,
    /// Where it can be reached, on the listener that was asked.
    pub endpoint: Endpoint,
    /// Its rack.
    pub rack: Option<String>,
    /// Whether it is fenced: registered and not alive, or still starting. Unknown from nodes that
    /// do not tell, which then leave fenced brokers out.
    pub fenced: Option<bool>,
}

impl Cluster {
    /// The cluster's id and nodes: its brokers, or its controllers where those are asked.
    ///
    /// # Errors
    /// When no node answers in time.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        let listener = self.listener();
        description(self.ask(Target::Any, |asked| request(listener, asked.version)).await?)
    }
}

/// The request for the nodes of a listener.
pub(crate) fn request(listener: Via, version: i16) -> DescribeClusterRequest {
    let endpoint_type = match listener {
        Via::Brokers => 1,
        Via::Controllers => 2,
    };
    let mut request = DescribeClusterRequest::default();
    if version >= ENDPOINT_TYPES {
        request.endpoint_type = endpoint_type;
    }
    // Controllers refuse the flag: fencing is a matter of brokers.
    request.include_fenced_brokers = version >= FENCED && listener == Via::Brokers;
    request
}

/// What the answer says.
pub(crate) fn description(
    answer: Answer<DescribeClusterResponse>,
) -> Result<ClusterDescription, Error> {
    let shows_fenced = answer.version >= FENCED;
    let nodes = answer.response.brokers.iter();
    let nodes: Option<Vec<_>> = nodes.map(|broker| node(broker, shows_fenced)).collect();
    let mut nodes =
        nodes.ok_or_else(|| answer.incomplete::<DescribeClusterRequest>("a node's port"))?;
    nodes.sort_by_key(|node| node.id);
    Ok(ClusterDescription {
        cluster_id: answer.response.cluster_id.to_string(),
        controller_id: id_or_none(answer.response.controller_id.0),
        nodes,
    })
}

fn node(broker: &DescribeClusterBroker, shows_fenced: bool) -> Option<NodeDescription> {
    let port = u16::try_from(broker.port).ok()?;
    Some(NodeDescription {
        id: broker.broker_id.0,
        endpoint: Endpoint::new(broker.host.to_string(), port),
        rack: broker.rack.as_ref().map(ToString::to_string),
        fenced: shows_fenced.then_some(broker.is_fenced),
    })
}
