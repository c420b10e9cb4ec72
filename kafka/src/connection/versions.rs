//! Which versions of which calls the peer offers: ApiVersions, the first request on a connection.

use std::collections::BTreeMap;

use kafka_protocol::messages::api_versions_request::ApiVersionsRequest;
use kafka_protocol::protocol::StrBytes;

use super::{Connection, VersionsAnswer, decode_answer};
use crate::call::Call;
use crate::{Error, ErrorCode};

/// The version whose answer names features that start at level 0, such as `kraft.version`.
const NEWEST: i16 = 4;
/// The version that every Kafka since 2.4 knows.
const OLDEST: i16 = 3;

/// The versions a peer offers, by the number of the call.
#[derive(Debug, Default)]
pub(super) struct PeerVersions(BTreeMap<i16, (i16, i16)>);

impl PeerVersions {
    /// The highest version that both sides know.
    pub(super) fn common<C: Call>(&self) -> Option<i16> {
        let (theirs_min, theirs_max) = *self.0.get(&C::KEY)?;
        let highest = C::VERSIONS.max.min(theirs_max);
        (highest >= C::VERSIONS.min.max(theirs_min)).then_some(highest)
    }

    fn from_answer(answer: &VersionsAnswer) -> Self {
        let ranges = answer.api_keys.iter();
        Self(ranges.map(|range| (range.api_key, (range.min_version, range.max_version))).collect())
    }
}

/// The request that asks for versions and names this client in Kafka's metrics.
pub(crate) fn request() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("ottla"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")))
}

/// Asks the peer what it offers.
pub(super) async fn negotiate(connection: &mut Connection) -> Result<PeerVersions, Error> {
    let mut refused = ErrorCode::NONE;
    for version in [NEWEST, OLDEST] {
        let body = connection.round_trip(&request(), version).await?;
        refused = code_of(&body);
        if refused == ErrorCode::NONE {
            let answer = decode_answer::<ApiVersionsRequest>(body, version)
                .map_err(|reason| connection.malformed::<ApiVersionsRequest>(reason))?;
            return Ok(PeerVersions::from_answer(&answer));
        }
        if refused != ErrorCode::UNSUPPORTED_VERSION {
            break;
        }
    }
    Err(Error::Refused {
        call: ApiVersionsRequest::NAME,
        peer: connection.peer.clone(),
        subject: "this connection".to_owned(),
        code: refused,
        message: None,
    })
}

/// The code at the start of an answer of any version. A peer that does not know the version of
/// the request answers in version 0, whose rest this client does not read.
fn code_of(body: &[u8]) -> ErrorCode {
    let number = body.get(4..6).and_then(|bytes| bytes.first_chunk());
    ErrorCode::new(number.map_or(0, |bytes| i16::from_be_bytes(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(range: (i16, i16)) -> Option<i16> {
        PeerVersions(BTreeMap::from([(ApiVersionsRequest::KEY, range)]))
            .common::<ApiVersionsRequest>()
    }

    #[test]
    fn the_highest_common_version_is_spoken() {
        assert_eq!(offered((0, 3)), Some(3));
        assert_eq!(offered((0, 99)), Some(ApiVersionsRequest::VERSIONS.max));
        assert_eq!(offered((0, 2)), None, "older than this client");
        assert_eq!(offered((98, 99)), None, "newer than this client");
        assert_eq!(PeerVersions::default().common::<ApiVersionsRequest>(), None, "not offered");
    }
}
