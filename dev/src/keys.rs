//! What Kafka itself says of its brokers' configuration keys: the tables by which the planner knows
//! which of them can change while a node runs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::cache::{self, Inputs};
use crate::command::{command, run};
use crate::image::{self, RELEASES, repository};

/// Kafka's own program that prints its broker configuration as HTML, update modes included
/// (`DynamicBrokerConfig.dynamicConfigUpdateModes`).
const PRINTER: &str = "kafka.server.KafkaConfig";

/// Fewer keys mean that the HTML looks different by now.
const KEYS_LEAST: usize = 200;

/// Writes the tables of all releases anew.
pub(crate) fn write() -> anyhow::Result<()> {
    for release in RELEASES {
        let jars = image::server_jars(release)?;
        let path = table(release.kafka);
        fs::write(&path, read(release.kafka, &jars)?)
            .with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

/// Checks that the table of a release is what its jars say, once for each table and jars.
pub(crate) fn check(kafka: &str, jars: &Path) -> anyhow::Result<()> {
    let path = table(kafka);
    let inputs = Inputs::new().text(include_str!("keys.rs")).file(&path)?.folder(jars)?;
    cache::folder(&format!("keys-{kafka}"), inputs, |_| {
        ensure!(
            fs::read_to_string(&path)? == read(kafka, jars)?,
            "{} is not what Kafka {kafka} says of its keys: run `cargo dev keys`",
            path.display()
        );
        Ok(())
    })?;
    Ok(())
}

fn table(kafka: &str) -> PathBuf {
    repository().join(format!("operator/plan/src/configuration/kafka-{kafka}.txt"))
}

fn read(kafka: &str, jars: &Path) -> anyhow::Result<String> {
    let html = run(command("java", ["-cp"]).arg(jars.join("*")).arg(PRINTER))?;
    let mut keys: Vec<[&str; 4]> = html.split("<h4>").skip(1).filter_map(key).collect();
    keys.sort_unstable();
    ensure!(keys.len() >= KEYS_LEAST, "{PRINTER} names only {} keys", keys.len());
    let mut text = format!(
        "# Keys of a broker of Kafka {kafka}: key, update mode, type, valid values. Written by `cargo dev keys`.\n"
    );
    for key in keys {
        writeln!(text, "{}", key.join(" ").trim_end())?;
    }
    Ok(text)
}

/// Key, update mode, type and valid values of one entry.
fn key(entry: &str) -> Option<[&str; 4]> {
    let between =
        |before: &str, after: &str| Some(entry.split_once(before)?.1.split_once(after)?.0);
    let field = |name: &str| between(&format!("<tr><th>{name}:</th><td>"), "</td>");
    let valid = field("Valid Values").unwrap_or_default();
    Some([between("<a id=\"", "\"")?, field("Update Mode")?, field("Type")?, valid])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_kafkas_own_documentation_is_understood() {
        let entry = "<a id=\"log.segment.delete.delay.ms\"></a><a id=\"x\" href=\"#x\">…</a></h4>\n\
            <p>…</p>\n<table><tbody>\n<tr><th>Type:</th><td>long</td></tr>\n\
            <tr><th>Default:</th><td>60000 (1 minute)</td></tr>\n\
            <tr><th>Valid Values:</th><td>[0,...]</td></tr>\n\
            <tr><th>Update Mode:</th><td>cluster-wide</td></tr>\n</tbody></table>";
        let understood = ["log.segment.delete.delay.ms", "cluster-wide", "long", "[0,...]"];
        assert_eq!(key(entry), Some(understood));
        assert_eq!(key("<p>something else</p>"), None);
    }
}
