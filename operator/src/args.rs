//! The command line of the operator, and the environment variables behind it.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::telemetry::LogFormat;

/// Where the version of Kafka goes in an image's name.
const VERSION_PLACEHOLDER: &str = "{version}";

/// Runs Apache Kafka on Kubernetes.
#[derive(Clone, Debug, Parser)]
#[command(name = "ottla-operator", version, about)]
pub struct Args {
    /// Namespaces to watch, separated by commas; all when absent or empty
    #[arg(long = "namespace", env = "OTTLA_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,

    /// Name of this installation, written into the status of every object that it owns, so that
    /// another installation stands by; by default the namespace and name of the lease
    #[arg(long, env = "OTTLA_INSTALLATION", value_parser = not_blank)]
    installation: Option<String>,

    /// Name of the lease that the leader holds
    #[arg(long, env = "OTTLA_LEASE_NAME", default_value = "ottla-operator", value_parser = not_blank)]
    pub lease_name: String,

    /// Namespace of the lease; by default the operator's own
    #[arg(long, env = "POD_NAMESPACE", value_parser = not_blank)]
    pub lease_namespace: Option<String>,

    /// What this process calls itself in the lease: no other process that runs may use it; by
    /// default a random name
    #[arg(long, env = "POD_NAME", value_parser = not_blank)]
    identity: Option<String>,

    /// How log lines are written
    #[arg(long, env = "OTTLA_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,

    /// Address for /livez, /readyz and /metrics
    #[arg(long, env = "OTTLA_LISTEN", default_value = "0.0.0.0:8081")]
    pub listen: SocketAddr,

    /// Image of a Kafka node; {version} stands for the release of Kafka
    #[arg(long, env = "OTTLA_KAFKA_IMAGE", default_value = DEFAULT_KAFKA_IMAGE)]
    pub kafka_image: KafkaImage,

    /// Seconds between two looks at a cluster that is at rest: its objects, its agents, its Kafka
    #[arg(long, env = "OTTLA_AGENT_POLL_SECONDS", default_value = "30",
          value_parser = clap::value_parser!(u16).range(1..=600))]
    agent_poll_seconds: u16,

    /// What to do instead of running Apache Kafka
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program does once, and ends.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Says what is seen of a KafkaCluster, what would be done next, and what is waited for; writes nothing
    Explain {
        /// The KafkaCluster, as namespace/name
        cluster: ClusterName,
    },
}

/// A KafkaCluster by its namespace and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl FromStr for ClusterName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err("it must be namespace/name"),
        }
    }
}

/// The image that the same release of Ottla was published with.
const DEFAULT_KAFKA_IMAGE: &str =
    concat!("ottla.dev/kafka:", env!("CARGO_PKG_VERSION"), "-kafka-{version}");

impl Args {
    /// The namespaces to watch, each once and in order; empty means all.
    pub fn namespaces(&self) -> Vec<String> {
        let trimmed = self.namespaces.iter().map(|name| name.trim());
        let mut names: Vec<String> =
            trimmed.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The name of this installation, where `own_namespace` is the one that the client found.
    pub fn installation(&self, own_namespace: &str) -> String {
        self.installation.clone().unwrap_or_else(|| {
            format!("{}/{}", self.lease_namespace(own_namespace), self.lease_name)
        })
    }

    /// The namespace of the lease, where `own_namespace` is the one that the client found.
    pub fn lease_namespace<'a>(&'a self, own_namespace: &'a str) -> &'a str {
        self.lease_namespace.as_deref().unwrap_or(own_namespace)
    }

    /// The name of this process, which no other running process has.
    ///
    /// A pod's name is as good: its containers never run at the same time, and a restarted one may
    /// go on under the lease of the one before. A number of a process is not, as each container
    /// counts from 1.
    ///
    /// # Errors
    /// When no name was given and the kernel's source of random names cannot be read.
    pub fn process_name(&self) -> io::Result<String> {
        match &self.identity {
            Some(name) => Ok(name.clone()),
            None => Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned()),
        }
    }

    /// How long a node at rest is left alone between two questions.
    pub fn agent_poll(&self) -> Duration {
        Duration::from_secs(self.agent_poll_seconds.into())
    }
}

fn not_blank(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() { Err("must not be empty") } else { Ok(text.to_owned()) }
}

