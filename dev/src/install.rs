//! Brings the operator into the local Kubernetes: images, then the plain manifests.

use std::path::PathBuf;

use crate::cluster;
use crate::image::{ImageName, Release};
use crate::step;

/// The manifests of a cluster-wide installation, made from the Helm chart.
const MANIFESTS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/plain/ottla.yaml"));

/// The images that a cluster of Kafka's default release needs, and a client to try it with.
pub(crate) fn images() -> anyhow::Result<Vec<PathBuf>> {
    let names = [ImageName::Kafka(Release::default()), ImageName::Operator, ImageName::Client];
    names.into_iter().map(ImageName::archive).collect()
}

/// Builds all that a cluster consists of and that is not in the cache yet. Most of it waits for
/// downloads as long as for the processor, so that two builds at once are done sooner.
pub(crate) fn build() -> anyhow::Result<()> {
    step::side_by_side(cluster::build, images)?;
    Ok(())
}

/// Builds what is missing, loads it, and starts the operator anew.
pub(crate) fn install() -> anyhow::Result<()> {
    cluster::load(&images()?)?;
    let kubectl = cluster::connect()?;
    step::run("install the operator", || {
        kubectl.apply(MANIFESTS)?;
        kubectl
            .run("wait --for=condition=Established crd/kafkaclusters.ottla.dev --timeout=60s")?;
        kubectl.run("--namespace ottla-system rollout restart deployment/ottla")?;
        kubectl.run("--namespace ottla-system rollout status deployment/ottla --timeout=120s")?;
        Ok(())
    })
}
