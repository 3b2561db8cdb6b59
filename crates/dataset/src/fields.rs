use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use labelloop_core::{
    AnnotationSet, ClassIdx, Extra, LabelledBox, LabelledBy, LabelledCuboid, SampleId, ScoredBox,
};
use serde_json::Value;

use crate::dataset::field;
use crate::disk::{Item, Scores};
use crate::labels::{Answer, Entry, Labels};
use crate::{Dataset, DatasetError, Result};

/// Labels, predictions and scores by field name.
///
/// In every label field, no entry means that nobody looked, and an empty entry means that someone looked and there is
/// no object. Labels of the frozen test set are refused here; [`crate::TestAccess`] hands them out.
///
/// A field that was committed is read when it is first asked for; [`DatasetError::Io`] and [`DatasetError::Corrupt`] say
/// so if its file went away or changed since the snapshot was taken.
impl Dataset {
    /// Names of all label fields (boxes and cuboids), in order.
    pub fn field_names(&self) -> Vec<&str> {
        let names: BTreeSet<&String> = self.boxes.keys().chain(self.cuboids.keys()).collect();
        names.into_iter().map(String::as_str).collect()
    }

    /// Names of all prediction fields, in order.
    pub fn prediction_names(&self) -> Vec<&str> {
        self.predictions.keys().map(String::as_str).collect()
    }

    /// Names of all per-sample scores, in order.
    pub fn score_names(&self) -> Vec<&str> {
        self.scores.keys().map(String::as_str).collect()
    }

    /// Labels of a picture: `None` when nobody looked yet.
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
    /// let id = dataset.unlabeled_pool().ids()[0].clone();
    /// assert_eq!(dataset.boxes(HUMAN_LABELS, &id)?, None, "nobody looked");
    /// dataset.set_boxes(HUMAN_LABELS, &id, vec![])?;
    /// assert_eq!(dataset.boxes(HUMAN_LABELS, &id)?, Some(&[][..]), "nothing there");
    /// let slip = dataset.boxes("human_label", &id).unwrap_err();
    /// assert!(slip.to_string().ends_with("did you mean \"human_labels\"?"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::UnknownField`] with the names there are and the nearest one, [`DatasetError::UnknownSample`],
    /// [`DatasetError::FrozenTest`] for a sample of the test set.
    pub fn boxes(&self, name: &str, id: &SampleId) -> Result<Option<&[LabelledBox]>> {
        let labels = field(&self.boxes, "box", name)?;
        self.check_readable(name, id)?;
        labels.get(id)
    }

    /// Labels of a point cloud: `None` when nobody looked yet.
    ///
    /// # Errors
    /// As [`Dataset::boxes`].
    pub fn cuboids(&self, name: &str, id: &SampleId) -> Result<Option<&[LabelledCuboid]>> {
        let labels = field(&self.cuboids, "cuboid", name)?;
        self.check_readable(name, id)?;
        labels.get(id)
    }

    /// What a model proposes for a sample: `None` when it was not run. Name the field after the model
    /// (`predictions@<digest>`), so that two models do not mix.
    ///
    /// # Errors
    /// [`DatasetError::UnknownField`], [`DatasetError::UnknownSample`].
    pub fn predictions(&self, name: &str, id: &SampleId) -> Result<Option<&[ScoredBox]>> {
        let found = field(&self.predictions, "prediction", name)?;
        self.sample(id)?;
        found.get(id)
    }

    /// One number per sample, such as `zcore@v0`.
    ///
    /// # Errors
    /// [`DatasetError::UnknownField`].
    pub fn scores(&self, name: &str) -> Result<&BTreeMap<SampleId, f64>> {
        field(&self.scores, "score", name)?.values()
    }

    /// Replaces the labels of a picture; a new name makes a new field.
    ///
    /// # Errors
    /// [`DatasetError::UnknownSample`], [`DatasetError::FrozenTest`], [`DatasetError::ClassOutOfSchema`],
    /// [`DatasetError::InvalidArea`], [`DatasetError::InvalidFieldName`].
    pub fn set_boxes(&mut self, name: &str, id: &SampleId, boxes: Vec<LabelledBox>) -> Result<()> {
        check_field_name(name)?;
        self.check_readable(name, id)?;
        self.check_boxes(id, &boxes)?;
        self.boxes.entry(name.to_owned()).or_default().insert(id.clone(), Answer::new(boxes));
        Ok(())
    }

    /// Replaces the labels of a point cloud; a new name makes a new field.
    ///
    /// # Errors
    /// As [`Dataset::set_boxes`].
    pub fn set_cuboids(&mut self, name: &str, id: &SampleId, cuboids: Vec<LabelledCuboid>) -> Result<()> {
        check_field_name(name)?;
        self.check_readable(name, id)?;
        self.check_classes(id, cuboids.iter().map(|c| c.class))?;
        self.cuboids.entry(name.to_owned()).or_default().insert(id.clone(), Answer::new(cuboids));
        Ok(())
    }

