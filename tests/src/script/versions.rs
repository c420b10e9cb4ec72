//! Names that end in a hash, made readable: `orders-broker-0-<2>` is the second configuration of
//! that node that a script meets.

use std::collections::BTreeMap;

/// How many hexadecimal digits a hash has.
const DIGITS: usize = 16;

/// The hashes met so far, by what comes before them.
#[derive(Debug, Default)]
pub(super) struct Versions {
    seen: BTreeMap<String, Vec<String>>,
}

impl Versions {
    /// A text with its hashes counted instead of written.
    pub(super) fn count(&mut self, text: &str) -> String {
        text.split_inclusive([' ', '\n', ':']).map(|word| self.word(word)).collect()
    }

    fn word(&mut self, word: &str) -> String {
        let name = word.trim_end_matches([' ', '\n', ':']);
        let Some((prefix, hash)) = name.rsplit_once('-') else { return word.to_owned() };
        if hash.len() != DIGITS || !hash.chars().all(|digit| digit.is_ascii_hexdigit()) {
            return word.to_owned();
        }
        let seen = self.seen.entry(prefix.to_owned()).or_default();
        let number = seen.iter().position(|known| known == hash).unwrap_or_else(|| {
            seen.push(hash.to_owned());
            seen.len() - 1
        });
        format!("{prefix}-<{}>{}", number + 1, &word[name.len()..])
    }
}
