//! The bytes of a JSON text with a place in them. Every method gives nothing at the first byte that JSON does not have
//! there, and the place is of no use from then on.

use std::borrow::Cow;

use super::digits::Word;
use super::number;

/// Lists and objects that may lie in one another; deeper ones are left to the careful road.
pub(super) const MAX_DEPTH: usize = 128;

#[derive(Debug, Clone)]
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

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes over white space.
    #[inline]
    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// A byte with white space around it.
    #[inline]
    pub(super) fn expect_spaced(&mut self, byte: u8) -> Option<()> {
        self.space();
        self.expect(byte)?;
        self.space();
        Some(())
    }

    #[inline]
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

    #[inline]
    pub(super) fn float(&mut self) -> Option<f64> {
        let (value, end) = number::float(self.bytes, self.at)?;
        self.at = end;
        Some(value)
    }

    #[inline]
    pub(super) fn integer(&mut self) -> Option<i64> {
        let (value, end) = number::integer(self.bytes, self.at)?;
        self.at = end;
        Some(value)
    }

    pub(super) fn text(&mut self) -> Option<Text<'a>> {
        let start = self.at;
        self.expect(b'"')?;
        let (mut is_plain, mut is_ascii) = (true, true);
        loop {
            while Word::at(self.bytes, self.at).is_some_and(Word::is_plain_text) {
                self.at += 8;
            }
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    is_plain = false;
                    self.escape()?;
                }
                0..=0x1f => return None,
                byte => {
                    is_ascii &= byte.is_ascii();
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        let quoted = &self.bytes[start..self.at];
        (is_ascii || std::str::from_utf8(quoted).is_ok()).then_some(Text { quoted, is_plain })
    }

    fn escape(&mut self) -> Option<()> {
        match self.bytes.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let digits = self.bytes.get(self.at + 2..self.at + 6)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                self.at += 6;
            }
            _ => return None,
        }
        Some(())
    }

    /// Passes over any value.
    pub(super) fn skip(&mut self) -> Option<()> {
        self.skip_within(MAX_DEPTH)
    }

    fn skip_within(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.text().map(|_| ()),
            b'[' => self.skip_list(depth.checked_sub(1)?),
            b'{' => self.skip_object(depth.checked_sub(1)?),
            b't' => self.take_all(b"true").then_some(()),
            b'f' => self.take_all(b"false").then_some(()),
            b'n' => self.take_all(b"null").then_some(()),
            _ => self.skip_number(),
        }
    }

    #[inline]
    fn skip_number(&mut self) -> Option<()> {
        self.at = number::skip(self.bytes, self.at)?;
        Some(())
    }

    fn skip_list(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.space();
        if self.take(b']') {
            return Some(());
        }
        loop {
            if self.peek()?.is_ascii_digit() {
                self.skip_number()?;
            } else {
                self.skip_within(depth)?;
            }
            self.space();
            if !self.take(b',') {
                return self.expect(b']');
            }
            self.space();
        }
    }

    fn skip_object(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.space();
        if self.take(b'}') {
            return Some(());
        }
        loop {
            self.text()?;
            self.expect_spaced(b':')?;
            self.skip_within(depth)?;
            self.space();
            if !self.take(b',') {
                return self.expect(b'}');
            }
            self.space();
        }
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
