use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use labelloop_core::{
    AnnotationSet, BBox, CaptureId, ClassIdx, ClassSchema, GroupKey, ImageSize, LabelledBox, SampleId,
    SampleRecord, SliceKind,
};

use super::ids::CATEGORIES;
use super::write::id_text;
use super::{CocoDataset, CocoId, OUR_ID, ReadOptions};
use crate::json::{self, Object, Record, Source};
use crate::warning::Notes;
use crate::{FormatError, Result, WarningKind, WithoutAnnotations, files, people};

/// Reads a COCO instances file.
///
/// A sample's id is its file name without the ending, `a/b.jpg` giving `a/b`; where two images would share that, the
/// whole file name. Classes are in the order of their category ids. Samples and labels are in the order of the file.
///
/// Lenient reading leaves out, with one warning each: images without a usable id or file name (duplicates, `../`,
/// absolute paths), annotations without a usable image, class or box. A box beyond its picture is kept with a warning,
/// and so is an image without a size. `NaN` and infinities, which are not JSON, are read as text, so the box that holds
/// one is left out. Text that is not JSON otherwise, a key given twice, a missing list of images or categories and
/// category names that cannot be told apart are errors always.
///
/// Complexity: O(n log n) in images and annotations; memory is a small multiple of the file.
///
/// # Errors
/// [`FormatError::Io`], [`FormatError::NotUtf8`], [`FormatError::Syntax`], [`FormatError::Structure`],
/// [`FormatError::Schema`]; [`FormatError::Refused`] for the first would-be warning under
/// [`crate::Strictness::Strict`].
pub fn read(path: &Path, options: &ReadOptions) -> Result<CocoDataset> {
    let mut notes = Notes::new(path, options.strictness);
    let text = json::read(path, &mut notes)?;
    let source = Source::new(path, &text);
    let mut top: Object<'_> = source.parse_all()?;
    let mut reader = Reader { source: &source, notes: &mut notes, options };

    let categories = reader.categories(&mut top)?;
    let mut images = reader.images(&mut top)?;
    reader.annotations(&mut top, &categories, &mut images)?;

    let mut extra = top.into_extra();
    extra.extend(categories.kept.map(|text| (CATEGORIES.to_owned(), text)));
    let image_ids = images.samples.iter().map(|s| s.id.clone()).zip(images.ids).collect();
    let set = AnnotationSet { schema: categories.schema, samples: images.samples, extra };
    Ok(CocoDataset { set, warnings: notes.into_warnings(), image_ids, category_ids: categories.ids })
}

pub(super) struct Reader<'r, 'a> {
    pub(super) source: &'r Source<'a>,
    pub(super) notes: &'r mut Notes,
    pub(super) options: &'r ReadOptions,
}

pub(super) struct Categories {
    pub(super) schema: ClassSchema,
    pub(super) ids: Vec<i64>,
    pub(super) index: BTreeMap<i64, ClassIdx>,
    /// The list as written, where it says more than names numbered from 1.
    kept: Option<String>,
}

/// `ids` goes along with `samples`.
struct Images {
    samples: Vec<SampleRecord>,
    ids: Vec<CocoId>,
    skipped: BTreeSet<CocoId>,
}

pub(super) const ID: &str = "a whole number or a text";

