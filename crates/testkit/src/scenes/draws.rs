use labelloop_core::Seed;

/// A reading position on a stream of random numbers, so that code which draws one after the other stays short.
#[derive(Debug, Clone)]
pub(crate) struct Draws {
    seed: Seed,
    next: u64,
}

impl Draws {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { seed, next: 0 }
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        self.next += 1;
        self.seed.unit(self.next - 1)
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.next += 1;
        self.seed.below(self.next - 1, n)
    }

    /// One of the items, each as likely; the first where there is one only.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Position in `weights`, drawn in proportion to them.
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f64>();
        for (i, w) in weights.iter().enumerate() {
            left -= w;
            if left < 0.0 {
                return i;
            }
        }
        weights.len() - 1
    }

    /// About normal with mean 0 and deviation 1: four uniforms added up, because logarithm and cosine differ in their
    /// last bit from one platform to the next and these pictures must not.
    pub(crate) fn bell(&mut self) -> f64 {
        (self.unit() + self.unit() + self.unit() + self.unit() - 2.0) * BELL_SCALE
    }

    pub(crate) fn bits32(&mut self) -> u32 {
        self.next += 1;
        (self.seed.bits(self.next - 1) >> 32) as u32
    }
}

/// One over the deviation of four uniforms added up: sqrt(3).
const BELL_SCALE: f64 = 1.732_050_807_568_877_2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bell_has_mean_zero_and_deviation_one() {
        let mut d = Draws::new(Seed::new(3));
        let x: Vec<f64> = (0..20_000).map(|_| d.bell()).collect();
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let var = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
        assert!(mean.abs() < 0.02 && (var - 1.0).abs() < 0.03, "{mean} {var}");
    }

    #[test]
    fn weights_decide_how_often() {
        let mut d = Draws::new(Seed::new(3));
        let ones = (0..10_000).filter(|_| d.weighted(&[3.0, 1.0, 0.0]) == 1).count();
        assert!((2300..2700).contains(&ones), "{ones}");
        assert!((0..1000).all(|_| d.weighted(&[3.0, 1.0, 0.0]) != 2));
    }
}
