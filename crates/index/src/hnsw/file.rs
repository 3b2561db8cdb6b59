use ndarray::ArrayView2;

use super::audit;
use super::{HnswIndex, HnswParams};
use crate::{Metric, NeighbourIndex, Result, RowFilter};

/// First bytes of a file; the line ends tell of a transfer as text.
const MAGIC: [u8; 8] = *b"LLHNSW\r\n";
/// The version written, and the newest one read.
const VERSION: u32 = 1;
/// Bytes of a digest.
const DIGEST: usize = 32;
/// Bytes before the digest of the pool.
const HEAD: usize = 64;

/// Bytes that are no graph of the pool at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexFileError {
    /// Not a file of ours.
    #[error("index file starts with {found:02x?}: expected {MAGIC:02x?}")]
    Magic {
        /// The first bytes, zeros beyond the end.
        found: [u8; 8],
    },
    /// Written by a newer version of this library.
    #[error("index file has version {found}: expected 1 to {newest}")]
    Version {
        /// The version found.
        found: u32,
        /// The newest one that can be read.
        newest: u32,
    },
    /// More or fewer bytes than the file says it has.
    #[error("index file has {found} bytes: expected {expected}")]
    Length {
        /// The bytes found.
        found: u64,
        /// The bytes that should be there.
        expected: u64,
    },
    /// Bytes were changed since the file was written.
    #[error("index file is damaged: its checksum differs from that of its content")]
    Checksum,
    /// A pool of another shape.
    #[error("index file is of a pool of {rows} x {columns}: expected {expected_rows} x {expected_columns}")]
    Shape {
        /// Rows in the file.
        rows: u64,
        /// Columns in the file.
        columns: u64,
        /// Rows of the pool at hand.
        expected_rows: u64,
        /// Columns of the pool at hand.
        expected_columns: u64,
    },
    /// A pool of the same shape with other numbers.
    #[error("index file is of a pool with other numbers than the one at hand")]
    OtherPool,
    /// Deleted rows out of order, under a checksum that fits.
    #[error("index file names deleted row {found} after row {after}: expected ascending rows")]
    Order {
        /// The row found.
        found: u32,
        /// The one before it.
        after: u32,
    },
    /// A number that cannot be, under a checksum that fits.
    #[error("index file, byte {at}: {what} is {found}, expected at most {most}")]
    Malformed {
        /// Where the number is, from 0.
        at: usize,
        /// What the number is.
        what: &'static str,
        /// The number found.
        found: u64,
        /// The largest that can be.
        most: u64,
    },
}

