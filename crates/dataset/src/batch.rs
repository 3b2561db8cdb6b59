use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use labelloop_core::{LabelledBox, LabelledBy, LabelledCuboid, SampleId};
use serde::{Deserialize, Serialize};

use crate::fields::check_field_name;
use crate::labels::Answer;
use crate::{Dataset, DatasetError, Result, Status, View};

/// What came back of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchReport {
    /// Samples with at least one object.
    pub n_annotated: usize,
    /// Samples that a person looked at and found empty.
    pub n_verified_empty: usize,
    /// Samples that nobody has labelled yet.
    pub n_pending: usize,
}

impl Dataset {
    /// Hands samples to people: all slices of every capture that was picked are marked selected, and the frozen view
    /// `batch/<number>` keeps the list. The same picks again change nothing.
    ///
    /// Returns the samples of the batch in the order of their ids.
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
    /// assert_eq!(dataset.begin_batch(0, &picks)?, picks);
    /// assert_eq!(dataset.view("batch/0")?, picks);
    /// assert_eq!(dataset.begin_batch(0, &picks)?, picks, "a rerun changes nothing");
    /// assert!(matches!(dataset.begin_batch(1, &picks), Err(DatasetError::NotSelectable { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::NotSelectable`] naming the first sample that is not in the pool or not unlabeled,
    /// [`DatasetError::LooksFrozen`] for one that [`Dataset::quarantine`] names,
    /// [`DatasetError::BatchExists`] when the number is taken by other samples, [`DatasetError::EmptyBatch`],
    /// [`DatasetError::UnknownSample`]. Nothing has changed then.
    pub fn begin_batch(&mut self, number: u32, picks: &[SampleId]) -> Result<Vec<SampleId>> {
        if picks.is_empty() {
            return Err(DatasetError::EmptyBatch { number });
        }
        let ids = self.whole_captures(picks)?;
        let name = batch_view(number);
        if self.views.contains_key(&name) {
            return self.same_batch(number, ids, &name);
        }
        if let Some(s) = ids.iter().filter_map(|id| self.samples.get(id)).find(|s| !s.is_selectable()) {
            let split = s.split.map_or("none", labelloop_core::Split::as_str).to_owned();
            return Err(DatasetError::NotSelectable { id: s.id.to_string(), split, status: s.status });
        }
        self.check_not_kept_out(&ids)?;
        self.save_view(&name, View::Frozen { ids: ids.clone() })?;
        for id in &ids {
            if let Some(sample) = self.samples.get_mut(id) {
                sample.status = Status::Selected;
                sample.batch = Some(number);
            }
        }
        Ok(ids)
    }

    fn same_batch(&self, number: u32, ids: Vec<SampleId>, name: &str) -> Result<Vec<SampleId>> {
        let held: BTreeSet<SampleId> = self.view(name)?.into_iter().collect();
        let new = ids.iter().filter(|id| !held.contains(*id)).count();
        if new == 0 && ids.len() == held.len() {
            return Ok(ids);
        }
        Err(DatasetError::BatchExists { number, expected: held.len(), found: ids.len(), new })
    }

    /// Takes the labels of a batch back, all or none. `Some` with objects makes a sample annotated, `Some` without
    /// makes it verified empty, `None` or no entry leaves it pending. Labels may come back in parts: samples that are
    /// done already stay done where this part says nothing about them, and a second answer corrects the first.
    ///
    /// `annotator` is put on every box that names none.
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
    /// let picks = dataset.unlabeled_pool().ids()[..3].to_vec();
    /// dataset.begin_batch(0, &picks)?;
    /// let labels = [(picks[0].clone(), Some(vec![car(3.0)])), (picks[1].clone(), Some(vec![]))].into();
    /// let report = dataset.finish_batch(0, labels, HUMAN_LABELS, "ann")?;
    /// assert_eq!(report, BatchReport { n_annotated: 1, n_verified_empty: 1, n_pending: 1 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::ViewNotFound`] for a batch that was never begun, [`DatasetError::NotInBatch`],
    /// [`DatasetError::ClassOutOfSchema`], [`DatasetError::InvalidArea`], [`DatasetError::InvalidFieldName`].
    /// Nothing has changed then.
    pub fn finish_batch(
        &mut self,
        number: u32,
        labels: BTreeMap<SampleId, Option<Vec<LabelledBox>>>,
        field: &str,
        annotator: &str,
    ) -> Result<BatchReport> {
        check_field_name(field)?;
        let members = self.batch_members(number, labels.keys())?;
        for (id, boxes) in &labels {
            self.check_boxes(id, boxes.as_deref().unwrap_or_default())?;
        }
        for (id, boxes) in labels {
            let Some(mut boxes) = boxes else { continue };
            for b in &mut boxes {
                b.annotator.get_or_insert_with(|| annotator.to_owned());
            }
            self.move_status(&id, done(boxes.is_empty()));
            let by = Some(Arc::new(LabelledBy::person(annotator)));
            self.boxes.entry(field.to_owned()).or_default().insert(id, Answer { items: boxes, by });
        }
        self.leave_pending(&members);
        Ok(self.batch_report(&members))
    }

