//! What may happen in a simulated life. Numbers are taken modulo what there is, so that an event
//! means something in any world.

use fastrand::Rng;
use ottla_tests::world::Mishap;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The operator makes a pass.
    Pass,
    /// It makes one and meets a mishap at the write of this number.
    PassMeeting(u8, Mishap),
    /// It looks and plans …
    Look,
    /// … and only now carries that out.
    ActOnLook,
    /// A pod takes its next step.
    Advance(u8),
    /// Every pod takes its next step.
    AdvanceAll,
    /// Kubernetes looks at the disruption budgets.
    NoticeBudgets,
    /// Somebody drains a Kubernetes node.
    Evict(u8),
    /// Somebody deletes a pod.
    Kill(u8),
    /// A JVM ends.
    Crash(u8),
    /// An agent does not answer any more.
    Silence(u8),
    /// All agents answer again.
    Speak,
    /// Kafka does not answer any more.
    SilenceKafka,
    /// Kafka answers again.
    KafkaAnswers,
    /// A replica gets no records any more.
    HoldBack(u8, u8),
    /// Every replica gets records again.
    LetCatchUp,
    /// The active controller hears nothing of a node any more.
    CutOff(u8),
    /// It hears of all again.
    HearAgain,
    /// A key that nodes read when they start gets another value.
    Configure(u8),
    /// A key that nodes take while they run gets another value, or none.
    ConfigureLive(u8),
    /// Somebody sets a key by Kafka's own tools.
    ConfigureByHand(u8),
    /// The heap gets another size.
    Heap(u8),
    /// Pods get other resources.
    Resources(u8),
    /// The image gets another name.
    Image(u8),
    /// Pods get other labels.
    Label(u8),
    /// A restart of everything is asked for.
    AskRestart(u8),
    /// An option of the JVM is set with which it does not start.
    BadOption,
    /// It is removed.
    GoodOption,
    /// More than half a year passes, so that certificates are renewed.
    HalfAYear,
    /// Somebody opens a budget by hand.
    OpenBudget,
    /// The spec names another release.
    Release(u8),
    /// The spec says when a release is there to stay.
    Upgrade(u8),
    /// The spec asks for so many brokers.
    Scale(u8),
    /// The spec asks for so many controllers, or for pods of their own.
    Controllers(u8),
    /// The disk of a controller with a pod of its own is lost, and a person says so.
    LoseController(u8),
    /// A disk of a broker is lost with its claim.
    LoseDisk(u8),
    /// A person declares the loss of such disks, where there are new claims.
    DeclareLostDisks,
    /// Kafka takes a disk of a broker offline.
    BreakDisk(u8),
    /// The spec leaves out what is offline, or names another in its place.
    LeaveOutBroken(u8),
    /// A disk of a broker is filled up.
    FillDisk(u8),
    /// The spec asks for larger disks of brokers.
    GrowDisks(u8),
    /// Another CA is asked for.
    RenewAuthority(u8),
    /// The spec asks for other disks of brokers.
    Disks(u8),
    /// The spec excludes a broker, or none.
    Exclude(u8),
    /// Somebody makes a partition, the first replica on this broker.
    AddRecords(u8),
    /// Somebody deletes their topic.
    DeleteRecords,
    /// Replicas are copied, and removed ones deleted.
    Copy,
    /// The broker that is asked next has not heard yet of what happens from now on.
    Lag,
    /// The spec says what becomes of disks of brokers that left.
    Reclaim(u8),
    /// Somebody moves a partition by Kafka's own tools to this broker.
    MoveByHand(u8, u8),
    /// Somebody deletes the KafkaCluster and creates it again.
    Recreate,
    /// Kubernetes does not call a pod Ready any more, although its Kafka serves.
    Unready(u8),
    /// It calls all Ready again that are.
    ReadyAll,
}

impl Event {
    /// An event by chance: passes and steps are the most likely.
    pub(crate) fn random(rng: &mut Rng) -> Event {
        let number = rng.u8(..);
        match rng.u8(0..98) {
            0..=15 => Event::Pass,
            16..=19 => Event::PassMeeting(number % 12, mishap(rng)),
            20..=21 => Event::Look,
            22..=24 => Event::ActOnLook,
            25..=32 => Event::Advance(number),
            33..=38 => Event::AdvanceAll,
            39..=43 => Event::NoticeBudgets,
            44 | 45 => Event::Evict(number),
            46 => Event::Kill(number),
            47 => Event::Crash(number),
            48 => Event::Silence(number),
            49 => Event::Speak,
            50 => Event::SilenceKafka,
            51 => Event::KafkaAnswers,
            52 => Event::HoldBack(number, rng.u8(..)),
            53 => Event::LetCatchUp,
            54 => Event::CutOff(number),
            55 => Event::HearAgain,
            56 => Event::Configure(number),
            57 => Event::Heap(number),
            58 => Event::Resources(number),
            59 => {
                if number.is_multiple_of(2) {
                    Event::Image(number)
                } else {
                    Event::Label(number)
                }
            }
            60 => Event::AskRestart(number),
            61 => Event::BadOption,
            62 => Event::GoodOption,
            63 | 64 => Event::Unready(number),
            65 => Event::ReadyAll,
            66 | 67 => Event::ConfigureLive(number),
            68 => Event::ConfigureByHand(number),
            70..=72 => Event::Scale(number),
            73 => Event::Exclude(number),
            74..=76 => Event::AddRecords(number),
            77..=81 => Event::Copy,
            84 => Event::DeleteRecords,
            85 | 86 => Event::Lag,
            87 => Event::Reclaim(number),
            88 | 89 => Event::Release(number),
            90 => Event::Upgrade(number),
            91 | 92 => Event::Controllers(number),
            93 => Event::RenewAuthority(number),
            94 => Event::LoseController(number),
            95 | 96 => Event::Disks(number),
            97 => Event::Recreate,
            82 => Event::MoveByHand(number, rng.u8(..)),
            _ => {
                if number.is_multiple_of(2) {
                    Event::HalfAYear
                } else {
                    Event::OpenBudget
                }
            }
        }
    }

    /// Its name without numbers, for probes.
    pub(crate) fn name(self) -> String {
        let text = format!("{self:?}");
        let name = text.split('(').next().unwrap_or_default().to_owned();
        match self {
            Event::PassMeeting(_, mishap) => format!("{name} {mishap:?}"),
            _ => name,
        }
    }
}

fn mishap(rng: &mut Rng) -> Mishap {
    Mishap::ALL[rng.usize(0..4)]
}