impl<'a> Reader<'_, 'a> {
    pub(super) fn categories(&mut self, top: &mut Object<'a>) -> Result<Categories> {
        let list = top.take("categories").ok_or_else(|| self.source.structure("categories", "a list"))?;
        let mut names = BTreeMap::new();
        let mut plain = true;
        for mut record in self.source.records("categories", list, self.notes)? {
            let line = Some(record.line);
            let parsed = record
                .required::<i64>("id", "a whole number")
                .and_then(|id| record.required::<String>("name", "a text").map(|name| (id, name)));
            match parsed {
                Ok((id, _)) if names.contains_key(&id) => {
                    let kind = WarningKind::DuplicateId { place: record.place, id: id.to_string() };
                    self.notes.note(line, kind)?;
                }
                Ok((id, name)) => {
                    names.insert(id, name);
                    plain &= record.fields.0.is_empty() && names.len() as i64 == id;
                }
                Err(kind) => self.notes.note(line, kind)?,
            }
        }
        let ids: Vec<i64> = names.keys().copied().collect();
        let index = ids.iter().copied().zip((0..).map(ClassIdx)).collect();
        let schema = ClassSchema::new(names.into_values()).map_err(|source| self.schema_error(source))?;
        Ok(Categories { schema, ids, index, kept: (!plain).then(|| list.get().to_owned()) })
    }

    fn schema_error(&self, source: labelloop_core::CoreError) -> FormatError {
        FormatError::Schema { path: self.source.path().to_owned(), source }
    }

    fn images(&mut self, top: &mut Object<'a>) -> Result<Images> {
        let list = top.take("images").ok_or_else(|| self.source.structure("images", "a list"))?;
        let mut named: Vec<(Record<'a>, CocoId, String)> = Vec::new();
        let (mut ids, mut file_names, mut skipped) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for mut record in self.source.records("images", list, self.notes)? {
            let line = record.line;
            match image_name(&mut record, &mut ids, &mut file_names) {
                Ok((id, file_name)) => named.push((record, id, file_name)),
                Err((id, kind)) => {
                    skipped.extend(id.filter(|id| !ids.contains(id)));
                    self.notes.note(Some(line), kind)?;
                }
            }
        }
        let names = files::sample_names(named.iter().map(|(_, _, file_name)| file_name.as_str()));
        let mut images = Images { samples: Vec::new(), ids: Vec::new(), skipped };
        let mut taken = BTreeSet::new();
        for ((mut record, id, file_name), name) in named.into_iter().zip(names) {
            let (line, place) = (record.line, record.place.clone());
            let name = people::take_text(&mut record.fields, OUR_ID).unwrap_or(name);
            if !taken.insert(name.clone()) {
                images.skipped.insert(id);
                self.notes.note(Some(line), WarningKind::DuplicateId { place, id: name })?;
                continue;
            }
            match self.sample(record, &name, file_name)? {
                Ok(mut sample) => {
                    sample.extra.insert("id".to_owned(), id_text(&id));
                    images.samples.push(sample);
                    images.ids.push(id);
                }
                Err(reason) => {
                    images.skipped.insert(id);
                    self.notes.note(Some(line), WarningKind::Refused { place, reason })?;
                }
            }
        }
        Ok(images)
    }

    /// The outer error ends the reading, the inner one costs this image.
    fn sample(
        &mut self,
        mut record: Record<'a>,
        name: &str,
        file_name: String,
    ) -> Result<Result<SampleRecord, labelloop_core::CoreError>> {
        let size = self.size(&mut record)?;
        let key = self.options.group_key.as_deref();
        let group = key.and_then(|key| named_field(&mut record.fields, key));
        let capture = named_field(&mut record.fields, "capture");
        let slice = named_field(&mut record.fields, "slice").unwrap_or_else(|| "main".to_owned());
        let labelled = match record.fields.0.get("labelled").map(|raw| raw.get()) {
            Some("false") => Some(false),
            Some("true") => Some(true),
            _ => None,
        };
        if labelled.is_some() {
            record.fields.take("labelled");
        }
        let looked_at = labelled.unwrap_or(match self.options.images_without_annotations {
            WithoutAnnotations::Empty => true,
            WithoutAnnotations::Unlabelled => false,
        });
        let labelled_by = people::take(&mut record.fields);
        let build = || {
            Ok(SampleRecord {
                id: SampleId::new(name)?,
                capture: CaptureId::new(capture.unwrap_or_else(|| name.to_owned()))?,
                group: GroupKey::new(group.unwrap_or_else(|| name.to_owned()))?,
                slice,
                kind: SliceKind::Image,
                file_name,
                size,
                boxes: looked_at.then(Vec::new),
                cuboids: None,
                labelled_by,
                extra: record.fields.into_extra(),
            })
        };
        Ok(build())
    }

    fn size(&mut self, record: &mut Record<'a>) -> Result<Option<ImageSize>> {
        const EXPECTED: &str = "a whole number from 1 to 4294967295";
        let sides = record
            .required::<u32>("width", EXPECTED)
            .and_then(|w| record.required::<u32>("height", EXPECTED).map(|h| (w, h)));
        let size = sides.and_then(|(width, height)| {
            let refused = |reason| WarningKind::Refused { place: record.place.clone(), reason };
            ImageSize::new(width, height).map_err(refused)
        });
        match size {
            Ok(size) => Ok(Some(size)),
            Err(kind) => self.notes.note(Some(record.line), kind).map(|()| None),
        }
    }

    fn annotations(
        &mut self,
        top: &mut Object<'a>,
        categories: &Categories,
        images: &mut Images,
    ) -> Result<()> {
        let Some(list) = top.take("annotations") else {
            let place = "top level".to_owned();
            return self.notes.note(None, WarningKind::MissingField { place, field: "annotations" });
        };
        let index: BTreeMap<CocoId, usize> = images.ids.iter().cloned().zip(0..).collect();
        let (mut seen, mut n_dropped) = (BTreeSet::new(), 0);
        for record in self.source.records("annotations", list, self.notes)? {
            let (line, place) = (record.line, record.place.clone());
            note_shared_id(&record, &mut seen, self.notes)?;
            match annotation(record, categories, &index, &images.skipped) {
                Ok(Some((at, label))) => {
                    let sample = &mut images.samples[at];
                    if sample.size.is_some_and(|size| !label.bbox.is_inside(size, 1.0)) {
                        let place = format!("{place}.bbox");
                        self.notes.note(Some(line), WarningKind::OutsideImage { place })?;
                    }
                    sample.boxes.get_or_insert_default().push(label);
                }
                Ok(None) => n_dropped += 1,
                Err(kind) => self.notes.note(Some(line), kind)?,
            }
        }
        if 0 < n_dropped {
            self.notes.note(None, WarningKind::DroppedWithImage { n_boxes: n_dropped })?;
        }
        Ok(())
    }
}

