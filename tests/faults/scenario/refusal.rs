//! The API server says no to one write, in each way in which it can.

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
