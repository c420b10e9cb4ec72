//! One simulated life: a cluster that runs, what happens to it, and how it comes to rest.

use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use fastrand::Rng;
use ottla_crds::kafka_cluster::KAFKA_VERSIONS;
use ottla_plan::{Plan, WaitingOn, release};
use ottla_tests::world::{BAD_OPTION, Outcome, Seen, World, manifest};
use serde_json::{Value, json};

use super::event::Event;
use super::probes::Probes;

/// How many events a life has.
const EVENTS: std::ops::Range<usize> = 12..60;

/// More rounds than eight rolls of ten nodes need, each with a step of every pod: two other CAs take six.
const ROUNDS_MAX: usize = 1000;

/// A life that a seed stands for.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) birth: Birth,
    pub(crate) events: Vec<Event>,
}

impl Life {
    /// The life of a seed, always the same. It begins with a change of the spec: in a cluster of five
    /// brokers of how many there are.
    pub(crate) fn of(seed: u64) -> Life {
        let mut rng = Rng::with_seed(seed);
        let birth = Birth::ALL[rng.usize(0..Birth::ALL.len())];
        let number = rng.u8(..);
        let first = if birth.five { Event::Scale(number) } else { Event::Configure(number) };
        let mut events = vec![first, Event::Pass, Event::NoticeBudgets];
        events.extend(seldom(seed, birth));
        let count = rng.usize(EVENTS);
        events.extend((0..count).map(|_| Event::random(&mut rng)));
        Life { birth, events }
    }

    /// Lives it. What happened, for people, and a broken law or a world that does not come to rest.
    pub(crate) fn live(&self, probes: &mut Probes) -> (Vec<String>, Result<()>) {
        let mut course =
            Course { world: born(self.birth).clone(), looked: None, trace: Vec::new(), probes };
        let result = course.run(&self.events);
        (course.trace, result)
    }
}

/// What chance alone would bring about too seldom, at the beginning of some lives.
fn seldom(seed: u64, birth: Birth) -> Vec<Event> {
    const ROUND: [Event; 3] = [Event::Pass, Event::NoticeBudgets, Event::AdvanceAll];
    let newer = if birth.oldest { 1 } else { 2 };
    match seed % 20 {
        // A canary goes back by itself, if nobody mends the spec first.
        0 => [vec![Event::BadOption], ROUND.repeat(12)].concat(),
        // A release is called back.
        1 => {
            let begun = [Event::Upgrade(0), Event::Release(newer)];
            [&begun[..], &ROUND.repeat(8), &[Event::Release(newer - 1)]].concat()
        }
        _ => Vec::new(),
    }
}

/// What a life begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Birth {
    /// Whether it runs the oldest release, which has no cordons.
    pub(crate) oldest: bool,
    /// Whether controllers have pods of their own.
    pub(crate) dedicated: bool,
    /// Whether there are five brokers, and not three.
    pub(crate) five: bool,
}

impl Birth {
    /// Every one there is.
    pub(crate) const ALL: [Birth; 5] = [
        Birth { oldest: false, dedicated: false, five: false },
        Birth { oldest: false, dedicated: false, five: true },
        Birth { oldest: false, dedicated: true, five: false },
        Birth { oldest: false, dedicated: true, five: true },
        Birth { oldest: true, dedicated: false, five: true },
    ];

    /// The file that it is made from, and its text.
    pub(crate) fn example(self) -> (&'static str, &'static str) {
        match self.dedicated {
            true => ("examples/production.yaml", include_str!("../../examples/production.yaml")),
            false => ("examples/quickstart.yaml", include_str!("../../examples/quickstart.yaml")),
        }
    }
}

/// A cluster that runs and is at rest.
pub(crate) fn born(birth: Birth) -> &'static World {
    static WORLDS: [OnceLock<World>; 5] = [const { OnceLock::new() }; 5];
    let worlds = Birth::ALL.iter().zip(&WORLDS);
    let mut worlds = worlds.filter_map(|(one, world)| (*one == birth).then_some(world));
    worlds.next().unwrap().get_or_init(|| raised(birth))
}

fn raised(birth: Birth) -> World {
    let mut cluster = manifest(birth.example().1).unwrap();
    if birth.five {
        cluster.spec.brokers.replicas = 5;
    }
    if birth.oldest {
        cluster.spec.version = "4.2.1".to_owned();
    }
    let mut world = World::new(cluster);
    world.bring_up().unwrap();
    world.go_gradually();
    world
}

/// A life while it is lived.
struct Course<'a> {
    world: World,
    /// What the operator planned at its last look, and on what it found.
    looked: Option<(Plan, Seen)>,
    trace: Vec<String>,
    probes: &'a mut Probes,
}