    /// As [`Dataset::finish_batch`], for the point clouds of a batch.
    ///
    /// # Errors
    /// As [`Dataset::finish_batch`].
    pub fn finish_batch_cuboids(
        &mut self,
        number: u32,
        labels: BTreeMap<SampleId, Option<Vec<LabelledCuboid>>>,
        field: &str,
        annotator: &str,
    ) -> Result<BatchReport> {
        check_field_name(field)?;
        let members = self.batch_members(number, labels.keys())?;
        for (id, cuboids) in &labels {
            self.check_classes(id, cuboids.iter().flatten().map(|c| c.class))?;
        }
        for (id, cuboids) in labels {
            let Some(mut cuboids) = cuboids else { continue };
            for c in &mut cuboids {
                c.annotator.get_or_insert_with(|| annotator.to_owned());
            }
            self.move_status(&id, done(cuboids.is_empty()));
            let by = Some(Arc::new(LabelledBy::person(annotator)));
            self.cuboids.entry(field.to_owned()).or_default().insert(id, Answer { items: cuboids, by });
        }
        self.leave_pending(&members);
        Ok(self.batch_report(&members))
    }

    /// Numbers of all batches that were begun, in order.
    pub fn batches(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> =
            self.views.keys().filter_map(|v| v.strip_prefix("batch/")?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Samples that still belong to the batch. One that was taken back has left it and takes no labels.
    fn batch_members<'a>(
        &self,
        number: u32,
        labelled: impl Iterator<Item = &'a SampleId>,
    ) -> Result<Vec<SampleId>> {
        let listed = self.view(&batch_view(number))?;
        let is_member = |id: &SampleId| self.samples.get(id).is_some_and(|s| s.batch == Some(number));
        let members: Vec<SampleId> = listed.into_iter().filter(is_member).collect();
        for id in labelled {
            self.sample(id)?;
            if !is_member(id) {
                return Err(DatasetError::NotInBatch { id: id.to_string(), number });
            }
        }
        Ok(members)
    }

    fn leave_pending(&mut self, members: &[SampleId]) {
        for id in members {
            if let Some(sample) = self.samples.get_mut(id).filter(|s| s.status == Status::Selected) {
                sample.status = Status::Pending;
            }
        }
    }

    fn batch_report(&self, members: &[SampleId]) -> BatchReport {
        let count = |status| {
            members.iter().filter(|id| self.samples.get(*id).is_some_and(|s| s.status == status)).count()
        };
        BatchReport {
            n_annotated: count(Status::Annotated),
            n_verified_empty: count(Status::VerifiedEmpty),
            n_pending: count(Status::Pending),
        }
    }
}

/// Name of the frozen view that lists a batch.
pub fn batch_view(number: u32) -> String {
    format!("batch/{number}")
}

fn done(is_empty: bool) -> Status {
    if is_empty { Status::VerifiedEmpty } else { Status::Annotated }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ClassIdx, Cuboid, CuboidFrame};

    use crate::testing::{a_box, ids, pool_of, scene_pool, split_scene};
    use crate::{HUMAN_LABELS, ViewKind};

    use super::*;

    fn labels(of: &[(&str, Option<usize>)]) -> BTreeMap<SampleId, Option<Vec<LabelledBox>>> {
        of.iter().map(|(id, n)| (SampleId::new(*id).unwrap(), n.map(|n| vec![a_box(0); n]))).collect()
    }

    #[test]
    fn a_batch_goes_out_whole_and_comes_back() {
        let mut d = scene_pool(3);
        let batch = d.begin_batch(0, &ids(&["c1/left"])).unwrap();
        assert_eq!(batch, ids(&["c1/left", "c1/pcd", "c1/right"]));
        assert_eq!(d.view_kind("batch/0").unwrap(), ViewKind::Frozen);
        let back = labels(&[("c1/left", Some(2)), ("c1/right", Some(0))]);
        let report = d.finish_batch(0, back.clone(), HUMAN_LABELS, "ann").unwrap();
        assert_eq!(report, BatchReport { n_annotated: 1, n_verified_empty: 1, n_pending: 1 });
        let left = &ids(&["c1/left"])[0];
        assert_eq!(d.boxes(HUMAN_LABELS, left).unwrap().unwrap()[0].annotator.as_deref(), Some("ann"));
        assert_eq!(d.training_ids().ids(), ids(&["c1/left", "c1/right"]));

        let cuboid = Cuboid::new([0.0; 3], [1.0; 3], 0.0, CuboidFrame::Lidar).unwrap();
        let cuboids = vec![LabelledCuboid { class: ClassIdx(0), cuboid, annotator: None }];
        let back = BTreeMap::from([(ids(&["c1/pcd"]).remove(0), Some(cuboids))]);
        let report = d.finish_batch_cuboids(0, back, HUMAN_LABELS, "ann").unwrap();
        assert_eq!(report.n_pending, 0);
    }