impl HnswIndex {
    /// The graph as bytes: parameters, links, deleted rows, a digest of the pool's rows and a checksum. The rows
    /// themselves are not in it.
    ///
    /// The same pool, metric, parameters and deletions give the same bytes. All numbers are little-endian:
    ///
    /// | bytes | what |
    /// |---|---|
    /// | 8 | `LLHNSW\r\n` |
    /// | 4, 8 | version (1), length of the file |
    /// | 4 | metric: 0 cosine, 1 dot, 2 L2 |
    /// | 4, 4, 4, 8 | links, beam of the build, beam of a search, seed |
    /// | 8, 8, 4 | rows and columns of the pool, entry node |
    /// | 32 | BLAKE3 digest of the pool's numbers, row by row |
    /// | 4 + 4 n each | for each node and each of its layers: how many links, and those |
    /// | 4 + 4 n | how many rows are deleted, and those |
    /// | 32 | BLAKE3 digest of all before |
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(0u64.to_le_bytes());
        let HnswParams { n_links, build_beam, search_beam, seed } = self.params;
        out.extend((self.metric() as u32).to_le_bytes());
        for number in [n_links, build_beam, search_beam] {
            out.extend((number as u32).to_le_bytes());
        }
        out.extend(seed.to_le_bytes());
        out.extend((self.n_rows() as u64).to_le_bytes());
        out.extend((self.n_dims() as u64).to_le_bytes());
        out.extend(self.links.entry().to_le_bytes());
        out.extend(digest(self.exact.pool()));
        for node in 0..self.links.n_nodes() as u32 {
            for level in 0..=self.links.level(node) {
                put_list(&mut out, self.links.of(level, node));
            }
        }
        put_list(&mut out, &self.alive.not().rows().map(|row| row as u32).collect::<Vec<_>>());
        let length = (out.len() + DIGEST) as u64;
        out[12..20].copy_from_slice(&length.to_le_bytes());
        let checksum = *blake3::hash(&out).as_bytes();
        out.extend(checksum);
        out
    }

    /// The index whose graph was written by [`HnswIndex::to_bytes`], over the same pool. O(rows x dimensions).
    ///
    /// ```
    /// use labelloop_index::{HnswIndex, HnswParams, IndexError, IndexFileError, Metric};
    /// use ndarray::array;
    ///
    /// let pool = array![[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]];
    /// let bytes = HnswParams::default().build(pool.view(), Metric::Cosine)?.to_bytes();
    /// let index = HnswIndex::from_bytes(&bytes, pool.view())?;
    /// assert_eq!(index.to_bytes(), bytes);
    ///
    /// let mut other = pool.clone();
    /// other[[2, 0]] = 0.5;
    /// let refused = HnswIndex::from_bytes(&bytes, other.view()).unwrap_err();
    /// assert_eq!(refused, IndexError::File(IndexFileError::OtherPool));
    /// # Ok::<(), IndexError>(())
    /// ```
    ///
    /// # Errors
    /// [`IndexError::File`](crate::IndexError::File), and those of [`ExactIndex::new`](crate::ExactIndex::new) for the
    /// pool.
    pub fn from_bytes(bytes: &[u8], pool: ArrayView2<'_, f32>) -> Result<Self> {
        let content = verified(bytes)?;
        let mut reader = Reader { content, at: 20 };
        let metric = match reader.number("metric", 2)? {
            0 => Metric::Cosine,
            1 => Metric::Dot,
            _ => Metric::L2,
        };
        let params = HnswParams {
            n_links: reader.u32()? as usize,
            build_beam: reader.u32()? as usize,
            search_beam: reader.u32()? as usize,
            seed: reader.u64()?,
        };
        params.check()?;
        reader.expect_pool(pool)?;
        let mut index = Self::unlinked(pool, metric, &params)?;
        reader.at = HEAD - 4;
        let links = &mut index.links;
        let (n_nodes, last) = (links.n_nodes(), links.n_nodes().saturating_sub(1));
        links.set_entry(reader.number("entry node", last)?);
        reader.at = HEAD + DIGEST;
        for node in 0..n_nodes as u32 {
            for level in 0..=links.level(node) {
                let list = reader.list("link", links.capacity(level), last)?;
                links.set(level, node, &list);
            }
        }
        let n_rows = index.n_rows();
        let deleted = reader.list("deleted row", n_rows, n_rows.saturating_sub(1))?;
        reader.expect_end()?;
        if let Some(pair) = deleted.windows(2).find(|pair| pair[1] <= pair[0]) {
            return Err(IndexFileError::Order { found: pair[1], after: pair[0] }.into());
        }
        index.alive = RowFilter::from_rows(n_rows, &deleted)?.not();
        index.orphans = audit::orphans(&index.links);
        Ok(index)
    }
}

/// The content without its checksum, which fits it.
fn verified(bytes: &[u8]) -> Result<&[u8], IndexFileError> {
    let mut found = [0; 8];
    for (to, from) in found.iter_mut().zip(bytes) {
        *to = *from;
    }
    if found != MAGIC {
        return Err(IndexFileError::Magic { found });
    }
    let mut head = Reader { content: bytes, at: 8 };
    let version = head.u32()?;
    if version != VERSION {
        return Err(IndexFileError::Version { found: version, newest: VERSION });
    }
    let expected = head.u64()?.max((HEAD + 2 * DIGEST) as u64);
    if bytes.len() as u64 != expected {
        return Err(IndexFileError::Length { found: bytes.len() as u64, expected });
    }
    let (content, checksum) = bytes.split_at(bytes.len() - DIGEST);
    if blake3::hash(content).as_bytes() != checksum {
        return Err(IndexFileError::Checksum);
    }
    Ok(content)
}

