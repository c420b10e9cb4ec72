//! Registrations of brokers.

use kafka_protocol::messages::UnregisterBrokerRequest;

use crate::call::{call, refused};
use crate::cluster::Target;
use crate::{Cluster, Error};

call!(UnregisterBrokerRequest => UnregisterBrokerResponse, UnregisterBroker from 0,
    repeatable: false, |answer| refused(answer.error_code, answer.error_message.as_deref()));

impl Cluster {
    /// Removes the registration of a broker that is gone for good. Kafka does not check that it
    /// is: a live broker so unregistered stops serving until it is restarted.
    ///
    /// # Errors
    /// Not found when no broker of this id is registered. Where the answer was lost, ask with
    /// [`Cluster::describe_cluster`] whether it happened.
    pub async fn unregister_broker(&self, broker_id: i32) -> Result<(), Error> {
        let request = UnregisterBrokerRequest::default().with_broker_id(broker_id.into());
        self.ask(Target::Controller, |_| request.clone()).await.map(|_| ())
    }
}
