//! Files that must agree with each other: generated ones, examples, links, and names that people
//! type.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use ottla_plan::Desired;
use ottla_tests::world::{manifest, settings};

use crate::{assert_none, files, root};

fn folder(path: &str) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(root().join(path)) else { return BTreeMap::new() };
    entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "yaml"))
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect()
}

#[test]
fn the_chart_installs_the_generated_definitions() {
    let charted = folder("charts/ottla/crds");
    if root().join("charts/ottla/Chart.yaml").exists() {
        assert!(
            charted == folder("crds/manifests"),
            "charts/ottla/crds is stale: cp crds/manifests/*.yaml charts/ottla/crds/"
        );
    }
}

#[test]
fn every_example_is_a_good_cluster() {
    let examples = folder("examples");
    assert!(!examples.is_empty(), "there are no examples");
    let mut broken = Vec::new();
    for (name, text) in examples {
        match manifest(&text).map(|cluster| Desired::parse(&cluster, &settings())) {
            Ok(Ok(_)) => {}
            Ok(Err(problems)) => broken.push(format!("{name}: {problems:?}")),
            Err(error) => broken.push(format!("{name}: {error:#}")),
        }
    }
    assert_none("an example can be applied as it is", &broken);
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for file in files(".md") {
        let here = root().join(&file.path);
        for link in links(&file.text) {
            let path = link.split('#').next().unwrap_or_default();
            let folder = here.parent().unwrap_or(Path::new("."));
            if !path.is_empty() && !folder.join(path).exists() {
                broken.push(format!("{} links to {link}", file.path));
            }
        }
    }
    assert_none("a link leads to a file that exists", &broken);
}

/// What a status says for programs stands in the code as a word of its own: reasons in one match, and the conditions'
/// own reasons and operations as constants.
#[test]
fn every_reason_and_operation_is_documented() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let report = read("operator/plan/src/report.rs");
    let status = read("operator/plan/src/status.rs");
    let reasons = report.lines().filter(|line| line.trim().starts_with("WaitingOn::"));
    let constants = status.lines().filter(|line| line.starts_with("const "));
    let said: BTreeSet<&str> = reasons.chain(constants).filter_map(quoted).collect();
    let page = read("docs/reasons.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: BTreeSet<&str> = rows.collect();
    let differ: Vec<String> =
        said.symmetric_difference(&documented).map(|word| (*word).to_owned()).collect();
    assert_none("docs/reasons.md has a row for each reason and operation, and no other", &differ);
    assert!(said.len() > 50, "the reasons in report.rs are written in another way now");
}

/// The first words in quotes of a line.
fn quoted(line: &str) -> Option<&str> {
    line.split('"').nth(1)
}

/// Targets of `[text](target)` outside of code, those on the web left out.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose
        .flat_map(|prose| prose.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

#[test]
fn the_readme_tells_every_name_that_people_type() {
    let Ok(readme) = fs::read_to_string(root().join("README.md")) else { return };
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let targets = makefile.lines().find_map(|line| line.strip_prefix(".PHONY:"));
    let broken: Vec<String> = targets
        .expect("the Makefile has a line `.PHONY:`")
        .split_whitespace()
        .map(|target| format!("make {target}"))
        .filter(|command| !readme.contains(command))
        .collect();
    assert_none("the README tells each name of the Makefile", &broken);
}
