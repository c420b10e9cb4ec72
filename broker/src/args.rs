//! The command line: where the node's files lie and which ports to use. The defaults are those of
//! the image, so a pod passes nothing.

use std::path::PathBuf;

use clap::Parser;
use ottla_crds::agent::{
    AGENT_PORT, CONFIG_FOLDER, CONTROLLER_PORT, METRICS_PORT, PROBE_PORT, REPLICATION_PORT,
    TLS_FOLDER, VOLUMES_FOLDER,
};

/// Runs one Kafka node in a pod: looks at its disks, formats them when told to, starts and stops
/// the JVM, and says how the node is.
#[derive(Clone, Debug, Parser)]
#[command(name = "ottla-broker", version)]
pub(crate) struct Args {
    /// Folder with `node.json` and `server.properties`.
    #[arg(long, env = "OTTLA_CONFIG_FOLDER", default_value = CONFIG_FOLDER)]
    pub(crate) config_folder: PathBuf,

    /// Folder with `tls.crt`, `tls.key` and `ca.crt`.
    #[arg(long, env = "OTTLA_TLS_FOLDER", default_value = TLS_FOLDER)]
    pub(crate) tls_folder: PathBuf,

    /// Folder under which the volumes are mounted, each by its name.
    #[arg(long, env = "OTTLA_VOLUMES_FOLDER", default_value = VOLUMES_FOLDER)]
    pub(crate) volumes_folder: PathBuf,

    /// The Java launcher.
    #[arg(long, env = "OTTLA_JAVA", default_value = "/opt/java/bin/java")]
    pub(crate) java: PathBuf,

    /// Folder of Kafka: `libs`, `config` and, if there is one, the archive `kafka.jsa`.
    #[arg(long, env = "OTTLA_KAFKA_HOME", default_value = "/opt/kafka")]
    pub(crate) kafka_home: PathBuf,

    /// Folder of the JMX agent that serves Kafka's metrics, with its rules; may be absent.
    #[arg(long, env = "OTTLA_JMX_FOLDER", default_value = "/opt/ottla/jmx")]
    pub(crate) jmx_folder: PathBuf,

    /// The mount table of this container.
    #[arg(long, env = "OTTLA_MOUNT_TABLE", default_value = "/proc/self/mountinfo")]
    pub(crate) mount_table: PathBuf,

    /// Port of `/livez` and `/readyz`.
    #[arg(long, env = "OTTLA_PROBE_PORT", default_value_t = PROBE_PORT)]
    pub(crate) probe_port: u16,

    /// Port of `/status` and `/format`.
    #[arg(long, env = "OTTLA_AGENT_PORT", default_value_t = AGENT_PORT)]
    pub(crate) agent_port: u16,

    /// Port on which the JMX agent serves metrics.
    #[arg(long, env = "OTTLA_METRICS_PORT", default_value_t = METRICS_PORT)]
    pub(crate) metrics_port: u16,

    /// Port of Kafka's controller listener.
    #[arg(long, env = "OTTLA_CONTROLLER_PORT", default_value_t = CONTROLLER_PORT)]
    pub(crate) controller_port: u16,

    /// Port of Kafka's replication listener.
    #[arg(long, env = "OTTLA_REPLICATION_PORT", default_value_t = REPLICATION_PORT)]
    pub(crate) replication_port: u16,
}
