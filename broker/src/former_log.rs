//! A metadata log that is left from when another disk of this node had it. Kafka ends at its start where it finds one
//! anywhere but where it is told to (`KafkaRaftServer.initializeLogDirs`).

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::disks::{METADATA_FOLDER, durable};
use crate::node::Volume;

/// Where it is kept on its disk, beside Kafka's folder. An older one makes room.
const ASIDE: &str = "former-metadata-log";

/// Sets aside what the other disks have of it, if the right one has the metadata log; from which disks.
///
/// # Errors
/// Where a disk cannot be read or written.
pub(crate) fn set_aside(volumes: &[Volume], metadata_volume: &str) -> io::Result<Vec<String>> {
    let folder = |volume: &Volume| -> PathBuf { volume.log.join(METADATA_FOLDER) };
    let (right, others): (Vec<&Volume>, Vec<&Volume>) =
        volumes.iter().partition(|volume| volume.name == metadata_volume);
    let mut from = Vec::new();
    if !right.into_iter().any(|volume| folder(volume).is_dir()) {
        return Ok(from);
    }
    for volume in others.into_iter().filter(|volume| folder(volume).is_dir()) {
        let aside = volume.mount.join(ASIDE);
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        durable::rename(&folder(volume), &aside)?;
        from.push(volume.name.clone());
    }
    Ok(from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn volumes(scratch: &Scratch) -> Vec<Volume> {
        ["d0", "d1"].into_iter().map(|name| Volume::new(scratch.path(), name)).collect()
    }

    fn log(volume: &str) -> String {
        format!("{volume}/{}/{METADATA_FOLDER}/quorum-state", ottla_crds::agent::LOG_FOLDER)
    }

    #[test]
    fn the_log_that_kafka_is_not_told_of_makes_way() {
        let scratch = Scratch::new();
        for (file, text) in
            [(log("d0"), "new"), (log("d1"), "old"), (format!("d1/{ASIDE}/quorum-state"), "older")]
        {
            scratch.write(&file, text);
        }
        assert_eq!(set_aside(&volumes(&scratch), "d0").unwrap(), ["d1"]);
        assert!(scratch.path().join(log("d0")).exists());
        assert!(!scratch.path().join(log("d1")).exists());
        let kept = scratch.path().join(format!("d1/{ASIDE}/quorum-state"));
        assert_eq!(fs::read_to_string(kept).unwrap(), "old");
        assert!(set_aside(&volumes(&scratch), "d0").unwrap().is_empty(), "it is done once");
    }

    #[test]
    fn the_only_log_stays_wherever_it_is() {
        let scratch = Scratch::new();
        scratch.write(&log("d1"), "the only one");
        assert!(set_aside(&volumes(&scratch), "d0").unwrap().is_empty());
        assert!(scratch.path().join(log("d1")).exists());
    }
}
