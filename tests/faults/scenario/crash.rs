//! The operator dies before or after a write, or never hears of it.

use anyhow::ensure;
use ottla_tests::fault::{Fault, Faults};

use super::each;
use crate::faults::operator::Operator;
use crate::faults::server::User;
use crate::faults::stage::{Baseline, Bench, Example, Stage};

pub(super) async fn before_each(bench: Bench) -> anyhow::Result<String> {
    let writes = bench.baseline(Example::Quickstart).await?.writes;
    at_writes(&bench, Example::Quickstart, Fault::CrashBefore, 1..=writes).await
}

pub(super) async fn after_each(bench: Bench) -> anyhow::Result<String> {
    let writes = bench.baseline(Example::Quickstart).await?.writes;
    at_writes(&bench, Example::Quickstart, Fault::CrashAfter, 1..=writes).await
}

pub(super) async fn each_reply_lost(bench: Bench) -> anyhow::Result<String> {
    let writes = bench.baseline(Example::Quickstart).await?.writes;
    at_writes(&bench, Example::Quickstart, Fault::DropReply, 1..=writes).await
}

/// A bring-up of production takes longer, so that every fifth write must do, each fault beginning
/// at another one.
pub(super) async fn production(bench: Bench) -> anyhow::Result<String> {
    let writes = bench.baseline(Example::Production).await?.writes;
    let mut counts = Vec::new();
    for (first, fault) in [
        (1, Fault::CrashBefore),
        (2, Fault::CrashAfter),
        (3, Fault::DropReply),
        (4, Fault::DropRequest),
    ] {
        let sample = (first..=writes).step_by(5);
        let count = at_writes(&bench, Example::Production, fault, sample).await?;
        counts.push(format!("{fault:?}: {count}"));
    }
    Ok(counts.join("; "))
}

async fn at_writes(
    bench: &Bench,
    example: Example,
    fault: Fault,
    numbers: impl Iterator<Item = usize>,
) -> anyhow::Result<String> {
    let baseline = bench.baseline(example).await?;
    let cases = numbers.map(|number| {
        let (bench, baseline) = (bench.clone(), baseline.clone());
        async move {
            let faults = Faults::new();
            faults.at(number, fault);
            case(&bench, example, &baseline, faults, None).await
        }
    });
    let hits = each(cases).await?;
    counted(&hits)
}

/// Each word to format meets each fault.
pub(super) async fn formats(bench: Bench) -> anyhow::Result<String> {
    let baseline = bench.baseline(Example::Quickstart).await?;
    let faults = [Fault::DropRequest, Fault::DropReply, Fault::CrashBefore, Fault::CrashAfter];
    let cases = faults.into_iter().flat_map(|fault| {
        let (bench, baseline) = (bench.clone(), baseline.clone());
        (1..=baseline.words_to_format).map(move |number| {
            let (bench, baseline) = (bench.clone(), baseline.clone());
            async move {
                let planned = Some((number, fault));
                case(&bench, Example::Quickstart, &baseline, Faults::new(), planned).await?;
                Ok(true)
            }
        })
    });
    let hits = each(cases).await?;
    counted(&hits)
}

/// How many writes differ from run to run, as statuses come as nodes do; more than a few faults
/// that found no write would mean that the numbers are wrong.
fn counted(hits: &[bool]) -> anyhow::Result<String> {
    let hit = hits.iter().filter(|hit| **hit).count();
    ensure!(hit * 10 >= hits.len() * 8, "only {hit} of {} faults were met", hits.len());
    Ok(format!("{} bring-ups, {hit} faults met, all ended alike", hits.len()))
}

/// One bring-up with one fault. Returns whether the fault was met.
async fn case(
    bench: &Bench,
    example: Example,
    baseline: &Baseline,
    faults: Faults,
    word: Option<(usize, Fault)>,
) -> anyhow::Result<bool> {
    let stage = Stage::new(bench, example).await?;
    stage.apply().await?;
    let first = stage.operator_of(User::Operator, faults.clone(), word)?;
    let operator = until_crash(&stage, baseline, first).await?;
    stage.settles(baseline, &operator).await?;
    stage.verify(baseline)?;
    operator.end().await;
    Ok(faults.met())
}

/// Follows the first life to its end or to the goal, whichever comes first, and returns the life
/// that goes on.
async fn until_crash(
    stage: &Stage,
    baseline: &Baseline,
    first: Operator,
) -> anyhow::Result<Operator> {
    let killed = first.faults.crashed();
    let settled = tokio::select! {
        () = killed.cancelled() => None,
        settled = stage.settles(baseline, &first) => Some(settled),
    };
    match settled {
        Some(settled) => settled.map(|()| first),
        None => {
            first.end().await;
            stage.operator(Faults::new())
        }
    }
}
