//! One simulated life: a cluster that runs, and what happens to it.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use fastrand::Rng;
use ottla_plan::Plan;
use ottla_tests::world::{Outcome, Seen, World, manifest};

use super::edit::{edit, has_cordons, leave_out_broken};
use super::event::Event;
use super::probes::Probes;
use super::rest::{note, settle};

/// How many events a life has.
const EVENTS: std::ops::Range<usize> = 12..60;

/// A life that a seed stands for.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) birth: Birth,
    pub(crate) events: Vec<Event>,
}

impl Life {
    /// The life of a seed, always the same. It begins with a change of the spec: in a cluster of one
    /// or five brokers of how many there are.
    pub(crate) fn of(seed: u64) -> Life {
        let mut rng = Rng::with_seed(seed);
        let often = Birth::ALL.len() - 1;
        let birth = Birth::ALL[if seed % 20 == 2 { often } else { rng.usize(0..often) }];
        let number = rng.u8(..);
        let first =
            if birth.brokers == 3 { Event::Configure(number) } else { Event::Scale(number) };
        let mut events = vec![first, Event::Pass, Event::NoticeBudgets];
        events.extend(seldom(seed, birth));
        let count = rng.usize(EVENTS);
        events.extend((0..count).map(|_| Event::random(&mut rng)));
        let mut earliest = 3;
        for event in accidents(seed) {
            let place = rng.usize(earliest..events.len());
            events.insert(place, event);
            earliest = place + 1;
        }
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
        // Controllers that left run once more, because Kafka asks them whether they know a release.
        7 if birth.dedicated => {
            let (five, three) = ([Event::Controllers(3)], [Event::Controllers(0)]);
            let left = [&five[..], &ROUND.repeat(30), &three[..], &ROUND.repeat(40)].concat();
            [&left[..], &[Event::Release(newer)]].concat()
        }
        _ => Vec::new(),
    }
}

/// What befalls the disks of some lives, and what a person does about it, one after another at any moment.
fn accidents(seed: u64) -> Vec<Event> {
    let number = (seed / 20 % 256) as u8;
    match seed % 20 {
        3 => vec![Event::LoseDisk(number), Event::DeclareLostDisks],
        4 => vec![Event::BreakDisk(number), Event::LeaveOutBroken(number)],
        5 => vec![Event::GrowDisks(number)],
        6 => vec![
            Event::LoseDisk(number),
            Event::DeclareLostDisks,
            Event::BreakDisk(number),
            Event::LoseDisk(number / 2),
            Event::GrowDisks(number),
        ],
        8 => vec![Event::FillDisk(number), Event::GrowDisks(number)],
        9 => vec![Event::GrowDisks(number), Event::FillDisk(number), Event::LoseDisk(number / 2)],
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
    /// How many brokers there are. One alone is its only controller, too.
    pub(crate) brokers: i32,
}

impl Birth {
    /// Every one there is, of which the last is seldom.
    pub(crate) const ALL: [Birth; 6] = [
        Birth { oldest: false, dedicated: false, brokers: 3 },
        Birth { oldest: false, dedicated: false, brokers: 5 },
        Birth { oldest: false, dedicated: true, brokers: 3 },
        Birth { oldest: false, dedicated: true, brokers: 5 },
        Birth { oldest: true, dedicated: false, brokers: 5 },
        Birth { oldest: false, dedicated: false, brokers: 1 },
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
    static WORLDS: [OnceLock<World>; 6] = [const { OnceLock::new() }; 6];
    let worlds = Birth::ALL.iter().zip(&WORLDS);
    let mut worlds = worlds.filter_map(|(one, world)| (*one == birth).then_some(world));
    worlds.next().unwrap().get_or_init(|| raised(birth))
}

fn raised(birth: Birth) -> World {
    let mut cluster = manifest(birth.example().1).unwrap();
    cluster.spec.brokers.replicas = birth.brokers;
    if birth.brokers == 1 {
        cluster.spec.controllers.replicas = 1;
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
            Event::Kill(number) => return Ok(self.world.kill(node(number))),
            Event::Crash(number) => return Ok(self.world.crash(node(number))),
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
                return world.hold_back(&partition, i32::from(broker % 5), true);
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
            Event::LoseDisk(number) => return Ok(world.lose_disk(usize::from(number))),
            Event::DeclareLostDisks => return world.declare_lost_disks(),
            Event::BreakDisk(number) => {
                return Ok(has_cordons(world) && world.break_any_disk(usize::from(number)));
            }
            Event::FillDisk(number) => return Ok(world.fill_any_disk(usize::from(number))),
            Event::LeaveOutBroken(number) => return leave_out_broken(world, number),
            // One that is refused, or asks for what is there, shows nothing.
            _ => {
                let before = world.clone();
                edit(world, event)?;
                return Ok(world.was_changed_since(&before));
            }
        }
        Ok(true)
    }

    fn note(&mut self, outcome: &Outcome) -> bool {
        note(&self.world, outcome, self.probes, &mut self.trace);
        outcome.changed_something()
    }
}
