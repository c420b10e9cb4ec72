//! Small pieces of the sentences that people read in `/status` and in the log.

use std::error::Error;

/// A time, to the second.
pub(crate) fn time(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// A number and its noun, in the plural where it needs one.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{chain, count};

    #[test]
    fn causes_are_chained() {
        let inner = io::Error::other("disk is full");
        assert_eq!(chain(&io::Error::other(inner)), "disk is full");
    }

    #[test]
    fn numbers_have_their_noun() {
        assert_eq!(count(1, "log"), "1 log");
        assert_eq!(count(12, "partition"), "12 partitions");
    }
}
