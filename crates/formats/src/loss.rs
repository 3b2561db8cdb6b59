use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use labelloop_core::{
    AnnotationSet, ClassSchema, CoreError, Extra, LabelledBox, SampleId, SampleRecord, ScoredBox, SliceKind,
};

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
    /// File names that had to be rewritten.
    FileNames,
    /// Ids of samples that the format's own names stand for.
    SampleIds,
    /// Who answered for a sample, and when.
    LabelledBy,
    /// Boxes of pictures that the format has no labels for: KITTI's right ones.
    Boxes,
    /// Slices of a capture that the format has no place for.
    Slices,
    /// Tilts of cuboids, of which only the heading was kept.
    Tilts,
    /// Proposals of a model for samples that have labels already.
    Proposals,
    /// Lists of proposals that a source had, in place of which new ones were written.
    OlderProposals,
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
            Lost::FileNames => "file names as they are",
            Lost::SampleIds => "sample ids",
            Lost::LabelledBy => "records of who labelled and when",
            Lost::Boxes => "boxes of pictures without a label file",
            Lost::Slices => "slices",
            Lost::Tilts => "tilts of cuboids",
            Lost::OlderProposals => "older lists of proposals",
            Lost::Proposals => "proposals for labelled samples",
        })
    }
}

/// What one format can hold beyond classes and boxes; everything else is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holds {
    pub(crate) unlabelled_marks: bool,
    pub(crate) sizes: bool,
    pub(crate) groups: bool,
    pub(crate) captures: bool,
    pub(crate) areas: bool,
    pub(crate) crowds: bool,
    pub(crate) annotators: bool,
    /// Who answered for a sample and when.
    pub(crate) labelled_by: bool,
    /// Whether a field of the file comes back: its key and text.
    pub(crate) file_field: fn(&str, &str) -> bool,
    /// Whether a field of a sample comes back.
    pub(crate) sample_field: fn(&SampleRecord, &str, &str) -> bool,
    /// Whether a field of a label comes back.
    pub(crate) label_field: fn(&LabelledBox, &str, &str) -> bool,
}

impl Holds {
    /// Classes and boxes alone.
    pub(crate) const NOTHING: Self = Self {
        unlabelled_marks: false,
        sizes: false,
        groups: false,
        captures: false,
        areas: false,
        crowds: false,
        annotators: false,
        labelled_by: false,
        file_field: |_, _| false,
        sample_field: |_, _, _| false,
        label_field: |_, _, _| false,
    };

    /// The fields of a sample that are written as they are: a key that the format itself uses is none of them.
    pub(crate) fn sample_extra(&self, sample: &SampleRecord) -> Extra {
        kept_fields(&sample.extra, |key, raw| (self.sample_field)(sample, key, raw))
    }

    /// The fields of a label that are written as they are.
    pub(crate) fn label_extra(&self, label: &LabelledBox) -> Extra {
        kept_fields(&label.extra, |key, raw| (self.label_field)(label, key, raw))
    }

    /// The fields of the file that are written as they are.
    pub(crate) fn file_extra(&self, set: &AnnotationSet) -> Extra {
        kept_fields(&set.extra, self.file_field)
    }
}

fn kept_fields(extra: &Extra, holds: impl Fn(&str, &str) -> bool) -> Extra {
    let held = |(key, raw): &(&String, &String)| holds(key, raw);
    extra.iter().filter(held).map(|(key, raw)| (key.clone(), raw.clone())).collect()
}

/// Counts of what was lost, one warning per kind, with the names of the fields where it is fields.
#[derive(Debug, Default)]
pub(crate) struct Losses(BTreeMap<Lost, (usize, BTreeSet<String>)>);

impl Losses {
    pub(crate) fn add(&mut self, what: Lost, count: usize) {
        if 0 < count {
            self.0.entry(what).or_default().0 += count;
        }
    }

    fn field(&mut self, what: Lost, name: &str) {
        let (count, names) = self.0.entry(what).or_default();
        *count += 1;
        if !names.contains(name) {
            names.insert(name.to_owned());
        }
    }

