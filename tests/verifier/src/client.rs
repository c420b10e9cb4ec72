//! The client, set to notice quickly what does not answer, and how long to pause before asking
//! again.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use ottla_kafka::{Cluster, Options, Security, TlsOptions};

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

/// A client for the cluster under test. Nothing is sent yet.
pub(crate) fn connect(arguments: &RunArgs) -> anyhow::Result<Cluster> {
    let security = match &arguments.ca {
        None => Security::Plaintext,
        Some(path) => {
            let ca_pem = fs::read(path)
                .with_context(|| format!("cannot read the CA from {}", path.display()))?;
            Security::Tls(TlsOptions { ca_pem, identity: None })
        }
    };
    Ok(Cluster::new(arguments.bootstrap.clone(), &security, options())?)
}
