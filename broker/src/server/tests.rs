//! The operator port over real TLS on loopback, and the probes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use ottla_crds::agent::{AgentStatus, FormatMode, FormatRequest};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsConnector;

use super::listener::TlsListener;
use super::{Operator, Published, operator, probes};
use crate::agent::{self, Message};
use crate::node::tests::document;
use crate::scratch::Scratch;
use crate::supervisor::State;
use crate::supervisor::format::FormatAnswer;

/// A certificate authority.
struct Ca {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn leaf(&self, common_name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// An agent's operator port, without an agent behind it.
struct Port {
    ca: Ca,
    number: u16,
    inbox: mpsc::Receiver<Message>,
    _folder: Scratch,
    _published: watch::Sender<Published>,
}

async fn open_port() -> Port {
    let (ca, folder) = (Ca::new(), Scratch::new());
    let (certificate, key) = ca.leaf("orders-broker-3");
    folder.write("ca.crt", &ca.certificate.pem());
    folder.write("tls.crt", &certificate.pem());
    folder.write("tls.key", &key.serialize_pem());
    let (_published, seen) = watch::channel(published());
    let (messages, inbox) = mpsc::channel(4);
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let number = socket.local_addr().unwrap().port();
    let listener = TlsListener::new(socket, folder.path().to_owned());
    tokio::spawn(operator(listener, Operator { seen, messages, name: "ottla-operator".into() }));
    Port { ca, number, inbox, _folder: folder, _published }
}

fn published() -> Published {
    agent::publish(&State::new(Arc::new(document()), None))
}

/// Sends a request over a stream, and returns the status and body.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: Method,
    path: &str,
    body: String,
) -> Result<(u16, String), hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let response = sender.send_request(request).await?;
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok((code, String::from_utf8(bytes.to_vec()).unwrap()))
}

impl Port {
    /// A request with the certificate of this name and CA, or with none.
    async fn ask(
        &self,
        client: Option<(&Ca, &str)>,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<(u16, String), String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => config.with_no_client_auth(),
            Some((ca, name)) => {
                let (certificate, key) = ca.leaf(name);
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                config.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        let stream = TcpStream::connect(("127.0.0.1", self.number)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        exchange(stream, method, path, body).await.map_err(|error| error.to_string())
    }

    async fn get(&self, client: Option<(&Ca, &str)>) -> Result<(u16, String), String> {
        self.ask(client, Method::GET, "/status", String::new()).await
    }
}

fn request() -> FormatRequest {
    FormatRequest {
        cluster_id: "clusterA".to_owned(),
        node_id: 3,
        volumes: vec!["d0".to_owned()],
        mode: FormatMode::Plain,
        features: BTreeMap::new(),
    }
}

#[tokio::test]
async fn only_the_operators_certificate_is_answered() {
    let port = open_port().await;
    let (code, body) = port.get(Some((&port.ca, "ottla-operator"))).await.unwrap();
    assert_eq!(code, 200);
    assert_eq!(serde_json::from_str::<AgentStatus>(&body).unwrap().node_id, 3);

    let (code, body) = port.get(Some((&port.ca, "orders-broker-4"))).await.unwrap();
    assert_eq!(code, 403);
    let sentence =
        "only ottla-operator may ask this, and the certificate is that of orders-broker-4";
    assert_eq!(body, sentence);

    assert!(port.get(None).await.is_err());
    let stranger = Ca::new();
    assert!(port.get(Some((&stranger, "ottla-operator"))).await.is_err());
}

#[tokio::test]
async fn another_node_cannot_format() {
    let mut port = open_port().await;
    let body = serde_json::to_string(&request()).unwrap();
    let client = Some((&port.ca, "orders-broker-4"));
    assert_eq!(port.ask(client, Method::POST, "/format", body).await.unwrap().0, 403);
    assert!(port.inbox.try_recv().is_err());
}

#[tokio::test]
async fn answers_to_a_format_have_their_codes() {
    let mut port = open_port().await;
    let table = [
        (FormatAnswer::Accepted, 202, "the format begins"),
        (FormatAnswer::Already("the format runs".to_owned()), 200, "the format runs"),
        (FormatAnswer::Conflict("no such volume".to_owned()), 409, "no such volume"),
    ];
    for (answer, code, sentence) in table {
        let body = serde_json::to_string(&request()).unwrap();
        let mut messages = std::mem::replace(&mut port.inbox, mpsc::channel(1).1);
        let agent = tokio::spawn(async move {
            let Some(Message::Format { request: asked, reply }) = messages.recv().await else {
                panic!("no request came");
            };
            assert_eq!(asked, request());
            reply.send(answer).unwrap();
            messages
        });
        let client = Some((&port.ca, "ottla-operator"));
        let answered = port.ask(client, Method::POST, "/format", body).await.unwrap();
        assert_eq!(answered, (code, sentence.to_owned()));
        port.inbox = agent.await.unwrap();
    }
    let client = Some((&port.ca, "ottla-operator"));
    let nonsense = port.ask(client, Method::POST, "/format", "{}".to_owned()).await.unwrap();
    assert_eq!(nonsense.0, 422);
}

#[tokio::test]
async fn probes_tell_alive_and_ready_apart() {
    let silent = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let table = [
        (published(), 200, 503),
        (Published { ready: true, ..published() }, 200, 200),
        (Published { at: silent, ..published() }, 503, 503),
    ];
    for (state, live, ready) in table {
        let (_published, seen) = watch::channel(state);
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(probes(socket, seen));
        for (path, expected) in [("/livez", live), ("/readyz", ready)] {
            let stream = TcpStream::connect(address).await.unwrap();
            let (code, body) = exchange(stream, Method::GET, path, String::new()).await.unwrap();
            assert_eq!(code, expected, "{path}: {body}");
        }
    }
}
