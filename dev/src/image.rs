//! Container images, built as OCI archives without a container engine.

mod base;
mod class_archive;
mod client;
mod jars;
mod java;
mod kafka;
mod program;
mod release;
mod single;

use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::bail;

pub(crate) use kafka::server_jars;
pub(crate) use program::repository;
pub(crate) use release::{RELEASES, Release};

/// The version of everything in this repository, which tags the images.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `cargo dev image` is asked for.
#[derive(clap::Args)]
pub(crate) struct ImageArgs {
    /// Which: `kafka` or `kafka-<release>`, `operator`, `client`, `verifier`. Without a
    /// name one of each, apart from the verifier, which only tests need.
    names: Vec<ImageName>,
    /// The Kafka image of every release.
    #[arg(long)]
    all_versions: bool,
}

/// One image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ImageName {
    /// A release of Kafka with the agent.
    Kafka(Release),
    /// The operator.
    Operator,
    /// A client of Kafka that is not Apache's: kcat.
    Client,
    /// What shows whether a Kafka cluster keeps what it acknowledged.
    Verifier,
}

impl FromStr for ImageName {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        match name {
            "kafka" => Ok(Self::Kafka(Release::default())),
            "operator" => Ok(Self::Operator),
            "client" => Ok(Self::Client),
            "verifier" => Ok(Self::Verifier),
            _ => match name.strip_prefix("kafka-") {
                Some(kafka) => Ok(Self::Kafka(Release::of(kafka)?)),
                None => bail!("no such image; there are kafka, operator, client and verifier"),
            },
        }
    }
}

impl ImageName {
    /// The archive of the image, built now where it is not in the cache.
    pub(crate) fn archive(self) -> anyhow::Result<PathBuf> {
        match self {
            Self::Kafka(release) => kafka::archive(release),
            Self::Operator => single::archive("operator"),
            Self::Client => client::archive(),
            Self::Verifier => single::archive("verifier"),
        }
    }
}

/// Builds the images and prints the paths of their archives.
pub(crate) fn build(arguments: &ImageArgs) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    for name in chosen(arguments) {
        writeln!(stdout, "{}", name.archive()?.display())?;
    }
    Ok(())
}

fn chosen(arguments: &ImageArgs) -> Vec<ImageName> {
    let mut names = arguments.names.clone();
    if arguments.all_versions {
        names.extend(RELEASES.map(ImageName::Kafka));
    }
    if names.is_empty() {
        names.extend([
            ImageName::Kafka(Release::default()),
            ImageName::Operator,
            ImageName::Client,
        ]);
    }
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named() {
        let kafka = |text: &str| ImageName::from_str(text).unwrap();
        assert_eq!(kafka("kafka"), kafka("kafka-4.3.1"));
        assert_ne!(kafka("kafka"), kafka("kafka-4.4.0"));
        let error = ImageName::from_str("kafka-3.9.0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no image of Kafka 3.9.0 is known; there are 4.2.1, 4.3.1, 4.4.0"
        );
    }
}
