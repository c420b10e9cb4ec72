//! Kafka's signed numbers of varying length, as records use them.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest number, of 64 bits, in groups of seven.
const BYTES_MAX: u32 = 10;

/// Writes a number; small ones, negative ones too, take one byte.
pub(super) fn put(buffer: &mut BytesMut, number: i64) {
    let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
    while rest >= 0x80 {
        buffer.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    buffer.put_u8(rest as u8);
}

/// Writes a length, where -1 means that there is nothing, and then the bytes.
pub(super) fn put_bytes(buffer: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        None => put(buffer, -1),
        Some(bytes) => {
            put(buffer, bytes.len() as i64);
            buffer.put_slice(bytes);
        }
    }
}

/// Reads a number.
pub(super) fn get(input: &mut Bytes) -> Option<i64> {
    let mut number: u64 = 0;
    for place in 0..BYTES_MAX {
        let byte = input.try_get_u8().ok()?;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
        }
    }
    None
}

/// Reads what [`put_bytes`] wrote; the outer `None` means that the input is no good.
pub(super) fn get_bytes(input: &mut Bytes) -> Option<Option<Bytes>> {
    match get(input)? {
        -1 => Some(None),
        length => {
            let length = usize::try_from(length).ok()?;
            (length <= input.len()).then(|| Some(input.split_to(length)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_and_back(number: i64) {
            let mut buffer = BytesMut::new();
            put(&mut buffer, number);
            prop_assert_eq!(get(&mut buffer.freeze()), Some(number));
        }
    }

    #[test]
    fn bytes_and_back() {
        for bytes in [None, Some(&b""[..]), Some(&b"value"[..])] {
            let mut buffer = BytesMut::new();
            put_bytes(&mut buffer, bytes);
            let read = get_bytes(&mut buffer.freeze()).unwrap();
            assert_eq!(read.as_deref(), bytes);
        }
    }

    #[test]
    fn a_length_beyond_the_input_is_refused() {
        assert_eq!(get_bytes(&mut Bytes::from_static(&[10, 1])), None);
        assert_eq!(get_bytes(&mut Bytes::from_static(&[3])), None, "a length of -2");
        assert_eq!(get(&mut Bytes::from_static(&[0xff; 11])), None, "a number without end");
    }
}
