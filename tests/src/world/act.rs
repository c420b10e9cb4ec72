//! Carries out a plan in the model world, as the operator does: harmless actions stage by stage,
//! destructive ones only as far as the guard's predicate permits on a fresh look.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use ottla_plan::action::{HeldBack, Leaf, RestartPod, Unregister};
use ottla_plan::certificate::LEAF_LIFE_SECONDS;
use ottla_plan::event::{self, Event};
use ottla_plan::identity::{CLUSTER_ID, DISKS, VOTERS};
use ottla_plan::object::{Kind, Object};
use ottla_plan::observed::Certificate;
use ottla_plan::{Action, Plan, check};
use serde_json::json;

use super::authority::pem;
use super::nodes::Disk;
use super::store::Refused;
use super::{Issued, Seen, Trust, World};

/// What may befall the operator at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It dies before it.
    CrashBefore,
    /// It dies after it.
    CrashAfter,
    /// It is done, and the operator hears that it failed.
    LostReply,
    /// It is not done.
    Refused,
}

impl Mishap {
    /// Every one there is.
    pub const ALL: [Mishap; 4] =
        [Mishap::CrashBefore, Mishap::CrashAfter, Mishap::LostReply, Mishap::Refused];
}

/// What came of one pass.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What was done.
    pub done: Vec<String>,
    /// The events that tell of it, one for each that was done, if any does.
    pub events: Vec<Option<Event>>,
    /// What was not done, and why.
    pub not_done: Vec<String>,
    /// Whether something else than before is remembered, so that the next pass may plan otherwise.
    pub remembered: bool,
    /// Whether the operator died in it.
    pub crashed: bool,
}

impl Outcome {
    /// Whether the next pass finds another world.
    #[must_use]
    pub fn changed_something(&self) -> bool {
        self.remembered || !self.done.is_empty()
    }

    fn did(&mut self, action: &Action, text: String) {
        self.done.push(text);
        self.events.push(event::of_action(action));
    }
}

impl World {
    /// One pass: plan, check, act, status. Where a stranger's object stood in the way, it is planned
    /// once more with that in mind.
    ///
    /// # Errors
    /// A broken law.
    pub fn pass(&mut self) -> Result<Outcome> {
        self.strangers.clear();
        self.seconds(1)?;
        let (plan, seen) = (self.plan()?, self.seen());
        self.stale = None;
        self.pass_on(plan, &seen)
    }

    /// One pass that meets a mishap at the write of this number, counted from 0, if it comes so far.
    ///
    /// # Errors
    /// A broken law.
    pub fn pass_meeting(&mut self, write: usize, mishap: Mishap) -> Result<Outcome> {
        self.mishap = Some((write, mishap));
        let outcome = self.pass();
        self.mishap = None;
        outcome
    }

