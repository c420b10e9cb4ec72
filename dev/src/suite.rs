//! Everything that must hold, level after level, with one summary at the end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::command::command;
use crate::image::{self, ImageName, RELEASES, Release};
use crate::{cluster, helm, install, step};

/// Every test there is, those that need more than a compiler included. All levels name the same packages and
/// features, or else cargo would compile most of it again for each.
const EVERYTHING: [&str; 3] = [
    "--workspace",
    "--features",
    "ottla-tests/kubernetes,ottla-kafka/real-kafka,ottla-verifier/real-kafka",
];

/// Test targets, by level: what is pure, and one program at a time.
const PURE: [&str; 5] = ["manifests", "protocol", "agent", "tidy", "plans"];

/// Thousands of lives: a quarter of an hour of nothing but work.
const SIMULATION: &str = "simulation";

/// Clients beside a real Kafka.
const REAL: &str = "real";

/// Over a real API server.
const FAULTS: &str = "faults";

/// On the local Kubernetes.
const END_TO_END: &str = "e2e";

/// So many lines of a failed test's own words are said again at the end.
const WORDS_MAX: usize = 20;

/// What one suite, or several together, amounted to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    /// What failed, with its first words: the end of a long output is what people read.
    failures: Vec<Vec<String>>,
    /// Whether a failed test's words are being repeated.
    hears: bool,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
    }

    /// Keeps what cargo repeats of a failed test: `---- name stdout ----`, its words, and then `failures:`.
    fn hear(&mut self, line: &str) {
        let name = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"));
        if let Some(name) = name {
            self.hears = true;
            self.failures.push(vec![format!("FAILED {name}")]);
        } else if line == "failures:" {
            self.hears = false;
        } else if let Some(words) = self.failures.last_mut().filter(|_| self.hears)
            && words.len() <= WORDS_MAX
            && !line.is_empty()
        {
            words.push(format!("  {line}"));
        }
    }

    /// A check without a test runner counts as one.
    fn of_check(name: &str, check: impl FnOnce() -> anyhow::Result<()>) -> Tally {
        step::say(&format!("== {name}"));
        match check() {
            Ok(()) => Tally { passed: 1, ..Tally::default() },
            Err(error) => {
                let failure = format!("FAILED {name}: {error:#}");
                step::say(&failure);
                Tally { failed: 1, failures: vec![vec![failure]], ..Tally::default() }
            }
        }
    }
}

/// Formatting and lints.
pub(crate) fn lint() -> anyhow::Result<()> {
    loud("cargo", &["fmt", "--all", "--check"])?;
    let clippy = ["clippy", "--all-targets", "--quiet"];
    loud("cargo", &[&clippy[..], &EVERYTHING, &["--", "-D", "warnings"]].concat())
}

/// All levels. Later ones run although earlier ones failed: one run tells everything.
pub(crate) fn test() -> anyhow::Result<()> {
    let started = Instant::now();
    let mut tally = Tally::of_check("lint", lint);
    tally.add(Tally::of_check("build", build));
    tally.add(pure());
    tally.add(std::thread::scope(|scope| {
        let simulation = scope.spawn(simulation);
        let mut tally = real_kafka();
        tally.add(Tally::of_check("chart", helm::check));
        tally.add(on_kubernetes());
        tally
            .add(simulation.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).told());
        tally
    }));
    step::say(&format!("\nall levels after {}", step::spell(started.elapsed())));
    let mut stdout = std::io::stdout().lock();
    for line in tally.failures.iter().flatten() {
        writeln!(stdout, "{line}")?;
    }
    writeln!(stdout, "{} passed, {} failed", tally.passed, tally.failed)?;
    if tally.failed > 0 {
        bail!("{} failed", tally.failed);
    }
    Ok(())
}

/// What is compiled beside other work would slow both down.
fn build() -> anyhow::Result<()> {
    loud("cargo", &[&["test", "--no-run", "--quiet"][..], &EVERYTHING].concat())
}

fn pure() -> Tally {
    let targets = PURE.iter().flat_map(|target| ["--test", target]);
    let targets: Vec<&str> = ["--lib", "--bins"].into_iter().chain(targets).collect();
    let mut tally = cargo_test("pure, and one program at a time", &targets, &[]);
    tally.add(cargo_test("examples in the documentation", &["--doc"], &[]));
    tally
}

/// The simulation, out of what time the tests leave that mostly wait: everybody else goes first.
fn simulation() -> Heard {
    let arguments = ["-n", "19", "cargo", "test", "--no-fail-fast"];
    let target = ["--test", SIMULATION];
    let mut test = command("nice", [&arguments[..], &EVERYTHING, &target].concat());
    let mut lines = Vec::new();
    let tally = counted(&mut test, |line| {
        lines.push(line.to_owned());
        Ok(())
    });
    Heard { lines, tally }
}

/// What a suite said beside others, and is told when they are over.
struct Heard {
    lines: Vec<String>,
    tally: anyhow::Result<Tally>,
}

impl Heard {
    fn told(self) -> Tally {
        let name = "simulation, beside the levels since";
        step::say(&format!("== {name}"));
        self.lines.iter().for_each(|line| step::say(line));
        self.tally.unwrap_or_else(|error| Tally::of_check(name, || Err(error)))
    }
}

fn real_kafka() -> Tally {
    let [.., newest] = RELEASES;
    let jars = match image::server_jars(newest) {
        Ok(jars) => jars.display().to_string(),
        Err(error) => return Tally::of_check("jars of Kafka", || Err(error)),
    };
    let environment = [
        ("OTTLA_KAFKA_LIBS", jars.as_str()),
        // What nodes that are killed make clients say is no news.
        ("RUST_LOG", "error"),
    ];
    cargo_test("clients of a real Kafka", &["--test", REAL], &environment)
}

