use std::collections::BTreeMap;

use labelloop_core::GroupKey;

/// What is still there to be taken, and what was taken already.
pub(crate) struct Shelf {
    costs: Vec<f64>,
    group_of: Option<Vec<usize>>,
    in_group: Vec<usize>,
    max_per_group: usize,
    open: Vec<bool>,
    /// Rows taken, in the order of taking.
    pub(crate) taken: Vec<usize>,
}

impl Shelf {
    pub(crate) fn new(costs: Vec<f64>, groups: Option<&[GroupKey]>, max_per_group: Option<usize>) -> Self {
        let mut numbers: BTreeMap<&GroupKey, usize> = BTreeMap::new();
        let group_of = groups.map(|groups| {
            groups
                .iter()
                .map(|group| {
                    let next = numbers.len();
                    *numbers.entry(group).or_insert(next)
                })
                .collect()
        });
        let in_group = vec![0; numbers.len()];
        let open = vec![true; costs.len()];
        let max_per_group = max_per_group.unwrap_or(usize::MAX);
        Self { costs, group_of, in_group, max_per_group, open, taken: Vec::new() }
    }

    /// Which rows nobody took.
    pub(crate) fn open(&self) -> &[bool] {
        &self.open
    }

    pub(crate) fn cost(&self, row: usize) -> f64 {
        self.costs[row]
    }

    /// Whether the row may be taken by someone who has so much left. What is too dear now stays too dear, as budgets
    /// only shrink.
    pub(crate) fn may_take(&self, row: usize, left: f64) -> bool {
        // Sums of shares carry rounding errors; they must not cost a pick.
        self.open[row]
            && self.taken_of_group(row) < self.max_per_group
            && self.costs[row] <= left * (1.0 + 1e-9)
    }

    /// Rows of the same group that were taken.
    pub(crate) fn taken_of_group(&self, row: usize) -> usize {
        self.group_of.as_ref().map_or(0, |group_of| self.in_group[group_of[row]])
    }

    pub(crate) fn take(&mut self, row: usize) {
        self.open[row] = false;
        self.taken.push(row);
        if let Some(group_of) = &self.group_of {
            self.in_group[group_of[row]] += 1;
        }
    }

    /// The mean cost of what is there.
    pub(crate) fn mean_cost(&self) -> f64 {
        self.costs.iter().sum::<f64>() / self.costs.len().max(1) as f64
    }
}