impl Course<'_> {
    fn run(&mut self, events: &[Event]) -> Result<()> {
        for event in events {
            self.trace.push(format!("{event:?}"));
            if self.happen(*event).with_context(|| format!("at {event:?}"))? {
                self.probes.note(&event.name());
            }
            self.world.produce();
        }
        settle(&mut self.world, self.probes, &mut self.trace)
    }

    /// Whether anything came of it.
    fn happen(&mut self, event: Event) -> Result<bool> {
        let ids = self.world.node_ids();
        // A KafkaCluster that was created again has no nodes yet.
        let node = |number: u8| {
            let chosen = ids.get(usize::from(number) % ids.len().max(1));
            chosen.copied().unwrap_or_default()
        };
        match event {
            Event::Pass => {
                let outcome = self.world.pass()?;
                return Ok(self.note(&outcome));
            }
            Event::PassMeeting(write, mishap) => {
                let outcome = self.world.pass_meeting(usize::from(write), mishap)?;
                self.note(&outcome);
                return Ok(outcome.crashed || !outcome.not_done.is_empty());
            }
            Event::Look => {
                self.looked = Some((self.world.plan()?, self.world.seen()));
            }
            Event::ActOnLook => {
                let Some((plan, seen)) = self.looked.take() else {
                    return Ok(false);
                };
                let outcome = self.world.pass_on(plan, &seen)?;
                return Ok(self.note(&outcome));
            }
            Event::Advance(number) => return Ok(self.world.advance(node(number))),
            Event::AdvanceAll => {
                return Ok(self.world.advance_all());
            }
            Event::NoticeBudgets => return Ok(self.world.notice_budgets()),
            Event::Evict(number) => return self.world.evict(node(number)),
            Event::Kill(number) => self.world.kill(node(number)),
            Event::Crash(number) => self.world.crash(node(number)),
            Event::Recreate => {
                // An operator that looked before it does not act on the new one.
                self.looked = None;
                self.world.recreate();
            }
            _ => return self.misfortune_or_edit(event, &node),
        }
        Ok(true)
    }

    fn misfortune_or_edit(&mut self, event: Event, node: &dyn Fn(u8) -> i32) -> Result<bool> {
        let world = &mut self.world;
        match event {
            Event::Silence(number) => {
                return Ok(world.mute(node(number), "the connection timed out"));
            }
            Event::Speak => world.speak(),
            Event::SilenceKafka => world.silence_kafka(Some("the connection was refused")),
            Event::KafkaAnswers => world.silence_kafka(None),
            Event::HoldBack(partition, broker) => {
                let partition = format!("payments-{}", partition % 5);
                world.hold_back(&partition, i32::from(broker % 5), true)?;
            }
            Event::LetCatchUp => world.let_all_catch_up(),
            Event::Unready(number) => return Ok(world.unready(node(number))),
            Event::ReadyAll => world.ready_all(),
            Event::AddRecords(number) => return Ok(world.add_records(number.into())),
            Event::DeleteRecords => return Ok(world.delete_records()),
            Event::Copy => return Ok(world.copy()),
            Event::Lag => world.lag(),
            Event::MoveByHand(partition, broker) => {
                return Ok(world.move_by_hand(partition.into(), i32::from(broker % 5)));
            }
            Event::CutOff(number) => world.cut_off(node(number), true),
            Event::HearAgain => world.hear_all(),
            Event::LoseController(number) => return world.lose_controller(usize::from(number)),
            _ => return edit(world, event).map(|()| true),
        }
        Ok(true)
    }

    fn note(&mut self, outcome: &Outcome) -> bool {
        note(&self.world, outcome, self.probes, &mut self.trace);
        outcome.changed_something()
    }
}

/// What a pass did, and what people read then.
fn note(world: &World, outcome: &Outcome, probes: &mut Probes, trace: &mut Vec<String>) {
    for line in &outcome.done {
        trace.push(format!("  did  {line}"));
        probes.note_action(line);
    }
    outcome.not_done.iter().for_each(|line| trace.push(format!("  fail {line}")));
    probes.note_status(&world.status());
}

