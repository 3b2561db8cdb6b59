//! Lists of objects, read field by field.
//!
//! Programs write the objects of a list alike, so whatever stands between two values of the first object (a comma,
//! white space, the next key, a colon) is learned and compared as a whole in those that follow. An object that is written
//! otherwise is read token by token and learned from in turn. A key that occurs twice in one object ends the fast road,
//! known or not, as it is an error on the careful one.

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
}

/// How the objects of a list were written so far.
struct Layout<'a, F> {
    keys: Vec<&'a [u8]>,
    /// What stands before a value, and the field that it is of.
    steps: Vec<(&'a [u8], Option<F>)>,
}

/// Reads objects from `{` on. True: the list ended, and the place is behind it. False: the next object starts right at
/// `stop`.
pub(super) fn records<'a, S: Sink<'a>>(scan: &mut Scanner<'a>, stop: usize, sink: &mut S) -> Option<bool> {
    let mut layout = Layout { keys: Vec::new(), steps: Vec::new() };
    loop {
        scan.expect(b'{')?;
        record(scan, &mut layout, sink)?;
        sink.finish()?;
        scan.space();
        if !scan.take(b',') {
            return scan.expect(b']').map(|()| true);
        }
        scan.space();
        if stop <= scan.at {
            return (stop == scan.at).then_some(false);
        }
    }
}

/// One object from behind `{` to behind `}`.
#[inline]
fn record<'a, S: Sink<'a>>(
    scan: &mut Scanner<'a>,
    layout: &mut Layout<'a, S::Field>,
    sink: &mut S,
) -> Option<()> {
    let mut n = 0;
    for (before, field) in &layout.steps {
        if !scan.take_all(before) {
            break;
        }
        scan.space();
        value(*field, scan, sink)?;
        n += 1;
    }
    if 0 < n && n == layout.steps.len() {
        scan.space();
        if scan.take(b'}') {
            return Some(());
        }
    }
    learn(n, scan, layout, sink)
}

/// The rest of an object whose first `n` fields were as expected.
#[cold]
fn learn<'a, S: Sink<'a>>(
    n: usize,
    scan: &mut Scanner<'a>,
    layout: &mut Layout<'a, S::Field>,
    sink: &mut S,
) -> Option<()> {
    layout.keys.truncate(n);
    layout.steps.truncate(n);
    loop {
        let start = scan.at;
        scan.space();
        if scan.take(b'}') {
            return Some(());
        }
        if !layout.keys.is_empty() {
            scan.expect_spaced(b',')?;
        }
        let key = scan.text()?.plain()?;
        if layout.keys.contains(&key) || layout.keys.len() == MAX_KEYS {
            return None;
        }
        scan.expect_spaced(b':')?;
        let field = S::field(key);
        layout.keys.push(key);
        layout.steps.push((&scan.bytes[start..scan.at], field));
        value(field, scan, sink)?;
    }
}

#[inline]
fn value<'a, S: Sink<'a>>(field: Option<S::Field>, scan: &mut Scanner<'a>, sink: &mut S) -> Option<()> {
    match field {
        Some(field) => sink.read(field, scan),
        None => scan.skip(),
    }
}
