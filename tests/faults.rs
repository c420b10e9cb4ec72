//! The real operator over a real API server, with faults on the way: writes that are lost, repeated
//! or crashed upon, lists that lie, watches that break, strangers and rivals. Pods, agents and
//! Kafka are stood in for.
//!
//! One API server serves all scenarios; each has namespaces of its own. Words on the command line
//! choose scenarios by a part of their name. It needs the Kubernetes binary that `cargo dev up`
//! builds, and nothing that runs.

use std::io::Write as _;
use std::process::ExitCode;

mod faults {
    //! What scenarios stand on, and the scenarios.

    pub(crate) mod agents;
    pub(crate) mod audit;
    pub(crate) mod ground;
    pub(crate) mod operator;
    pub(crate) mod scenario;
    pub(crate) mod server;
    pub(crate) mod snapshot;
    pub(crate) mod stage;
}

use anyhow::{Context as _, ensure};
use faults::audit::Audit;
use faults::ground::{Ground, stand_in, watch};
use faults::scenario::{Scenario, scenarios};
use faults::server::{Server, User};
use faults::stage::Bench;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, PostParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use tokio::time::{Duration, Instant, timeout};

/// Five times what the longest scenario takes on two processors.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> anyhow::Result<ExitCode> {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let started = Instant::now();
    let (chosen, left_out): (Vec<Scenario>, Vec<Scenario>) =
        scenarios().into_iter().partition(|scenario| is_wanted(scenario.name, &wanted));
    ensure!(!chosen.is_empty(), "no scenario has {} in its name", wanted.join(" or "));
    let runtime = tokio::runtime::Runtime::new()?;
    let mut server = Server::start()?;
    let failed = runtime.block_on(async {
        let bench = raise(&mut server).await.context("the API server could not be raised")?;
        run(&bench, &chosen).await
    })?;
    // The stand-ins end before what they stand on.
    runtime.shutdown_background();
    drop(server);
    let passed = chosen.len() - failed;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    say(&format!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s",
        left_out.len(),
        started.elapsed().as_secs_f64()
    ))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_wanted(name: &str, wanted: &[String]) -> bool {
    wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()))
}

fn say(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Waits for the server, defines our kinds, and sets the stand-ins to work.
async fn raise(server: &mut Server) -> anyhow::Result<Bench> {
    let started = Instant::now();
    server.ready().await?;
    server.start_controllers()?;
    let ground = Ground::default();
    let access = server.access();
    let person = access.client(User::Person)?;
    define(&person).await?;
    tokio::spawn(watch(ground.clone(), person.clone()));
    tokio::spawn(stand_in(ground.clone(), person));
    say(&format!("a real API server is up after {:.1} s", started.elapsed().as_secs_f64()))?;
    Bench::new(access, ground, Audit::of(server.audit_log()))
}

async fn define(client: &kube::Client) -> anyhow::Result<()> {
    let definition: CustomResourceDefinition =
        serde_yaml::from_str(include_str!("../crds/manifests/kafkaclusters.yaml"))?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let created = definitions.create(&PostParams::default(), &definition).await?;
    let name = created.metadata.name.unwrap_or_default();
    await_condition(definitions, &name, is_crd_established()).await?;
    Ok(())
}

/// Runs scenarios one after another, each over many namespaces, and says how each went. Returns how
/// many failed.
async fn run(bench: &Bench, chosen: &[Scenario]) -> anyhow::Result<usize> {
    let mut failed = 0;
    for scenario in chosen {
        let started = Instant::now();
        // A task of its own, so that a panic fails this scenario alone.
        let play = tokio::spawn(timeout(PATIENCE, (scenario.play)(bench.clone())));
        let outcome = play.await.map_err(anyhow::Error::from);
        let seconds = started.elapsed().as_secs_f64();
        let name = scenario.name;
        match outcome.and_then(|played| played.context("it did not end")?) {
            Ok(counts) => say(&format!("test {name} ... ok: {counts} ({seconds:.1} s)"))?,
            Err(error) => {
                failed += 1;
                say(&format!("test {name} ... FAILED after {seconds:.1} s\n  {error:#}"))?;
            }
        }
    }
    Ok(failed)
}
