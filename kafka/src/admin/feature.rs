//! Features: what a node's software supports, and what the cluster has switched on.

use std::collections::BTreeMap;

use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::{server_timeout_milliseconds, wire};
use crate::call::{Refusal, call, refused};
use crate::cluster::Target;
use crate::{Cluster, Error};

/// The protocol's number for a change that only ever raises a level.
const UPGRADE: i8 = 1;

call!(ApiVersionsRequest => ApiVersionsResponse, ApiVersions from 3, repeatable: true,
    |answer| refused(answer.error_code, None));

call!(UpdateFeaturesRequest => UpdateFeaturesResponse, UpdateFeatures from 1, repeatable: true,
    refusal_of);

/// Features such as `metadata.version`, by name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Features {
    /// The levels that the asked node's software supports, lowest and highest.
    pub supported: BTreeMap<String, (i16, i16)>,
    /// The levels that the cluster has switched on; a feature at level 0 is absent.
    pub finalized: BTreeMap<String, i16>,
    /// The metadata offset of the last change of the finalized levels, where the node tells.
    pub finalized_epoch: Option<i64>,
}

impl Cluster {
    /// What any node supports and what is finalized.
    ///
    /// # Errors
    /// When no node answers in time.
    pub async fn describe_features(&self) -> Result<Features, Error> {
        self.features_of(Target::Any).await
    }

    /// What this very node supports and what it knows to be finalized.
    ///
    /// # Errors
    /// When the node does not answer in time, or there is none of this id.
    pub async fn describe_features_of(&self, node_id: i32) -> Result<Features, Error> {
        self.features_of(Target::Node(node_id)).await
    }

    /// Raises a feature that the cluster has switched on to a level (KIP-584). One that has the
    /// level already stays as it is. There is no way back.
    ///
    /// # Errors
    /// When no answer came in time, or Kafka refuses it: it names a node whose software does not
    /// support the level, also one that is registered and long gone.
    pub async fn raise_feature(&self, feature: &str, level: i16) -> Result<(), Error> {
        let update = FeatureUpdateKey::default()
            .with_feature(wire(feature))
            .with_max_version_level(level)
            .with_upgrade_type(UPGRADE);
        let request = UpdateFeaturesRequest::default()
            .with_timeout_ms(server_timeout_milliseconds(self.request_timeout()))
            .with_feature_updates(vec![update]);
        self.ask(Target::Controller, |_| request.clone()).await.map(|_| ())
    }

    async fn features_of(&self, target: Target<'_>) -> Result<Features, Error> {
        let answer = self.ask(target, |_| crate::connection::versions_request()).await?.response;
        let supported = answer.supported_features.iter();
        let finalized = answer.finalized_features.iter();
        let epoch = answer.finalized_features_epoch;
        Ok(Features {
            supported: supported
                .map(|one| (one.name.to_string(), (one.min_version, one.max_version)))
                .collect(),
            finalized: finalized.map(|one| (one.name.to_string(), one.max_version_level)).collect(),
            finalized_epoch: (epoch >= 0).then_some(epoch),
        })
    }
}

/// Kafka says it for the whole, and before version 2 of the answer for each feature, too.
fn refusal_of(answer: &UpdateFeaturesResponse) -> Option<Refusal> {
    let of_one = || {
        let mut results = answer.results.iter();
        results.find_map(|one| refused(one.error_code, one.error_message.as_deref()))
    };
    refused(answer.error_code, answer.error_message.as_deref()).or_else(of_one)
}
