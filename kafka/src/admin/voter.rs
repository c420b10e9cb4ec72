//! Voters of the metadata quorum (KIP-853): one joins or leaves at a time.

use kafka_protocol::messages::add_raft_voter_request::Listener;
use kafka_protocol::messages::{AddRaftVoterRequest, RemoveRaftVoterRequest};

use super::{server_timeout_milliseconds, wire};
use crate::call::{call, refused};
use crate::cluster::Target;
use crate::{Cluster, Endpoint, Error, Uuid};

call!(AddRaftVoterRequest => AddRaftVoterResponse, AddRaftVoter from 0, repeatable: false,
    |answer| refused(answer.error_code, answer.error_message.as_deref()));

call!(RemoveRaftVoterRequest => RemoveRaftVoterResponse, RemoveRaftVoter from 0, repeatable: false,
    |answer| refused(answer.error_code, answer.error_message.as_deref()));

impl Cluster {
    /// Lets a controller vote that observes the quorum and has caught up. The leader calls it at the
    /// endpoint first, whose name is that of the controllers' listener.
    ///
    /// # Errors
    /// When Kafka refuses it: it votes already, another change is under way, or the leader cannot
    /// reach it. Where the answer was lost, ask with [`Cluster::describe_quorum`] whether it happened.
    pub async fn add_voter(
        &self,
        cluster_id: &str,
        id: i32,
        directory_id: Uuid,
        listener: &str,
        endpoint: &Endpoint,
    ) -> Result<(), Error> {
        let listener = Listener::default()
            .with_name(wire(listener))
            .with_host(wire(&endpoint.host))
            .with_port(endpoint.port);
        let request = AddRaftVoterRequest::default()
            .with_cluster_id(Some(wire(cluster_id)))
            .with_timeout_ms(server_timeout_milliseconds(self.request_timeout()))
            .with_voter_id(id)
            .with_voter_directory_id(directory_id.to_wire())
            .with_listeners(vec![listener]);
        self.ask(Target::Controller, |_| request.clone()).await.map(|_| ())
    }

    /// Takes the vote of a controller away; a leader hands over first.
    ///
    /// # Errors
    /// When Kafka refuses it: there is no such voter, or another change is under way. Where the answer
    /// was lost, ask with [`Cluster::describe_quorum`] whether it happened.
    pub async fn remove_voter(
        &self,
        cluster_id: &str,
        id: i32,
        directory_id: Uuid,
    ) -> Result<(), Error> {
        let request = RemoveRaftVoterRequest::default()
            .with_cluster_id(Some(wire(cluster_id)))
            .with_voter_id(id)
            .with_voter_directory_id(directory_id.to_wire());
        self.ask(Target::Controller, |_| request.clone()).await.map(|_| ())
    }
}
