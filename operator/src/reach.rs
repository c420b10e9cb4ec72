//! How the operator reaches nodes: their agents, and Kafka. Behind a trait, so that tests over a
//! real API server can stand in for nodes.

use futures::future::BoxFuture;
use ottla_crds::agent::{AgentStatus, FormatRequest};
use ottla_plan::Action;
use ottla_plan::explain::Behind;
use ottla_plan::observed::{Answer, Kafka, Traces};

use crate::telemetry::error_chain;

pub mod agent;
pub mod kafka;

/// The operator's certificate towards nodes of one cluster. Shows no key when printed.
#[derive(Clone)]
pub struct Credentials {
    /// The cluster's CA, PEM.
    pub ca_pem: Vec<u8>,
    /// The operator's certificate, PEM.
    pub certificate_pem: Vec<u8>,
    /// Its key, PEM.
    pub key_pem: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// How the nodes of one cluster are reached at this moment.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// The operator's certificate towards them, if there is one yet.
    pub credentials: Option<Credentials>,
    /// Inter-broker endpoints of brokers that are Ready, as `host:port`.
    pub bootstrap: Vec<String>,
    /// Controller endpoints of controllers that are Ready, as `host:port`.
    pub controllers: Vec<String>,
}

/// Where an agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAddress {
    /// Address of its pod.
    pub ip: String,
    /// The node's DNS name, which the agent's certificate must carry.
    pub host: String,
}

/// Why an agent or Kafka did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The certificates cannot be used.
    #[error("the operator's certificate for this cluster cannot be used")]
    Credentials(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No connection, or it broke.
    #[error("the agent at {address} could not be reached")]
    Connection {
        /// Where it should be.
        address: String,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time.
    #[error("the agent at {address} did not answer within {seconds} s")]
    Timeout {
        /// Where it is.
        address: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// An answer that says no.
    #[error("the agent refused: {text}")]
    Refused {
        /// What it said.
        text: String,
    },
    /// An answer that makes no sense.
    #[error("the agent's answer is not understood")]
    Answer(#[source] serde_json::Error),
    /// Kafka said no, and why.
    #[error("Kafka refuses it: {sentence}")]
    KafkaRefuses {
        /// Its own words.
        sentence: String,
    },
    /// Kafka said that it cannot take it at this moment, and why.
    #[error("Kafka does not take it yet: {sentence}")]
    NotYet {
        /// Its own words.
        sentence: String,
    },
    /// Kafka said no, or nothing.
    #[error("Kafka did not take it")]
    Kafka(#[source] ottla_kafka::Error),
}

/// The ways to nodes of a cluster.
pub trait Reach: Send + Sync {
    /// What an agent says of its node.
    fn status<'a>(
        &'a self,
        credentials: &'a Credentials,
        agent: &'a AgentAddress,
    ) -> BoxFuture<'a, Result<AgentStatus, ReachError>>;

    /// Permits an agent to format.
    fn format<'a>(
        &'a self,
        credentials: &'a Credentials,
        agent: &'a AgentAddress,
        request: &'a FormatRequest,
    ) -> BoxFuture<'a, Result<(), ReachError>>;

    /// What Kafka says, asked by the inter-broker listeners given as `host:port`; what is left in it is
    /// asked about in particular.
    fn kafka<'a>(
        &'a self,
        credentials: &'a Credentials,
        bootstrap: &'a [String],
        traces: &'a Traces,
    ) -> BoxFuture<'a, Answer<Kafka>>;

    /// How far the replicas are behind that are not in sync; nothing of what cannot be asked.
    fn behind<'a>(
        &'a self,
        credentials: &'a Credentials,
        bootstrap: &'a [String],
        kafka: &'a Kafka,
    ) -> BoxFuture<'a, Vec<Behind>>;

    /// Carries out an action that is Kafka's to take.
    fn change_kafka<'a>(
        &'a self,
        credentials: &'a Credentials,
        ways: &'a Ways,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<(), ReachError>>;
}

/// The real ways, over the network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network;

impl Reach for Network {
    fn status<'a>(
        &'a self,
        credentials: &'a Credentials,
        agent: &'a AgentAddress,
    ) -> BoxFuture<'a, Result<AgentStatus, ReachError>> {
        Box::pin(agent::status(credentials, agent))
    }

    fn format<'a>(
        &'a self,
        credentials: &'a Credentials,
        agent: &'a AgentAddress,
        request: &'a FormatRequest,
    ) -> BoxFuture<'a, Result<(), ReachError>> {
        Box::pin(agent::format(credentials, agent, request))
    }

    fn kafka<'a>(
        &'a self,
        credentials: &'a Credentials,
        bootstrap: &'a [String],
        traces: &'a Traces,
    ) -> BoxFuture<'a, Answer<Kafka>> {
        Box::pin(kafka::ask(credentials, bootstrap, traces))
    }

    fn behind<'a>(
        &'a self,
        credentials: &'a Credentials,
        bootstrap: &'a [String],
        kafka: &'a Kafka,
    ) -> BoxFuture<'a, Vec<Behind>> {
        Box::pin(async {
            kafka::behind(credentials, bootstrap, kafka).await.unwrap_or_else(|error| {
                tracing::debug!(
                    error = error_chain(&error),
                    "nobody says how far replicas are behind"
                );
                Vec::new()
            })
        })
    }

    fn change_kafka<'a>(
        &'a self,
        credentials: &'a Credentials,
        ways: &'a Ways,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<(), ReachError>> {
        Box::pin(kafka::change(credentials, ways, action))
    }
}