    #[test]
    fn rerunning_changes_nothing_and_other_picks_are_refused() {
        let mut d = pool_of(5);
        d.begin_batch(0, &ids(&["s0", "s1"])).unwrap();
        d.finish_batch(0, labels(&[("s0", Some(1))]), HUMAN_LABELS, "ann").unwrap();
        let before = d.clone();
        d.begin_batch(0, &ids(&["s1", "s0"])).unwrap();
        d.finish_batch(0, labels(&[("s0", Some(1))]), HUMAN_LABELS, "ann").unwrap();
        assert_eq!(d, before);
        for other in [ids(&["s0"]), ids(&["s0", "s1", "s2"])] {
            assert!(matches!(d.begin_batch(0, &other), Err(DatasetError::BatchExists { .. })));
        }
        assert!(matches!(d.begin_batch(1, &[]), Err(DatasetError::EmptyBatch { number: 1 })));
        assert_eq!(d, before);
    }

    #[test]
    fn only_unlabelled_pool_samples_are_taken() {
        let mut d = pool_of(3);
        d.begin_batch(0, &ids(&["s0"])).unwrap();
        let e = d.begin_batch(1, &ids(&["s0", "s1"])).unwrap_err();
        assert!(e.to_string().contains("s0") && e.to_string().contains("selected"), "{e}");
        assert!(!d.views.contains_key("batch/1"));
        let mut d = split_scene(8);
        let val = d.members::<labelloop_core::Val>();
        assert!(matches!(d.begin_batch(0, &val.ids()[..1]), Err(DatasetError::NotSelectable { .. })));
    }

    #[test]
    fn labels_land_all_or_none() {
        let mut d = pool_of(3);
        d.begin_batch(0, &ids(&["s0", "s1"])).unwrap();
        let before = d.clone();
        let mut bad = labels(&[("s0", Some(1)), ("s1", Some(1))]);
        bad.insert(ids(&["s1"]).remove(0), Some(vec![a_box(9)]));
        assert!(d.finish_batch(0, bad, HUMAN_LABELS, "a").is_err());
        let foreign = labels(&[("s0", Some(1)), ("s2", Some(1))]);
        assert!(matches!(
            d.finish_batch(0, foreign, HUMAN_LABELS, "a"),
            Err(DatasetError::NotInBatch { .. })
        ));
        let e = d.finish_batch(7, labels(&[]), HUMAN_LABELS, "a").unwrap_err();
        assert!(matches!(e, DatasetError::ViewNotFound { .. }));
        assert_eq!(d, before);
    }

    #[test]
    fn labels_may_come_back_in_parts_and_be_corrected() {
        let mut d = pool_of(2);
        d.begin_batch(3, &ids(&["s0", "s1"])).unwrap();
        d.finish_batch(3, labels(&[("s0", Some(1)), ("s1", None)]), HUMAN_LABELS, "a").unwrap();
        assert_eq!(d.samples()["s1"].status, Status::Pending);
        d.finish_batch(3, labels(&[("s1", Some(2))]), HUMAN_LABELS, "a").unwrap();
        let report = d.finish_batch(3, labels(&[("s0", Some(0))]), HUMAN_LABELS, "b").unwrap();
        assert_eq!(report, BatchReport { n_annotated: 1, n_verified_empty: 1, n_pending: 0 });
        assert_eq!(d.batches(), [3]);
    }

    #[test]
    fn a_sample_that_was_taken_back_has_left_its_batch() {
        let mut d = pool_of(2);
        d.begin_batch(0, &ids(&["s0", "s1"])).unwrap();
        d.set_status(&ids(&["s0"]), Status::Unlabeled, Some("blurred")).unwrap();
        let report = d.finish_batch(0, labels(&[("s1", Some(1))]), HUMAN_LABELS, "a").unwrap();
        assert_eq!(report.n_pending, 0);
        assert!(d.finish_batch(0, labels(&[("s0", Some(1))]), HUMAN_LABELS, "a").is_err());
        d.begin_batch(1, &ids(&["s0"])).unwrap();
    }
}
