//! The house rules that no compiler knows: headers, sizes, names, walls, and files that must agree
//! with each other. CONTRIBUTING.md tells them to people.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/walls.rs"]
mod walls;

/// A file longer than this is a room that became crowded: split it by what its parts are for.
const CODE_LINES_MAX: usize = 400;

/// Words that say nothing about what a file is for.
const EMPTY_WORDS: [&str; 6] = ["manager", "handler", "helper", "util", "common", "misc"];

/// Folders that are not ours to judge: what Cargo and Git make.
const FOREIGN_FOLDERS: [&str; 2] = ["target", ".git"];

/// A file by its path from the root of the repository, and its text.
struct File {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file, or only those whose names end so.
fn files(ending: &str) -> Vec<File> {
    let mut found = Vec::new();
    collect(&root(), "", &mut found);
    let mut files: Vec<File> = found
        .into_iter()
        .filter(|path| path.ends_with(ending))
        .filter_map(|path| {
            let text = fs::read_to_string(root().join(&path)).ok()?;
            Some(File { path, text })
        })
        .collect();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!files.is_empty(), "no file ends in `{ending}`");
    files
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !FOREIGN_FOLDERS.contains(&name.as_str()) {
            collect(&entry.path(), &format!("{prefix}{name}/"), found);
        } else if kind.is_file() {
            found.push(format!("{prefix}{name}"));
        }
    }
}

fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}\n  {}", broken.join("\n  "));
}

#[test]
fn every_file_says_what_it_is_for() {
    let broken = files(".rs").into_iter().filter(|file| !file.text.starts_with("//! "));
    let broken: Vec<String> = broken.map(|file| file.path).collect();
    assert_none("each file opens with a line `//! What it is for.`", &broken);
}

#[test]
fn modules_stand_beside_their_folders() {
    let broken = files(".rs").into_iter().filter(|file| file.path.ends_with("/mod.rs"));
    let broken: Vec<String> = broken.map(|file| file.path).collect();
    assert_none("`x.rs` stands beside `x/`; there is no mod.rs", &broken);
}

#[test]
fn no_file_is_crowded() {
    let broken: Vec<String> = files(".rs")
        .iter()
        .map(|file| (code_lines(&file.text), &file.path))
        .filter(|(lines, _)| *lines > CODE_LINES_MAX)
        .map(|(lines, path)| format!("{path} has {lines} lines of code"))
        .collect();
    assert_none("a file has at most 400 lines of code, its tests not counted", &broken);
}

/// Lines that are neither empty nor comments, up to the tests inside the file.
fn code_lines(text: &str) -> usize {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    code.lines().map(str::trim).filter(is_code).count()
}

#[test]
fn names_say_something() {
    let empty = |word: &str| {
        let singular = word.strip_suffix('s').unwrap_or(word);
        EMPTY_WORDS.contains(&word) || EMPTY_WORDS.contains(&singular)
    };
    let broken: Vec<String> = files(".rs")
        .into_iter()
        .map(|file| file.path)
        .filter(|path| path.split(['/', '_', '-', '.']).any(empty))
        .collect();
    assert_none("a name says what its file is for; these words say nothing", &broken);
}

/// Written in two halves, or this file would name them.
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

#[test]
fn nothing_is_left_for_later() {
    let mut broken = Vec::new();
    for file in files("").iter().filter(|file| !file.path.ends_with(".sum")) {
        for (number, line) in file.text.lines().enumerate() {
            let mut words = line.split(|character: char| !character.is_ascii_alphanumeric());
            if words.any(|word| MARKS.contains(&word)) {
                broken.push(format!("{}:{}", file.path, number + 1));
            }
        }
    }
    assert_none("what is not done is an issue, not a mark in a file", &broken);
}

/// Folders of people's own machines, in halves for the same reason.
const MACHINES: [&str; 4] =
    [concat!("/", "work/"), concat!("/", "root/"), concat!("/", "home/"), concat!("/", "Users/")];

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let mut broken = Vec::new();
    for file in files("") {
        for (number, line) in file.text.lines().enumerate() {
            let named = MACHINES.iter().any(|folder| {
                line.match_indices(folder).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "._-}".contains(c))
                })
            });
            if named {
                broken.push(format!("{}:{}", file.path, number + 1));
            }
        }
    }
    assert_none("an absolute path of somebody's machine works nowhere else", &broken);
}

#[test]
fn packages_come_from_the_public_registries() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let public = r#"source = "registry+https://github.com/rust-lang/crates.io-index""#;
    let broken: Vec<String> = lock
        .lines()
        .filter(|line| line.starts_with("source = ") && *line != public)
        .map(ToOwned::to_owned)
        .collect();
    assert_none("every crate comes from crates.io", &broken);
    let settings = ["<repository>", "<mirror>", "GOPROXY", "GOPRIVATE"];
    let broken: Vec<String> = files("pom.xml")
        .into_iter()
        .chain(files("go.mod"))
        .filter(|file| settings.iter().any(|setting| file.text.contains(setting)))
        .map(|file| file.path)
        .collect();
    assert_none("where packages are fetched from is each machine's own setting", &broken);
}
