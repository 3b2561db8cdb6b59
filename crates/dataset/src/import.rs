use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use labelloop_core::{
    AnnotationSet, BBox, CaptureId, ClassIdx, GroupKey, LabelledBox, LabelledBy, LabelledCuboid, SampleId,
    SampleRecord,
};
use serde::{Deserialize, Serialize};

use crate::fields::{check_field_name, entry};
use crate::labels::Answer;
use crate::policy::Verdict;
use crate::{BoxPolicy, Dataset, DatasetError, Result, Sample};

/// What an import did, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Samples that were not there before.
    pub n_new: usize,
    /// Samples that were there with the same content.
    pub n_unchanged: usize,
    /// Samples that were there and got labels in a field where they had none.
    pub n_labelled: usize,
    /// Boxes taken in, clipped ones among them.
    pub n_boxes: usize,
    /// Cuboids taken in.
    pub n_cuboids: usize,
    /// Boxes cut to their picture.
    pub n_clipped: usize,
    /// Boxes without area that were left out.
    pub n_degenerate_rejected: usize,
    /// Boxes without area that were kept.
    pub n_degenerate_kept: usize,
    /// Boxes outside their picture that were left out.
    pub n_outside_rejected: usize,
    /// Boxes outside their picture that were kept.
    pub n_outside_kept: usize,
    /// Objects of classes outside the schema, by class name; they were left out.
    pub unknown_classes: BTreeMap<String, usize>,
    /// Those objects one by one.
    pub quarantined: Vec<Quarantined>,
}

/// An object that was left out because the schema does not know its class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The sample it was on.
    pub id: SampleId,
    /// The class as the source names it.
    pub class: String,
    /// Where it was, for an object in a picture.
    pub bbox: Option<BBox>,
}

struct Incoming {
    sample: Sample,
    boxes: Option<Vec<LabelledBox>>,
    cuboids: Option<Vec<LabelledCuboid>>,
    by: Option<Arc<LabelledBy>>,
}

impl Dataset {
    /// Takes samples in and puts their labels into a field. Importing the same set again changes nothing. Classes are
    /// matched by name. New samples belong to no split until [`Dataset::split`] runs, and have status unlabeled
    /// whatever labels they bring: labels that were imported are not labels that this loop asked people for.
    ///
    /// Nothing has changed when an error is returned.
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
    /// assert_eq!(dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?.n_unchanged, 8);
    /// let mut wide = SampleRecord::image("wide", "wide.png", ImageSize::new(64, 48)?)?;
    /// wide.boxes = Some(vec![car(60.0)]);
    /// let set = AnnotationSet { samples: vec![wide], ..set };
    /// assert_eq!(dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?.n_clipped, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::SampleConflict`] for a known id with other content, [`DatasetError::DuplicateSlice`],
    /// [`DatasetError::TornCapture`], [`DatasetError::Core`] for an unknown class in strict mode,
    /// [`DatasetError::FrozenTest`] for new labels of test samples, [`DatasetError::InvalidSlack`].
    pub fn import(&mut self, set: &AnnotationSet, field: &str, policy: BoxPolicy) -> Result<ImportReport> {
        check_field_name(field)?;
        policy.check()?;
        let classes = self.match_classes(set, policy.strict)?;
        let mut report = ImportReport::default();
        let merged = self.merged_groups()?;
        let mut incoming: BTreeMap<SampleId, Incoming> = BTreeMap::new();
        for record in &set.samples {
            let boxes = self.take_boxes(record, &classes, set, policy, &mut report)?;
            let cuboids = self.take_cuboids(record, &classes, set, &mut report)?;
            let by = record.labelled_by.clone().map(Arc::new);
            let new = Incoming { sample: under_merged_name(record, &merged), boxes, cuboids, by };
            if let Some(old) = incoming.get(&record.id) {
                same_record(&old.sample, &new.sample)?;
                same_labels(&record.id, "boxes", old.boxes.as_deref(), new.boxes.as_deref())?;
                same_labels(&record.id, "cuboids", old.cuboids.as_deref(), new.cuboids.as_deref())?;
            }
            incoming.insert(record.id.clone(), new);
        }
        self.check_captures(incoming.values().map(|i| &i.sample))?;
        for new in incoming.values() {
            self.check_against_known(new, field, &mut report)?;
        }
        self.take_in(incoming, field)?;
        Ok(report)
    }

