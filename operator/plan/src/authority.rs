//! Another CA, in three steps that each end with a roll, because Kafka's Raft client reads what it trusts
//! only at a start (KAFKA-20025): every node trusts both, every node has a certificate of the new one, and
//! nobody trusts the former any more. Each step is read from what each JVM was started with.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::action::{Action, AuthorityStep, RenewAuthority, Target};
use crate::certificate::AUTHORITY_LIFE_SECONDS;
use crate::desired::Desired;
use crate::node::Node;
use crate::object::Kind;
use crate::observed::{Authority, Certificate, Observed};
use crate::report::{Progress, WaitingOn};
use crate::{roll, upgrade};

/// A CA is renewed when a fifth of its life is left: two years in which the operator may be down.
pub const RENEWAL_BEFORE_EXPIRY_SECONDS: i64 = AUTHORITY_LIFE_SECONDS / 5;

/// How long clients have at least to read a new CA before brokers show certificates of it. Kubernetes takes up to
/// a minute and a half to bring a changed ConfigMap to the pods that mount it, and a roll of a small cluster less.
pub const CLIENTS_LEARN_SECONDS: i64 = 120;

/// What a renewal comes to in one pass.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) action: Option<Action>,
    pub(crate) waiting_on: Option<WaitingOn>,
    /// How many of the three steps every node has taken.
    pub(crate) progress: Option<Progress>,
}

impl Steps {
    fn says(done: usize, waiting_on: WaitingOn) -> Steps {
        let progress = Progress { since: None, done, of: STEPS };
        Steps { action: None, waiting_on: Some(waiting_on), progress: Some(progress) }
    }

    fn renews(done: usize, what: &str) -> Steps {
        let detail = format!("the CA is renewed, {what}");
        Steps::says(done, WaitingOn::RenewingAuthority { detail })
    }
}

/// All trust both CAs, all have a certificate of the new one, nobody trusts the former one.
const STEPS: usize = 3;

/// The next step of a renewal, if one is under way or should be.
pub(crate) fn plan(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    now: Timestamp,
) -> Steps {
    let Some(authority) = &observed.authority else { return Steps::default() };
    if let Some(detail) = broken(desired, observed, nodes, authority) {
        let waiting_on = WaitingOn::AuthorityBroken { detail };
        return Steps { waiting_on: Some(waiting_on), ..Steps::default() };
    }
    let Some(step) = next(desired, authority, now) else {
        let who = trusts_the_former(desired, observed, nodes, authority);
        let what = who.map(|who| format!("nobody is to trust the former one: {who} still does"));
        return what.map(|what| Steps::renews(STEPS - 1, &what)).unwrap_or_default();
    };
    let before = usize::from(step == AuthorityStep::Retire);
    if let Err(detail) = done(desired, observed, nodes, authority) {
        return Steps::renews(before, &format!("{}: {detail}", place(authority)));
    }
    if let Some(detail) = clients_learn(desired, observed, nodes, authority, now) {
        return Steps::says(before, WaitingOn::AuthorityPublished { detail });
    }
    let secret = observed.child(Kind::Secret, &desired.names.authority());
    let Some(secret) = secret.filter(|secret| secret.ours && !secret.terminating) else {
        return Steps::default();
    };
    let (over, what) = match step {
        AuthorityStep::Introduce { .. } => (0, "which is about to begin"),
        AuthorityStep::Switch => (1, "every node trusts the new one, which is about to sign"),
        AuthorityStep::Retire => {
            (2, "every node has a certificate of the new one: the former one is about to go")
        }
    };
    let target = Target::of(&desired.names.authority(), secret);
    let action = Action::RenewAuthority(RenewAuthority { target, step });
    Steps { action: Some(action), ..Steps::renews(over, what) }
}

/// Who still trusts a CA that is not trusted any more, if anybody does.
fn trusts_the_former(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    authority: &Authority,
) -> Option<String> {
    let has_more = |found: &Certificate| !found.authorities.is_subset(&authority.trusted);
    let told = observed.certificates.iter().filter(|(_, found)| has_more(found));
    let told: BTreeSet<&str> = told.map(|(name, _)| name.as_str()).collect();
    if told.contains(desired.names.operator().as_str()) {
        return Some("the operator".to_owned());
    }
    // At rest nobody was, and thousands of names are not made.
    let was_told =
        |node: &Node| !told.is_empty() && told.contains(desired.names.node(node).as_str());
    let trusts = |node: &&Node| {
        let jvm = observed.jvm(node.id);
        let mut serials = jvm.into_iter().flat_map(|jvm| &jvm.authority_serials);
        was_told(node) || serials.any(|one| !authority.trusted.contains(one))
    };
    nodes.iter().find(trusts).map(|node| format!("node {}", node.id))
}

/// Until when no broker shows a certificate of the new CA, if that is still to come. All nodes trust it already: it was
/// published before the first of them was restarted for that.
fn clients_learn(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    authority: &Authority,
    now: Timestamp,
) -> Option<String> {
    let started = nodes.iter().filter_map(|node| upgrade::started_at_seconds(observed, node));
    let first = started.min().unwrap_or_default();
    let published = authority.next.as_ref()?.made_at_seconds.max(first);
    let until = published + CLIENTS_LEARN_SECONDS;
    (now.as_second() < until).then(|| format!(
        "the CA is renewed: clients have until {} to read the new one from ConfigMap {}, before brokers get certificates of it",
        upgrade::clock(until),
        desired.names.authority()
    ))
}

