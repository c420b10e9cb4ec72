//! The walls between crates and modules: what each may use, and what never.

use crate::{File, assert_none, files};

/// A crate, the crates of ours that it may use, and what of others' it never uses.
struct Wall {
    manifest: &'static str,
    ours: &'static [&'static str],
    never: &'static [&'static str],
}

const WALLS: [Wall; 5] = [
    Wall { manifest: "crds/Cargo.toml", ours: &[], never: &["tokio"] },
    Wall { manifest: "kafka/Cargo.toml", ours: &[], never: &["kube", "k8s-openapi"] },
    Wall {
        manifest: "operator/plan/Cargo.toml",
        ours: &["ottla-crds"],
        never: &["tokio", "kube", "kafka-protocol", "tracing", "futures", "rustls"],
    },
    Wall {
        manifest: "operator/Cargo.toml",
        ours: &["ottla-crds", "ottla-kafka", "ottla-plan"],
        never: &[],
    },
    Wall {
        manifest: "broker/Cargo.toml",
        ours: &["ottla-crds", "ottla-kafka"],
        never: &["kube", "k8s-openapi"],
    },
];

/// What no crate uses: it would bring a second TLS stack, or C.
const NOWHERE: [&str; 4] = ["openssl", "native-tls", "aws-lc-rs", "rdkafka"];

#[test]
fn crates_use_only_what_they_may() {
    let mut broken = Vec::new();
    for file in files("Cargo.toml") {
        for used in dependencies(&file.text) {
            if NOWHERE.contains(&used.as_str()) {
                broken.push(format!("{} uses {used}, which no crate may", file.path));
            }
        }
    }
    for wall in WALLS {
        let found: Vec<File> =
            files(wall.manifest).into_iter().filter(|file| file.path == wall.manifest).collect();
        let [file] = found.as_slice() else { panic!("there is no {}", wall.manifest) };
        for used in dependencies(&file.text) {
            let foreign = used.starts_with("ottla-") && !wall.ours.contains(&used.as_str());
            if foreign || wall.never.contains(&used.as_str()) {
                broken.push(format!("{} uses {used}", wall.manifest));
            }
        }
    }
    assert_none("a crate uses what its wall lets in", &broken);
}

/// Names in `[dependencies]`; what only tests use is theirs.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = |line: &str| line.strip_prefix('[').and_then(|l| l.strip_suffix(']')).is_some();
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    lines
        .take_while(|line| !section(line))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn every_crate_obeys_the_workspaces_lints() {
    let broken: Vec<String> = files("/Cargo.toml")
        .into_iter()
        .filter(|file| !file.text.contains("[lints]\nworkspace = true"))
        .map(|file| file.path)
        .collect();
    assert_none("each crate has `[lints] workspace = true`", &broken);
}

/// What a part of the code never says, and why.
struct Ban {
    path: &'static str,
    words: &'static [&'static str],
    why: &'static str,
}

const WRITES: [&str; 7] =
    [".create(", ".patch(", ".patch_", ".delete(", ".delete_", ".replace(", ".replace_"];

const BANS: [Ban; 6] = [
    Ban {
        path: "operator/plan/src/",
        words: &[
            "std::time",
            "std::fs",
            "std::env",
            "std::net",
            "std::thread",
            "std::process",
            "HashMap",
            "HashSet",
            "Timestamp::now",
            "Zoned::now",
        ],
        why: "the plan is a function of what it is given",
    },
    Ban {
        path: "operator/src/act",
        words: &["crate::observe", "crate::reconcile", "ottla_plan::check", "ottla_plan::cluster"],
        why: "act decides nothing: neither a policy nor what the world is",
    },
    Ban {
        path: "operator/src/observe",
        words: &["crate::act", "crate::guard", "crate::reconcile"],
        why: "observe reads and judges nothing",
    },
    Ban { path: "operator/src/observe", words: &WRITES, why: "observe never writes" },
    Ban { path: "operator/src/guard", words: &WRITES, why: "the guard never writes" },
    Ban {
        path: "operator/src/guard",
        words: &["crate::act", "crate::reconcile"],
        why: "the guard permits and does nothing itself",
    },
];

#[test]
fn modules_keep_to_their_walls() {
    let sources = files(".rs");
    let mut broken = Vec::new();
    for ban in &BANS {
        let judged: Vec<&File> =
            sources.iter().filter(|file| file.path.starts_with(ban.path)).collect();
        assert!(!judged.is_empty(), "no file is at {}", ban.path);
        for file in judged {
            for (number, line) in file.text.lines().enumerate() {
                if line.trim_start().starts_with("//") {
                    continue;
                }
                for word in ban.words.iter().filter(|word| line.contains(**word)) {
                    let place = format!("{}:{}", file.path, number + 1);
                    broken.push(format!("{place} says `{word}`, but {}", ban.why));
                }
            }
        }
    }
    assert_none("a wall is broken", &broken);
}
