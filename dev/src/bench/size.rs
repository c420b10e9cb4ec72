//! How large images and binaries are, unpacked.

use std::path::Path;

use anyhow::Context as _;

use super::Figure;
use crate::command::{command, run};
use crate::image::{ImageName, Release};

const MEGABYTE: f64 = 1e6;

/// Layers are stored uncompressed, so that an archive's files are as large as what they unpack to.
pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    let kafka = ImageName::Kafka(Release::default()).archive()?;
    let operator = ImageName::Operator.archive()?;
    Ok(vec![
        Figure::new("operator_image", megabytes(&operator)?, "MB").at_most(25.0),
        Figure::new("kafka_image", megabytes(&kafka)?, "MB").at_most(300.0),
        Figure::new("operator_binary", program(&operator, "ottla-operator")?, "MB"),
        Figure::new("agent_binary", program(&kafka, "opt/ottla/bin/ottla-broker")?, "MB"),
    ])
}

#[allow(clippy::cast_precision_loss, reason = "a size in megabytes needs no 53 bits")]
fn megabytes(archive: &Path) -> anyhow::Result<f64> {
    Ok(archive.metadata()?.len() as f64 / MEGABYTE)
}

/// The size of one file in one of the archive's layers.
fn program(archive: &Path, name: &str) -> anyhow::Result<f64> {
    let script = "for layer in $(tar -tf \"$0\" | grep ^blobs/sha256/.); do \
                  tar -xOf \"$0\" \"$layer\" | tar -tvf - 2>/dev/null; done";
    let listing = run(command("sh", ["-c", script]).arg(archive))?;
    let line = listing
        .lines()
        .find(|line| line.ends_with(name))
        .with_context(|| format!("{} holds no {name}", archive.display()))?;
    let bytes: f64 = line.split_whitespace().nth(2).context("no size in the listing")?.parse()?;
    Ok(bytes / MEGABYTE)
}
