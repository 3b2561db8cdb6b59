use labelloop_index::{HammingCode, HammingIndex, hamming_distance};
use rayon::prelude::*;

use super::groups::Links;
use super::{DuplicateGroup, DuplicateGroups, Redundant};
use crate::{CoresetError, Result};

/// Groups of near-duplicates by codes of bits, such as perceptual hashes: pictures that look alike.
///
/// Two rows are near-duplicates where their [`hash_distance`] is at most `radius`. Groups, and which of their rows are kept,
/// are as those of embedding rows ([`DuplicateParams::groups`](crate::DuplicateParams::groups)): rows connected by chains of
/// near-duplicates are a group, and of its rows, from the lowest up, each is kept unless one kept before is a
/// near-duplicate. So rows should come in the order of preference, the best picture first.
///
/// `turned` are the codes of each row mirrored and turned, where those count as the same: any number for each row.
///
/// ```
/// use labelloop_coreset::hash_duplicates;
///
/// let codes = [[0b0000_u64], [0b1111_0000], [0b0001]];
/// let groups = hash_duplicates(&codes, None, 2)?;
/// assert_eq!(groups.keeps(), [true, true, false]);
/// let turned = [vec![[0b1111_0000]], vec![[0b0000]], vec![]];
/// assert_eq!(hash_duplicates(&codes, Some(&turned), 2)?.keeps(), [true, false, false]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
///
/// # Errors
/// [`CoresetError::LengthMismatch`] for another number of turned rows, and those of [`HammingIndex::new`].
pub fn hash_duplicates<const W: usize>(
    codes: &[HammingCode<W>],
    turned: Option<&[Vec<HammingCode<W>>]>,
    radius: u32,
) -> Result<DuplicateGroups> {
    if let Some(turned) = turned
        && turned.len() != codes.len()
    {
        let (what, found, expected) = ("turned codes", turned.len(), codes.len());
        return Err(CoresetError::LengthMismatch { what, found, expected });
    }
    let links = Links::new(codes.len());
    let index = HammingIndex::new(codes.to_vec())?;
    index.for_each_link(radius, |pair| links.join(pair.first as usize, pair.second as usize));
    turned.unwrap_or_default().par_iter().enumerate().for_each(|(row, turned)| {
        index.for_each_near(turned, radius, |hit| links.join(row, hit.row as usize));
    });
    let keeping = Keeping { codes, turned, radius };
    let groups = links.sets().par_iter().map(|rows| keeping.group(rows)).collect();
    Ok(DuplicateGroups { n_rows: codes.len(), groups })
}

/// Bits in which two codes differ, or the fewest in which one differs from the other turned in some way.
///
/// ```
/// use labelloop_coreset::hash_distance;
///
/// let (a, b): ([u64; 1], [u64; 1]) = ([0b1100], [0b0011]);
/// assert_eq!(hash_distance((&a, &[]), (&b, &[])), 4);
/// assert_eq!(hash_distance((&a, &[[0b0111]]), (&b, &[])), 1);
/// ```
pub fn hash_distance<const W: usize>(
    a: (&HammingCode<W>, &[HammingCode<W>]),
    b: (&HammingCode<W>, &[HammingCode<W>]),
) -> u32 {
    let turned = a.1.iter().map(|code| hamming_distance(code, b.0));
    let back = b.1.iter().map(|code| hamming_distance(code, a.0));
    turned.chain(back).fold(hamming_distance(a.0, b.0), u32::min)
}

struct Keeping<'a, const W: usize> {
    codes: &'a [HammingCode<W>],
    turned: Option<&'a [Vec<HammingCode<W>>]>,
    radius: u32,
}

