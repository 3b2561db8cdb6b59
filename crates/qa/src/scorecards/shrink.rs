//! Rates and lengths of each person, drawn towards the team's as far as the person's figures are uncertain.

use statrs::distribution::{Beta, ContinuousCDF, Gamma, Normal};

use crate::Statistic;
use crate::golden::Cell;

/// One statistic over the team.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Team {
    pub(super) mean: f64,
    /// Variance between people, by moments.
    pub(super) between: f64,
    /// Variance of one unit of exposure within a person, dependence within pictures included.
    within: f64,
    n_people: usize,
}

/// One person's figure after shrinking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shrunk {
    pub(super) mean: f64,
    pub(super) interval: Option<[f64; 2]>,
}

/// Fits the team to the shares of each person.
///
/// Within: the sum of squared residuals of whole pictures about the person's own rate, so that objects of one picture may
/// depend on each other; at least what independent objects would have. Between: DerSimonian and Laird (1986).
pub(super) fn fit(statistic: Statistic, people: &[Vec<Cell>]) -> Team {
    let totals: Vec<Cell> = people.iter().map(|shares| total(shares)).filter(|t| 0.0 < t.exposure).collect();
    let all = total(&totals);
    // Half an event more (Jeffreys), or a team without any would be sure never to err.
    let mean = match (statistic.is_count(), 0.0 < all.exposure) {
        (true, _) => (all.value + 0.5) / (all.exposure + 1.0),
        (false, true) => all.value / all.exposure,
        (false, false) => 0.0,
    };
    let within = within(statistic, people, mean);
    let k = totals.len() as f64;
    let spread: f64 = totals.iter().map(|t| t.exposure * (t.value / t.exposure - mean).powi(2)).sum();
    let squares: f64 = totals.iter().map(|t| t.exposure * t.exposure).sum();
    let scale = all.exposure - squares / all.exposure;
    let between = if 0.0 < scale { ((spread - (k - 1.0) * within) / scale).max(0.0) } else { 0.0 };
    Team { mean, between, within, n_people: totals.len() }
}

fn total(cells: &[Cell]) -> Cell {
    let mut total = Cell::default();
    cells.iter().for_each(|c| total.add(*c));
    total
}

fn within(statistic: Statistic, people: &[Vec<Cell>], mean: f64) -> f64 {
    let (mut squares, mut exposure, mut n_shares, mut n_people) = (0.0, 0.0, 0.0, 0.0);
    for shares in people {
        let Some(rate) = total(shares).rate() else { continue };
        squares += shares.iter().map(|c| (c.value - rate * c.exposure).powi(2)).sum::<f64>();
        exposure += total(shares).exposure;
        n_shares += shares.len() as f64;
        n_people += 1.0;
    }
    let free = n_shares - n_people;
    let found = if 0.0 < free && 0.0 < exposure { squares / exposure * n_shares / free } else { 0.0 };
    match statistic {
        Statistic::Spurious => found.max(mean),
        s if s.is_count() => found.max(mean * (1.0 - mean)),
        _ => found,
    }
}

impl Team {
    /// The figure of a person.
    ///
    /// Parametric empirical Bayes after Morris (1983, section 1): with `V` the person's sampling variance and `A` that
    /// between people, the figure moves by `B = V / (V + A) (k - 3) / (k - 1)` of its way to the mean of the `k` people,
    /// and has variance `V (1 - B (k - 1) / k) + 2 B^2 (y - mean)^2 / (k - 3)`, which counts that the team itself is
    /// estimated. Three people or fewer are left where they are. The interval is that of a beta (shares), gamma
    /// (spurious per object) or normal distribution (lengths) of this mean and variance.
    pub(super) fn shrink(&self, statistic: Statistic, person: Cell, coverage: f64) -> Shrunk {
        let Some(raw) = person.rate() else { return Shrunk { mean: self.mean, interval: None } };
        let (k, v) = (self.n_people as f64, self.within / person.exposure);
        let b = if 3.0 < k && 0.0 < v { v / (v + self.between) * (k - 3.0) / (k - 1.0) } else { 0.0 };
        let mean = (1.0 - b) * raw + b * self.mean;
        let excess = if 3.0 < k { 2.0 / (k - 3.0) * (b * (raw - self.mean)).powi(2) } else { 0.0 };
        let variance = v * (1.0 - b * (k - 1.0) / k) + excess;
        // A count of none is no proof that it never happens.
        let never = statistic.is_count() && !(0.0 < mean);
        let centre = if never { 0.5 / (person.exposure + 1.0) } else { mean };
        Shrunk { mean, interval: interval(statistic, centre, variance, coverage) }
    }
}

