//! The API server says no to one write, in each way in which it can, and again and again to the note without
//! which nothing is done.

use anyhow::ensure;
use http::StatusCode;
use ottla_tests::fault::{Fault, Faults};

use super::each;
use crate::faults::stage::{Bench, Example, Stage};

const ANSWERS: [StatusCode; 6] = [
    StatusCode::CONFLICT,
    StatusCode::GONE,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

/// Each write meets one answer, and each answer every sixth write. The next write meets the next
/// one, as an API server in trouble rarely says no only once.
pub(super) async fn play(bench: Bench) -> anyhow::Result<String> {
    let baseline = bench.baseline(Example::Quickstart).await?;
    let cases = (1..=baseline.writes).map(|number| {
        let (bench, baseline) = (bench.clone(), baseline.clone());
        async move {
            let faults = Faults::new();
            for ahead in 0..2 {
                let answer = ANSWERS[(number + ahead) % ANSWERS.len()];
                faults.at(number + ahead, Fault::Answer(answer));
            }
            let stage = Stage::new(&bench, Example::Quickstart).await?;
            stage.apply().await?;
            let operator = stage.operator(faults)?;
            stage.settles(&baseline, &operator).await?;
            stage.verify(&baseline)?;
            operator.end().await;
            Ok(())
        }
    });
    let played = each(cases).await?;
    Ok(format!("{} bring-ups with two refusals each, all ended alike", played.len()))
}

/// So often that a person sees it.
const REFUSED_NOTES: usize = 4;

/// What has to be on record before anything is done cannot be written: nothing is done, and the status says why;
/// everything goes on as soon as it can be.
pub(super) async fn of_notes(bench: Bench) -> anyhow::Result<String> {
    let baseline = bench.baseline(Example::Quickstart).await?;
    let stage = Stage::new(&bench, Example::Quickstart).await?;
    let operator = stage.operator(Faults::new())?;
    // Before there is anything to write.
    operator.faults.count_only(|call| {
        let is_identity = call.name.as_ref().is_some_and(|name| name.ends_with("-identity"));
        call.verb == "patch" && call.resource == "configmaps" && is_identity
    });
    for number in 1..=REFUSED_NOTES {
        operator.faults.at(number, Fault::Answer(StatusCode::FORBIDDEN));
    }
    stage.apply().await?;
    stage
        .until("WriteFailed", |place| place.conditions.values().any(|one| one == "WriteFailed"))
        .await?;
    let told = stage.clusters().get(&stage.cluster_name()?).await?.status.unwrap_or_default();
    let sentence = "could not be noted beside the cluster's identity";
    ensure!(
        told.conditions.iter().any(|one| one.message.contains(sentence)),
        "the status says nothing of it: {:?}",
        told.conditions
    );
    stage.settles(baseline, &operator).await?;
    stage.verify(baseline)?;
    operator.end().await;
    Ok(format!("{REFUSED_NOTES} refusals, said in the status, and ended alike"))
}
