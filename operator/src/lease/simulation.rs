//! Many candidates, each with its own delays, lost messages and clock rate, over one lease: never
//! may two act at the same moment.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{DURATION, Decision, LeaseRecord, MARGIN, Observed, evaluate};

/// How far one candidate's clock may run from true time, in per mille.
const CLOCK_DRIFT: std::ops::RangeInclusive<i64> = -90..=90;

/// What happens in one round of a candidate, in milliseconds of true time.
#[derive(Clone, Debug)]
struct Round {
    pause: u64,
    read: u64,
    request: u64,
    reply: u64,
    lost: Option<Lost>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lost {
    Request,
    Reply,
}

/// Where a candidate is within its round.
#[derive(Clone, Debug)]
enum Phase {
    /// The API server answers a read now.
    Read,
    /// The answer has arrived.
    Decide(Option<LeaseRecord>),
    /// A write that was sent at this local time reaches the API server.
    Commit { sent: Instant, replaces: Option<String> },
    /// The reply to that write arrives.
    Reply { sent: Instant, accepted: bool },
}

struct Candidate {
    name: String,
    drift: i64,
    rounds: Vec<Round>,
    next_round: usize,
    observed: Observed,
}

struct World {
    start: Instant,
    lease: Option<LeaseRecord>,
    writes: u64,
    candidates: Vec<Candidate>,
    due: BTreeMap<(u64, usize), Phase>,
}

impl World {
    fn new(scripts: Vec<(i64, Vec<Round>)>) -> Self {
        let candidate = |(index, (drift, rounds)): (usize, (i64, Vec<Round>))| Candidate {
            name: format!("candidate-{index}"),
            drift,
            rounds,
            next_round: 0,
            observed: Observed::default(),
        };
        let candidates: Vec<_> = scripts.into_iter().enumerate().map(candidate).collect();
        let due = (0..candidates.len()).map(|who| ((0, who), Phase::Read)).collect();
        Self { start: Instant::now(), lease: None, writes: 0, candidates, due }
    }

    /// What a candidate's clock shows at a true time.
    fn local(&self, who: usize, at: u64) -> Instant {
        let at = i64::try_from(at).unwrap();
        let shown = at + at * self.candidates[who].drift / 1000;
        self.start + Duration::from_millis(shown.unsigned_abs())
    }

    /// Who would act at a true time, each by its own clock.
    fn acting(&self, at: u64) -> Vec<&str> {
        let acts = |who: &usize| {
            let candidate = &self.candidates[*who];
            let deadline = candidate.observed.held_until().map(|end| end - MARGIN);
            deadline.is_some_and(|deadline| self.local(*who, at) < deadline)
        };
        let acting = (0..self.candidates.len()).filter(acts);
        acting.map(|who| self.candidates[who].name.as_str()).collect()
    }

    fn round(&self, who: usize) -> Round {
        let candidate = &self.candidates[who];
        candidate.rounds[candidate.next_round % candidate.rounds.len()].clone()
    }

    fn begin_next_round(&mut self, who: usize, at: u64) {
        self.candidates[who].next_round += 1;
        self.due.insert((at + self.round(who).pause, who), Phase::Read);
    }

    /// Takes the next event and returns its time.
    fn step(&mut self) -> Option<u64> {
        let ((at, who), phase) = self.due.pop_first()?;
        let round = self.round(who);
        match phase {
            Phase::Read => {
                self.due.insert((at + round.read, who), Phase::Decide(self.lease.clone()));
            }
            Phase::Decide(lease) => self.decide(who, at, lease, &round),
            Phase::Commit { sent, replaces } => {
                let accepted = round.lost != Some(Lost::Request) && self.commit(who, replaces);
                let arrives = at + round.reply;
                let accepted = accepted && round.lost.is_none();
                self.due.insert((arrives, who), Phase::Reply { sent, accepted });
            }
            Phase::Reply { sent, accepted } => {
                if accepted {
                    self.candidates[who].observed.granted(sent);
                }
                self.begin_next_round(who, at);
            }
        }
        Some(at)
    }

    fn decide(&mut self, who: usize, at: u64, lease: Option<LeaseRecord>, round: &Round) {
        let now = self.local(who, at);
        let candidate = &mut self.candidates[who];
        candidate.observed.note(lease.as_ref(), now);
        match evaluate(lease.as_ref(), &candidate.name, now, &candidate.observed) {
            Decision::Lost => {
                // The process stops, and is started again with no memory of what it saw.
                candidate.observed = Observed::default();
                self.begin_next_round(who, at);
            }
            Decision::Wait => self.begin_next_round(who, at),
            Decision::Acquire | Decision::Renew => {
                let replaces = lease.map(|lease| lease.version);
                self.due.insert((at + round.request, who), Phase::Commit { sent: now, replaces });
            }
        }
    }

    /// Writes if nobody else has since the version that was read.
    fn commit(&mut self, who: usize, replaces: Option<String>) -> bool {
        if self.lease.as_ref().map(|lease| lease.version.clone()) != replaces {
            return false;
        }
        self.writes += 1;
        self.lease = Some(LeaseRecord {
            version: self.writes.to_string(),
            holder: Some(self.candidates[who].name.clone()),
            duration: DURATION,
        });
        true
    }
}

fn rounds() -> impl Strategy<Value = Round> {
    // Mostly short, now and then as long as a paused process or a partition.
    let delay = || prop_oneof![20 => 0..200u64, 2 => 200..6_000u64, 1 => 6_000..40_000u64];
    let pause = prop_oneof![8 => 500..2_000u64, 4 => 2_000..6_000u64, 1 => 6_000..60_000u64];
    let lost = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Lost::Request)),
        1 => Just(Some(Lost::Reply)),
    ];
    (pause, delay(), delay(), delay(), lost).prop_map(|(pause, read, request, reply, lost)| Round {
        pause,
        read,
        request,
        reply,
        lost,
    })
}

proptest! {
    #[test]
    fn never_do_two_act_at_once(
        scripts in prop::collection::vec(
            (CLOCK_DRIFT, prop::collection::vec(rounds(), 1..12)),
            2..5,
        )
    ) {
        let mut world = World::new(scripts);
        for _ in 0..400 {
            let Some(at) = world.step() else { break };
            let acting = world.acting(at);
            prop_assert!(acting.len() <= 1, "at {at} ms all of {acting:?} act");
        }
    }

    #[test]
    fn somebody_leads_once_the_network_is_sound(drifts in prop::collection::vec(CLOCK_DRIFT, 1..5)) {
        let sound = Round { pause: 1_000, read: 5, request: 5, reply: 5, lost: None };
        let scripts = drifts.into_iter().map(|drift| (drift, vec![sound.clone()])).collect();
        let mut world = World::new(scripts);
        let mut last = 0;
        while last < 120_000 {
            last = world.step().unwrap();
            prop_assert!(last < 100 || world.acting(last).len() == 1, "nobody acts at {last} ms");
        }
    }
}
