//! The client, set to notice quickly what does not answer, and how long to pause before asking
//! again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ottla_kafka::{Cluster, Endpoint, Options, Security, TlsOptions};

use crate::args::RunArgs;

/// The pause before something that failed is tried again. The client has paused by itself before
/// it gave up.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);

/// Short, because the time that the client needs to notice a dead node counts as time without
/// acknowledgements. A request that took longer is sent again and does no harm.
fn options() -> Options {
    Options {
        client_id: "ottla-verifier".to_owned(),
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(10),
    }
}

/// How often the CA is read again: brokers may show certificates of another one by now.
const CA_READ_EACH: Duration = Duration::from_secs(1);

/// The way to the cluster under test. A clone is the same.
#[derive(Clone)]
pub(crate) struct Client {
    bootstrap: Vec<Endpoint>,
    ca: Option<PathBuf>,
    latest: Arc<Mutex<Latest>>,
}

/// What the CA was at the last look, and the client that trusts it.
struct Latest {
    cluster: Cluster,
    ca_pem: Vec<u8>,
    looked: Instant,
}

impl Client {
    /// Reads the CA. Nothing is sent yet.
    pub(crate) fn new(arguments: &RunArgs) -> anyhow::Result<Self> {
        let (bootstrap, ca) = (arguments.bootstrap.clone(), arguments.ca.clone());
        let ca_pem = ca.as_deref().map(read).transpose()?.unwrap_or_default();
        let cluster = connect(&bootstrap, ca.is_some(), &ca_pem)?;
        let latest = Latest { cluster, ca_pem, looked: Instant::now() };
        Ok(Self { bootstrap, ca, latest: Arc::new(Mutex::new(latest)) })
    }

    /// A client that trusts the CA as it is now. One that cannot be read changes nothing.
    pub(crate) fn cluster(&self) -> Cluster {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = self.ca.as_deref().filter(|_| latest.looked.elapsed() > CA_READ_EACH)
        else {
            return latest.cluster.clone();
        };
        latest.looked = Instant::now();
        if let Ok(ca_pem) = read(path)
            && ca_pem != latest.ca_pem
            && let Ok(cluster) = connect(&self.bootstrap, true, &ca_pem)
        {
            tracing::info!("the CA is another one");
            (latest.cluster, latest.ca_pem) = (cluster, ca_pem);
        }
        latest.cluster.clone()
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read the CA from {}", path.display()))
}

fn connect(bootstrap: &[Endpoint], tls: bool, ca_pem: &[u8]) -> anyhow::Result<Cluster> {
    let security = match tls {
        false => Security::Plaintext,
        true => Security::Tls(TlsOptions { ca_pem: ca_pem.to_vec(), identity: None }),
    };
    Ok(Cluster::new(bootstrap.to_vec(), &security, options())?)
}
