//! What this node is to be, read once at the start from the node's ConfigMap, which never changes
//! under a running pod.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use ottla_crds::agent::{LOG_FOLDER, NodeDocument};
use thiserror::Error;

use crate::properties;

/// Why the node's ConfigMap cannot be used.
#[derive(Debug, Error)]
pub(crate) enum NodeError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// `node.json` is not the document of this release.
    #[error("{} is not a node document that this agent understands", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The two files do not speak of the same node.
    #[error("server.properties says {key}={found}, but node.json asks for {wanted}")]
    Disagree {
        /// The property.
        key: &'static str,
        /// Its value in `server.properties`.
        found: String,
        /// What follows from `node.json`.
        wanted: String,
    },
}

/// One volume and its places in the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Its name in the KafkaCluster.
    pub(crate) name: String,
    /// Where it is mounted.
    pub(crate) mount: PathBuf,
    /// Kafka's folder on it.
    pub(crate) log: PathBuf,
}

/// The node's document with what follows from it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// `node.json`.
    pub(crate) document: NodeDocument,
    /// The node's volumes.
    pub(crate) volumes: Vec<Volume>,
    /// Path of `server.properties`, which is passed to Kafka as it is.
    pub(crate) server_properties: PathBuf,
}

impl Node {
    /// Reads both files and checks that they agree.
    ///
    /// `StorageTool` formats, and Kafka uses, every folder that `log.dirs` names. So a folder
    /// outside the volumes that were looked at must never get there.
    pub(crate) fn load(config_folder: &Path, volumes_folder: &Path) -> Result<Self, NodeError> {
        let path = config_folder.join("node.json");
        let document: NodeDocument = serde_json::from_str(&read(&path)?)
            .map_err(|source| NodeError::Document { path, source })?;
        let server_properties = config_folder.join("server.properties");
        let properties = properties::parse(&read(&server_properties)?);
        let volumes: Vec<Volume> =
            document.volumes.iter().map(|name| Volume::new(volumes_folder, name)).collect();
        let node = Self { document, volumes, server_properties };
        node.agrees_with(&properties, volumes_folder)?;
        Ok(node)
    }

    fn agrees_with(
        &self,
        properties: &BTreeMap<String, String>,
        volumes_folder: &Path,
    ) -> Result<(), NodeError> {
        let found = |key: &str| properties.get(key).cloned().unwrap_or_default();
        let node_id = self.document.node_id.to_string();
        if found("node.id") != node_id {
            return Err(NodeError::Disagree {
                key: "node.id",
                found: found("node.id"),
                wanted: node_id,
            });
        }
        let log_dirs = found("log.dirs");
        let named: BTreeSet<&Path> =
            properties::list(&log_dirs).into_iter().map(Path::new).collect();
        let wanted: BTreeSet<&Path> =
            self.volumes.iter().map(|volume| volume.log.as_path()).collect();
        if named != wanted {
            let wanted: Vec<String> =
                wanted.iter().map(|folder| folder.display().to_string()).collect();
            return Err(NodeError::Disagree {
                key: "log.dirs",
                found: log_dirs.clone(),
                wanted: wanted.join(","),
            });
        }
        let metadata = Volume::new(volumes_folder, &self.document.metadata_volume).log;
        let metadata_dir = found("metadata.log.dir");
        if Path::new(&metadata_dir) != metadata || !wanted.contains(metadata.as_path()) {
            return Err(NodeError::Disagree {
                key: "metadata.log.dir",
                found: metadata_dir,
                wanted: metadata.display().to_string(),
            });
        }
        Ok(())
    }
}

impl Volume {
    /// The volume of that name.
    pub(crate) fn new(volumes_folder: &Path, name: &str) -> Self {
        let mount = volumes_folder.join(name);
        let log = mount.join(LOG_FOLDER);
        Self { name: name.to_owned(), mount, log }
    }
}

/// The release of Kafka in the image, which its build notes there; an image of one's own may not.
pub(crate) fn image_release(kafka_home: &Path) -> Option<String> {
    let release = std::fs::read_to_string(kafka_home.join("VERSION")).ok()?;
    Some(release.trim().to_owned()).filter(|release| !release.is_empty())
}

fn read(path: &Path) -> Result<String, NodeError> {
    std::fs::read_to_string(path)
        .map_err(|source| NodeError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use ottla_crds::agent::{NodeDocument, Role};

    use super::Node;
    use crate::scratch::Scratch;

    /// A colocated node 3 of the cluster `clusterA` with the volumes `d0` and `d1`.
    pub(crate) fn document() -> NodeDocument {
        NodeDocument {
            cluster: "orders".to_owned(),
            cluster_id: "clusterA".to_owned(),
            node_id: 3,
            roles: vec![Role::Broker, Role::Controller],
            kafka_version: "4.3.1".to_owned(),
            volumes: vec!["d0".to_owned(), "d1".to_owned()],
            metadata_volume: "d0".to_owned(),
            hostname: "localhost".to_owned(),
            heap_bytes: 512 << 20,
            jvm_options: Vec::new(),
            operator_name: "ottla-operator".to_owned(),
            shutdown_seconds: 330,
            config_hash: "abc".to_owned(),
        }
    }

    fn load(properties: &str) -> Result<Node, String> {
        let folder = Scratch::new();
        folder.write("node.json", &serde_json::to_string(&document()).unwrap());
        folder.write("server.properties", properties);
        Node::load(folder.path(), Path::new("/v")).map_err(|error| error.to_string())
    }

    #[test]
    fn agreeing_files_are_taken() {
        let node =
            load("node.id=3\nlog.dirs=/v/d0/log,/v/d1/log\nmetadata.log.dir=/v/d0/log").unwrap();
        assert_eq!(node.volumes[1].log, Path::new("/v/d1/log"));
    }

    #[test]
    fn disagreeing_files_are_refused_with_both_values() {
        let good = "node.id=3\nlog.dirs=/v/d0/log,/v/d1/log\nmetadata.log.dir=/v/d0/log\n";
        let table = [
            ("node.id=4", "server.properties says node.id=4, but node.json asks for 3"),
            (
                "log.dirs=/v/d0/log,/etc/log",
                "server.properties says log.dirs=/v/d0/log,/etc/log, but node.json asks for /v/d0/log,/v/d1/log",
            ),
            (
                "metadata.log.dir=/v/d1/log",
                "server.properties says metadata.log.dir=/v/d1/log, but node.json asks for /v/d0/log",
            ),
        ];
        for (line, sentence) in table {
            assert_eq!(load(&format!("{good}{line}\n")).unwrap_err(), sentence);
        }
    }
}
