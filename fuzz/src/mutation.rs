//! Mutations without any tool: what the replay and long runs on machines without libFuzzer use.

use labelloop_core::Seed;

/// Pieces that break readers more often than random bytes do.
const PIECES: [&[u8]; 36] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"-",
    b".",
    b"e308",
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b"0",
    b"-0.0",
    b"00",
    b"1e-400",
    b"18446744073709551616",
    b"9007199254740993",
    b"0.1000000000000000055511151231257827",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\n",
    b"\t",
    b"\0",
    b"\\ud800",
    b"\\u0041",
    b"<",
    b">",
    b"&#x0;",
    b"</",
    b"\"bbox\": [",
    b"\n---\n",
    b"5e-324",
];

/// Draw `i` of the mutations of `data`, one to four of them: bytes flipped, cut, doubled, put in, or joined with a
/// part of `other`.
///
/// ```
/// use labelloop_core::Seed;
/// use labelloop_fuzz::mutation::mutate;
///
/// let once = mutate(b"[1, 2]", b"{}", Seed::new(1), 7);
/// assert_eq!(once, mutate(b"[1, 2]", b"{}", Seed::new(1), 7));
/// ```
pub fn mutate(data: &[u8], other: &[u8], seed: Seed, i: u64) -> Vec<u8> {
    let mut draws = Draws { seed: seed.stream("mutation"), next: i << 16 };
    let mut out = data.to_vec();
    for _ in 0..=draws.below(4) {
        change(&mut out, other, &mut draws);
    }
    out
}

struct Draws {
    seed: Seed,
    next: u64,
}

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.next += 1;
        self.seed.below(self.next, n)
    }

    /// A range of at most `longest` bytes.
    fn range(&mut self, len: usize, longest: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        start..(start + self.below(longest + 1)).min(len)
    }
}

fn change(out: &mut Vec<u8>, other: &[u8], draws: &mut Draws) {
    let at = draws.below(out.len() + 1);
    match draws.below(7) {
        0 if at < out.len() => out[at] ^= 1 << draws.below(8),
        1 if at < out.len() => out[at] = draws.below(256) as u8,
        2 => _ = out.drain(draws.range(out.len(), 12)),
        3 => out.truncate(at),
        4 => {
            let piece = PIECES[draws.below(PIECES.len())];
            out.splice(at..at, piece.iter().copied());
        }
        5 => {
            let copied = out[draws.range(out.len(), 60)].to_vec();
            out.splice(at..at, copied);
        }
        _ => {
            let copied = other[draws.range(other.len(), 60)].to_vec();
            let hole = at..(at + draws.below(copied.len() + 1)).min(out.len());
            out.splice(hole, copied);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_mutations_change_something_and_none_panics() {
        let seed = Seed::new(1);
        let n_same =
            (0..1000).filter(|i| mutate(b"[1, 2, 3]", b"{\"a\": 1}", seed, *i) == b"[1, 2, 3]").count();
        assert!(n_same < 200, "{n_same}");
        for i in 0..1000 {
            mutate(b"", b"", seed, i);
        }
    }
}
