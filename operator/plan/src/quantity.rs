//! Kubernetes quantities such as `1.5Gi`, as far as sizes need them.

const SUFFIXES: [(&str, f64); 13] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// The value of a quantity, or `None` where the text is none.
///
/// Kubernetes' own rules: a decimal number, then a binary or decimal suffix or an exponent.
#[must_use]
pub fn parse(text: &str) -> Option<f64> {
    let suffix = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (number, factor) = match suffix {
        Some((suffix, factor)) => (&text[..text.len() - suffix.len()], *factor),
        None => (text, 1.0),
    };
    let plain = number.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    let value: f64 = if plain { number.parse().ok()? } else { return None };
    value.is_finite().then_some(value * factor)
}

/// Whole bytes of a quantity, rounded up as Kubernetes does, or `None` where the text is none or
/// negative.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let value = parse(text)?.ceil();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked on this very line"
    )]
    (0.0..=9.0e18).contains(&value).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (text, expected) in [
            ("1", Some(1)),
            ("100Mi", Some(104_857_600)),
            ("1.5Gi", Some(1_610_612_736)),
            ("1G", Some(1_000_000_000)),
            ("1e3", Some(1000)),
            ("1500m", Some(2)),
            ("10GB", None),
            ("", None),
            ("-1Gi", None),
            ("inf", None),
            ("1 Gi", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
