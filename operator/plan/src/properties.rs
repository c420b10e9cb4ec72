//! `server.properties` of a node.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::desired::Desired;
use crate::node::Node;

mod broker;
mod controller;
mod listener;
mod storage;

pub use broker::replication_factor;

/// The node's whole `server.properties`. What Ottla sets wins over the user's configuration,
/// which cannot name those keys anyway.
#[must_use]
pub fn render(desired: &Desired, nodes: &[Node], node: &Node) -> String {
    let mut properties = broker::defaults(desired);
    properties.extend(desired.config.clone());
    properties.extend(controller::properties(desired, nodes, node));
    properties.extend(listener::properties(desired, node));
    properties.extend(storage::properties(desired, node));
    text(&properties)
}

/// Kafka reads `server.properties` by `java.util.Properties`, whose escapes these are.
fn text(properties: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in properties {
        text.push_str(key);
        text.push('=');
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
            let properties = BTreeMap::from([("k".to_owned(), value.to_owned())]);
            assert_eq!(text(&properties), expected);
        }
    }
}
