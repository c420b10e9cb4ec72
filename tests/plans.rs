//! What the planner decides, told by scripts in `tests/plans` that read as documentation, and by
//! properties. `OTTLA_GENERATE=1` writes the answers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "plans/guards.rs"]
mod guards;
#[path = "plans/laws.rs"]
mod laws;
#[path = "plans/objects.rs"]
mod objects;
#[path = "plans/properties.rs"]
mod properties;

const GENERATE: &str =
    "If what is new is right: OTTLA_GENERATE=1 cargo test -p ottla-tests --test plans";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn scripts_answer_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let mut scripts: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty(), "there are no scripts");
    let mut stale = Vec::new();
    for path in scripts {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let written = fs::read_to_string(&path).unwrap();
        match ottla_tests::script::run(&written, &root()) {
            Ok(today) if today == written => {}
            Ok(today) if std::env::var_os("OTTLA_GENERATE").is_some() => {
                fs::write(&path, today).unwrap();
            }
            Ok(today) => stale.push(format!("{name}: {}", difference(&written, &today))),
            Err(error) => stale.push(format!("{name}: {error:#}")),
        }
    }
    assert!(stale.is_empty(), "{}\n\n{GENERATE}", stale.join("\n\n"));
}

/// The first line that differs.
fn difference(written: &str, today: &str) -> String {
    let mut lines = today.lines();
    for (number, line) in written.lines().enumerate() {
        let now = lines.next().unwrap_or("(nothing)");
        if now != line {
            return format!("line {}\n  written: {line}\n  today:   {now}", number + 1);
        }
    }
    format!("more answers than written: {}", lines.next().unwrap_or("(nothing)"))
}