    /// The dataset's class of each class of the set, by name.
    fn match_classes(&self, set: &AnnotationSet, strict: bool) -> Result<Vec<Option<ClassIdx>>> {
        let mut used = vec![false; set.schema.n_classes()];
        for record in &set.samples {
            let boxes = record.boxes.iter().flatten().map(|b| b.class);
            for class in boxes.chain(record.cuboids.iter().flatten().map(|c| c.class)) {
                if let Some(slot) = used.get_mut(class.as_usize()) {
                    *slot = true;
                }
            }
        }
        let matched = |((_, name), used): ((ClassIdx, &str), &bool)| match self.schema.index(name) {
            Ok(class) => Ok(Some(class)),
            Err(e) if strict && *used => Err(e.into()),
            Err(_) => Ok(None),
        };
        set.schema.iter().zip(&used).map(matched).collect()
    }

    fn take_boxes(
        &self,
        record: &SampleRecord,
        classes: &[Option<ClassIdx>],
        set: &AnnotationSet,
        policy: BoxPolicy,
        report: &mut ImportReport,
    ) -> Result<Option<Vec<LabelledBox>>> {
        let Some(boxes) = &record.boxes else { return Ok(None) };
        let mut taken = Vec::with_capacity(boxes.len());
        for (position, b) in boxes.iter().enumerate() {
            let Some(class) = class_of(record, position, b.class, classes)? else {
                report.quarantine(record, b.class, set, Some(b.bbox));
                continue;
            };
            if let Some(bbox) = report.count(policy.judge(b.bbox, record.size)) {
                taken.push(LabelledBox { class, bbox, ..b.clone() });
            }
        }
        self.check_boxes(&record.id, &taken)?;
        Ok(Some(taken))
    }

    fn take_cuboids(
        &self,
        record: &SampleRecord,
        classes: &[Option<ClassIdx>],
        set: &AnnotationSet,
        report: &mut ImportReport,
    ) -> Result<Option<Vec<LabelledCuboid>>> {
        let Some(cuboids) = &record.cuboids else { return Ok(None) };
        let mut taken = Vec::with_capacity(cuboids.len());
        for (position, c) in cuboids.iter().enumerate() {
            match class_of(record, position, c.class, classes)? {
                Some(class) => taken.push(LabelledCuboid { class, ..c.clone() }),
                None => report.quarantine(record, c.class, set, None),
            }
        }
        report.n_cuboids += taken.len();
        Ok(Some(taken))
    }

