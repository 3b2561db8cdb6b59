//! One list of objects, read by several threads.
//!
//! The list is cut where it looks as if an object started. All parts are read at once, and a part counts only where the
//! part before it ended exactly there, between two objects of the list; the first starts behind the bracket. So by
//! induction every part that counts started where an object does, whatever the bytes are, and the parts together are
//! what one thread reads. A cut that fooled the guess, inside a string say, is never reached in that state; the rest of
//! the list is then read by one thread.

use rayon::prelude::*;

use super::records::{Sink, records};
use super::scan::Scanner;

/// How a list may be cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// Parts there may be.
    pub(super) max_parts: usize,
    /// Bytes that are worth a part.
    pub(super) min_bytes: usize,
}

impl Cut {
    /// A part for each thread of the pool at hand, where the list is long.
    pub(super) fn for_threads() -> Self {
        Self { max_parts: rayon::current_num_threads(), min_bytes: 1 << 18 }
    }
}

/// Reads a list of objects from its bracket on; gives what the parts of it came to, in order.
pub(super) fn table<'a, S: Sink<'a> + Send>(
    scan: &mut Scanner<'a>,
    cut: Cut,
    make: impl Fn() -> S + Sync,
) -> Option<Vec<S>> {
    scan.expect(b'[')?;
    scan.space();
    if scan.take(b']') {
        return Some(Vec::new());
    }
    let n_parts = ((scan.bytes.len() - scan.at) / cut.min_bytes).min(cut.max_parts);
    table_in_parts(scan, n_parts, make)
}

/// Reads on from the first object of a list.
fn table_in_parts<'a, S: Sink<'a> + Send>(
    scan: &mut Scanner<'a>,
    n_parts: usize,
    make: impl Fn() -> S + Sync,
) -> Option<Vec<S>> {
    let starts = starts(scan, n_parts);
    if starts.len() < 2 {
        let mut sink = make();
        records(scan, usize::MAX, &mut sink)?;
        return Some(vec![sink]);
    }
    let bytes = scan.bytes;
    let read: Vec<Option<Part<S>>> = (0..starts.len())
        .into_par_iter()
        .map(|i| {
            let mut part = Scanner { bytes, at: starts[i] };
            let mut sink = make();
            let ended = records(&mut part, starts.get(i + 1).copied().unwrap_or(usize::MAX), &mut sink)?;
            Some(Part { sink, ended, end: part.at })
        })
        .collect();
    accepted(scan, read, &make)
}

struct Part<S> {
    sink: S,
    /// Whether the list ended with it.
    ended: bool,
    end: usize,
}

/// The parts up to the end of the list. One that could not be read, or did not reach the next one's start, is read again
/// to the end of the list.
fn accepted<'a, S: Sink<'a>>(
    scan: &mut Scanner<'a>,
    read: Vec<Option<Part<S>>>,
    make: &impl Fn() -> S,
) -> Option<Vec<S>> {
    let mut sinks = Vec::with_capacity(read.len());
    for part in read {
        let Some(part) = part else { break };
        sinks.push(part.sink);
        scan.at = part.end;
        if part.ended {
            return Some(sinks);
        }
    }
    let mut rest = make();
    records(scan, usize::MAX, &mut rest)?;
    sinks.push(rest);
    Some(sinks)
}

/// Where parts of about equal length start: the first at the scanner's place, the others where `}`, a comma and `{`
/// follow one another.
fn starts(scan: &Scanner<'_>, n_parts: usize) -> Vec<usize> {
    let mut starts = vec![scan.at];
    let left = scan.bytes.len() - scan.at;
    for i in 1..n_parts {
        let guess = scan.at + left / n_parts * i;
        match start_behind(scan.bytes, guess) {
            Some(start) if starts.last().is_some_and(|last| *last < start) => starts.push(start),
            _ => {}
        }
    }
    starts
}

fn start_behind(bytes: &[u8], guess: usize) -> Option<usize> {
    const FAR: usize = 1 << 16;
    let end = bytes.len().min(guess.saturating_add(FAR));
    (guess..end).filter(|at| bytes[*at] == b'}').find_map(|at| {
        let mut scan = Scanner { bytes, at: at + 1 };
        scan.expect_spaced(b',')?;
        (scan.peek() == Some(b'{')).then_some(scan.at)
    })
}
