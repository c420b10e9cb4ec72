//! One short mutual TLS connection to an agent for each question.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use ottla_crds::agent::{AGENT_PORT, AgentStatus, FormatRequest};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{AgentAddress, Credentials, ReachError};

/// An agent answers from memory, so silence for this long means that something is wrong.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A status of a node with the most volumes is a tenth of this.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Asks an agent for its status.
///
/// # Errors
/// See [`ReachError`].
pub async fn status(
    credentials: &Credentials,
    agent: &AgentAddress,
) -> Result<AgentStatus, ReachError> {
    let body = ask(credentials, agent, Method::GET, "/status", Bytes::new()).await?;
    serde_json::from_slice(&body).map_err(ReachError::Answer)
}

/// Permits an agent to format.
///
/// # Errors
/// See [`ReachError`].
pub async fn format(
    credentials: &Credentials,
    agent: &AgentAddress,
    request: &FormatRequest,
) -> Result<(), ReachError> {
    let body = serde_json::to_vec(request).map_err(ReachError::Answer)?;
    ask(credentials, agent, Method::POST, "/format", body.into()).await?;
    Ok(())
}

async fn ask(
    credentials: &Credentials,
    agent: &AgentAddress,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Bytes, ReachError> {
    let configuration = tls(credentials).map_err(ReachError::Credentials)?;
    let exchange = exchange(configuration, agent, method, path, body);
    let (status, answer) = tokio::time::timeout(TIMEOUT, exchange)
        .await
        .map_err(|_| ReachError::Timeout { address: agent.ip.clone(), seconds: TIMEOUT.as_secs() })?
        .map_err(|source| ReachError::Connection { address: agent.ip.clone(), source })?;
    if status.is_success() {
        return Ok(answer);
    }
    let text = String::from_utf8_lossy(&answer).trim().to_owned();
    Err(ReachError::Refused { text: format!("{status}: {text}") })
}

fn tls(credentials: &Credentials) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(&credentials.ca_pem) {
        roots.add(authority?)?;
    }
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&credentials.certificate_pem).collect();
    let key = PrivateKeyDer::from_pem_slice(&credentials.key_pem)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let configuration = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain?, key)?;
    Ok(Arc::new(configuration))
}

async fn exchange(
    configuration: Arc<ClientConfig>,
    agent: &AgentAddress,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), Failure> {
    let address: std::net::IpAddr = agent.ip.parse()?;
    let socket = TcpStream::connect((address, AGENT_PORT)).await?;
    let name = ServerName::try_from(agent.host.clone())?;
    let stream = TlsConnector::from(configuration).connect(name, socket).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", &agent.host)
        .header("content-type", "application/json")
        .body(Full::new(body))?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok::<_, Failure>((status, body))
    };
    tokio::pin!(exchange);
    tokio::select! {
        result = &mut exchange => result,
        ended = connection => {
            ended?;
            exchange.await
        }
    }
}
