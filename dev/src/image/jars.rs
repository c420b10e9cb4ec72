//! Jars from Maven Central, as `broker/image/pom.xml` lists them.

use std::path::{Path, PathBuf};

use crate::cache::{self, Inputs};
use crate::command::{command, run};
use crate::packages;

/// The folder with the jars of these profiles of the pom.
pub(crate) fn folder(pom: &Path, profiles: &str, kafka: &str) -> anyhow::Result<PathBuf> {
    packages::install(&[("maven", "mvn")])?;
    let inputs = Inputs::new().file(pom)?.text(profiles).text(kafka);
    let title = format!("jars-{kafka}-{}", profiles.replace(',', "-"));
    cache::folder(&title, inputs, |folder| {
        run(command("mvn", ["--batch-mode", "--quiet", "--file"])
            .arg(pom)
            .arg(format!("-P{profiles}"))
            .arg(format!("-Dkafka.version={kafka}"))
            .arg("dependency:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", folder.display())))?;
        Ok(())
    })
}
