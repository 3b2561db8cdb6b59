//! What is checked of compressed points: the description of the compression, the table of chunks, and, where points are
//! packed in layers, the lengths of all of them (LASzip's record "laszip encoded" 22204, and its chunks).

use las::Header;

use super::check::layout;
use crate::LasProblem;

/// Longest point: the decoder sets aside some kilobytes for each byte of a point that the format does not name.
const LONGEST_POINT: u64 = 4096;
/// Bytes that any file may unpack to, and how many times its size a larger one may: usual files unpack to 5 to 20 times
/// their size, files of one point over and over to some hundred times.
const MOST_UNPACKED: u64 = 64 << 20;
const MOST_RATIO: u64 = 512;
/// Where the header keeps the number of the point format.
const FORMAT: usize = 104;
/// Bytes of a description before its items, and of an item.
const DESCRIPTION_BYTES: usize = 34;
const ITEM_BYTES: usize = 6;
/// Kinds of compression: all points one by one, the same in chunks, and chunks in layers.
const ONE_BY_ONE: u16 = 1;
const LAYERED: u16 = 3;
/// A chunk size that means that the chunks say themselves how many points they hold.
const VARIABLE: [u32; 2] = [0, u32::MAX];

/// Kinds of items with their bytes, and their layers where they are packed in layers.
const ITEMS: [(u16, u64, u64); 8] =
    [(6, 20, 0), (7, 8, 0), (8, 6, 0), (9, 29, 0), (10, 30, 9), (11, 6, 1), (12, 8, 2), (13, 29, 1)];
/// Items of points of formats 0 to 10; any bytes beyond them are one item more.
const FORMATS: [&[u16]; 11] = [
    &[6],
    &[6, 7],
    &[6, 8],
    &[6, 7, 8],
    &[6, 7, 9],
    &[6, 7, 8, 9],
    &[10],
    &[10, 11],
    &[10, 12],
    &[10, 13],
    &[10, 12, 13],
];
/// Item of bytes that the format does not name, in points of formats 0 to 5 and 6 to 10.
const EXTRA: [u16; 2] = [0, 14];

/// What a decoder can be given.
pub(super) struct Packed {
    /// The bytes from the points on, with the start of the table of chunks relative to them.
    pub(super) bytes: Vec<u8>,
    /// Bytes that they unpack to.
    pub(super) n_unpacked: usize,
}

pub(super) fn check(header: &Header, bytes: &[u8], n_points: u64) -> Result<Packed, LasProblem> {
    let (start, point_bytes) = layout(header, bytes)?;
    at_most("bytes of a point", point_bytes, LONGEST_POINT)?;
    let vlr = header.vlrs().iter().find(|vlr| las::laz::is_laszip_vlr(vlr));
    let description = vlr.map_or(&[][..], |vlr| &vlr.data);
    let format = bytes.get(FORMAT).map_or(0, |format| format & 0x3F);
    let packing = Packing::of(description, format, point_bytes)?;
    let mut packed = bytes.get(start as usize..).unwrap_or_default().to_vec();
    let n_packed = packed.len() as u64;
    let n_unpacked = n_points.saturating_mul(point_bytes);
    at_most("bytes unpacked", n_unpacked, MOST_UNPACKED.max(n_packed.saturating_mul(MOST_RATIO)))?;
    if packing.compressor != ONE_BY_ONE {
        let table = check_table(&packed, start, point_bytes)?;
        if packing.compressor == LAYERED {
            packing.check_layers(&packed[8..table], n_points)?;
        }
        packed[..8].copy_from_slice(&(table as u64).to_le_bytes());
    }
    Ok(Packed { bytes: packed, n_unpacked: n_unpacked as usize })
}

fn at_most(what: &'static str, found: u64, expected: u64) -> Result<(), LasProblem> {
    if found <= expected { Ok(()) } else { Err(LasProblem::Compression { what, found, expected }) }
}

fn equal(what: &'static str, found: u64, expected: u64) -> Result<(), LasProblem> {
    if found == expected { Ok(()) } else { Err(LasProblem::Compression { what, found, expected }) }
}

/// How the points are packed.
struct Packing {
    compressor: u16,
    chunk_size: u32,
    point_bytes: u64,
    n_layers: u64,
}

