//! Every decision of the agent: a pure function from what it knows and what has happened to what it
//! knows then and what is to be done. No clock, no process, no file: `agent.rs` has those.

pub(crate) mod format;
pub(crate) mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ottla_crds::agent::{FormatRequest, InSync, NodeDocument, QuorumRole};

use crate::disks::Disk;
use crate::disks::verdict::{Verdict, judge};
use crate::process::Exit;
use crate::role::Roles;
use crate::tls::Leaf;
use format::FormatAnswer;

/// Pause between looks at the disks while the node waits for them.
pub(crate) const WAITING_LOOK_SECONDS: u64 = 1;
/// Pause between looks while the JVM runs, when they serve only the figures in `/status`.
pub(crate) const RUNNING_LOOK_SECONDS: u64 = 30;

/// The longest that a controller holds on for brokers that are stopping, as long as that leaves it
/// half of its own time. A broker that has not left by then has a trouble of its own.
const HOLD_SECONDS_MAX: u64 = 120;

/// What the agent knows.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// What the node is to be.
    pub(crate) node: Arc<NodeDocument>,
    /// The release of Kafka in the image, where the image says it.
    pub(crate) image_release: Option<String>,
    /// The disks at the last look; empty before the first.
    pub(crate) disks: Vec<Disk>,
    /// What the agent is doing.
    pub(crate) phase: Phase,
    /// Why the last format failed, until one succeeds.
    pub(crate) format_failure: Option<String>,
}

/// What the agent is doing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Phase {
    /// The first look at the disks is under way.
    Looking,
    /// The disks must not be used as they are.
    Refused {
        /// A sentence for people.
        reason: String,
    },
    /// Some volumes wait for the operator's word.
    AwaitingFormat {
        /// Which.
        volumes: Vec<String>,
        /// A sentence for people.
        reason: String,
    },
    /// `StorageTool` runs.
    Formatting {
        /// The operator's word.
        request: FormatRequest,
    },
    /// The JVM runs.
    Up(Jvm),
    /// The agent was told to stop, and a process of its own still runs.
    Stopping {
        /// The JVM; none while a format comes to its end.
        jvm: Option<Jvm>,
        /// Whether it was killed because it took too long.
        killed: bool,
    },
    /// The agent is about to exit.
    Ended,
}

/// The JVM that runs.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Jvm {
    /// When it was started.
    pub(crate) started_at_seconds: i64,
    /// The certificate that it read.
    pub(crate) certificate: Leaf,
    /// What is known of Kafka in it.
    pub(crate) view: View,
    /// Whether it was ever seen in sync.
    pub(crate) seen_in_sync: bool,
}

/// What Kafka says about this node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    /// Whether it serves: registered and unfenced, or part of the quorum.
    pub(crate) serving: bool,
    /// Whether it is in sync and caught up.
    pub(crate) in_sync: InSync,
    /// Logs left to recover.
    pub(crate) logs_to_recover: u64,
    /// Volumes that Kafka took offline.
    pub(crate) offline_volumes: Vec<String>,
    /// Place in the quorum.
    pub(crate) quorum_role: Option<QuorumRole>,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// The disks were looked at.
    Looked(Vec<Disk>),
    /// The operator asks for a format.
    FormatAsked(FormatRequest),
    /// The format came to an end, and the disks were looked at afterwards.
    FormatEnded {
        /// A sentence when it failed.
        result: Result<(), String>,
        /// What is on the disks now.
        disks: Vec<Disk>,
    },
    /// The JVM was started.
    JvmStarted {
        /// When.
        at_seconds: i64,
        /// Its certificate.
        certificate: Leaf,
    },
    /// There is no process: it could not be started.
    JvmNotStarted,
    /// The JVM is gone.
    JvmEnded(Exit),
    /// Kafka was asked.
    Probed(View),
    /// The agent was told to stop.
    StopAsked,
    /// The brokers that this controller held on for are done, or the wait has lasted long enough.
    HoldEnded,
    /// The time allowed for stopping is over.
    DeadlinePassed,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// Look at the disks after this many seconds.
    Look {
        /// The pause.
        after_seconds: u64,
    },
    /// Answer the operator's request.
    Answer(FormatAnswer),
    /// Run `StorageTool`.
    Format(FormatRequest),
    /// Start the JVM and ask Kafka from then on.
    StartJvm,
    /// Report `HoldEnded` once no broker is shutting down any more, or after so many seconds.
    Hold {
        /// The longest that it may last.
        seconds: u64,
    },
    /// Send the running process SIGTERM.
    Terminate,
    /// Send the running process SIGKILL.
    Kill,
    /// Report `DeadlinePassed` after this many seconds.
    ArmDeadline {
        /// How long the process may take.
        seconds: u64,
    },
    /// End the agent with this exit code.
    Exit(u8),
}

impl State {
    /// An agent that has seen nothing yet.
    pub(crate) fn new(node: Arc<NodeDocument>, image_release: Option<String>) -> Self {
        let (disks, phase) = (Vec::new(), Phase::Looking);
        Self { node, image_release, disks, phase, format_failure: None }
    }

