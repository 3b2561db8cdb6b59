/// Keeps every row that may be among the k best, given keys that are wrong by a known amount.
///
/// Two keys whose order is certain differ by more than `slack`. A row is dropped only when its key is below the k-th
/// best key seen by more than that, so the k truly best rows are always among those kept.
#[derive(Debug, Clone)]
pub(crate) struct Shortlist {
    k: usize,
    slack: f64,
    floor: f32,
    limit: usize,
    /// Rows kept when the floor was last raised.
    settled: usize,
    kept: Vec<(f32, u32)>,
}

impl Shortlist {
    pub(crate) fn new(k: usize, slack: f64) -> Self {
        Self { k, slack, floor: f32::NEG_INFINITY, limit: 2 * k + 32, settled: 0, kept: Vec::new() }
    }

    /// Keys below this are of no interest.
    pub(crate) fn floor(&self) -> f32 {
        self.floor
    }

    /// Offers a row. A key that is not a number is kept, as nothing is known about it.
    #[inline]
    pub(crate) fn offer(&mut self, key: f32, row: u32) {
        if !(key < self.floor) {
            self.kept.push((key, row));
            if self.kept.len() >= self.limit {
                self.prune();
            }
        }
    }

    /// Takes in what another part of the rows had to offer.
    pub(crate) fn merge(&mut self, other: Shortlist) {
        for (key, row) in other.kept {
            self.offer(key, row);
        }
    }

    /// The rows that may be among the k best, in no particular order.
    pub(crate) fn finish(mut self) -> impl Iterator<Item = u32> {
        self.prune();
        self.kept.into_iter().map(|(_, row)| row)
    }

    /// Raises the floor where enough rows have come since the last time to make it worth the while.
    pub(crate) fn refresh(&mut self) {
        if self.settled + 1 + self.k / 8 <= self.kept.len() {
            self.prune();
        }
    }

    fn prune(&mut self) {
        if self.k == 0 || self.kept.len() <= self.k {
            return;
        }
        let (_, kth, _) = self.kept.select_nth_unstable_by(self.k - 1, |a, b| b.0.total_cmp(&a.0));
        self.floor = (f64::from(kth.0) - self.slack) as f32;
        let floor = self.floor;
        self.kept.retain(|(key, _)| !(*key < floor));
        // Many equal rows cannot be pruned; looking again only when there are twice as many keeps this linear.
        self.limit = self.limit.max(2 * self.kept.len());
        self.settled = self.kept.len();
    }
}
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(mut list: Shortlist, keys: &[f32]) -> Vec<u32> {
        for (row, key) in keys.iter().enumerate() {
            list.offer(*key, row as u32);
        }
        let mut rows: Vec<u32> = list.finish().collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn rows_within_the_slack_of_the_last_one_are_kept() {
        assert_eq!(rows(Shortlist::new(1, 0.5), &[1.0, 3.0, 2.6, 2.4]), [1, 2]);
    }

    #[test]
    fn unknown_keys_and_unknown_slack_keep_everything() {
        assert_eq!(rows(Shortlist::new(1, 0.0), &[f32::NAN, 1.0]), [0, 1]);
        assert_eq!(rows(Shortlist::new(1, f64::INFINITY), &[0.0, 1.0, 5.0]), [0, 1, 2]);
    }

    proptest! {
        #[test]
        fn the_true_best_are_never_lost(
            truth in prop::collection::vec((0u8..50, -0.1f32..0.1), 1..400), k in 1usize..20,
        ) {
            let keys: Vec<f32> = truth.iter().map(|(value, noise)| f32::from(*value) + noise).collect();
            let kept = rows(Shortlist::new(k, 0.25), &keys);
            let mut best: Vec<usize> = (0..truth.len()).collect();
            best.sort_by_key(|i| (std::cmp::Reverse(truth[*i].0), *i));
            for row in best.iter().take(k) {
                prop_assert!(kept.contains(&(*row as u32)));
            }
        }
    }
}
