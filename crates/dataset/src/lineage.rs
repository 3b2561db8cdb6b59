use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{LabelledBox, Members, Pool, SampleId, Split};

use crate::split::FrozenTwins;
use crate::{Dataset, DatasetError, Result, Sample, Status};

impl Sample {
    /// Puts the sample into a split; what is not pool is frozen from then on.
    pub(crate) fn enter(&mut self, split: Option<Split>) {
        self.split = split;
        self.status = match split {
            Some(Split::Pool) | None => Status::Unlabeled,
            Some(Split::Test | Split::Val | Split::Golden) => Status::Frozen,
        };
    }
}

impl Dataset {
    /// The sample, what it was derived from, what that was derived from, and so on.
    ///
    /// # Errors
    /// [`DatasetError::UnknownSample`] for the sample or a missing ancestor.
    pub fn ancestry(&self, id: &SampleId) -> Result<Vec<&Sample>> {
        let mut seen = BTreeSet::new();
        let mut line = vec![];
        let mut next = Some(id);
        while let Some(id) = next {
            let sample = self.sample(id)?;
            // A damaged file may hold a ring of parents; one round says all there is to say.
            if !seen.insert(id) {
                break;
            }
            line.push(sample);
            next = sample.parent.as_ref();
        }
        Ok(line)
    }

