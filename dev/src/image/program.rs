//! Our own programs, built for the image that carries them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::command::{command, run};
use crate::step;

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR"));
    dev.parent().unwrap_or(dev)
}

/// The programs that every cluster needs. They are always built together: apart, what they share
/// would be built once for the features that each of them asks for.
const TOGETHER: [&str; 2] = ["ottla-operator", "ottla-broker"];

/// A program that needs nothing beside itself, not even a C library.
pub(crate) fn build(package: &str) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    // Named even though it is this machine's: otherwise the flags would reach build scripts and
    // macros, which cannot be static.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let target_folder = repository().join("target");
    // Cargo itself knows what has changed, so it is asked each time.
    step::run(&format!("build {package}"), || {
        run(command(cargo, ["build", "--release", "--locked", "--package", package])
            .args(TOGETHER.map(|package| format!("--package={package}")))
            .args(["--target", &target])
            .current_dir(repository())
            .env("CARGO_TARGET_DIR", &target_folder)
            .env("RUSTFLAGS", "-C target-feature=+crt-static"))
    })?;
    Ok(target_folder.join(target).join("release").join(package))
}