    /// Slices of a capture have distinct names and one group, old and new samples taken together.
    fn check_captures<'a>(&'a self, new: impl Iterator<Item = &'a Sample> + Clone) -> Result<()> {
        let touched: HashSet<&CaptureId> = new.clone().map(|s| &s.capture).collect();
        let old = self.samples.values().filter(|s| touched.contains(&s.capture));
        let mut slices: BTreeMap<(&CaptureId, &str), &SampleId> = BTreeMap::new();
        let mut groups: BTreeMap<&CaptureId, &GroupKey> = BTreeMap::new();
        for s in old.chain(new) {
            let first = slices.entry((&s.capture, &s.slice)).or_insert(&s.id);
            if **first != s.id {
                return Err(DatasetError::DuplicateSlice {
                    capture: s.capture.to_string(),
                    slice: s.slice.clone(),
                    first: first.to_string(),
                    second: s.id.to_string(),
                });
            }
            let group = groups.entry(&s.capture).or_insert(&s.group);
            if **group != s.group {
                return Err(DatasetError::TornCapture {
                    capture: s.capture.to_string(),
                    id: s.id.to_string(),
                    found: s.group.to_string(),
                    expected: group.to_string(),
                });
            }
        }
        Ok(())
    }

    fn check_against_known(&self, new: &Incoming, field: &str, report: &mut ImportReport) -> Result<()> {
        let id = &new.sample.id;
        let Some(old) = self.samples.get(id) else {
            report.n_new += 1;
            return Ok(());
        };
        same_record(old, &new.sample)?;
        let old_boxes = entry(&self.boxes, field, id)?.map(|e| e.items);
        let old_cuboids = entry(&self.cuboids, field, id)?.map(|e| e.items);
        let brings =
            (new.boxes.is_some() && old_boxes.is_none()) || (new.cuboids.is_some() && old_cuboids.is_none());
        let differs = |e: DatasetError| match self.is_test(id) {
            true => DatasetError::FrozenTest { id: id.to_string(), field: field.to_owned() },
            false => e,
        };
        same_labels(id, "boxes", old_boxes, new.boxes.as_deref()).map_err(differs)?;
        same_labels(id, "cuboids", old_cuboids, new.cuboids.as_deref()).map_err(differs)?;
        match brings {
            true if self.is_test(id) => {
                Err(DatasetError::FrozenTest { id: id.to_string(), field: field.to_owned() })
            }
            true => {
                report.n_labelled += 1;
                Ok(())
            }
            false => {
                report.n_unchanged += 1;
                Ok(())
            }
        }
    }

    fn take_in(&mut self, incoming: BTreeMap<SampleId, Incoming>, field: &str) -> Result<()> {
        let boxes = self.boxes.entry(field.to_owned()).or_default();
        let cuboids = self.cuboids.entry(field.to_owned()).or_default();
        let mut new_samples = BTreeMap::new();
        for (id, Incoming { sample, boxes: new_boxes, cuboids: new_cuboids, by }) in incoming {
            if let Some(items) = new_boxes
                && boxes.get(&id)?.is_none()
            {
                boxes.insert(id.clone(), Answer { items, by: by.clone() });
            }
            if let Some(items) = new_cuboids
                && cuboids.get(&id)?.is_none()
            {
                cuboids.insert(id.clone(), Answer { items, by });
            }
            if !self.samples.contains_key(&id) {
                new_samples.insert(id, sample);
            }
        }
        // Appending packs the map anew, which halves the memory of a million samples.
        self.samples.append(&mut new_samples);
        Ok(())
    }

    /// Takes in a sample that was cut or derived from another one. It belongs to its parent's group and split at once.
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
    /// let parent = dataset.unlabeled_pool().ids()[0].clone();
    /// let mut crop = dataset.sample(&parent)?.to_record();
    /// (crop.id, crop.capture) = (SampleId::new("crop")?, CaptureId::new("crop")?);
    /// dataset.derive(&crop, &parent)?;
    /// assert_eq!(dataset.sample(&crop.id)?.split, Some(Split::Pool));
    /// crop.group = GroupKey::new("elsewhere")?;
    /// assert!(matches!(dataset.derive(&crop, &parent), Err(DatasetError::ForeignParent { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::UnknownSample`] for the parent, [`DatasetError::ForeignParent`] when the group differs,
    /// [`DatasetError::SampleConflict`] when the id is taken by another sample, [`DatasetError::DuplicateSlice`],
    /// [`DatasetError::TornCapture`].
    pub fn derive(&mut self, record: &SampleRecord, parent: &SampleId) -> Result<()> {
        let of = self.sample(parent)?;
        let mut sample = under_merged_name(record, &self.merged_groups()?);
        if of.group != sample.group {
            return Err(DatasetError::ForeignParent {
                id: record.id.to_string(),
                found: record.group.to_string(),
                expected: of.group.to_string(),
                parent: parent.to_string(),
            });
        }
        sample.parent = Some(parent.clone());
        sample.enter(of.split);
        if let Some(old) = self.samples.get(&record.id) {
            same_record(old, &sample)?;
            let name = |p: &Option<SampleId>| p.as_ref().map_or("none".to_owned(), ToString::to_string);
            return differ(&sample.id, "parent", &name(&sample.parent), &name(&old.parent));
        }
        self.check_captures(std::iter::once(&sample))?;
        self.samples.insert(sample.id.clone(), sample);
        Ok(())
    }
}

