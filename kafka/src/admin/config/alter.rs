//! Changes of dynamic configuration.

use kafka_protocol::messages::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};

use super::super::wire;
use super::ConfigResource;
use crate::call::{call, misrouted};
use crate::cluster::{Target, Via};
use crate::{Cluster, Error};

call!(IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse,
    IncrementalAlterConfigs from 1, repeatable: true,
    |answer| misrouted(answer.responses.iter().map(|result| result.error_code)));

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The key.
    pub name: String,
    /// What to do with it.
    pub operation: ConfigOperation,
}

/// What to do with a key. Doing it twice is the same as doing it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// Set it.
    Set(String),
    /// Remove it, so that what stands behind it shows.
    Delete,
    /// Add to a list.
    Append(String),
    /// Remove from a list.
    Subtract(String),
}

impl ConfigOperation {
    /// The protocol's number and the value.
    fn to_wire(&self) -> (i8, Option<&str>) {
        match self {
            Self::Set(value) => (0, Some(value)),
            Self::Delete => (1, None),
            Self::Append(value) => (2, Some(value)),
            Self::Subtract(value) => (3, Some(value)),
        }
    }
}

impl ConfigResource {
    /// Who checks and makes a change: only the node itself can tell whether its own configuration
    /// may become so. The controllers' listener serves brokers that are gone, too.
    fn writer(&self, listener: Via) -> Target<'static> {
        match (self, listener) {
            (Self::Node(id), Via::Brokers) => Target::Node(*id),
            _ => Target::Controller,
        }
    }
}

impl Cluster {
    /// Changes the dynamic configuration of a topic, a node or all nodes, or only checks whether
    /// it could. All changes are made, or none.
    ///
    /// # Errors
    /// When no answer came in time, a change was refused, or there is no such topic or node.
    pub async fn alter_config(
        &self,
        resource: &ConfigResource,
        changes: &[ConfigChange],
        validate_only: bool,
    ) -> Result<(), Error> {
        let request = request(resource, changes, validate_only);
        let target = resource.writer(self.listener());
        let answer = self.ask(target, |_| request.clone()).await?;
        let result = answer.response.responses.first();
        let result = result
            .ok_or_else(|| answer.incomplete::<IncrementalAlterConfigsRequest>("the outcome"))?;
        let (code, message) = (result.error_code, result.error_message.as_deref());
        answer.item::<IncrementalAlterConfigsRequest>(&resource.subject(), code, message)
    }
}

fn request(
    resource: &ConfigResource,
    changes: &[ConfigChange],
    validate_only: bool,
) -> IncrementalAlterConfigsRequest {
    let (resource_type, name) = resource.to_wire();
    let configs = changes.iter().map(|change| {
        let (operation, value) = change.operation.to_wire();
        AlterableConfig::default()
            .with_name(wire(&change.name))
            .with_config_operation(operation)
            .with_value(value.map(wire))
    });
    let altered = AlterConfigsResource::default()
        .with_resource_type(resource_type)
        .with_resource_name(wire(&name))
        .with_configs(configs.collect());
    IncrementalAlterConfigsRequest::default()
        .with_resources(vec![altered])
        .with_validate_only(validate_only)
}
