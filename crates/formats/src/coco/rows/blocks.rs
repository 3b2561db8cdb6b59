//! The fast road through a long results file, block by block.
//!
//! Fresh memory for a whole file costs a third of the time that reading it takes, and more memory than its rows need. So a
//! long file is read into one buffer again and again, each time up to a place where it looks as if an object started.
//! The scanner must end exactly there, between two objects of the list, and goes on from there with the next block;
//! otherwise the guess was wrong, and the file is read whole.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use labelloop_core::DetectionRow;

use super::CocoRows;
use super::detections::Found;
use super::lookup::Lookup;
use super::parallel::{Cut, last_start, table_in_parts};
use super::records::records;
use super::scan::Scanner;

/// Bytes of a block for each thread; what fits a core's own cache.
const BLOCK: usize = 1 << 19;

/// Detections of a long and plain results file; nothing for short ones, for any that the careful road would say
/// something about, and for what cannot be read twice.
pub(super) fn detections_of_file(path: &Path, of: &CocoRows) -> io::Result<Option<Vec<DetectionRow>>> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.len() <= BLOCK as u64 {
        return Ok(None);
    }
    let cut = Cut::for_threads(usize::MAX);
    detections_in_blocks(file, about.len(), BLOCK * cut.max_parts, cut, of)
}

/// Detections of a source of about so many bytes.
pub(super) fn detections_in_blocks(
    mut source: impl Read,
    n_bytes: u64,
    block: usize,
    cut: Cut,
    of: &CocoRows,
) -> io::Result<Option<Vec<DetectionRow>>> {
    let lookups = Lookup::of(&of.image_ids).zip(Lookup::of_numbers(&of.category_ids));
    let Some((images, classes)) = lookups else { return Ok(None) };
    let make = || Found::new(&images, &classes);
    let (mut found, mut buffer, mut is_open) = (make(), Vec::with_capacity(block + block / 8), false);
    loop {
        let n_read = source.by_ref().take(block as u64).read_to_end(&mut buffer)?;
        let is_last = n_read < block;
        let Some(end) = next_block(&buffer, is_last, is_open, cut, &make, &mut found) else {
            return Ok(None);
        };
        if is_last {
            return Ok(Some(found.rows));
        }
        if !is_open {
            is_open = true;
            let n_rows = found.rows.len() as u64 * (n_bytes / end.max(1) as u64);
            found.rows.reserve(usize::try_from(n_rows).unwrap_or(0));
        }
        buffer.copy_within(end.., 0);
        buffer.truncate(buffer.len() - end);
    }
}

/// Reads the objects of a block but for the last, which may be cut; all of them where the block is the last. Gives the
/// place where the next block starts.
fn next_block<'a, 'l>(
    bytes: &'a [u8],
    is_last: bool,
    is_open: bool,
    cut: Cut,
    make: &(impl Fn() -> Found<'l> + Sync),
    found: &mut Found<'l>,
) -> Option<usize> {
    let mut scan = Scanner::new(bytes);
    if !is_open {
        scan.space();
        scan.expect(b'[')?;
        scan.space();
        if is_last && scan.take(b']') {
            return scan.is_done().then_some(scan.at);
        }
    }
    let stop = if is_last { usize::MAX } else { last_start(bytes, scan.at)? };
    let ended = if cut.max_parts < 2 {
        records(&mut scan, stop, found)?
    } else {
        let (parts, ended) = table_in_parts(&mut scan, stop, cut, make)?;
        parts.into_iter().for_each(|part| found.rows.extend(part.rows));
        ended
    };
    (ended == is_last && (!is_last || scan.is_done())).then_some(scan.at)
}
