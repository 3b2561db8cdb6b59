use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{
    CaptureId, ClassSchema, LabelledBox, LabelledCuboid, Members, Pool, SampleId, ScoredBox, Split, SplitRole,
};
use serde_json::Value;

use crate::base::Base;
use crate::disk::Scores;
use crate::error::nearest_name;
use crate::labels::Labels;
use crate::{DatasetError, Result, Sample, Status, Tag, View};

/// Labels that came with the data, as a reference or for a simulated annotator.
pub const GROUND_TRUTH: &str = "ground_truth";

/// Labels that people drew in the loop.
pub const HUMAN_LABELS: &str = "human_labels";

/// A snapshot of all samples, labels and decisions of a project.
///
/// Samples are in memory. Labels, predictions and scores that were committed stay on disk until somebody asks for the
/// field; clones share what was read.
///
/// Reading one from a [`crate::DatasetDir`], changing it and committing it is the only way that anything on disk
/// changes. Everything is kept in the order of names, so equal content is written as equal bytes.
///
/// Samples of the frozen test set can be listed, and never be selected:
///
/// ```compile_fail,E0308
/// use labelloop_core::{FrozenTest, Members, Pool};
/// use labelloop_dataset::Dataset;
///
/// fn select(candidates: &Members<Pool>) {}
/// fn leak(dataset: &Dataset) {
///     select(&dataset.members::<FrozenTest>());
/// }
/// ```
///
/// Nor can those of val:
///
/// ```compile_fail,E0308
/// use labelloop_core::{Members, Pool, Val};
/// use labelloop_dataset::Dataset;
///
/// fn select(candidates: &Members<Pool>) {}
/// fn leak(dataset: &Dataset) {
///     select(&dataset.members::<Val>());
/// }
/// ```
///
/// Nor those of golden:
///
/// ```compile_fail,E0308
/// use labelloop_core::{Golden, Members, Pool};
/// use labelloop_dataset::Dataset;
///
/// fn select(candidates: &Members<Pool>) {}
/// fn leak(dataset: &Dataset) {
///     select(&dataset.members::<Golden>());
/// }
/// ```
///
/// The same with the pool compiles:
///
/// ```
/// use labelloop_core::{Members, Pool};
/// use labelloop_dataset::Dataset;
///
/// fn select(candidates: &Members<Pool>) {}
/// fn no_leak(dataset: &Dataset) {
///     select(&dataset.members::<Pool>());
///     select(&dataset.unlabeled_pool());
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    pub(crate) name: String,
    pub(crate) schema: ClassSchema,
    pub(crate) samples: BTreeMap<SampleId, Sample>,
    pub(crate) boxes: BTreeMap<String, Labels<LabelledBox>>,
    pub(crate) cuboids: BTreeMap<String, Labels<LabelledCuboid>>,
    pub(crate) predictions: BTreeMap<String, Labels<ScoredBox>>,
    pub(crate) scores: BTreeMap<String, Scores>,
    pub(crate) views: BTreeMap<String, View>,
    pub(crate) info: BTreeMap<String, Value>,
    pub(crate) base: Base,
}

impl Dataset {
    /// An empty dataset whose label fields [`GROUND_TRUTH`] and [`HUMAN_LABELS`] exist and hold nothing.
    pub fn new(name: impl Into<String>, schema: ClassSchema) -> Self {
        let boxes = [GROUND_TRUTH, HUMAN_LABELS].map(|f| (f.to_owned(), Labels::default())).into();
        let cuboids = [GROUND_TRUTH, HUMAN_LABELS].map(|f| (f.to_owned(), Labels::default())).into();
        Self {
            name: name.into(),
            schema,
            samples: BTreeMap::new(),
            boxes,
            cuboids,
            predictions: BTreeMap::new(),
            scores: BTreeMap::new(),
            views: BTreeMap::new(),
            info: BTreeMap::new(),
            base: Base::unread(),
        }
    }

    /// Name of the project.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Classes in order; all class numbers refer to it.
    pub fn schema(&self) -> &ClassSchema {
        &self.schema
    }

    /// All samples in the order of their ids.
    pub fn samples(&self) -> &BTreeMap<SampleId, Sample> {
        &self.samples
    }

