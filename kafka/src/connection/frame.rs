//! Frames: four bytes of length, then so many bytes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// The longest answer that is read. Kafka's own limit for requests is the same 100 MiB
/// (`socket.request.max.bytes`); the longest answers, a fetch and the metadata of tens of
/// thousands of partitions, stay far below it.
const FRAME_BYTES_MAX: usize = 100 * 1024 * 1024;
/// Room that is reserved before the first bytes of a frame came: a length alone costs nothing.
const FIRST_ROOM_BYTES: usize = 64 * 1024;

/// Builds a frame around what `body` writes.
pub(super) fn write<E: std::fmt::Display>(
    body: impl FnOnce(&mut BytesMut) -> Result<(), E>,
) -> Result<BytesMut, String> {
    let mut frame = BytesMut::with_capacity(512);
    frame.put_i32(0);
    body(&mut frame).map_err(|error| error.to_string())?;
    let length = i32::try_from(frame.len() - 4).map_err(|_| "it is too long".to_owned())?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Reads one frame without its length. The inner error says why the bytes are no frame of ours.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
) -> io::Result<Result<Bytes, String>> {
    let announced = stream.read_u32().await?;
    let length = announced as usize;
    if length > FRAME_BYTES_MAX {
        return Ok(Err(format!(
            "it announces {announced} bytes, and {FRAME_BYTES_MAX} is the most; does one side \
             speak TLS and the other not?"
        )));
    }
    let mut frame = BytesMut::with_capacity(length.min(FIRST_ROOM_BYTES));
    while frame.len() < length {
        let wanted = length - frame.len();
        if stream.read_buf(&mut (&mut frame).limit(wanted)).await? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the connection was closed after {} of {length} bytes", frame.len()),
            ));
        }
    }
    Ok(Ok(frame.freeze()))
}

/// The correlation id that an answer starts with.
pub(super) fn correlation_id(frame: &[u8]) -> Option<i32> {
    frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes))
}

/// Whether there is something to read, the end of the stream included, without waiting for it.
pub(super) async fn has_input(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> bool {
    let mut byte = [0_u8; 1];
    poll_fn(|context| {
        let mut room = ReadBuf::new(&mut byte);
        Poll::Ready(Pin::new(&mut *stream).poll_read(context, &mut room).is_ready())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_and_back() {
        let frame = write(|buffer| {
            buffer.put_slice(b"hello");
            Ok::<(), String>(())
        })
        .unwrap();
        assert_eq!(&frame[..], b"\0\0\0\x05hello");
        assert_eq!(read(&mut &frame[..]).await.unwrap().unwrap(), "hello");
    }

    #[tokio::test]
    async fn a_frame_beyond_the_limit_is_not_read() {
        let tls_alert = [0x15_u8, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46];
        let reason = read(&mut &tls_alert[..]).await.unwrap().unwrap_err();
        assert!(reason.contains("TLS"), "{reason}");
    }

    #[tokio::test]
    async fn a_frame_cut_short_is_an_error() {
        assert!(read(&mut &b"\0\0\0\x05hel"[..]).await.is_err());
        assert!(read(&mut &b"\0\0"[..]).await.is_err());
    }
}
