/// Bytes that three packed ones unpack to at most: the longest copy.
const LONGEST_COPY: u64 = 264;

/// What `n_packed` bytes unpack to at most: a copy of 264 bytes takes 3.
pub(super) fn most_unpacked(n_packed: u64) -> u64 {
    (n_packed / 3 + 1).saturating_mul(LONGEST_COPY)
}

/// Unpacks LZF to exactly `n_unpacked` bytes, or says how many there were before it broke.
///
/// A byte below 32 is followed by that many bytes and one more, to be taken as they are. Any other byte begins a copy of
/// what was unpacked before: its upper three bits are the length less 2, where 7 means that a byte with more length
/// follows; its lower five bits and the next byte are the distance back less 1 (the format of LibLZF).
///
/// What is set aside is `n_unpacked` bytes: bound it by [`most_unpacked`] first.
pub(super) fn unpack(packed: &[u8], n_unpacked: usize) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(n_unpacked);
    let mut rest = packed;
    while let Some((control, after)) = rest.split_first() {
        let step = match control {
            0..32 => take_literal(&mut out, after, usize::from(*control) + 1),
            _ => take_copy(&mut out, after, *control),
        };
        rest = step.filter(|_| out.len() <= n_unpacked).ok_or(out.len())?;
    }
    if out.len() == n_unpacked { Ok(out) } else { Err(out.len()) }
}

fn take_literal<'a>(out: &mut Vec<u8>, rest: &'a [u8], n_bytes: usize) -> Option<&'a [u8]> {
    let (literal, rest) = rest.split_at_checked(n_bytes)?;
    out.extend_from_slice(literal);
    Some(rest)
}

fn take_copy<'a>(out: &mut Vec<u8>, rest: &'a [u8], control: u8) -> Option<&'a [u8]> {
    let mut n_bytes = usize::from(control >> 5) + 2;
    let mut rest = rest;
    if n_bytes == 9 {
        let (more, after) = rest.split_first()?;
        n_bytes += usize::from(*more);
        rest = after;
    }
    let (low, rest) = rest.split_first()?;
    let distance = (usize::from(control & 31) << 8 | usize::from(*low)) + 1;
    let start = out.len().checked_sub(distance)?;
    // A copy may reach into what it writes itself, which repeats the last `distance` bytes.
    while n_bytes != 0 {
        let n_now = n_bytes.min(out.len() - start);
        out.extend_from_within(start..start + n_now);
        n_bytes -= n_now;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A slow packer: the longest copy of what came before, found by looking everywhere.
    fn pack(bytes: &[u8]) -> Vec<u8> {
        let (mut out, mut literal, mut at) = (Vec::new(), Vec::new(), 0);
        let flush = |out: &mut Vec<u8>, literal: &mut Vec<u8>| {
            for run in literal.chunks(32) {
                out.push(u8::try_from(run.len() - 1).unwrap());
                out.extend_from_slice(run);
            }
            literal.clear();
        };
        while at < bytes.len() {
            let longest = |from: usize| {
                (0..264).take_while(|k| at + k < bytes.len() && bytes[from + k] == bytes[at + k]).count()
            };
            let best = (at.saturating_sub(8192)..at).map(|from| (longest(from), from)).max();
            match best {
                Some((length @ 3.., from)) => {
                    flush(&mut out, &mut literal);
                    let distance = at - from - 1;
                    let high = u8::try_from(distance >> 8).unwrap();
                    if length < 9 {
                        out.push(u8::try_from(length - 2).unwrap() << 5 | high);
                    } else {
                        out.extend([7 << 5 | high, u8::try_from(length - 9).unwrap()]);
                    }
                    out.push(u8::try_from(distance & 255).unwrap());
                    at += length;
                }
                _ => {
                    literal.push(bytes[at]);
                    at += 1;
                }
            }
        }
        flush(&mut out, &mut literal);
        out
    }

    #[test]
    fn bytes_written_by_hand_unpack() {
        // Three as they are, then 4 from 3 back, then 300 of the last byte by two copies.
        let packed = [2, b'a', b'b', b'c', 2 << 5, 2, 7 << 5, 255, 0, 7 << 5, 27, 0];
        let unpacked = unpack(&packed, 307).unwrap();
        assert_eq!(unpacked[..7], *b"abcabca");
        assert!(unpacked[7..].iter().all(|b| *b == b'a'));
        assert_eq!(unpack(&[], 0).unwrap(), b"");
    }

    #[test]
    fn broken_data_is_noticed_wherever_it_breaks() {
        assert_eq!(unpack(&[2, b'a'], 3), Err(0), "fewer bytes than announced");
        assert_eq!(unpack(&[0, b'a', 1 << 5], 4), Err(1), "no distance");
        assert_eq!(unpack(&[0, b'a', 7 << 5], 99), Err(1), "no length");
        assert_eq!(unpack(&[0, b'a', 1 << 5, 1], 4), Err(1), "before the beginning");
        assert_eq!(unpack(&[1, b'a', b'b'], 1), Err(2), "too much");
        assert_eq!(unpack(&[0, b'a'], 2), Err(1), "too little");
    }

    #[test]
    fn the_bound_is_reached_by_the_longest_copies() {
        let mut packed = vec![0, b'a'];
        packed.extend([7 << 5, 255, 0].repeat(50));
        let n_unpacked = 1 + 50 * 264;
        assert_eq!(unpack(&packed, n_unpacked).unwrap().len(), n_unpacked);
        assert!(n_unpacked as u64 <= most_unpacked(packed.len() as u64));
    }

    proptest! {
        #[test]
        fn what_is_packed_unpacks(bytes in proptest::collection::vec(0..4u8, 0..700)) {
            let packed = pack(&bytes);
            prop_assert_eq!(unpack(&packed, bytes.len()).unwrap(), bytes);
        }

        #[test]
        fn rubbish_never_unpacks_beyond_the_bound(packed in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Err(n_unpacked) = unpack(&packed, 4000) {
                prop_assert!(n_unpacked as u64 <= most_unpacked(packed.len() as u64));
            }
        }
    }
}