    /// Replaces what a model proposes for a sample.
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
    /// let id = dataset.members::<Val>().ids()[0].clone();
    /// let found = ScoredBox::new(ClassIdx(1), BBox::new(0.0, 0.0, 5.0, 5.0)?, 0.9)?;
    /// dataset.set_predictions("predictions@1f3a", &id, vec![found])?;
    /// assert_eq!(dataset.predictions("predictions@1f3a", &id)?, Some(&[found][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::UnknownSample`], [`DatasetError::ClassOutOfSchema`], [`DatasetError::InvalidFieldName`].
    pub fn set_predictions(&mut self, name: &str, id: &SampleId, found: Vec<ScoredBox>) -> Result<()> {
        check_field_name(name)?;
        self.sample(id)?;
        self.check_classes(id, found.iter().map(ScoredBox::class))?;
        self.predictions.entry(name.to_owned()).or_default().insert(id.clone(), Answer::new(found));
        Ok(())
    }

    /// Replaces a whole score.
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
    /// let scores = dataset.unlabeled_pool().ids().iter().map(|id| (id.clone(), 0.5)).collect();
    /// dataset.set_scores("zcore@v0", scores)?;
    /// assert_eq!(dataset.scores("zcore@v0")?.len(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::UnknownSample`], [`DatasetError::InvalidScore`] for a number that is not finite,
    /// [`DatasetError::InvalidFieldName`]. Nothing has changed then.
    pub fn set_scores(&mut self, name: &str, scores: BTreeMap<SampleId, f64>) -> Result<()> {
        check_field_name(name)?;
        self.check_known(scores.keys())?;
        if let Some((id, found)) = scores.iter().find(|(_, v)| !v.is_finite()) {
            return Err(DatasetError::InvalidScore {
                name: name.to_owned(),
                id: id.to_string(),
                found: *found,
            });
        }
        // What an earlier score of this name was made with says nothing about this one.
        self.info.remove(&made_with_key(name));
        self.scores.insert(name.to_owned(), Scores::Here(scores));
        Ok(())
    }

    /// [`Dataset::set_scores`] that also keeps what the score was made with, such as parameters and seed, in the record
    /// `scores/<name>`.
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
    /// let scores = dataset.unlabeled_pool().ids().iter().map(|id| (id.clone(), 0.5)).collect();
    /// dataset.set_scores_made_with("zcore@0", scores, serde_json::json!({ "n_draws": 10_000 }))?;
    /// assert_eq!(dataset.scores_made_with("zcore@0")?.unwrap()["n_draws"], 10_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Dataset::set_scores`].
    pub fn set_scores_made_with(
        &mut self,
        name: &str,
        scores: BTreeMap<SampleId, f64>,
        made_with: Value,
    ) -> Result<()> {
        self.set_scores(name, scores)?;
        self.info.insert(made_with_key(name), made_with);
        Ok(())
    }

    /// What a score was made with; `None` when that was not kept.
    ///
    /// # Errors
    /// [`DatasetError::UnknownField`].
    pub fn scores_made_with(&self, name: &str) -> Result<Option<&Value>> {
        self.scores(name)?;
        Ok(self.info.get(&made_with_key(name)))
    }

