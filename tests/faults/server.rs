//! A real etcd, kube-apiserver and kube-controller-manager on loopback, without any kubelet. They
//! end with this process, however it ends.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use kube::{Client, Config};
use serde_json::json;

/// Who calls the API server. All may do everything: rights are the concern of other tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// The person who applies manifests, and what stands in for kubelets.
    Person,
    /// The operator.
    Operator,
    /// The operator of another installation.
    OtherOperator,
}

impl User {
    /// The name in the audit log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            User::Person => "person",
            User::Operator => "operator",
            User::OtherOperator => "other-operator",
        }
    }
}

const USERS: [User; 3] = [User::Person, User::Operator, User::OtherOperator];

/// What runs; all of it is killed when this is dropped.
pub(crate) struct Server {
    folder: PathBuf,
    access: Access,
    programs: Vec<Child>,
}

/// The way to the API server.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    address: String,
}

impl Access {
    /// How a user reaches the API server.
    pub(crate) fn config(&self, user: User) -> anyhow::Result<Config> {
        let mut config = Config::new(self.address.parse()?);
        // The server has made its certificate itself, a moment ago on this machine.
        config.accept_invalid_certs = true;
        config.auth_info = serde_json::from_value(json!({ "token": token(user) }))?;
        Ok(config)
    }

    /// A plain client of a user.
    pub(crate) fn client(&self, user: User) -> anyhow::Result<Client> {
        Ok(Client::try_from(self.config(user)?)?)
    }
}

impl Server {
    /// Starts the programs. They are killed with the calling thread too, so this belongs on the
    /// main one.
    pub(crate) fn start() -> anyhow::Result<Server> {
        let binary = binary()?;
        let folder = std::env::temp_dir().join(format!("ottla-faults-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let [client, peer, secure] = free_ports()?;
        let access = Access { address: format!("https://127.0.0.1:{secure}") };
        let mut server = Server { folder, access, programs: Vec::new() };
        server.write_files()?;
        server.spawn(&binary, "etcd", &etcd(&server.folder, client, peer))?;
        server.spawn(&binary, "kube-apiserver", &api_server(&server.folder, client, secure))?;
        Ok(server)
    }

    /// Starts what acts through the API server, once that answers.
    pub(crate) fn start_controllers(&mut self) -> anyhow::Result<()> {
        let flags = controllers(&self.folder);
        self.spawn(&binary()?, "kube-controller-manager", &flags)
    }

    /// The way to the API server.
    pub(crate) fn access(&self) -> Access {
        self.access.clone()
    }

    /// Waits until the API server answers that it is ready.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        let client = self.access.client(User::Person)?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            match client.request_text(request).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| self.complaint("kube-apiserver"));
                }
                Err(_) => self.check_alive()?,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The file to which the API server writes who wrote what.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    fn check_alive(&mut self) -> anyhow::Result<()> {
        let ended = self.programs.iter_mut().any(|child| !matches!(child.try_wait(), Ok(None)));
        if ended {
            bail!("{} {}", self.complaint("etcd"), self.complaint("kube-apiserver"));
        }
        Ok(())
    }

    /// The last lines that a program has written.
    fn complaint(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n");
        format!("{name} did not become ready; its last words:\n{last}")
    }

    fn spawn(&mut self, binary: &Path, name: &str, flags: &[String]) -> anyhow::Result<()> {
        let log = fs::File::create(self.folder.join(format!("{name}.log")))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(binary)
            .arg(name)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not run {name} by setpriv, of util-linux"))?;
        self.programs.push(child);
        Ok(())
    }

    fn write_files(&self) -> anyhow::Result<()> {
        let write = |name: &str, text: String| fs::write(self.folder.join(name), text);
        let lines = USERS.map(|user| {
            format!("{},{},{},\"system:masters\"\n", token(user), user.name(), user.name())
        });
        write("tokens.csv", lines.concat())?;
        let key = rcgen::KeyPair::generate()?;
        write("accounts.key", key.serialize_pem())?;
        write("accounts.pem", key.public_key_pem())?;
        write("audit-policy.json", audit_policy())?;
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "faults", "cluster": {
                "server": self.access.address,
                "insecure-skip-tls-verify": true,
            }}],
            "users": [{ "name": "controllers", "user": { "token": token(User::Person) }}],
            "contexts": [{ "name": "faults", "context": {
                "cluster": "faults", "user": "controllers",
            }}],
            "current-context": "faults",
        });
        write("kubeconfig", kubeconfig.to_string())?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.programs {
            // One that has ended already needs no killing.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// On a machine whose two processors compile something else, a start has taken half of this.
const START_TIMEOUT: Duration = Duration::from_secs(90);

fn token(user: User) -> String {
    format!("token-of-{}", user.name())
}

/// What operators write, and nothing else.
fn audit_policy() -> String {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": true,
        "rules": [
            {
                "level": "Metadata",
                "users": [User::Operator.name(), User::OtherOperator.name()],
                "verbs": ["create", "update", "patch", "delete", "deletecollection"],
            },
            { "level": "None" },
        ],
    })
    .to_string()
}

