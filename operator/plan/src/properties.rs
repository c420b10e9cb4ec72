//! `server.properties` of a node.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::desired::Desired;
use crate::node::Node;

mod broker;
mod controller;
mod listener;
mod storage;

pub(crate) use broker::cleaner_buffer_bytes;
pub use broker::{CLEANER_BUFFER, MIN_IN_SYNC, min_in_sync, replication_factor};
pub use controller::{BOOTSTRAP, quorum};
pub use storage::{LOG_DIRS, log_dir, volume_of};

/// What is the same in `server.properties` of all nodes of one group and the same roles. What Ottla
/// sets wins over the user's configuration, which cannot name those keys anyway.
#[must_use]
pub fn common(
    desired: &Desired,
    quorum: &str,
    brokers: usize,
    node: &Node,
) -> BTreeMap<String, String> {
    let mut properties = broker::defaults(brokers);
    if node.is_broker() {
        let buffer = broker::cleaner_buffer_bytes(desired.group(node.group).heap_bytes);
        properties.insert(CLEANER_BUFFER.to_owned(), buffer.to_string());
    }
    properties.extend(desired.config.clone());
    properties.extend(controller::common(quorum, node));
    properties.extend(listener::common(desired, node));
    properties.extend(storage::properties(node));
    properties
}

/// A node's whole `server.properties`, of what is common to many and what is its own.
#[must_use]
pub fn render(common: &BTreeMap<String, String>, desired: &Desired, node: &Node) -> String {
    let own: Vec<(&str, String)> =
        [controller::own(node), listener::own(desired, node)].into_iter().flatten().collect();
    let mut all: BTreeMap<&str, &str> =
        common.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    all.extend(own.iter().map(|(key, value)| (*key, value.as_str())));
    text(&all)
}

/// Kafka reads `server.properties` by `java.util.Properties`, whose escapes these are.
fn text(properties: &BTreeMap<&str, &str>) -> String {
    let mut text = String::with_capacity(4096);
    for (key, value) in properties {
        text.push_str(key);
        text.push('=');
        let plain = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'\\';
        if value.bytes().all(plain) {
            text.push_str(value);
            text.push('\n');
            continue;
        }
        for (index, character) in value.chars().enumerate() {
            match character {
                '\\' => text.push_str("\\\\"),
                ' ' if index == 0 => text.push_str("\\ "),
                ' '..='~' => text.push(character),
                _ => escape(&mut text, character),
            }
        }
        text.push('\n');
    }
    text
}

fn escape(text: &mut String, character: char) {
    let mut units = [0; 2];
    for unit in character.encode_utf16(&mut units) {
        // Writing into a String cannot fail.
        let _ = write!(text, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_javas_reading_of_properties() {
        for (value, expected) in [
            ("plain", "k=plain\n"),
            (" lead", "k=\\ lead\n"),
            ("a\\b", "k=a\\\\b\n"),
            ("ü€", "k=\\u00fc\\u20ac\n"),
            ("😀", "k=\\ud83d\\ude00\n"),
            ("a=b:c#d!e", "k=a=b:c#d!e\n"),
        ] {
            let properties = BTreeMap::from([("k", value)]);
            assert_eq!(text(&properties), expected);
        }
    }
}
