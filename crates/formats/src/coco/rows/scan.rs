//! The bytes of a JSON text with a place in them. Every method gives nothing at the first byte that JSON does not have
//! there, and the place is of no use from then on.
//!
//! What is long and rare stands in functions of bytes and a place, so that the place of a hot loop stays in a register.

use std::borrow::Cow;

use super::digits::Word;
use super::number;

/// Lists and objects that may lie in one another; deeper ones are left to the careful road.
pub(super) const MAX_DEPTH: usize = 128;

#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// A string with its quotes, checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    quoted: &'a [u8],
    is_plain: bool,
}

impl<'a> Text<'a> {
    /// What is between the quotes, where nothing is escaped there.
    pub(super) fn plain(self) -> Option<&'a [u8]> {
        self.is_plain.then(|| &self.quoted[1..self.quoted.len() - 1])
    }

    /// The string as written, quotes and escapes included.
    pub(super) fn written(self) -> &'a [u8] {
        self.quoted
    }

    /// The string that is meant.
    pub(super) fn decoded(self) -> Option<Cow<'a, str>> {
        match self.plain() {
            Some(plain) => std::str::from_utf8(plain).ok().map(Cow::Borrowed),
            None => serde_json::from_slice(self.quoted).ok().map(Cow::Owned),
        }
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes over white space.
    #[inline(always)]
    pub(super) fn space(&mut self) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.at = spaces_end(self.bytes, self.at);
        }
    }

    #[inline(always)]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline(always)]
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// A byte with white space around it.
    #[inline(always)]
    pub(super) fn expect_spaced(&mut self, byte: u8) -> Option<()> {
        self.space();
        self.expect(byte)?;
        // One blank is what most programs write.
        self.take(b' ');
        self.space();
        Some(())
    }

    pub(super) fn take_all(&mut self, text: &[u8]) -> bool {
        let found = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(text));
        self.at += if found { text.len() } else { 0 };
        found
    }

    /// Whether nothing but white space is left.
    pub(super) fn is_done(&mut self) -> bool {
        self.space();
        self.at == self.bytes.len()
    }

    #[inline(always)]
    pub(super) fn float(&mut self) -> Option<f64> {
        let (value, end) = number::float(self.bytes, self.at)?;
        self.at = end;
        Some(value)
    }

    #[inline(always)]
    pub(super) fn integer(&mut self) -> Option<i64> {
        let (value, end) = number::integer(self.bytes, self.at)?;
        self.at = end;
        Some(value)
    }

    #[inline(always)]
    pub(super) fn text(&mut self) -> Option<Text<'a>> {
        let (is_plain, end) = text_end(self.bytes, self.at)?;
        let text = Text { quoted: self.bytes.get(self.at..end)?, is_plain };
        self.at = end;
        Some(text)
    }

    /// Passes over any value.
    #[inline(always)]
    pub(super) fn skip(&mut self) -> Option<()> {
        self.at = value_end(self.bytes, self.at, MAX_DEPTH)?;
        Some(())
    }
}

fn spaces_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Whether a string has no escapes, and the place behind it.
fn text_end(bytes: &[u8], start: usize) -> Option<(bool, usize)> {
    let (mut at, mut is_plain, mut is_ascii) = (start, true, true);
    if *bytes.get(at)? != b'"' {
        return None;
    }
    at += 1;
    loop {
        while Word::at(bytes, at).is_some_and(Word::is_plain_text) {
            at += 8;
        }
        match *bytes.get(at)? {
            b'"' => break,
            b'\\' => {
                is_plain = false;
                at = escape_end(bytes, at)?;
            }
            0..=0x1f => return None,
            byte => {
                is_ascii &= byte.is_ascii();
                at += 1;
            }
        }
    }
    at += 1;
    (is_ascii || std::str::from_utf8(&bytes[start..at]).is_ok()).then_some((is_plain, at))
}

fn escape_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => {
            let digits = bytes.get(at + 2..at + 6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 6)
        }
        _ => None,
    }
}