impl<const W: usize> Keeping<'_, W> {
    /// `rows` are ascending; O(rows x rows kept).
    fn group(&self, rows: &[usize]) -> DuplicateGroup {
        let (mut kept, mut redundant) = (Vec::new(), Vec::new());
        let mut open = rows.to_vec();
        while let Some(row) = open.first().copied() {
            kept.push(row);
            open.remove(0);
            open.retain(|other| {
                let distance = self.distance(row, *other);
                let near = distance <= self.radius;
                if near {
                    redundant.push(Redundant { row: *other, of: row, distance: f64::from(distance) });
                }
                !near
            });
        }
        redundant.sort_unstable_by_key(|redundant: &Redundant| redundant.row);
        DuplicateGroup { kept, redundant }
    }

    fn distance(&self, a: usize, b: usize) -> u32 {
        let turned = |row: usize| self.turned.map_or(&[][..], |turned| &turned[row]);
        hash_distance((&self.codes[a], turned(a)), (&self.codes[b], turned(b)))
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use proptest::prelude::*;

    use super::*;

    /// Groups from the definition: chains by repeated passes, kept rows by looking at all kept before.
    fn by_definition(
        codes: &[[u64; 1]],
        turned: &[Vec<[u64; 1]>],
        radius: u32,
    ) -> Vec<(Vec<usize>, Vec<usize>)> {
        let near = |a: usize, b: usize| {
            let mut least = (codes[a][0] ^ codes[b][0]).count_ones();
            for (from, to) in [(a, b), (b, a)] {
                for code in &turned[from] {
                    least = least.min((code[0] ^ codes[to][0]).count_ones());
                }
            }
            least <= radius
        };
        let mut lowest = (0..codes.len()).collect::<Vec<_>>();
        for _ in 0..codes.len() {
            for (a, b) in (0..codes.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
                if near(a, b) {
                    let low = lowest[a].min(lowest[b]);
                    (lowest[a], lowest[b]) = (low, low);
                }
            }
        }
        let mut groups = Vec::new();
        for root in 0..codes.len() {
            let rows = (0..codes.len()).filter(|row| lowest[*row] == root).collect::<Vec<_>>();
            if 1 < rows.len() {
                let mut kept: Vec<usize> = Vec::new();
                rows.iter().for_each(|row| {
                    if !kept.iter().any(|k| near(*k, *row)) {
                        kept.push(*row);
                    }
                });
                let left = rows.into_iter().filter(|row| !kept.contains(row)).collect();
                groups.push((kept, left));
            }
        }
        groups
    }

    #[test]
    fn a_wrong_number_of_turned_codes_is_refused() {
        let refused = hash_duplicates(&[[0u64]], Some(&[]), 1).unwrap_err();
        assert!(matches!(refused, CoresetError::LengthMismatch { found: 0, expected: 1, .. }), "{refused}");
    }

    #[test]
    fn rows_that_are_all_equal_are_one_group_with_one_kept() {
        let groups = hash_duplicates(&vec![[7u64]; 50_000], None, 8).unwrap();
        assert_eq!((groups.groups.len(), groups.groups[0].kept.as_slice()), (1, &[0][..]));
        assert_eq!(groups.redundant_rows().count(), 49_999);
    }

    #[test]
    fn a_chain_keeps_every_row_that_no_kept_one_speaks_for() {
        let codes = [0u64, 0b1, 0b11, 0b111].map(|code| [code]);
        let groups = hash_duplicates(&codes, None, 1).unwrap();
        assert_eq!(groups.groups[0].kept, [0, 2]);
        assert_eq!(groups.keeps(), [true, false, true, false]);
    }

    proptest! {
        #[test]
        fn groups_are_those_of_the_definition(n in 0..30usize, seed in any::<u64>(), radius in 0..6u32, n_bits in 1..14u32, n_turned in 0..3usize) {
            let draw = |i: usize| [Seed::new(seed).bits(i as u64) & ((1 << n_bits) - 1)];
            let codes = (0..n).map(draw).collect::<Vec<_>>();
            let turned = (0..n).map(|i| (0..n_turned).map(|t| draw(1000 + 8 * i + t)).collect()).collect::<Vec<_>>();
            let groups = hash_duplicates(&codes, Some(&turned), radius).unwrap();
            let found = groups.groups.iter().map(|g| (g.kept.clone(), g.redundant.iter().map(|r| r.row).collect()));
            prop_assert_eq!(found.collect::<Vec<(Vec<usize>, Vec<usize>)>>(), by_definition(&codes, &turned, radius));
        }
    }
}