/// Which step comes next; `None` where no renewal is under way and none is due.
pub(crate) fn next(
    desired: &Desired,
    authority: &Authority,
    now: Timestamp,
) -> Option<AuthorityStep> {
    if authority.next.is_some() {
        return Some(AuthorityStep::Switch);
    }
    if authority.trusted.len() > 1 {
        return Some(AuthorityStep::Retire);
    }
    let left = authority.signer.expires_at_seconds - now.as_second();
    let asked = desired.renew_authority.is_some() && desired.renew_authority != authority.word;
    (asked || left < RENEWAL_BEFORE_EXPIRY_SECONDS).then(|| AuthorityStep::Introduce {
        common_name: format!("{} {}", desired.names.authority(), now.strftime("%Y-%m-%d")),
        word: desired.renew_authority.clone().or_else(|| authority.word.clone()),
    })
}

/// Why the CA's Secret must not be followed, if so: somebody has put something else into it. Then nodes would
/// not let each other in.
pub(crate) fn broken(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    authority: &Authority,
) -> Option<String> {
    let name = desired.names.authority();
    let lacks = |serial: &String| !authority.trusted.contains(serial);
    if lacks(&authority.signer.serial)
        || authority.next.as_ref().is_some_and(|next| lacks(&next.serial))
    {
        return Some(format!(
            "ca.crt of Secret {name} lacks a CA that it holds itself: put it back as it was, tls.crt and, if there is one, next.crt into it"
        ));
    }
    let known = |found: &Certificate| found.is_of_trusted_authority;
    if observed.certificates.values().all(known) {
        return None;
    }
    // What is left of nodes that are gone may be older, and nobody runs with it.
    let names = nodes.iter().map(|node| desired.names.node(node));
    let mut names = names.chain([desired.names.operator()]);
    let unknown = |name: &String| observed.certificates.get(name).is_some_and(|one| !known(one));
    let unknown = names.find(unknown)?;
    Some(format!(
        "Secret {unknown} has a certificate of a CA that Secret {name} does not trust, as if that was restored from before a renewal: restore it as it was last, or delete Secret {unknown} if no node needs the other CA"
    ))
}

fn place(authority: &Authority) -> &'static str {
    match (&authority.next, authority.trusted.len()) {
        (Some(_), _) => "every node is to trust the new one",
        (None, 1) => "which is about to begin",
        (None, _) => "every node is to have a certificate of the new one",
    }
}

/// Whether every node runs with what the CA's Secret says now, and so does the operator.
pub(crate) fn done(
    desired: &Desired,
    observed: &Observed,
    nodes: &[Node],
    authority: &Authority,
) -> Result<(), String> {
    let fits = |name: &str| {
        let found = observed.certificates.get(name);
        found.is_some_and(|found| found.trusted && found.authorities == authority.trusted)
    };
    let published = observed.child(Kind::ConfigMap, &desired.names.authority());
    let published = published.and_then(|map| map.live.pointer("/data/ca.crt")?.as_str());
    if published != Some(authority.trusted_pem.as_str()) {
        return Err("clients have not been told of it yet".to_owned());
    }
    if !fits(&desired.names.operator()) {
        return Err("the operator has no certificate of it yet".to_owned());
    }
    for node in nodes {
        let name = desired.names.node(node);
        if !fits(&name) {
            return Err(format!("node {} has no certificate of it yet", node.id));
        }
        roll::is_well(observed, node).map_err(|hold| hold.to_string())?;
        if reason(observed, node, || name).is_some() {
            return Err(format!("node {} has not started since", node.id));
        }
        if observed.jvm(node.id).is_none_or(|jvm| jvm.authority_serials.is_empty()) {
            return Err(format!(
                "node {} does not say what it trusts, because its pod is of an earlier release: have it restarted by a new value of the annotation {}",
                node.id,
                crate::names::RESTART_ANNOTATION
            ));
        }
    }
    Ok(())
}

/// Why a node has to restart for another CA. Its Secret must be what it has to be before.
pub(crate) fn reason(
    observed: &Observed,
    node: &Node,
    secret: impl FnOnce() -> String,
) -> Option<String> {
    let authority = observed.authority.as_ref()?;
    let jvm = observed.jvm(node.id)?;
    let lacks = authority.trusted.iter().any(|serial| !jvm.authority_serials.contains(serial));
    let has_more = jvm.authority_serials.iter().any(|serial| !authority.trusted.contains(serial));
    let switched = authority.next.is_none() && authority.trusted.len() > 1;
    if jvm.authority_serials.is_empty() || !(lacks || has_more || switched) {
        return None;
    }
    let secret = observed.certificates.get(&secret())?;
    if !secret.trusted || secret.authorities != authority.trusted {
        return None;
    }
    let reason = match (lacks, has_more) {
        (true, _) => "it does not trust the new CA yet",
        (false, true) => "it still trusts the former CA",
        _ if jvm.certificate_serial != secret.serial => {
            "it runs with a certificate of the former CA"
        }
        _ => return None,
    };
    Some(reason.to_owned())
}
