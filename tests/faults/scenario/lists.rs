//! The API server answers lists from the past, or as if nothing were there; and watches end.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, DeleteParams};
use ottla_operator::api_call::ApiCall;
use ottla_tests::fault::{Choice, Faults, ListFault};
use tokio::time::{Duration, sleep};

use super::each;
use crate::faults::operator::Operator;
use crate::faults::stage::{Baseline, Bench, Example, Stage};

/// How long lists lie: several passes, those after a failure included.
const LIES: Duration = Duration::from_secs(3);

fn choices() -> [Choice; 7] {
    [
        // Not the KafkaClusters: a server that never tells of one asks for nothing to be done.
        |call: &ApiCall| call.resource != "kafkaclusters",
        |call| call.resource == "configmaps",
        |call| call.resource == "secrets",
        |call| call.resource == "persistentvolumeclaims",
        |call| call.resource == "statefulsets",
        |call| call.resource == "pods",
        |call| matches!(call.resource.as_str(), "configmaps" | "persistentvolumeclaims"),
    ]
}

/// From different points of the bring-up on, and once all is done.
pub(super) async fn lie(bench: Bench) -> anyhow::Result<String> {
    let baseline = bench.baseline(Example::Quickstart).await?;
    let writes = baseline.writes;
    let points = [0, 2, writes / 4, writes / 2, writes * 3 / 4, usize::MAX];
    let mut cases = Vec::new();
    for fault in [ListFault::Empty, ListFault::Stale] {
        for (turn, choice) in choices().into_iter().enumerate() {
            // Each choice meets half of the points, and both faults together all of them.
            let half = usize::from(fault == ListFault::Stale) + turn;
            for point in points.into_iter().skip(half % 2).step_by(2) {
                let played = case(bench.clone(), baseline.clone(), fault, choice, point);
                cases.push(async move {
                    let told = || format!("{fault:?} lists of choice {turn} from write {point} on");
                    played.await.with_context(told)
                });
            }
        }
    }
    let played = each(cases).await?;
    Ok(format!("{} bring-ups, nothing deleted, nothing made twice, all ended alike", played.len()))
}

async fn case(
    bench: Bench,
    baseline: Baseline,
    fault: ListFault,
    choice: Choice,
    point: usize,
) -> anyhow::Result<()> {
    let stage = Stage::new(&bench, Example::Quickstart).await?;
    stage.apply().await?;
    let operator = stage.operator(Faults::new())?;
    if point == usize::MAX {
        stage.settles(&baseline, &operator).await?;
    } else {
        let faults = operator.faults.clone();
        stage.until("a write", move |_| faults.mutations() >= point).await?;
    }
    operator.faults.falsify_lists(fault, choice);
    sleep(LIES).await;
    stage.verify_ground_so_far()?;
    operator.faults.honest_lists();
    stage.settles(&baseline, &operator).await?;
    stage.verify(&baseline)?;
    operator.end().await;
    Ok(())
}

/// Watches break all the time while it comes up, and later an event is missed.
pub(super) async fn broken_watches(bench: Bench) -> anyhow::Result<String> {
    let baseline = bench.baseline(Example::Quickstart).await?;
    let ways: [fn(&Faults); 2] = [Faults::break_watches, Faults::expire_watches];
    let cases = ways.map(|way| watch_case(bench.clone(), baseline.clone(), way));
    let breaks: usize = Box::pin(each(cases)).await?.into_iter().sum();
    Ok(format!("watches broken {breaks} times, a missed deletion of a Service made good"))
}

async fn watch_case(bench: Bench, baseline: Baseline, way: fn(&Faults)) -> anyhow::Result<usize> {
    let stage = Stage::new(&bench, Example::Quickstart).await?;
    stage.apply().await?;
    let operator = stage.operator(Faults::new())?;
    let mut breaks = 0;
    while !stage.place().is("Ready") && breaks < 200 {
        way(&operator.faults);
        breaks += 1;
        sleep(Duration::from_millis(150)).await;
    }
    stage.settles(&baseline, &operator).await?;
    stage.verify(&baseline)?;
    way(&operator.faults);
    lose_a_service(&stage, &operator).await?;
    stage.settles(&baseline, &operator).await?;
    operator.end().await;
    Ok(breaks + 1)
}

async fn lose_a_service(stage: &Stage, operator: &Operator) -> anyhow::Result<()> {
    let services: Api<Service> = Api::namespaced(stage.bench.person.clone(), &stage.namespace);
    let name = format!("{}-nodes", stage.cluster_name()?);
    let before = operator.faults.mutations();
    services.delete(&name, &DeleteParams::default()).await?;
    let faults = operator.faults.clone();
    stage.until("a repair", move |_| faults.mutations() > before).await
}
