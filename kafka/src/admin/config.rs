//! Configuration: what holds and from where, and changes of the dynamic part.

mod alter;

use std::collections::BTreeMap;

use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};

pub use alter::{ConfigChange, ConfigOperation};

use super::wire;
use crate::call::{call, misrouted};
use crate::cluster::{Target, Via};
use crate::{Cluster, Error, ErrorCode};

call!(DescribeConfigsRequest => DescribeConfigsResponse, DescribeConfigs from 4, repeatable: true,
    |answer| misrouted(answer.results.iter().map(|result| result.error_code)));

/// What a configuration belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResource {
    /// One topic.
    Topic(String),
    /// One node: a broker, or a controller where those are asked.
    Node(i32),
    /// The dynamic defaults of all nodes.
    ClusterDefault,
}

/// A configuration key, its value and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its value; `None` where it has none or is a secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether Kafka says that it cannot be changed while it runs. It does not always tell the
    /// truth: `listeners` counts as changeable.
    pub read_only: bool,
    /// Whether it is a secret.
    pub sensitive: bool,
    /// Every value that is set somewhere, the strongest first.
    pub synonyms: Vec<ConfigSynonym>,
}

/// A value that is set somewhere, and that a stronger one may cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key there, which may differ: `log.retention.ms` stands behind a topic's `retention.ms`.
    pub name: String,
    /// The value.
    pub value: Option<String>,
    /// Where it is set.
    pub source: ConfigSource,
}

/// Where a value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigSource {
    /// On the topic.
    DynamicTopic,
    /// On one node, dynamically.
    DynamicNode,
    /// For all nodes, dynamically.
    DynamicClusterDefault,
    /// In the node's `server.properties`.
    StaticNode,
    /// Kafka's own default.
    Default,
    /// Somewhere else, by the protocol's number: a logger, client metrics, a group.
    Other(i8),
}

impl ConfigResource {
    /// The protocol's type and name.
    fn to_wire(&self) -> (i8, String) {
        match self {
            Self::Topic(name) => (2, name.clone()),
            Self::Node(id) => (4, id.to_string()),
            Self::ClusterDefault => (4, String::new()),
        }
    }

    /// For error texts.
    fn subject(&self) -> String {
        match self {
            Self::Topic(name) => format!("the configuration of topic {name}"),
            Self::Node(id) => format!("the configuration of node {id}"),
            Self::ClusterDefault => "the configuration of the cluster".to_owned(),
        }
    }

    /// Who reads this configuration out: a broker knows only its own.
    fn reader(&self, listener: Via) -> Target<'static> {
        match (self, listener) {
            (Self::Node(id), _) => Target::Node(*id),
            (_, Via::Brokers) => Target::Any,
            (_, Via::Controllers) => Target::Controller,
        }
    }
}

impl ConfigSource {
    fn from_wire(number: i8) -> Self {
        match number {
            1 => Self::DynamicTopic,
            2 => Self::DynamicNode,
            3 => Self::DynamicClusterDefault,
            4 => Self::StaticNode,
            5 => Self::Default,
            other => Self::Other(other),
        }
    }
}

impl Cluster {
    /// The configuration of a topic, a node or all nodes, by key. Of [`ConfigResource::ClusterDefault`]
    /// only what is set.
    ///
    /// # Errors
    /// When no answer came in time, or there is no such topic or node.
    pub async fn describe_config(
        &self,
        resource: &ConfigResource,
    ) -> Result<BTreeMap<String, ConfigEntry>, Error> {
        self.described(resource, request(resource)).await.map(|result| entries(&result))
    }

