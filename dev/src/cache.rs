//! Built things, kept outside the repository under the hash of what they are built from.
//!
//! An entry is a folder `~/.cache/ottla/<name>/<hash>`. It is built beside its
//! place and renamed into it, so that an entry that exists is whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ring::digest::{Context, SHA256};

use crate::step;

/// How many entries of one name are kept: a few branches' worth, newest first.
const KEPT_ENTRIES: usize = 4;

/// What an entry is built from. Anything that changes the result belongs here.
pub(crate) struct Inputs(Context);

impl Inputs {
    /// No inputs yet.
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// A text such as a version, a flag or a list of packages.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.part(text.as_bytes());
        self
    }

    /// The content of a file; its name does not count.
    pub(crate) fn file(mut self, path: &Path) -> anyhow::Result<Self> {
        let content =
            fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
        self.part(&content);
        Ok(self)
    }

    /// Every file under a folder, with its path inside the folder.
    pub(crate) fn folder(mut self, folder: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        collect_files(folder, &mut files)?;
        files.sort();
        for file in files {
            let inside = file.strip_prefix(folder)?.to_string_lossy().into_owned();
            self = self.text(&inside).file(&file)?;
        }
        Ok(self)
    }

    /// The length goes first, so that two parts never read as one.
    fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    /// The first half of the hash, in hex: short enough for a path, long enough to be unique.
    pub(crate) fn hash(self) -> String {
        let digest = self.0.finish();
        digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The folder that holds the entry, built now if it is not there yet.
///
/// `build` fills the folder it is given. Prints a step `build <name>`.
pub(crate) fn folder(
    name: &str,
    inputs: Inputs,
    build: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let shelf = root()?.join(name);
    let entry = shelf.join(inputs.hash());
    let title = format!("build {name}");
    if entry.is_dir() {
        step::cached(&title);
        return Ok(entry);
    }
    fs::create_dir_all(&shelf).with_context(|| format!("could not make {}", shelf.display()))?;
    step::run_noted(&title, || {
        // Someone else may be building the same entry: wait, and take theirs.
        let lock = File::create(shelf.join(".lock"))?;
        lock.lock()?;
        if entry.is_dir() {
            return Ok(((), Some("cached".to_owned())));
        }
        build_entry(&shelf, &entry, build)?;
        Ok(((), None))
    })?;
    Ok(entry)
}

fn build_entry(
    shelf: &Path,
    entry: &Path,
    build: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let unfinished = shelf.join(".unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)
            .with_context(|| format!("could not remove {}", unfinished.display()))?;
    }
    fs::create_dir(&unfinished)?;
    build(&unfinished)?;
    fs::rename(&unfinished, entry)
        .with_context(|| format!("could not move the result to {}", entry.display()))?;
    drop_old_entries(shelf)
}

fn drop_old_entries(shelf: &Path) -> anyhow::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(shelf)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            entries.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    entries.sort();
    let surplus = entries.len().saturating_sub(KEPT_ENTRIES);
    for (_, path) in &entries[..surplus] {
        fs::remove_dir_all(path).with_context(|| format!("could not remove {}", path.display()))?;
    }
    Ok(())
}

/// `OTTLA_CACHE`, or the `ottla` folder of the user's cache.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("OTTLA_CACHE") {
        return Ok(path.into());
    }
    if let Some(path) = std::env::var_os("XDG_CACHE_HOME") {
        return Ok(Path::new(&path).join("ottla"));
    }
    let home = std::env::var_os("HOME")
        .context("neither OTTLA_CACHE nor HOME is set: set one, so that builds can be kept")?;
    Ok(Path::new(&home).join(".cache/ottla"))
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect_files(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_not_run_together() {
        let hash = |parts: &[&str]| {
            parts.iter().fold(Inputs::new(), |inputs, part| inputs.text(part)).hash()
        };
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_eq!(hash(&["a"]).len(), 32);
    }
}