/// The name of the image of a Kafka node, open only in the release of Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaImage {
    template: String,
}

impl KafkaImage {
    /// The image for one release of Kafka, as `4.3.1`.
    pub fn for_version(&self, version: &str) -> String {
        self.template.replace(VERSION_PLACEHOLDER, version)
    }
}

impl FromStr for KafkaImage {
    type Err = KafkaImageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let template = text.trim().to_owned();
        if !template.contains(VERSION_PLACEHOLDER) {
            return Err(KafkaImageError::NoPlaceholder);
        }
        if template.replace(VERSION_PLACEHOLDER, "").contains([' ', '{', '}']) {
            return Err(KafkaImageError::NotAnImage);
        }
        Ok(Self { template })
    }
}

impl fmt::Display for KafkaImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.template)
    }
}

/// Why a text cannot name the image of a Kafka node.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KafkaImageError {
    /// One image cannot hold every release.
    #[error("must contain {{version}}, which stands for the release of Kafka")]
    NoPlaceholder,
    /// Spaces and other braces cannot stand in an image's name.
    #[error("must be an image's name in which only {{version}} is in braces")]
    NotAnImage,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Args, clap::Error> {
        let program = std::iter::once("ottla-operator");
        Args::try_parse_from(program.chain(arguments.iter().copied()))
    }

    #[test]
    fn the_defaults_watch_everything() {
        let args = parse(&[]).unwrap();
        assert!(args.namespaces().is_empty());
        assert_eq!(args.installation("kafka-system"), "kafka-system/ottla-operator");
        assert_eq!(args.lease_namespace("kafka-system"), "kafka-system");
        assert_eq!(args.listen, ([0, 0, 0, 0], 8081).into());
        assert_eq!(args.agent_poll(), Duration::from_secs(30));
        let image = args.kafka_image.for_version("4.3.1");
        assert_eq!(image, concat!("ottla.dev/kafka:", env!("CARGO_PKG_VERSION"), "-kafka-4.3.1"));
    }

    #[test]
    fn namespaces_are_trimmed_and_unique() {
        let args = parse(&["--namespace", "shop, bank,,shop", "--namespace", "care"]).unwrap();
        assert_eq!(args.namespaces(), ["bank", "care", "shop"]);
        assert!(parse(&["--namespace", ""]).unwrap().namespaces().is_empty());
    }

    #[test]
    fn an_installation_follows_its_lease_or_its_own_name() {
        let args = parse(&["--lease-name", "blue", "--lease-namespace", "ops"]).unwrap();
        assert_eq!(args.installation("elsewhere"), "ops/blue");
        let args = parse(&["--installation", "green"]).unwrap();
        assert_eq!(args.installation("elsewhere"), "green");
    }

    #[test]
    fn a_cluster_is_explained_by_its_namespace_and_its_name() {
        let args = parse(&["explain", "shop/orders"]).unwrap();
        let Some(Command::Explain { cluster }) = args.command else { panic!("no command") };
        assert_eq!((cluster.namespace.as_str(), cluster.name.as_str()), ("shop", "orders"));
        for wrong in ["orders", "/orders", "shop/"] {
            assert!(parse(&["explain", wrong]).is_err(), "{wrong}");
        }
        assert!(parse(&[]).unwrap().command.is_none());
    }

    #[test]
    fn a_process_has_a_name_of_its_own() {
        assert_eq!(parse(&["--identity", "pod-1"]).unwrap().process_name().unwrap(), "pod-1");
        let args = parse(&[]).unwrap();
        let name = args.process_name().unwrap();
        assert_eq!(name.len(), 36);
        assert_ne!(args.process_name().unwrap(), name);
    }

    #[test]
    fn mistakes_are_refused_with_a_reason() {
        for (arguments, reason) in [
            (["--kafka-image", "kafka:4.3.1"], "must contain {version}"),
            (["--kafka-image", "kafka:{version}-{arch}"], "only {version} is in braces"),
            (["--installation", "  "], "must not be empty"),
            (["--agent-poll-seconds", "0"], "1..=600"),
            (["--listen", "8081"], "invalid socket address"),
        ] {
            let refusal = parse(&arguments).unwrap_err().to_string();
            assert!(refusal.contains(reason), "{arguments:?}: {refusal}");
        }
    }
}
