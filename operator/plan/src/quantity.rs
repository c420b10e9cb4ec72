//! Kubernetes quantities such as `1.5Gi`, as far as sizes need them.

/// Kubernetes knows nothing smaller than a nano.
const NANOS: i128 = 1_000_000_000;

/// Suffixes and how many nanos each stands for.
const SUFFIXES: [(&str, i128); 15] = [
    ("Ki", NANOS << 10),
    ("Mi", NANOS << 20),
    ("Gi", NANOS << 30),
    ("Ti", NANOS << 40),
    ("Pi", NANOS << 50),
    ("Ei", NANOS << 60),
    ("n", 1),
    ("u", 1_000),
    ("m", 1_000_000),
    ("k", NANOS * 1_000),
    ("M", NANOS * 1_000_000),
    ("G", NANOS * 1_000_000_000),
    ("T", NANOS * 1_000_000_000_000),
    ("P", NANOS * 1_000_000_000_000_000),
    ("E", NANOS * 1_000_000_000_000_000_000),
];

/// The value of a quantity in nanos, rounded up, or `None` where the text is none or is out of
/// reach. Exact: `0.7` and `700m` are the same.
///
/// Kubernetes' own rules: a decimal number, then a binary or decimal suffix or an exponent.
#[must_use]
pub fn nanos(text: &str) -> Option<i128> {
    let suffix = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix));
    let (number, unit) = match suffix {
        Some((suffix, unit)) => (&text[..text.len() - suffix.len()], *unit),
        None => (text, NANOS),
    };
    let (number, exponent) = match number.split_once(['e', 'E']) {
        Some((number, exponent)) if suffix.is_none() => (number, exponent.parse().ok()?),
        Some(_) => return None,
        None => (number, 0_i32),
    };
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let value = decimal(number, exponent, unit)?;
    Some(if negative { -value } else { value })
}

/// `number` times ten to the power of `exponent`, times `unit`.
fn decimal(number: &str, exponent: i32, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse::<i128>().ok()?.checked_mul(unit)?;
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 { value.checked_mul(power) } else { Some(rounded_up(value, power)) }
}

fn rounded_up(value: i128, divisor: i128) -> i128 {
    value / divisor + i128::from(value % divisor != 0)
}

/// Whole bytes of a quantity, rounded up as Kubernetes does, or `None` where the text is none or
/// negative.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let value = nanos(text).filter(|value| *value >= 0)?;
    u64::try_from(rounded_up(value, NANOS)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_writes_for_a_quantity_equals_it() {
        for hundredths in 1..=6400 {
            let (text, live) =
                (format!("{}.{:02}", hundredths / 100, hundredths % 100), hundredths * 10);
            assert_eq!(nanos(&text), nanos(&format!("{live}m")), "{text}");
        }
        for (one, other) in [("1.4Gi", "1503238553600m"), ("1e3", "1k"), ("0.5", "500m")] {
            assert_eq!(nanos(one), nanos(other), "{one} and {other}");
        }
        assert_ne!(nanos("1"), nanos("1001m"));
        assert_eq!(nanos("1e99"), None);
    }

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
