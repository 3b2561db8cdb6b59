//! Vectors by content: one file of sorted entries between a header and a checksum.
//!
//! ```text
//! "LLEMBED\n"  version u32  number of entries u64
//! entry:       descriptor digest [32]  content hash [32]  number of dimensions u32  f32 ...
//! BLAKE3 of everything before [32]
//! ```
//!
//! All numbers are little-endian; entries ascend by digest, then content. Nothing depends on time, machine or order
//! of work, so that the same entries are the same bytes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use blake3::Hash;
use labelloop_media::write_atomically;

use crate::{EmbedError, Result};

const MAGIC: &[u8; 8] = b"LLEMBED\n";
const VERSION: u32 = 1;
const CHECKSUM_BYTES: usize = 32;

/// What was found where the cache was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheState {
    /// No cache was asked for.
    Off,
    /// There was no file yet.
    New,
    /// The file was whole.
    Read {
        /// Vectors in it, of this descriptor and of others.
        n_entries: usize,
    },
    /// The file could not be trusted, so all vectors were computed again and the file is replaced.
    Rebuilt {
        /// What was wrong with it.
        reason: String,
    },
}

type Key = ([u8; 32], [u8; 32]);

/// Entries in memory, keyed by descriptor and content so that two descriptors never mix.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Cache {
    entries: BTreeMap<Key, Vec<f32>>,
}

impl Cache {
    /// Reads the file where there is one; a damaged file is an empty cache with a reason.
    pub(crate) fn open(path: &Path) -> Result<(Self, CacheState)> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Self::default(), CacheState::New)),
            Err(source) => return Err(EmbedError::Io { path: path.to_owned(), source }),
        };
        Ok(match Self::decode(&bytes) {
            Ok(cache) => {
                let n_entries = cache.entries.len();
                (cache, CacheState::Read { n_entries })
            }
            Err(reason) => (Self::default(), CacheState::Rebuilt { reason }),
        })
    }

    /// Writes the file, whole or not at all.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        write_atomically(path, &self.encode()).map_err(EmbedError::io(path))
    }

    /// The vector of this content by this descriptor; a vector of another length is none.
    pub(crate) fn get(&self, digest: &Hash, content: &Hash, n_dims: usize) -> Option<&[f32]> {
        let found = self.entries.get(&(*digest.as_bytes(), *content.as_bytes()))?;
        (found.len() == n_dims).then_some(found)
    }

    pub(crate) fn insert(&mut self, digest: &Hash, content: &Hash, vector: Vec<f32>) {
        self.entries.insert((*digest.as_bytes(), *content.as_bytes()), vector);
    }

    pub(crate) fn n_entries(&self) -> usize {
        self.entries.len()
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((self.entries.len() as u64).to_le_bytes());
        for ((digest, content), vector) in &self.entries {
            bytes.extend(digest);
            bytes.extend(content);
            bytes.extend((vector.len() as u32).to_le_bytes());
            bytes.extend(vector.iter().flat_map(|v| v.to_le_bytes()));
        }
        let checksum = blake3::hash(&bytes);
        bytes.extend(checksum.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let n_bytes = bytes.len();
        let short = || format!("{n_bytes} bytes: expected more");
        let body = n_bytes.checked_sub(CHECKSUM_BYTES).ok_or_else(short)?;
        let (body, checksum) = bytes.split_at(body);
        let mut rest = Rest(body);
        if rest.take::<8>() != Some(*MAGIC) {
            return Err("not a cache of vectors".to_owned());
        }
        let version = rest.number().ok_or_else(short)?;
        if version != VERSION {
            return Err(format!("version {version}: expected {VERSION}"));
        }
        if blake3::hash(body).as_bytes() != checksum {
            return Err("the checksum does not match the content".to_owned());
        }
        let n_entries = u64::from_le_bytes(rest.take().ok_or_else(short)?);
        let mut cache = Self::default();
        for _ in 0..n_entries {
            let (key, vector) = rest.entry().ok_or_else(short)?;
            cache.entries.insert(key, vector);
        }
        if rest.0.is_empty() { Ok(cache) } else { Err(format!("{} bytes too many", rest.0.len())) }
    }
}

