//! The programs of the control plane; they run in this machine's own network.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use crate::cluster::program::Program;
use crate::cluster::state::{API_PORT, HOST_ADDRESS, POD_NETWORK, SERVICE_NETWORK, State, text};

/// Beside etcd's usual port, which an etcd of the machine's owner may use. Should another one
/// be found here all the same, the certificates keep our API server from writing to it.
const ETCD_PORT: u16 = 12379;

/// The programs of this file.
pub(crate) const NAMES: [&str; 5] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "provisioner"];

/// The store and the API server, which everything else waits for.
pub(crate) fn first(state: &State, kubernetes: &Path) -> anyhow::Result<Vec<Program>> {
    Ok(vec![etcd(state, kubernetes), api_server(state, kubernetes)?])
}

/// What acts through the API server.
pub(crate) fn second(state: &State, kubernetes: &Path) -> anyhow::Result<Vec<Program>> {
    Ok(vec![
        controllers(state, kubernetes),
        program(
            "kube-scheduler",
            kubernetes,
            vec![
                format!("--kubeconfig={}", text(&state.kubeconfig("kube-scheduler"))),
                // Nobody asks it anything, and its usual port may be taken.
                "--secure-port=0".to_owned(),
                "--leader-elect=false".to_owned(),
            ],
        ),
        provisioner()?,
    ])
}

fn etcd(state: &State, kubernetes: &Path) -> Program {
    let pki = |file: &str| text(&state.path(&format!("pki/{file}")));
    let client = format!("https://127.0.0.1:{ETCD_PORT}");
    let peer = format!("https://127.0.0.1:{}", ETCD_PORT + 1);
    program(
        "etcd",
        kubernetes,
        vec![
            "--name=ottla-dev".to_owned(),
            format!("--data-dir={}", text(&state.path("etcd"))),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=ottla-dev={peer}"),
            format!("--trusted-ca-file={}", pki("ca.pem")),
            format!("--cert-file={}", pki("etcd.pem")),
            format!("--key-file={}", pki("etcd.key")),
            "--client-cert-auth".to_owned(),
            format!("--peer-trusted-ca-file={}", pki("ca.pem")),
            format!("--peer-cert-file={}", pki("etcd.pem")),
            format!("--peer-key-file={}", pki("etcd.key")),
            "--peer-client-cert-auth".to_owned(),
            // A cluster for tests: what a power cut would lose may be lost.
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ],
    )
}

fn api_server(state: &State, kubernetes: &Path) -> anyhow::Result<Program> {
    let pki = |file: &str| text(&state.path(&format!("pki/{file}")));
    let audit = write_audit_policy(state)?;
    let mut program = program(
        "kube-apiserver",
        kubernetes,
        vec![
            format!("--etcd-servers=https://127.0.0.1:{ETCD_PORT}"),
            format!("--etcd-cafile={}", pki("ca.pem")),
            format!("--etcd-certfile={}", pki("etcd-client.pem")),
            format!("--etcd-keyfile={}", pki("etcd-client.key")),
            format!("--bind-address={HOST_ADDRESS}"),
            format!("--advertise-address={HOST_ADDRESS}"),
            format!("--secure-port={API_PORT}"),
            format!("--service-cluster-ip-range={SERVICE_NETWORK}"),
            format!("--tls-cert-file={}", pki("kube-apiserver.pem")),
            format!("--tls-private-key-file={}", pki("kube-apiserver.key")),
            format!("--client-ca-file={}", pki("ca.pem")),
            format!("--kubelet-certificate-authority={}", pki("ca.pem")),
            format!("--kubelet-client-certificate={}", pki("kubelet-client.pem")),
            format!("--kubelet-client-key={}", pki("kubelet-client.key")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            format!("--service-account-key-file={}", pki("service-account.pem")),
            format!("--service-account-signing-key-file={}", pki("service-account.key")),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--allow-privileged=true".to_owned(),
            format!("--audit-policy-file={}", text(&state.path("audit-policy.json"))),
            format!("--audit-log-path={}", text(&state.log("audit"))),
            // Tests read the log of a whole run out of one file.
            "--audit-log-maxsize=4000".to_owned(),
            "--audit-log-maxbackup=2".to_owned(),
            "--profiling=false".to_owned(),
        ],
    );
    program.settings = audit;
    Ok(program)
}

/// Who did what to which object, of every request: tests count writes with it.
fn write_audit_policy(state: &State) -> anyhow::Result<String> {
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{ "level": "Metadata" }],
    })
    .to_string();
    fs::write(state.path("audit-policy.json"), &policy)
        .context("could not write the audit policy")?;
    Ok(policy)
}

fn controllers(state: &State, kubernetes: &Path) -> Program {
    let pki = |file: &str| text(&state.path(&format!("pki/{file}")));
    program(
        "kube-controller-manager",
        kubernetes,
        vec![
            format!("--kubeconfig={}", text(&state.kubeconfig("kube-controller-manager"))),
            // Nobody asks it anything, and its usual port may be taken.
            "--secure-port=0".to_owned(),
            "--leader-elect=false".to_owned(),
            "--use-service-account-credentials=true".to_owned(),
            // The usual 20 a second make it spend five seconds on its own accounts at the start.
            "--kube-api-qps=100".to_owned(),
            "--kube-api-burst=200".to_owned(),
            format!("--service-account-private-key-file={}", pki("service-account.key")),
            format!("--root-ca-file={}", pki("ca.pem")),
            format!("--cluster-signing-cert-file={}", pki("ca.pem")),
            format!("--cluster-signing-key-file={}", pki("ca.key")),
            format!("--cluster-cidr={POD_NETWORK}"),
            // Tests of lost nodes wait for this.
            "--node-monitor-grace-period=20s".to_owned(),
        ],
    )
}

/// This program itself, under another name.
fn provisioner() -> anyhow::Result<Program> {
    let binary = std::env::current_exe().context("could not find this program's own file")?;
    let built = fs::metadata(&binary)
        .and_then(|metadata| metadata.modified())
        .with_context(|| format!("could not read {}", binary.display()))?;
    Ok(Program {
        name: "provisioner".to_owned(),
        node: None,
        binary,
        arguments: vec!["provisioner".to_owned()],
        keeps_children: false,
        settings: format!("{built:?}"),
    })
}

fn program(name: &str, kubernetes: &Path, flags: Vec<String>) -> Program {
    let mut arguments = vec![name.to_owned()];
    arguments.extend(flags);
    Program {
        name: name.to_owned(),
        node: None,
        binary: kubernetes.to_owned(),
        arguments,
        keeps_children: false,
        settings: String::new(),
    }
}
