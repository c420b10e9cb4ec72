//! Features: what a node's software supports, and what the cluster has switched on.

use std::collections::BTreeMap;

use crate::call::{call, refused};
use crate::cluster::Target;
use crate::{Cluster, Error};

call!(ApiVersionsRequest => ApiVersionsResponse, ApiVersions from 3, repeatable: true,
    |answer| refused(answer.error_code, None));

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
