//! The programs that run in the background: started, found again, ended.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::cache::Inputs;
use crate::cluster::process;
use crate::cluster::state::{KubernetesNode, State};
use crate::command::PROGRAM_FOLDERS;
use crate::wait;

/// In the environment of every program of ours and of what it starts: `<state folder>:<name>`.
const MARK: &str = "OTTLA_DEV_PROGRAM";
/// The hash of how it was started, so that `up` sees what has changed.
const SETTINGS: &str = "OTTLA_DEV_SETTINGS";

/// Time for a program to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Time for a program to be loaded from a slow disk.
const START: Duration = Duration::from_secs(60);

/// How many of a program's last words an error repeats.
const LAST_LINES: usize = 8;

/// A program and how to start it.
pub(crate) struct Program {
    /// Its name: `etcd`, `kubelet-node-1`.
    pub(crate) name: String,
    /// In which node's network it runs; none is this machine's own.
    pub(crate) node: Option<&'static KubernetesNode>,
    /// What to run.
    pub(crate) binary: PathBuf,
    /// With what.
    pub(crate) arguments: Vec<String>,
    /// Whether what it has started outlives it, as containers outlive containerd.
    pub(crate) keeps_children: bool,
    /// The content of its configuration files: another content means a restart.
    pub(crate) settings: String,
}

/// A program that runs.
pub(crate) struct Running {
    /// Its name.
    pub(crate) name: String,
    /// Its process.
    pub(crate) pid: i32,
    settings: String,
}

impl Program {
    /// Starts the program, unless it runs already as it should. True when it was started.
    pub(crate) fn start(&self, state: &State) -> anyhow::Result<bool> {
        let settings = self.settings_hash();
        if let Some(found) = running(state)?.into_iter().find(|found| found.name == self.name) {
            if found.settings == settings {
                return Ok(false);
            }
            end(state, &self.name)?;
        }
        if !self.keeps_children {
            kill(state, |name| name == self.name)?;
        }
        self.spawn(state, &settings)?;
        Ok(true)
    }

    fn spawn(&self, state: &State, settings: &str) -> anyhow::Result<()> {
        let log = state.log(&self.name);
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("could not open {}", log.display()))?;
        // A session of its own: it outlives this command and hears no Ctrl-C of its terminal.
        let mut command = Command::new("setsid");
        if let Some(node) = self.node {
            // Not `ip netns exec`: that makes a mount namespace too, and then containerd
            // does not see what the kubelet mounts.
            command.arg("nsenter").arg(format!("--net=/run/netns/{}", node.namespace()));
        }
        command
            .arg(&self.binary)
            .args(&self.arguments)
            .current_dir("/")
            .env_clear()
            .env("PATH", PROGRAM_FOLDERS)
            .env("HOME", state.root())
            .env("OTTLA_STATE", state.root())
            .env(MARK, mark(state, &self.name))
            .env(SETTINGS, settings)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let mut child =
            command.spawn().with_context(|| format!("could not start {}", self.name))?;
        // Only then is it found by its mark: while one program replaces another, as setsid
        // is by nsenter and that by ours, the process has no environment to be read.
        wait::until(&format!("the start of {}", self.name), START, || {
            if let Some(status) = child.try_wait()? {
                bail!("{} ended with {status}; {}", self.name, log_end(&log));
            }
            let pid = child.id().cast_signed();
            Ok(process::runs(pid, &self.binary) && process::environment(pid).contains_key(MARK))
        })
    }

    fn settings_hash(&self) -> String {
        let node = self.node.map_or("", |node| node.name);
        let start = Inputs::new().text(&self.binary.to_string_lossy()).text(node);
        let all = self.arguments.iter().fold(start, |inputs, argument| inputs.text(argument));
        all.text(&self.settings).hash()
    }
}

/// The programs that run for this state folder.
pub(crate) fn running(state: &State) -> anyhow::Result<Vec<Running>> {
    let mut found = Vec::new();
    for pid in process::all()? {
        let mut environment = process::environment(pid);
        let Some(mark) = environment.remove(MARK) else { continue };
        let Some(name) = mark.strip_prefix(&mark_prefix(state)) else { continue };
        if process::leads_session(pid) {
            let settings = environment.remove(SETTINGS).unwrap_or_default();
            found.push(Running { name: name.to_owned(), pid, settings });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The last lines of a program's log, and where the others are.
pub(crate) fn log_end(log: &Path) -> String {
    let content = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = content.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    format!("the end of {}:\n{last}", log.display())
}

/// Ends one program, first by asking; what it started lives on, as a container must.
pub(crate) fn end(state: &State, name: &str) -> anyhow::Result<()> {
    let wanted = mark(state, name);
    let is_it = |pid: i32| {
        process::environment(pid).get(MARK) == Some(&wanted) && process::leads_session(pid)
    };
    let Some(found) = running(state)?.into_iter().find(|found| found.name == name) else {
        return Ok(());
    };
    process::signal(found.pid, Signal::TERM, is_it);
    let asked = wait::until(&format!("the end of {name}"), GRACE, || Ok(!is_it(found.pid)));
    if asked.is_err() {
        process::kill_all(name, is_it)?;
    }
    Ok(())
}

/// Kills every process that carries the mark of this state folder and of a matching program.
pub(crate) fn kill(state: &State, matches: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let prefix = mark_prefix(state);
    process::kill_all("the programs of the cluster", |pid| {
        let environment = process::environment(pid);
        environment.get(MARK).and_then(|mark| mark.strip_prefix(&prefix)).is_some_and(&matches)
    })
}

fn mark(state: &State, name: &str) -> String {
    format!("{}{name}", mark_prefix(state))
}

fn mark_prefix(state: &State) -> String {
    format!("{}:", state.root().display())
}