impl ImportReport {
    fn quarantine(
        &mut self,
        record: &SampleRecord,
        class: ClassIdx,
        set: &AnnotationSet,
        bbox: Option<BBox>,
    ) {
        let class = set.schema.name(class).unwrap_or_default().to_owned();
        *self.unknown_classes.entry(class.clone()).or_default() += 1;
        self.quarantined.push(Quarantined { id: record.id.clone(), class, bbox });
    }

    fn count(&mut self, verdict: Verdict) -> Option<BBox> {
        let (counter, bbox) = match verdict {
            Verdict::Keep(b) => (None, Some(b)),
            Verdict::KeepDegenerate(b) => (Some(&mut self.n_degenerate_kept), Some(b)),
            Verdict::KeepOutside(b) => (Some(&mut self.n_outside_kept), Some(b)),
            Verdict::Clipped(b) => (Some(&mut self.n_clipped), Some(b)),
            Verdict::RejectDegenerate => (Some(&mut self.n_degenerate_rejected), None),
            Verdict::RejectOutside => (Some(&mut self.n_outside_rejected), None),
        };
        if let Some(counter) = counter {
            *counter += 1;
        }
        self.n_boxes += usize::from(bbox.is_some());
        bbox
    }
}

/// The dataset's class, nothing where its schema has none of that name, an error where the set's own schema has none.
fn class_of(
    record: &SampleRecord,
    position: usize,
    class: ClassIdx,
    classes: &[Option<ClassIdx>],
) -> Result<Option<ClassIdx>> {
    classes.get(class.as_usize()).copied().ok_or_else(|| DatasetError::ClassOutOfSchema {
        id: record.id.to_string(),
        position,
        found: class.0,
        n_classes: classes.len(),
    })
}

/// A group that was merged into another one is known by that one's name, also when its old name comes in again.
fn under_merged_name(record: &SampleRecord, merged: &BTreeMap<GroupKey, GroupKey>) -> Sample {
    let mut sample = Sample::from_record(record);
    if let Some(name) = merged.get(&sample.group) {
        sample.group = name.clone();
    }
    sample
}

fn same_record(old: &Sample, new: &Sample) -> Result<()> {
    let id = &new.id;
    let size = |s: &Sample| s.size.map_or("none".to_owned(), |z| format!("{}x{}", z.width(), z.height()));
    differ(id, "capture", new.capture.as_str(), old.capture.as_str())?;
    differ(id, "group", new.group.as_str(), old.group.as_str())?;
    differ(id, "slice", &new.slice, &old.slice)?;
    differ(id, "kind", &format!("{:?}", new.kind), &format!("{:?}", old.kind))?;
    differ(id, "file name", &new.file_name, &old.file_name)?;
    differ(id, "size", &size(new), &size(old))?;
    differ(id, "extra", &format!("{:?}", new.extra), &format!("{:?}", old.extra))
}

fn differ(id: &SampleId, what: &'static str, found: &str, expected: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (found.to_owned(), expected.to_owned());
    Err(DatasetError::SampleConflict { id: id.to_string(), what, found, expected })
}

/// Labels that come in must equal those that are there; where one side has none there is nothing to compare.
fn same_labels<T: PartialEq>(
    id: &SampleId,
    what: &'static str,
    old: Option<&[T]>,
    new: Option<&[T]>,
) -> Result<()> {
    match (old, new) {
        (Some(old), Some(new)) if old != new => {
            let position = old.iter().zip(new).position(|(a, b)| a != b).unwrap_or(old.len().min(new.len()));
            let say = |labels: &[T]| format!("{} labels, other from number {position} on", labels.len());
            Err(DatasetError::SampleConflict {
                id: id.to_string(),
                what,
                found: say(new),
                expected: say(old),
            })
        }
        _ => Ok(()),
    }
}
