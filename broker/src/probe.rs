//! Asks this node's own Kafka how it is, often until it is in sync and seldom afterwards.
//! `replicas` and `quorum` judge the answers, and are pure.

pub(crate) mod metrics;
pub(crate) mod quorum;
pub(crate) mod replicas;

use std::sync::Arc;
use std::time::Duration;

use ottla_crds::agent::{InSync, QuorumRole};
use ottla_kafka::{Cluster, Endpoint, Error, Options, Quorum};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};

use crate::agent::Message;
use crate::args::Args;
use crate::node::Node;
use crate::role::Roles;
use crate::sentence::chain;
use crate::supervisor::{Event, View};
use crate::tls::Identity;
use metrics::Metrics;
use quorum::FetchWatch;

/// Pause between questions until the node is in sync: it is part of the time to Ready.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// A large cluster takes long to answer, and is asked again only after a pause as long as its
/// answer took, up to this.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Pause after a refusal. A controller that has not heard of a leader refuses, and each time writes
/// an error into its log.
const PAUSE_REFUSED: Duration = Duration::from_secs(1);
/// Pause between questions afterwards, when they serve only the figures in `/status`.
const PAUSE_AT_REST: Duration = Duration::from_secs(10);
/// Pause between looks at the metrics until the node is in sync.
const METRICS_PAUSE: Duration = Duration::from_secs(2);
/// A start that is over sooner is not held up by them: the first look takes a busy JVM half a
/// second.
const METRICS_AFTER: Duration = Duration::from_secs(15);
/// So many questions about the quorum may go without an answer, as during an election.
const UNANSWERED_MAX: u32 = 2;
/// The first limit of a question. While nobody listens it ends the client's own retries, whose
/// pauses grow; it doubles whenever Kafka listens and takes longer.
const PATIENCE_MIN: Duration = Duration::from_millis(400);
/// The longest limit of a question.
const PATIENCE_MAX: Duration = Duration::from_secs(20);

/// Ports of the node's own listeners.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    controller: u16,
    replication: u16,
    /// Of the JMX agent.
    pub(crate) metrics: u16,
}

impl Ports {
    /// The ports that the command line gives.
    pub(crate) fn of(args: &Args) -> Self {
        Self {
            controller: args.controller_port,
            replication: args.replication_port,
            metrics: args.metrics_port,
        }
    }
}

/// What one side of Kafka, broker or controller, says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// Whether it serves.
    pub(crate) serving: bool,
    /// Whether it is where it should be.
    pub(crate) in_sync: InSync,
}

impl Answer {
    /// It serves and is not there yet.
    pub(crate) fn waits(waiting_on: String) -> Self {
        Self { serving: true, in_sync: InSync::No { waiting_on } }
    }

    fn silent(reason: String) -> Self {
        Self { serving: false, in_sync: InSync::Unknown { reason } }
    }
}

/// Asks in a task of its own, about a JVM that is about to start with these certificates. Should a
/// defect end the questions, they begin anew.
pub(crate) fn start(
    node: Arc<Node>,
    identity: Identity,
    ports: Ports,
    messages: mpsc::Sender<Message>,
) -> Result<AbortHandle, Error> {
    let mut prober = Prober::new(&node, &identity, ports)?;
    let task = tokio::spawn(async move {
        let mut round = JoinSet::new();
        loop {
            round.spawn(prober.run(messages.clone()));
            if matches!(round.join_next().await, Some(Ok(())) | None) {
                return;
            }
            sleep(PAUSE_AT_REST).await;
            prober = match Prober::new(&node, &identity, ports) {
                Ok(prober) => prober,
                Err(error) => return tracing::error!("cannot ask Kafka: {}", chain(&error)),
            };
        }
    });
    Ok(task.abort_handle())
}

/// Asks for as long as one JVM lives.
struct Prober {
    node: Arc<Node>,
    ports: Ports,
    broker: Option<Side>,
    controller: Option<Side>,
    /// Only where the controller is on its own. In a colocated node the broker and the controller
    /// share one copy of the metadata log, and a broker is let in when that copy has caught up.
    fetches: Option<FetchWatch>,
    quorum_role: Option<QuorumRole>,
    /// How many questions about the quorum in a row were not answered.
    unanswered: u32,
    metrics: Metrics,
    metrics_at: Option<Instant>,
    began: Instant,
}