/// The binary that holds Kubernetes' programs: the one that is named, or the newest that
/// `cargo dev` has built.
fn binary() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("OTTLA_KUBERNETES") {
        return Ok(named.into());
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cache = std::env::var_os("OTTLA_CACHE")
        .map_or_else(|| home.join(".cache/ottla"), PathBuf::from)
        .join("kubernetes");
    let built = fs::read_dir(&cache).into_iter().flatten().flatten();
    let built = built.map(|entry| entry.path().join("kubernetes"));
    let age = |path: &PathBuf| fs::metadata(path).and_then(|found| found.modified()).ok();
    built.filter(|path| path.is_file()).max_by_key(age).with_context(|| {
        format!(
            "there is no Kubernetes in {}: run `cargo dev up` once, or name its binary in OTTLA_KUBERNETES",
            cache.display()
        )
    })
}

/// Ports that nobody listens on at this moment; they are held together, so that they differ.
fn free_ports() -> anyhow::Result<[u16; 3]> {
    let listen = || TcpListener::bind("127.0.0.1:0");
    let held = [listen()?, listen()?, listen()?];
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    Ok([port(&held[0])?, port(&held[1])?, port(&held[2])?])
}

fn etcd(folder: &Path, client: u16, peer: u16) -> Vec<String> {
    let client = format!("http://127.0.0.1:{client}");
    let peer = format!("http://127.0.0.1:{peer}");
    vec![
        "--name=faults".to_owned(),
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=faults={peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server(folder: &Path, etcd: u16, secure: u16) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={secure}"),
        format!("--cert-dir={}", file("certificates")),
        // Addresses of Services lead nowhere here.
        "--service-cluster-ip-range=10.123.0.0/16".to_owned(),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://faults.invalid".to_owned(),
        format!("--service-account-key-file={}", file("accounts.pem")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        format!("--audit-policy-file={}", file("audit-policy.json")),
        format!("--audit-log-path={}", file("audit.log")),
        // Refusals come from the fault layer alone.
        "--enable-priority-and-fairness=false".to_owned(),
        "--max-requests-inflight=0".to_owned(),
        "--max-mutating-requests-inflight=0".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

/// Those without which our objects do not live as they would: pods, owners, budgets, finalizers.
const CONTROLLERS: [&str; 4] = [
    "statefulset-controller",
    "garbage-collector-controller",
    "disruption-controller",
    "persistentvolumeclaim-protection-controller",
];

fn controllers(folder: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", folder.join("kubeconfig").display()),
        "--secure-port=0".to_owned(),
        "--leader-elect=false".to_owned(),
        format!("--controllers={}", CONTROLLERS.join(",")),
        "--concurrent-statefulset-syncs=10".to_owned(),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
    ]
}
