//! One disk: empty, being formatted, or formatted for ever.

use ottla_crds::agent::DiskMeta;
use tokio::time::{Duration, Instant};

/// How long a format takes. Long enough for an operator to look twice meanwhile.
pub(crate) const FORMAT_TIME: Duration = Duration::from_millis(120);

/// What a disk holds once it is formatted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) cluster_id: String,
    pub(crate) node_id: i32,
    pub(crate) directory_id: String,
    /// When the format that wrote it is done.
    pub(crate) done: Instant,
}

/// One disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) content: Option<Content>,
    pub(crate) formats: usize,
}

impl Disk {
    /// What an agent finds on it.
    pub(crate) fn meta(&self) -> DiskMeta {
        match &self.content {
            Some(content) if content.done <= Instant::now() => DiskMeta::Present {
                cluster_id: content.cluster_id.clone(),
                node_id: content.node_id,
                directory_id: Some(content.directory_id.clone()),
            },
            _ => DiskMeta::Absent,
        }
    }
}
