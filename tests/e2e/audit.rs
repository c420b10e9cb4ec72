//! The API server's audit log: who asked for what, and got it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

/// Who the operator is.
pub(crate) const OPERATOR: &str = "system:serviceaccount:ottla-system:ottla";

/// One request that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Who asked.
    pub(crate) user: String,
    /// What for: `get`, `create` and so on.
    pub(crate) verb: String,
    /// The kind of object, with its subresource: `kafkaclusters/status`.
    pub(crate) resource: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// The HTTP status.
    pub(crate) code: u64,
    /// Whether the asker had no right to it.
    pub(crate) forbidden: bool,
}

impl Request {
    /// Whether it changes anything, leases aside: those are renewed for ever.
    pub(crate) fn is_write(&self) -> bool {
        let reads = ["get", "list", "watch"];
        !reads.contains(&self.verb.as_str()) && self.resource != "leases"
    }

    /// For people.
    pub(crate) fn spell(&self) -> String {
        let Self { verb, resource, namespace, name, code, .. } = self;
        format!("{verb} {resource} {namespace}/{name} ({code})")
    }
}

/// Beside the kubeconfig of a local Kubernetes, which no other Kubernetes has.
fn path() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("OTTLA_AUDIT_LOG") {
        return Ok(path.into());
    }
    let kubeconfig: PathBuf = std::env::var_os("KUBECONFIG").context("KUBECONFIG is unset")?.into();
    let state = kubeconfig.parent().and_then(|folder| folder.parent());
    Ok(state.context("KUBECONFIG is no absolute path")?.join("logs/audit.log"))
}

/// Where the log ends now.
pub(crate) fn end() -> anyhow::Result<u64> {
    let path = path()?;
    let log = path.metadata().with_context(|| format!("no audit log at {}", path.display()))?;
    Ok(log.len())
}

/// The answered requests since a place in the log; 0 is its beginning.
pub(crate) fn since(place: u64) -> anyhow::Result<Vec<Request>> {
    let mut log = File::open(path()?).context("could not open the audit log")?;
    // A log that was begun anew in the meantime is shorter.
    let place = if log.metadata()?.len() < place { 0 } else { place };
    log.seek(SeekFrom::Start(place))?;
    let mut requests = Vec::new();
    for line in BufReader::new(log).lines() {
        // The last line may be half written.
        if let Ok(event) = serde_json::from_str(&line?) {
            requests.extend(request(&event));
        }
    }
    Ok(requests)
}

/// What the operator wrote since a place in the log.
pub(crate) fn writes_since(place: u64) -> anyhow::Result<Vec<Request>> {
    let mut requests = since(place)?;
    requests.retain(|request| request.user == OPERATOR && request.is_write());
    Ok(requests)
}

fn request(event: &Value) -> Option<Request> {
    let reference = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let subresource = text(&reference["subresource"]);
    let mut resource = text(&reference["resource"]);
    if !subresource.is_empty() {
        resource = format!("{resource}/{subresource}");
    }
    let ended = event["stage"] == "ResponseComplete" || event["stage"] == "ResponseStarted";
    ended.then(|| Request {
        user: text(&event["user"]["username"]),
        verb: text(&event["verb"]),
        resource,
        namespace: text(&reference["namespace"]),
        name: text(&reference["name"]),
        code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
        forbidden: event["annotations"]["authorization.k8s.io/decision"] == "forbid",
    })
}