    /// Lets samples pass to training only when they, and all that they were derived from, belong to the pool and are no
    /// near-duplicates of val, golden or test samples or of what was derived from those. Which samples look alike is what
    /// [`Dataset::split_guarded`] and [`Dataset::keep_near_duplicates`] were told.
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
    /// dataset.training_gate(dataset.unlabeled_pool().ids())?;
    /// let val = dataset.members::<Val>().ids()[0].clone();
    /// let mut crop = dataset.sample(&val)?.to_record();
    /// (crop.id, crop.capture) = (SampleId::new("crop")?, CaptureId::new("crop")?);
    /// dataset.derive(&crop, &val)?;
    /// assert!(matches!(dataset.training_gate([&crop.id]), Err(DatasetError::Lineage { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::Lineage`] naming the sample and the ancestor at fault, [`DatasetError::LooksFrozen`] naming the pair
    /// and how alike it is, [`DatasetError::UnknownSample`], [`DatasetError::InfoShape`].
    pub fn training_gate<'a>(&self, ids: impl IntoIterator<Item = &'a SampleId>) -> Result<()> {
        let twins = FrozenTwins::of(self)?;
        for id in ids {
            if let Some(ancestor) = self.ancestry(id)?.into_iter().find(|s| s.split != Some(Split::Pool)) {
                return Err(DatasetError::Lineage {
                    id: id.to_string(),
                    ancestor: ancestor.id.to_string(),
                    split: ancestor.split,
                });
            }
            twins.check(self, id)?;
        }
        Ok(())
    }

    /// Whether none of the samples looks like a frozen one.
    pub(crate) fn check_not_kept_out(&self, ids: &[SampleId]) -> Result<()> {
        let twins = FrozenTwins::of(self)?;
        ids.iter().try_for_each(|id| twins.check(self, id))
    }

    /// Labels to train on, by sample: those of a field, of pool samples that pass [`Dataset::training_gate`]. Samples that
    /// nobody labelled in the field are left out.
    ///
    /// Nothing but members of the pool can be asked for:
    ///
    /// ```
    /// use labelloop_core::{Members, Pool};
    /// use labelloop_dataset::{Dataset, HUMAN_LABELS, Result};
    ///
    /// fn train(dataset: &Dataset) -> Result<()> {
    ///     let labels = dataset.training_boxes(HUMAN_LABELS, &dataset.training_ids())?;
    ///     assert!(labels.len() <= dataset.members::<Pool>().len());
    ///     Ok(())
    /// }
    /// # train(&Dataset::new("demo", labelloop_core::ClassSchema::new(["car"])?))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The frozen test set does not compile:
    ///
    /// ```compile_fail,E0308
    /// use labelloop_core::FrozenTest;
    /// use labelloop_dataset::{Dataset, HUMAN_LABELS};
    ///
    /// fn train(dataset: &Dataset) {
    ///     let _ = dataset.training_boxes(HUMAN_LABELS, &dataset.members::<FrozenTest>());
    /// }
    /// ```
    ///
    /// Nor does val:
    ///
    /// ```compile_fail,E0308
    /// use labelloop_core::Val;
    /// use labelloop_dataset::{Dataset, HUMAN_LABELS};
    ///
    /// fn train(dataset: &Dataset) {
    ///     let _ = dataset.training_boxes(HUMAN_LABELS, &dataset.members::<Val>());
    /// }
    /// ```
    ///
    /// Nor does golden:
    ///
    /// ```compile_fail,E0308
    /// use labelloop_core::Golden;
    /// use labelloop_dataset::{Dataset, HUMAN_LABELS};
    ///
    /// fn train(dataset: &Dataset) {
    ///     let _ = dataset.training_boxes(HUMAN_LABELS, &dataset.members::<Golden>());
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Dataset::training_gate`]; [`DatasetError::UnknownField`].
    pub fn training_boxes(
        &self,
        field: &str,
        members: &Members<Pool>,
    ) -> Result<BTreeMap<SampleId, Vec<LabelledBox>>> {
        self.training_gate(members.ids())?;
        let mut labels = BTreeMap::new();
        for id in members.ids() {
            if let Some(boxes) = self.boxes(field, id)? {
                labels.insert(id.clone(), boxes.to_vec());
            }
        }
        Ok(labels)
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ImageSize, SampleRecord, Val};

    use crate::testing::{ids, pool_of, split_scene};

    use super::*;

    fn crop(id: &str, group: &str) -> SampleRecord {
        let mut record = SampleRecord::image(id, format!("{id}.png"), ImageSize::new(8, 8).unwrap()).unwrap();
        record.group = labelloop_core::GroupKey::new(group).unwrap();
        record
    }

    #[test]
    fn a_crop_of_a_val_sample_is_refused_by_name() {
        let mut d = split_scene(8);
        let val = d.members::<Val>().ids()[0].clone();
        let group = d.samples()[&val].group.to_string();
        d.derive(&crop("crop", &group), &val).unwrap();
        d.derive(&crop("crop-of-crop", &group), &ids(&["crop"])[0]).unwrap();
        assert_eq!(d.samples()["crop"].status, Status::Frozen);
        let e = d.training_gate(&ids(&["crop-of-crop"])).unwrap_err();
        assert!(matches!(e, DatasetError::Lineage { .. }) && e.is_refusal());
        assert!(e.to_string().contains("crop-of-crop") && e.to_string().contains("split val"), "{e}");
    }

    #[test]
    fn a_pool_child_of_a_val_parent_is_refused_even_when_it_claims_to_be_pool() {
        let mut d = split_scene(8);
        let val = d.members::<Val>().ids()[0].clone();
        let group = d.samples()[&val].group.to_string();
        d.derive(&crop("crop", &group), &val).unwrap();
        d.samples.get_mut("crop").unwrap().split = Some(Split::Pool);
        let e = d.training_gate(&ids(&["crop"])).unwrap_err();
        assert!(e.to_string().contains(val.as_str()), "{e}");
    }

    #[test]
    fn pool_samples_pass_and_unsplit_ones_do_not() {
        let mut d = pool_of(2);
        d.training_gate(&ids(&["s0", "s1"])).unwrap();
        d.samples.get_mut("s1").unwrap().split = None;
        let e = d.training_gate(&ids(&["s0", "s1"])).unwrap_err();
        assert_eq!(e.to_string(), "sample s1 must not be trained on: s1 is in split none, expected pool");
    }

    #[test]
    fn a_child_belongs_to_its_parents_group() {
        let mut d = pool_of(1);
        let parent = &ids(&["s0"])[0];
        assert!(matches!(d.derive(&crop("c", "elsewhere"), parent), Err(DatasetError::ForeignParent { .. })));
        d.derive(&crop("c", "s0"), parent).unwrap();
        d.derive(&crop("c", "s0"), parent).unwrap();
        assert_eq!(d.samples().len(), 2);
        let other = SampleRecord { file_name: "other.png".into(), ..crop("c", "s0") };
        assert!(matches!(d.derive(&other, parent), Err(DatasetError::SampleConflict { .. })));
    }

    #[test]
    fn a_ring_of_parents_ends() {
        let mut d = pool_of(2);
        let [a, b] = [ids(&["s0"]).remove(0), ids(&["s1"]).remove(0)];
        d.samples.get_mut("s0").unwrap().parent = Some(b.clone());
        d.samples.get_mut("s1").unwrap().parent = Some(a.clone());
        assert_eq!(d.ancestry(&a).unwrap().len(), 2);
    }
}
