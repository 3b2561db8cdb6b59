use std::collections::BTreeSet;

use labelloop_core::{CaptureId, Extra, GroupKey, ImageSize, SampleId, SampleRecord, SliceKind, Split};

use crate::{Status, Tag};

/// One picture or point cloud of a dataset, with what was decided about it. Its labels live in named fields.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// Stable name.
    pub id: SampleId,
    /// What was recorded at the same instant; selected as a whole.
    pub capture: CaptureId,
    /// The unit that a split keeps together.
    pub group: GroupKey,
    /// Name of this slice within its capture.
    pub slice: String,
    /// Picture or point cloud.
    pub kind: SliceKind,
    /// Media file, relative to the media folder, with forward slashes. Media are referenced and never rewritten.
    pub file_name: String,
    /// Pixels, for a picture.
    pub size: Option<ImageSize>,
    /// Fields of the source that we do not interpret.
    pub extra: Extra,
    /// What this sample was cut or derived from.
    pub parent: Option<SampleId>,
    /// The part of the data it belongs to; `None` until its group was split.
    pub split: Option<Split>,
    /// Where it is on its way to being labelled.
    pub status: Status,
    /// The batch it was selected for.
    pub batch: Option<u32>,
    /// Marks set by hand or by the loop; those that follow from split, status and batch are not among them.
    pub tags: BTreeSet<Tag>,
}

impl Sample {
    pub(crate) fn from_record(record: &SampleRecord) -> Self {
        Self {
            id: record.id.clone(),
            capture: record.capture.clone(),
            group: record.group.clone(),
            slice: record.slice.clone(),
            kind: record.kind,
            file_name: record.file_name.clone(),
            size: record.size,
            extra: record.extra.clone(),
            parent: None,
            split: None,
            status: Status::Unlabeled,
            batch: None,
            tags: BTreeSet::new(),
        }
    }

    /// The sample as formats write it, without labels.
    pub fn to_record(&self) -> SampleRecord {
        SampleRecord {
            id: self.id.clone(),
            capture: self.capture.clone(),
            group: self.group.clone(),
            slice: self.slice.clone(),
            kind: self.kind,
            file_name: self.file_name.clone(),
            size: self.size,
            boxes: None,
            cuboids: None,
            labelled_by: None,
            extra: self.extra.clone(),
        }
    }

    /// Whether the sample may be picked for labelling.
    pub fn is_selectable(&self) -> bool {
        self.split == Some(Split::Pool) && self.status == Status::Unlabeled
    }

    /// Whether the sample carries a tag, stored or derived.
    pub fn has_tag(&self, tag: &Tag) -> bool {
        match tag.namespace() {
            "split" => self.split.is_some_and(|s| s.as_str() == tag.value()),
            "status" => self.status.as_str() == tag.value(),
            "batch" => self.batch.is_some_and(|b| is_version(tag.value(), b)),
            "annotated" => self.status.is_done() && self.batch.is_some_and(|b| is_version(tag.value(), b)),
            _ => self.tags.contains(tag),
        }
    }

    /// The tags that follow from split, status and batch, as text.
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
    /// dataset.begin_batch(0, &[id.clone()])?;
    /// assert_eq!(dataset.sample(&id)?.derived_tags(), ["batch:v0", "split:pool", "status:selected"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn derived_tags(&self) -> Vec<String> {
        let mut tags = vec![format!("status:{}", self.status)];
        tags.extend(self.split.map(|s| format!("split:{s}")));
        tags.extend(self.batch.map(|b| format!("batch:v{b}")));
        tags.extend(self.batch.filter(|_| self.status.is_done()).map(|b| format!("annotated:v{b}")));
        tags.sort_unstable();
        tags
    }
}

fn is_version(value: &str, batch: u32) -> bool {
    value.strip_prefix('v').is_some_and(|digits| digits == batch.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        let size = ImageSize::new(4, 4).unwrap();
        Sample::from_record(&SampleRecord::image("a", "a.png", size).unwrap())
    }

    #[test]
    fn derived_tags_follow_the_fields() {
        let mut s = sample();
        assert_eq!(s.derived_tags(), ["status:unlabeled"]);
        (s.split, s.status, s.batch) = (Some(Split::Pool), Status::Annotated, Some(0));
        assert_eq!(s.derived_tags(), ["annotated:v0", "batch:v0", "split:pool", "status:annotated"]);
        for tag in s.derived_tags() {
            assert!(s.has_tag(&Tag::new(tag).unwrap()));
        }
        assert!(!s.has_tag(&Tag::new("batch:v00").unwrap()));
        s.status = Status::Pending;
        assert!(!s.has_tag(&Tag::new("annotated:v0").unwrap()));
    }

    #[test]
    fn only_unlabelled_pool_samples_are_selectable() {
        let mut s = sample();
        assert!(!s.is_selectable(), "not split yet");
        s.split = Some(Split::Pool);
        assert!(s.is_selectable());
        s.status = Status::Pending;
        assert!(!s.is_selectable());
    }

    #[test]
    fn a_record_round_trips() {
        let size = ImageSize::new(4, 4).unwrap();
        let record = SampleRecord::image("a", "a.png", size).unwrap();
        assert_eq!(Sample::from_record(&record).to_record(), record);
    }
}
