//! What is known of Kafka's releases.

use std::collections::BTreeMap;

use ottla_crds::kafka_cluster::KAFKA_VERSIONS;

/// The feature that says how metadata is written; others may depend on it, so that it is raised first.
const METADATA: &str = "metadata.version";

/// The levels that differ between releases. What a cluster of that release is born with
/// (`MetadataVersion.LATEST_PRODUCTION`, `Feature.defaultLevel`), and the highest that it knows.
const METADATA_LEVELS: [(&str, i32); 3] = [("4.2.1", 29), ("4.3.1", 30), ("4.4.0", 33)];
const SHARE_LEVELS: [(&str, i32); 3] = [("4.2.1", 1), ("4.3.1", 1), ("4.4.0", 2)];

/// The levels that are the same in all of them.
const OTHER_LEVELS: [(&str, i32); 5] = [
    ("eligible.leader.replicas.version", 1),
    ("group.version", 1),
    ("kraft.version", 1),
    ("streams.version", 1),
    ("transaction.version", 2),
];

/// The highest level of each feature that a release knows, which is also what a cluster that begins
/// with it has switched on. Empty for a release that nobody knows.
#[must_use]
pub fn levels(release: &str) -> BTreeMap<&'static str, i32> {
    let of =
        |table: &[(&str, i32)]| table.iter().find(|(name, _)| *name == release).map(|one| one.1);
    let (Some(metadata), Some(share)) = (of(&METADATA_LEVELS), of(&SHARE_LEVELS)) else {
        return BTreeMap::new();
    };
    let differing = [(METADATA, metadata), ("share.version", share)];
    OTHER_LEVELS.into_iter().chain(differing).collect()
}

/// Finalised `metadata.version` from which Kafka has cordons (4.3-IV0, KIP-1066).
const CORDONS_FROM: i32 = 30;

/// … and from which it lets registrations of controllers go (4.4-IV2, KIP-1312).
const UNREGISTERS_CONTROLLERS_FROM: i32 = 33;

/// Whether a broker, or a folder of it, can be told to take no new replicas.
pub(crate) fn has_cordons(switched_on: &BTreeMap<String, i32>) -> bool {
    writes_metadata_as_from(CORDONS_FROM, switched_on)
}

/// Whether Kafka can be told to forget a controller.
pub(crate) fn unregisters_controllers(switched_on: &BTreeMap<String, i32>) -> bool {
    writes_metadata_as_from(UNREGISTERS_CONTROLLERS_FROM, switched_on)
}

fn writes_metadata_as_from(level: i32, switched_on: &BTreeMap<String, i32>) -> bool {
    switched_on.get(METADATA).is_some_and(|found| *found >= level)
}

/// A feature that is switched on at a level that a release does not know, if there is one.
#[must_use]
pub fn unknown(release: &str, switched_on: &BTreeMap<String, i32>) -> Option<(String, i32)> {
    let levels = levels(release);
    let too_high = |(name, level): &(&String, &i32)| {
        levels.get(name.as_str()).is_none_or(|highest| highest < *level)
    };
    switched_on.iter().find(too_high).map(|(name, level)| (name.clone(), *level))
}

/// The releases that know everything that is switched on, oldest first.
#[must_use]
pub fn allowed(switched_on: &BTreeMap<String, i32>) -> Vec<String> {
    let knows = |release: &&str| unknown(release, switched_on).is_none();
    KAFKA_VERSIONS.into_iter().filter(knows).map(ToOwned::to_owned).collect()
}

/// Whether one release came after another.
#[must_use]
pub fn is_newer(one: &str, other: &str) -> bool {
    let place = |release: &str| KAFKA_VERSIONS.iter().position(|known| *known == release);
    place(one) > place(other)
}

/// The level of a feature, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raise {
    /// Its name.
    pub feature: String,
    /// Its level now.
    pub from: i32,
    /// The level that the release has.
    pub to: i32,
}

/// The next feature that is below what a release has. What is switched off stays so.
#[must_use]
pub fn next_raise(release: &str, switched_on: &BTreeMap<String, i32>) -> Option<Raise> {
    let levels = levels(release);
    let first = levels.get_key_value(METADATA);
    let in_order = first.into_iter().chain(levels.iter());
    let mut raises = in_order.filter_map(|(feature, to)| {
        let from = *switched_on.get(*feature)?;
        (from < *to).then(|| Raise { feature: (*feature).to_owned(), from, to: *to })
    });
    raises.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switched_on(release: &str) -> BTreeMap<String, i32> {
        levels(release).into_iter().map(|(name, level)| (name.to_owned(), level)).collect()
    }

    #[test]
    fn every_release_is_known() {
        for release in KAFKA_VERSIONS {
            assert_eq!(next_raise(release, &switched_on(release)), None, "{release}");
            assert!(levels(release).len() > 1, "{release}");
        }
    }

    #[test]
    fn the_way_back_ends_with_the_features() {
        assert_eq!(allowed(&switched_on("4.2.1")), ["4.2.1", "4.3.1", "4.4.0"]);
        assert_eq!(allowed(&switched_on("4.4.0")), ["4.4.0"]);
        assert_eq!(allowed(&BTreeMap::new()), KAFKA_VERSIONS);
    }

    #[test]
    fn metadata_is_raised_first_and_what_is_off_stays_off() {
        let mut now = switched_on("4.3.1");
        let raise = |feature: &str, from, to| Some(Raise { feature: feature.to_owned(), from, to });
        assert_eq!(next_raise("4.4.0", &now), raise("metadata.version", 30, 33));
        now.insert("metadata.version".to_owned(), 33);
        assert_eq!(next_raise("4.4.0", &now), raise("share.version", 1, 2));
        now.remove("share.version");
        assert_eq!(next_raise("4.4.0", &now), None);
    }
}
