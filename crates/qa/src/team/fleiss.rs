/// Fleiss' kappa (1971): one row per unit, the number of judges that chose each category.
///
/// `(P - P_e) / (1 - P_e)` with `P` the mean over units of the share of agreeing pairs of judges, and `P_e` the sum of the
/// squared shares of the categories over all judgements. Units may have different numbers of judges (Fleiss, Levin and Paik
/// 2003, section 18.3); those with fewer than two are left out. None where nothing is left or all judgements are alike.
///
/// ```
/// use labelloop_qa::fleiss_kappa;
///
/// // Three judges agree on two units and split on one.
/// let kappa = fleiss_kappa(&[vec![3, 0], vec![0, 3], vec![1, 2]]).unwrap();
/// assert!((kappa - (7.0 / 9.0 - 41.0 / 81.0) / (1.0 - 41.0 / 81.0)).abs() < 1e-12);
/// ```
pub fn fleiss_kappa(table: &[Vec<usize>]) -> Option<f64> {
    let mut sums = FleissSums::default();
    table.iter().for_each(|row| sums.add_unit(row));
    sums.kappa()
}

/// What Fleiss' kappa needs of some units; parts add up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FleissSums {
    n_units: f64,
    agreeing: f64,
    chosen: Vec<f64>,
}

impl FleissSums {
    pub(super) fn add_unit(&mut self, counts: &[usize]) {
        let n = counts.iter().sum::<usize>() as f64;
        if n < 2.0 {
            return;
        }
        let pairs: f64 = counts.iter().map(|c| *c as f64).map(|c| c * (c - 1.0)).sum();
        self.n_units += 1.0;
        self.agreeing += pairs / (n * (n - 1.0));
        self.chosen.resize(self.chosen.len().max(counts.len()), 0.0);
        self.chosen.iter_mut().zip(counts).for_each(|(t, c)| *t += *c as f64);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.n_units += other.n_units;
        self.agreeing += other.agreeing;
        self.chosen.resize(self.chosen.len().max(other.chosen.len()), 0.0);
        self.chosen.iter_mut().zip(&other.chosen).for_each(|(t, c)| *t += c);
    }

    pub(super) fn kappa(&self) -> Option<f64> {
        let n: f64 = self.chosen.iter().sum();
        if n == 0.0 {
            return None;
        }
        let expected: f64 = self.chosen.iter().map(|c| (c / n).powi(2)).sum();
        let observed = self.agreeing / self.n_units;
        (expected < 1.0 - 1e-12).then(|| (observed - expected) / (1.0 - expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_judges_say_nothing() {
        assert_eq!(fleiss_kappa(&[vec![1, 0], vec![0, 1]]), None);
        assert_eq!(fleiss_kappa(&[]), None);
        assert_eq!(fleiss_kappa(&[vec![2, 0], vec![3, 0]]), None, "all alike");
        let with = fleiss_kappa(&[vec![2, 0], vec![1, 1], vec![0, 1]]);
        assert_eq!(with, fleiss_kappa(&[vec![2, 0], vec![1, 1]]));
    }

    #[test]
    fn the_table_of_fleiss_gives_his_kappa() {
        // Fleiss 1971, table 1 as it is most often quoted: ten subjects, fourteen raters, kappa 0.210.
        let table: Vec<Vec<usize>> = [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ]
        .map(|row| row.to_vec())
        .to_vec();
        assert!((fleiss_kappa(&table).unwrap() - 0.210).abs() < 5e-4);
    }

    #[test]
    fn parts_add_up() {
        let rows = [vec![3, 1], vec![0, 4], vec![2, 2, 1]];
        let (mut all, mut one, mut two) =
            (FleissSums::default(), FleissSums::default(), FleissSums::default());
        rows.iter().for_each(|r| all.add_unit(r));
        one.add_unit(&rows[0]);
        rows[1..].iter().for_each(|r| two.add_unit(r));
        one.add(&two);
        assert_eq!(one.kappa(), all.kappa());
    }
}