    /// One key of the configuration of a topic, a node or all nodes; `None` where it has no value there.
    ///
    /// # Errors
    /// When no answer came in time, or there is no such topic or node.
    pub async fn describe_config_key(
        &self,
        resource: &ConfigResource,
        key: &str,
    ) -> Result<Option<String>, Error> {
        let one = asked(resource).with_configuration_keys(Some(vec![wire(key)]));
        let request = DescribeConfigsRequest::default().with_resources(vec![one]);
        let result = self.described(resource, request).await?;
        let found = result.configs.iter().find(|one| *one.name == *key);
        Ok(found.and_then(|one| one.value.as_ref()).map(ToString::to_string))
    }

    /// The answer to a request about one resource.
    async fn described(
        &self,
        resource: &ConfigResource,
        request: DescribeConfigsRequest,
    ) -> Result<DescribeConfigsResult, Error> {
        let target = resource.reader(self.listener());
        let answer = self.ask(target, |_| request.clone()).await?;
        let result = answer.response.results.first();
        let result = result
            .ok_or_else(|| answer.incomplete::<DescribeConfigsRequest>("the configuration"))?;
        let (code, message) = (result.error_code, result.error_message.as_deref());
        answer.item::<DescribeConfigsRequest>(&resource.subject(), code, message)?;
        Ok(result.clone())
    }
}

/// How many topics are asked for at once: a request and its answer stay well below a megabyte.
const TOPICS_AT_ONCE: usize = 2000;

impl Cluster {
    /// One key of many topics, whatever source each value has, by topic. Topics that do not exist
    /// are left out.
    ///
    /// # Errors
    /// When no answer came in time, or a topic may not be seen.
    pub async fn describe_topics_config(
        &self,
        topics: &[String],
        key: &str,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut values = BTreeMap::new();
        for topics in topics.chunks(TOPICS_AT_ONCE) {
            let request = one_key(topics, key);
            let answer = self.ask(Target::Any, |_| request.clone()).await?;
            for result in &answer.response.results {
                let code = ErrorCode::new(result.error_code);
                if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
                    continue;
                }
                let subject = ConfigResource::Topic(result.resource_name.to_string()).subject();
                let message = result.error_message.as_deref();
                answer.item::<DescribeConfigsRequest>(&subject, result.error_code, message)?;
                let found = result.configs.iter().find(|one| *one.name == *key);
                if let Some(value) = found.and_then(|one| one.value.as_ref()) {
                    values.insert(result.resource_name.to_string(), value.to_string());
                }
            }
        }
        Ok(values)
    }
}

fn one_key(topics: &[String], key: &str) -> DescribeConfigsRequest {
    let topics = topics.iter().map(|topic| ConfigResource::Topic(topic.clone()));
    let asked = topics.map(|topic| asked(&topic).with_configuration_keys(Some(vec![wire(key)])));
    DescribeConfigsRequest::default().with_resources(asked.collect())
}

fn request(resource: &ConfigResource) -> DescribeConfigsRequest {
    DescribeConfigsRequest::default()
        .with_resources(vec![asked(resource).with_configuration_keys(None)])
        .with_include_synonyms(true)
}

fn asked(resource: &ConfigResource) -> DescribeConfigsResource {
    let (resource_type, name) = resource.to_wire();
    DescribeConfigsResource::default()
        .with_resource_type(resource_type)
        .with_resource_name(wire(&name))
}

fn entries(result: &DescribeConfigsResult) -> BTreeMap<String, ConfigEntry> {
    result.configs.iter().map(|one| (one.name.to_string(), entry(one))).collect()
}

fn entry(one: &DescribeConfigsResourceResult) -> ConfigEntry {
    let text = |value: &kafka_protocol::protocol::StrBytes| value.to_string();
    let synonyms = one.synonyms.iter().map(|synonym| ConfigSynonym {
        name: synonym.name.to_string(),
        value: synonym.value.as_ref().map(text),
        source: ConfigSource::from_wire(synonym.source),
    });
    ConfigEntry {
        value: one.value.as_ref().map(text),
        source: ConfigSource::from_wire(one.config_source),
        read_only: one.read_only,
        sensitive: one.is_sensitive,
        synonyms: synonyms.collect(),
    }
}
