//! Disks of the nodes: an image file each, with a file system, mounted through a loop device.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cluster::mount;
use crate::cluster::state::State;
use crate::command::{command, run};

/// XFS takes no smaller one, so that smaller disks are made as large as this.
const SMALLEST_BYTES: u64 = 16 << 20;
/// Sizes are rounded up to this, as no file system fills a part of a block.
const UNIT_BYTES: u64 = 1 << 20;

/// One disk of one node.
pub(crate) struct Disk {
    image: PathBuf,
    /// Where it is mounted.
    pub(crate) path: PathBuf,
}

/// Where a node keeps its disks.
pub(crate) fn folder(state: &State, node: &str) -> PathBuf {
    state.path(node).join("disks")
}

/// Mounts every disk of a node that is not mounted.
pub(crate) fn mount_all(state: &State, node: &str) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder(state, node))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "img") {
            Disk { path: path.with_extension(""), image: path }.mount()?;
        }
    }
    Ok(())
}

/// Frees every loop device whose file is under this folder.
pub(crate) fn detach_under(folder: &Path) -> anyhow::Result<()> {
    let table =
        run(&mut command("losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"]))?;
    for line in table.lines() {
        let Some((device, file)) = line.trim().split_once(' ') else { continue };
        if Path::new(file.trim()).starts_with(folder) {
            run(&mut command("losetup", ["--detach", device]))?;
        }
    }
    Ok(())
}

impl Disk {
    /// The disk of this name.
    pub(crate) fn named(state: &State, node: &str, name: &str) -> Self {
        let path = folder(state, node).join(name);
        Self { image: path.with_extension("img"), path }
    }

    /// Makes the disk, unless it is there, and mounts it.
    pub(crate) fn create(&self, size_bytes: u64) -> anyhow::Result<()> {
        if !self.image.exists() {
            // Renamed when it is whole, so that an interruption leaves no half-made disk.
            let unfinished = self.image.with_extension("unfinished");
            let _ = fs::remove_file(&unfinished);
            resize_file(&unfinished, size_bytes)?;
            // XFS, because ext4 grows in use only for those with CAP_SYS_RESOURCE, which not
            // every machine gives. Below 300Mi it has to be told that this is for tests.
            run(command("mkfs.xfs", ["--unsupported", "-q"]).arg(&unfinished))?;
            fs::rename(&unfinished, &self.image)?;
        }
        self.mount()
    }

    /// Grows the disk while it is in use.
    pub(crate) fn grow(&self, size_bytes: u64) -> anyhow::Result<()> {
        resize_file(&self.image, size_bytes)?;
        let mounted = mount::at(&self.path)?
            .with_context(|| format!("{} is not mounted", self.path.display()))?;
        run(&mut command("losetup", ["--set-capacity", &mounted.source]))?;
        run(command("xfs_growfs", ["-d"]).arg(&self.path))?;
        Ok(())
    }

    /// Unmounts the disk and removes it with all that is on it.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        mount::unmount_under(&self.path)?;
        for path in [&self.image, &self.image.with_extension("unfinished")] {
            if path.exists() {
                fs::remove_file(path)
                    .with_context(|| format!("could not remove {}", path.display()))?;
            }
        }
        if self.path.exists() {
            fs::remove_dir(&self.path)
                .with_context(|| format!("could not remove {}", self.path.display()))?;
        }
        Ok(())
    }

    fn mount(&self) -> anyhow::Result<()> {
        if mount::at(&self.path)?.is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.path)?;
        run(command("mount", ["-o", "loop"]).arg(&self.image).arg(&self.path))?;
        Ok(())
    }
}

/// Sets the size, never to less.
fn resize_file(path: &Path, size_bytes: u64) -> anyhow::Result<()> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("could not open {}", path.display()))?;
    let rounded = size_bytes.max(SMALLEST_BYTES).next_multiple_of(UNIT_BYTES);
    if file.metadata()?.len() < rounded {
        file.set_len(rounded).with_context(|| format!("could not resize {}", path.display()))?;
    }
    Ok(())
}
