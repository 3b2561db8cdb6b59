//! Eight bytes of text at a time, in one register.

/// Eight bytes of text, the first of them lowest.
#[derive(Clone, Copy)]
pub(super) struct Word(pub(super) u64);

const ONES: u64 = 0x0101_0101_0101_0101;

impl Word {
    #[inline(always)]
    pub(super) fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let eight = bytes.get(at..at.checked_add(8)?)?;
        eight.try_into().ok().map(|eight| Self(u64::from_le_bytes(eight)))
    }

    /// The eight bytes as digits.
    #[inline(always)]
    pub(super) fn digits(self) -> Digits {
        let values = self.0 ^ (u64::from(b'0') * ONES);
        // Only a byte that is no digit carries into the next, so all up to the first such byte are right.
        Digits { values, others: (values.wrapping_add(0x76 * ONES) | values) & (0x80 * ONES) }
    }

    /// Whether none of the bytes ends a string, escapes, is a control character or is beyond ASCII.
    #[inline(always)]
    pub(super) fn is_plain_text(self) -> bool {
        let zero_in = |w: u64| w.wrapping_sub(ONES) & !w;
        let below_space = self.0.wrapping_sub(0x20 * ONES) & !self.0;
        let quote = zero_in(self.0 ^ (ONES * u64::from(b'"')));
        let escape = zero_in(self.0 ^ (ONES * u64::from(b'\\')));
        (below_space | quote | escape | self.0) & (0x80 * ONES) == 0
    }
}

/// Eight bytes taken for digits.
#[derive(Clone, Copy)]
pub(super) struct Digits {
    /// Each byte less `0`, bit by bit: 0 to 9 for a digit.
    values: u64,
    /// The highest bit of each byte that is no digit. Bytes behind the first of them may be wrong; of bytes of text,
    /// which are below 0x80, none is.
    others: u64,
}

impl Digits {
    /// Number of digits before the first byte that is none.
    #[inline(always)]
    pub(super) fn count(self) -> usize {
        self.others.trailing_zeros() as usize / 8
    }

    /// Place of the second byte that is no digit, 8 where there are fewer.
    #[inline(always)]
    pub(super) fn second_other(self) -> usize {
        (self.others & self.others.wrapping_sub(1)).trailing_zeros() as usize / 8
    }

    /// Whether the byte at `n` of 0 to 7 is this one.
    #[inline(always)]
    pub(super) fn is(self, n: usize, byte: u8) -> bool {
        (self.values >> (8 * n)) as u8 == byte ^ b'0'
    }

    /// Whether the byte at `n` of 0 to 7 starts an exponent.
    #[inline(always)]
    pub(super) fn is_exponent(self, n: usize) -> bool {
        ((self.values >> (8 * n)) as u8 | 0x20) == b'E' ^ b'0'
    }

    /// Without the byte at `n` of 0 to 7, those behind it moved up.
    #[inline(always)]
    pub(super) fn without(self, n: usize) -> Self {
        let behind = u64::MAX << (8 * n);
        Self { values: self.values ^ ((self.values ^ (self.values >> 8)) & behind), ..self }
    }

    /// The first `n` of 1 to 8 digits as a number: pairs, then fours, then all.
    #[inline(always)]
    pub(super) fn number(self, n: usize) -> u64 {
        let ones = self.values << (64 - 8 * n);
        let pairs = (ones.wrapping_mul(10).wrapping_add(ones >> 8)) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_ffff_0000_ffff;
        (fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xffff_ffff
    }
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
                assert_eq!(word(&text).digits().count(), n, "{byte}");
            }
        }
        assert_eq!(word(b"00000000").digits().count(), 8);
        assert_eq!(word(b"12345678").digits().number(8), 12_345_678);
        assert_eq!(word(b"123x5678").digits().number(3), 123);
    }

    #[test]
    fn digits_behind_a_byte_are_counted_and_joined() {
        let digits = word(b"12.345,6").digits();
        assert_eq!((digits.count(), digits.second_other()), (2, 6));
        assert_eq!(word(b"1234567.").digits().second_other(), 8);
        assert_eq!(word(b"12345678").digits().second_other(), 8);
        assert_eq!(word(b"..345678").digits().second_other(), 1);
        assert_eq!(digits.without(2).number(5), 12_345);
        assert!(digits.is(2, b'.') && !digits.is(6, b'.'));
        for byte in 0..=255u8 {
            let found = word(&[b'1', byte, b',', b' ', b'0', b'0', b'0', b'0']).digits().is_exponent(1);
            assert_eq!(found, matches!(byte, b'e' | b'E'), "{byte}");
        }
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
