//! One socket to one node: frames, correlation ids, version negotiation, a time limit on each step.

mod bounded;
mod frame;
mod tls;
mod versions;

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersionsResponse;
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

pub use tls::TlsOptions;
pub(crate) use tls::Transport;

use crate::call::Call;
use crate::{Endpoint, Error};
use bounded::Bounded;
use versions::PeerVersions;
pub(crate) use versions::request as versions_request;

/// How a listener is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Without encryption or identity.
    Plaintext,
    /// TLS; with an identity in the options it is mutual TLS.
    Tls(TlsOptions),
}

/// What both plain and TLS streams are.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection, used for one request at a time.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    peer: Endpoint,
    client_id: StrBytes,
    versions: PeerVersions,
    next_correlation_id: i32,
}

/// The end of a step: its own limit, or the deadline of the whole call where that comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLimit {
    began: Instant,
    end: Instant,
}

impl TimeLimit {
    /// A step of at most `limit` within the call's `deadline`.
    pub(crate) fn new(limit: Duration, deadline: Instant) -> Self {
        let began = Instant::now();
        Self { began, end: deadline.min(began + limit) }
    }

    /// What to say when it has passed.
    fn passed(&self, call: &'static str, peer: &Endpoint) -> Error {
        Error::Timeout { call, peer: peer.clone(), waited: self.began.elapsed() }
    }
}

impl Connection {
    /// Connects, shakes hands and learns which versions the peer offers.
    pub(crate) async fn open(
        peer: &Endpoint,
        transport: &Transport,
        client_id: &str,
        limit: TimeLimit,
    ) -> Result<Self, Error> {
        let opening = async {
            let stream = Self::dial(peer, transport)
                .await
                .map_err(|source| Error::Connect { peer: peer.clone(), source })?;
            let mut connection = Self {
                stream,
                peer: peer.clone(),
                client_id: StrBytes::from_string(client_id.to_owned()),
                versions: PeerVersions::default(),
                next_correlation_id: 0,
            };
            connection.versions = versions::negotiate(&mut connection).await?;
            Ok(connection)
        };
        match timeout_at(limit.end, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(limit.passed("connect", peer)),
        }
    }

    async fn dial(peer: &Endpoint, transport: &Transport) -> io::Result<Box<dyn Stream>> {
        let socket = TcpStream::connect((peer.host.as_str(), peer.port)).await?;
        socket.set_nodelay(true)?;
        match transport {
            Transport::Plaintext => Ok(Box::new(socket)),
            Transport::Tls(tls) => Ok(Box::new(tls.handshake(&peer.host, socket).await?)),
        }
    }

    /// Whom this connection leads to.
    pub(crate) fn peer(&self) -> &Endpoint {
        &self.peer
    }

    /// The version to speak for a call: the highest that both sides know.
    pub(crate) fn version_of<C: Call>(&self) -> Result<i16, Error> {
        self.versions.common::<C>().ok_or_else(|| Error::Unsupported {
            call: C::NAME,
            peer: self.peer.clone(),
            ours_min: C::VERSIONS.min,
            ours_max: C::VERSIONS.max,
        })
    }

    /// Whether the peer has closed, or said something nobody asked for, since the last call.
    pub(crate) async fn is_stale(&mut self) -> bool {
        frame::has_input(&mut self.stream).await
    }

    /// Sends one request and reads its answer. After an error the connection is of no more use.
    pub(crate) async fn exchange<C: Call>(
        &mut self,
        request: &C,
        version: i16,
        limit: TimeLimit,
    ) -> Result<C::Response, Error> {
        let answered = timeout_at(limit.end, async {
            let body = self.round_trip(request, version).await?;
            self.decode::<C>(body, version)
        });
        match answered.await {
            Ok(answer) => answer,
            Err(_) => Err(limit.passed(C::NAME, &self.peer)),
        }
    }

