//! Eight bytes of text at a time, in one register.

/// Eight bytes of text, the first of them lowest.
#[derive(Clone, Copy)]
pub(super) struct Word(pub(super) u64);

/// A number of at most seven bytes.
pub(super) struct Short {
    pub(super) mantissa: u64,
    pub(super) n_decimals: usize,
    pub(super) len: usize,
}

const ONES: u64 = 0x0101_0101_0101_0101;

impl Word {
    #[inline]
    pub(super) fn at(bytes: &[u8], at: usize) -> Option<Self> {
        bytes.get(at..)?.first_chunk().map(|eight| Self(u64::from_le_bytes(*eight)))
    }

    /// A byte that is not 0 for each that is no digit. Bytes behind one of 0xfa and above may be wrong, which no
    /// caller looks at.
    #[inline]
    fn non_digits(self) -> u64 {
        let upper = self.0 & (0xf0 * ONES);
        let carried = self.0.wrapping_add(0x06 * ONES) & (0xf0 * ONES);
        (upper | (carried >> 4)) ^ (0x33 * ONES)
    }

    /// Number of digits that it starts with.
    #[inline]
    pub(super) fn n_digits(self) -> usize {
        self.non_digits().trailing_zeros() as usize / 8
    }

    /// The first 1 to 8 digits as a number.
    #[inline]
    pub(super) fn leading(self, n: usize) -> u64 {
        digits8(self.0 << (64 - 8 * n))
    }

    #[inline]
    fn byte(self, i: usize) -> u8 {
        (self.0 >> (8 * i)) as u8
    }

    /// A number without sign and exponent that ends within the word; nothing where that cannot be seen from here.
    #[inline]
    pub(super) fn short_number(self) -> Option<Short> {
        let others = self.non_digits();
        let n_whole = others.trailing_zeros() as usize / 8;
        if n_whole == 0 || n_whole == 8 || (1 < n_whole && self.byte(0) == b'0') {
            return None;
        }
        if self.byte(n_whole) != b'.' {
            let ends = !matches!(self.byte(n_whole), b'e' | b'E');
            return ends.then(|| Short { mantissa: self.leading(n_whole), n_decimals: 0, len: n_whole });
        }
        let len = (others & !(0xff << (8 * n_whole))).trailing_zeros() as usize / 8;
        if len == 8 || len == n_whole + 1 || matches!(self.byte(len), b'e' | b'E') {
            return None;
        }
        let before = (1 << (8 * n_whole)) - 1;
        let without_point = Word((self.0 & before) | ((self.0 >> 8) & !before));
        Some(Short { mantissa: without_point.leading(len - 1), n_decimals: len - n_whole - 1, len })
    }

    /// Value and length of a whole number without sign that ends within the word.
    #[inline]
    pub(super) fn short_integer(self) -> Option<(u64, usize)> {
        let n = self.n_digits();
        let ends = 0 < n && n < 8 && !matches!(self.byte(n), b'.' | b'e' | b'E');
        (ends && !(1 < n && self.byte(0) == b'0')).then(|| (self.leading(n), n))
    }

    /// Whether none of the bytes ends a string, escapes, is a control character or is beyond ASCII.
    #[inline]
    pub(super) fn is_plain_text(self) -> bool {
        let zero_in = |w: u64| w.wrapping_sub(ONES) & !w;
        let below_space = self.0.wrapping_sub(0x20 * ONES) & !self.0;
        let quote = zero_in(self.0 ^ (ONES * u64::from(b'"')));
        let escape = zero_in(self.0 ^ (ONES * u64::from(b'\\')));
        (below_space | quote | escape | self.0) & (0x80 * ONES) == 0
    }
}

/// Eight digits as a number: pairs, then fours, then all.
#[inline]
pub(super) fn digits8(word: u64) -> u64 {
    let ones = word & (0x0f * ONES);
    let pairs = (ones.wrapping_mul(10).wrapping_add(ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &[u8]) -> Word {
        Word::at(text, 0).unwrap()
    }

    #[test]
    fn digits_are_counted_up_to_the_first_other_byte() {
        for byte in (0..=255u8).filter(|b| !b.is_ascii_digit()) {
            for n in 0..8 {
                let mut text = *b"91827364";
                text[n] = byte;
                assert_eq!(word(&text).n_digits(), n, "{byte}");
            }
        }
        assert_eq!(word(b"00000000").n_digits(), 8);
        assert_eq!(digits8(word(b"12345678").0), 12_345_678);
        assert_eq!(word(b"123x5678").leading(3), 123);
    }

    #[test]
    fn plain_text_is_told_from_the_rest_byte_by_byte() {
        for byte in 0..=255u8 {
            for n in 0..8 {
                let mut text = *b"a ~z/[]!";
                text[n] = byte;
                let plain = (0x20..0x80).contains(&byte) && byte != b'"' && byte != b'\\';
                assert_eq!(word(&text).is_plain_text(), plain, "{byte} at {n}");
            }
        }
    }

    #[test]
    fn a_word_needs_eight_bytes() {
        assert!(Word::at(b"1234567", 0).is_none());
        assert!(Word::at(b"12345678", 1).is_none());
        assert!(Word::at(b"1", 9).is_none());
    }
}
