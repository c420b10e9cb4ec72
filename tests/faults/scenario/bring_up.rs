//! Without any fault: it settles, and then nothing at all is written.

use anyhow::ensure;
use ottla_tests::fault::Faults;
use tokio::time::{Duration, Instant, sleep};

use crate::faults::server::User;
use crate::faults::stage::{Bench, Example, Stage};

/// How long it is watched at rest, and how many passes must have been made meanwhile.
const REST: Duration = Duration::from_secs(10);
const PASSES: u64 = 5;

pub(super) async fn play(bench: Bench, example: Example) -> anyhow::Result<String> {
    let baseline = bench.baseline(example).await?;
    let stage = Stage::new(&bench, example).await?;
    let started = Instant::now();
    stage.apply().await?;
    let operator = stage.operator(Faults::new())?;
    stage.ready().await?;
    let ready = started.elapsed();
    stage.settles(baseline, &operator).await?;
    stage.verify(baseline)?;
    let writes = || bench.audit.all_writes(User::Operator, &stage.namespace);
    let (before, passes) = (writes()?.len(), operator.passes()?);
    sleep(REST).await;
    let after = writes()?;
    let passes = operator.passes()? - passes;
    ensure!(passes >= PASSES, "only {passes} passes at rest");
    ensure!(after.len() == before, "at rest it wrote {:?}", &after[before..]);
    operator.end().await;
    Ok(format!(
        "Ready after {:.1} s, {} writes, {} objects, none created twice, {} formats; 0 writes in {passes} passes at rest",
        ready.as_secs_f64(),
        baseline.writes,
        baseline.objects.count(),
        stage.place().formats(),
    ))
}
