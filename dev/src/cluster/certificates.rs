//! The cluster's certificate authority, what it signs, and the kubeconfig files.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::json;

use crate::cluster::state::{
    API_PORT, API_SERVICE_ADDRESS, HOST_ADDRESS, KUBERNETES_NODES, State, text,
};

/// Makes all certificates, unless they are there.
///
/// They are made in a folder beside and renamed, so that they are there all or not at all.
pub(crate) fn create(state: &State) -> anyhow::Result<()> {
    let folder = state.path("pki");
    if !folder.join("ca.pem").exists() {
        let unfinished = state.path("pki.unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        fs::create_dir_all(&unfinished)?;
        write_all(&unfinished).context("could not make the certificates")?;
        let _ = fs::remove_dir(&folder);
        fs::rename(&unfinished, &folder)?;
    }
    write_kubeconfigs(state)
}

/// The names of those who call the API server, with the group that gives them their rights.
fn clients() -> Vec<(&'static str, String, &'static str)> {
    let mut clients = vec![
        ("admin", "ottla-dev-admin".to_owned(), "system:masters"),
        ("kube-controller-manager", "system:kube-controller-manager".to_owned(), "ottla-dev"),
        ("kube-scheduler", "system:kube-scheduler".to_owned(), "ottla-dev"),
        ("kube-proxy", "system:kube-proxy".to_owned(), "ottla-dev"),
    ];
    let nodes = KUBERNETES_NODES.iter();
    clients.extend(
        nodes.map(|node| (node.name, format!("system:node:{}", node.name), "system:nodes")),
    );
    clients
}

fn write_all(folder: &Path) -> anyhow::Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca = parameters("ottla-dev", "ottla-dev", &[])?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.extended_key_usages = Vec::new();
    write_pair(folder, "ca", &ca.self_signed(&ca_key)?.pem(), &ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let api_names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
        HOST_ADDRESS,
        API_SERVICE_ADDRESS,
    ];
    write_leaf(
        folder,
        "kube-apiserver",
        parameters("kube-apiserver", "ottla-dev", &api_names)?,
        &issuer,
    )?;
    for (name, common_name, group) in [
        ("kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        ("etcd-client", "kube-apiserver-etcd-client", "ottla-dev"),
    ] {
        write_leaf(folder, name, parameters(common_name, group, &[])?, &issuer)?;
    }
    write_leaf(folder, "etcd", parameters("etcd", "ottla-dev", &["127.0.0.1"])?, &issuer)?;
    for (name, common_name, group) in clients() {
        let address = KUBERNETES_NODES.iter().find(|node| node.name == name);
        let names: Vec<String> =
            address.map_or_else(Vec::new, |node| vec![node.name.to_owned(), node.address()]);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        write_leaf(folder, name, parameters(&common_name, group, &names)?, &issuer)?;
    }
    let account_key = KeyPair::generate()?;
    write_pair(folder, "service-account", &account_key.public_key_pem(), &account_key)
}

/// For a server and a client at once: the kubelets are both.
fn parameters(name: &str, group: &str, alternatives: &[&str]) -> anyhow::Result<CertificateParams> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::OrganizationName, group);
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    for alternative in alternatives {
        parameters.subject_alt_names.push(match alternative.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*alternative).try_into()?),
        });
    }
    Ok(parameters)
}

fn write_leaf(
    folder: &Path,
    name: &str,
    parameters: CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, issuer)?;
    write_pair(folder, name, &certificate.pem(), &key)
}

fn write_pair(folder: &Path, name: &str, pem: &str, key: &KeyPair) -> anyhow::Result<()> {
    write_private(&folder.join(format!("{name}.key")), &key.serialize_pem())?;
    fs::write(folder.join(format!("{name}.pem")), pem)?;
    Ok(())
}

fn write_kubeconfigs(state: &State) -> anyhow::Result<()> {
    for (name, _, _) in clients() {
        let host = if name == "admin" { "127.0.0.1" } else { HOST_ADDRESS };
        let content = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "ottla-dev", "cluster": {
                "server": format!("https://{host}:{API_PORT}"),
                "certificate-authority": text(&state.path("pki/ca.pem")),
            }}],
            "users": [{ "name": name, "user": {
                "client-certificate": text(&state.path(&format!("pki/{name}.pem"))),
                "client-key": text(&state.path(&format!("pki/{name}.key"))),
            }}],
            "contexts": [{ "name": "ottla-dev", "context": { "cluster": "ottla-dev", "user": name }}],
            "current-context": "ottla-dev",
        });
        write_private(&state.kubeconfig(name), &format!("{content:#}\n"))?;
    }
    Ok(())
}

fn write_private(path: &Path, content: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("could not write {}", path.display()))
}
