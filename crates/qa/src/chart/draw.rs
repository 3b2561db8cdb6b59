//! Counts of rare events, drawn.

use labelloop_core::Seed;

/// Above this mean a Poisson number is drawn as a rounded normal one.
const LARGE: f64 = 500.0;

/// A Poisson distribution, for drawing from by inversion.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Poisson {
    /// Probabilities of at most 0, 1, 2, ... events.
    Cumulative(Vec<f64>),
    Large(f64),
}

impl Poisson {
    /// `mean` is finite and at least 0. O(mean) memory up to a mean of 500.
    pub(crate) fn new(mean: f64) -> Self {
        if LARGE < mean {
            return Poisson::Large(mean);
        }
        let mut p = (-mean).exp();
        let (mut sum, mut cumulative) = (p, vec![p]);
        // Beyond 12 deviations and 40 events nothing is left that 53 bits could draw.
        let n_most = (mean + 12.0 * mean.sqrt() + 40.0) as usize;
        for n in 1..n_most {
            p *= mean / n as f64;
            sum += p;
            cumulative.push(sum);
        }
        Poisson::Cumulative(cumulative)
    }

    /// The number that draw `i` of a stream gives.
    pub(crate) fn draw(&self, seed: Seed, i: u64) -> f64 {
        match self {
            Poisson::Cumulative(cumulative) => {
                let u = seed.unit(i);
                cumulative.partition_point(|c| *c <= u) as f64
            }
            Poisson::Large(mean) => (mean + mean.sqrt() * seed.normal(i)).round().max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_variance_are_those_of_the_distribution() {
        for mean in [0.0, 0.3, 1.0, 7.0, 90.0, 499.0, 5000.0] {
            let (poisson, seed, n) = (Poisson::new(mean), Seed::new(1), 20_000u64);
            let draws: Vec<f64> = (0..n).map(|i| poisson.draw(seed, i)).collect();
            let found = draws.iter().sum::<f64>() / n as f64;
            let variance = draws.iter().map(|x| (x - found).powi(2)).sum::<f64>() / n as f64;
            let error = (mean / n as f64).sqrt();
            assert!((found - mean).abs() <= 4.0 * error, "{found} for {mean}");
            assert!((variance - mean).abs() <= 0.05 * mean, "{variance} for {mean}");
        }
    }

    #[test]
    fn probabilities_are_the_published_ones() {
        // P(X <= 3 | 2) = exp(-2) (1 + 2 + 2 + 4/3).
        let Poisson::Cumulative(c) = Poisson::new(2.0) else { panic!("a small mean has a table") };
        assert!((c[3] - (-2.0f64).exp() * (5.0 + 4.0 / 3.0)).abs() < 1e-15);
        assert!((c.last().unwrap() - 1.0).abs() < 1e-12);
    }
}
