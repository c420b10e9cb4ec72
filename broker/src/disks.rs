//! What lies on the node's disks. Looking changes nothing; `verdict` says what follows from it.

pub(crate) mod durable;
pub(crate) mod mounts;
pub(crate) mod note;
pub(crate) mod verdict;

use std::fs;
use std::io;
use std::path::Path;

use ottla_crds::agent::{DiskMeta, DiskStatus};

use crate::node::Volume;
use crate::properties;
use mounts::{Mount, MountTable};
use note::FormatNote;

/// Kafka's file that says whose a folder is. `StorageTool` writes it last.
const META_FILE: &str = "meta.properties";
/// The folder of the metadata log.
pub(crate) const METADATA_FOLDER: &str = "__cluster_metadata-0";
/// Everything that `StorageTool` leaves in a folder when it dies before `META_FILE` is written.
const HALF_FORMATTED: [&str; 4] =
    ["bootstrap.checkpoint", "bootstrap.checkpoint.tmp", "meta.properties.tmp", METADATA_FOLDER];
/// The start of the name of the one snapshot that `StorageTool` writes into `METADATA_FOLDER`.
const FIRST_SNAPSHOT: &str = "00000000000000000000-0000000000";

/// Whose a folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetaProperties {
    /// `cluster.id`.
    pub(crate) cluster_id: String,
    /// `node.id`.
    pub(crate) node_id: i32,
    /// `directory.id`.
    pub(crate) directory_id: Option<String>,
}

/// What Kafka's folder on a volume holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// It could not be read.
    Unreadable(String),
    /// Nothing.
    Empty,
    /// Only what a format of ours leaves when it is broken off.
    HalfFormatted,
    /// Files, and none of them says whose they are; one is named.
    Unknown(String),
    /// A formatted folder.
    Formatted(MetaProperties),
}

/// One volume as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// The volume's name.
    pub(crate) volume: String,
    /// Whether a file system of its own is mounted there.
    pub(crate) mounted: bool,
    /// Whether that file system refuses writes.
    pub(crate) read_only: bool,
    /// What Kafka's folder holds.
    pub(crate) content: Content,
    /// Whether Kafka's folder holds the metadata log.
    pub(crate) metadata_log: bool,
    /// The note of a finished format.
    pub(crate) formatted: Option<FormatNote>,
    /// The note of a format that was begun and perhaps not finished.
    pub(crate) intent: Option<FormatNote>,
    /// Size of the file system.
    pub(crate) total_bytes: u64,
    /// Bytes left for Kafka.
    pub(crate) available_bytes: u64,
}

/// Looks at every volume, with a mount table read just before.
pub(crate) fn look(volumes: &[Volume], mount_table: &Path) -> Vec<Disk> {
    match MountTable::read(mount_table) {
        Ok(table) => volumes.iter().map(|volume| look_at(volume, &table)).collect(),
        Err(error) => {
            let reason = format!("cannot read the mount table {}: {error}", mount_table.display());
            volumes.iter().map(|volume| Disk::unreadable(volume, false, reason.clone())).collect()
        }
    }
}

fn look_at(volume: &Volume, table: &MountTable) -> Disk {
    let Some(mount) = table.at(&volume.mount) else {
        let reason = format!("nothing is mounted at {}", volume.mount.display());
        return Disk::unreadable(volume, false, reason);
    };
    match look_into(volume, mount) {
        Ok(disk) => disk,
        Err(error) => Disk::unreadable(volume, true, format!("cannot read the disk: {error}")),
    }
}

fn look_into(volume: &Volume, mount: &Mount) -> io::Result<Disk> {
    let space = rustix::fs::statvfs(&volume.mount)?;
    let intent = note::read(&volume.mount, note::INTENT)?;
    Ok(Disk {
        volume: volume.name.clone(),
        mounted: true,
        read_only: mount.read_only,
        content: content(volume, intent.is_some())?,
        metadata_log: volume.log.join(METADATA_FOLDER).is_dir(),
        formatted: note::read(&volume.mount, note::FORMATTED)?,
        intent,
        total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
        available_bytes: space.f_bavail.saturating_mul(space.f_frsize),
    })
}