fn interval(statistic: Statistic, mean: f64, variance: f64, coverage: f64) -> Option<[f64; 2]> {
    if !(0.0 < variance) {
        return Some([mean, mean]);
    }
    let at = [(1.0 - coverage) / 2.0, (1.0 + coverage) / 2.0];
    let bounds = match statistic {
        Statistic::Spurious => {
            let law =
                Gamma::new((mean * mean / variance).max(0.5), (mean / variance).max(0.5 / mean)).ok()?;
            at.map(|p| law.inverse_cdf(p))
        }
        s if s.is_count() => {
            let strength = (mean * (1.0 - mean) / variance - 1.0).max(1.0);
            let law = Beta::new(mean * strength, (1.0 - mean) * strength).ok()?;
            at.map(|p| law.inverse_cdf(p))
        }
        _ => {
            let law = Normal::new(mean, variance.sqrt()).ok()?;
            at.map(|p| law.inverse_cdf(p))
        }
    };
    bounds.iter().all(|b| b.is_finite()).then_some(bounds)
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;

    use super::*;

    fn cells(value: f64, exposure: f64, n: usize) -> Vec<Cell> {
        vec![Cell { value, exposure }; n]
    }

    #[test]
    fn little_work_moves_further_towards_the_team() {
        let people: Vec<Vec<Cell>> = [(1.0, 40), (2.0, 40), (1.5, 40), (0.5, 40), (0.0, 40), (4.0, 2)]
            .into_iter()
            .map(|(value, n)| cells(value, 10.0, n))
            .collect();
        let team = fit(Statistic::Missed, &people);
        let of = |i: usize| team.shrink(Statistic::Missed, total(&people[i]), 0.95);
        let (much, little) = (of(1), of(5));
        assert!((much.mean - 0.2).abs() < 0.1 * (0.2 - team.mean).abs(), "{much:?} {team:?}");
        assert!((little.mean - 0.4).abs() > 0.1 * (0.4 - team.mean), "{little:?} {team:?}");
        let width = |s: Shrunk| s.interval.map(|[a, b]| b - a).unwrap();
        assert!(width(much) < width(little));
    }

    #[test]
    fn nobody_errs_is_no_certainty() {
        let people = vec![cells(0.0, 5.0, 10); 5];
        let team = fit(Statistic::Missed, &people);
        let shrunk = team.shrink(Statistic::Missed, total(&people[0]), 0.95);
        let [low, high] = shrunk.interval.unwrap();
        assert!((0.0..0.001).contains(&low) && (0.005..0.05).contains(&high), "{shrunk:?}");
    }

    #[test]
    fn three_people_or_fewer_are_left_where_they_are() {
        let people = vec![cells(1.0, 5.0, 10), cells(2.0, 5.0, 10), cells(0.0, 5.0, 10)];
        let team = fit(Statistic::Missed, &people);
        assert_eq!(team.shrink(Statistic::Missed, total(&people[1]), 0.95).mean, 0.4);
    }

    #[test]
    fn without_work_there_is_the_team_and_no_interval() {
        let team = fit(Statistic::LogSize, &[cells(0.1, 1.0, 4), Vec::new()]);
        let nobody = team.shrink(Statistic::LogSize, Cell::default(), 0.95);
        assert!((nobody.mean - 0.1).abs() < 1e-12 && nobody.interval.is_none());
        assert_eq!(fit(Statistic::LogSize, &[]).mean, 0.0);
    }

    #[test]
    fn intervals_cover_and_shrinking_helps() {
        // 300 teams of 8 whose true miss rates differ; 30 pictures of 7 objects each, hard pictures among them.
        let (mut covered, mut n, mut raw_loss, mut loss) = (0, 0, 0.0, 0.0);
        for run in 0..300u64 {
            let s = Seed::new(run);
            let rates: Vec<f64> = (0..8).map(|a| (0.05 + 0.02 * s.normal(a)).clamp(0.005, 0.2)).collect();
            let people: Vec<Vec<Cell>> = (0..8u64)
                .map(|a| {
                    let t = s.stream("picture").stream(&a.to_string());
                    (0..30u64)
                        .map(|i| {
                            let hard = if t.unit(100 * i + 99) < 0.2 { 3.0 } else { 0.5 };
                            let hits =
                                (0..7).filter(|o| t.unit(100 * i + o) < rates[a as usize] * hard).count();
                            Cell { value: hits as f64, exposure: 7.0 }
                        })
                        .collect()
                })
                .collect();
            let team = fit(Statistic::Missed, &people);
            for (a, shares) in people.iter().enumerate() {
                let shrunk = team.shrink(Statistic::Missed, total(shares), 0.95);
                let [low, high] = shrunk.interval.unwrap();
                covered += usize::from((low..=high).contains(&rates[a]));
                raw_loss += (total(shares).rate().unwrap() - rates[a]).powi(2);
                loss += (shrunk.mean - rates[a]).powi(2);
                n += 1;
            }
        }
        let share = f64::from(covered as u32) / f64::from(n);
        assert!((0.92..=0.98).contains(&share), "{share}");
        assert!(loss < 0.8 * raw_loss, "{loss} {raw_loss}");
    }
}