/// A person changes the spec, or an object by hand.
fn edit(world: &mut World, event: Event) -> Result<()> {
    match event {
        Event::Configure(number) => world
            .edit(&["spec", "config", "log.retention.hours"], (number % 5 + 1).to_string().into()),
        Event::ConfigureLive(number) => {
            let value = (!number.is_multiple_of(4)).then(|| number.to_string());
            world.edit(&["spec", "config", "message.max.bytes"], value.into())
        }
        Event::ConfigureByHand(number) => {
            let key = ["message.max.bytes", "compression.type"][usize::from(number % 2)];
            world.set_config(key, &(number % 8 + 4).to_string());
            Ok(())
        }
        Event::Heap(number) => world
            .edit(&["spec", "brokers", "jvm", "heap"], format!("{}Mi", 128 + number % 3).into()),
        Event::Resources(number) => {
            let requests = json!({ "cpu": format!("{}m", 100 + number % 3) });
            world.edit(&["spec", "brokers", "resources", "requests"], requests)
        }
        Event::Image(number) => {
            world.edit(&["spec", "image"], format!("kafka:{}", number % 3).into())
        }
        Event::Label(number) => {
            let labels = json!({ "team": format!("team-{}", number % 3) });
            world.edit(&["spec", "brokers", "pod"], json!({ "labels": labels }))
        }
        Event::AskRestart(number) => {
            world.edit(&["metadata", "annotations", "ottla.dev/restart"], number.to_string().into())
        }
        Event::RenewAuthority(number) => world.edit(
            &["metadata", "annotations", "ottla.dev/renew-ca"],
            (number % 3).to_string().into(),
        ),
        Event::BadOption => world.edit(&["spec", "brokers", "jvm", "options"], json!([BAD_OPTION])),
        Event::GoodOption => world.edit(&["spec", "brokers", "jvm", "options"], json!([])),
        Event::HalfAYear => world.days(245),
        Event::OpenBudget => world.open_budget(),
        Event::Reclaim(number) => {
            let policy = if number.is_multiple_of(2) { "Delete" } else { "Retain" };
            let reclaim = json!({ "whenScaled": policy });
            world.edit(&["spec", "brokers", "storage", "reclaim"], reclaim)
        }
        Event::Release(number) => name_release(world, number),
        Event::Upgrade(number) => {
            let finalize = if number.is_multiple_of(3) { "Manual" } else { "Automatic" };
            let soak = ["10s", "10m"][usize::from(number / 3 % 2)];
            world.edit(&["spec", "upgrade"], json!({ "finalize": finalize, "soak": soak }))
        }
        Event::Scale(number) => {
            edit_if_valid(world, &["spec", "brokers", "replicas"], (3 + number % 3).into())
        }
        Event::Exclude(number) => {
            let excluded = if number % 3 == 2 { json!([]) } else { json!([3 + number % 3]) };
            edit_if_valid(world, &["spec", "brokers", "excludedIds"], excluded)
        }
        Event::Controllers(number) => change_controllers(world, number),
        Event::Disks(number) => change_disks(world, number),
        other => bail!("{other:?} is no edit"),
    }
}

/// The misfortunes stop, and a person mends what only a person can. Then the world must come to rest,
/// with every node as the spec wants it.
pub(crate) fn settle(
    world: &mut World,
    probes: &mut Probes,
    trace: &mut Vec<String>,
) -> Result<()> {
    trace.push("all misfortune ends".to_owned());
    world.silence_kafka(None);
    world.speak();
    world.let_all_catch_up();
    world.hear_all();
    world.catch_up_with_news();
    world.ready_all();
    edit(world, Event::GoodOption)?;
    edit(world, Event::Upgrade(1))?;
    go_where_there_is_a_way(world)?;
    for _ in 0..ROUNDS_MAX {
        let outcome = world.pass()?;
        note(world, &outcome, probes, trace);
        let noticed = world.notice_budgets();
        let advanced = world.advance_all();
        let copied = world.copy();
        world.produce();
        let still = !outcome.changed_something() && !noticed && !advanced && !copied;
        if still && !world.wait()? {
            if keeps_former_controllers(world)?
                || fits_its_data(world)?
                || asks_for_more_controllers(world)?
            {
                continue;
            }
            world.at_rest(&outcome.not_done).context("at the end")?;
            return world.as_wished().context("at the end");
        }
    }
    bail!("L1: the world does not come to rest");
}

/// The definition refuses what cannot be.
fn edit_if_valid(world: &mut World, path: &[&str], value: Value) -> Result<()> {
    let before = world.clone();
    world.edit(path, value)?;
    if world.desired().is_err() {
        *world = before;
    }
    Ok(())
}

/// One, three or five of them, or three with pods of their own, from where the definition knows no way back.
fn change_controllers(world: &mut World, number: u8) -> Result<()> {
    let is_dedicated = world.desired().is_ok_and(|desired| desired.dedicated());
    if !is_dedicated && number.is_multiple_of(3) {
        let storage = json!({ "volumes": [{ "name": "d0", "size": "1Gi" }] });
        let controllers = json!({ "placement": "Dedicated", "replicas": 3, "storage": storage });
        return world.edit(&["spec", "controllers"], controllers);
    }
    let replicas = [3, 5, 1][usize::from(number / 3 % 3)];
    edit_if_valid(world, &["spec", "controllers", "replicas"], replicas.into())
}