/// Id and file name of one image, or why it cannot be used, with the id where that at least is known.
fn image_name(
    record: &mut Record<'_>,
    ids: &mut BTreeSet<CocoId>,
    file_names: &mut BTreeSet<String>,
) -> Result<(CocoId, String), (Option<CocoId>, WarningKind)> {
    let id: CocoId = record.required("id", ID).map_err(|kind| (None, kind))?;
    let place = record.place.clone();
    if ids.contains(&id) {
        return Err((None, WarningKind::DuplicateId { place, id: id.to_string() }));
    }
    let with_id = |kind| (Some(id.clone()), kind);
    let given: String = record.required("file_name", "a text").map_err(with_id)?;
    let unsafe_path = WarningKind::UnsafePath { place: format!("{place}.file_name"), found: given.clone() };
    let file_name = files::safe_relative(&given).ok_or_else(|| with_id(unsafe_path))?;
    if !file_names.insert(file_name.clone()) {
        return Err(with_id(WarningKind::DuplicateFileName { place, file_name }));
    }
    ids.insert(id.clone());
    Ok((id, file_name))
}

/// A field that names something, taken out only where writing the name gives the same text again.
fn named_field(fields: &mut Object<'_>, key: &str) -> Option<String> {
    let raw = fields.0.get(key)?;
    let text = json::scalar_text(raw.get()).filter(|t| !t.is_empty())?;
    let ours = matches!(key, "group" | "capture" | "slice");
    if ours && json::quoted(&text) == raw.get() {
        fields.take(key);
    }
    Some(text)
}

/// Notes a label whose id an earlier one has.
pub(super) fn note_shared_id<'a>(
    record: &Record<'a>,
    seen: &mut BTreeSet<&'a str>,
    notes: &mut Notes,
) -> Result<()> {
    match record.fields.0.get("id").map(|raw| raw.get()) {
        Some(id) if !seen.insert(id) => {
            let kind = WarningKind::SharedId { place: record.place.clone(), id: id.to_owned() };
            notes.note(Some(record.line), kind)
        }
        _ => Ok(()),
    }
}

/// Position of the image and the label; nothing where the image was left out.
fn annotation(
    mut record: Record<'_>,
    categories: &Categories,
    index: &BTreeMap<CocoId, usize>,
    skipped: &BTreeSet<CocoId>,
) -> Result<Option<(usize, LabelledBox)>, WarningKind> {
    let image: CocoId = record.required("image_id", ID)?;
    let Some(at) = index.get(&image).copied() else {
        let place = format!("{}.image_id", record.place);
        return if skipped.contains(&image) {
            Ok(None)
        } else {
            Err(WarningKind::UnknownImage { place, id: image.to_string() })
        };
    };
    let class = class_of(&mut record, &categories.index)?;
    let bbox = bbox_of(&mut record)?;
    let area = area_of(&mut record)?;
    let label = LabelledBox {
        class,
        bbox,
        area: area.filter(|a| *a != bbox.area()),
        is_crowd: crowd_of(&mut record)?,
        annotator: people::take_text(&mut record.fields, "annotator"),
        extra: record.fields.into_extra(),
    };
    Ok(Some((at, label)))
}

pub(super) fn class_of(
    record: &mut Record<'_>,
    index: &BTreeMap<i64, ClassIdx>,
) -> Result<ClassIdx, WarningKind> {
    let id: i64 = record.required("category_id", "a whole number")?;
    index.get(&id).copied().ok_or_else(|| WarningKind::UnknownClass {
        place: format!("{}.category_id", record.place),
        found: id.to_string(),
        nearest: None,
    })
}

pub(super) fn bbox_of(record: &mut Record<'_>) -> Result<BBox, WarningKind> {
    let numbers: [f64; 4] = record.required("bbox", "four numbers: left, top, width, height")?;
    BBox::try_from(numbers)
        .map_err(|reason| WarningKind::Refused { place: format!("{}.bbox", record.place), reason })
}

pub(super) fn area_of(record: &mut Record<'_>) -> Result<Option<f64>, WarningKind> {
    let area: Option<f64> = record.optional("area", "a number of square pixels, at least 0")?;
    if area.is_some_and(|a| !(0.0 <= a)) {
        let place = format!("{}.area", record.place);
        let found = area.map(json::number).unwrap_or_default();
        return Err(WarningKind::InvalidValue { place, expected: "a number of at least 0", found });
    }
    Ok(area)
}

pub(super) fn crowd_of(record: &mut Record<'_>) -> Result<bool, WarningKind> {
    match record.fields.take("iscrowd") {
        None => Ok(false),
        Some(raw) => match raw.get() {
            "0" | "false" => Ok(false),
            "1" | "true" => Ok(true),
            _ => Err(json::invalid(format!("{}.iscrowd", record.place), "0 or 1", raw)),
        },
    }
}