    /// Samples with their labels as formats write them, in the order given.
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
    /// let pool = dataset.unlabeled_pool();
    /// assert_eq!(dataset.annotation_set(GROUND_TRUTH, pool.ids())?.samples.len(), 5);
    /// let test = dataset.members::<FrozenTest>();
    /// assert!(matches!(dataset.annotation_set(GROUND_TRUTH, test.ids()), Err(DatasetError::FrozenTest { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::UnknownField`] when neither boxes nor cuboids have the field, [`DatasetError::UnknownSample`],
    /// [`DatasetError::FrozenTest`].
    pub fn annotation_set<'a>(
        &self,
        name: &str,
        ids: impl IntoIterator<Item = &'a SampleId>,
    ) -> Result<AnnotationSet> {
        self.check_field(name)?;
        let record = |id: &'a SampleId| {
            self.check_readable(name, id)?;
            let mut record = self.sample(id)?.to_record();
            let boxes = entry(&self.boxes, name, id)?;
            let cuboids = entry(&self.cuboids, name, id)?;
            record.labelled_by =
                boxes.and_then(|e| e.by).or(cuboids.and_then(|e| e.by)).map(|by| by.as_ref().clone());
            record.boxes = boxes.map(|e| e.items.to_vec());
            record.cuboids = cuboids.map(|e| e.items.to_vec());
            Ok(record)
        };
        let samples = ids.into_iter().map(record).collect::<Result<Vec<_>>>()?;
        Ok(AnnotationSet { schema: self.schema.clone(), samples, extra: Extra::new() })
    }

    /// Who answered for a sample and when; `None` where nobody did, or nobody said.
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
    /// let id = dataset.unlabeled_pool().ids()[0].clone();
    /// dataset.set_boxes(HUMAN_LABELS, &id, vec![])?;
    /// let by = LabelledBy { annotator: Some("ann".into()), at: Some("2026-03-01T09:30:00Z".into()) };
    /// dataset.set_labelled_by(HUMAN_LABELS, &id, &by)?;
    /// assert_eq!(dataset.labelled_by(HUMAN_LABELS, &id)?, Some(&by));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::UnknownField`] when neither boxes nor cuboids have the field, [`DatasetError::UnknownSample`],
    /// [`DatasetError::FrozenTest`].
    pub fn labelled_by(&self, name: &str, id: &SampleId) -> Result<Option<&LabelledBy>> {
        self.check_field(name)?;
        self.check_readable(name, id)?;
        let boxes = entry(&self.boxes, name, id)?.and_then(|e| e.by);
        let cuboids = entry(&self.cuboids, name, id)?.and_then(|e| e.by);
        Ok(boxes.or(cuboids).map(AsRef::as_ref))
    }

    /// Says who answered for a sample and when. A sample without an answer in that field stays without.
    ///
    /// # Errors
    /// As [`Dataset::labelled_by`].
    pub fn set_labelled_by(&mut self, name: &str, id: &SampleId, by: &LabelledBy) -> Result<()> {
        self.check_field(name)?;
        self.check_readable(name, id)?;
        let by = Arc::new(by.clone());
        if let Some(labels) = self.boxes.get_mut(name) {
            labels.sign(id, &by)?;
        }
        if let Some(labels) = self.cuboids.get_mut(name) {
            labels.sign(id, &by)?;
        }
        Ok(())
    }

    pub(crate) fn check_field(&self, name: &str) -> Result<()> {
        if !self.cuboids.contains_key(name) {
            field(&self.boxes, "box", name)?;
        }
        Ok(())
    }

    fn check_readable(&self, name: &str, id: &SampleId) -> Result<()> {
        self.sample(id)?;
        if self.is_test(id) {
            return Err(DatasetError::FrozenTest { id: id.to_string(), field: name.to_owned() });
        }
        Ok(())
    }

    pub(crate) fn check_boxes(&self, id: &SampleId, boxes: &[LabelledBox]) -> Result<()> {
        self.check_classes(id, boxes.iter().map(|b| b.class))?;
        let area = |b: &LabelledBox| b.area.unwrap_or(0.0);
        match boxes.iter().map(area).enumerate().find(|(_, a)| !(0.0 <= *a) || !a.is_finite()) {
            Some((position, found)) => Err(DatasetError::InvalidArea { id: id.to_string(), position, found }),
            None => Ok(()),
        }
    }

    pub(crate) fn check_classes(&self, id: &SampleId, classes: impl Iterator<Item = ClassIdx>) -> Result<()> {
        let n_classes = self.schema.n_classes();
        match classes.enumerate().find(|(_, c)| c.as_usize() >= n_classes) {
            Some((position, class)) => Err(DatasetError::ClassOutOfSchema {
                id: id.to_string(),
                position,
                found: class.0,
                n_classes,
            }),
            None => Ok(()),
        }
    }
}

/// The answer about a sample in a field; nothing where there is no such field.
pub(crate) fn entry<'a, T: Item>(
    fields: &'a BTreeMap<String, Labels<T>>,
    name: &str,
    id: &SampleId,
) -> Result<Option<Entry<'a, T>>> {
    fields.get(name).map_or(Ok(None), |labels| labels.entry(id))
}

fn made_with_key(name: &str) -> String {
    format!("scores/{name}")
}