impl Packing {
    /// Takes a description only when it speaks of just the points that the header speaks of.
    fn of(description: &[u8], format: u8, point_bytes: u64) -> Result<Self, LasProblem> {
        let n_bytes = description.len();
        let short = |expected: usize| LasProblem::Compression {
            what: "bytes of the description",
            found: n_bytes as u64,
            expected: expected as u64,
        };
        let head = description.first_chunk::<DESCRIPTION_BYTES>().ok_or_else(|| short(DESCRIPTION_BYTES))?;
        let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let (compressor, n_items) = (word(0), usize::from(word(32)));
        let wanted = FORMATS.get(usize::from(format)).copied().unwrap_or_default();
        let is_layered = 6 <= format;
        equal("kind", u64::from(compressor == LAYERED), u64::from(is_layered))?;
        at_most("kind", u64::from(compressor.wrapping_sub(1)), 2)?;
        let items = &description[DESCRIPTION_BYTES..];
        let items = items.get(..n_items * ITEM_BYTES).ok_or_else(|| short(n_items * ITEM_BYTES))?;
        let (mut n_layers, mut n_named) = (0, 0);
        for (i, item) in items.chunks_exact(ITEM_BYTES).enumerate() {
            let [kind, size, version] = [0, 2, 4].map(|at| u16::from_le_bytes([item[at], item[at + 1]]));
            let extra = point_bytes.saturating_sub(n_named);
            let usual = EXTRA[usize::from(is_layered)];
            let expected = wanted.get(i).copied().unwrap_or(usual);
            equal("kind of item", u64::from(kind), u64::from(expected))?;
            let known = ITEMS.iter().find(|(k, _, _)| *k == kind);
            let (n_bytes, layers) = known.map_or((extra, extra), |(_, n_bytes, layers)| (*n_bytes, *layers));
            equal("size of an item", u64::from(size), n_bytes)?;
            let lowest = if is_layered { 3 } else { 1 };
            at_most("version of an item", u64::from(version.wrapping_sub(lowest)), 1)?;
            (n_named, n_layers) = (n_named + n_bytes, n_layers + layers);
        }
        at_most("number of items", n_items as u64, wanted.len() as u64 + 1)?;
        equal("size of all items", n_named, point_bytes)?;
        let chunk_size = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
        Ok(Self { compressor, chunk_size, point_bytes, n_layers })
    }

    /// Walks through the chunks: each is its first point as it is, a number of points, the lengths of its layers, and
    /// these.
    fn check_layers(&self, bytes: &[u8], n_points: u64) -> Result<(), LasProblem> {
        let (mut at, mut n_left) = (0, n_points);
        let head_bytes = (self.point_bytes + 4 + 4 * self.n_layers) as usize;
        while 0 < n_left {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some((head, rest)) = rest.split_at_checked(head_bytes) else {
                let (found, expected) = (rest.len() as u64, head_bytes as u64);
                return Err(LasProblem::Compression { what: "bytes of a chunk", found, expected });
            };
            let mut numbers = head[self.point_bytes as usize..]
                .chunks_exact(4)
                .map(|n| u64::from(u32::from_le_bytes([n[0], n[1], n[2], n[3]])));
            let stated = numbers.next().unwrap_or_default();
            let n_packed = numbers.sum::<u64>();
            at_most("bytes of a chunk's layers", n_packed, rest.len() as u64)?;
            let n_here =
                if VARIABLE.contains(&self.chunk_size) { stated } else { u64::from(self.chunk_size) };
            // A chunk of no points would never end the walk.
            n_left = n_left.saturating_sub(n_here.max(1));
            at += head_bytes + n_packed as usize;
        }
        Ok(())
    }
}

/// Where in the packed bytes the table of chunks begins, when there is room for as many chunks as it says.
fn check_table(packed: &[u8], start: u64, point_bytes: u64) -> Result<usize, LasProblem> {
    let what = "start of the chunk table";
    let n_bytes = packed.len() as u64;
    at_most("bytes before the points", 16, n_bytes)?;
    let number = |at: usize| packed[at..].first_chunk::<8>().map_or(0, |word| i64::from_le_bytes(*word));
    let mut table = number(0);
    if table <= start.cast_signed() {
        // Whoever could not go back to write it here wrote it at the end.
        table = number(packed.len() - 8);
    }
    let table = u64::try_from(table).unwrap_or(0);
    let first = start + 8;
    if table < first {
        return Err(LasProblem::Compression { what, found: table, expected: first });
    }
    at_most(what, table, start + n_bytes - 8)?;
    let at = (table - start) as usize;
    let n_chunks = u32::from_le_bytes([packed[at + 4], packed[at + 5], packed[at + 6], packed[at + 7]]);
    // Every chunk begins with a point as it is.
    at_most("number of chunks", u64::from(n_chunks), (table - first) / point_bytes.max(1))?;
    Ok(at)
}
