//! Near-duplicates and the dataset: merged before a split, refused by it, and kept out of selection and training after it.

use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{CaptureId, GroupKey, SampleId, Split};
use serde::{Deserialize, Serialize};

use super::near::{AcrossPair, Likeness, NearDuplicate, NearDuplicates, merge_groups};
use super::{GroupSummary, SplitParams, SplitReport};
use crate::{Dataset, DatasetError, Result, Sample};

const NEAR_DUPLICATES: &str = "near_duplicates";
const MERGED_GROUPS: &str = "merged_groups";

/// What a split does with near-duplicates in different groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NearPolicy {
    /// Makes one group of the groups that they connect, so that both sides land in one split.
    #[default]
    Merge,
    /// Refuses to split as long as one of them would be on two sides.
    Refuse,
    /// Splits as if they were none, and says which are on two sides.
    Report,
}

/// A split, and what became of near-duplicates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardedSplit {
    /// The split itself.
    pub report: SplitReport,
    /// What was asked for.
    pub policy: NearPolicy,
    /// Pairs that were given.
    pub n_pairs: usize,
    /// Groups that were given another group's name, with that name.
    pub merged: BTreeMap<GroupKey, GroupKey>,
    /// Pairs that are on two sides all the same: groups that had a split before do not move.
    pub across: Vec<AcrossPair>,
    /// Pool samples that are kept out of selection and training from now on, each with what it is like.
    pub quarantine: BTreeMap<SampleId, LooksLike>,
}

/// Why a pool sample is kept out of selection and training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LooksLike {
    /// The sample itself, the ancestor of it that is at fault, or another slice of its capture.
    pub ancestor: SampleId,
    /// The sample of the frozen side.
    pub frozen: SampleId,
    /// Its split.
    pub split: Split,
    /// How alike they are.
    #[serde(flatten)]
    pub by: Likeness,
}

impl Dataset {
    /// As [`Dataset::split`], with near-duplicates taken into account.
    ///
    /// Pairs of one group are no leak and are passed over. Under [`NearPolicy::Merge`] groups without a split are merged
    /// as [`merge_groups`] says, and the names they had are kept in the info key `merged_groups`, so that samples which
    /// come later under an old name join them. Groups that have a split never move; what is on two sides all the same is
    /// kept in the info key `near_duplicates`, and from then on [`Dataset::unlabeled_pool`],
    /// [`Dataset::training_ids`] and [`Dataset::training_gate`] keep the pool's side of it out.
    ///
    /// ```
    /// # use labelloop_core::*;
    /// # use labelloop_dataset::*;
    /// # let samples = (0..8)
    /// #     .map(|i| SampleRecord::image(&format!("s{i}"), format!("s{i}.png"), ImageSize::new(64, 48)?))
    /// #     .collect::<labelloop_core::Result<Vec<_>>>()?;
    /// # let mut dataset = Dataset::new("demo", ClassSchema::new(["car", "van"])?);
    /// # let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    /// # dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?;
    /// let [a, b] = ["s1", "s2"].map(|id| SampleId::new(id).unwrap());
    /// let alike = NearDuplicates::new([NearDuplicate::new(a.clone(), b.clone(), Likeness::Hash { bits: 1, of: 64 })]);
    /// let split = dataset.split_guarded(&SplitParams::default(), &alike, NearPolicy::Merge)?;
    /// assert_eq!((split.merged.len(), split.across.len()), (1, 0));
    /// assert_eq!(dataset.sample(&a)?.split, dataset.sample(&b)?.split);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Dataset::split`]; [`DatasetError::MergedTooFew`], [`DatasetError::UnknownSample`] for a pair of others' samples, and under
    /// [`NearPolicy::Refuse`] [`DatasetError::NearDuplicateAcross`] naming the first pair that would be on two sides.
    /// Nothing has changed then.
    pub fn split_guarded(
        &mut self,
        params: &SplitParams,
        pairs: &NearDuplicates,
        policy: NearPolicy,
    ) -> Result<GuardedSplit> {
        self.check_known(pairs.pairs().iter().flat_map(|p| [&p.first, &p.second]))?;
        let valid = params.check()?;
        // Records that cannot be read end this before anything has changed.
        let (names, _) = (self.merged_groups()?, self.near_duplicates()?);
        let old = self.group_splits();
        let merged = match policy {
            NearPolicy::Merge => merge_groups(&self.groups_of(pairs), &old, pairs),
            NearPolicy::Refuse | NearPolicy::Report => BTreeMap::new(),
        };
        let groups = renamed(self.group_summaries(valid.reference_field())?, &merged);
        let report = valid.assign(&groups, &old).map_err(|e| e.after_merging(merged.len()))?;
        let across = pairs.across(|id| {
            let sample = self.samples.get(id)?;
            let group = merged.get(&sample.group).unwrap_or(&sample.group);
            sample.split.or_else(|| report.assignment.get(group).copied())
        });
        if let (NearPolicy::Refuse, Some(first)) = (policy, across.first()) {
            let pair = Box::new(first.clone());
            return Err(DatasetError::NearDuplicateAcross { pair, n_pairs: across.len() });
        }
        self.set_record("split", params)?;
        self.rename_groups(&merged, names)?;
        for sample in self.samples.values_mut().filter(|s| s.split.is_none()) {
            sample.enter(report.assignment.get(&sample.group).copied());
        }
        self.keep_near_duplicates(across.iter().map(|a| a.pair.clone()))?;
        let quarantine = self.quarantine()?;
        Ok(GuardedSplit { report, policy, n_pairs: pairs.pairs().len(), merged, across, quarantine })
    }