fn value_end(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
    let word = |word: &[u8]| bytes[at..].starts_with(word).then_some(at + word.len());
    match *bytes.get(at)? {
        b'"' => text_end(bytes, at).map(|(_, end)| end),
        b'[' => list_end(bytes, at, depth.checked_sub(1)?),
        b'{' => object_end(bytes, at, depth.checked_sub(1)?),
        b't' => word(b"true"),
        b'f' => word(b"false"),
        b'n' => word(b"null"),
        _ => number::skip(bytes, at),
    }
}

fn list_end(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
    let mut scan = Scanner { bytes, at: at + 1 };
    scan.space();
    if scan.take(b']') {
        return Some(scan.at);
    }
    loop {
        let is_number = scan.peek()?.is_ascii_digit();
        scan.at = if is_number { number::skip(bytes, scan.at)? } else { value_end(bytes, scan.at, depth)? };
        // A gap of fixed length saves waiting for its bytes.
        if bytes.get(scan.at..scan.at + 2) == Some(b", ") {
            scan.at += 2;
            scan.space();
        } else if scan.peek()? == b',' {
            scan.at += 1;
            scan.space();
        } else {
            scan.space();
            if !scan.take(b',') {
                return scan.expect(b']').map(|()| scan.at);
            }
            scan.space();
        }
    }
}

fn object_end(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
    let mut scan = Scanner { bytes, at: at + 1 };
    scan.space();
    if scan.take(b'}') {
        return Some(scan.at);
    }
    loop {
        scan.text()?;
        scan.expect_spaced(b':')?;
        scan.at = value_end(bytes, scan.at, depth)?;
        scan.space();
        if !scan.take(b',') {
            return scan.expect(b'}').map(|()| scan.at);
        }
        scan.space();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn is_skipped(text: &[u8]) -> bool {
        let mut scan = Scanner::new(text);
        scan.space();
        scan.skip().is_some() && scan.is_done()
    }

    fn is_json(text: &[u8]) -> bool {
        std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<&RawValue>(text).is_ok())
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(is_skipped(nested(MAX_DEPTH).as_bytes()));
        assert!(!is_skipped(nested(MAX_DEPTH + 1).as_bytes()));
        assert!(!is_skipped("[".repeat(1 << 20).as_bytes()));
        assert!(!is_skipped("{\"a\":".repeat(1 << 20).as_bytes()));
    }

    #[test]
    fn texts_are_what_serde_json_makes_of_them() {
        for written in
            [r#""""#, r#""abc""#, r#""a \"b\" \\ \/ \u00fc\n""#, "\"\u{fc}ber\"", r#""\ud83d\ude00""#]
        {
            let text = Scanner::new(written.as_bytes()).text().unwrap();
            assert_eq!(text.decoded().unwrap(), serde_json::from_str::<String>(written).unwrap());
            assert_eq!(text.written(), written.as_bytes());
        }
        let lone = Scanner::new(br#""\ud83d""#).text().unwrap();
        assert_eq!(lone.decoded(), None, "half of a pair");
    }

    #[test]
    fn texts_that_json_does_not_have_are_refused() {
        for bad in [
            &b"\"a"[..],
            b"\"\\x\"",
            b"\"\\u12g4\"",
            b"\"\\u12",
            b"\"a\nb\"",
            b"\"\xff\"",
            b"\"\xed\xa0\x80\"",
            b"'a'",
        ] {
            assert!(Scanner::new(bad).text().is_none(), "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_is_skipped_is_json_and_json_is_skipped(
            text in "[ \n]?(\\[|\\{\"a\": ?|-?[0-9]{1,9}(\\.[0-9]{1,3})?|, ?|\\]|\\}|\"[a-z\\\\u0é]{0,12}\"|:|null|true|1e5|[\\[\\]{}\",:0-9.e+ -]){1,12}"
        ) {
            prop_assert_eq!(is_skipped(text.as_bytes()), is_json(text.as_bytes()));
        }

        #[test]
        fn bytes_are_judged_as_serde_json_does(mut text in Just(br#"{"a": [1.5, -2e3, "x\u00e9\n", {"b": null}], "c": true}"#.to_vec()),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..4)) {
            for (at, byte, kind) in changes {
                let at = at.index(text.len());
                match kind {
                    0 => text[at] = byte,
                    1 => text.insert(at, byte),
                    _ => _ = text.remove(at),
                }
            }
            prop_assert_eq!(is_skipped(&text), is_json(&text));
        }
    }
}