/// What Kafka's folder holds; only after a format of ours was begun may files without
/// `meta.properties` be the remains of one.
fn content(volume: &Volume, format_begun: bool) -> io::Result<Content> {
    if volume.mount.join(META_FILE).exists() {
        return Ok(Content::Unknown(format!("{META_FILE} at the root of the volume")));
    }
    let names = match names(&volume.log) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Empty),
        Err(error) => return Err(error),
    };
    if names.iter().any(|name| name == META_FILE) {
        return Ok(parse_meta(&fs::read_to_string(volume.log.join(META_FILE))?));
    }
    match names.first() {
        None => Ok(Content::Empty),
        Some(_) if format_begun && only_remains(&volume.log, &names)? => Ok(Content::HalfFormatted),
        Some(name) => Ok(Content::Unknown(format!("{name} without {META_FILE}"))),
    }
}

/// Whether nothing is there but what `StorageTool` leaves when it dies.
fn only_remains(log: &Path, found: &[String]) -> io::Result<bool> {
    if !found.iter().all(|name| HALF_FORMATTED.contains(&name.as_str())) {
        return Ok(false);
    }
    if !found.iter().any(|name| name == METADATA_FOLDER) {
        return Ok(true);
    }
    let snapshots = names(&log.join(METADATA_FOLDER))?;
    Ok(snapshots.iter().all(|name| {
        name.starts_with(FIRST_SNAPSHOT)
            && (name.ends_with(".checkpoint") || name.ends_with(".checkpoint.part"))
    }))
}