/// The broker or the controller in this node.
struct Side {
    kafka: Cluster,
    what: &'static str,
    patience: Duration,
    /// Whether it said that it cannot answer yet.
    refused: bool,
    last: Answer,
}

impl Prober {
    fn new(node: &Arc<Node>, identity: &Identity, ports: Ports) -> Result<Self, Error> {
        let options = Options { client_id: "ottla-broker".to_owned(), ..Options::default() };
        let at = |port| vec![Endpoint::new(node.document.hostname.clone(), port)];
        let roles = Roles::of(&node.document);
        let security = identity.security();
        let broker = Cluster::new(at(ports.replication), &security, options.clone())?;
        // A broker passes questions about the quorum on to its leader, and answers only once there
        // is one. Controllers that have not heard of a leader write an error into their log.
        let controller = match roles.broker {
            true => broker.clone(),
            false => Cluster::via_controllers(at(ports.controller), &security, options)?,
        };
        Ok(Self {
            node: Arc::clone(node),
            ports,
            broker: roles.broker.then(|| Side::new(broker, "broker")),
            controller: roles.controller.then(|| Side::new(controller, "controller")),
            fetches: (!roles.broker).then(FetchWatch::default),
            quorum_role: None,
            unanswered: 0,
            metrics: Metrics::default(),
            metrics_at: None,
            began: Instant::now(),
        })
    }

    async fn run(mut self, messages: mpsc::Sender<Message>) {
        let mut told = None;
        loop {
            let began = Instant::now();
            self.ask().await;
            let took = began.elapsed();
            let at_rest = self.together().1 == InSync::Yes;
            // Nobody waits for the metrics to hear that the node is in sync.
            let heard = self.tell(&mut told, &messages).await
                && (!self.look_at_metrics(at_rest).await || self.tell(&mut told, &messages).await);
            if !heard {
                return;
            }
            sleep(self.pause(took)).await;
        }
    }

    /// Reports what is known, if that is news. Returns whether there is anybody to hear it.
    async fn tell(&self, told: &mut Option<View>, messages: &mpsc::Sender<Message>) -> bool {
        let view = self.view();
        if told.as_ref() == Some(&view) {
            return true;
        }
        *told = Some(view.clone());
        messages.send(Message::Event(Event::Probed(view))).await.is_ok()
    }

    fn pause(&self, took: Duration) -> Duration {
        let (serving, in_sync) = self.together();
        if self.sides().any(|side| side.refused) {
            return PAUSE_REFUSED;
        }
        pause(in_sync == InSync::Yes, serving, took)
    }

    fn sides(&self) -> impl Iterator<Item = &Side> {
        [&self.broker, &self.controller].into_iter().flatten()
    }

    /// Both sides as one.
    fn together(&self) -> (bool, InSync) {
        together(&self.sides().map(|side| &side.last).collect::<Vec<_>>())
    }

    /// One round of questions.
    async fn ask(&mut self) {
        let me = self.node.document.node_id;
        if let Some(broker) = &mut self.broker {
            broker.ask_for_replicas(me).await;
        }
        match &mut self.controller {
            Some(controller) if self.broker.as_ref().is_none_or(|broker| broker.last.serving) => {
                let quorum = controller.ask_for_quorum(me, self.fetches.as_mut()).await;
                self.note_role(quorum.map(|quorum| quorum::role(&quorum, me)));
            }
            _ => {}
        }
    }

    /// One answer that does not come says nothing; after several the role is unknown.
    fn note_role(&mut self, answer: Option<Option<QuorumRole>>) {
        self.unanswered = if answer.is_some() { 0 } else { self.unanswered.saturating_add(1) };
        match answer {
            Some(role) => self.quorum_role = role,
            None if self.unanswered > UNANSWERED_MAX => self.quorum_role = None,
            None => {}
        }
    }

    /// What is known now.
    fn view(&self) -> View {
        let (serving, in_sync) = self.together();
        View {
            serving,
            in_sync,
            logs_to_recover: self.metrics.logs_to_recover(),
            offline_volumes: self.metrics.offline_volumes(&self.node.volumes),
            quorum_role: self.quorum_role,
        }
    }