    /// What is left of a pass once it has planned, on a KafkaCluster as it was seen then.
    ///
    /// # Errors
    /// A broken law.
    pub fn pass_on(&mut self, plan: Plan, seen: &Seen) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let before = (self.status().memory, self.traces());
        let mut seen = seen.clone();
        let mut carried = self.carry_out(plan, &mut seen, &mut outcome)?;
        if carried.is_some() && !self.strangers.is_empty() && !outcome.crashed {
            let plan = self.plan()?;
            carried = self.carry_out(plan, &mut seen, &mut outcome)?;
        }
        if self.gradual.is_none() {
            self.yield_pods();
        }
        if let Some(plan) = carried.filter(|_| !outcome.crashed && self.is_as(&seen)) {
            let failure = outcome.not_done.first().cloned();
            // A status that is not written is written by the next pass.
            let _ = self
                .write_mishap(&mut outcome, |world| world.write_status(&plan, failure.as_deref()));
        }
        outcome.remembered = (self.status().memory, self.traces()) != before;
        match self.broken.take() {
            Some(law) => bail!(law),
            None => Ok(outcome),
        }
    }

    /// What was planned in the end; `None` where what has to come first could not be written.
    fn carry_out(
        &mut self,
        mut plan: Plan,
        seen: &mut Seen,
        outcome: &mut Outcome,
    ) -> Result<Option<Plan>> {
        self.remember();
        while let Some(first) = self.comes_first(&plan, seen) {
            let written = self.write_mishap(outcome, |world| world.write_first(first, &plan, seen));
            if written.and_then(|answer| answer).is_err() {
                return Ok(None);
            }
            plan = self.plan()?;
            *seen = self.seen();
        }
        let failed = self.harmless(&plan, outcome);
        if self.cluster.metadata.generation == seen.generation {
            self.destructive(&plan, &failed, outcome)?;
        }
        Ok(Some(plan))
    }

    /// One write, and what befalls the operator at it: what it hears of it.
    fn write_mishap<T>(
        &mut self,
        outcome: &mut Outcome,
        write: impl FnOnce(&mut World) -> T,
    ) -> Result<T, Refused> {
        let met = match &mut self.mishap {
            Some((0, _)) => self.mishap.take().map(|(_, mishap)| mishap),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        let done = match met {
            Some(Mishap::Refused | Mishap::CrashBefore) => None,
            None | Some(Mishap::CrashAfter | Mishap::LostReply) => Some(write(self)),
        };
        outcome.crashed |= matches!(met, Some(Mishap::CrashBefore | Mishap::CrashAfter));
        done.filter(|_| met.is_none()).ok_or(Refused::Silence)
    }

    /// Stops after a stage with a failure that holds back whatever comes later. What failures hold
    /// back; the end of the operator all.
    fn harmless(&mut self, plan: &Plan, outcome: &mut Outcome) -> Vec<HeldBack> {
        let mut failed = Vec::new();
        let mut stages: BTreeMap<u8, Vec<&Action>> = BTreeMap::new();
        for action in plan.actions.iter().filter(|action| !action.is_destructive()) {
            stages.entry(action.stage()).or_default().push(action);
        }
        for actions in stages.into_values() {
            for action in actions {
                let text = action.describe();
                let heard = self.write_mishap(outcome, |world| world.write(action));
                if outcome.crashed {
                    return vec![HeldBack::Everything];
                }
                match heard.and_then(|answer| answer) {
                    Ok(()) => outcome.did(action, text),
                    Err(refused) => {
                        self.note_stranger(action, &refused);
                        outcome.not_done.push(format!("{text}: {refused}"));
                        failed.push(action.holds_back());
                    }
                }
            }
            if failed.contains(&HeldBack::Everything) {
                break;
            }
        }
        failed
    }

    fn note_stranger(&mut self, action: &Action, refused: &Refused) {
        let object = match action {
            Action::NewIdentity { object, .. }
            | Action::IssueAuthority { object, .. }
            | Action::Create(object) => object,
            Action::IssueLeaf(leaf) => &leaf.object,
            _ => return,
        };
        if *refused == Refused::Taken {
            self.strangers.insert((object.kind, object.name.clone()));
        }
    }

    fn write(&mut self, action: &Action) -> Result<(), Refused> {
        match action {
            Action::NewIdentity { object, voters } => self.new_identity(object, voters),
            Action::IssueAuthority { object, common_name } => {
                self.create(object)?;
                let certificate = self.new_authority(common_name);
                let signer = certificate.serial.clone();
                let trusted = BTreeMap::from([(signer.clone(), pem(&certificate))]);
                self.trust = Trust { trusted, ..Trust::default() };
                if let Some(secret) = self.store.get(Kind::Secret, &object.name) {
                    self.certificates.insert(secret.uid.clone(), Issued { certificate, signer });
                }
                Ok(())
            }
            Action::IssueLeaf(leaf) => self.issue_leaf(leaf),
            Action::Create(object) => self.create(object),
            Action::Apply(rewrite) => {
                self.store.apply(&rewrite.object, &rewrite.target)?;
                self.note_publication();
                if rewrite.object.kind == Kind::PersistentVolumeClaim {
                    self.claim_changed();
                }
                Ok(())
            }
            Action::RecordDisks { target, disks } => {
                self.change_disks(target, |all| all.extend(disks.clone()))
            }
            Action::RecordQuorum { target, record } => self.record_quorum(target, record),
            Action::ForgetDisks { target, disks } => self.forget_disks(target, disks),
            Action::AlterConfig(changes) => self.alter_config(changes),
            Action::Throttle(throttle) => self.throttle(throttle),
            Action::CordonDisks { broker, folders, of_gone: true } => {
                self.cordon_disks(*broker, folders);
                Ok(())
            }
            Action::Cordon { broker, cordoned: false } => {
                self.cordon(*broker, false);
                Ok(())
            }
            Action::ElectLeaders(partitions) => {
                self.elect(partitions);
                Ok(())
            }
            Action::Format(_)
            | Action::RestartPod(_)
            | Action::Delete(_)
            | Action::Reassign(_)
            | Action::Cordon { cordoned: true, .. }
            | Action::CordonDisks { of_gone: false, .. }
            | Action::MoveReplicas(_)
            | Action::Unregister(_)
            | Action::AddVoter(_)
            | Action::RemoveVoter(_)
            | Action::UnregisterController(_)
            | Action::RenewAuthority(_)
            | Action::RaiseFeature(_) => Ok(()),
        }
    }

    fn create(&mut self, object: &Object) -> Result<(), Refused> {
        self.store.create(object, object.tree(), self.now.as_second())?;
        if object.kind == Kind::PersistentVolumeClaim {
            self.disks.entry(object.name.clone()).or_insert(Disk::Empty);
        }
        if object.kind == Kind::StatefulSet && self.is_of_former_controller(&object.name) {
            self.happened.insert("a controller that left runs again");
        }
        self.note_publication();
        Ok(())
    }

    fn new_identity(&mut self, object: &Object, voters: &[i32]) -> Result<(), Refused> {
        let directories: BTreeMap<i32, String> =
            voters.iter().map(|id| (*id, format!("directory-of-{id}"))).collect();
        let mut tree = object.tree();
        tree["data"] = json!({
            CLUSTER_ID: format!("cluster-id-{}", self.store.number()),
            VOTERS: serde_json::to_string(&directories).unwrap_or_default(),
            DISKS: "{}",
        });
        self.store.create(object, tree, self.now.as_second())
    }

    fn issue_leaf(&mut self, leaf: &Leaf) -> Result<(), Refused> {
        match &leaf.replaces {
            Some(target) => self.store.expect(Kind::Secret, target)?,
            None => self.create(&leaf.object)?,
        }
        self.issue(&leaf.object.name, &leaf.common_name, &leaf.dns_names, LEAF_LIFE_SECONDS);
        Ok(())
    }

    fn issue(&mut self, secret: &str, common_name: &str, dns_names: &[String], life_seconds: i64) {
        let serial = self.store.number().to_string();
        let names = self.names();
        let authority = self.store.get(Kind::Secret, &names.authority());
        let authority = authority.and_then(|secret| self.certificates.get(&secret.uid));
        let signer = authority.map_or(serial.clone(), |found| found.certificate.serial.clone());
        let certificate = Certificate {
            serial,
            expires_at_seconds: self.now.as_second() + life_seconds,
            common_name: common_name.to_owned(),
            dns_names: dns_names.iter().cloned().collect(),
            trusted: true,
            is_of_trusted_authority: true,
            authorities: self.trust.trusted.keys().cloned().collect(),
        };
        if let Some(secret) = self.store.get(Kind::Secret, secret) {
            self.certificates.insert(secret.uid.clone(), Issued { certificate, signer });
        }
    }

    /// Each is judged as the guard does: by the laws' own predicate, on a fresh observation.
    fn destructive(
        &mut self,
        plan: &Plan,
        failed: &[HeldBack],
        outcome: &mut Outcome,
    ) -> Result<()> {
        let Ok(desired) = self.desired() else { return Ok(()) };
        let held = |action: &Action| failed.iter().any(|held| held.holds(action));
        let due: Vec<&Action> =
            plan.actions.iter().filter(|one| one.is_destructive() && !held(one)).collect();
        if due.is_empty() {
            return Ok(());
        }
        let fresh = self.observe();
        for action in due {
            let text = action.describe();
            if let Err(violation) = check::permit(action, &desired, &fresh) {
                outcome.not_done.push(format!("{text}: {} {}", violation.law, violation.sentence));
                continue;
            }
            let heard = self.destroy(action, outcome)?;
            if outcome.crashed {
                return Ok(());
            }
            match heard {
                Ok(()) => outcome.did(action, text),
                Err(refused) => outcome.not_done.push(format!("{text}: {refused}")),
            }
        }
        Ok(())
    }

    /// The first of the two writes that some actions are: a StatefulSet before its pod is deleted, a
    /// limit before a move, a cordon gone before a registration, a registration before what is on record of it.
    fn first_write(&mut self, action: &Action) -> Result<(), Refused> {
        match action {
            Action::RestartPod(RestartPod { set: Some(set), .. }) => {
                self.store.apply(&set.object, &set.target)
            }
            Action::Reassign(reassign) => self.throttle(&reassign.limit),
            Action::Unregister(Unregister { broker, uncordon: true }) => {
                self.cordon(*broker, false);
                Ok(())
            }
            Action::UnregisterController(unregister) => self.unregister_controller(unregister.id),
            _ => Ok(()),
        }
    }

    /// What the operator hears of it, and a broken law.
    fn destroy(&mut self, action: &Action, outcome: &mut Outcome) -> Result<Result<(), Refused>> {
        let is_twofold = matches!(
            action,
            Action::RestartPod(RestartPod { set: Some(_), .. })
                | Action::Reassign(_)
                | Action::Unregister(Unregister { uncordon: true, .. })
                | Action::UnregisterController(_)
        );
        if is_twofold {
            let first = self
                .write_mishap(outcome, |world| world.first_write(action))
                .and_then(|answer| answer);
            if first.is_err() {
                return Ok(first);
            }
        }
        // A law that is broken is broken, whatever the operator hears.
        let (mut held, mut answer) = (Ok(()), Ok(()));
        let heard = self.write_mishap(outcome, |world| {
            held = match action {
                Action::Format(format) => world.format(format),
                Action::RestartPod(restart) => world.restart(restart),
                Action::Delete(delete) => world.take_away(delete),
                Action::Reassign(reassign) => world.reassign(reassign),
                Action::Cordon { broker, .. } => {
                    world.cordon(*broker, true);
                    Ok(())
                }
                Action::CordonDisks { broker, folders, .. } => {
                    world.cordon_disks(*broker, folders);
                    Ok(())
                }
                Action::MoveReplicas(moves) => world.move_replicas(moves),
                Action::Unregister(unregister) => world.unregister(unregister.broker),
                Action::RaiseFeature(raise) => world.raise_feature(raise),
                Action::RenewAuthority(renew) => {
                    world.renew_authority(renew).map(|said| answer = said)
                }
                Action::UnregisterController(unregister) => {
                    answer = world.record_quorum(&unregister.target, &unregister.record);
                    Ok(())
                }
                Action::AddVoter(change) => world.add_voter(change).map(|said| answer = said),
                Action::RemoveVoter(change) => world.remove_voter(change).map(|said| answer = said),
                _ => Ok(()),
            };
        });
        held.map(|()| heard.and(answer))
    }

    /// The pod is told to end. Holds S2: no partition that could be kept available loses an in-sync
    /// replica that it needs.
    fn restart(&mut self, restart: &RestartPod) -> Result<()> {
        if restart.is_of_idle_node {
            self.end_pod(restart.node_id);
            return Ok(());
        }
        self.hold_one_disruption(restart.node_id)?;
        self.hold_order(restart.node_id)?;
        // One whose disk was lost has no vote to lose.
        let voted = self.is_voting(restart.node_id);
        let before = self.available();
        self.end_pod(restart.node_id);
        let lost: Vec<usize> = before.difference(&self.available()).copied().collect();
        if !lost.is_empty() {
            bail!("S2: the restart of node {} took partitions {lost:?}", restart.node_id);
        }
        if voted { self.hold_quorum(restart.node_id) } else { Ok(()) }
    }
}
