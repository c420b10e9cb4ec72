//! The binaries of Kubernetes and CoreDNS, built from their Go modules into the cache.

use std::path::{Path, PathBuf};

use crate::cache::{self, Inputs};
use crate::command::{command, run};

/// Kubernetes asks its binary for its version, which the build has to tell it.
const KUBERNETES_FLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.34.4 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=34";

/// Every program of Kubernetes in one binary.
pub(crate) fn kubernetes() -> anyhow::Result<PathBuf> {
    build("kubernetes", KUBERNETES_FLAGS)
}

/// CoreDNS.
pub(crate) fn coredns() -> anyhow::Result<PathBuf> {
    build("coredns", "-s -w")
}

fn build(name: &str, linker_flags: &str) -> anyhow::Result<PathBuf> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let version = run(&mut command("go", ["env", "GOVERSION", "GOARCH"]))?;
    let inputs = Inputs::new().text(&version).text(linker_flags).folder(&module)?;
    let folder = cache::folder(name, inputs, |folder| {
        // Without C, so that it runs in an image that holds nothing else. Without debug
        // information, and with a rare garbage collection, it is compiled in less time.
        run(command("go", ["build", "-trimpath", "-tags", "providerless"])
            .args(["-gcflags", "all=-dwarf=false", "-ldflags"])
            .arg(linker_flags)
            .arg("-o")
            .arg(folder.join(name))
            .arg(".")
            .current_dir(&module)
            .env("CGO_ENABLED", "0")
            .env("GOGC", "400"))?;
        Ok(())
    })?;
    Ok(folder.join(name))
}
