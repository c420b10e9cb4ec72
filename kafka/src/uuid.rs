//! Kafka's ids of topics, directories and clusters, written as Kafka writes them.

use std::fmt;
use std::str::FromStr;

/// The letters of base64 for URLs, which Kafka prints ids in, without padding.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// How many letters 16 bytes take.
const TEXT_LENGTH: usize = 22;

/// A Kafka id of 16 bytes. Its text is the one of Kafka's tools and of `meta.properties`, such as
/// `MkU3OEVBNTcwNTJENDM2Qg`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// The id that means "none".
    pub const ZERO: Self = Self([0; 16]);

    /// An id from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Whether this is [`Uuid::ZERO`].
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// From the type of the wire format's crate.
    pub(crate) fn from_wire(id: uuid::Uuid) -> Self {
        Self(id.into_bytes())
    }

    /// To the type of the wire format's crate.
    pub(crate) fn to_wire(self) -> uuid::Uuid {
        uuid::Uuid::from_bytes(self.0)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from_be_bytes(self.0);
        for place in 0..TEXT_LENGTH {
            // The last letter holds the two bits that 21 letters of six bits leave over.
            let bits = match 122_usize.checked_sub(place * 6) {
                Some(shift) => number >> shift,
                None => number << 4,
            };
            let letter = LETTERS[(bits & 0x3f) as usize];
            write!(formatter, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The text is not an id as Kafka writes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a Kafka id, which has 22 letters of base64 for URLs")]
pub struct NotAUuid(String);

impl FromStr for Uuid {
    type Err = NotAUuid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotAUuid(text.to_owned());
        if text.len() != TEXT_LENGTH {
            return Err(refused());
        }
        let mut number: u128 = 0;
        for (place, letter) in text.bytes().enumerate() {
            let found = LETTERS.iter().position(|known| *known == letter).ok_or_else(refused)?;
            let six_bits = found as u128;
            if place == TEXT_LENGTH - 1 {
                if six_bits & 0x0f != 0 {
                    return Err(refused());
                }
                number = number << 2 | six_bits >> 4;
            } else {
                number = number << 6 | six_bits;
            }
        }
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_kafkas() {
        let bytes = *b"2E78EA57052D436B";
        assert_eq!(Uuid::from_bytes(bytes).to_string(), "MkU3OEVBNTcwNTJENDM2Qg");
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn mistakes_are_refused() {
        for text in
            ["", "MkU3OEVBNTcwNTJENDM2Q", "MkU3OEVBNTcwNTJENDM2Qh", "MkU3OEVB+TcwNTJENDM2Qg"]
        {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(bytes: [u8; 16]) {
            let id = Uuid::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<Uuid>().unwrap(), id);
        }
    }
}
