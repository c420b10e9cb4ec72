//! Whom to ask: any node, the active controller, one very node, or the leader of a partition.

use std::collections::BTreeMap;
use std::fmt;

use tokio::time::Instant;

use super::{Answer, Asked, Cluster, Via};
use crate::admin::{cluster, topic};
use crate::call::Call;
use crate::{Endpoint, Error, ErrorCode, Uuid};

/// Who has to answer a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// Any node of the listener that was given.
    Any,
    /// The active controller. Brokers pass such calls on, so that through them any will do.
    Controller,
    /// The node of this id.
    Node(i32),
    /// The leader of this partition of this topic.
    Leader(&'a str, i32),
}

impl Target<'_> {
    /// Whether the code says that a leader found earlier may not be the one any more.
    pub(super) fn moved(self, code: ErrorCode) -> bool {
        matches!(self, Self::Leader(..))
            && matches!(
                code,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                    | ErrorCode::UNKNOWN_TOPIC_ID
                    | ErrorCode::INCONSISTENT_TOPIC_ID
            )
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any | Self::Controller => formatter.write_str("the cluster"),
            Self::Node(id) => write!(formatter, "node {id}"),
            Self::Leader(topic, partition) => write!(formatter, "partition {topic}-{partition}"),
        }
    }
}

/// What is known of who answers what. Wrong entries are forgotten when a call fails.
#[derive(Default)]
pub(super) struct Routes {
    /// The address in the bootstrap list to start with: the one that answered last.
    first: usize,
    controller: Option<i32>,
    nodes: BTreeMap<i32, Endpoint>,
    topics: BTreeMap<String, TopicRoute>,
}

struct TopicRoute {
    id: Uuid,
    leaders: BTreeMap<i32, i32>,
}

/// Where one attempt goes.
pub(super) struct Route {
    /// The nodes that will do, in order.
    pub(super) candidates: Vec<Endpoint>,
    /// The topic's id, for [`Target::Leader`].
    pub(super) topic_id: Uuid,
}

impl Route {
    fn to(candidates: Vec<Endpoint>) -> Self {
        Self { candidates, topic_id: Uuid::ZERO }
    }
}

impl Routes {
    /// Forgets what led to a failed attempt.
    pub(super) fn forget(&mut self, target: Target<'_>) {
        match target {
            Target::Any => {}
            Target::Controller => self.controller = None,
            Target::Node(id) => {
                self.nodes.remove(&id);
            }
            Target::Leader(topic, partition) => {
                let route = self.topics.remove(topic);
                if let Some(leader) = route.and_then(|route| route.leaders.get(&partition).copied())
                {
                    self.nodes.remove(&leader);
                }
            }
        }
        self.first = self.first.wrapping_add(1);
    }

    fn bootstrap(&self, given: &[Endpoint]) -> Vec<Endpoint> {
        let mut candidates = given.to_vec();
        if let Some(first) = self.first.checked_rem(given.len()) {
            candidates.rotate_left(first);
        }
        candidates
    }
}

impl Cluster {
    /// Finds whom to ask.
    pub(super) async fn route<C: Call>(
        &self,
        target: Target<'_>,
        deadline: Instant,
    ) -> Result<Route, Error> {
        match (target, self.listener()) {
            (Target::Any, _) | (Target::Controller, Via::Brokers) => {
                Ok(Route::to(self.routes().bootstrap(&self.inner.bootstrap)))
            }
            (Target::Controller, Via::Controllers) => self.controller_route::<C>(deadline).await,
            (Target::Node(id), _) => Ok(Route::to(vec![self.node::<C>(id, deadline).await?])),
            (Target::Leader(topic, partition), _) => {
                self.leader_route::<C>(topic, partition, deadline).await
            }
        }
    }

    async fn controller_route<C: Call>(&self, deadline: Instant) -> Result<Route, Error> {
        if self.routes().controller.is_none() {
            self.learn_nodes(deadline).await?;
        }
        let controller = self.routes().controller;
        let id = controller.ok_or_else(|| Error::NoRoute {
            call: C::NAME,
            reason: "the controllers have no leader".to_owned(),
            retriable: true,
        })?;
        Ok(Route::to(vec![self.node::<C>(id, deadline).await?]))
    }

    /// The address of a node.
    async fn node<C: Call>(&self, id: i32, deadline: Instant) -> Result<Endpoint, Error> {
        let known = self.routes().nodes.get(&id).cloned();
        if let Some(endpoint) = known {
            return Ok(endpoint);
        }
        self.learn_nodes(deadline).await?;
        let learnt = self.routes().nodes.get(&id).cloned();
        learnt.ok_or_else(|| Error::NoRoute {
            call: C::NAME,
            reason: format!("the cluster knows no node {id}"),
            retriable: false,
        })
    }

    async fn learn_nodes(&self, deadline: Instant) -> Result<(), Error> {
        let listener = self.listener();
        let build = |asked: &Asked| cluster::request(listener, asked.version);
        let described = cluster::description(self.ask_any(&build, deadline).await?)?;
        let mut routes = self.routes();
        routes.controller = described.controller_id;
        routes.nodes = described.nodes.into_iter().map(|node| (node.id, node.endpoint)).collect();
        Ok(())
    }

    async fn leader_route<C: Call>(
        &self,
        topic: &str,
        partition: i32,
        deadline: Instant,
    ) -> Result<Route, Error> {
        if !self.routes().topics.contains_key(topic) {
            self.learn_topic::<C>(topic, deadline).await?;
        }
        let found = self
            .routes()
            .topics
            .get(topic)
            .and_then(|route| route.leaders.get(&partition).map(|leader| (route.id, *leader)));
        let (topic_id, leader) = found.ok_or_else(|| Error::NoRoute {
            call: C::NAME,
            reason: format!("topic {topic} has no partition {partition}"),
            retriable: false,
        })?;
        if leader < 0 {
            return Err(Error::NoRoute {
                call: C::NAME,
                reason: format!("partition {topic}-{partition} has no leader"),
                retriable: true,
            });
        }
        Ok(Route { candidates: vec![self.node::<C>(leader, deadline).await?], topic_id })
    }

    async fn learn_topic<C: Call>(&self, topic: &str, deadline: Instant) -> Result<(), Error> {
        let names = [topic.to_owned()];
        let build = |asked: &Asked| topic::metadata_request(&names, asked.version);
        let described = topic::metadata_topics(self.ask_any(&build, deadline).await?)?;
        let described = described.into_iter().next().ok_or_else(|| Error::NoRoute {
            call: C::NAME,
            reason: format!("there is no topic {topic}"),
            retriable: false,
        })?;
        let leaders = described.partitions();
        let leaders = leaders.map(|one| (one.index, one.leader.unwrap_or(-1))).collect();
        let route = TopicRoute { id: described.id, leaders };
        self.routes().topics.insert(topic.to_owned(), route);
        Ok(())
    }

    /// Asks any node once, for what other calls need to know first.
    async fn ask_any<C: Call>(
        &self,
        build: &impl Fn(&Asked) -> C,
        deadline: Instant,
    ) -> Result<Answer<C::Response>, Error> {
        let candidates = self.routes().bootstrap(&self.inner.bootstrap);
        let connection = self.connect::<C>(&candidates, deadline).await?;
        let answer = self.exchange(connection, Uuid::ZERO, build, deadline).await?;
        match C::refusal(&answer.response) {
            None => Ok(answer),
            Some((code, message)) => Err(answer.refused::<C>("the cluster", code, message)),
        }
    }
}
