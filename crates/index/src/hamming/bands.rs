use super::HammingCode;

/// Bits of a band; a table has an entry for each of its values.
pub(super) const BAND_BITS: usize = 16;
pub(super) const N_VALUES: usize = 1 << BAND_BITS;
/// Bands of a word.
const PER_WORD: usize = 64 / BAND_BITS;
/// Bits that may differ within a band; for more there are so many values to look up that comparing all codes is faster.
const MAX_FLIPS: u32 = 4;

/// Band `band` of a code.
#[inline(always)]
pub(super) fn band_of<const W: usize>(code: &HammingCode<W>, band: usize) -> u16 {
    (code[band / PER_WORD] >> (BAND_BITS * (band % PER_WORD))) as u16
}

/// How many bits of each band may differ, by the pigeonhole principle, and which patterns those are.
pub(super) struct Reach {
    /// Patterns of bits that differ, by band; none where so many may differ that bands are of no use.
    masks: Option<Vec<Vec<u16>>>,
    /// Bits that may differ in each band; -1 where a band need not be looked at.
    flips: Vec<i64>,
}

impl Reach {
    pub(super) fn new<const W: usize>(radius: u32) -> Self {
        let n_bands = W * PER_WORD;
        let (flips, n_full) = (i64::from(radius) / n_bands as i64, radius as usize % n_bands + 1);
        let of_band = |band: usize| if band < n_full { flips } else { flips - 1 };
        let flips_of = (0..n_bands).map(of_band).collect::<Vec<_>>();
        let few = flips <= i64::from(MAX_FLIPS);
        let masks = few.then(|| flips_of.iter().map(|flips| masks(*flips)).collect());
        Self { masks, flips: flips_of }
    }

    /// Patterns of bits that may differ in a band.
    pub(super) fn masks(&self, band: usize) -> Option<&[u16]> {
        self.masks.as_ref().map(|masks| masks[band].as_slice())
    }

    /// Whether two codes are within reach of each other in an earlier band, so that they were met there.
    #[inline(always)]
    pub(super) fn met_before<const W: usize>(
        &self,
        a: &HammingCode<W>,
        b: &HammingCode<W>,
        band: usize,
    ) -> bool {
        (0..band).any(|i| i64::from((band_of(a, i) ^ band_of(b, i)).count_ones()) <= self.flips[i])
    }

    pub(super) fn n_bands(&self) -> usize {
        self.flips.len()
    }
}

/// All values with at most so many bits, ascending.
fn masks(flips: i64) -> Vec<u16> {
    (0..=u16::MAX).filter(|mask| i64::from(mask.count_ones()) <= flips).collect()
}

/// For each band the codes by its value.
#[derive(Debug, Clone)]
pub(super) struct Bands {
    bands: Vec<Band>,
}

#[derive(Debug, Clone)]
pub(super) struct Band {
    /// Where in `places` those of each value begin; one more for the end.
    starts: Vec<u32>,
    /// Places of codes, by value and then by place.
    pub(super) places: Vec<u32>,
}

impl Bands {
    pub(super) fn new<const W: usize>(codes: &[HammingCode<W>]) -> Self {
        Self { bands: (0..W * PER_WORD).map(|band| Band::new(codes, band)).collect() }
    }

    pub(super) fn of(&self, band: usize) -> &Band {
        &self.bands[band]
    }

    /// Codes that would be compared with the query; as many as can be where bands are of no use.
    pub(super) fn n_candidates<const W: usize>(&self, query: &HammingCode<W>, reach: &Reach) -> usize {
        let mut n = 0usize;
        for (i, band) in self.bands.iter().enumerate() {
            let Some(masks) = reach.masks(i) else { return usize::MAX };
            // Looking a value up costs about as much as comparing some codes.
            n += masks.iter().map(|mask| 4 + band.of(band_of(query, i) ^ mask).len()).sum::<usize>();
        }
        n
    }

    pub(super) fn for_each_candidate<const W: usize>(
        &self,
        query: &HammingCode<W>,
        reach: &Reach,
        mut offer: impl FnMut(&[u32]),
    ) {
        for (i, band) in self.bands.iter().enumerate() {
            let value = band_of(query, i);
            reach.masks(i).unwrap_or_default().iter().for_each(|mask| offer(band.of(value ^ mask)));
        }
    }
}

impl Band {
    /// Sorts by counting.
    fn new<const W: usize>(codes: &[HammingCode<W>], band: usize) -> Self {
        let mut starts = vec![0u32; N_VALUES + 1];
        codes.iter().for_each(|code| starts[usize::from(band_of(code, band)) + 1] += 1);
        for value in 0..N_VALUES {
            starts[value + 1] += starts[value];
        }
        let (mut next, mut places) = (starts.clone(), vec![0; codes.len()]);
        for (place, code) in codes.iter().enumerate() {
            let at = &mut next[usize::from(band_of(code, band))];
            places[*at as usize] = place as u32;
            *at += 1;
        }
        Self { starts, places }
    }

    /// Where in `places` the codes of a value are.
    #[inline(always)]
    pub(super) fn range(&self, value: u16) -> std::ops::Range<usize> {
        let value = usize::from(value);
        self.starts[value] as usize..self.starts[value + 1] as usize
    }

    #[inline(always)]
    fn of(&self, value: u16) -> &[u32] {
        &self.places[self.range(value)]
    }
}
