//! The releases of Kafka that there are images of.

use anyhow::Context as _;

/// Every release, oldest first.
///
/// The tools, Connect and MirrorMaker are of an earlier release where those of the same one were
/// not on Maven Central, in whole or in part, when the release was added.
pub(crate) const RELEASES: [Release; 3] = [
    Release { kafka: "4.2.1", tools: "4.2.0" },
    Release { kafka: "4.3.1", tools: "4.3.1" },
    Release { kafka: "4.4.0", tools: "4.3.1" },
];

/// A release of Kafka, and the release of its tools.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Release {
    /// What the nodes run.
    pub(crate) kafka: &'static str,
    /// The command line tools, Connect and MirrorMaker.
    pub(crate) tools: &'static str,
}

impl Release {
    /// The release of this version of Kafka.
    pub(crate) fn of(kafka: &str) -> anyhow::Result<Self> {
        RELEASES.into_iter().find(|release| release.kafka == kafka).with_context(|| {
            let known = RELEASES.map(|release| release.kafka).join(", ");
            format!("no image of Kafka {kafka} is known; there are {known}")
        })
    }

    /// Whether server and tools are one release, so that they can share their jars.
    pub(crate) fn is_whole(self) -> bool {
        self.kafka == self.tools
    }
}

/// The release that clusters run unless they ask for another.
impl Default for Release {
    fn default() -> Self {
        RELEASES[1]
    }
}
