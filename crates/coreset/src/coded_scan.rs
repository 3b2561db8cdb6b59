//! Which rows of a block have codes within given windows.

use fearless_simd::{Level, Simd, dispatch, prelude::*};

/// A range of codes, in the form that one addition and one comparison of signed bytes can test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    shift: i8,
    limit: i8,
}

impl Window {
    /// Every code.
    pub(crate) const ALL: Self = Self { shift: 0, limit: 127 };

    /// Codes from the first to the last one, which is not below the first.
    pub(crate) fn new(first: u8, last: u8) -> Self {
        // The first code becomes the lowest signed byte.
        let limit = (last.saturating_sub(first) ^ 0x80).cast_signed();
        Self { shift: first.cast_signed().wrapping_neg(), limit }
    }
}

/// Codes looked at between two branches: as many as there are bits in the widest number.
const GROUP: usize = 128;
/// Vectors of a group where they are shortest.
const MAX_VECTORS: usize = GROUP / 16;

/// Offsets of the codes inside one window, ascending, appended.
pub(crate) fn rows_inside(level: Level, codes: &[i8], window: Window, found: &mut Vec<u16>) {
    dispatch!(level, simd => inside(simd, [codes], [window], found));
}

/// Offsets at which every one of the columns has a code inside its window, ascending, appended.
///
/// Columns are as long as each other: a multiple of 256.
#[inline(always)]
pub(crate) fn inside<S: Simd, const M: usize>(
    simd: S,
    columns: [&[i8]; M],
    windows: [Window; M],
    found: &mut Vec<u16>,
) {
    // Plain loops: a closure would not be compiled for the vectors of this level.
    let lanes = S::i8s::LEN;
    let mut shifts = [S::i8s::splat(simd, 0); M];
    let mut limits = shifts;
    for m in 0..M {
        shifts[m] = S::i8s::splat(simd, windows[m].shift);
        limits[m] = S::i8s::splat(simd, windows[m].limit);
    }
    for at in (0..columns[0].len() / GROUP * GROUP).step_by(GROUP) {
        let mut groups: [&[i8]; M] = [&[]; M];
        for m in 0..M {
            groups[m] = &columns[m][at..at + GROUP];
        }
        let mut outside = [S::mask8s::splat(simd, false); MAX_VECTORS];
        let mut all_outside = S::mask8s::splat(simd, true);
        for (v, outside) in outside[..GROUP / lanes].iter_mut().enumerate() {
            let part = v * lanes..(v + 1) * lanes;
            for m in 0..M {
                let codes = S::i8s::from_slice(simd, &groups[m][part.clone()]);
                *outside |= (codes + shifts[m]).simd_gt(limits[m]);
            }
            all_outside &= *outside;
        }
        if !all_outside.all_true() {
            let mut rows = 0u128;
            for (v, outside) in outside[..GROUP / lanes].iter().enumerate() {
                let bits = !outside.to_bitmask() & (u64::MAX >> (64 - lanes));
                rows |= u128::from(bits) << (v * lanes);
            }
            while rows != 0 {
                found.push(at as u16 + rows.trailing_zeros() as u16);
                rows &= rows - 1;
            }
        }
    }
}