    pub(crate) fn into_warnings(self, path: &Path, format: Format) -> Vec<Warning> {
        self.0
            .into_iter()
            .map(|(what, (count, names))| Warning {
                path: path.to_owned(),
                line: None,
                kind: WarningKind::NotCarried { format, what, count, names: names.into_iter().collect() },
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
        for (key, raw) in &set.extra {
            if !(holds.file_field)(key, raw) {
                losses.field(Lost::FileFields, key);
            }
        }
        for sample in written {
            losses.count(sample, holds);
        }
        losses
    }

    /// Counts what one sample holds beyond what the format can. The numbers that a source gave its images and labels are
    /// not counted: they stand for what is written anyway.
    pub(crate) fn count(&mut self, sample: &SampleRecord, holds: &Holds) {
        let id = sample.id.as_str();
        self.add(Lost::Cuboids, sample.cuboids.as_ref().map_or(0, Vec::len));
        for (key, raw) in sample.extra.iter().filter(|(key, _)| *key != "id") {
            if !(holds.sample_field)(sample, key, raw) {
                self.field(Lost::SampleFields, key);
            }
        }
        let mut unless = |held: bool, what: Lost, there: bool| self.add(what, usize::from(!held && there));
        unless(holds.unlabelled_marks, Lost::UnlabelledMarks, sample.boxes.is_none());
        unless(holds.sizes, Lost::Sizes, sample.size.is_some());
        unless(holds.groups, Lost::Groups, sample.group.as_str() != id);
        unless(holds.labelled_by, Lost::LabelledBy, sample.labelled_by.is_some());
        let lone = sample.capture.as_str() == id && sample.slice == "main";
        unless(holds.captures, Lost::Captures, !lone);
        for label in sample.boxes.iter().flatten() {
            self.count_label(label, holds);
        }
    }

    fn count_label(&mut self, label: &LabelledBox, holds: &Holds) {
        let mut unless = |held: bool, what: Lost, there: bool| self.add(what, usize::from(!held && there));
        unless(holds.areas, Lost::Areas, label.area.is_some());
        unless(holds.crowds, Lost::CrowdMarks, label.is_crowd);
        unless(holds.annotators, Lost::Annotators, label.annotator.is_some());
        for (key, raw) in label.extra.iter().filter(|(key, _)| *key != "id") {
            if !(holds.label_field)(label, key, raw) {
                self.field(Lost::LabelFields, key);
            }
        }
    }
}

/// File names that a format reads back otherwise, by what it would read; two that become one are refused, and so are names
/// that no reader takes.
pub(crate) fn file_names<'s>(
    written: impl IntoIterator<Item = &'s SampleRecord>,
    read_back: impl Fn(&str) -> Option<String>,
) -> Result<usize> {
    let (mut taken, mut n_changed) = (BTreeMap::new(), 0);
    for sample in written {
        let name = read_back(&sample.file_name)
            .ok_or_else(|| FormatError::UnsafeName { name: sample.file_name.clone() })?;
        n_changed += usize::from(name != sample.file_name);
        if let Some(first) = taken.insert(name, &sample.id) {
            let written = sample.file_name.clone();
            let (first, second) = (first.to_string(), sample.id.to_string());
            return Err(FormatError::NameClash { first, second, written });
        }
    }
    Ok(n_changed)
}

/// The classes as a format reads them back, and how many are not what they were; names that would be taken for one another
/// are refused.
pub(crate) fn class_words(
    schema: &ClassSchema,
    read_back: impl Fn(&str) -> String,
) -> Result<(Vec<String>, usize)> {
    let words: Vec<String> = schema.names().iter().map(|name| read_back(name)).collect();
    let n_changed = words.iter().zip(schema.names()).filter(|(word, name)| word != name).count();
    if let Err(CoreError::NearDuplicateClass { first, second }) = ClassSchema::new(words.clone()) {
        let name_of = |word: &String| words.iter().position(|w| w == word).map(|i| schema.names()[i].clone());
        let last_of =
            |word: &String| words.iter().rposition(|w| w == word).map(|i| schema.names()[i].clone());
        let (first, second) =
            (name_of(&first).unwrap_or_default(), (last_of(&second).unwrap_or_default(), second));
        return Err(FormatError::NameClash { first, second: second.0, written: second.1 });
    }
    Ok((words, n_changed))
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
