//! Lists of objects, read field by field.
//!
//! Programs write the objects of a list alike, so whatever stands between two values of the first objects (a comma,
//! white space, the next key, a colon) is learned and compared as a whole in those that follow. An object that is written
//! otherwise is read token by token and learned from in turn. A key that occurs twice in one object ends the fast road,
//! known or not, as it is an error on the careful one.

use super::glue::Glue;
use super::scan::Scanner;

/// Keys that an object may have; those with more are left to the careful road.
const MAX_KEYS: usize = 64;

/// What is done with the fields of one object after the other.
pub(super) trait Sink<'a> {
    /// The fields that are read.
    type Field: Copy;

    /// Which field a key names; nothing for one that is passed over.
    fn field(key: &[u8]) -> Option<Self::Field>;

    /// Reads a value.
    fn read(&mut self, field: Self::Field, scan: &mut Scanner<'a>) -> Option<()>;

    /// Takes the object, now that all of its fields are read.
    fn finish(&mut self) -> Option<()>;

    /// Makes room for so many further objects.
    fn reserve(&mut self, n: usize);
}

/// How the objects of a list were written so far.
struct Layout<'a, F> {
    keys: Vec<&'a [u8]>,
    /// What stands before a value, and the field that it is of.
    steps: Vec<(Glue<'a>, Option<F>)>,
    /// What stands between the last value of an object and the first key of the next, brackets included.
    between: Option<Glue<'a>>,
}

/// Reads objects from `{` on. True: the list ended, and the place is behind it. False: the next object starts right at
/// `stop`.
pub(super) fn records<'a, S: Sink<'a>>(list: &mut Scanner<'a>, stop: usize, sink: &mut S) -> Option<bool> {
    let mut scan = *list;
    let mut layout = Layout { keys: Vec::new(), steps: Vec::new(), between: None };
    let ended = loop {
        scan.expect(b'{')?;
        let end = objects(&mut scan, stop, &mut layout, sink)?;
        sink.finish()?;
        scan.space();
        if !scan.take(b',') {
            scan.expect(b']')?;
            break true;
        }
        scan.space();
        if stop <= scan.at {
            (stop == scan.at).then_some(())?;
            break false;
        }
        if layout.between.is_none() {
            // What is left cannot hold many more objects of the first one's length.
            let left = scan.bytes.len().min(stop) - scan.at;
            sink.reserve(left / (scan.at - list.at) + 1);
        }
        layout.between = Some(Glue::of(scan.bytes.get(end..=scan.at)?));
    };
    list.at = scan.at;
    Some(ended)
}

/// Reads an object from behind `{` to behind `}`, and before it all that are written as expected; takes all but the
/// last. Gives the place behind the last value.
#[inline(always)]
fn objects<'a, S: Sink<'a>>(
    scan: &mut Scanner<'a>,
    stop: usize,
    layout: &mut Layout<'a, S::Field>,
    sink: &mut S,
) -> Option<usize> {
    let mut n = 0;
    loop {
        let Some((before, field)) = layout.steps.get(n) else {
            match &layout.between {
                Some(between) if between.is_at(scan) && scan.at + between.len() <= stop && 0 < n => {
                    sink.finish()?;
                    scan.at += between.len();
                    n = 0;
                    continue;
                }
                _ => break,
            }
        };
        if !before.is_at(scan) {
            break;
        }
        scan.at += before.len();
        scan.space();
        value(*field, scan, sink)?;
        n += 1;
    }
    let (at, end) = learn(n, *scan, layout, sink)?;
    scan.at = at;
    Some(end)
}

/// The rest of an object whose first `n` fields were as expected. Gives the places behind it and behind its last value.
#[cold]
fn learn<'a, S: Sink<'a>>(
    n: usize,
    mut scan: Scanner<'a>,
    layout: &mut Layout<'a, S::Field>,
    sink: &mut S,
) -> Option<(usize, usize)> {
    let mut n_fields = n;
    loop {
        let start = scan.at;
        scan.space();
        if scan.take(b'}') {
            return Some((scan.at, start));
        }
        if n_fields == n {
            layout.keys.truncate(n);
            layout.steps.truncate(n);
        }
        if 0 < n_fields {
            scan.expect_spaced(b',')?;
        }
        let key = scan.text()?.plain()?;
        if layout.keys.contains(&key) || layout.keys.len() == MAX_KEYS {
            return None;
        }
        scan.expect_spaced(b':')?;
        let field = S::field(key);
        layout.keys.push(key);
        layout.steps.push((Glue::of(scan.bytes.get(start..scan.at)?), field));
        value(field, &mut scan, sink)?;
        n_fields += 1;
    }
}

#[inline(always)]
fn value<'a, S: Sink<'a>>(field: Option<S::Field>, scan: &mut Scanner<'a>, sink: &mut S) -> Option<()> {
    match field {
        Some(field) => sink.read(field, scan),
        None => scan.skip(),
    }
}
