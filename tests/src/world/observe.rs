//! What a pass may know of the model world, as the operator's own observation has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_crds::agent::AgentStatus;
use ottla_operator::observe::facts;
use ottla_plan::object::Kind;
use ottla_plan::observed::{Answer, Authority, Certificate, Child, Children, Observed};
use serde_json::json;

use super::World;
use super::nodes::{Agent, Pod};
use super::store::label;

impl World {
    /// Everything that a pass sees: what carries the cluster's label, and strangers that stood in
    /// the way.
    #[must_use]
    pub fn observe(&self) -> Observed {
        let names = self.names();
        let mut children = self.children();
        let authority = self.authority();
        let operator = self.store.get(Kind::Secret, &names.operator()).map(|secret| &secret.uid);
        let reachable =
            authority.is_some() && operator.is_some_and(|uid| self.certificates.contains_key(uid));
        let (identity, identity_problem) = facts::identity(&names, &children);
        let status = self.status();
        let claims = facts::claims(&children);
        children.extend(
            self.strangers
                .iter()
                .filter_map(|key| Some((key.0, key.1.clone(), self.stranger(key)?))),
        );
        Observed {
            owner: status.operator,
            memory: status.memory,
            recorded_cluster_id: status.cluster_id,
            recorded_features: status.version.unwrap_or_default().features,
            deleting: self.cluster.metadata.deletion_timestamp.is_some(),
            identity,
            identity_problem,
            certificates: self.leaves(authority.as_ref()),
            authority,
            claims,
            children,
            pods: self.pods.iter().map(|(id, pod)| (*id, pod.seen.clone())).collect(),
            agents: if reachable { self.agents() } else { BTreeMap::new() },
            kafka: if reachable {
                self.kafka_answer()
            } else {
                let reason = "the operator has no certificate for this cluster yet".to_owned();
                Answer::Unknown { reason }
            },
        }
    }

    /// Objects with the cluster's label; Secrets without their content.
    fn children(&self) -> Children {
        let name = self.names().cluster;
        let ours = self.store.iter().filter(|(_, child)| label(&child.live) == Some(&name));
        ours.map(|(key, child)| {
            let mut child = child.clone();
            if key.0 == Kind::Secret {
                child.live = json!({ "metadata": child.live["metadata"] }).into();
            }
            if key.0 == Kind::PodDisruptionBudget {
                Arc::make_mut(&mut child.live)["status"] = self.budget_status(&key.1, &child.live);
            }
            (key.0, key.1.clone(), child)
        })
        .collect()
    }

    fn stranger(&self, (kind, name): &(Kind, String)) -> Option<Child> {
        let found = self.store.get(*kind, name)?;
        let foreign = label(&found.live) != Some(&self.names().cluster);
        foreign.then(|| Child {
            ours: false,
            live: serde_json::Value::Null.into(),
            ..found.clone()
        })
    }

    /// Without a CA no certificate can be judged, so none is reported.
    fn leaves(&self, authority: Option<&Authority>) -> BTreeMap<String, Certificate> {
        let Some(authority) = authority else { return BTreeMap::new() };
        let names = self.names();
        let secrets = self.store.named_like(Kind::Secret, String::new()).filter(|(name, child)| {
            label(&child.live) == Some(&names.cluster) && **name != names.authority()
        });
        secrets
            .filter_map(|(name, secret)| {
                let issued = self.certificates.get(&secret.uid)?;
                let trusted = issued.signer == authority.signer.serial;
                let is_of_trusted_authority = self.trust.trusted.contains_key(&issued.signer);
                let certificate =
                    Certificate { trusted, is_of_trusted_authority, ..issued.certificate.clone() };
                Some((name.to_owned(), certificate))
            })
            .collect()
    }

    pub(super) fn agents(&self) -> BTreeMap<i32, Answer<AgentStatus>> {
        self.pods.iter().filter_map(|(id, pod)| Some((*id, self.answer(*id, pod)?))).collect()
    }

    fn answer(&self, id: i32, pod: &Pod) -> Option<Answer<AgentStatus>> {
        pod.seen.address.as_ref()?;
        match &pod.agent {
            Agent::Absent => None,
            Agent::Silent(reason) => Some(Answer::Unknown { reason: reason.clone() }),
            Agent::Speaks(state, reason) => {
                Some(Answer::Known(self.agent_status(id, pod, *state, reason)))
            }
        }
    }
}
