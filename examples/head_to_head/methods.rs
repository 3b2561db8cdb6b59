//! The ways to choose.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use labelloop::acquire::{Budget, Candidates as PoolCandidates, Failures, PolicyParams, plan_batch};
use labelloop::core::{GroupKey, Members, Pool, SampleId, Seed, Split};
use labelloop::coreset::select::{Candidates, Method, SelectParams};
use ndarray::{Array2, Axis};

use crate::data::Data;

/// What every other method is compared with.
pub(crate) const RANDOM: &str = "random";
/// After the name of a method: under the smallest quota for each group that can spend the budget.
const BY_GROUP: &str = " by group";
/// What the loop does where no failures are known: ZCore, less a penalty for groups that are in the batch already.
const POLICY: &str = "loop policy";

/// The names of all ways to choose: random first, then those that know groups, then the methods of the coreset crate
/// with their default parameters.
pub(crate) fn names() -> Vec<&'static str> {
    let others = Method::names().into_iter().filter(|name| *name != RANDOM);
    [RANDOM, "random by group", "k-center by group", POLICY].into_iter().chain(others).collect()
}

/// What a method is told: vectors, groups and a seed; no labels.
pub(crate) struct Ask {
    /// Sample numbers of the candidates.
    open: Vec<usize>,
    ids: Vec<SampleId>,
    groups: Vec<GroupKey>,
    labelled_groups: Vec<GroupKey>,
    rows: Array2<f32>,
    labelled: Array2<f32>,
    n: usize,
    seed: Seed,
}

impl Ask {
    /// Asks for `n` of the samples `open`, where the samples `labelled` are labelled already.
    pub(crate) fn new(data: &Data, open: Vec<usize>, labelled: &[usize], n: usize, seed: Seed) -> Self {
        let groups = |samples: &[usize]| samples.iter().map(|i| data.samples[*i].group.clone()).collect();
        Self {
            ids: open.iter().map(|i| data.samples[*i].id.clone()).collect(),
            groups: groups(&open),
            labelled_groups: groups(labelled),
            rows: data.vectors.select(Axis(0), &open),
            labelled: data.vectors.select(Axis(0), labelled),
            open,
            n,
            seed,
        }
    }

    /// Positions among the candidates that a method picks.
    pub(crate) fn pick(&self, name: &str) -> anyhow::Result<Vec<usize>> {
        if name == POLICY {
            return self.pick_by_policy();
        }
        if let Some(method) = name.strip_suffix(BY_GROUP) {
            return self.pick_by_group(&self.params(method)?);
        }
        let candidates = Candidates::new(self.rows.view())?.given(self.labelled.view())?;
        Ok(self.params(name)?.select(&candidates, self.n)?.rows())
    }

    fn params(&self, method: &str) -> anyhow::Result<SelectParams> {
        Ok(SelectParams { seed: self.seed.value(), ..SelectParams::by(Method::from_name(method)?) })
    }

    /// Sample numbers of positions, which must be as many as asked for and all different.
    pub(crate) fn samples(&self, positions: &[usize]) -> anyhow::Result<Vec<usize>> {
        let mut sorted = positions.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        ensure!(sorted.len() == self.n, "{} pictures chosen, expected {}", sorted.len(), self.n);
        Ok(sorted.into_iter().map(|i| self.open[i]).collect())
    }

    fn pick_by_policy(&self) -> anyhow::Result<Vec<usize>> {
        let members = Members::<Pool>::of(self.ids.iter().map(|id| (id, Split::Pool)));
        let embeddings = self.rows.view();
        let candidates =
            PoolCandidates { members: &members, groups: Some(&self.groups), embeddings, cost: None };
        let none = Array2::zeros((0, self.rows.ncols()));
        let failures = Failures { queries: &[], embeddings: none.view() };
        let valid = PolicyParams { seed: self.seed.value(), ..PolicyParams::default() }.check()?;
        let plan = plan_batch(&candidates, self.labelled.view(), &failures, Budget::Units(self.n), &valid)?;
        Ok(plan.picks.iter().filter_map(|pick| self.ids.binary_search(&pick.id).ok()).collect())
    }

    /// Under the smallest quota for each group that can spend the budget.
    fn pick_by_group(&self, params: &SelectParams) -> anyhow::Result<Vec<usize>> {
        let mut numbers: BTreeMap<&GroupKey, u32> = BTreeMap::new();
        for group in self.groups.iter().chain(&self.labelled_groups) {
            let next = numbers.len() as u32;
            numbers.entry(group).or_insert(next);
        }
        let of = |groups: &[GroupKey]| groups.iter().map(|g| numbers[g]).collect::<Vec<u32>>();
        let (groups, labelled_groups) = (of(&self.groups), of(&self.labelled_groups));
        let candidates = Candidates::new(self.rows.view())?
            .given(self.labelled.view())?
            .grouped(&groups)?
            .labelled_grouped(&labelled_groups)?;
        for quota in 1..=self.open.len() + self.labelled.nrows() {
            let params = SelectParams { per_group: Some(quota), ..params.clone() };
            let found = params.select(&candidates, self.n)?;
            if found.picks.len() == self.n {
                return Ok(found.rows());
            }
        }
        None.context("a budget that is larger than the pool")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::row_of_pictures;

    #[test]
    fn every_method_picks_what_it_is_asked_for() {
        let data = row_of_pictures(12);
        for name in names() {
            for labelled in [vec![], vec![0, 5]] {
                let open: Vec<usize> = (0..12).filter(|i| !labelled.contains(i)).collect();
                let ask = Ask::new(&data, open, &labelled, 4, Seed::new(1));
                let samples = ask.samples(&ask.pick(name).unwrap()).unwrap();
                assert_eq!(samples.len(), 4, "{name}");
                assert!(samples.iter().all(|s| !labelled.contains(s)), "{name}");
            }
        }
    }

    #[test]
    fn quotas_take_from_as_many_groups_as_there_are() {
        // Groups of three: 0 1 2, 3 4 5, and so on.
        let data = row_of_pictures(12);
        for seed in 0..20 {
            let ask = Ask::new(&data, (0..12).collect(), &[], 4, Seed::new(seed));
            for name in ["random by group", "k-center by group"] {
                let samples = ask.samples(&ask.pick(name).unwrap()).unwrap();
                assert_eq!(samples.iter().map(|s| s / 3).collect::<Vec<_>>(), [0, 1, 2, 3], "{name}");
            }
        }
    }

    #[test]
    fn picks_that_are_too_few_or_doubled_are_noticed() {
        let data = row_of_pictures(3);
        let ask = Ask::new(&data, vec![0, 1, 2], &[], 2, Seed::new(1));
        assert!(ask.samples(&[1]).is_err() && ask.samples(&[1, 1]).is_err());
        assert_eq!(ask.samples(&[2, 0]).unwrap(), [0, 2]);
    }
}
