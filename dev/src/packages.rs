//! Debian packages that are installed when they are missing.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::command::{command, run};
use crate::step;

/// Debian installs one thing at a time.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Installs those packages whose file is not there. Each comes with a file by which it is known.
pub(crate) fn install(packages: &[(&str, &str)]) -> anyhow::Result<()> {
    let _lock = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<&str> = packages
        .iter()
        .filter(|(_, file)| !Path::new(file).exists())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    anyhow::ensure!(
        Path::new("/etc/debian_version").exists(),
        "the Debian packages {} are missing, and this is no Debian",
        missing.join(", ")
    );
    let apt = |arguments: &[&str]| {
        let mut apt = command("apt-get", ["--quiet"]);
        run(apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    step::run(&format!("install {}", missing.join(", ")), || {
        apt(&["update"])?;
        let arguments = [&["install", "--yes", "--no-install-recommends"], &missing[..]].concat();
        apt(&arguments)
    })?;
    Ok(())
}
