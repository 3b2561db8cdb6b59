//! All pairs of different codes that are close to each other.

use fearless_simd::{Level, dispatch};
use rayon::prelude::*;

use super::bands::{Bands, N_VALUES, Reach};
use super::kernel::Counter;
use super::{HammingCode, hamming_distance};
use crate::Result;

/// Values of a band, or codes, that a thread takes at a time.
const SHARE: usize = 256;

/// The pairs, in no order that means anything; `admit` may end the search.
pub(super) fn pairs<const W: usize>(
    codes: &[HammingCode<W>],
    bands: &Bands,
    radius: u32,
    admit: impl Fn(usize, usize) -> Result<()> + Sync,
) -> Result<Vec<(usize, usize, u32)>> {
    let mut all = Vec::new();
    let join = Join { codes, bands, radius, reach: Reach::new::<W>(radius) };
    for part in join.parts() {
        let found: Result<Vec<Vec<_>>> = part
            .shares()
            .into_par_iter()
            .map(|share| {
                let (mut found, mut refused) = (Vec::new(), None);
                join.each(part, share, &mut |a, b, distance| match admit(a, b) {
                    Ok(()) => found.push((a, b, distance)),
                    Err(e) => refused = Some(e),
                });
                refused.map_or(Ok(found), Err)
            })
            .collect();
        all.extend(found?.concat());
    }
    Ok(all)
}

/// Calls `found` with each pair once, from several threads.
pub(super) fn for_each<const W: usize>(
    codes: &[HammingCode<W>],
    bands: &Bands,
    radius: u32,
    found: impl Fn(usize, usize, u32) + Sync,
) {
    let join = Join { codes, bands, radius, reach: Reach::new::<W>(radius) };
    for part in join.parts() {
        let share = |share| join.each(part, share, &mut |a, b, distance| found(a, b, distance));
        part.shares().into_par_iter().for_each(share);
    }
}

struct Join<'a, const W: usize> {
    codes: &'a [HammingCode<W>],
    bands: &'a Bands,
    radius: u32,
    reach: Reach,
}

/// What is gone through at once.
#[derive(Clone, Copy)]
enum Part {
    /// Pairs that meet in a band and in none before.
    Band(usize),
    /// All pairs of so many codes.
    All(usize),
}

impl Part {
    fn shares(self) -> Vec<std::ops::Range<usize>> {
        let n = match self {
            Self::Band(_) => N_VALUES,
            Self::All(n_codes) => n_codes,
        };
        (0..n).step_by(SHARE).map(|start| start..n.min(start + SHARE)).collect()
    }
}

impl<const W: usize> Join<'_, W> {
    /// The bands, unless comparing everything is less work.
    fn parts(&self) -> Vec<Part> {
        let n = self.codes.len() as u64;
        match self.n_compared() {
            // Codes of a band are read in another order than they lie in.
            Some(n_compared) if 2 * n_compared < n * n / 2 => {
                (0..self.reach.n_bands()).map(Part::Band).collect()
            }
            _ => vec![Part::All(self.codes.len())],
        }
    }

    /// Codes that would be compared by bands; none where they are of no use.
    fn n_compared(&self) -> Option<u64> {
        let mut n = 0;
        for band in 0..self.reach.n_bands() {
            let (masks, table) = (self.reach.masks(band)?, self.bands.of(band));
            let of_value = |value: usize| {
                let here = table.range(value as u16).len() as u64;
                let there = masks.iter().map(|mask| table.range(value as u16 ^ mask).len() as u64);
                if here == 0 { 0 } else { masks.len() as u64 + here * there.sum::<u64>() / 2 }
            };
            n += (0..N_VALUES).into_par_iter().map(of_value).sum::<u64>();
        }
        Some(n)
    }

    fn each(&self, part: Part, share: std::ops::Range<usize>, found: &mut impl FnMut(usize, usize, u32)) {
        match part {
            Part::Band(band) => {
                let level = Level::new();
                dispatch!(level, _ => self.each_in_band(band, share, found));
            }
            Part::All(_) => self.each_of_all(share, found),
        }
    }

    #[inline(always)]
    fn each_in_band(
        &self,
        band: usize,
        values: std::ops::Range<usize>,
        found: &mut impl FnMut(usize, usize, u32),
    ) {
        let (table, masks) = (self.bands.of(band), self.reach.masks(band).unwrap_or_default());
        let mut here = Vec::new();
        let mut near: Vec<(u32, HammingCode<W>)> = Vec::new();
        for value in values {
            let value = value as u16;
            here.clear();
            here.extend(table.places[table.range(value)].iter().map(|p| (*p, self.codes[*p as usize])));
            if here.is_empty() {
                continue;
            }
            // The codes of close values, gathered so that they are gone through in a row by each of these.
            near.clear();
            for other in masks.iter().map(|mask| value ^ mask).filter(|other| value < *other) {
                near.extend(table.places[table.range(other)].iter().map(|p| (*p, self.codes[*p as usize])));
            }
            let own = !masks.is_empty();
            for (i, (a, code)) in here.iter().enumerate() {
                let after = if own { &here[i + 1..] } else { &[] };
                for (b, other) in after.iter().chain(&near) {
                    let distance = hamming_distance(code, other);
                    if distance <= self.radius && !self.reach.met_before(code, other, band) {
                        found(*a as usize, *b as usize, distance);
                    }
                }
            }
        }
    }

    fn each_of_all(&self, firsts: std::ops::Range<usize>, found: &mut impl FnMut(usize, usize, u32)) {
        let (counter, mut hits) = (Counter::new(), Vec::new());
        for first in firsts {
            hits.clear();
            counter.scan(&self.codes[first], &self.codes[first + 1..], self.radius, &mut hits);
            for (place, distance) in &hits {
                found(first, first + 1 + *place as usize, *distance);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hamming::bands::band_of;

    #[test]
    fn near_and_small_radii_go_by_bands_and_wide_ones_do_not() {
        let codes = (0..20_000u64).map(|i| [i.wrapping_mul(0x9E37_79B9_7F4A_7C15)]).collect::<Vec<_>>();
        let bands = Bands::new(&codes);
        let parts = |radius| {
            Join { codes: &codes, bands: &bands, radius, reach: Reach::new::<1>(radius) }.parts().len()
        };
        assert_eq!((parts(0), parts(6), parts(30), parts(64)), (4, 4, 1, 1));
        assert_eq!(band_of(&[0x1234_5678_9ABC_DEF0, 7], 1), 0x9ABC);
        assert_eq!(band_of(&[0x1234_5678_9ABC_DEF0, 7], 4), 7);
    }
}
