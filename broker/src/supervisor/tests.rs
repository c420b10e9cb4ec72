//! Tables of the supervisor: what happens in which phase.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_crds::agent::{AgentState, FormatMode, FormatRequest, InSync, Role};

use super::format::FormatAnswer;
use super::{Command, Event, Phase, State, View};
use crate::disks::note::FormatNote;
use crate::disks::note::tests::note;
use crate::disks::verdict::tests::{disk, meta};
use crate::disks::{Content, Disk};
use crate::node::tests::document;
use crate::process::Exit;
use crate::tls::Leaf;

const LOOK: Command = Command::Look { after_seconds: 1 };
const DEADLINE: Command = Command::ArmDeadline { seconds: 330 };

fn new() -> State {
    State::new(Arc::new(document()), None)
}

fn ours() -> Vec<Disk> {
    vec![disk("d0", meta("clusterA", 3)), disk("d1", meta("clusterA", 3))]
}

fn one_empty() -> Vec<Disk> {
    vec![disk("d0", meta("clusterA", 3)), disk("d1", Content::Empty)]
}

fn foreign() -> Vec<Disk> {
    vec![disk("d0", meta("clusterB", 3)), disk("d1", Content::Empty)]
}

fn request(volumes: &[&str]) -> FormatRequest {
    FormatRequest {
        cluster_id: "clusterA".to_owned(),
        node_id: 3,
        volumes: volumes.iter().map(|&volume| volume.to_owned()).collect(),
        mode: FormatMode::NoInitialControllers,
        features: BTreeMap::new(),
    }
}

fn view(serving: bool, in_sync: InSync, logs_to_recover: u64) -> View {
    View { serving, in_sync, logs_to_recover, ..View::default() }
}

fn waits(sentence: &str) -> InSync {
    InSync::No { waiting_on: sentence.to_owned() }
}

/// The state after these events, and the commands of the last one.
fn after(mut state: State, events: Vec<Event>) -> (State, Vec<Command>) {
    let mut commands = Vec::new();
    for event in events {
        (state, commands) = state.step(event);
    }
    (state, commands)
}

/// A state in each phase.
fn awaiting() -> State {
    after(new(), vec![Event::Looked(one_empty())]).0
}

fn refused() -> State {
    after(new(), vec![Event::Looked(foreign())]).0
}

fn formatting() -> State {
    after(awaiting(), vec![Event::FormatAsked(request(&["d1"]))]).0
}

fn up() -> State {
    let certificate = Leaf {
        serial: "0a".to_owned(),
        expires_at_seconds: Some(8),
        authorities: vec!["0b".to_owned()],
    };
    let started = Event::JvmStarted { at_seconds: 7, certificate };
    after(new(), vec![Event::Looked(ours()), started]).0
}

fn stopping() -> State {
    after(up(), vec![Event::StopAsked]).0
}

fn controller(state: State) -> State {
    let mut node = document();
    node.roles = vec![Role::Controller];
    State { node: Arc::new(node), ..state }
}

#[test]
fn the_disks_decide_how_it_begins() {
    let table = [
        (
            ours(),
            AgentState::Starting,
            vec![Command::StartJvm, Command::Look { after_seconds: 30 }],
        ),
        (one_empty(), AgentState::AwaitingFormat, vec![LOOK]),
        (foreign(), AgentState::Refused, vec![LOOK]),
        (Vec::new(), AgentState::Refused, vec![LOOK]),
    ];
    for (disks, expected, expected_commands) in table {
        let (state, commands) = after(new(), vec![Event::Looked(disks)]);
        assert_eq!(state.status().state, expected);
        assert_eq!(commands, expected_commands, "{expected:?}");
    }
}

