//! Real Kafka nodes on loopback, each a broker and a controller, started from a folder of jars.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use ottla_kafka::{Cluster, Endpoint, Options, Security, Uuid};
use tokio::process::{Child, Command};

use crate::certificates::Certificates;

/// The variable that names the folder with Kafka's jars.
const LIBS: &str = "OTTLA_KAFKA_LIBS";
pub(crate) const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// A cluster of nodes with the ids from 1 on. Dropping it kills them.
pub(crate) struct Kafka {
    folder: PathBuf,
    nodes: Vec<Node>,
    pub(crate) certificates: Certificates,
}

/// One node and its listeners.
struct Node {
    id: i32,
    plain_port: u16,
    tls_port: u16,
    controller_port: u16,
    /// The port that clients of the plain listener are told to use.
    advertised_port: u16,
    process: Option<Child>,
}

impl Kafka {
    /// Formats and starts so many nodes. `advertised_port` replaces the port that clients of the
    /// plain listener of a single node are told to use.
    pub(crate) async fn start(count: i32, advertised_port: Option<u16>) -> Self {
        let folder = std::env::temp_dir().join(format!("ottla-kafka-{}", std::process::id()));
        let mut ports = free_ports(3 * count).into_iter();
        let mut port = || ports.next().unwrap();
        let nodes = (1..=count).map(|id| {
            let plain_port = port();
            Node {
                id,
                plain_port,
                tls_port: port(),
                controller_port: port(),
                advertised_port: advertised_port.unwrap_or(plain_port),
                process: None,
            }
        });
        let mut kafka = Self { folder, nodes: nodes.collect(), certificates: Certificates::new() };
        for id in 1..=count {
            kafka.prepare(id).await;
        }
        for id in 1..=count {
            kafka.run(id);
        }
        kafka
    }

    fn node(&self, id: i32) -> &Node {
        &self.nodes[id as usize - 1]
    }

    /// The folder of a node.
    pub(crate) fn place(&self, id: i32) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// Writes a node's files and formats its disk.
    async fn prepare(&self, id: i32) {
        let place = self.place(id);
        std::fs::create_dir_all(&place).unwrap();
        let Certificates { ca_pem, chain_pem, key_pem } = &self.certificates;
        std::fs::write(place.join("keystore.pem"), format!("{key_pem}{chain_pem}")).unwrap();
        std::fs::write(place.join("ca.pem"), ca_pem).unwrap();
        std::fs::write(place.join("server.properties"), self.properties(id)).unwrap();
        let voters = self.nodes.iter().map(|node| {
            format!("{}@localhost:{}:{}", node.id, node.controller_port, directory_id(node.id))
        });
        let voters = voters.collect::<Vec<_>>().join(",");
        let formatted = java(&place)
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID])
            .args(["-c", "server.properties", "--initial-controllers", &voters])
            .output()
            .await
            .unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
    }

    fn properties(&self, id: i32) -> String {
        let Node { plain_port, tls_port, controller_port, advertised_port, .. } = self.node(id);
        let controllers =
            self.nodes.iter().map(|node| format!("localhost:{}", node.controller_port));
        let controllers = controllers.collect::<Vec<_>>().join(",");
        let place = self.place(id).display().to_string();
        format!(
            "process.roles=broker,controller
node.id={id}
controller.quorum.bootstrap.servers={controllers}
listeners=PLAIN://127.0.0.1:{plain_port},TLS://localhost:{tls_port},CONTROLLER://localhost:{controller_port}
advertised.listeners=PLAIN://127.0.0.1:{advertised_port},TLS://localhost:{tls_port},CONTROLLER://localhost:{controller_port}
listener.security.protocol.map=PLAIN:PLAINTEXT,TLS:SSL,CONTROLLER:SSL
inter.broker.listener.name=TLS
controller.listener.names=CONTROLLER
ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={place}/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location={place}/ca.pem
log.dirs={place}/log
broker.rack=zone-{id}
auto.create.topics.enable=false
auto.leader.rebalance.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
offsets.topic.replication.factor=1
log.cleaner.dedupe.buffer.size=2097152
num.network.threads=2
num.io.threads=2
"
        )
    }

    /// Starts a node that does not run.
    pub(crate) fn run(&mut self, id: i32) {
        let place = self.place(id);
        let output = std::fs::File::create(place.join("output.txt")).unwrap();
        let process = java(&place)
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["kafka.Kafka", "server.properties"])
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.nodes[id as usize - 1].process = Some(process);
    }

    /// Kills a node as a power cut would.
    pub(crate) async fn kill(&mut self, id: i32) {
        if let Some(mut process) = self.nodes[id as usize - 1].process.take() {
            process.kill().await.unwrap();
        }
    }

    /// The plain listeners.
    pub(crate) fn plain(&self) -> Vec<Endpoint> {
        self.nodes.iter().map(|node| Endpoint::new("127.0.0.1", node.plain_port)).collect()
    }

    /// The TLS listeners of the brokers.
    pub(crate) fn tls(&self) -> Vec<Endpoint> {
        self.nodes.iter().map(|node| Endpoint::new("localhost", node.tls_port)).collect()
    }

    /// The controllers' listeners.
    pub(crate) fn controllers(&self) -> Vec<Endpoint> {
        self.nodes.iter().map(|node| Endpoint::new("localhost", node.controller_port)).collect()
    }

    /// Asks the brokers over mutual TLS.
    pub(crate) fn client(&self) -> Cluster {
        Cluster::new(self.tls(), &self.certificates.mutual(), Options::default()).unwrap()
    }

    /// Asks the brokers without TLS.
    pub(crate) fn plain_client(&self) -> Cluster {
        Cluster::new(self.plain(), &Security::Plaintext, Options::default()).unwrap()
    }

    /// Asks the controllers over mutual TLS.
    pub(crate) fn controller_client(&self) -> Cluster {
        let security = self.certificates.mutual();
        Cluster::via_controllers(self.controllers(), &security, Options::default()).unwrap()
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(process) = &mut node.process {
                let _ = process.start_kill();
            }
        }
        if std::thread::panicking() {
            eprintln!("the nodes' files are left in {}", self.folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// The id that a node's disk is formatted with.
pub(crate) fn directory_id(id: i32) -> Uuid {
    Uuid::from_bytes([b'a' + id as u8; 16])
}

fn java(place: &Path) -> Command {
    let libs =
        std::env::var(LIBS).unwrap_or_else(|_| panic!("set {LIBS} to a folder with Kafka's jars"));
    let mut command = Command::new("java");
    command.current_dir(place).arg("-cp").arg(format!("{libs}/*")).kill_on_drop(true);
    command
}

/// So many different ports: each is held until all are chosen.
fn free_ports(count: i32) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}
