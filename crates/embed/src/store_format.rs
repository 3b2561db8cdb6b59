//! The bytes of a store's `.keys` file: a header of 64 bytes, then one record of 64 bytes for each row of the `.f32` file.
//!
//! ```text
//! header:  "LLVECTOR"  version u32  n_dims u32  embedder's digest [32]  checksum of these [16]
//! record:  key of the content [32]  checksum of key and row [16]  checksum of these two [16]
//! ```
//!
//! Numbers are little-endian. All checksums are the first 16 bytes of BLAKE3 keyed with the embedder's digest, so that
//! nothing of another embedder passes for a row of this one, whatever its file is called.

pub(crate) const HEADER_BYTES: u64 = 64;
pub(crate) const RECORD_BYTES: u64 = 64;
pub(crate) const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"LLVECTOR";

/// What names a content: see [`key_of`].
pub(crate) type Key = [u8; 32];
/// The first half of a BLAKE3 hash.
pub(crate) type Checksum = [u8; 16];

/// Whose vectors these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) digest: [u8; 32],
    pub(crate) n_dims: u32,
}

/// What a header says when it is not the one expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderState {
    /// It is as expected.
    Good,
    /// It is whole, and of a version that this program does not know.
    Version(u32),
    /// It is whole, and of another embedder.
    Other,
    /// Its checksum does not match.
    Damaged,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        self.encode_version(VERSION)
    }

    fn encode_version(&self, version: u32) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.n_dims.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.digest);
        let checksum = checksum(&self.digest, &[&bytes[..48]]);
        bytes[48..].copy_from_slice(&checksum);
        bytes
    }

    /// Compares what a file begins with with what it should begin with.
    pub(crate) fn judge(&self, bytes: &[u8; HEADER_BYTES as usize]) -> HeaderState {
        if *bytes == self.encode() {
            return HeaderState::Good;
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut digest = [0; 32];
        digest.copy_from_slice(&bytes[16..48]);
        let (version, found) = (number(8), Self { digest, n_dims: number(12) });
        if found.encode_version(version) != *bytes {
            return HeaderState::Damaged;
        }
        if version == VERSION { HeaderState::Other } else { HeaderState::Version(version) }
    }

    /// The record of a row.
    pub(crate) fn record(&self, key: &Key, row: &[u8]) -> [u8; RECORD_BYTES as usize] {
        let mut bytes = [0; RECORD_BYTES as usize];
        bytes[..32].copy_from_slice(key);
        bytes[32..48].copy_from_slice(&checksum(&self.digest, &[key, row]));
        let own = checksum(&self.digest, &[&bytes[..48]]);
        bytes[48..].copy_from_slice(&own);
        bytes
    }

    /// The key and the row's checksum, where the record is whole.
    pub(crate) fn key(&self, record: &[u8; RECORD_BYTES as usize]) -> Option<Key> {
        let own = checksum(&self.digest, &[&record[..48]]);
        let mut key = [0; 32];
        key.copy_from_slice(&record[..32]);
        (own == record[48..]).then_some(key)
    }

    /// Whether the row is the one that the record was made for.
    pub(crate) fn matches(&self, record: &[u8; RECORD_BYTES as usize], key: &Key, row: &[u8]) -> bool {
        *record == self.record(key, row)
    }

    pub(crate) fn row_bytes(&self) -> u64 {
        u64::from(self.n_dims) * 4
    }
}

/// What a content is kept under: the hash of its bytes, and of what decides beside them how they are read.
pub(crate) fn key_of(content: &[u8; 32], reading: &str) -> Key {
    if reading.is_empty() {
        return *content;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(content).update(reading.as_bytes());
    hasher.finalize().into()
}

fn checksum(digest: &[u8; 32], parts: &[&[u8]]) -> Checksum {
    let mut hasher = blake3::Hasher::new_keyed(digest);
    for part in parts {
        hasher.update(part);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { digest: [7; 32], n_dims: 3 };

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let whole = HEADER.encode();
        assert_eq!(HEADER.judge(&whole), HeaderState::Good);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(HEADER.judge(&flipped), HeaderState::Damaged, "bit {bit}");
        }
    }

    #[test]
    fn other_embedders_lengths_and_versions_are_told_apart() {
        let other = Header { digest: [8; 32], ..HEADER };
        assert_eq!(HEADER.judge(&other.encode()), HeaderState::Other);
        assert_eq!(HEADER.judge(&Header { n_dims: 4, ..HEADER }.encode()), HeaderState::Other);
        assert_eq!(HEADER.judge(&HEADER.encode_version(2)), HeaderState::Version(2));
    }

    #[test]
    fn every_flipped_bit_of_a_record_or_its_row_is_noticed() {
        let (key, row) = ([9; 32], [1, 2, 3, 4]);
        let whole = HEADER.record(&key, &row);
        assert_eq!(HEADER.key(&whole), Some(key));
        assert!(HEADER.matches(&whole, &key, &row));
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(HEADER.key(&flipped), None, "bit {bit}");
            assert!(!HEADER.matches(&flipped, &key, &row), "bit {bit}");
        }
        for bit in 0..row.len() * 8 {
            let mut flipped = row;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!HEADER.matches(&whole, &key, &flipped), "bit {bit}");
        }
        let other = Header { digest: [8; 32], ..HEADER };
        assert_eq!(other.key(&whole), None);
    }

    #[test]
    fn the_same_bytes_read_in_two_ways_have_two_keys() {
        let content = [5; 32];
        assert_eq!(key_of(&content, ""), content);
        assert_ne!(key_of(&content, "Pcd"), content);
        assert_ne!(key_of(&content, "Pcd"), key_of(&content, "Las"));
    }
}