#[test]
fn another_release_in_the_image_is_not_started() {
    let release = |image: &str| State::new(Arc::new(document()), Some(image.to_owned()));
    let (state, commands) = after(release("4.4.0"), vec![Event::Looked(one_empty())]);
    assert_eq!((state.status().state, commands), (AgentState::Refused, vec![LOOK]));
    let said = state.status();
    assert_eq!(said.kafka_version, "4.4.0");
    assert_eq!(said.reason.as_deref(), Some("the image holds Kafka 4.4.0 and not 4.3.1"));
    let (state, commands) = after(release("4.3.1"), vec![Event::Looked(ours())]);
    assert_eq!((state.status().state, &commands[0]), (AgentState::Starting, &Command::StartJvm));
}

#[test]
fn what_was_put_right_goes_on_by_itself() {
    for state in [refused(), awaiting()] {
        let (state, commands) = after(state, vec![Event::Looked(ours())]);
        assert_eq!(commands[0], Command::StartJvm);
        assert!(matches!(state.phase, Phase::Up(_)));
    }
    let (state, _) = after(refused(), vec![Event::Looked(one_empty())]);
    assert_eq!(state.status().reason.as_deref(), Some("volume d1 is empty"));
}

#[test]
fn a_later_look_stops_nothing() {
    for disks in [foreign(), one_empty()] {
        let (state, commands) = after(up(), vec![Event::Looked(disks.clone())]);
        assert_eq!(commands, [Command::Look { after_seconds: 30 }]);
        assert!(matches!(state.phase, Phase::Up(_)));
        assert_eq!(state.disks, disks);
    }
}

#[test]
fn a_format_is_obeyed_once_and_only_as_awaited() {
    let conflict = |sentence: &str| FormatAnswer::Conflict(sentence.to_owned());
    let already = |sentence: &str| FormatAnswer::Already(sentence.to_owned());
    let good = request(&["d1"]);
    let elsewhere = FormatRequest { cluster_id: "clusterB".to_owned(), ..good.clone() };
    let other_node = FormatRequest { node_id: 4, ..good.clone() };
    let otherwise = FormatRequest { mode: FormatMode::Plain, ..good.clone() };
    let table = [
        (awaiting(), good.clone(), FormatAnswer::Accepted),
        (
            awaiting(),
            elsewhere,
            conflict("the request is for cluster clusterB and this node belongs to clusterA"),
        ),
        (awaiting(), other_node, conflict("the request is for node 4 and this is node 3")),
        (awaiting(), request(&["d1", "d7"]), conflict("this node has no volume d7")),
        (
            awaiting(),
            request(&["d0", "d1"]),
            conflict("the volumes without meta.properties are d1 and the request names d0, d1"),
        ),
        (
            awaiting(),
            request(&[]),
            conflict("the volumes without meta.properties are d1 and the request names none"),
        ),
        (new(), good.clone(), conflict("the disks are being looked at; ask again")),
        (
            refused(),
            good.clone(),
            conflict("volume d0 belongs to cluster clusterB and not to orders (cluster clusterA)"),
        ),
        (formatting(), good.clone(), already("the format runs")),
        (formatting(), otherwise, conflict("another format runs; ask again when it has ended")),
        (up(), good.clone(), already("the volumes are formatted")),
        (stopping(), good, conflict("the node is stopping")),
    ];
    for (state, request, expected) in table {
        let before = state.phase.clone();
        let (state, commands) = after(state, vec![Event::FormatAsked(request.clone())]);
        assert_eq!(commands[0], Command::Answer(expected.clone()));
        if expected == FormatAnswer::Accepted {
            assert_eq!(commands[1..], [Command::Format(request)]);
            assert_eq!(state.status().state, AgentState::Formatting);
        } else {
            assert_eq!((commands.len(), state.phase), (1, before));
        }
    }
}

