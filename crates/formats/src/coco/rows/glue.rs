use super::scan::Scanner;

const N_BYTES: usize = 24;

/// A short text that is looked for again and again, held in three registers.
#[derive(Debug)]
pub(super) struct Glue<'a> {
    text: &'a [u8],
    words: [u64; 3],
    /// All bits of the bytes that count.
    masks: [u64; 3],
}

impl<'a> Glue<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        let (mut bytes, mut counts) = ([0; N_BYTES], [0; N_BYTES]);
        for ((byte, count), given) in bytes.iter_mut().zip(&mut counts).zip(text) {
            (*byte, *count) = (*given, 0xff);
        }
        Self { text, words: words(&bytes), masks: words(&counts) }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether the text stands at the scanner's place.
    #[inline(always)]
    pub(super) fn is_at(&self, scan: &Scanner<'_>) -> bool {
        let window = scan.bytes.get(scan.at..).and_then(<[u8]>::first_chunk);
        match window {
            Some(window) if self.text.len() <= N_BYTES => {
                let found = words(window);
                let differ = |i: usize| (found[i] ^ self.words[i]) & self.masks[i];
                differ(0) | differ(1) | differ(2) == 0
            }
            _ => starts_with(scan.bytes, scan.at, self.text),
        }
    }
}

#[inline(always)]
fn words(bytes: &[u8; N_BYTES]) -> [u64; 3] {
    let word = |i: usize| bytes[8 * i..].first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
    [word(0), word(1), word(2)]
}

#[inline(never)]
fn starts_with(bytes: &[u8], at: usize, text: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_where_it_stands_and_nowhere_else() {
        for len in 0..40 {
            let text: Vec<u8> = (1..=len).collect();
            for n_behind in [0, 40] {
                let mut bytes = [&[0xee], text.as_slice(), &vec![0xff; n_behind]].concat();
                let glue = Glue::of(&text);
                assert!(glue.is_at(&Scanner { bytes: &bytes, at: 1 }), "{len}");
                assert_eq!(glue.is_at(&Scanner { bytes: &bytes, at: 0 }), len == 0);
                for i in 1..=usize::from(len) {
                    bytes[i] ^= 0x80;
                    assert!(!glue.is_at(&Scanner { bytes: &bytes, at: 1 }), "{len}, byte {i}");
                    bytes[i] ^= 0x80;
                }
            }
        }
    }

    #[test]
    fn a_text_cut_short_is_not_there() {
        let glue = Glue::of(b"\"image_id\": ");
        assert!(!glue.is_at(&Scanner { bytes: b"\"image_id\":", at: 0 }));
        assert!(!glue.is_at(&Scanner { bytes: b"", at: 9 }));
    }
}
