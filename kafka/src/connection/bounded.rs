//! A reader that refuses lengths which the frame cannot hold.
//!
//! The decoders of `kafka-protocol` reserve room for as many items as a length field announces,
//! before they read the first one. A peer that lies, or that is no Kafka at all, could so make the
//! process abort for want of memory, which nothing can catch. In the flexible versions, the only
//! ones this client speaks, each length of a list is an unsigned varint, read byte by byte; this
//! reader watches those bytes and ends the input as soon as they announce more items than there
//! are bytes left.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::buf::ByteBuf;

/// How far a varint may exceed the bytes left: tag numbers are varints too and no lengths. Room
/// for so many items is harmless.
const SLACK: usize = 1024;
/// A length that needs more bytes than this is above 2^28, more than any frame holds.
const VARINT_BYTES_MAX: u32 = 4;

/// The rest of a frame.
pub(super) struct Bounded {
    input: Bytes,
    /// The bytes of the varint that is being read, from its lowest seven bits on. A byte that is
    /// no part of it can only make it larger, so the bound holds all the same.
    varint: usize,
    varint_bytes: u32,
}

impl Bounded {
    pub(super) fn new(input: Bytes) -> Self {
        Self { input, varint: 0, varint_bytes: 0 }
    }

    /// How many bytes are not read yet.
    pub(super) fn left(&self) -> usize {
        self.input.len()
    }

    fn forget_varint(&mut self) {
        self.varint = 0;
        self.varint_bytes = 0;
    }
}

impl Buf for Bounded {
    fn remaining(&self) -> usize {
        self.input.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.input.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.forget_varint();
        self.input.advance(count);
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.input.try_get_u8()?;
        self.varint |= usize::from(byte & 0x7f) << (7 * self.varint_bytes);
        self.varint_bytes += 1;
        let left = self.input.remaining();
        if byte >= 0x80 {
            if self.varint_bytes == VARINT_BYTES_MAX {
                return Err(TryGetError { requested: usize::MAX, available: left });
            }
            return Ok(byte);
        }
        let announced = self.varint;
        self.forget_varint();
        if announced > left + SLACK {
            return Err(TryGetError { requested: announced, available: left });
        }
        Ok(byte)
    }
}

impl ByteBuf for Bounded {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.input.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.forget_varint();
        self.input.split_to(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &'static [u8]) -> Result<Vec<u8>, TryGetError> {
        let mut input = Bounded::new(Bytes::from_static(bytes));
        (0..bytes.len()).map(|_| input.try_get_u8()).collect()
    }

    #[test]
    fn lengths_that_fit_pass() {
        assert_eq!(read_all(&[3, 1, 2]).unwrap(), [3, 1, 2]);
        assert_eq!(read_all(&[0x80, 0x01]).unwrap(), [0x80, 0x01]);
    }

    #[test]
    fn lengths_beyond_the_frame_end_the_input() {
        assert!(read_all(&[0xff, 0xff, 0x01]).is_err(), "32767 items in an empty frame");
        assert!(read_all(&[0xff, 0xff, 0xff, 0xff, 0x07]).is_err(), "five bytes");
        assert!(read_all(&[0x80, 0xff, 0xff, 0x01]).is_err(), "after a byte that belongs before");
    }

    #[test]
    fn other_reads_begin_anew() {
        let mut input = Bounded::new(Bytes::from_static(&[0x80, 0, 0, 0x80, 0x01]));
        input.try_get_u8().unwrap();
        input.try_get_i16().unwrap();
        assert_eq!((input.try_get_u8().unwrap(), input.try_get_u8().unwrap()), (0x80, 0x01));
    }
}
