//! Our own programs, built for the image that carries them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::command::{command, run};
use crate::step;

/// The C library of Debian 12, which is below the agent in the Kafka image.
const GLIBC_OF_BASE: (u32, u32) = (2, 36);

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR"));
    dev.parent().unwrap_or(dev)
}

/// The agent, linked to the C library of the base system.
pub(crate) fn agent() -> anyhow::Result<PathBuf> {
    cargo_build("ottla-broker", &[], "")?;
    let binary = repository().join("target/release/ottla-broker");
    let content =
        fs::read(&binary).with_context(|| format!("could not read {}", binary.display()))?;
    let needed = newest_glibc(&content);
    anyhow::ensure!(
        needed <= GLIBC_OF_BASE,
        "the agent was linked to glibc {}.{} of this machine, and the image holds {}.{} of \
         Debian 12: build on Debian 12, or with Docker",
        needed.0,
        needed.1,
        GLIBC_OF_BASE.0,
        GLIBC_OF_BASE.1
    );
    Ok(binary)
}

/// A program that needs nothing beside itself, not even a C library.
pub(crate) fn static_program(package: &str) -> anyhow::Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // Named even though it is this machine's: otherwise the flags would reach build scripts and
    // macros, which cannot be static.
    cargo_build(package, &["--target", &target], "-C target-feature=+crt-static")?;
    Ok(repository().join("target").join(target).join("release").join(package))
}

/// Cargo itself knows what has changed, so it is asked each time.
fn cargo_build(package: &str, arguments: &[&str], flags: &str) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let target_folder = repository().join("target");
    step::run(&format!("build {package}"), || {
        run(command(cargo, ["build", "--release", "--locked", "--package", package])
            .args(arguments)
            .current_dir(repository())
            .env("CARGO_TARGET_DIR", target_folder)
            .env("RUSTFLAGS", flags))
    })?;
    Ok(())
}

/// The newest version of glibc whose symbols a program asks for, as its version names say.
fn newest_glibc(program: &[u8]) -> (u32, u32) {
    const MARK: &[u8] = b"GLIBC_";
    let marks = program.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let versions = marks.filter_map(|(start, _)| {
        let rest = &program[start + MARK.len()..];
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (major, minor) = std::str::from_utf8(&rest[..end]).ok()?.split_once('.')?;
        let minor = minor.split('.').next()?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    versions.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_needed_glibc_is_the_newest_that_is_named() {
        let program = b"\0libc.so.6\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0GLIBC_2.9\0";
        assert_eq!(newest_glibc(program), (2, 34));
        assert_eq!(newest_glibc(b"static"), (0, 0));
    }
}