    /// The next state, and what to do.
    pub(crate) fn step(mut self, event: Event) -> (Self, Vec<Command>) {
        let commands = match event {
            Event::Looked(disks) => self.looked(disks),
            Event::FormatAsked(request) => self.format_asked(request),
            Event::FormatEnded { result, disks } => self.format_ended(result, disks),
            Event::JvmStarted { at_seconds, certificate } => {
                if let Phase::Up(jvm) = &mut self.phase {
                    jvm.started_at_seconds = at_seconds;
                    jvm.certificate = certificate;
                }
                Vec::new()
            }
            Event::JvmNotStarted => self.exit(1),
            Event::JvmEnded(exit) => self.jvm_ended(exit),
            Event::Probed(view) => self.probed(view),
            Event::StopAsked => self.stop_asked(),
            Event::HoldEnded => match self.phase {
                Phase::Stopping { jvm: Some(_), killed: false } => vec![Command::Terminate],
                _ => Vec::new(),
            },
            Event::DeadlinePassed => self.deadline_passed(),
        };
        (self, commands)
    }

    fn looked(&mut self, disks: Vec<Disk>) -> Vec<Command> {
        self.disks = disks;
        let mut commands = match self.phase {
            Phase::Looking | Phase::Refused { .. } | Phase::AwaitingFormat { .. } => self.settle(),
            _ => Vec::new(),
        };
        let after_seconds = match self.phase {
            Phase::Up(_) => RUNNING_LOOK_SECONDS,
            _ => WAITING_LOOK_SECONDS,
        };
        commands.push(Command::Look { after_seconds });
        commands
    }

    /// Takes the phase that follows from the image and the disks.
    fn settle(&mut self) -> Vec<Command> {
        if let Some(reason) = self.wrong_image() {
            self.phase = Phase::Refused { reason };
            return Vec::new();
        }
        match judge(&self.node, &self.disks) {
            Verdict::Refused(reason) => self.phase = Phase::Refused { reason },
            Verdict::Unformatted { volumes, reason } => {
                self.phase = Phase::AwaitingFormat { volumes, reason };
            }
            Verdict::Ours => {
                self.phase = Phase::Up(Jvm::default());
                return vec![Command::StartJvm];
            }
        }
        Vec::new()
    }

    /// Another release than is meant might write to the disks what that one cannot read.
    fn wrong_image(&self) -> Option<String> {
        let (found, wanted) = (self.image_release.as_ref()?, &self.node.kafka_version);
        (found != wanted).then(|| format!("the image holds Kafka {found} and not {wanted}"))
    }

    fn format_asked(&mut self, request: FormatRequest) -> Vec<Command> {
        let answer = format::answer(self, &request);
        if answer != FormatAnswer::Accepted {
            return vec![Command::Answer(answer)];
        }
        self.phase = Phase::Formatting { request: request.clone() };
        vec![Command::Answer(answer), Command::Format(request)]
    }

    fn format_ended(&mut self, result: Result<(), String>, disks: Vec<Disk>) -> Vec<Command> {
        self.disks = disks;
        self.format_failure = result.err();
        match self.phase {
            Phase::Formatting { .. } => self.settle(),
            Phase::Stopping { .. } => self.exit(0),
            _ => Vec::new(),
        }
    }

    fn probed(&mut self, view: View) -> Vec<Command> {
        if let Phase::Up(jvm) | Phase::Stopping { jvm: Some(jvm), .. } = &mut self.phase {
            jvm.seen_in_sync |= view.in_sync == InSync::Yes;
            jvm.view = view;
        }
        Vec::new()
    }

    fn stop_asked(&mut self) -> Vec<Command> {
        let seconds = self.node.shutdown_seconds;
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Looking | Phase::Refused { .. } | Phase::AwaitingFormat { .. } => self.exit(0),
            Phase::Formatting { .. } => {
                self.phase = Phase::Stopping { jvm: None, killed: false };
                vec![Command::ArmDeadline { seconds }]
            }
            Phase::Up(jvm) => {
                self.phase = Phase::Stopping { jvm: Some(jvm), killed: false };
                let roles = Roles::of(&self.node);
                let hold = Command::Hold { seconds: HOLD_SECONDS_MAX.min(seconds / 2) };
                let first = if roles.broker { Command::Terminate } else { hold };
                vec![first, Command::ArmDeadline { seconds }]
            }
            stopping @ (Phase::Stopping { .. } | Phase::Ended) => {
                self.phase = stopping;
                Vec::new()
            }
        }
    }

    fn deadline_passed(&mut self) -> Vec<Command> {
        match &mut self.phase {
            Phase::Stopping { killed, .. } if !*killed => {
                *killed = true;
                vec![Command::Kill]
            }
            _ => Vec::new(),
        }
    }

    /// The JVM's end is the agent's end. A JVM that ends by the SIGTERM it was sent has stopped
    /// cleanly, which Java reports as 143 and Kubernetes expects as 0.
    fn jvm_ended(&mut self, exit: Exit) -> Vec<Command> {
        let asked = matches!(self.phase, Phase::Stopping { killed: false, .. });
        let code = if asked && exit.is_terminated() { 0 } else { exit.code() };
        self.exit(code)
    }

    fn exit(&mut self, code: u8) -> Vec<Command> {
        self.phase = Phase::Ended;
        vec![Command::Exit(code)]
    }
}

impl Default for View {
    fn default() -> Self {
        Self {
            serving: false,
            in_sync: InSync::Unknown { reason: "Kafka was not asked yet".to_owned() },
            logs_to_recover: 0,
            offline_volumes: Vec::new(),
            quorum_role: None,
        }
    }
}
