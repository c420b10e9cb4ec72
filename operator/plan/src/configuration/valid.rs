//! What Kafka's validators say of themselves: `[1,...]`, `[100,...,2000]`, `[1,...,9] or -1`, `[compact, delete]`.

use std::fmt;

/// Numbers that are valid.
#[derive(Debug, PartialEq)]
pub(super) struct Range {
    least: f64,
    most: Option<f64>,
    /// One outside of them that is valid, too.
    also: Option<f64>,
}

/// The numbers that a validator takes, where it is one of numbers.
pub(super) fn range(text: &str) -> Option<Range> {
    let (text, also) = match text.split_once(" or ") {
        Some((range, also)) => (range, Some(also.parse().ok()?)),
        None => (text, None),
    };
    let (least, most) = text.strip_prefix('[')?.strip_suffix(']')?.split_once(",...")?;
    let most = match most.strip_prefix(',') {
        Some(most) => Some(most.parse().ok()?),
        None => None,
    };
    Some(Range { least: least.parse().ok()?, most, also })
}

impl Range {
    pub(super) fn has(&self, number: f64) -> bool {
        let within = self.least <= number && self.most.is_none_or(|most| number <= most);
        within || self.also == Some(number)
    }
}

/// As it follows "a number".
impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            Some(most) => write!(out, " from {} to {most}", self.least)?,
            None => write!(out, " from {} up", self.least)?,
        }
        self.also.map_or(Ok(()), |also| write!(out, ", or {also}"))
    }
}

/// Words that are valid.
pub(super) struct Words {
    any_case: bool,
    words: &'static str,
}

/// The words that a validator takes, where it is one of words.
pub(super) fn words(text: &'static str) -> Option<Words> {
    let (any_case, text) = match text.strip_prefix("(case insensitive) ") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let words = text.strip_prefix('[')?.strip_suffix(']')?;
    (!words.contains("...")).then_some(Words { any_case, words })
}

impl Words {
    /// What a value must be and is not.
    pub(super) fn refuse(&self, value: &str, is_list: bool) -> Option<String> {
        let is_valid = |given: &str| {
            self.words.split(", ").any(|word| match self.any_case {
                true => word.eq_ignore_ascii_case(given),
                false => word == given,
            })
        };
        let (fits, what) = if is_list {
            let mut given = value.split(',').map(str::trim).filter(|one| !one.is_empty());
            (given.all(is_valid), "a list of")
        } else {
            (is_valid(value), "one of")
        };
        (!fits).then(|| format!("{what} {}", self.words))
    }
}
