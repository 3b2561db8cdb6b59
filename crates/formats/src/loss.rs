use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use labelloop_core::{AnnotationSet, Extra, SampleId, SampleRecord, ScoredBox, SliceKind};

use crate::coco::Detections;
use crate::{Format, FormatError, Result, Warning, WarningKind};

/// A kind of thing that some format cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Lost {
    /// Point clouds.
    PointClouds,
    /// Labels in point clouds.
    Cuboids,
    /// Samples that nobody looked at yet.
    UnlabelledSamples,
    /// The difference between "no object" and "nobody looked".
    UnlabelledMarks,
    /// Image sizes.
    Sizes,
    /// Split groups that are not the sample itself.
    Groups,
    /// Captures that are not the sample itself, and slices.
    Captures,
    /// Areas other than that of the box.
    Areas,
    /// Crowd marks.
    CrowdMarks,
    /// Names of annotators.
    Annotators,
    /// Fields of labels that we do not interpret.
    LabelFields,
    /// Fields of samples that we do not interpret.
    SampleFields,
    /// Fields of the whole file that we do not interpret.
    FileFields,
    /// Ids that are not whole numbers or are taken.
    Ids,
    /// Class names that had to be rewritten.
    ClassNames,
    /// Boxes of pictures that the format has no labels for: KITTI's right ones.
    Boxes,
    /// Slices of a capture that the format has no place for.
    Slices,
    /// Tilts of cuboids, of which only the heading was kept.
    Tilts,
    /// Proposals of a model for samples that have labels already.
    Proposals,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lost::PointClouds => "point clouds",
            Lost::Cuboids => "cuboids",
            Lost::UnlabelledSamples => "unlabelled samples",
            Lost::UnlabelledMarks => "marks of unlabelled samples",
            Lost::Sizes => "image sizes",
            Lost::Groups => "split groups",
            Lost::Captures => "captures and slices",
            Lost::Areas => "stated areas",
            Lost::CrowdMarks => "crowd marks",
            Lost::Annotators => "annotator names",
            Lost::LabelFields => "extra fields of labels",
            Lost::SampleFields => "extra fields of samples",
            Lost::FileFields => "extra fields of the file",
            Lost::Ids => "ids",
            Lost::ClassNames => "class names as they are",
            Lost::Boxes => "boxes of pictures without a label file",
            Lost::Slices => "slices",
            Lost::Tilts => "tilts of cuboids",
            Lost::Proposals => "proposals for labelled samples",
        })
    }
}

/// What one format can hold beyond classes and boxes; everything else is counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Holds {
    pub(crate) unlabelled_marks: bool,
    pub(crate) sizes: bool,
    pub(crate) groups: bool,
    pub(crate) captures: bool,
    pub(crate) areas: bool,
    pub(crate) crowds: bool,
    pub(crate) annotators: bool,
    pub(crate) all_label_fields: bool,
    pub(crate) all_sample_fields: bool,
    pub(crate) all_file_fields: bool,
    pub(crate) label_fields: &'static [&'static str],
    pub(crate) sample_fields: &'static [&'static str],
    pub(crate) file_fields: &'static [&'static str],
}

/// Counts of what was lost, one warning per kind.
#[derive(Debug, Default)]
pub(crate) struct Losses(BTreeMap<Lost, usize>);

impl Losses {
    pub(crate) fn add(&mut self, what: Lost, count: usize) {
        if 0 < count {
            *self.0.entry(what).or_default() += count;
        }
    }

    pub(crate) fn into_warnings(self, path: &Path, format: Format) -> Vec<Warning> {
        self.0
            .into_iter()
            .map(|(what, count)| Warning {
                path: path.to_owned(),
                line: None,
                kind: WarningKind::NotCarried { format, what, count },
            })
            .collect()
    }

    /// Counts what the pictures that will be written hold beyond what the format can.
    pub(crate) fn of<'a>(
        set: &AnnotationSet,
        written: impl IntoIterator<Item = &'a SampleRecord>,
        holds: &Holds,
    ) -> Self {
        let mut losses = Self::default();
        losses.add(Lost::FileFields, unheld(&set.extra, holds.all_file_fields, holds.file_fields));
        for sample in written {
            losses.count(sample, holds);
        }
        losses
    }

    /// Counts what one sample holds beyond what the format can.
    pub(crate) fn count(&mut self, sample: &SampleRecord, holds: &Holds) {
        let id = sample.id.as_str();
        self.add(Lost::Cuboids, sample.cuboids.as_ref().map_or(0, Vec::len));
        let fields = unheld(&sample.extra, holds.all_sample_fields, holds.sample_fields);
        self.add(Lost::SampleFields, fields);
        let mut unless = |held: bool, what: Lost, there: bool| self.add(what, usize::from(!held && there));
        unless(holds.unlabelled_marks, Lost::UnlabelledMarks, sample.boxes.is_none());
        unless(holds.sizes, Lost::Sizes, sample.size.is_some());
        unless(holds.groups, Lost::Groups, sample.group.as_str() != id);
        let lone = sample.capture.as_str() == id && sample.slice == "main";
        unless(holds.captures, Lost::Captures, !lone);
        for label in sample.boxes.iter().flatten() {
            unless(holds.areas, Lost::Areas, label.area.is_some());
            unless(holds.crowds, Lost::CrowdMarks, label.is_crowd);
            unless(holds.annotators, Lost::Annotators, label.annotator.is_some());
        }
        let labels = sample.boxes.iter().flatten();
        let n_fields = labels.map(|l| unheld(&l.extra, holds.all_label_fields, holds.label_fields)).sum();
        self.add(Lost::LabelFields, n_fields);
    }
}

/// Ids and the text of COCO's category list identify and describe what is written anyway, so they are not counted.
fn unheld(extra: &Extra, all: bool, known: &[&str]) -> usize {
    if all {
        return 0;
    }
    extra
        .keys()
        .filter(|k| !matches!(k.as_str(), "id" | "categories") && !known.contains(&k.as_str()))
        .count()
}

/// Refuses a set that contradicts itself: a class number without a name, a sample twice.
pub(crate) fn check(set: &AnnotationSet) -> Result<()> {
    let n_classes = set.schema.n_classes();
    let mut seen = BTreeSet::new();
    for sample in &set.samples {
        if !seen.insert(&sample.id) {
            return Err(FormatError::DuplicateSample { sample: sample.id.to_string() });
        }
        let classes = sample.boxes.iter().flatten().map(|b| b.class);
        let cuboids = sample.cuboids.iter().flatten().map(|c| c.class);
        if let Some(class) = classes.chain(cuboids).find(|c| n_classes <= c.as_usize()) {
            return Err(FormatError::ClassOutOfRange {
                sample: sample.id.to_string(),
                class: class.0,
                n_classes,
            });
        }
    }
    Ok(())
}

/// Refuses proposals for samples that the set does not hold or of classes without a name.
pub(crate) fn check_predictions(set: &AnnotationSet, predictions: &Detections) -> Result<()> {
    let pictures = || set.samples.iter().filter(|s| s.kind == SliceKind::Image);
    let known: BTreeSet<&SampleId> = pictures().map(|s| &s.id).collect();
    let n_classes = set.schema.n_classes();
    for (id, found) in predictions {
        let sample = id.to_string();
        if !known.contains(id) {
            return Err(FormatError::UnknownSample { sample, n_samples: known.len() });
        }
        if let Some(class) = found.iter().map(ScoredBox::class).find(|c| n_classes <= c.as_usize()) {
            return Err(FormatError::ClassOutOfRange { sample, class: class.0, n_classes });
        }
    }
    Ok(())
}
