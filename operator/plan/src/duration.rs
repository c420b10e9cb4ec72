//! Durations such as `1h30m`, as people write them in a spec.

/// Units by their letter, in seconds.
const UNITS: [(char, i64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];

/// The seconds of a duration, or `None` where the text is none.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut sum: i64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit())?;
        let (digits, tail) = rest.split_at(end);
        let letter = tail.chars().next()?;
        let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == letter)?;
        sum = sum.checked_add(digits.parse::<i64>().ok()?.checked_mul(unit)?)?;
        rest = &tail[letter.len_utf8()..];
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let read =
            [("10m", Some(600)), ("1h30m", Some(5400)), ("0s", Some(0)), ("2d", Some(172_800))];
        for (text, expected) in read {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for text in ["", "10", "m", "1.5h", "-1m", "1w", "99999999999999999999s"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
