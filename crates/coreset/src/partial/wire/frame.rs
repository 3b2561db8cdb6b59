//! Bytes around a batch.
//!
//! The reader of Arrow IPC panics on some damaged input, so damage is found before it sees any: by a checksum, which accidents
//! do not pass. What was forged to pass it may still make the reader panic; that panic is caught and becomes an error, too.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;

use super::unreadable;
use crate::Result;

/// Ends every file, before length and checksum.
const MAGIC: &[u8; 8] = b"LLPART\x00\x01";
/// Magic, length and checksum.
const TRAILER: usize = 24;

pub(super) fn write(kind: &'static str, batch: &RecordBatch) -> Result<Vec<u8>> {
    let stream = || -> Result<Vec<u8>, ArrowError> {
        let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
        writer.write(batch)?;
        writer.into_inner()
    };
    Ok(seal(stream().map_err(|e| unreadable(kind, e))?))
}

/// Puts length and checksum behind an Arrow IPC stream, which another program may have written.
///
/// What it holds is checked by [`from_bytes`](super::Wire::from_bytes), sealed or not.
pub fn seal(mut stream: Vec<u8>) -> Vec<u8> {
    let (length, sum) = (stream.len() as u64, checksum(&stream));
    stream.extend_from_slice(MAGIC);
    stream.extend_from_slice(&length.to_le_bytes());
    stream.extend_from_slice(&sum.to_le_bytes());
    stream
}

pub(super) fn read(kind: &'static str, bytes: &[u8]) -> Result<RecordBatch> {
    let refuse = |reason: &str| Err(unreadable(kind, reason).into());
    let Some((stream, trailer)) = bytes.len().checked_sub(TRAILER).map(|at| bytes.split_at(at)) else {
        return refuse("it is shorter than its trailer");
    };
    let (magic, numbers) = trailer.split_at(MAGIC.len());
    if magic != MAGIC {
        return refuse("its last 24 bytes are no trailer: expected a whole file");
    }
    let (length, sum) = numbers.split_at(8);
    if length != (stream.len() as u64).to_le_bytes() {
        return refuse("its length is not the one written down");
    }
    if sum != checksum(stream).to_le_bytes() {
        return refuse("its checksum is not the one written down");
    }
    let buffer = Buffer::from(stream);
    match catch_unwind(AssertUnwindSafe(|| decode(buffer))) {
        Ok(Ok(batch)) => Ok(batch),
        Ok(Err(error)) => Err(unreadable(kind, error).into()),
        Err(_) => refuse("the reader of Arrow IPC gave up on it"),
    }
}

/// The one batch of a stream. Nothing larger than the bytes given is allocated.
fn decode(mut buffer: Buffer) -> Result<RecordBatch, ArrowError> {
    let mut decoder = StreamDecoder::new();
    let batch = decoder.decode(&mut buffer)?;
    let rest = if batch.is_some() { decoder.decode(&mut buffer)? } else { None };
    match (batch, rest) {
        (Some(batch), None) => decoder.finish().map(|()| batch),
        (None, _) => Err(ArrowError::IpcError("no batch: expected one".to_owned())),
        (_, Some(_)) => Err(ArrowError::IpcError("a second batch: expected one".to_owned())),
    }
}

/// Four lanes over words of 8 bytes, as the sums would otherwise wait for each other.
fn checksum(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let step = |lane: u64, word: u64| (lane ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let mut lanes = [1u64, 2, 3, 4];
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let lane = &mut lanes[at & 3];
        *lane = step(*lane, u64::from_le_bytes(*word));
    }
    let tail = rest.iter().fold(bytes.len() as u64, |sum, byte| step(sum, u64::from(*byte)));
    lanes.iter().fold(tail, |sum, lane| step(sum, *lane))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, UInt32Array};

    use super::*;

    fn batch() -> RecordBatch {
        let column: ArrayRef = Arc::new(UInt32Array::from(vec![1, 2, 3]));
        RecordBatch::try_from_iter([("row", column)]).unwrap()
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = write("test", &batch()).unwrap();
        assert_eq!(read("test", &bytes).unwrap(), batch());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                assert!(read("test", &bytes).is_err(), "bit {bit} of byte {at}");
            }
            assert!(read("test", &bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn what_was_forged_is_an_error_and_no_panic() {
        let whole = write("test", &batch()).unwrap();
        let stream = &whole[..whole.len() - TRAILER];
        let mut n_refused = 0;
        for at in 0..stream.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut forged = stream.to_vec();
                forged[at] = value;
                n_refused += usize::from(read("test", &seal(forged)).is_err());
            }
        }
        assert!(n_refused > 100, "{n_refused}");
        let twice = [stream, stream].concat();
        assert!(read("test", &seal(twice)).is_err());
        assert!(read("test", &seal(Vec::new())).is_err());
    }

    #[test]
    fn checksums_tell_lengths_and_lanes_apart() {
        assert_ne!(checksum(&[0; 8]), checksum(&[0; 16]));
        assert_ne!(checksum(b""), checksum(b"\0"));
        let swapped = |a: u8, b: u8| checksum(&[[a; 8], [b; 8]].concat());
        assert_ne!(swapped(1, 2), swapped(2, 1));
    }
}
