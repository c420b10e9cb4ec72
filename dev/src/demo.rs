//! The first ten minutes: from nothing to records through a Kafka cluster.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::cluster::{self, kubectl::Kubectl};
use crate::command::run_with_input;
use crate::{install, step, wait};

const NAMESPACE: &str = include_str!("demo/namespace.yaml");
const CLIENT: &str = include_str!("demo/client.yaml");
const CLUSTER: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart.yaml"));

/// A first start pulls nothing, so that it is over in well under a minute.
const READY_WITHIN: Duration = Duration::from_secs(300);

/// kube-proxy learns of a Ready pod after everybody else, and writes its rules at most once a
/// second; until then a Service's address refuses connections.
const REACHED_WITHIN: Duration = Duration::from_secs(15);

/// What is typed in the demo.
const RECORDS: &str = "hello\nfrom\nottla\n";

/// Raises, installs, applies, produces and consumes, and says what to type next.
pub(crate) fn demo() -> anyhow::Result<()> {
    let started = Instant::now();
    install::build()?;
    cluster::up()?;
    install::install()?;
    let kubectl = cluster::connect()?;
    step::run("apply examples/quickstart.yaml in namespace demo", || {
        kubectl.apply(NAMESPACE)?;
        apply_in_demo(&kubectl, CLUSTER)?;
        apply_in_demo(&kubectl, CLIENT)
    })?;
    follow_until_ready(&kubectl)?;
    for (listener, port, tls) in [("plain", 9092, false), ("tls", 9093, true)] {
        let what =
            format!("produce and consume by kcat through orders-{listener}-bootstrap:{port}");
        step::run(&what, || round_trip(&kubectl, listener, port, tls))?;
    }
    step::say(&format!("\nDone after {}.\n{NEXT}", step::spell(started.elapsed())));
    Ok(())
}

const NEXT: &str = "\
What to type next:
  export KUBECONFIG=$(cargo dev kubeconfig)
  kubectl --namespace demo get kafkacluster,pods
  kubectl --namespace demo describe kafkacluster orders
  kubectl --namespace demo exec client -- kcat -b orders-plain-bootstrap:9092 -L
  kubectl --namespace demo exec orders-broker-0-0 -- kafka-topics.sh --bootstrap-server orders-plain-bootstrap:9092 --list
  cargo dev down    (drops everything)";

fn apply_in_demo(kubectl: &Kubectl, manifests: &str) -> anyhow::Result<()> {
    let mut apply = kubectl.command(["--namespace=demo", "apply", "--server-side", "-f", "-"]);
    run_with_input(&mut apply, manifests.as_bytes())?;
    Ok(())
}

/// Prints every change of the cluster's own words until it is Ready.
fn follow_until_ready(kubectl: &Kubectl) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut said = String::new();
    wait::until("a Ready KafkaCluster", READY_WITHIN, || {
        let words = kubectl.run(
            "--namespace demo get kafkacluster orders --no-headers --output=custom-columns=\
             :status.summary.brokers,:status.conditions[0].reason,:status.summary.waitingOn",
        )?;
        let words = words.trim().to_owned();
        if words != said {
            step::say(&format!("    {:>6}  {words}", step::spell(started.elapsed())));
            said.clone_from(&words);
        }
        Ok(words.contains(" Ready "))
    })?;
    step::say(&format!("  Kafka is Ready after {}", step::spell(started.elapsed())));
    kubectl
        .run("--namespace demo wait --for=condition=Ready pod/client --timeout=60s")
        .context("the client's pod does not start")?;
    Ok(())
}

fn round_trip(kubectl: &Kubectl, listener: &str, port: u16, tls: bool) -> anyhow::Result<()> {
    let bootstrap = format!("orders-{listener}-bootstrap:{port}");
    let topic = format!("hello-{listener}");
    let mut kcat = vec!["--namespace=demo", "exec", "-i", "client", "--", "kcat", "-b", &bootstrap];
    if tls {
        kcat.extend(["-X", "security.protocol=ssl", "-X", "ssl.ca.location=/ca/ca.crt"]);
    }
    let list = [&kcat[..], &["-L", "-m", "5"]].concat();
    wait::until(&format!("{bootstrap} to lead to a broker"), REACHED_WITHIN, || {
        Ok(run_with_input(&mut kubectl.command(list.clone()), b"").is_ok())
    })?;
    let produce = [&kcat[..], &["-P", "-t", &topic, "-X", "acks=all"]].concat();
    run_with_input(&mut kubectl.command(produce), RECORDS.as_bytes())?;
    let consume = [&kcat[..], &["-C", "-t", &topic, "-o", "beginning", "-e", "-q"]].concat();
    let consumed = run_with_input(&mut kubectl.command(consume), b"")?;
    if !RECORDS.lines().all(|record| consumed.lines().any(|line| line == record)) {
        bail!("produced {RECORDS:?} and consumed {consumed:?}");
    }
    Ok(())
}