#[test]
fn a_half_formatted_disk_is_formatted_again_only_in_the_same_way() {
    let half = |mode: FormatMode| {
        let intent = Some(FormatNote { volume: "d1".to_owned(), ..note(mode) });
        let disks = vec![
            disk("d0", meta("clusterA", 3)),
            Disk { intent, ..disk("d1", Content::HalfFormatted) },
        ];
        let events = vec![Event::Looked(disks), Event::FormatAsked(request(&["d1"]))];
        after(new(), events).1.remove(0)
    };
    assert_eq!(half(FormatMode::NoInitialControllers), Command::Answer(FormatAnswer::Accepted));
    assert!(matches!(
        half(FormatMode::InitialControllers("3@h:9090:x".to_owned())),
        Command::Answer(FormatAnswer::Conflict(sentence)) if sentence.contains("half formatted")
    ));
}

#[test]
fn the_end_of_a_format_decides_what_is_next() {
    let ended = |result, disks| Event::FormatEnded { result, disks };
    let (state, commands) = after(formatting(), vec![ended(Ok(()), ours())]);
    assert_eq!(commands, [Command::StartJvm]);
    assert_eq!(state.status().state, AgentState::Starting);

    let failed = ended(Err("no space".to_owned()), one_empty());
    let (state, commands) = after(formatting(), vec![failed]);
    assert_eq!(commands, []);
    assert_eq!(state.status().state, AgentState::AwaitingFormat);
    let reason = "volume d1 is empty; the last format failed: no space";
    assert_eq!(state.status().reason.as_deref(), Some(reason));
    let (state, commands) = after(state, vec![Event::FormatAsked(request(&["d1"]))]);
    assert_eq!(commands[0], Command::Answer(FormatAnswer::Accepted));
    let (state, _) = after(state, vec![ended(Ok(()), ours())]);
    assert_eq!(state.format_failure, None);
}

#[test]
fn stopping_waits_for_what_runs() {
    let table = [
        (new(), vec![Command::Exit(0)]),
        (refused(), vec![Command::Exit(0)]),
        (awaiting(), vec![Command::Exit(0)]),
        (formatting(), vec![DEADLINE]),
        (up(), vec![Command::Terminate, DEADLINE]),
        (controller(up()), vec![Command::Hold { seconds: 120 }, DEADLINE]),
        (stopping(), vec![]),
    ];
    for (state, expected) in table {
        let before = state.phase.clone();
        let (state, commands) = after(state, vec![Event::StopAsked]);
        assert_eq!(commands, expected, "{before:?}");
        assert_eq!(state.status().state, AgentState::Stopping);
        assert!(!state.is_ready());
    }
}

#[test]
fn a_format_that_ends_while_stopping_starts_nothing() {
    let ended = Event::FormatEnded { result: Ok(()), disks: ours() };
    assert_eq!(after(formatting(), vec![Event::StopAsked, ended]).1, [Command::Exit(0)]);
}

#[test]
fn a_controller_is_stopped_after_its_hold_unless_it_ended_or_was_killed() {
    let held = || after(controller(up()), vec![Event::StopAsked]).0;
    assert_eq!(after(held(), vec![Event::HoldEnded]).1, [Command::Terminate]);
    assert_eq!(after(held(), vec![Event::DeadlinePassed, Event::HoldEnded]).1, []);
    assert_eq!(after(controller(up()), vec![Event::HoldEnded]).1, []);
}

#[test]
fn a_deadline_kills_once_and_only_while_stopping() {
    assert_eq!(after(up(), vec![Event::DeadlinePassed]).1, []);
    assert_eq!(after(stopping(), vec![Event::DeadlinePassed]).1, [Command::Kill]);
    let twice = vec![Event::DeadlinePassed, Event::DeadlinePassed];
    assert_eq!(after(stopping(), twice).1, []);
}