pub(crate) fn check_field_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(DatasetError::InvalidFieldName { found: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, Cuboid, CuboidFrame};

    use crate::testing::{a_box, ids, pool_of, split_scene};
    use crate::{GROUND_TRUTH, HUMAN_LABELS};

    use super::*;

    #[test]
    fn a_wrong_field_names_the_right_one() {
        let d = pool_of(1);
        let e = d.boxes("human_label", &ids(&["s0"])[0]).unwrap_err();
        assert_eq!(
            e.to_string(),
            "no box field \"human_label\": expected one of [\"ground_truth\", \"human_labels\"]; did you mean \"human_labels\"?"
        );
        assert!(d.scores("zcore").is_err() && d.predictions("p", &ids(&["s0"])[0]).is_err());
    }

    #[test]
    fn nobody_looked_differs_from_nothing_there() {
        let mut d = pool_of(2);
        let [a, b] = ["s0", "s1"].map(|t| SampleId::new(t).unwrap());
        d.set_boxes(HUMAN_LABELS, &a, vec![]).unwrap();
        assert_eq!(d.boxes(HUMAN_LABELS, &a).unwrap(), Some(&[][..]));
        assert_eq!(d.boxes(HUMAN_LABELS, &b).unwrap(), None);
    }

    #[test]
    fn labels_are_checked_against_the_schema() {
        let mut d = pool_of(1);
        let id = &ids(&["s0"])[0];
        let e = d.set_boxes("x", id, vec![a_box(0), a_box(9)]).unwrap_err();
        assert_eq!(e.to_string(), "label 1 of sample s0 has class number 9: expected 0 to 1");
        let mut nan = a_box(0);
        nan.area = Some(f64::NAN);
        assert!(matches!(d.set_boxes("x", id, vec![nan]), Err(DatasetError::InvalidArea { .. })));
        let cuboid = Cuboid::new([0.0; 3], [1.0; 3], 0.0, CuboidFrame::Lidar).unwrap();
        let far = LabelledCuboid { class: ClassIdx(7), cuboid, annotator: None };
        assert!(d.set_cuboids("x", id, vec![far]).is_err());
        let scored = ScoredBox::new(ClassIdx(5), BBox::new(0.0, 0.0, 1.0, 1.0).unwrap(), 0.5).unwrap();
        assert!(d.set_predictions("p", id, vec![scored]).is_err());
        assert_eq!(d.field_names(), [GROUND_TRUTH, HUMAN_LABELS], "nothing was made by a refused call");
    }

    #[test]
    fn empty_names_and_infinite_scores_are_refused() {
        let mut d = pool_of(1);
        let id = ids(&["s0"]).remove(0);
        assert!(matches!(d.set_boxes(" ", &id, vec![]), Err(DatasetError::InvalidFieldName { .. })));
        let scores = BTreeMap::from([(id.clone(), f64::INFINITY)]);
        assert!(matches!(d.set_scores("zcore", scores), Err(DatasetError::InvalidScore { .. })));
        d.set_scores("zcore@v0", BTreeMap::from([(id.clone(), 0.25)])).unwrap();
        assert_eq!(d.scores("zcore@v0").unwrap()[&id], 0.25);
        assert_eq!(d.score_names(), ["zcore@v0"]);
    }

    #[test]
    fn what_a_score_was_made_with_goes_with_it() {
        let mut d = pool_of(1);
        let scores = BTreeMap::from([(ids(&["s0"]).remove(0), 0.25)]);
        let made_with = serde_json::json!({ "n_draws": 3 });
        d.set_scores_made_with("zcore@0", scores.clone(), made_with.clone()).unwrap();
        assert_eq!(d.scores_made_with("zcore@0").unwrap(), Some(&made_with));
        let bad = BTreeMap::from([(ids(&["s0"]).remove(0), f64::NAN)]);
        assert!(d.set_scores_made_with("zcore@0", bad, Value::Null).is_err());
        assert_eq!(
            d.scores_made_with("zcore@0").unwrap(),
            Some(&made_with),
            "a refused call changes nothing"
        );
        d.set_scores("zcore@0", scores).unwrap();
        assert_eq!(d.scores_made_with("zcore@0").unwrap(), None, "another score has other parameters");
        assert!(d.scores_made_with("zcore@1").is_err());
    }

    #[test]
    fn test_labels_are_refused_both_ways() {
        let mut d = split_scene(8);
        let test = d.members::<labelloop_core::FrozenTest>();
        let id = &test.ids()[0];
        assert!(matches!(d.boxes(GROUND_TRUTH, id), Err(DatasetError::FrozenTest { .. })));
        assert!(matches!(d.cuboids(GROUND_TRUTH, id), Err(DatasetError::FrozenTest { .. })));
        assert!(matches!(d.set_boxes(GROUND_TRUTH, id, vec![]), Err(DatasetError::FrozenTest { .. })));
        assert!(matches!(d.annotation_set(GROUND_TRUTH, test.ids()), Err(DatasetError::FrozenTest { .. })));
    }

    #[test]
    fn an_annotation_set_keeps_the_order_asked_for() {
        let mut d = pool_of(2);
        let order = ids(&["s1", "s0"]);
        d.set_boxes(HUMAN_LABELS, &order[0], vec![a_box(1)]).unwrap();
        let set = d.annotation_set(HUMAN_LABELS, &order).unwrap();
        assert_eq!(set.samples[0].boxes.as_deref(), Some(&[a_box(1)][..]));
        assert_eq!(set.samples[1].boxes, None);
        assert!(d.annotation_set("nothing", &order).is_err());
    }
}
