//! kubectl, pointed at the local Kubernetes.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{command, run, run_with_input};

/// How to call kubectl.
#[derive(Clone)]
pub(crate) struct Kubectl {
    /// The program and its first arguments.
    pub(crate) program: PathBuf,
    /// `kubectl`, where the program is all of Kubernetes in one.
    pub(crate) applet: Option<&'static str>,
    /// Whom it calls.
    pub(crate) kubeconfig: PathBuf,
}

impl Kubectl {
    /// A call with these arguments, not yet run.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = command(&self.program, self.applet);
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Runs it with the words of this line.
    pub(crate) fn run(&self, line: &str) -> anyhow::Result<String> {
        run(&mut self.command(line.split(' ')))
    }

    /// Applies manifests.
    pub(crate) fn apply(&self, manifests: &str) -> anyhow::Result<()> {
        let mut apply = self.command(["apply", "--server-side", "--force-conflicts", "-f", "-"]);
        run_with_input(&mut apply, manifests.as_bytes())?;
        Ok(())
    }
}
