//! The text form of a conversation: what was sent (`>`), what came back (`<`), and the result
//! (`=`), with bytes as `hexdump -C` shows them.

use std::fmt::Write;
use std::path::PathBuf;

/// A recorded conversation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Frames {
    /// Requests and answers, each without its four bytes of length.
    pub(crate) exchanges: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) result: String,
}

/// The exchange that opens each connection is kept once, under this name.
pub(crate) const NEGOTIATION: &str = "negotiation";

/// The file of a conversation.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/frames").join(format!("{name}.txt"))
}

/// Sixteen bytes a line, with the place before them and the characters behind.
pub(crate) fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, chunk) in bytes.chunks(16).enumerate() {
        let hex: Vec<_> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let visible = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'|';
        let shown = chunk.iter().map(|byte| if visible(byte) { char::from(*byte) } else { '.' });
        let shown: String = shown.collect();
        writeln!(text, "{:04x}  {:47}  |{shown}|", line * 16, hex.join(" ")).unwrap();
    }
    text
}
