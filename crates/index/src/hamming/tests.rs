use std::sync::Mutex;

use labelloop_core::Seed;
use proptest::prelude::*;

use super::*;

/// Codes in crowds: a few centres with a few bits turned.
fn crowds<const W: usize>(n: usize, n_centres: usize, n_turned: usize, seed: u64) -> Vec<HammingCode<W>> {
    let seed = Seed::new(seed);
    let draw = |i: usize, k: usize| seed.bits((i * 64 + k) as u64);
    (0..n)
        .map(|i| {
            let centre = seed.stream("centre").below(i as u64, n_centres);
            let mut code: HammingCode<W> =
                std::array::from_fn(|word| seed.stream("word").bits((centre * W + word) as u64));
            for k in 0..n_turned {
                let bit = draw(i, k) as usize % (64 * W);
                code[bit / 64] ^= 1 << (bit % 64);
            }
            code
        })
        .collect()
}

fn pairs_by_definition<const W: usize>(codes: &[HammingCode<W>], radius: u32) -> Vec<HammingPair> {
    let mut pairs = Vec::new();
    for (i, a) in codes.iter().enumerate() {
        for (j, b) in codes.iter().enumerate().skip(i + 1) {
            let distance = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum();
            if distance <= radius {
                pairs.push(HammingPair { first: i as u32, second: j as u32, distance });
            }
        }
    }
    pairs
}

fn hits_by_definition<const W: usize>(codes: &[HammingCode<W>], query: &HammingCode<W>) -> Vec<HammingHit> {
    let hit = |(row, code)| HammingHit { distance: hamming_distance(query, code), row: row as u32 };
    let mut hits = codes.iter().enumerate().map(hit).collect::<Vec<_>>();
    hits.sort();
    hits
}

fn check<const W: usize>(codes: Vec<HammingCode<W>>, radius: u32) {
    let index = HammingIndex::new(codes.clone()).unwrap();
    assert_eq!(index.pairs(radius, usize::MAX).unwrap(), pairs_by_definition(&codes, radius));
    let queries = &codes[..codes.len().min(5)];
    let (within, nearest) = (index.within(queries, radius, usize::MAX).unwrap(), index.nearest(queries, 7));
    for (i, query) in queries.iter().enumerate() {
        let all = hits_by_definition(&codes, query);
        let near = all.iter().filter(|hit| hit.distance <= radius).copied().collect::<Vec<_>>();
        assert_eq!(within[i], near);
        assert_eq!(nearest[i], all[..all.len().min(7)]);
    }
}

#[test]
fn many_codes_of_both_lengths_give_what_comparing_all_gives() {
    for radius in [0, 1, 3, 4, 6, 9, 13, 40] {
        check(crowds::<1>(1500, 40, 5, u64::from(radius)), radius);
        check(crowds::<4>(600, 30, 12, u64::from(radius)), 3 * radius);
    }
}

#[test]
fn nothing_one_code_and_absurd_radii_are_fine() {
    check::<1>(vec![], 3);
    check::<4>(vec![[7; 4]], u32::MAX);
    check(vec![[0], [u64::MAX]], 64);
    check(vec![[0], [u64::MAX]], 63);
    let index = HammingIndex::new(vec![[1u64]]).unwrap();
    assert!(index.nearest(&[[1]], 0)[0].is_empty());
    assert!(index.within(&[], 3, 0).unwrap().is_empty());
}

#[test]
fn more_than_was_allowed_is_an_error_and_not_memory() {
    let index = HammingIndex::new(vec![[9u64]; 30_000]).unwrap();
    let refused = index.pairs(2, 1_000_000).unwrap_err();
    assert_eq!(refused, IndexError::TooManyPairs { expected: 1_000_000 });
    assert_eq!(index.within(&[[9]], 0, 29_999).unwrap_err(), IndexError::TooManyPairs { expected: 29_999 });
    assert_eq!(index.within(&[[9]], 0, 30_000).unwrap()[0].len(), 30_000);
    let near = HammingIndex::new(crowds::<1>(300, 1, 2, 1)).unwrap();
    assert!(matches!(near.pairs(4, 5), Err(IndexError::TooManyPairs { expected: 5 })));
}

#[test]
fn links_of_equal_codes_are_a_star() {
    let index = HammingIndex::new(vec![[3u64], [9], [3], [3]]).unwrap();
    let links = Mutex::new(Vec::new());
    index.for_each_link(0, |pair| links.lock().unwrap().push((pair.first, pair.second)));
    let mut links = links.into_inner().unwrap();
    links.sort_unstable();
    assert_eq!(links, [(0, 2), (0, 3)]);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let index = HammingIndex::new(crowds::<1>(3000, 60, 4, 8)).unwrap();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(index.pairs(5, usize::MAX), alone.install(|| index.pairs(5, usize::MAX)));
}

/// The lowest row that chains of pairs connect each row with.
fn components(n: usize, pairs: impl IntoIterator<Item = HammingPair>) -> Vec<usize> {
    let pairs = pairs.into_iter().collect::<Vec<_>>();
    let mut lowest = (0..n).collect::<Vec<_>>();
    for _ in 0..n {
        for pair in &pairs {
            let (a, b) = (pair.first as usize, pair.second as usize);
            let low = lowest[a].min(lowest[b]);
            (lowest[a], lowest[b]) = (low, low);
        }
    }
    lowest
}

proptest! {
    #[test]
    fn any_codes_of_64_bits(n in 1..60usize, n_centres in 1..9usize, n_turned in 0..20usize, seed in any::<u64>(), radius in 0..40u32) {
        check(crowds::<1>(n, n_centres, n_turned, seed), radius);
    }

    #[test]
    fn any_codes_of_256_bits(n in 1..40usize, n_centres in 1..9usize, n_turned in 0..40usize, seed in any::<u64>(), radius in 0..90u32) {
        check(crowds::<4>(n, n_centres, n_turned, seed), radius);
    }

    #[test]
    fn links_connect_what_pairs_connect(n in 1..50usize, n_centres in 1..9usize, n_turned in 0..6usize, seed in any::<u64>(), radius in 0..20u32) {
        let index = HammingIndex::new(crowds::<1>(n, n_centres, n_turned, seed)).unwrap();
        let links = Mutex::new(Vec::new());
        index.for_each_link(radius, |pair| links.lock().unwrap().push(pair));
        let pairs = index.pairs(radius, usize::MAX).unwrap();
        let links = links.into_inner().unwrap();
        prop_assert!(links.iter().all(|link| pairs.binary_search(link).is_ok()));
        prop_assert_eq!(components(n, links), components(n, pairs));
    }

    #[test]
    fn by_bands_is_as_by_all(n_centres in 1..400usize, n_turned in 0..9usize, seed in any::<u64>(), radius in 0..13u32) {
        // Enough codes that small radii go by bands.
        let codes = crowds::<1>(700, n_centres, n_turned, seed);
        let index = HammingIndex::new(codes.clone()).unwrap();
        prop_assert_eq!(index.pairs(radius, usize::MAX).unwrap(), pairs_by_definition(&codes, radius));
    }
}
