//! Helm, built from its Go module, what it says of the chart, and the plain manifests that it
//! makes of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::cache::{self, Inputs};
use crate::command::{command, run};
use crate::step;

/// The module and release that is built.
const MODULE: &str = "helm.sh/helm/v3/cmd/helm@v3.22.0";

/// Manifests for people without Helm.
struct Plain {
    file: &'static str,
    /// Who it is for; the first line of the file.
    title: &'static str,
    namespace: &'static str,
    values: &'static [&'static str],
}

const PLAIN: [Plain; 2] = [
    Plain {
        file: "ottla.yaml",
        title: "Ottla for people without Helm: one operator for the KafkaClusters of all namespaces.",
        namespace: "ottla-system",
        values: &["--set=watch.all=true"],
    },
    Plain {
        file: "ottla-namespaced.yaml",
        title: "Ottla for people without Helm: an operator for the KafkaClusters of its own namespace, kafka.",
        namespace: "kafka",
        values: &[],
    },
];

/// Helm itself.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let inputs = Inputs::new().text(MODULE);
    let folder = cache::folder("helm", inputs, |folder| {
        run(command("go", ["install", "-trimpath", MODULE]).env("GOBIN", folder))?;
        Ok(())
    })?;
    Ok(folder.join("helm"))
}

fn charts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts")
}

/// Lints the chart, and compares the plain manifests with what it makes.
pub(crate) fn check() -> anyhow::Result<()> {
    let program = program()?;
    step::run("helm lint", || {
        run(command(&program, ["lint", "--strict"]).arg(charts().join("ottla")))?;
        Ok(())
    })?;
    step::run("the plain manifests are the chart's", || {
        for plain in &PLAIN {
            let path = charts().join("plain").join(plain.file);
            let found = fs::read_to_string(&path)
                .with_context(|| format!("could not read {}", path.display()))?;
            ensure!(
                found == plain.render(&program)?,
                "charts/plain/{} is stale: run `cargo dev manifests`",
                plain.file
            );
        }
        Ok(())
    })
}

/// Writes the plain manifests.
pub(crate) fn write_plain() -> anyhow::Result<()> {
    let program = program()?;
    for plain in &PLAIN {
        let path = charts().join("plain").join(plain.file);
        fs::write(&path, plain.render(&program)?)
            .with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

impl Plain {
    fn render(&self, helm: &Path) -> anyhow::Result<String> {
        let Self { title, namespace, values, .. } = self;
        // Without a Kubernetes to ask, Helm believes in one of its own age.
        let arguments =
            ["template", "ottla", "--include-crds", "--kube-version=1.34", "--namespace"];
        let rendered =
            run(command(helm, arguments).arg(namespace).args(*values).arg(charts().join("ottla")))?;
        Ok(format!(
            "# {title}\n\
             # Generated from charts/ottla by `cargo dev manifests`; never edited by hand.\n\
             apiVersion: v1\n\
             kind: Namespace\n\
             metadata:\n  name: {namespace}\n  labels:\n    \
             pod-security.kubernetes.io/enforce: restricted\n\
             {rendered}"
        ))
    }
}