/// Bytes not read yet; every reader gives nothing when they run out.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn entry(&mut self) -> Option<(Key, Vec<f32>)> {
        let key = (self.take()?, self.take()?);
        let n_bytes = (self.number()? as usize).checked_mul(4)?;
        let (vector, rest) = self.0.split_at_checked(n_bytes)?;
        self.0 = rest;
        let numbers = vector.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let vector: Vec<f32> = numbers.collect();
        vector.iter().all(|v| v.is_finite()).then_some((key, vector))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(text: &str) -> Hash {
        blake3::hash(text.as_bytes())
    }

    fn filled() -> Cache {
        let mut cache = Cache::default();
        cache.insert(&hash("model"), &hash("a"), vec![1.0, 2.0]);
        cache.insert(&hash("model"), &hash("b"), vec![3.0, -0.0]);
        cache.insert(&hash("other model"), &hash("a"), vec![9.0]);
        cache
    }

    #[test]
    fn entries_come_back_and_models_do_not_mix() {
        let back = Cache::decode(&filled().encode()).unwrap();
        assert_eq!(back, filled());
        assert_eq!(back.get(&hash("model"), &hash("a"), 2), Some([1.0, 2.0].as_slice()));
        assert_eq!(back.get(&hash("other model"), &hash("a"), 1), Some([9.0].as_slice()));
        assert_eq!(back.get(&hash("other model"), &hash("b"), 1), None);
        assert_eq!(back.get(&hash("model"), &hash("a"), 3), None, "a vector of another length is none");
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_order_of_insertion() {
        let mut other = Cache::default();
        other.insert(&hash("other model"), &hash("a"), vec![9.0]);
        other.insert(&hash("model"), &hash("b"), vec![3.0, -0.0]);
        other.insert(&hash("model"), &hash("a"), vec![1.0, 2.0]);
        assert_eq!(other.encode(), filled().encode());
    }

    #[test]
    fn any_flipped_byte_and_any_cut_is_noticed() {
        let whole = filled().encode();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x40;
            assert!(Cache::decode(&flipped).is_err(), "byte {at}");
            assert!(Cache::decode(&whole[..at]).is_err(), "cut at {at}");
        }
        let longer = [whole.as_slice(), b"x"].concat();
        assert!(Cache::decode(&longer).is_err());
    }

    #[test]
    fn a_newer_version_and_another_file_are_told_apart() {
        let mut newer = filled().encode();
        newer[8] = 2;
        assert_eq!(Cache::decode(&newer).unwrap_err(), "version 2: expected 1");
        assert_eq!(Cache::decode(&[0; 100]).unwrap_err(), "not a cache of vectors");
    }

    #[test]
    fn a_count_that_lies_is_refused_without_allocating_for_it() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
        let checksum = blake3::hash(&bytes);
        bytes.extend(checksum.as_bytes());
        assert!(Cache::decode(&bytes).unwrap_err().contains("expected more"));
    }

    proptest! {
        #[test]
        fn any_entries_round_trip(
            entries in proptest::collection::vec(
                (any::<[u8; 4]>(), any::<[u8; 4]>(), proptest::collection::vec(-1e9..1e9f32, 0..6)), 0..12,
            )
        ) {
            let mut cache = Cache::default();
            for (digest, content, vector) in entries {
                cache.insert(&blake3::hash(&digest), &blake3::hash(&content), vector);
            }
            prop_assert_eq!(Cache::decode(&cache.encode()).unwrap(), cache);
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut file = MAGIC.to_vec();
            file.extend(VERSION.to_le_bytes());
            file.extend(bytes);
            let checksum = blake3::hash(&file);
            file.extend(checksum.as_bytes());
            if let Ok(cache) = Cache::decode(&file) {
                prop_assert!(cache.n_entries() <= 3);
            }
        }
    }
}
