//! Processes of the agent's own: start, signal, wait. Each belongs to one task, which alone waits
//! for it and alone signals it, so that no signal can reach a process id that is in use again.

pub(crate) mod output;
pub(crate) mod reaper;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use output::Tail;
use reaper::Reaper;

/// The longest wait for output of a process that has ended.
const OUTPUT_MAX: Duration = Duration::from_secs(1);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// The code with which the agent passes it on; signals as shells have it.
    pub(crate) fn code(self) -> u8 {
        let code = match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }

    /// Whether it ended because of a SIGTERM; Java turns that into an exit code.
    pub(crate) fn is_terminated(self) -> bool {
        i32::from(self.code()) == 128 + Signal::TERM.as_raw()
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match status.code() {
            Some(code) => Self::Code(code),
            None => Self::Signal(status.signal().unwrap_or_default()),
        }
    }
}

/// A running process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    signals: mpsc::UnboundedSender<Signal>,
    exit: watch::Receiver<Option<Exit>>,
    tail: Tail,
}

impl Process {
    /// Starts a program, forwards its output line by line, and waits for it in a task of its own.
    /// It gets a process group of its own: a Ctrl-C at a terminal is the agent's to pass on.
    pub(crate) fn start(
        reaper: &Arc<Reaper>,
        program: &Path,
        arguments: &[OsString],
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).process_group(0);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = reaper.spawn(&mut command)?;
        let tail = Tail::default();
        let (open, drained) = mpsc::channel(1);
        if let Some(stdout) = child.stdout.take() {
            output::forward(stdout.into_owned_fd()?, tail.clone(), open.clone())?;
        }
        if let Some(stderr) = child.stderr.take() {
            output::forward(stderr.into_owned_fd()?, tail.clone(), open)?;
        }
        let (signals, wanted) = mpsc::unbounded_channel();
        let (ended, exit) = watch::channel(None);
        let reaper = Arc::clone(reaper);
        tokio::spawn(async move {
            let exit = watch_over(child, &reaper, wanted).await;
            wait_for_output(drained).await;
            ended.send_replace(Some(exit));
        });
        Ok(Self { signals, exit, tail })
    }

    /// Sends a signal; to a process that is gone, nothing.
    pub(crate) fn signal(&self, signal: Signal) {
        let _gone = self.signals.send(signal);
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) -> Exit {
        let mut exit = self.exit.clone();
        loop {
            if let Some(exit) = *exit.borrow_and_update() {
                return exit;
            }
            if exit.changed().await.is_err() {
                return Exit::Signal(Signal::KILL.as_raw());
            }
        }
    }

    /// Its last lines of output.
    pub(crate) fn last_lines(&self) -> String {
        self.tail.text()
    }
}

/// Passes signals on until the process has ended.
async fn watch_over(
    mut child: Child,
    reaper: &Reaper,
    mut wanted: mpsc::UnboundedReceiver<Signal>,
) -> Exit {
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let mut listening = true;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            signal = wanted.recv(), if listening => match (signal, pid) {
                (Some(signal), Some(pid)) => {
                    if let Err(error) = kill_process(pid, signal) {
                        tracing::warn!("cannot signal process {pid:?}: {error}");
                    }
                }
                _ => listening = false,
            },
        }
    };
    if let Some(pid) = pid {
        reaper.forget(pid);
    }
    match status {
        Ok(status) => status.into(),
        Err(error) => {
            tracing::error!("lost sight of process {pid:?}: {error}");
            Exit::Code(1)
        }
    }
}

/// Waits until the last lines are out. An orphan may hold the pipe open, so not for long.
async fn wait_for_output(mut drained: mpsc::Receiver<()>) {
    let _orphan = timeout(OUTPUT_MAX, drained.recv()).await;
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;
    use std::sync::Arc;

    use rustix::process::Signal;

    use super::{Exit, Process, reaper::Reaper};

    fn shell(script: &str) -> Process {
        let arguments = [OsString::from("-c"), OsString::from(script)];
        Process::start(&Arc::new(Reaper::default()), Path::new("/bin/sh"), &arguments).unwrap()
    }

    #[tokio::test]
    async fn exit_codes_and_signals_are_told_apart() {
        assert_eq!(shell("exit 3").ended().await, Exit::Code(3));
        assert_eq!(shell("kill -9 $$").ended().await, Exit::Signal(9));
        assert_eq!(Exit::Signal(9).code(), 137);
        assert!(Exit::Code(143).is_terminated() && Exit::Signal(15).is_terminated());
        assert!(!Exit::Code(1).is_terminated());
    }

    #[tokio::test]
    async fn signals_reach_the_process() {
        let process = shell("sleep 60");
        process.signal(Signal::TERM);
        assert_eq!(process.ended().await, Exit::Signal(15));
        process.signal(Signal::TERM);
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error() {
        let reaper = Arc::new(Reaper::default());
        let error = Process::start(&reaper, Path::new("/no/java"), &[]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
}
