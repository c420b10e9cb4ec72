//! A KafkaCluster is deleted and created again: it finds its data.

use anyhow::ensure;
use ottla_tests::fault::Faults;
use tokio::time::{Duration, sleep};

use super::each;
use crate::faults::stage::{Baseline, Bench, Example, Stage};

/// When it is created again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// Once all its pods are gone.
    Later,
    /// At once, while the garbage collector is still at work.
    AtOnce,
    /// So, and with an operator that was away meanwhile.
    AtOnceWithoutOperator,
}

pub(super) async fn play(bench: Bench) -> anyhow::Result<String> {
    let mut cases = Vec::new();
    for example in [Example::Quickstart, Example::Production] {
        let baseline = bench.baseline(example).await?;
        for again in [Again::Later, Again::AtOnce, Again::AtOnceWithoutOperator] {
            cases.push(case(bench.clone(), example, baseline.clone(), again));
        }
    }
    let played = each(cases).await?;
    Ok(format!("{} clusters, each with its former id and without any format", played.len()))
}

async fn case(
    bench: Bench,
    example: Example,
    baseline: Baseline,
    again: Again,
) -> anyhow::Result<()> {
    let stage = Stage::new(&bench, example).await?;
    stage.apply().await?;
    let mut operator = stage.operator(Faults::new())?;
    stage.settles(&baseline, &operator).await?;
    stage.verify(&baseline)?;
    let formats = stage.place().formats();
    if again == Again::AtOnceWithoutOperator {
        operator.end().await;
        delete_and_apply(&stage, again).await?;
        operator = stage.operator(Faults::new())?;
    } else {
        delete_and_apply(&stage, again).await?;
    }
    // The garbage collector takes its time, and what it takes away must come back.
    sleep(Duration::from_secs(2)).await;
    stage.settles(&baseline, &operator).await?;
    let place = stage.place();
    ensure!(place.violations.is_empty(), "{}", place.violations.join("; "));
    ensure!(place.cluster_ids.len() == 1, "cluster ids {:?}", place.cluster_ids);
    ensure!(place.formats() == formats, "{} formats, not {formats}", place.formats());
    operator.end().await;
    Ok(())
}

async fn delete_and_apply(stage: &Stage, again: Again) -> anyhow::Result<()> {
    stage.delete().await?;
    if again == Again::Later {
        stage.until("the end of all pods", |place| place.pods.is_empty()).await?;
    }
    stage.apply().await
}