    /// Looks at the metrics now and then; where there are none the last ones stay. Returns whether
    /// it looked.
    async fn look_at_metrics(&mut self, at_rest: bool) -> bool {
        let pause = if at_rest { PAUSE_AT_REST } else { METRICS_PAUSE };
        let too_soon = !at_rest && self.began.elapsed() < METRICS_AFTER;
        if too_soon || self.metrics_at.is_some_and(|at| at.elapsed() < pause) {
            return false;
        }
        self.metrics_at = Some(Instant::now());
        match Metrics::scrape(self.ports.metrics).await {
            Ok(metrics) => self.metrics = metrics,
            Err(error) => tracing::debug!("no metrics: {error}"),
        }
        true
    }
}

/// The pause after a round of questions. While Kafka does not serve, the time went by waiting for
/// it and cost nobody anything.
fn pause(at_rest: bool, serving: bool, took: Duration) -> Duration {
    match (at_rest, serving) {
        (true, _) => PAUSE_AT_REST,
        (false, true) => took.clamp(PAUSE_MIN, PAUSE_MAX),
        (false, false) => PAUSE_MIN,
    }
}

impl Side {
    fn new(kafka: Cluster, what: &'static str) -> Self {
        let last = Answer::silent(format!("the {what} was not asked yet"));
        Self { kafka, what, patience: PATIENCE_MIN, refused: false, last }
    }

    /// The cluster, under the limit that it gets now.
    fn cluster(&self) -> Cluster {
        self.kafka.within(self.patience)
    }

    fn is_in_sync(&self) -> bool {
        self.last.in_sync == InSync::Yes
    }

    /// Asks the broker until it was once in sync; this start's answer then stays.
    async fn ask_for_replicas(&mut self, me: i32) {
        if !self.is_in_sync() {
            let answer = replicas::ask(&self.cluster(), me).await;
            self.keep(answer.as_ref().map(Clone::clone));
        }
    }

    /// Asks the controller. Once it was caught up, only its role is of interest.
    async fn ask_for_quorum(
        &mut self,
        me: i32,
        fetches: Option<&mut FetchWatch>,
    ) -> Option<Quorum> {
        let quorum = self.cluster().describe_quorum().await;
        let answer = quorum.as_ref().map(|quorum| match fetches {
            Some(fetches) => fetches.judge(quorum, me),
            None => quorum::membership(quorum, me),
        });
        if !self.is_in_sync() {
            self.keep(answer);
        }
        quorum.ok()
    }

    /// Keeps the answer. Not to be able to ask is neither yes nor no.
    fn keep(&mut self, answer: Result<Answer, &Error>) {
        self.refused = matches!(answer, Err(Error::Refused { .. }));
        self.last = answer.unwrap_or_else(|error| {
            if !matches!(error, Error::Connect { .. }) {
                self.patience = (self.patience * 2).min(PATIENCE_MAX);
            }
            tracing::debug!("the {} does not answer: {}", self.what, chain(error));
            Answer::silent(format!("the {} does not answer yet", self.what))
        });
    }
}

/// Both sides as one: it serves when all serve, and is in sync when all are.
fn together(sides: &[&Answer]) -> (bool, InSync) {
    let serving = sides.iter().all(|side| side.serving);
    let in_sync = sides.iter().map(|side| &side.in_sync).find(|in_sync| **in_sync != InSync::Yes);
    (serving, in_sync.cloned().unwrap_or(InSync::Yes))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ottla_crds::agent::InSync;

    use super::{Answer, pause, together};

    #[test]
    fn slow_answers_are_asked_for_less_often() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(false, false, seconds(9)), Duration::from_millis(200));
        assert_eq!(pause(false, true, Duration::from_millis(9)), Duration::from_millis(200));
        assert_eq!(pause(false, true, seconds(1)), seconds(1));
        assert_eq!(pause(false, true, seconds(9)), seconds(5));
        assert_eq!(pause(true, true, seconds(1)), seconds(10));
    }

    #[test]
    fn both_roles_have_to_be_there() {
        let yes = Answer { serving: true, in_sync: InSync::Yes };
        let no = Answer::waits("partition a-0".to_owned());
        let unknown = Answer::silent("refused".to_owned());
        assert_eq!(together(&[&yes]), (true, InSync::Yes));
        assert_eq!(together(&[&yes, &yes]), (true, InSync::Yes));
        assert_eq!(together(&[&no, &yes]), (true, no.in_sync.clone()));
        assert_eq!(together(&[&yes, &unknown]), (false, unknown.in_sync.clone()));
    }
}
