//! Is anybody worse than the rest? Names are exchanged among pictures.

use std::collections::BTreeMap;

use labelloop_core::{SampleId, Seed};
use rayon::prelude::*;

use super::shares::{LIST, N, Share};

/// Pictures whose names may be exchanged.
///
/// Pictures that several people answered for are strata of their own: there everybody had the same task. The others are
/// one stratum, where exchange is fair if pictures were given out without regard to how hard they are.
struct Strata {
    /// Shares by stratum.
    members: Vec<Vec<usize>>,
}

/// How many pictures several people answered for.
pub(super) fn n_shared(shares: &[Share<'_>]) -> usize {
    by_image(shares).values().filter(|m| is_shared(shares, m)).count()
}

/// One p-value per person and statistic; none where nothing could have come out otherwise.
///
/// The statistic of a person is the sum over the person's shares of what exceeds the team's rate, less its mean over all
/// exchanges; its variance under exchange is exact (sampling without replacement), the p-value is that of random exchanges.
/// A share is a whole picture, so that objects of one picture may depend on each other as they like.
pub(super) fn p_values(
    shares: &[Share<'_>],
    person_of: &[usize],
    n_people: usize,
    n_permutations: usize,
    seed: Seed,
) -> Vec<[Option<f64>; N]> {
    let strata = Strata::of(shares);
    let excess = strata.centred(excess(shares));
    let variance = strata.variances(&excess, person_of, n_people);
    let observed = sums(&excess, n_people, |u| person_of[u]);
    let counts = (0..n_permutations)
        .into_par_iter()
        .with_min_len(64)
        .fold(
            || vec![[0u64; N]; n_people],
            |mut counts, draw| {
                let names = strata.exchanged(person_of, seed, draw as u64);
                let drawn = sums(&excess, n_people, |u| names[u]);
                for (person, count) in counts.iter_mut().enumerate() {
                    for s in 0..N {
                        // Sums of the same terms count as equal whatever rounding did to them.
                        let slack = 1e-9 * variance[person][s].sqrt();
                        let (o, d) = (worse(observed[person][s], s), worse(drawn[person][s], s));
                        count[s] += u64::from(o - slack <= d);
                    }
                }
                counts
            },
        )
        .reduce(|| vec![[0u64; N]; n_people], added);
    let p = |person: usize, s: usize| (1 + counts[person][s]) as f64 / (1 + n_permutations) as f64;
    let is_fixed = |person: usize, s: usize| !(1e-18 < variance[person][s]);
    (0..n_people)
        .map(|person| std::array::from_fn(|s| (!is_fixed(person, s)).then(|| p(person, s))))
        .collect()
}

fn added(mut a: Vec<[u64; N]>, b: Vec<[u64; N]>) -> Vec<[u64; N]> {
    for (x, y) in a.iter_mut().zip(b) {
        for s in 0..N {
            x[s] += y[s];
        }
    }
    a
}

/// How far in the direction of worse: both ways for signed statistics.
fn worse(sum: f64, s: usize) -> f64 {
    if LIST[s].is_signed() { sum.abs() } else { sum }
}

/// What each share has above the team's rate.
fn excess(shares: &[Share<'_>]) -> Vec<[f64; N]> {
    let rate = |s: usize| {
        let (value, exposure) =
            shares.iter().fold((0.0, 0.0), |(v, e), u| (v + u.cells[s].value, e + u.cells[s].exposure));
        if 0.0 < exposure { value / exposure } else { 0.0 }
    };
    let rates: [f64; N] = std::array::from_fn(rate);
    let of = |u: &Share<'_>| std::array::from_fn(|s| u.cells[s].value - rates[s] * u.cells[s].exposure);
    shares.iter().map(of).collect()
}

fn sums(excess: &[[f64; N]], n_people: usize, person: impl Fn(usize) -> usize) -> Vec<[f64; N]> {
    let mut sums = vec![[0.0; N]; n_people];
    for (u, row) in excess.iter().enumerate() {
        let sum = &mut sums[person(u)];
        for s in 0..N {
            sum[s] += row[s];
        }
    }
    sums
}

fn by_image<'a>(shares: &[Share<'a>]) -> BTreeMap<&'a SampleId, Vec<usize>> {
    let mut images: BTreeMap<&SampleId, Vec<usize>> = BTreeMap::new();
    for (u, share) in shares.iter().enumerate() {
        images.entry(share.image).or_default().push(u);
    }
    images
}

