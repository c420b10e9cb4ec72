//! Two operators of different installations see one KafkaCluster: one acts, the other is silent.

use anyhow::{Context as _, ensure};
use ottla_tests::fault::Faults;

use super::each;
use crate::faults::server::User;
use crate::faults::stage::{Baseline, Bench, Example, Stage};

/// Races, so that each has a chance to be the first.
const RACES: usize = 8;

pub(super) async fn play(bench: Bench) -> anyhow::Result<String> {
    let baseline = bench.baseline(Example::Quickstart).await?;
    let cases = (0..RACES).map(|race| case(bench.clone(), baseline.clone(), race));
    let winners = each(cases).await?;
    let first = winners.iter().filter(|winner| **winner == User::Operator).count();
    Ok(format!("{RACES} races, won {first} to {}; the loser wrote nothing", RACES - first))
}

async fn case(bench: Bench, baseline: Baseline, race: usize) -> anyhow::Result<User> {
    let stage = Stage::new(&bench, Example::Quickstart).await?;
    let mut users = [User::Operator, User::OtherOperator];
    if race % 2 == 1 {
        users.reverse();
    }
    let operators = users.map(|user| stage.operator_of(user, Faults::new(), None));
    let [one, two] = operators;
    let operators = [one?, two?];
    stage.until("a first pass", |_| true).await?;
    stage.apply().await?;
    stage.ready().await?;
    let stamp = stage.clusters().get(&stage.cluster_name()?).await?.status.unwrap_or_default();
    let winner = users.iter().position(|user| stamp.operator.as_deref() == Some(user.name()));
    let winner = winner.with_context(|| format!("stamped by {:?}", stamp.operator))?;
    let before = operators[1 - winner].passes()?;
    if users[winner] == User::Operator {
        stage.settles(&baseline, &operators[winner]).await?;
        stage.verify(&baseline)?;
    }
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    stage.verify_ground()?;
    ensure!(operators[1 - winner].passes()? > before, "the loser does not look any more");
    let writes = bench.audit.all_writes(users[1 - winner], &stage.namespace)?;
    let taken: Vec<_> = writes.iter().filter(|write| write.succeeded()).collect();
    ensure!(taken.is_empty(), "{} lost and wrote {taken:?}", users[1 - winner].name());
    for operator in operators {
        operator.end().await;
    }
    Ok(users[winner])
}
