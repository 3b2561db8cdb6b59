//! Labels that name their class in words, before there is a schema to number them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use labelloop_core::{AnnotationSet, BBox, ClassIdx, ClassSchema, Extra, LabelledBox, SampleRecord};

use crate::warning::Notes;
use crate::{FormatError, ReadOptions, Result, WarningKind};

/// A label with its class in words and its place in the source.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) class: String,
    /// Its class number is not set yet.
    pub(crate) label: LabelledBox,
    pub(crate) path: Rc<PathBuf>,
    pub(crate) line: Option<usize>,
    pub(crate) place: String,
}

impl Named {
    pub(crate) fn new(
        class: String,
        bbox: BBox,
        path: &Rc<PathBuf>,
        line: Option<usize>,
        place: String,
    ) -> Self {
        let label = LabelledBox::new(ClassIdx(0), bbox);
        Self { class, label, path: Rc::clone(path), line, place }
    }
}

/// Samples with `boxes` empty or `None` as the source says, each with its labels.
pub(crate) type NamedSamples = Vec<(SampleRecord, Vec<Named>)>;

/// Numbers the classes by the caller's schema, else the source's list, else the names that occur.
///
/// Notes labels of other classes (left out), labels beyond their picture (kept) and samples that occur twice (the later
/// left out).
pub(crate) fn resolve(
    path: &Path,
    samples: NamedSamples,
    listed: Option<ClassSchema>,
    options: &ReadOptions,
    notes: &mut Notes,
) -> Result<AnnotationSet> {
    let schema = match options.schema.clone().or(listed) {
        Some(schema) => schema,
        None => inferred(path, &samples, notes)?,
    };
    let index: BTreeMap<&str, ClassIdx> = schema.iter().map(|(class, name)| (name, class)).collect();
    let (mut done, mut seen) = (Vec::with_capacity(samples.len()), BTreeSet::new());
    for (mut sample, labels) in samples {
        if !seen.insert(sample.id.clone()) {
            let kind = WarningKind::DuplicateId { place: sample.file_name, id: sample.id.to_string() };
            notes.note(None, kind)?;
            continue;
        }
        for named in labels {
            add(&mut sample, named, &index, &schema, notes)?;
        }
        done.push(sample);
    }
    Ok(AnnotationSet { schema, samples: done, extra: Extra::new() })
}

fn add(
    sample: &mut SampleRecord,
    named: Named,
    index: &BTreeMap<&str, ClassIdx>,
    schema: &ClassSchema,
    notes: &mut Notes,
) -> Result<()> {
    let Named { class, mut label, path, line, place } = named;
    let Some(class) = index.get(class.as_str()) else {
        let nearest = schema.nearest(&class).map(str::to_owned);
        return notes.note_in(&path, line, WarningKind::UnknownClass { place, found: class, nearest });
    };
    if sample.size.is_some_and(|size| !label.bbox.is_inside(size, 1.0)) {
        notes.note_in(&path, line, WarningKind::OutsideImage { place })?;
    }
    label.class = *class;
    sample.boxes.get_or_insert_default().push(label);
    Ok(())
}

fn inferred(path: &Path, samples: &NamedSamples, notes: &mut Notes) -> Result<ClassSchema> {
    let names: BTreeSet<&str> =
        samples.iter().flat_map(|(_, labels)| labels).map(|l| l.class.as_str()).collect();
    let n_classes = names.len();
    let schema =
        ClassSchema::new(names).map_err(|source| FormatError::Schema { path: path.to_owned(), source })?;
    notes.note(None, WarningKind::SchemaInferred { n_classes })?;
    Ok(schema)
}
