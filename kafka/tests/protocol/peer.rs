//! A stand-in for a Kafka node: it reads frames, and a closure says what to do with each.

use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use ottla_kafka::{Cluster, Endpoint, Options, Security};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request that arrived.
pub(crate) struct Asked {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// The whole frame behind its length.
    pub(crate) frame: Bytes,
    /// The stand-in's own port.
    pub(crate) port: u16,
    /// How many requests of this call came before, on any connection.
    pub(crate) before: usize,
}

/// What to do with a request.
pub(crate) enum Reply {
    /// Send a frame.
    Frame(Bytes),
    /// Send these bytes as they are, and close.
    Raw(Vec<u8>),
    /// Close at once.
    Close,
    /// Say nothing, ever.
    Silence,
}

/// A stand-in that listens until the test ends.
pub(crate) struct Peer {
    pub(crate) endpoint: Endpoint,
    log: Arc<Mutex<Vec<ApiKey>>>,
}

impl Peer {
    pub(crate) async fn start(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(reply, false).await
    }

    /// Closes each connection after one answer that is no negotiation.
    pub(crate) async fn closing_after_each_answer(
        reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(reply, true).await
    }

    async fn listen(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static, closes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::new("127.0.0.1", listener.local_addr().unwrap().port());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (reply, written) = (Arc::new(reply), Arc::clone(&log));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&reply), Arc::clone(&written), closes));
            }
        });
        Self { endpoint, log }
    }

    /// The calls that arrived, without the negotiations.
    pub(crate) fn calls(&self) -> Vec<ApiKey> {
        let log = self.log.lock().unwrap();
        log.iter().copied().filter(|key| *key != ApiKey::ApiVersions).collect()
    }

    /// How many connections asked for versions.
    pub(crate) fn negotiations(&self) -> usize {
        let log = self.log.lock().unwrap();
        log.iter().filter(|key| **key == ApiKey::ApiVersions).count()
    }
}

async fn serve<F>(mut stream: TcpStream, reply: Arc<F>, log: Arc<Mutex<Vec<ApiKey>>>, closes: bool)
where
    F: Fn(&Asked) -> Reply + Send + Sync,
{
    let port = stream.local_addr().unwrap().port();
    while let Some(frame) = read(&mut stream).await {
        let asked = understand(frame, port, &log);
        match reply(&asked) {
            Reply::Frame(frame) => {
                let _ = stream.write_u32(frame.len() as u32).await;
                let _ = stream.write_all(&frame).await;
                if closes && asked.key != ApiKey::ApiVersions {
                    return;
                }
            }
            Reply::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::Close => return,
            Reply::Silence => std::future::pending().await,
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Bytes> {
    let length = stream.read_u32().await.ok()?;
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame.into())
}

fn understand(frame: Bytes, port: u16, log: &Mutex<Vec<ApiKey>>) -> Asked {
    let mut input = frame.clone();
    // The crate does not know UnregisterController, which is written as UnregisterBroker is.
    let key = ApiKey::try_from(input.get_i16()).unwrap_or(ApiKey::UnregisterBroker);
    let version = input.get_i16();
    let correlation_id = input.get_i32();
    let mut log = log.lock().unwrap();
    let before = log.iter().filter(|one| **one == key).count();
    log.push(key);
    Asked { key, version, correlation_id, frame, port, before }
}

impl Asked {
    /// The request's body.
    pub(crate) fn body<R: Decodable + HeaderVersion>(&self) -> R {
        let mut input = self.frame.clone();
        RequestHeader::decode(&mut input, R::header_version(self.version)).unwrap();
        R::decode(&mut input, self.version).unwrap()
    }

    /// An answer as Kafka would send it.
    pub(crate) fn answer<R: Encodable + HeaderVersion>(&self, body: &R) -> Reply {
        Reply::Frame(self.encode(body, self.version))
    }

    pub(crate) fn encode<R: Encodable + HeaderVersion>(&self, body: &R, version: i16) -> Bytes {
        let mut frame = BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(self.correlation_id);
        header.encode(&mut frame, R::header_version(version)).unwrap();
        body.encode(&mut frame, version).unwrap();
        frame.freeze()
    }

    /// The answer to a negotiation: these calls up to these versions.
    pub(crate) fn offer(&self, calls: &[(ApiKey, i16)]) -> Reply {
        let ranges = calls.iter().map(|(key, highest)| {
            ApiVersion::default().with_api_key(*key as i16).with_max_version(*highest)
        });
        self.answer(&ApiVersionsResponse::default().with_api_keys(ranges.collect()))
    }
}

/// A client of stand-ins with short time limits.
pub(crate) fn client(peers: &[&Peer]) -> Cluster {
    let bootstrap = peers.iter().map(|peer| peer.endpoint.clone()).collect();
    Cluster::new(bootstrap, &Security::Plaintext, options()).unwrap()
}

pub(crate) fn options() -> Options {
    use std::time::Duration;
    Options {
        client_id: "test".to_owned(),
        connect_timeout: Duration::from_millis(300),
        request_timeout: Duration::from_millis(300),
        call_timeout: Duration::from_secs(2),
    }
}
