//! The kernel's mount table, `/proc/self/mountinfo`: whether a folder is a mount point of its own.
//! A folder of the container would take records just as well, and lose them with the pod.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A mount, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Whether the mount or its file system refuses writes.
    pub(crate) read_only: bool,
}

/// All mounts by mount point. Of several on one point the last one covers the others.
#[derive(Debug, Default)]
pub(crate) struct MountTable(BTreeMap<PathBuf, Mount>);

impl MountTable {
    /// Reads the table from its file.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read_to_string(path)?))
    }

    /// What is mounted exactly at this folder, links followed.
    pub(crate) fn at(&self, folder: &Path) -> Option<&Mount> {
        self.0.get(&folder.canonicalize().ok()?)
    }

    fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(line).collect())
    }
}

/// Mount point and options of a line such as
/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/sda rw,errors=continue`.
fn line(line: &str) -> Option<(PathBuf, Mount)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(4);
    let point = unescape(fields.next()?);
    let options = fields.next()?;
    let super_options = file_system.split(' ').nth(2).unwrap_or_default();
    let read_only = [options, super_options].iter().any(|list| list.split(',').any(|o| o == "ro"));
    Some((PathBuf::from(point), Mount { read_only }))
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Mount, MountTable};

    #[test]
    fn the_table_is_read() {
        let table = MountTable::parse(
            "22 1 254:1 / / rw,relatime - ext4 /dev/vda rw\n\
             30 22 7:0 / /mnt/a\\040b ro shared:1 - ext4 /dev/loop0 rw\n\
             31 22 7:1 / /mnt/c rw - xfs /dev/loop1 ro,attr2\n\
             nonsense\n",
        );
        let read_only = |path: &str| table.0.get(Path::new(path)).copied();
        assert_eq!(read_only("/"), Some(Mount { read_only: false }));
        assert_eq!(read_only("/mnt/a b"), Some(Mount { read_only: true }));
        assert_eq!(read_only("/mnt/c"), Some(Mount { read_only: true }));
        assert_eq!(table.0.len(), 3);
    }

    #[test]
    fn the_real_table_knows_the_root_and_not_its_folders() {
        let table = MountTable::read(Path::new("/proc/self/mountinfo")).unwrap();
        assert!(table.at(Path::new("/")).is_some());
        assert!(table.at(Path::new("/usr/bin")).is_none());
        assert!(table.at(Path::new("/does/not/exist")).is_none());
    }
}
