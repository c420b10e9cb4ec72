//! Files that are there as a whole or as they were before, whatever happens meanwhile.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Puts a file in the place of another, or of none.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_added_extension("tmp");
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename(&unfinished, path)
}

/// Gives a file or a folder another name on the same file system.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    for folder in [to.parent(), from.parent().filter(|folder| Some(*folder) != to.parent())] {
        folder.map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::replace;
    use crate::scratch::Scratch;

    #[test]
    fn what_a_broken_off_write_left_is_in_nobodys_way() {
        let scratch = Scratch::new();
        scratch.write("note", "before");
        scratch.write("note.tmp", "half of what was to be th");
        replace(&scratch.path().join("note"), b"after").unwrap();
        assert_eq!(std::fs::read_to_string(scratch.path().join("note")).unwrap(), "after");
        assert!(!scratch.path().join("note.tmp").exists());
    }
}
