//! Small files that would fill memory: alone in their program, so that its peak can be read.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use labelloop_core::ImageSize;
use labelloop_media::{DecodeLimits, RgbImage, decode, decode_reduced, encode_png, phash64};

/// Zlib data of so many zeros, 258 for each 13 bits: the smallest there is (RFC 1951, section 3.2.6).
fn zeros(n_runs: usize) -> Vec<u8> {
    let mut bits = Bits { bytes: vec![0x78, 0x01], n: 0 };
    bits.put(0b011, 3);
    bits.put(0b0000_1100, 8);
    // Length 258 is code 285, 11000101; distance 1 is code 0. Codes are written from their highest bit.
    (0..n_runs).for_each(|_| bits.put(0b1010_0011, 13));
    bits.put(0, 7);
    let n_bytes = 1 + 258 * n_runs;
    let mut bytes = bits.bytes;
    bytes.extend((((n_bytes % 65_521) as u32) << 16 | 1).to_be_bytes());
    bytes
}

struct Bits {
    bytes: Vec<u8>,
    n: usize,
}

impl Bits {
    fn put(&mut self, value: u32, n: usize) {
        for i in 0..n {
            if self.n.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= u8::from(value >> i & 1 == 1) << (self.n % 8);
            self.n += 1;
        }
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let shift = |c: u32| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |c, _| shift(c)))
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [name.as_slice(), data].concat();
    let length = (data.len() as u32).to_be_bytes();
    [length.as_slice(), &body, &crc32(&body).to_be_bytes()].concat()
}

/// A small picture with a chunk after its header.
fn with_chunk(chunk: &[u8]) -> Vec<u8> {
    let png = encode_png(&RgbImage::filled(ImageSize::new(8, 8).unwrap(), [9; 3])).unwrap();
    [&png[..33], chunk, &png[33..]].concat()
}

/// Most bytes that this program ever had in memory.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(1024 * line.split_whitespace().nth(1)?.parse::<u64>().ok()?)
}

#[test]
fn bombs_are_pictures_or_errors_and_take_little_memory() {
    let gigabyte = zeros(4_200_000);
    assert!(gigabyte.len() < 7_000_000);
    let profile = chunk(b"iCCP", &[b"name\0\0", gigabyte.as_slice()].concat());
    let text = chunk(b"zTXt", &[b"Comment\0\0", gigabyte.as_slice()].concat());
    let international = chunk(b"iTXt", &[b"Comment\0\x01\0\0\0", gigabyte.as_slice()].concat());
    for bomb in [profile, text, international] {
        // Whether the picture is taken or refused is the decoder's choice; that it is cheap is not.
        let _ = decode(&with_chunk(&bomb));
    }
    // Says to be small, and its data go on for a gigabyte.
    let png = encode_png(&RgbImage::filled(ImageSize::new(8, 8).unwrap(), [9; 3])).unwrap();
    let long = [&png[..33], &chunk(b"IDAT", &gigabyte), &chunk(b"IEND", b"")].concat();
    let _ = decode(&long);
    // Says to be as large as its data are.
    let mut head = png[16..29].to_vec();
    head[..8].copy_from_slice(&[50_000u32.to_be_bytes(), 50_000u32.to_be_bytes()].concat());
    let large =
        [&png[..8], &chunk(b"IHDR", &head), &chunk(b"IDAT", &gigabyte), &chunk(b"IEND", b"")].concat();
    assert!(decode(&large).unwrap_err().to_string().contains("50000 x 50000"));
    let one = ImageSize::new(1, 1).unwrap();
    assert!(decode_reduced(&large, DecodeLimits::default(), "a", one).is_err());
    // A flat picture within the limits is no bomb.
    let flat = RgbImage::filled(ImageSize::new(4000, 3000).unwrap(), [9; 3]);
    assert!(phash64(&decode(&encode_png(&flat).unwrap()).unwrap()).is_ok());
    match peak() {
        Some(peak) => assert!(peak < 300 << 20, "{peak} bytes"),
        None => eprintln!("left out: the system does not tell how much memory was used"),
    }
}
