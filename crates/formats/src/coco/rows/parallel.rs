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
    /// A part for each thread of the pool at hand, where there are enough bytes for two.
    pub(super) fn for_threads(n_bytes: usize) -> Self {
        let min_bytes = 1 << 18;
        // To ask for the threads is to start them.
        let max_parts = if n_bytes < 2 * min_bytes { 1 } else { rayon::current_num_threads() };
        Self { max_parts, min_bytes }
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
    let (parts, ended) = table_in_parts(scan, usize::MAX, cut, &make)?;
    ended.then_some(parts)
}

/// Reads on from the first object of a list, or a later one, to the end of the list or to the object at `stop`; gives
/// what the parts came to, and whether the list ended.
pub(super) fn table_in_parts<'a, S: Sink<'a> + Send>(
    scan: &mut Scanner<'a>,
    stop: usize,
    cut: Cut,
    make: &(impl Fn() -> S + Sync),
) -> Option<(Vec<S>, bool)> {
    let starts = starts(scan, stop, cut);
    if starts.len() < 2 {
        let mut sink = make();
        let ended = records(scan, stop, &mut sink)?;
        return Some((vec![sink], ended));
    }
    let bytes = scan.bytes;
    let read: Vec<Option<Part<S>>> = (0..starts.len())
        .into_par_iter()
        .map(|i| {
            let mut part = Scanner { bytes, at: starts[i] };
            let mut sink = make();
            let ended = records(&mut part, starts.get(i + 1).copied().unwrap_or(stop), &mut sink)?;
            Some(Part { sink, ended, end: part.at })
        })
        .collect();
    accepted(scan, stop, read, make)
}

struct Part<S> {
    sink: S,
    /// Whether the list ended with it.
    ended: bool,
    end: usize,
}

/// The parts that count. From one that could not be read, or did not reach the next one's start, all is read again.
fn accepted<'a, S: Sink<'a>>(
    scan: &mut Scanner<'a>,
    stop: usize,
    read: Vec<Option<Part<S>>>,
    make: &impl Fn() -> S,
) -> Option<(Vec<S>, bool)> {
    let mut sinks = Vec::with_capacity(read.len());
    for part in read {
        let Some(part) = part else { break };
        sinks.push(part.sink);
        scan.at = part.end;
        if part.ended {
            return Some((sinks, true));
        }
    }
    if scan.at == stop {
        return Some((sinks, false));
    }
    let mut rest = make();
    let ended = records(scan, stop, &mut rest)?;
    sinks.push(rest);
    Some((sinks, ended))
}

/// Where parts of about equal length start: the first at the scanner's place, the others where `}`, a comma and `{`
/// follow one another.
fn starts(scan: &Scanner<'_>, stop: usize, cut: Cut) -> Vec<usize> {
    let mut starts = vec![scan.at];
    let end = scan.bytes.len().min(stop);
    let left = end.saturating_sub(scan.at);
    let n_parts = (left / cut.min_bytes).min(cut.max_parts);
    for i in 1..n_parts {
        let guess = scan.at + left / n_parts * i;
        match start_behind(scan.bytes, guess) {
            Some(start) if start < end && starts.last().is_some_and(|last| *last < start) => {
                starts.push(start);
            }
            _ => {}
        }
    }
    starts
}

/// Bytes that are looked through for a place to cut at.
const FAR: usize = 1 << 16;

fn start_behind(bytes: &[u8], guess: usize) -> Option<usize> {
    let end = bytes.len().min(guess.saturating_add(FAR));
    (guess..end).filter(|at| bytes[*at] == b'}').find_map(|at| {
        let mut scan = Scanner { bytes, at: at + 1 };
        scan.expect_spaced(b',')?;
        (scan.peek() == Some(b'{')).then_some(scan.at)
    })
}

/// The last place behind `from` where an object seems to follow another.
pub(super) fn last_start(bytes: &[u8], from: usize) -> Option<usize> {
    let first = from.max(bytes.len().saturating_sub(FAR));
    (first..bytes.len()).rev().filter(|at| bytes[*at] == b'{' && from < *at).find(|at| {
        let before = bytes[first..*at].trim_ascii_end();
        let before = before.strip_suffix(b",").map(<[u8]>::trim_ascii_end);
        before.is_some_and(|before| before.ends_with(b"}"))
    })
}
