//! Which nodes a cluster has: their ids, groups, roles and racks.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_crds::agent::Role;

use crate::desired::{Desired, Volume};
use crate::observed::Observed;
use crate::{disks, quorum, racks, scale};

/// The first id of Dedicated controllers; brokers count from 0.
pub const FIRST_CONTROLLER_ID: i32 = 10_000;

/// Like nodes: same disks, same resources, same kind of name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Brokers, some of them controllers too where these are Colocated.
    Broker,
    /// Dedicated controllers.
    Controller,
}

impl Group {
    /// The word in names and labels.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Group::Broker => "broker",
            Group::Controller => "controller",
        }
    }

    /// The group that a word in a label means.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Group> {
        match word {
            "broker" => Some(Group::Broker),
            "controller" => Some(Group::Controller),
            _ => None,
        }
    }
}

/// One Kafka process with an id, for as long as the cluster lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Kafka's `node.id`.
    pub id: i32,
    /// The group that it belongs to.
    pub group: Group,
    /// Kafka's `process.roles`.
    pub roles: Vec<Role>,
    /// Its zone, where the cluster has racks.
    pub rack: Option<String>,
    /// Whether the spec does not ask for it any more, so that it goes once nothing needs it.
    pub leaving: bool,
    /// Its disks; the first holds the metadata log.
    pub volumes: Arc<[Volume]>,
}

impl Node {
    /// Whether it takes part in the metadata quorum.
    #[must_use]
    pub fn is_controller(&self) -> bool {
        self.roles.contains(&Role::Controller)
    }

    /// Whether it stores records.
    #[must_use]
    pub fn is_broker(&self) -> bool {
        self.roles.contains(&Role::Broker)
    }

    /// Whether it is to have a disk of that name.
    pub(crate) fn has_disk(&self, volume: &str) -> bool {
        self.volumes.iter().any(|one| one.name == volume)
    }
}

/// All nodes of the cluster that have a StatefulSet or should have one, in the order of ids.
///
/// A node that exists stays, whatever the spec says, until nothing is left on it. One that the spec does
/// not ask for and whose StatefulSet is gone is made again only to give its replicas away.
#[must_use]
pub fn nodes(desired: &Desired, observed: &Observed) -> Vec<Node> {
    let mut ids: BTreeSet<(Group, i32)> = observed.nodes_with_sets().collect();
    let disks: BTreeSet<(Group, i32)> = observed.nodes_with_disks().collect();
    let wished = scale::wished_of(desired, ids.iter().chain(&disks));
    ids.extend(wished.iter().map(|id| (Group::Broker, *id)));
    let is_controller = |(group, _): &(Group, i32)| *group == Group::Controller;
    let nobody_knows = observed.identity.as_ref().is_none_or(|one| one.quorum.members.is_empty());
    if nobody_knows && observed.kafka.known().is_none() {
        ids.extend(observed.nodes_with_claims().filter(is_controller));
    }
    ids.extend(quorum::dedicated(desired, observed).into_iter().map(|id| (Group::Controller, id)));
    let gone = disks.into_iter().filter(|one| !is_controller(one) && !ids.contains(one));
    let needed = gone.filter(|(_, id)| scale::is_needed(observed, *id));
    let needed: Vec<(Group, i32)> = needed.collect();
    ids.extend(needed);
    let voters = quorum::wished(desired);
    let stays = |(group, id): &(Group, i32)| match group {
        Group::Broker => wished.contains(id),
        Group::Controller => voters.contains(id),
    };
    let racks = racks::dealt(desired, observed, &ids, stays);
    let leaving_disks = disks::leaving(desired, observed);
    let node = |(group, id)| {
        let controls = voters.contains(&id)
            || quorum::votes(observed, id)
            || quorum::is_called_back(desired, observed, id);
        let roles = match group {
            Group::Controller => vec![Role::Controller],
            Group::Broker if controls => vec![Role::Broker, Role::Controller],
            Group::Broker => vec![Role::Broker],
        };
        let leaving = !stays(&(group, id));
        let rack = racks.get(&(group, id)).map(|rack| (*rack).to_owned());
        let volumes = disks::of_node(desired, observed, (group, id), &leaving_disks);
        Node { id, group, roles, rack, leaving, volumes }
    };
    let mut nodes: Vec<Node> = ids.into_iter().map(node).collect();
    disks::hold_back(desired, observed, &mut nodes);
    nodes
}

/// A broker without any vote, as far as its names go.
pub(crate) fn broker(id: i32) -> Node {
    Node {
        id,
        group: Group::Broker,
        roles: vec![Role::Broker],
        rack: None,
        leaving: true,
        volumes: Arc::default(),
    }
}

/// A node as far as its id tells: enough for its names.
pub(crate) fn of_id(id: i32) -> Node {
    Node { group: quorum::group(id), ..broker(id) }
}