/// Brokers get other disks and, where Kafka has cordons, lose some; or controllers with pods of their own get another.
fn change_disks(world: &mut World, number: u8) -> Result<()> {
    let is_dedicated = world.desired().is_ok_and(|desired| desired.dedicated());
    if is_dedicated && number % 3 == 1 {
        let name = ["d0", "d1", "d2"][usize::from(number / 3 % 3)];
        let volumes = json!([{ "name": name, "size": "1Gi" }]);
        return world.edit(&["spec", "controllers", "storage", "volumes"], volumes);
    }
    let features = world.observe().features();
    let has_cordons = features.get("metadata.version").is_some_and(|level| *level >= 30);
    let all = ["d0", "d1", "d2"];
    let chosen = |place: usize| !has_cordons || ((number / 4 % 8) >> place) & 1 == 1;
    let mut names: Vec<&str> = all
        .into_iter()
        .enumerate()
        .filter(|(place, _)| chosen(*place))
        .map(|(_, name)| name)
        .collect();
    if names.is_empty() {
        names = all.to_vec();
    }
    // The first stays the first, or is left out.
    let first =
        world.desired().ok().and_then(|one| Some(one.brokers.volumes.first()?.name.clone()));
    names.sort_by_key(|name| first.as_deref() != Some(name));
    let volumes = names.iter().map(|name| json!({ "name": name, "size": "2Gi" }));
    world.edit(&["spec", "brokers", "storage", "volumes"], volumes.collect())
}

/// A person lets a broker stay that was a controller. Whether there is one.
fn keeps_former_controllers(world: &mut World) -> Result<bool> {
    let mut waiting = world.plan()?.report.waiting_on.into_iter();
    let forbidden = |one: &WaitingOn| matches!(one, WaitingOn::ScaleInForbidden { detail } if detail.contains("it was a controller"));
    let is_forbidden = waiting.any(|one| forbidden(&one));
    if is_forbidden {
        world.edit(&["spec", "brokers", "excludedIds"], json!([]))?;
        world.edit(&["spec", "brokers", "replicas"], 5.into())?;
    }
    Ok(is_forbidden)
}

/// A person asks for three controllers where one alone has to give its metadata log away. Whether there was one.
fn asks_for_more_controllers(world: &mut World) -> Result<bool> {
    let mut waiting = world.plan()?.report.waiting_on.into_iter();
    let few = |one: &WaitingOn| matches!(one, WaitingOn::DiskCannotLeave { detail } if detail.contains("fewer than three controllers"));
    let is_alone = waiting.any(|one| few(&one));
    if is_alone {
        world.edit(&["spec", "controllers", "replicas"], 3.into())?;
    }
    Ok(is_alone)
}

/// A person creates a KafkaCluster again as its data is. Whether it was not.
fn fits_its_data(world: &mut World) -> Result<bool> {
    let mut waiting = world.plan()?.report.waiting_on.into_iter();
    let differs = waiting.any(|one| matches!(one, WaitingOn::DataMismatch { .. }));
    if differs {
        world.edit(&["spec", "brokers", "excludedIds"], json!([]))?;
        world.edit(&["spec", "brokers", "replicas"], 5.into())?;
        let all = json!(["d0", "d1", "d2"].map(|name| json!({ "name": name, "size": "2Gi" })));
        world.edit(&["spec", "brokers", "storage", "volumes"], all.clone())?;
        if world.desired().is_ok_and(|desired| desired.dedicated()) {
            world.edit(&["spec", "controllers", "storage", "volumes"], all)?;
        }
    }
    Ok(differs)
}

/// A person names a release, unless the definition refuses it.
fn name_release(world: &mut World, number: u8) -> Result<()> {
    let release = KAFKA_VERSIONS[usize::from(number) % KAFKA_VERSIONS.len()];
    let allowed = world.status().version.unwrap_or_default().allowed;
    let refused = !allowed.is_empty() && !allowed.iter().any(|allowed| allowed == release);
    if refused { Ok(()) } else { world.edit(&["spec", "version"], release.into()) }
}

/// A person names a release again that knows what is switched on.
fn go_where_there_is_a_way(world: &mut World) -> Result<()> {
    // The status may be from before the last feature was switched on.
    let allowed = release::allowed(&world.observe().features());
    let wanted = world.desired().map(|desired| desired.version).unwrap_or_default();
    match allowed.first() {
        Some(oldest) if !allowed.contains(&wanted) => {
            world.edit(&["spec", "version"], oldest.clone().into())
        }
        _ => Ok(()),
    }
}
