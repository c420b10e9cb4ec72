//! Helm, built from its Go module, and what it says of the chart.

use std::path::{Path, PathBuf};

use crate::cache::{self, Inputs};
use crate::command::{command, run};
use crate::step;

/// The module and release that is built.
const MODULE: &str = "helm.sh/helm/v3/cmd/helm@v3.22.0";

/// Helm itself.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let inputs = Inputs::new().text(MODULE);
    let folder = cache::folder("helm", inputs, |folder| {
        run(command("go", ["install", "-trimpath", MODULE]).env("GOBIN", folder))?;
        Ok(())
    })?;
    Ok(folder.join("helm"))
}

/// Lints the chart.
pub(crate) fn check() -> anyhow::Result<()> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/ottla");
    let program = program()?;
    step::run("helm lint", || {
        run(command(&program, ["lint", "--strict"]).arg(&chart))?;
        Ok(())
    })
}