fn is_shared(shares: &[Share<'_>], members: &[usize]) -> bool {
    members.iter().any(|u| shares[*u].annotator != shares[members[0]].annotator)
}

impl Strata {
    fn of(shares: &[Share<'_>]) -> Self {
        let (shared, alone): (Vec<_>, Vec<_>) =
            by_image(shares).into_values().partition(|m| is_shared(shares, m));
        let mut members = shared;
        members.push(alone.into_iter().flatten().collect());
        Self { members }
    }

    /// Subtracts each stratum's mean, so that sums are about 0 under exchange.
    fn centred(&self, mut excess: Vec<[f64; N]>) -> Vec<[f64; N]> {
        for members in &self.members {
            let mean = |s: usize| members.iter().map(|u| excess[*u][s]).sum::<f64>() / members.len() as f64;
            let means: [f64; N] = std::array::from_fn(mean);
            for u in members {
                excess[*u].iter_mut().zip(means).for_each(|(x, mean)| *x -= mean);
            }
        }
        excess
    }

    /// Variance of each person's sum under exchange: `m (n - m) / (n (n - 1)) sum of squares` for `m` of `n` shares.
    fn variances(&self, excess: &[[f64; N]], person_of: &[usize], n_people: usize) -> Vec<[f64; N]> {
        let mut variances = vec![[0.0; N]; n_people];
        for members in self.members.iter().filter(|m| 1 < m.len()) {
            let n = members.len() as f64;
            let mut owned = vec![0.0; n_people];
            members.iter().for_each(|u| owned[person_of[*u]] += 1.0);
            for s in 0..N {
                let squares = members.iter().map(|u| excess[*u][s] * excess[*u][s]).sum::<f64>();
                for (variance, m) in variances.iter_mut().zip(&owned) {
                    variance[s] += m * (n - m) / (n * (n - 1.0)) * squares;
                }
            }
        }
        variances
    }

    /// Names in a random order within each stratum (Fisher and Yates).
    fn exchanged(&self, person_of: &[usize], seed: Seed, draw: u64) -> Vec<usize> {
        let mut names = person_of.to_vec();
        let mut counter = draw * person_of.len() as u64;
        for members in &self.members {
            for i in (1..members.len()).rev() {
                names.swap(members[i], members[seed.below(counter, i + 1)]);
                counter += 1;
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Cell;

    fn share<'a>(image: &'a SampleId, annotator: &'a str, missed: f64) -> Share<'a> {
        let mut cells = [Cell { value: 0.0, exposure: 4.0 }; N];
        cells[0].value = missed;
        Share { image, annotator, cells }
    }

    #[test]
    fn few_pictures_give_the_p_value_of_all_exchanges() {
        // Two people, three pictures each had alone; 20 ways to give three of six to the first, one of them this bad.
        let ids: Vec<SampleId> = (0..6).map(|i| SampleId::new(format!("{i}")).unwrap()).collect();
        let shares: Vec<Share<'_>> = ids
            .iter()
            .enumerate()
            .map(|(i, id)| {
                share(id, if i < 3 { "a" } else { "b" }, if i < 3 { 3.0 } else { i as f64 / 10.0 })
            })
            .collect();
        let p = p_values(&shares, &[0, 0, 0, 1, 1, 1], 2, 19_999, Seed::new(1));
        assert!((p[0][0].unwrap() - 0.05).abs() < 0.005, "{p:?}");
        assert!((p[1][0].unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(p[0][1], None, "nothing was spurious, so nothing can be said");
    }

    #[test]
    fn shared_pictures_are_compared_within_themselves() {
        // Hard pictures, on which both miss three of four, and easy ones that only b had.
        let ids: Vec<SampleId> = (0..12).map(|i| SampleId::new(format!("{i:02}")).unwrap()).collect();
        let mut shares = Vec::new();
        for id in &ids[..6] {
            shares.push(share(id, "a", 3.0));
            shares.push(share(id, "b", 3.0));
        }
        shares.extend(ids[6..].iter().map(|id| share(id, "b", 0.0)));
        let person: Vec<usize> = shares.iter().map(|u| usize::from(u.annotator == "b")).collect();
        assert_eq!(n_shared(&shares), 6);
        assert_eq!(p_values(&shares, &person, 2, 99, Seed::new(1))[0][0], None);
    }
}