fn put_list(out: &mut Vec<u8>, list: &[u32]) {
    out.extend((list.len() as u32).to_le_bytes());
    out.extend(list.iter().flat_map(|number| number.to_le_bytes()));
}

/// Digest of the numbers of a pool, row by row.
fn digest(pool: ArrayView2<'_, f32>) -> [u8; DIGEST] {
    let mut hasher = blake3::Hasher::new();
    let mut bytes = Vec::with_capacity(4 * pool.ncols());
    for row in pool.rows() {
        bytes.clear();
        bytes.extend(row.iter().flat_map(|x| x.to_le_bytes()));
        hasher.update(&bytes);
    }
    *hasher.finalize().as_bytes()
}

struct Reader<'a> {
    content: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], IndexFileError> {
        let taken = self.content.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        self.at += N;
        taken
            .copied()
            .ok_or(IndexFileError::Length { found: self.content.len() as u64, expected: self.at as u64 })
    }

    fn u32(&mut self) -> Result<u32, IndexFileError> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn u64(&mut self) -> Result<u64, IndexFileError> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    /// A number of at most `most`.
    fn number(&mut self, what: &'static str, most: usize) -> Result<u32, IndexFileError> {
        let at = self.at;
        let found = self.u32()?;
        if found as usize <= most {
            return Ok(found);
        }
        Err(IndexFileError::Malformed { at, what, found: u64::from(found), most: most as u64 })
    }

    /// A list of at most `room` numbers of at most `most`.
    fn list(&mut self, what: &'static str, room: usize, most: usize) -> Result<Vec<u32>, IndexFileError> {
        let n = self.number("length of a list", room)?;
        (0..n).map(|_| self.number(what, most)).collect()
    }

    /// Shape and digest of the pool, which follow the parameters.
    fn expect_pool(&mut self, pool: ArrayView2<'_, f32>) -> Result<(), IndexFileError> {
        let (rows, columns) = (self.u64()?, self.u64()?);
        let (expected_rows, expected_columns) = (pool.nrows() as u64, pool.ncols() as u64);
        if (rows, columns) != (expected_rows, expected_columns) {
            return Err(IndexFileError::Shape { rows, columns, expected_rows, expected_columns });
        }
        self.at = HEAD;
        if self.take::<DIGEST>()? != digest(pool) {
            return Err(IndexFileError::OtherPool);
        }
        Ok(())
    }

    fn expect_end(&self) -> Result<(), IndexFileError> {
        if self.at == self.content.len() {
            return Ok(());
        }
        Err(IndexFileError::Length {
            found: (self.content.len() + DIGEST) as u64,
            expected: (self.at + DIGEST) as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::IndexError;

    fn small() -> (Array2<f32>, Vec<u8>) {
        let pool = Array2::from_shape_fn((40, 3), |(i, j)| ((7 * i + 3 * j) % 41) as f32);
        let params = HnswParams { n_links: 2, build_beam: 8, ..HnswParams::default() };
        let mut index = params.build(pool.view(), Metric::Dot).unwrap();
        index.delete(&[3, 39]).unwrap();
        (pool, index.to_bytes())
    }

    fn error(bytes: &[u8], pool: &Array2<f32>) -> IndexFileError {
        match HnswIndex::from_bytes(bytes, pool.view()).unwrap_err() {
            IndexError::File(e) => e,
            other => unreachable!("{other}"),
        }
    }

    /// Puts a number in and makes the checksum fit again.
    fn forged(bytes: &[u8], at: usize, number: u32) -> Vec<u8> {
        let mut out = bytes[..bytes.len() - DIGEST].to_vec();
        out[at..at + 4].copy_from_slice(&number.to_le_bytes());
        let checksum = *blake3::hash(&out).as_bytes();
        out.extend(checksum);
        out
    }

    #[test]
    fn a_file_read_is_the_index_written() {
        let (pool, bytes) = small();
        let index = HnswIndex::from_bytes(&bytes, pool.view()).unwrap();
        assert_eq!((index.metric(), index.audit().n_deleted, index.params().n_links), (Metric::Dot, 2, 2));
        assert_eq!(index.to_bytes(), bytes);
    }

    #[test]
    fn any_byte_changed_is_noticed() {
        let (pool, bytes) = small();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x41;
            let _: IndexFileError = error(&changed, &pool);
        }
    }

    #[test]
    fn any_length_but_the_right_one_is_noticed() {
        let (pool, bytes) = small();
        for length in 0..bytes.len() {
            let _: IndexFileError = error(&bytes[..length], &pool);
        }
        let expected = bytes.len() as u64;
        assert_eq!(error(&bytes[..200], &pool), IndexFileError::Length { found: 200, expected });
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(error(&longer, &pool), IndexFileError::Length { found: expected + 1, expected });
    }

    #[test]
    fn other_files_and_versions_are_named() {
        let (pool, bytes) = small();
        assert_eq!(
            error(b"\x93NUMPY\x01\x00v", &pool),
            IndexFileError::Magic { found: *b"\x93NUMPY\x01\x00" }
        );
        assert_eq!(error(b"", &pool), IndexFileError::Magic { found: [0; 8] });
        assert_eq!(error(&forged(&bytes, 8, 2), &pool), IndexFileError::Version { found: 2, newest: 1 });
        assert_eq!(error(&forged(&bytes, 90, 2), &pool), IndexFileError::OtherPool);
    }

    #[test]
    fn another_pool_is_named() {
        let (pool, bytes) = small();
        let mut other = pool.clone();
        other[[39, 2]] += 1.0;
        assert_eq!(error(&bytes, &other), IndexFileError::OtherPool);
        let shape = IndexFileError::Shape { rows: 40, columns: 3, expected_rows: 1, expected_columns: 2 };
        assert_eq!(error(&bytes, &array![[1.0, 2.0]]), shape);
    }

    #[test]
    fn numbers_that_cannot_be_are_named() {
        let (pool, bytes) = small();
        let metric = IndexFileError::Malformed { at: 20, what: "metric", found: 3, most: 2 };
        assert_eq!(error(&forged(&bytes, 20, 3), &pool), metric);
        let entry = IndexFileError::Malformed { at: 60, what: "entry node", found: 40, most: 39 };
        assert_eq!(error(&forged(&bytes, 60, 40), &pool), entry);
        let count = IndexFileError::Malformed { at: 96, what: "length of a list", found: 9, most: 4 };
        assert_eq!(error(&forged(&bytes, 96, 9), &pool), count);
        let link = IndexFileError::Malformed { at: 100, what: "link", found: 40, most: 39 };
        assert_eq!(error(&forged(&bytes, 100, 40), &pool), link);
        let last = bytes.len() - DIGEST - 4;
        let row = IndexFileError::Malformed { at: last, what: "deleted row", found: 99, most: 39 };
        assert_eq!(error(&forged(&bytes, last, 99), &pool), row);
        let order = IndexFileError::Order { found: 3, after: 3 };
        assert_eq!(error(&forged(&bytes, last, 3), &pool), order);
        let links = HnswIndex::from_bytes(&forged(&bytes, 24, 1), pool.view()).unwrap_err();
        assert!(matches!(links, IndexError::HnswParam(_)));
    }

    #[test]
    fn any_forged_number_gives_an_error_or_an_index() {
        let (pool, bytes) = small();
        for at in 20..bytes.len() - DIGEST - 4 {
            for number in [0, 1, 7, u32::MAX] {
                if let Ok(index) = HnswIndex::from_bytes(&forged(&bytes, at, number), pool.view()) {
                    assert_eq!(index.walk(pool.view(), 3, 8, None).unwrap().k(), 3);
                }
            }
        }
    }
}