    /// Adds pairs to those that the dataset knows of, as [`Dataset::split_guarded`] does with pairs on two sides; for
    /// pairs that are found after a split.
    ///
    /// # Errors
    /// [`DatasetError::InfoShape`].
    pub fn keep_near_duplicates(&mut self, pairs: impl IntoIterator<Item = NearDuplicate>) -> Result<()> {
        let known = self.near_duplicates()?;
        let all = NearDuplicates::new(known.pairs().iter().cloned().chain(pairs));
        if all == known { Ok(()) } else { self.set_record(NEAR_DUPLICATES, &all) }
    }

    /// Near-duplicates on two sides of the split, as far as they were found.
    ///
    /// # Errors
    /// [`DatasetError::InfoShape`].
    pub fn near_duplicates(&self) -> Result<NearDuplicates> {
        Ok(self.record(NEAR_DUPLICATES)?.unwrap_or_default())
    }

    /// Names that groups had before they were merged, each with the name of the group that they are part of now.
    ///
    /// # Errors
    /// [`DatasetError::InfoShape`].
    pub fn merged_groups(&self) -> Result<BTreeMap<GroupKey, GroupKey>> {
        Ok(self.record(MERGED_GROUPS)?.unwrap_or_default())
    }

    /// Pool samples that are, descend from, or are of one capture with near-duplicates of val, golden and test samples:
    /// neither selected nor trained on. Of several the surest pair is named. O(pairs), and where there are any O(samples).
    ///
    /// # Errors
    /// [`DatasetError::InfoShape`].
    pub fn quarantine(&self) -> Result<BTreeMap<SampleId, LooksLike>> {
        let frozen_twins = FrozenTwins::of(self)?;
        if frozen_twins.is_empty() {
            return Ok(BTreeMap::new());
        }
        let is_pool = |s: &&Sample| s.split == Some(Split::Pool);
        let suspects = self.samples.values().filter(is_pool);
        Ok(suspects.filter_map(|s| Some((s.id.clone(), frozen_twins.find(self, &s.id)?))).collect())
    }

    fn groups_of(&self, pairs: &NearDuplicates) -> BTreeMap<SampleId, GroupKey> {
        let ids = pairs.pairs().iter().flat_map(|p| [&p.first, &p.second]);
        ids.filter_map(|id| Some((id.clone(), self.samples.get(id)?.group.clone()))).collect()
    }