    /// One sample.
    ///
    /// # Errors
    /// [`DatasetError::UnknownSample`].
    pub fn sample(&self, id: &SampleId) -> Result<&Sample> {
        self.samples.get(id).ok_or_else(|| self.unknown(id))
    }

    /// The generation that this snapshot was read from or last committed as; `None` for one that never was.
    pub fn generation(&self) -> Option<u64> {
        self.base.get()
    }

    /// All samples of a split.
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
    /// # dataset.split(&SplitParams::default())?;
    /// let counts = (dataset.members::<FrozenTest>().len(), dataset.members::<Pool>().len());
    /// assert_eq!(counts, (1, 5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn members<R: SplitRole>(&self) -> Members<R> {
        self.members_where(|_| true)
    }

    /// What may be selected: pool samples that nobody labelled, that no batch holds and that [`Dataset::quarantine`] does
    /// not name.
    pub fn unlabeled_pool(&self) -> Members<Pool> {
        let out = self.kept_out();
        self.members_where(|s| s.is_selectable() && !out.contains(&s.id))
    }

    /// What may be trained on: pool samples that a person finished, those verified to be empty among them, and that
    /// [`Dataset::quarantine`] does not name.
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
    /// # dataset.split(&SplitParams::default())?;
    /// # let car = |x| LabelledBox::new(ClassIdx(0), BBox::new(x, 4.0, 20.0, 10.0).unwrap());
    /// assert!(dataset.training_ids().is_empty());
    /// let picks = dataset.unlabeled_pool().ids()[..1].to_vec();
    /// dataset.begin_batch(0, &picks)?;
    /// dataset.finish_batch(0, [(picks[0].clone(), Some(vec![]))].into(), HUMAN_LABELS, "ann")?;
    /// assert_eq!(dataset.training_ids().ids(), picks);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn training_ids(&self) -> Members<Pool> {
        let out = self.kept_out();
        self.members_where(|s| s.status.is_done() && !out.contains(&s.id))
    }

    /// A record of near-duplicates that cannot be read keeps nothing out here, and lets nothing through the training gate.
    fn kept_out(&self) -> BTreeSet<SampleId> {
        self.quarantine().map(|found| found.into_keys().collect()).unwrap_or_default()
    }

    fn members_where<R: SplitRole>(&self, keep: impl Fn(&Sample) -> bool) -> Members<R> {
        let rows =
            self.samples.values().filter(|s| keep(s)).filter_map(|s| s.split.map(|split| (&s.id, split)));
        Members::of(rows)
    }

    /// Samples by capture, in order: what must be selected as a whole.
    pub fn captures(&self) -> BTreeMap<&CaptureId, Vec<&SampleId>> {
        let mut captures: BTreeMap<&CaptureId, Vec<&SampleId>> = BTreeMap::new();
        for sample in self.samples.values() {
            captures.entry(&sample.capture).or_default().push(&sample.id);
        }
        captures
    }

    /// All slices of all captures that the given samples belong to, in the order of their ids.
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
    /// # dataset.split(&SplitParams::default())?;
    /// let mut left = SampleRecord::image("c0/left", "left.png", ImageSize::new(64, 48)?)?;
    /// left.capture = CaptureId::new("c0")?;
    /// let mut right = SampleRecord { id: SampleId::new("c0/right")?, ..left.clone() };
    /// (left.slice, right.slice) = ("left".to_owned(), "right".to_owned());
    /// let pair = AnnotationSet { samples: vec![left.clone(), right.clone()], ..set };
    /// dataset.import(&pair, GROUND_TRUTH, BoxPolicy::default())?;
    /// assert_eq!(dataset.whole_captures([&right.id])?, [left.id, right.id]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::UnknownSample`].
    pub fn whole_captures<'a>(&self, ids: impl IntoIterator<Item = &'a SampleId>) -> Result<Vec<SampleId>> {
        let wanted =
            ids.into_iter().map(|id| Ok(&self.sample(id)?.capture)).collect::<Result<BTreeSet<_>>>()?;
        Ok(self.samples.values().filter(|s| wanted.contains(&s.capture)).map(|s| s.id.clone()).collect())
    }

    /// Puts a tag on samples; nothing changes when one of them is unknown.
    ///
    /// # Errors
    /// [`DatasetError::DerivedTag`] for a namespace that follows from other fields, [`DatasetError::UnknownSample`].
    pub fn add_tag<'a>(&mut self, ids: impl IntoIterator<Item = &'a SampleId>, tag: &Tag) -> Result<()> {
        self.change_tags(ids, tag, |sample, tag| {
            sample.tags.insert(tag.clone());
        })
    }

    /// Takes a tag off samples; nothing changes when one of them is unknown.
    ///
    /// # Errors
    /// As [`Dataset::add_tag`].
    pub fn remove_tag<'a>(&mut self, ids: impl IntoIterator<Item = &'a SampleId>, tag: &Tag) -> Result<()> {
        self.change_tags(ids, tag, |sample, tag| {
            sample.tags.remove(tag);
        })
    }

    fn change_tags<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a SampleId>,
        tag: &Tag,
        change: impl Fn(&mut Sample, &Tag),
    ) -> Result<()> {
        if tag.is_derived() {
            let namespace = tag.namespace().to_owned();
            return Err(DatasetError::DerivedTag { found: tag.to_string(), namespace });
        }
        let ids: Vec<&SampleId> = ids.into_iter().collect();
        self.check_known(ids.iter().copied())?;
        for id in ids {
            if let Some(sample) = self.samples.get_mut(id) {
                change(sample, tag);
            }
        }
        Ok(())
    }

    /// Removes all stored tags of a namespace and says how many there were. An evaluation calls it before it tags
    /// its own failures, so that those of the last one do not linger.
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
    /// # dataset.split(&SplitParams::default())?;
    /// let val = dataset.members::<Val>();
    /// dataset.add_tag(val.ids(), &Tag::new("failure:high_fp")?)?;
    /// assert_eq!(dataset.clear_tags("failure"), val.len());
    /// assert!(dataset.match_tag("failure:high_fp")?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear_tags(&mut self, namespace: &str) -> usize {
        let mut n_removed = 0;
        for sample in self.samples.values_mut() {
            let before = sample.tags.len();
            sample.tags.retain(|t| t.namespace() != namespace);
            n_removed += before - sample.tags.len();
        }
        n_removed
    }

    /// Samples that carry a tag, stored or derived (`split:pool`, `status:pending`, `batch:v0`, `annotated:v0`).
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
    /// # dataset.split(&SplitParams::default())?;
    /// # let car = |x| LabelledBox::new(ClassIdx(0), BBox::new(x, 4.0, 20.0, 10.0).unwrap());
    /// assert_eq!(dataset.match_tag("split:pool")?.len(), 5);
    /// let tag = Tag::new("failure:high_fn")?;
    /// dataset.add_tag(dataset.members::<Val>().ids(), &tag)?;
    /// assert_eq!(dataset.match_tag("failure:high_fn")?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::InvalidTag`] when the text is not a tag.
    pub fn match_tag(&self, tag: &str) -> Result<Vec<SampleId>> {
        let tag = Tag::new(tag)?;
        Ok(self.samples.values().filter(|s| s.has_tag(&tag)).map(|s| s.id.clone()).collect())
    }

    pub(crate) fn unknown(&self, id: &SampleId) -> DatasetError {
        DatasetError::UnknownSample { id: id.to_string(), dataset: self.name.clone() }
    }

    pub(crate) fn check_known<'a>(&self, ids: impl IntoIterator<Item = &'a SampleId>) -> Result<()> {
        match ids.into_iter().find(|id| !self.samples.contains_key(*id)) {
            Some(id) => Err(self.unknown(id)),
            None => Ok(()),
        }
    }

    pub(crate) fn is_test(&self, id: &SampleId) -> bool {
        self.samples.get(id).is_some_and(|s| s.split == Some(Split::Test))
    }

    /// Changes the status of samples, all or none. A sample that goes back to unlabeled leaves its batch.
    ///
    /// A move that needs a reason has it kept in the info key `status_notes`.
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
    /// # dataset.split(&SplitParams::default())?;
    /// # let car = |x| LabelledBox::new(ClassIdx(0), BBox::new(x, 4.0, 20.0, 10.0).unwrap());
    /// let picks = dataset.unlabeled_pool().ids()[..2].to_vec();
    /// dataset.begin_batch(0, &picks)?;
    /// assert!(dataset.set_status(&picks, Status::Unlabeled, None).is_err(), "a step back needs a reason");
    /// dataset.set_status(&picks, Status::Unlabeled, Some("out of focus"))?;
    /// assert_eq!(dataset.status_notes()?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::UnknownSample`] or [`DatasetError::IllegalTransition`] naming the first sample at fault;
    /// nothing has changed then.
    pub fn set_status<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a SampleId>,
        to: Status,
        reason: Option<&str>,
    ) -> Result<()> {
        let ids: BTreeSet<&SampleId> = ids.into_iter().collect();
        for id in &ids {
            self.sample(id)?.status.check_move(id.as_str(), to, reason)?;
        }
        if let Some(reason) = reason {
            self.note_status(&ids, to, reason)?;
        }
        for id in ids {
            self.move_status(id, to);
        }
        Ok(())
    }

    pub(crate) fn move_status(&mut self, id: &SampleId, to: Status) {
        if let Some(sample) = self.samples.get_mut(id) {
            sample.status = to;
            if to == Status::Unlabeled {
                sample.batch = None;
            }
        }
    }
}

