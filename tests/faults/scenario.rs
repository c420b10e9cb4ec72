//! The scenarios, and how cases of one are played side by side.

mod bring_up;
mod crash;
mod lists;
mod owners;
mod recreation;
mod refusal;
mod strangers;

use anyhow::bail;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};

use super::stage::{Bench, Example};

/// What a scenario says in the end: its counts.
type Played = BoxFuture<'static, anyhow::Result<String>>;

/// One scenario.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) play: fn(Bench) -> Played,
}

/// All of them, the simplest first.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let scenario = |name, play| Scenario { name, play };
    vec![
        scenario("quickstart_comes_up_and_rests", |bench| {
            Box::pin(bring_up::play(bench, Example::Quickstart))
        }),
        scenario("production_comes_up_and_rests", |bench| {
            Box::pin(bring_up::play(bench, Example::Production))
        }),
        scenario("killed_before_each_write", |bench| Box::pin(crash::before_each(bench))),
        scenario("killed_after_each_write", |bench| Box::pin(crash::after_each(bench))),
        scenario("each_reply_lost", |bench| Box::pin(crash::each_reply_lost(bench))),
        scenario("production_with_writes_lost_and_crashed_upon", |bench| {
            Box::pin(crash::production(bench))
        }),
        scenario("words_to_format_lost_and_crashed_upon", |bench| Box::pin(crash::formats(bench))),
        scenario("each_write_refused", |bench| Box::pin(refusal::play(bench))),
        scenario("what_must_be_noted_refused", |bench| Box::pin(refusal::of_notes(bench))),
        scenario("lists_that_lie", |bench| Box::pin(lists::lie(bench))),
        scenario("watches_that_break", |bench| Box::pin(lists::broken_watches(bench))),
        scenario("two_installations", |bench| Box::pin(owners::play(bench))),
        scenario("created_again", |bench| Box::pin(recreation::play(bench))),
        scenario("strangers_in_the_way", |bench| Box::pin(strangers::play(bench))),
    ]
}

/// Namespaces in which something happens at the same time: enough to keep two processors busy, and
/// few enough that no timeout of the operator is met.
const SIDE_BY_SIDE: usize = 8;

/// As many failures tell everything.
const FAILURES_TOLD: usize = 3;

/// Plays all cases. Every one must succeed.
async fn each<T>(
    cases: impl IntoIterator<Item = impl Future<Output = anyhow::Result<T>> + Send + 'static>,
) -> anyhow::Result<Vec<T>>
where
    T: Send + 'static,
{
    let tasks = stream::iter(cases).map(|case| async {
        tokio::spawn(case).await.map_err(anyhow::Error::from).and_then(|outcome| outcome)
    });
    let outcomes: Vec<anyhow::Result<T>> = tasks.buffer_unordered(SIDE_BY_SIDE).collect().await;
    let count = outcomes.len();
    let (mut played, mut failures) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(outcome) => played.push(outcome),
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    if !failures.is_empty() {
        let told = failures.iter().take(FAILURES_TOLD).cloned().collect::<Vec<_>>().join("\n  ");
        bail!("{} of {count} cases failed:\n  {told}", failures.len());
    }
    Ok(played)
}