    /// Renames groups and resolves the names of earlier merges through this one.
    fn rename_groups(
        &mut self,
        renamed: &BTreeMap<GroupKey, GroupKey>,
        mut names: BTreeMap<GroupKey, GroupKey>,
    ) -> Result<()> {
        if renamed.is_empty() {
            return Ok(());
        }
        for sample in self.samples.values_mut() {
            if let Some(name) = renamed.get(&sample.group) {
                sample.group = name.clone();
            }
        }
        for name in names.values_mut() {
            if let Some(newer) = renamed.get(name) {
                *name = newer.clone();
            }
        }
        names.extend(renamed.clone());
        self.set_record(MERGED_GROUPS, &names)
    }
}

/// Summaries under their new names, those of one name added up.
pub(super) fn renamed(groups: Vec<GroupSummary>, names: &BTreeMap<GroupKey, GroupKey>) -> Vec<GroupSummary> {
    if names.is_empty() {
        return groups;
    }
    let mut sums: BTreeMap<GroupKey, GroupSummary> = BTreeMap::new();
    for group in groups {
        let key = names.get(&group.key).unwrap_or(&group.key).clone();
        let sum = sums.entry(key.clone()).or_insert_with(|| GroupSummary {
            key,
            n_samples: 0,
            class_counts: BTreeMap::new(),
        });
        sum.n_samples += group.n_samples;
        for (class, n) in group.class_counts {
            *sum.class_counts.entry(class).or_default() += n;
        }
    }
    sums.into_values().collect()
}

/// The pairs by their samples, as far as one side is frozen.
pub(crate) struct FrozenTwins(BTreeMap<SampleId, LooksLike>);

impl FrozenTwins {
    pub(crate) fn of(dataset: &Dataset) -> Result<Self> {
        let mut twins: BTreeMap<SampleId, LooksLike> = BTreeMap::new();
        for NearDuplicate { first, second, by } in dataset.near_duplicates()?.pairs() {
            for (this, other) in [(first, second), (second, first)] {
                let Some(split) = frozen_split(dataset, other) else { continue };
                let found = LooksLike { ancestor: this.clone(), frozen: other.clone(), split, by: *by };
                let is_surer = |old: &LooksLike| found.by.surest(&old.by).is_lt();
                if twins.get(this).is_none_or(is_surer) {
                    twins.insert(this.clone(), found);
                }
            }
        }
        Ok(Self(twins).with_their_captures(dataset))
    }

    /// What shows one slice of a capture is not to be learnt from another one.
    fn with_their_captures(mut self, dataset: &Dataset) -> Self {
        let mut by_capture: BTreeMap<&CaptureId, &LooksLike> = BTreeMap::new();
        for (id, found) in &self.0 {
            if let Some(sample) = dataset.samples.get(id) {
                by_capture.entry(&sample.capture).or_insert(found);
            }
        }
        if by_capture.is_empty() {
            return self;
        }
        let mates = dataset
            .samples
            .values()
            .filter_map(|s| Some((s.id.clone(), (*by_capture.get(&s.capture)?).clone())));
        let mates: Vec<(SampleId, LooksLike)> = mates.collect();
        for (id, found) in mates {
            self.0.entry(id).or_insert(found);
        }
        self
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn check(&self, dataset: &Dataset, id: &SampleId) -> Result<()> {
        match self.find(dataset, id) {
            None => Ok(()),
            Some(found) => Err(DatasetError::LooksFrozen {
                id: id.to_string(),
                ancestor: found.ancestor.to_string(),
                frozen: found.frozen.to_string(),
                split: found.split,
                by: found.by,
            }),
        }
    }

    /// The first of a sample and its ancestors that looks like a frozen sample.
    fn find(&self, dataset: &Dataset, id: &SampleId) -> Option<LooksLike> {
        let mut seen = BTreeSet::new();
        let mut next = Some(id);
        while let Some(id) = next.filter(|id| seen.insert(*id)) {
            if let Some(found) = self.0.get(id) {
                return Some(found.clone());
            }
            next = dataset.samples.get(id).and_then(|s| s.parent.as_ref());
        }
        None
    }
}

/// Split of the first of a sample and its ancestors that is in test, val or golden.
fn frozen_split(dataset: &Dataset, id: &SampleId) -> Option<Split> {
    let line = dataset.ancestry(id).ok()?;
    line.iter().filter_map(|s| s.split).find(|split| *split != Split::Pool)
}