/// What needs a Kubernetes, which is dropped again unless it was there before.
fn on_kubernetes() -> Tally {
    if cluster::is_by_kind() {
        return Tally::of_check("local Kubernetes", || {
            bail!(
                "the end-to-end tests need the local Kubernetes made of the programs themselves: \
                 kind's writes no audit log, and its disks do not grow. Take kind off PATH"
            )
        });
    }
    let was_up = cluster::connect().is_ok();
    let mut tally = on_local_kubernetes();
    if !was_up {
        tally.add(Tally::of_check("down", cluster::down));
    }
    tally
}

fn on_local_kubernetes() -> Tally {
    let mut tally = Tally::of_check("local Kubernetes", || {
        install::build()?;
        cluster::up()?;
        install::install()?;
        cluster::load(&only_for_tests()?)
    });
    if tally.failed > 0 {
        return tally;
    }
    let kubeconfig = match cluster::connect() {
        Ok(kubectl) => kubectl.kubeconfig.display().to_string(),
        Err(error) => return Tally::of_check("kubeconfig", || Err(error)),
    };
    let helm = match helm::program() {
        Ok(helm) => helm.display().to_string(),
        Err(error) => return Tally::of_check("Helm", || Err(error)),
    };
    let environment = [
        ("KUBECONFIG", kubeconfig.as_str()),
        ("OTTLA_HELM", helm.as_str()),
        // A scenario that fails says what it saw, and where in the test it was tells nobody more.
        ("RUST_LIB_BACKTRACE", "0"),
    ];
    tally.add(cargo_test("faults over a real API server", &["--test", FAULTS], &environment));
    // Scenarios take turns by themselves; one that only waits lets another go on.
    let end_to_end = ["--test", END_TO_END, "--", "--test-threads=2"];
    tally.add(cargo_test("end to end", &end_to_end, &environment));
    tally
}

/// Images that no installation needs: the verifier, and Kafka's other releases.
fn only_for_tests() -> anyhow::Result<Vec<PathBuf>> {
    let releases = RELEASES.into_iter().filter(|release| *release != Release::default());
    let mut archives = vec![ImageName::Verifier.archive()?];
    for release in releases {
        archives.push(ImageName::Kafka(release).archive()?);
    }
    Ok(archives)
}

fn loud(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let status = command(program, arguments)
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("could not run {program}"))?;
    if !status.success() {
        bail!("`{program} {}` ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// Runs `cargo test`, passes its output on, and counts what it says.
fn cargo_test(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Tally {
    step::say(&format!("== {name}"));
    let mut test = command("cargo", ["test", "--no-fail-fast"]);
    test.args(EVERYTHING).args(arguments).envs(environment.iter().copied());
    let mut stdout = std::io::stdout();
    let counted = counted(&mut test, |line| Ok(writeln!(stdout, "{line}")?));
    counted.unwrap_or_else(|error| Tally::of_check(name, || Err(error)))
}

/// Runs `cargo test`, and counts what it says while it is told.
fn counted(
    test: &mut Command,
    mut tell: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Tally> {
    let mut child = test
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("could not run cargo test")?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line?;
            tell(&line)?;
            tally.add(result_line(&line).unwrap_or_default());
            tally.hear(&line);
        }
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        bail!("cargo test ended with {status} before any test failed");
    }
    Ok(tally)
}

/// The counts in cargo's own line: `test result: ok. 3 passed; 0 failed; …`.
fn result_line(line: &str) -> Option<Tally> {
    let counts = line.trim().strip_prefix("test result: ")?;
    let count = |word: &str| {
        let before = counts.split(&format!(" {word}")).next()?;
        before.rsplit([' ', ';']).next()?.parse().ok()
    };
    Some(Tally { passed: count("passed")?, failed: count("failed")?, ..Tally::default() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_test_target_is_forgotten() {
        let metadata = ["metadata", "--no-deps", "--format-version=1"];
        let output = command("cargo", metadata).output().expect("cargo runs");
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
        let targets = list(&metadata["packages"]).into_iter().flat_map(|one| list(&one["targets"]));
        let tests = targets.filter(|target| target["kind"][0] == "test");
        let found: BTreeSet<String> =
            tests.filter_map(|target| Some(target["name"].as_str()?.to_owned())).collect();
        let others = [SIMULATION, REAL, FAULTS, END_TO_END];
        let played = PURE.into_iter().chain(others).map(str::to_owned).collect();
        assert_eq!(found, played);
    }

    #[test]
    fn results_are_read_from_cargos_own_line() {
        let line =
            "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out";
        let expected = Tally { passed: 12, failed: 3, ..Tally::default() };
        assert_eq!(result_line(line), Some(expected));
        assert_eq!(result_line("test plans ... ok"), None);
    }

    #[test]
    fn a_failed_tests_first_words_are_kept() {
        let mut tally = Tally::default();
        let output = "\
test one ... FAILED
failures:

---- one stdout ----

it was like this
---- two stdout ----
and that

failures:
    one
    two

test result: FAILED. 0 passed; 2 failed; 0 ignored";
        output.lines().for_each(|line| tally.hear(line));
        let expected = [["FAILED one", "  it was like this"], ["FAILED two", "  and that"]];
        assert_eq!(tally.failures, expected);
        tally.hear("---- three stdout ----");
        (0..2 * WORDS_MAX).for_each(|_| tally.hear("word"));
        assert_eq!(tally.failures.last().map(Vec::len), Some(WORDS_MAX + 1));
    }
}
