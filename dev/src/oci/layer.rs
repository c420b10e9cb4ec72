//! One layer of an image: a tar of files, all owned by root and without times.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ring::digest::{Context, SHA256};

/// A finished layer on disk.
#[derive(Clone)]
pub(crate) struct Layer {
    /// The uncompressed tar.
    pub(crate) file: PathBuf,
    /// `sha256:…` of the tar.
    pub(crate) digest: String,
    /// The size of the tar.
    pub(crate) size_bytes: u64,
}

impl Layer {
    /// A layer out of a tar that exists, as mmdebstrap writes one.
    pub(crate) fn from_tar(file: &Path) -> anyhow::Result<Self> {
        let unreadable = || format!("could not read the layer {}", file.display());
        let size_bytes = fs::metadata(file).with_context(unreadable)?.len();
        let digest = digest_of_file(file).with_context(unreadable)?;
        Ok(Self { file: file.to_owned(), digest, size_bytes })
    }
}

/// Writes a layer, path by path. Paths inside are relative: `usr/bin/x`.
pub(crate) struct LayerWriter {
    tar: tar::Builder<BufWriter<File>>,
    file: PathBuf,
}

impl LayerWriter {
    /// Starts an empty layer in this file.
    pub(crate) fn create(file: &Path) -> anyhow::Result<Self> {
        let opened =
            File::create(file).with_context(|| format!("could not create {}", file.display()))?;
        Ok(Self { tar: tar::Builder::new(BufWriter::new(opened)), file: file.to_owned() })
    }

    /// Adds a folder.
    pub(crate) fn folder(&mut self, path: &str, mode: u32) -> anyhow::Result<()> {
        self.owned_folder(path, mode, 0, 0)
    }

    /// Adds a folder that belongs to another user than root.
    pub(crate) fn owned_folder(
        &mut self,
        path: &str,
        mode: u32,
        uid: u64,
        gid: u64,
    ) -> anyhow::Result<()> {
        let mut header = plain_header(tar::EntryType::Directory, mode);
        header.set_uid(uid);
        header.set_gid(gid);
        Ok(self.tar.append_data(&mut header, path, io::empty())?)
    }

    /// Adds a file with this content.
    pub(crate) fn bytes(&mut self, path: &str, mode: u32, content: &[u8]) -> anyhow::Result<()> {
        let mut header = plain_header(tar::EntryType::Regular, mode);
        header.set_size(content.len() as u64);
        Ok(self.tar.append_data(&mut header, path, content)?)
    }

    /// Adds a copy of a file of this machine.
    pub(crate) fn file(&mut self, path: &str, mode: u32, source: &Path) -> anyhow::Result<()> {
        let file =
            File::open(source).with_context(|| format!("could not open {}", source.display()))?;
        let mut header = plain_header(tar::EntryType::Regular, mode);
        header.set_size(file.metadata()?.len());
        Ok(self.tar.append_data(&mut header, path, file)?)
    }

    /// Adds a symbolic link.
    pub(crate) fn symlink(&mut self, path: &str, target: &str) -> anyhow::Result<()> {
        let mut header = plain_header(tar::EntryType::Symlink, 0o777);
        Ok(self.tar.append_link(&mut header, path, target)?)
    }

    /// Adds a folder of this machine with everything in it, with its modes, in order of name.
    pub(crate) fn tree(&mut self, path: &str, source: &Path) -> anyhow::Result<()> {
        let mode = fs::symlink_metadata(source)
            .with_context(|| format!("could not read {}", source.display()))?
            .permissions()
            .mode();
        self.folder(path, mode & 0o7777)?;
        let mut entries = fs::read_dir(source)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let inside = format!("{path}/{}", entry.file_name().to_string_lossy());
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                self.tree(&inside, &entry.path())?;
            } else if metadata.is_symlink() {
                self.symlink(&inside, &fs::read_link(entry.path())?.to_string_lossy())?;
            } else {
                self.file(&inside, metadata.permissions().mode() & 0o7777, &entry.path())?;
            }
        }
        Ok(())
    }

    /// Ends the layer.
    pub(crate) fn finish(self) -> anyhow::Result<Layer> {
        self.tar.into_inner()?.flush()?;
        Layer::from_tar(&self.file)
    }
}

/// A header without anything that differs from build to build.
pub(super) fn plain_header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// `sha256:…` of some bytes.
pub(super) fn digest_of_bytes(bytes: &[u8]) -> String {
    spell(ring::digest::digest(&SHA256, bytes))
}

fn digest_of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(spell(context.finish())),
            count => context.update(&buffer[..count]),
        }
    }
}

fn spell(digest: ring::digest::Digest) -> String {
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
