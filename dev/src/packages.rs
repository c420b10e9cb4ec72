//! Debian packages that are installed when they are missing.

use std::env;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::command::{PROGRAM_FOLDERS, command, run};
use crate::step;

/// Debian installs one thing at a time.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Installs those packages whose file is not there. Each comes with a file by which it is known:
/// a path, or the name of a program, which others than Debian may have put elsewhere.
pub(crate) fn install(packages: &[(&str, &str)]) -> anyhow::Result<()> {
    let _lock = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<&str> =
        packages.iter().filter(|(_, file)| !is_there(file)).map(|(package, _)| *package).collect();
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
        // Rather than to remove what somebody else has chosen, such as Docker's own containerd.
        let install = ["install", "--yes", "--no-install-recommends", "--no-remove"];
        apt(&[&install[..], &missing[..]].concat())
    })?;
    Ok(())
}

/// Joined to a folder, a whole path stays what it is.
fn is_there(file: &str) -> bool {
    env::split_paths(PROGRAM_FOLDERS).any(|folder| folder.join(file).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_anywhere_and_another_file_only_in_its_place() {
        assert!(is_there("sh"));
        assert!(is_there("/etc/passwd"));
        assert!(!is_there("passwd-of-nobody"));
        assert!(!is_there("/usr/lib/sh"));
    }
}