#[test]
fn the_end_of_the_jvm_is_the_end_of_the_agent() {
    let killed = || after(stopping(), vec![Event::DeadlinePassed]).0;
    let table = [
        (up(), Exit::Code(1), 1),
        (up(), Exit::Code(3), 3),
        (up(), Exit::Code(0), 0),
        (up(), Exit::Signal(9), 137),
        (up(), Exit::Code(143), 143),
        (stopping(), Exit::Code(143), 0),
        (stopping(), Exit::Signal(15), 0),
        (stopping(), Exit::Code(1), 1),
        (stopping(), Exit::Signal(9), 137),
        (killed(), Exit::Signal(9), 137),
        (killed(), Exit::Code(143), 143),
    ];
    for (state, exit, code) in table {
        let phase = state.phase.clone();
        let (state, commands) = after(state, vec![Event::JvmEnded(exit)]);
        assert_eq!(commands, [Command::Exit(code)], "{phase:?} {exit:?}");
        assert_eq!(state.phase, Phase::Ended);
    }
    assert_eq!(after(up(), vec![Event::JvmNotStarted]).1, [Command::Exit(1)]);
}

#[test]
fn what_kafka_says_shows_in_the_state() {
    let unknown = InSync::Unknown { reason: "refused".to_owned() };
    let table = [
        (view(false, unknown.clone(), 0), AgentState::Starting, Some("refused")),
        (view(false, waits("fenced"), 0), AgentState::Starting, Some("fenced")),
        (view(false, unknown, 12), AgentState::Recovering, Some("12 logs left to recover")),
        (view(true, waits("partition a-0"), 0), AgentState::CatchingUp, Some("partition a-0")),
        (view(true, InSync::Yes, 0), AgentState::Running, None),
    ];
    for (seen, expected, reason) in table {
        let ready = expected == AgentState::Running;
        let (state, commands) = after(up(), vec![Event::Probed(seen)]);
        let status = state.status();
        assert_eq!((status.state, status.reason.as_deref()), (expected, reason));
        assert_eq!((state.is_ready(), commands), (ready, vec![]));
    }
}

#[test]
fn once_in_sync_it_stays_ready_until_the_jvm_ends() {
    let behind = view(true, waits("partition a-0"), 0);
    let events = vec![Event::Probed(view(true, InSync::Yes, 0)), Event::Probed(behind)];
    let (state, _) = after(up(), events);
    assert!(state.is_ready());
    assert_eq!(state.status().in_sync, InSync::Yes);
    let jvm = state.status().jvm.unwrap();
    assert_eq!((jvm.started_at_seconds, jvm.certificate_serial.as_str()), (7, "0a"));
    assert_eq!(jvm.certificate_expires_at_seconds, Some(8));
    assert_eq!(jvm.authority_serials, ["0b"]);
    let (state, _) = after(state, vec![Event::JvmEnded(Exit::Signal(9))]);
    assert!(!state.is_ready());
    assert!(matches!(state.status().in_sync, InSync::Unknown { .. }));
}

#[test]
fn offline_volumes_are_named_even_when_running() {
    let mut seen = view(true, InSync::Yes, 0);
    seen.offline_volumes = vec!["d1".to_owned()];
    let status = after(up(), vec![Event::Probed(seen)]).0.status();
    assert_eq!(status.state, AgentState::Running);
    assert_eq!(status.reason.as_deref(), Some("Kafka took volume d1 offline"));
}

#[test]
fn no_event_starts_a_jvm_on_disks_that_are_not_ours() {
    let events = || {
        vec![
            Event::Looked(foreign()),
            Event::Looked(one_empty()),
            Event::FormatAsked(request(&["d1"])),
            Event::FormatEnded { result: Ok(()), disks: one_empty() },
            Event::FormatEnded { result: Err("x".to_owned()), disks: foreign() },
            Event::JvmNotStarted,
            Event::JvmEnded(Exit::Code(0)),
            Event::Probed(view(true, InSync::Yes, 0)),
            Event::StopAsked,
            Event::HoldEnded,
            Event::DeadlinePassed,
        ]
    };
    for first in events() {
        for second in events() {
            for third in events() {
                let mut state = new();
                for event in [first.clone(), second.clone(), third] {
                    let (next, commands) = state.step(event);
                    assert!(!commands.contains(&Command::StartJvm));
                    state = next;
                }
            }
        }
    }
}
