//! Registrations of controllers (KIP-1312), which `kafka-protocol` does not know yet. On the wire the request
//! and its answer are those of UnregisterBroker under another number.

use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use kafka_protocol::protocol::buf::ByteBufMut;
use kafka_protocol::protocol::{Encodable, HeaderVersion, VersionRange};

use crate::call::{Call, Refusal, refused};
use crate::cluster::Target;
use crate::{Cluster, Error};

/// The controller's id stands where the broker's does.
pub(crate) struct UnregisterControllerRequest(UnregisterBrokerRequest);

impl Encodable for UnregisterControllerRequest {
    fn encode<B: ByteBufMut>(&self, buffer: &mut B, version: i16) -> anyhow::Result<()> {
        self.0.encode(buffer, version)
    }

    fn compute_size(&self, version: i16) -> anyhow::Result<usize> {
        self.0.compute_size(version)
    }
}

impl HeaderVersion for UnregisterControllerRequest {
    fn header_version(version: i16) -> i16 {
        UnregisterBrokerRequest::header_version(version)
    }
}

impl Call for UnregisterControllerRequest {
    type Response = UnregisterBrokerResponse;
    const KEY: i16 = 94;
    const NAME: &'static str = "UnregisterController";
    const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };
    const REPEATABLE: bool = false;

    fn refusal(answer: &Self::Response) -> Option<Refusal> {
        refused(answer.error_code, answer.error_message.as_deref())
    }
}

impl Cluster {
    /// Removes the registration of a controller that is gone for good. Kafka does not check that it is: one
    /// that runs registers again.
    ///
    /// # Errors
    /// Not found when no controller of this id is registered; fatal while the finalised `metadata.version` is
    /// below that of Kafka 4.4 (level 33).
    pub async fn unregister_controller(&self, controller_id: i32) -> Result<(), Error> {
        let build = |_: &_| {
            let request = UnregisterBrokerRequest::default();
            UnregisterControllerRequest(request.with_broker_id(controller_id.into()))
        };
        self.ask(Target::Controller, build).await.map(|_| ())
    }
}