    /// Sends one request and returns the answer's frame behind the correlation id.
    async fn round_trip<C: Call>(&mut self, request: &C, version: i16) -> Result<Bytes, Error> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = correlation_id.wrapping_add(1);
        let frame = self.encode(request, version, correlation_id)?;
        let lost = |source| Error::Lost { call: C::NAME, peer: self.peer.clone(), source };
        self.stream.write_all(&frame).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        let body = frame::read(&mut self.stream).await.map_err(lost)?;
        let body = body.map_err(|reason| self.malformed::<C>(reason))?;
        match frame::correlation_id(&body) {
            Some(id) if id == correlation_id => Ok(body),
            Some(id) => Err(self.malformed::<C>(format!(
                "the answer is to request {id}, and request {correlation_id} was asked"
            ))),
            None => Err(self.malformed::<C>("the answer is shorter than its header".to_owned())),
        }
    }

    fn encode<C: Call>(
        &self,
        request: &C,
        version: i16,
        correlation_id: i32,
    ) -> Result<BytesMut, Error> {
        let header = RequestHeader::default()
            .with_request_api_key(C::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(self.client_id.clone()));
        frame::write(|buffer| {
            header.encode(buffer, C::header_version(version))?;
            request.encode(buffer, version)
        })
        .map_err(|reason| Error::Unwritable {
            call: C::NAME,
            peer: self.peer.clone(),
            reason,
        })
    }

    fn decode<C: Call>(&self, body: Bytes, version: i16) -> Result<C::Response, Error> {
        decode_answer::<C>(body, version).map_err(|reason| self.malformed::<C>(reason))
    }

    fn malformed<C: Call>(&self, reason: String) -> Error {
        Error::Malformed { call: C::NAME, peer: self.peer.clone(), reason }
    }
}

/// Reads a whole answer, header included; anything left over is a mistake too.
fn decode_answer<C: Call>(body: Bytes, version: i16) -> Result<C::Response, String> {
    let mut input = Bounded::new(body);
    let in_words = |error: &dyn std::fmt::Display| error.to_string().trim_end().to_owned();
    ResponseHeader::decode(&mut input, C::Response::header_version(version))
        .map_err(|error| in_words(&error))?;
    let answer = C::Response::decode(&mut input, version).map_err(|error| in_words(&error))?;
    match input.left() {
        0 => Ok(answer),
        left => Err(format!("{left} bytes follow the answer")),
    }
}

/// What ApiVersions answers with, for [`versions`].
type VersionsAnswer = ApiVersionsResponse;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::with_each_call;
    use proptest::prelude::*;

    /// Decodes the bytes as the answer to a call; what comes out does not matter.
    fn decode_any<C: Call>(bytes: &[u8]) {
        for version in C::VERSIONS.min..=C::VERSIONS.max {
            let _ = decode_answer::<C>(Bytes::copy_from_slice(bytes), version);
        }
    }

    /// Without [`Bounded`] this asks for hundreds of gigabytes, which aborts the process wherever
    /// the kernel does not promise memory without limit.
    #[test]
    fn a_huge_length_anywhere_exhausts_no_memory() {
        for place in 0..60 {
            let mut bytes = vec![0; place];
            bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
            with_each_call!(decode_any(&bytes));
            bytes.resize(100, 0x02);
            with_each_call!(decode_any(&bytes));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_or_exhaust_memory(
            bytes in proptest::collection::vec(any::<u8>(), 0..400)
        ) {
            with_each_call!(decode_any(&bytes));
        }

        /// Small numbers reach deeper into the structures than uniform bytes do.
        #[test]
        fn plausible_bytes_never_panic_or_exhaust_memory(
            bytes in proptest::collection::vec(
                prop_oneof![5 => 0_u8..6, 1 => any::<u8>(), 1 => Just(0xff_u8)], 0..400)
        ) {
            with_each_call!(decode_any(&bytes));
        }
    }
}
