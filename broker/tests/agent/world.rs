//! A pod on the file system: configuration, certificates, a volume, a mount table, and a stand-in
//! for Java.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

/// Plays `StorageTool` and Kafka. `mode` and `format-mode` hold a line of shell that comes at the
/// moment of interest.
const JAVA: &str = r#"#!/bin/sh
HOME=$(dirname "$0")
case "$*" in
*kafka.tools.StorageTool*)
    echo format >> "$HOME/formats"
    mkdir -p "$HOME/v/d0/log"
    touch "$HOME/v/d0/log/bootstrap.checkpoint"
    eval "$(cat "$HOME/format-mode")"
    printf 'version=1\ncluster.id=clusterA\nnode.id=3\ndirectory.id=dirA\n' > "$HOME/v/d0/log/meta.properties" ;;
*kafka.Kafka*)
    trap 'echo term >> "$HOME/terms"; printf "last words of the stand-in"; exit 143' TERM
    eval "$(cat "$HOME/mode")"
    touch "$HOME/started"
    while :; do sleep 0.05; done ;;
esac
"#;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The folder of one test.
pub(crate) struct World {
    path: PathBuf,
    client: Arc<ClientConfig>,
}

/// A running agent.
pub(crate) struct Agent {
    child: Mutex<Child>,
    probe_port: u16,
    agent_port: u16,
    client: Arc<ClientConfig>,
}

impl World {
    /// A node with an empty disk.
    pub(crate) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ottla-agent-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        for folder in ["config", "tls", "libs", "v/d0"] {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        let client = certificates(&path.join("tls"));
        let world = Self { path, client };
        world.write("java", JAVA);
        let java = world.path.join("java");
        fs::set_permissions(java, fs::Permissions::from_mode(0o755)).unwrap();
        world.write("mode", "true");
        world.write("format-mode", "true");
        let mount = world.path.join("v/d0").canonicalize().unwrap();
        let mounts = format!("9 1 7:0 / {} rw - ext4 /dev/loop0 rw\n", mount.display());
        world.write("mountinfo", &mounts);
        let log = world.path.join("v/d0/log");
        let log = log.display();
        world.write(
            "config/server.properties",
            &format!("node.id=3\nlog.dirs={log}\nmetadata.log.dir={log}\n"),
        );
        world.shutdown_seconds(30);
        world
    }

    /// A node whose disk was formatted before.
    pub(crate) fn formatted() -> Self {
        let world = Self::new();
        fs::create_dir_all(world.path.join("v/d0/log")).unwrap();
        let meta = "version=1\ncluster.id=clusterA\nnode.id=3\ndirectory.id=dirA\n";
        world.write("v/d0/log/meta.properties", meta);
        world
    }

    /// Writes `node.json`.
    pub(crate) fn shutdown_seconds(&self, seconds: u64) {
        let document = serde_json::json!({
            "cluster": "orders", "clusterId": "clusterA", "nodeId": 3,
            "roles": ["Broker", "Controller"], "kafkaVersion": "4.3.1",
            "volumes": ["d0"], "metadataVolume": "d0", "hostname": "localhost",
            "heapBytes": 1 << 20, "jvmOptions": [], "operatorName": "ottla-operator",
            "shutdownSeconds": seconds, "configHash": "abc",
        });
        self.write("config/node.json", &document.to_string());
    }

    /// Starts the agent.
    pub(crate) fn agent(&self) -> Agent {
        let _old = fs::remove_file(self.path.join("started"));
        let log = fs::File::create(self.path.join("agent.log")).unwrap();
        let [probe_port, agent_port, metrics, controller, replication] = free_ports();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottla-broker"));
        for (flag, name) in [
            ("--config-folder", "config"),
            ("--tls-folder", "tls"),
            ("--volumes-folder", "v"),
            ("--java", "java"),
            ("--kafka-home", ""),
            ("--jmx-folder", "jmx"),
            ("--mount-table", "mountinfo"),
        ] {
            command.arg(flag).arg(self.path.join(name));
        }
        for (flag, port) in [
            ("--probe-port", probe_port),
            ("--agent-port", agent_port),
            ("--metrics-port", metrics),
            ("--controller-port", controller),
            ("--replication-port", replication),
        ] {
            command.arg(flag).arg(port.to_string());
        }
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let client = Arc::clone(&self.client);
        Agent { child: Mutex::new(child), probe_port, agent_port, client }
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path.join(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(name)).unwrap()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    pub(crate) fn wait_for_file(&self, name: &str) {
        wait_until(name, || self.exists(name));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path.join("agent.log")).unwrap_or_default();
            eprintln!("the agent said:\n{log}");
        }
        let _gone = fs::remove_dir_all(&self.path);
    }
}

impl Agent {
    /// Waits until `/status` contains the text.
    pub(crate) fn wait_for(&self, text: &str) {
        let mut last = String::new();
        wait_until(text, || {
            last = self.ask("GET", "/status", "").map(|(_, body)| body).unwrap_or_default();
            last.contains(text)
        });
    }

    /// The operator's word to format.
    pub(crate) fn format(&self) -> (u16, String) {
        let body =
            r#"{"clusterId":"clusterA","nodeId":3,"volumes":["d0"],"mode":"NoInitialControllers"}"#;
        self.ask("POST", "/format", body).unwrap()
    }

    /// A question of the kubelet.
    pub(crate) fn probe(&self, path: &str) -> (u16, String) {
        let stream = TcpStream::connect(("localhost", self.probe_port)).unwrap();
        exchange(stream, "GET", path, "").unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.lock().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the agent's end.
    pub(crate) fn exit_code(&self) -> i32 {
        let mut code = None;
        wait_until("the agent ends", || {
            let status = self.child.lock().unwrap().try_wait().unwrap();
            code = status.map(|status| status.code().unwrap_or(-1));
            status.is_some()
        });
        code.unwrap()
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        let stream = TcpStream::connect(("localhost", self.agent_port))?;
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        exchange(StreamOwned::new(tls, stream), method, path, body)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ended = child.kill();
        let _reaped = child.wait();
    }
}

/// One request over a stream of its own.
fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let code = answer.get(9..12).and_then(|code| code.parse().ok()).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    Ok((code, body.unwrap_or_default()))
}

/// Polls until it is so, for a generous while.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    let (_never, pause) = std::sync::mpsc::channel::<()>();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        let _timeout = pause.recv_timeout(Duration::from_millis(20));
    }
}

/// Ports that were free a moment ago.
fn free_ports() -> [u16; 5] {
    let listeners = [(); 5].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Writes the node's certificates, and returns the operator's.
fn certificates(folder: &std::path::Path) -> Arc<ClientConfig> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let leaf = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &issuer).unwrap(), key)
    };
    let (node, node_key) = leaf("orders-broker-3");
    fs::write(folder.join("ca.crt"), ca.pem()).unwrap();
    fs::write(folder.join("tls.crt"), node.pem()).unwrap();
    fs::write(folder.join("tls.key"), node_key.serialize_pem()).unwrap();
    let (operator, key) = leaf("ottla-operator");
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![operator.der().clone()], key);
    Arc::new(config.unwrap())
}
