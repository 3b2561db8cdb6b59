use std::collections::BTreeMap;

use labelloop_core::{GroupKey, SampleId, Seed};

use crate::coco::Partial;
use crate::{EvalError, Result};

/// What is drawn: groups numbered by their keys, so that the order of pictures is of no matter.
pub(crate) struct Units {
    group_of: BTreeMap<SampleId, usize>,
    pub(crate) n_groups: usize,
}

impl Units {
    pub(crate) fn new(records: &Partial, groups: Option<&BTreeMap<SampleId, GroupKey>>) -> Result<Self> {
        Self::of(&records.image_ids().collect::<Vec<_>>(), groups)
    }

    /// Pictures by ascending id.
    pub(crate) fn of(ids: &[&SampleId], groups: Option<&BTreeMap<SampleId, GroupKey>>) -> Result<Self> {
        let Some(groups) = groups else {
            let group_of: BTreeMap<_, _> = ids.iter().enumerate().map(|(i, id)| ((*id).clone(), i)).collect();
            return Ok(Self { n_groups: group_of.len(), group_of });
        };
        let mut numbers: BTreeMap<&GroupKey, usize> = BTreeMap::new();
        for id in ids {
            let key = groups.get(*id).ok_or_else(|| EvalError::MissingGroup { image: id.to_string() })?;
            numbers.insert(key, 0);
        }
        numbers.values_mut().enumerate().for_each(|(i, number)| *number = i);
        let group_of = ids.iter().map(|id| ((*id).clone(), numbers[&groups[*id]])).collect();
        Ok(Self { group_of, n_groups: numbers.len() })
    }

    /// The number of a picture's group.
    pub(crate) fn group(&self, id: &SampleId) -> usize {
        self.group_of.get(id).copied().unwrap_or(0)
    }

    /// How often each group is in draw number `draw`.
    pub(crate) fn draw(&self, seed: Seed, draw: usize) -> Vec<u32> {
        let stream = seed.stream("bootstrap").stream(&draw.to_string());
        let mut times = vec![0; self.n_groups];
        for i in 0..self.n_groups {
            times[stream.below(i as u64, self.n_groups)] += 1;
        }
        times
    }
}