/// Looks a name up among the fields of one kind.
pub(crate) fn field<'a, T>(fields: &'a BTreeMap<String, T>, kind: &'static str, name: &str) -> Result<&'a T> {
    fields.get(name).ok_or_else(|| {
        let available: Vec<String> = fields.keys().cloned().collect();
        let nearest = nearest_name(name, &available);
        DatasetError::UnknownField { kind, found: name.to_owned(), available, nearest }
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{ids, pool_of, scene};

    use super::*;

    #[test]
    fn tags_are_all_or_none() {
        let mut d = pool_of(3);
        let tag = Tag::new("failure:high_fn").unwrap();
        let bad = SampleId::new("nope").unwrap();
        let some = ids(&["s0", "s1"]);
        assert!(d.add_tag(some.iter().chain([&bad]), &tag).is_err());
        assert!(d.match_tag("failure:high_fn").unwrap().is_empty());
        d.add_tag(&some, &tag).unwrap();
        assert_eq!(d.match_tag("failure:high_fn").unwrap(), some);
        d.remove_tag(&some[..1], &tag).unwrap();
        assert_eq!(d.match_tag("failure:high_fn").unwrap(), some[1..]);
        assert_eq!(d.clear_tags("failure"), 1);
    }

    #[test]
    fn derived_tags_are_asked_for_and_never_set() {
        let mut d = pool_of(2);
        assert_eq!(d.match_tag("split:pool").unwrap().len(), 2);
        assert_eq!(d.match_tag("status:unlabeled").unwrap().len(), 2);
        let tag = Tag::new("split:test").unwrap();
        let all = ids(&["s0"]);
        assert!(matches!(d.add_tag(&all, &tag), Err(DatasetError::DerivedTag { .. })));
        assert!(matches!(d.match_tag("pool"), Err(DatasetError::InvalidTag { .. })));
    }

    #[test]
    fn an_illegal_move_changes_nothing() {
        let mut d = pool_of(3);
        d.begin_batch(0, &ids(&["s0"])).unwrap();
        let e = d.set_status(&ids(&["s0", "s1"]), Status::Pending, None).unwrap_err();
        assert!(e.to_string().starts_with("sample s1 cannot go from unlabeled to pending"), "{e}");
        assert_eq!(d.samples["s0"].status, Status::Selected);
    }

    #[test]
    fn going_back_leaves_the_batch_and_keeps_the_reason() {
        let mut d = pool_of(2);
        d.begin_batch(0, &ids(&["s0"])).unwrap();
        d.set_status(&ids(&["s0"]), Status::Unlabeled, Some("blurred")).unwrap();
        assert_eq!(d.samples["s0"].batch, None);
        assert_eq!(d.status_notes().unwrap()[0].reason, "blurred");
        assert_eq!(d.unlabeled_pool().len(), 2);
    }

    #[test]
    fn captures_are_whole() {
        let d = scene(2);
        assert_eq!(d.captures().len(), 2);
        let picked = d.whole_captures(&ids(&["c0/left"])).unwrap();
        assert_eq!(picked, ids(&["c0/left", "c0/pcd", "c0/right"]));
        assert!(d.whole_captures(&ids(&["zzz"])).is_err());
    }

    #[test]
    fn an_unknown_sample_is_named() {
        let e = pool_of(1).sample(&SampleId::new("x").unwrap()).unwrap_err();
        assert_eq!(e.to_string(), "no sample x in dataset \"demo\": expected a sample that was imported");
    }
}
