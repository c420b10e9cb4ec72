//! Kafka's configuration keys by release, as its own code has them.

use ottla_crds::kafka_cluster::{RESERVED_CONFIG_KEYS, RESERVED_CONFIG_PREFIXES};

use super::valid;

/// The table of each release, written by `cargo dev keys` from
/// `DynamicBrokerConfig.dynamicConfigUpdateModes`.
const TABLES: [(&str, &str); 3] = [
    ("4.2.1", include_str!("kafka-4.2.1.txt")),
    ("4.3.1", include_str!("kafka-4.3.1.txt")),
    ("4.4.0", include_str!("kafka-4.4.0.txt")),
];

/// What a release says of one of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// `read-only`, `per-broker` or `cluster-wide`.
    update_mode: &'static str,
    /// Kafka's type (`ConfigDef.Type`), in lower case.
    kind: &'static str,
    /// What its validator says of itself (`ConfigDef.Validator`).
    valid: &'static str,
}

/// What a release says of a key; `None` of a key that is not Kafka's own, such as a plugin's.
pub(crate) fn find(version: &str, key: &str) -> Option<Key> {
    let (_, table) = TABLES.iter().find(|(of, _)| *of == version)?;
    let line = table.lines().find(|line| line.split(' ').next() == Some(key))?;
    let mut words = line.splitn(4, ' ').skip(1);
    let (update_mode, kind) = (words.next()?, words.next()?);
    Some(Key { update_mode, kind, valid: words.next().unwrap_or_default() })
}

/// Keys that Kafka calls changeable while it runs, and that are not safe that way.
///
/// Kafka reads the dynamic configuration of a node that starts only after it has made its threads, and
/// where it then refuses one count of threads (they may at most double), it drops the whole of it
/// without a word (KAFKA-20890): retention, too. What decides which records are deleted has synonyms
/// that only a start reads, so that a change from one name to another would delete records in between.
/// What is taken of the heap fits the heap that a node has, and not the one that it will have.
const ONLY_BY_A_RESTART: [&str; 8] = [
    "thread",
    "num.replica.fetchers",
    "log.retention.",
    "log.local.retention.",
    "log.roll.",
    "log.cleanup.policy",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.io.buffer.size",
];

/// Whether Ottla sets the key itself, so that no user may.
pub(crate) fn is_reserved(key: &str) -> bool {
    RESERVED_CONFIG_KEYS.contains(&key)
        || RESERVED_CONFIG_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// Whether the key, if a user may set it, can safely change for all nodes while they run. Keys that
/// Kafka calls changeable for one broker only are all set by Ottla: listeners and their security.
pub(crate) fn is_live(version: &str, key: &str) -> bool {
    let unsafe_so = ONLY_BY_A_RESTART.iter().any(|part| key.contains(part));
    let known = find(version, key);
    !is_reserved(key) && !unsafe_so && known.is_some_and(|key| key.update_mode == "cluster-wide")
}

impl Key {
    /// What a value of this key must be and is not, for people.
    pub(crate) fn refuses(self, value: &str) -> Option<String> {
        let value = value.trim();
        let (fits, what) = match self.kind {
            "int" => (value.parse::<i32>().is_ok(), "a whole number"),
            "long" => (value.parse::<i64>().is_ok(), "a whole number"),
            "short" => (value.parse::<i16>().is_ok(), "a whole number"),
            "double" => (value.parse::<f64>().is_ok(), "a number"),
            "boolean" => {
                let word = value.to_ascii_lowercase();
                (matches!(word.as_str(), "true" | "false"), "true or false")
            }
            _ => return valid::words(self.valid)?.refuse(value, self.kind == "list"),
        };
        let range = valid::range(self.valid);
        let is_within =
            range.as_ref().is_none_or(|range| value.parse().is_ok_and(|number| range.has(number)));
        if fits && is_within {
            return None;
        }
        let bounds = range.map(|range| range.to_string()).unwrap_or_default();
        Some(format!("{what}{bounds}"))
    }
}

#[cfg(test)]
mod tests {
    use ottla_crds::kafka_cluster::KAFKA_VERSIONS;

    use super::*;

    #[test]
    fn every_release_has_its_table() {
        for version in KAFKA_VERSIONS {
            for live in ["message.max.bytes", "min.insync.replicas", "max.connections"] {
                assert!(is_live(version, live), "{version} {live}");
            }
            for key in [
                "log.retention.hours",
                "log.retention.ms",
                "num.io.threads",
                "num.replica.fetchers",
                "log.cleaner.threads",
                "remote.log.manager.copier.thread.pool.size",
                "unclean.leader.election.enable",
                "rsm.config.of.a.plugin",
            ] {
                assert!(!is_live(version, key), "{version} {key}");
            }
        }
        assert!(!is_live("4.2.1", "group.share.assignment.interval.ms"));
        assert!(is_live("4.3.1", "group.share.assignment.interval.ms"));
    }

    /// Nothing that a user may set is changeable for one broker alone: it would be rolled.
    #[test]
    fn what_changes_for_one_broker_alone_is_set_by_ottla() {
        for (version, table) in TABLES {
            for line in table.lines().filter(|line| line.contains(" per-broker ")) {
                let key = line.split(' ').next().unwrap_or_default();
                assert!(is_reserved(key), "Kafka {version}: {key}");
            }
        }
    }

    #[test]
    fn values_are_of_the_type_that_kafka_has_for_them() {
        let refused = |key, value| find("4.3.1", key).and_then(|key| key.refuses(value));
        let must_be = |what: &str| Some(what.to_owned());
        assert_eq!(refused("num.io.threads", "16"), None);
        assert_eq!(refused("num.io.threads", "many"), must_be("a whole number from 1 up"));
        assert_eq!(refused("num.io.threads", "0"), must_be("a whole number from 1 up"));
        assert_eq!(refused("num.io.threads", "9999999999"), must_be("a whole number from 1 up"));
        assert_eq!(refused("log.retention.ms", "9999999999"), None);
        let part = "a number from 0 to 1";
        assert_eq!(refused("log.cleaner.min.cleanable.ratio", "0,5"), must_be(part));
        assert_eq!(refused("log.cleaner.min.cleanable.ratio", "1.5"), must_be(part));
        let level = "a whole number from 1 to 9, or -1";
        assert_eq!(refused("compression.gzip.level", "0"), must_be(level));
        assert_eq!(refused("compression.gzip.level", "-1"), None);
        assert_eq!(refused("log.preallocate", "TRUE"), None);
        assert_eq!(refused("log.preallocate", "yes"), must_be("true or false"));
        assert_eq!(refused("compression.type", "zstd"), None);
        let codecs = "one of uncompressed, zstd, lz4, snappy, gzip, producer";
        assert_eq!(refused("compression.type", "best"), must_be(codecs));
        assert_eq!(refused("log.cleanup.policy", "compact, delete"), None);
        assert_eq!(refused("log.cleanup.policy", "keep"), must_be("a list of compact, delete"));
        assert_eq!(refused("group.coordinator.rebalance.protocols", "classic,consumer"), None);
    }

    /// A release may say it in words that are new.
    #[test]
    fn what_kafka_says_of_valid_values_is_understood() {
        let known = ["", "non-empty string", "non-null string", "non-empty list"];
        for (version, table) in TABLES {
            for line in table.lines().filter(|line| !line.starts_with('#')) {
                let valid = line.splitn(4, ' ').nth(3).unwrap_or_default();
                let understood = known.contains(&valid)
                    || valid::range(valid).is_some()
                    || valid::words(valid).is_some();
                assert!(understood, "Kafka {version}: {line}");
            }
        }
    }
}
