//! Sizes as Kubernetes writes them.

use anyhow::Context as _;

const SUFFIXES: [(&str, u128); 10] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("Pi", 1 << 50),
    ("P", 1_000_000_000_000_000),
];

/// The bytes of `10Gi`, `1.5G` or `4096`, rounded up.
pub(super) fn bytes(quantity: &str) -> anyhow::Result<u64> {
    parse(quantity).with_context(|| format!("`{quantity}` is no size"))
}

fn parse(quantity: &str) -> Option<u64> {
    let (number, unit) = SUFFIXES
        .iter()
        .find_map(|(suffix, unit)| Some((quantity.strip_suffix(suffix)?, *unit)))
        .unwrap_or((quantity, 1));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    u64::try_from(digits.checked_mul(unit)?.div_ceil(scale)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(bytes("10Gi").unwrap(), 10 << 30);
        assert_eq!(bytes("1.5G").unwrap(), 1_500_000_000);
        assert_eq!(bytes("0.1").unwrap(), 1);
        assert_eq!(bytes("4096").unwrap(), 4096);
        assert!(bytes("ten").is_err());
    }
}
