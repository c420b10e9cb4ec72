//! Java's `.properties` format, as far as Kafka's own files use it: `key=value` lines, comments,
//! and backslash escapes. Lines continued by a trailing backslash are joined.

use std::collections::BTreeMap;

/// Keys and values of a properties file; of a key that occurs twice the last value counts, as in
/// Java.
pub(crate) fn parse(text: &str) -> BTreeMap<String, String> {
    logical_lines(text).iter().map(|line| split(line)).collect()
}

/// The values of a comma separated list, trimmed, without empty ones.
pub(crate) fn list(value: &str) -> Vec<&str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// Lines without comments and blanks, continued ones joined.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_start();
        if open.is_none() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let mut whole = open.take().unwrap_or_default();
        if ends_in_escape(line) {
            whole.push_str(&line[..line.len() - 1]);
            open = Some(whole);
        } else {
            whole.push_str(line);
            lines.push(whole);
        }
    }
    lines.extend(open);
    lines
}

/// Whether the line ends in a backslash that is not itself escaped.
fn ends_in_escape(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Key and value of one logical line.
fn split(line: &str) -> (String, String) {
    let mut escaped = false;
    let end = line
        .find(|character: char| {
            let ends = !escaped && (matches!(character, '=' | ':') || character.is_whitespace());
            escaped = character == '\\' && !escaped;
            ends
        })
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
    (unescape(key), unescape(value))
}

/// The text without its escapes.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('u') => plain.extend(unicode(&mut characters)),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

/// The character of a `\uXXXX` escape, whose four digits come next.
fn unicode(characters: &mut std::str::Chars<'_>) -> Option<char> {
    let digits: String = characters.by_ref().take(4).collect();
    u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::{list, parse};

    #[test]
    fn reads_what_kafka_writes() {
        let meta = "#\n#Mon Nov 23 08:36:35 UTC 2026\nnode.id=3\ndirectory.id=c8dCLUr4cqLb7bBh1bcZCg\nversion=1\ncluster.id=a\\=b\n";
        let read = parse(meta);
        assert_eq!(read["node.id"], "3");
        assert_eq!(read["directory.id"], "c8dCLUr4cqLb7bBh1bcZCg");
        assert_eq!(read["cluster.id"], "a=b");
        assert_eq!(read.len(), 4);
    }

    #[test]
    fn follows_java() {
        let table = [
            ("a = b ", "a", "b "),
            ("a:b", "a", "b"),
            ("a b=c", "a", "b=c"),
            ("a\\:b=c", "a:b", "c"),
            ("a=\\u0041\\tx", "a", "A\tx"),
            ("a=one,\\\n  two", "a", "one,two"),
            ("a=ends\\\\", "a", "ends\\"),
            ("a", "a", ""),
            ("a=1\na=2", "a", "2"),
        ];
        for (text, key, value) in table {
            let read = parse(text);
            assert_eq!(read.get(key).map(String::as_str), Some(value), "{text:?}");
            assert_eq!(read.len(), 1, "{text:?}");
        }
        assert!(parse("# a=b\n! c=d\n\n   # e=f").is_empty());
    }

    #[test]
    fn lists_are_trimmed() {
        assert_eq!(list(" /a, /b,,"), ["/a", "/b"]);
    }
}
