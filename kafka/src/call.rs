//! What a call is: a request, its answer, the versions we speak, and whether it may be repeated.

use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, VersionRange};

use crate::ErrorCode;

/// A refusal that concerns a whole call: Kafka's code and Kafka's words.
pub(crate) type Refusal = (ErrorCode, Option<String>);

/// A request of Kafka's protocol that this client sends.
pub(crate) trait Call: Encodable + HeaderVersion + Send + Sync {
    /// What Kafka answers.
    type Response: Decodable + HeaderVersion + Send;
    /// Its number in the protocol.
    const KEY: i16;
    /// Its name in Kafka's documentation.
    const NAME: &'static str;
    /// The versions this client speaks; only flexible ones, see [`crate::connection`]'s `bounded`.
    const VERSIONS: VersionRange;
    /// Whether sending it again, after no answer came, gives what sending it once gives.
    const REPEATABLE: bool;

    /// Whether the answer refuses the call as a whole.
    fn refusal(answer: &Self::Response) -> Option<Refusal>;
}

/// Declares a [`Call`]: request and answer, name, first flexible version, whether it may be
/// repeated, and what in the answer refuses the whole call.
macro_rules! call {
    ($request:ident => $response:ident, $name:ident from $first:literal, repeatable: $repeatable:literal, $refusal:expr) => {
        impl $crate::call::Call for kafka_protocol::messages::$request {
            type Response = kafka_protocol::messages::$response;
            const KEY: i16 = kafka_protocol::messages::ApiKey::$name as i16;
            const NAME: &'static str = stringify!($name);
            const VERSIONS: kafka_protocol::protocol::VersionRange =
                kafka_protocol::protocol::VersionRange {
                    min: $first,
                    max: <kafka_protocol::messages::$request as kafka_protocol::protocol::Message>::VERSIONS.max,
                };
            const REPEATABLE: bool = $repeatable;

            fn refusal(answer: &Self::Response) -> Option<$crate::call::Refusal> {
                let refusal: fn(&Self::Response) -> Option<$crate::call::Refusal> = $refusal;
                refusal(answer)
            }
        }
    };
}
pub(crate) use call;

/// A refusal from a code and Kafka's words; none for the code 0.
pub(crate) fn refused(code: i16, message: Option<&str>) -> Option<Refusal> {
    let code = ErrorCode::new(code);
    let words = message.filter(|words| !words.is_empty()).map(str::to_owned);
    (code != ErrorCode::NONE).then_some((code, words))
}

/// The first of several items' codes that says another node is to be asked. Kafka says so in each
/// item where the answer has no code for the whole.
pub(crate) fn misrouted(codes: impl IntoIterator<Item = i16>) -> Option<Refusal> {
    let codes = codes.into_iter().map(ErrorCode::new);
    codes.filter(|code| code.is_misrouted()).map(|code| (code, None)).next()
}

#[cfg(test)]
pub(crate) mod tests {
    /// Runs a generic function for each call of this client.
    macro_rules! with_each_call {
        ($function:ident($($argument:expr),*)) => {{
            use kafka_protocol::messages as m;
            $function::<m::ApiVersionsRequest>($($argument),*);
            $function::<m::MetadataRequest>($($argument),*);
            $function::<m::DescribeClusterRequest>($($argument),*);
            $function::<m::DescribeQuorumRequest>($($argument),*);
            $function::<m::DescribeTopicPartitionsRequest>($($argument),*);
            $function::<m::CreateTopicsRequest>($($argument),*);
            $function::<m::DeleteTopicsRequest>($($argument),*);
            $function::<m::CreatePartitionsRequest>($($argument),*);
            $function::<m::DescribeLogDirsRequest>($($argument),*);
            $function::<m::AlterReplicaLogDirsRequest>($($argument),*);
            $function::<m::DescribeConfigsRequest>($($argument),*);
            $function::<m::IncrementalAlterConfigsRequest>($($argument),*);
            $function::<m::ElectLeadersRequest>($($argument),*);
            $function::<m::AlterPartitionReassignmentsRequest>($($argument),*);
            $function::<m::ListPartitionReassignmentsRequest>($($argument),*);
            $function::<m::UnregisterBrokerRequest>($($argument),*);
            $function::<$crate::admin::controller::UnregisterControllerRequest>($($argument),*);
            $function::<m::UpdateFeaturesRequest>($($argument),*);
            $function::<m::AddRaftVoterRequest>($($argument),*);
            $function::<m::RemoveRaftVoterRequest>($($argument),*);
            $function::<m::InitProducerIdRequest>($($argument),*);
            $function::<m::ProduceRequest>($($argument),*);
            $function::<m::FetchRequest>($($argument),*);
            $function::<m::ListOffsetsRequest>($($argument),*);
        }};
    }
    pub(crate) use with_each_call;

    use super::*;

    fn assert_flexible<C: Call>() {
        for version in C::VERSIONS.min..=C::VERSIONS.max {
            assert_eq!(C::header_version(version), 2, "{} {version}", C::NAME);
        }
        assert!(C::VERSIONS.min <= C::VERSIONS.max, "{}", C::NAME);
    }

    #[test]
    fn only_flexible_versions_are_spoken() {
        with_each_call!(assert_flexible());
    }
}