fn parse_meta(text: &str) -> Content {
    let properties = properties::parse(text);
    let node_id = properties.get("node.id").and_then(|id| id.parse().ok());
    let (Some(cluster_id), Some(node_id)) = (properties.get("cluster.id"), node_id) else {
        return Content::Unreadable(format!("{META_FILE} names no cluster.id or no node.id"));
    };
    let directory_id = properties.get("directory.id").cloned();
    Content::Formatted(MetaProperties { cluster_id: cluster_id.clone(), node_id, directory_id })
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

impl Disk {
    fn unreadable(volume: &Volume, mounted: bool, reason: String) -> Self {
        Self {
            volume: volume.name.clone(),
            mounted,
            read_only: false,
            content: Content::Unreadable(reason),
            metadata_log: false,
            formatted: None,
            intent: None,
            total_bytes: 0,
            available_bytes: 0,
        }
    }

    /// The disk as `/status` shows it.
    pub(crate) fn status(&self) -> DiskStatus {
        let meta = match &self.content {
            Content::Unreadable(reason) => DiskMeta::Unreadable { reason: reason.clone() },
            Content::Unknown(what) => DiskMeta::Unreadable { reason: format!("holds {what}") },
            Content::Empty | Content::HalfFormatted => DiskMeta::Absent,
            Content::Formatted(meta) => DiskMeta::Present {
                cluster_id: meta.cluster_id.clone(),
                node_id: meta.node_id,
                directory_id: meta.directory_id.clone(),
            },
        };
        let formatted = matches!(self.content, Content::Formatted(_));
        let note = self.formatted.as_ref().or(self.intent.as_ref()).filter(|_| formatted);
        DiskStatus {
            volume: self.volume.clone(),
            mounted: self.mounted,
            meta,
            holds_metadata_log: formatted && self.metadata_log,
            formatted_by: note.map(|note| note.kafka_version.clone()),
            total_bytes: self.total_bytes,
            available_bytes: self.available_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, Disk, MetaProperties, look, note};
    use crate::node::Volume;
    use crate::scratch::Scratch;

    const META: &str = "version=1\ncluster.id=clusterA\nnode.id=3\ndirectory.id=dirA\n";
    const NOTE: &str = r#"{"volume":"d0","clusterId":"clusterA","nodeId":3,"kafkaVersion":"4.3.1","mode":"Plain","time":"2026-11-23T08:00:00Z"}"#;

    /// Looks at the volume `d0` that holds these files, and is mounted with these options.
    fn seen(files: &[(&str, &str)], options: Option<&str>) -> Disk {
        let scratch = Scratch::new();
        scratch.write("d0/lost+found/x", "");
        for (name, text) in files {
            scratch.write(&format!("d0/{name}"), text);
        }
        let mount = scratch.path().join("d0");
        let line = options.map(|options| {
            format!("36 35 98:0 / {} {options} - ext4 /dev/loop0 rw\n", mount.display())
        });
        scratch.write("mountinfo", &line.unwrap_or_default());
        let volume = Volume::new(scratch.path(), "d0");
        look(&[volume], &scratch.path().join("mountinfo")).remove(0)
    }

    #[test]
    fn contents_are_told_apart() {
        let snapshot = "log/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint";
        let part = "log/__cluster_metadata-0/00000000000000000000-0000000000-77.checkpoint.part";
        let segment = "log/__cluster_metadata-0/00000000000000000000.log";
        let snapshots = [(snapshot, ""), (part, ""), (note::INTENT, NOTE)];
        let segments = [(segment, ""), (note::INTENT, NOTE)];
        let unknown = |what: &str| Content::Unknown(what.to_owned());
        let ours = MetaProperties {
            cluster_id: "clusterA".to_owned(),
            node_id: 3,
            directory_id: Some("dirA".to_owned()),
        };
        let half = Content::HalfFormatted;
        let no_meta = unknown("bootstrap.checkpoint without meta.properties");
        let table: Vec<(&[(&str, &str)], Content)> = vec![
            (&[], Content::Empty),
            (&[(note::INTENT, NOTE)], Content::Empty),
            (&[("log/meta.properties", META)], Content::Formatted(ours)),
            (&[("log/bootstrap.checkpoint", "")], no_meta.clone()),
            (&[("log/bootstrap.checkpoint", ""), (note::INTENT, NOTE)], half.clone()),
            (&[("log/bootstrap.checkpoint.tmp", ""), (note::INTENT, NOTE)], half.clone()),
            (&[("log/meta.properties.tmp", ""), (note::INTENT, NOTE)], half.clone()),
            (&snapshots, half),
            (&segments, unknown("__cluster_metadata-0 without meta.properties")),
            (
                &[("log/payments-0/00.log", ""), (note::INTENT, NOTE)],
                unknown("payments-0 without meta.properties"),
            ),
            (&[("meta.properties", META)], unknown("meta.properties at the root of the volume")),
            (
                &[("log/meta.properties", "version=1\n")],
                Content::Unreadable("meta.properties names no cluster.id or no node.id".to_owned()),
            ),
        ];
        for (files, expected) in table {
            assert_eq!(seen(files, Some("rw,relatime")).content, expected, "{files:?}");
        }
    }

    #[test]
    fn a_folder_without_a_mount_is_not_a_disk() {
        let disk = seen(&[("log/meta.properties", META)], None);
        assert!(!disk.mounted);
        assert!(matches!(disk.content, Content::Unreadable(reason)
            if reason.starts_with("nothing is mounted at /")));
    }

    #[test]
    fn a_disk_without_its_mount_table_is_unknown() {
        let volume = Volume::new(std::path::Path::new("/nowhere"), "d0");
        let disk = look(&[volume], std::path::Path::new("/nowhere/mountinfo")).remove(0);
        assert!(matches!(disk.content, Content::Unreadable(_)));
    }

    #[test]
    fn the_formatting_release_survives_a_crash_before_the_last_note() {
        let files = [("log/meta.properties", META), (note::INTENT, NOTE)];
        assert_eq!(seen(&files, Some("rw")).status().formatted_by.as_deref(), Some("4.3.1"));
        let emptied = [(note::FORMATTED, NOTE)];
        assert_eq!(seen(&emptied, Some("rw")).status().formatted_by, None);
    }

    #[test]
    fn space_and_read_only_mounts_are_seen() {
        let disk = seen(&[], Some("ro,relatime"));
        assert!(disk.read_only && disk.total_bytes >= disk.available_bytes);
        assert!(disk.total_bytes > 0);
    }
}
