/// Turns bit `c` of word `r` into bit `r` of word `c`: blocks of 32, 16 … 1 bits change places (Warren, Hacker's
/// Delight, section 7-3).
pub(super) fn transpose(words: &mut [u64; 64]) {
    let (mut width, mut low) = (32, u64::MAX >> 32);
    while width != 0 {
        let mut row = 0;
        while row < 64 {
            let changed = (words[row] >> width ^ words[row + width]) & low;
            words[row] ^= changed << width;
            words[row + width] ^= changed;
            row = (row + width + 1) & !width;
        }
        width /= 2;
        low ^= low << width;
    }
}

/// How many bits of a word are set below a place, for many places of one word: counts of whole bytes once, the last
/// byte from a table. A machine's own instruction would do it, but not every machine has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct BitsBelow {
    word: u64,
    /// Byte `b`: bits set in the bytes before `b`.
    bytes_before: u64,
    all: u32,
}

const ONES: [u8; 256] = {
    let mut ones = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        ones[byte] = (byte as u8).count_ones() as u8;
        byte += 1;
    }
    ones
};

impl BitsBelow {
    pub(super) fn of(word: u64) -> Self {
        const EVERY_BYTE: u64 = 0x0101_0101_0101_0101;
        let pairs = word - (word >> 1 & 0x5555_5555_5555_5555);
        let nibbles = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
        let bytes = (nibbles + (nibbles >> 4)) & 0x0f0f_0f0f_0f0f_0f0f;
        // A product by ones adds up all bytes below; no sum passes 64.
        let up_to_byte = bytes.wrapping_mul(EVERY_BYTE);
        Self { word, bytes_before: up_to_byte << 8, all: (up_to_byte >> 56) as u32 }
    }

    /// All bits of the word.
    pub(super) fn all(self) -> u32 {
        self.all
    }

    /// Bits below a place of 0 to 63.
    pub(super) fn count(self, place: u32) -> u32 {
        let byte = place & !7;
        let part = (self.word >> byte) as u8 & !(u8::MAX << (place & 7));
        u32::from((self.bytes_before >> byte) as u8) + u32::from(ONES[usize::from(part)])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_become_columns(words in proptest::collection::vec(any::<u64>(), 64)) {
            let mut turned: [u64; 64] = words.clone().try_into().unwrap();
            transpose(&mut turned);
            for (r, c) in (0..64).flat_map(|r| (0..64).map(move |c| (r, c))) {
                prop_assert_eq!(words[r] >> c & 1, turned[c] >> r & 1);
            }
        }

        #[test]
        fn bits_below_a_place_are_counted(word: u64) {
            for word in [word, 0, u64::MAX] {
                let counts = BitsBelow::of(word);
                prop_assert_eq!(counts.all(), word.count_ones());
                for place in 0..64 {
                    prop_assert_eq!(counts.count(place), (word & !(u64::MAX << place)).count_ones());
                }
            }
        }
    }
}
