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
/// By chance, but from as many groups as there are.
const BY_GROUP: &str = "random, by group";
/// What the loop does where no failures are known: ZCore, less a penalty for groups that are in the batch already.
const POLICY: &str = "loop policy";

/// The names of all ways to choose: random first, then two that know groups, then the methods of the coreset crate with
/// their default parameters.
pub(crate) fn names() -> Vec<&'static str> {
    let others = Method::names().into_iter().filter(|name| *name != RANDOM);
    [RANDOM, BY_GROUP, POLICY].into_iter().chain(others).collect()
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
        match name {
            POLICY => self.pick_by_policy(),
            BY_GROUP => self.pick_by_group(),
            _ => {
                let params =
                    SelectParams { seed: self.seed.value(), ..SelectParams::by(Method::from_name(name)?) };
                let candidates = Candidates::new(self.rows.view())?.given(self.labelled.view())?;
                Ok(params.select(&candidates, self.n)?.rows())
            }
        }
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

    /// The smallest quota per group that can spend the budget, by chance within it.
    fn pick_by_group(&self) -> anyhow::Result<Vec<usize>> {
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
            let seed = self.seed.value();
            let params =
                SelectParams { seed, per_group: Some(quota), ..SelectParams::by(Method::from_name(RANDOM)?) };
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
    fn chance_by_group_takes_from_as_many_groups_as_it_can() {
        // Groups of three: 0 1 2, 3 4 5, and so on.
        let data = row_of_pictures(12);
        for seed in 0..20 {
            let ask = Ask::new(&data, (0..12).collect(), &[], 4, Seed::new(seed));
            let groups: Vec<usize> =
                ask.samples(&ask.pick(BY_GROUP).unwrap()).unwrap().iter().map(|s| s / 3).collect();
            assert_eq!(groups, [0, 1, 2, 3]);
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
