use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use labelloop_core::{
    BBox, CaptureId, ClassSchema, Extra, GroupKey, ImageSize, SampleId, SampleRecord, SliceKind,
};

use super::{LABELS, SOURCE_ID};
use crate::json::{self, Object, Record, Source};
use crate::named::{self, Named};
use crate::warning::Notes;
use crate::{FormatError, Imported, ReadOptions, Result, WarningKind, files, people};

/// Reads a folder with `samples.json` and, where it is there, `metadata.json`, in the order of the samples.
///
/// Without classes in `metadata.json` and without [`ReadOptions::schema`] the classes are those that occur, sorted, with a
/// warning. Lenient reading leaves out samples without a usable path and detections without a usable box, or whose image
/// has no size.
///
/// # Errors
/// [`FormatError::Io`], [`FormatError::NotUtf8`], [`FormatError::Syntax`], [`FormatError::Structure`],
/// [`FormatError::Schema`]; [`FormatError::Refused`] under [`crate::Strictness::Strict`].
pub fn read(dir: &Path, options: &ReadOptions) -> Result<Imported> {
    files::refuse_archive(dir)?;
    let path = dir.join("samples.json");
    let mut notes = Notes::new(&path, options.strictness);
    let text = json::read(&path, &mut notes)?;
    let source = Source::new(&path, &text);
    let mut top: Object<'_> = source.parse_all()?;
    let list = top.take("samples").ok_or_else(|| source.structure("samples", "a list"))?;
    let records = source.records("samples", list, &mut notes)?;
    let field = label_field(&records, &source)?;
    let (listed, extra) = metadata(dir, &field, &mut notes)?;

    let (mut named_records, mut taken) = (Vec::new(), BTreeSet::new());
    for mut record in records {
        match file_name(&mut record, &mut taken) {
            Ok(file_name) => named_records.push((record, file_name)),
            Err(kind) => notes.note(Some(record.line), kind)?,
        }
    }
    let names = files::sample_names(named_records.iter().map(|(_, f)| f.as_str()));
    let shared = Rc::new(path.clone());
    let mut reader = Reader { source: &source, notes, dir, field, path: shared };
    let mut samples = Vec::new();
    for ((record, file_name), name) in named_records.into_iter().zip(names) {
        samples.extend(reader.sample(record, &name, file_name)?);
    }
    let mut notes = reader.notes;
    let mut set = named::resolve(&path, samples, listed, options, &mut notes)?;
    set.extra = extra;
    Ok(Imported { set, warnings: notes.into_warnings() })
}

/// `ground_truth`, else the only field that holds detections.
fn label_field(records: &[Record<'_>], source: &Source<'_>) -> Result<String> {
    let mut fields = BTreeSet::new();
    for record in records {
        for (key, raw) in &record.fields.0 {
            let is_detections = || {
                let mut object: Object<'_> = serde_json::from_str(raw.get()).ok()?;
                object.take("_cls").filter(|cls| cls.get() == "\"Detections\"")
            };
            if key == LABELS || (raw.get().starts_with('{') && is_detections().is_some()) {
                fields.insert(key.as_str());
            }
        }
    }
    match (fields.contains(LABELS), fields.len(), fields.first()) {
        (true, ..) | (_, 0, _) => Ok(LABELS.to_owned()),
        (false, 1, Some(only)) => Ok((*only).to_owned()),
        _ => Err(source.structure("samples", "a field \"ground_truth\", or one field of detections")),
    }
}

fn metadata(dir: &Path, field: &str, notes: &mut Notes) -> Result<(Option<ClassSchema>, Extra)> {
    let path = dir.join("metadata.json");
    if !path.is_file() {
        return Ok((None, Extra::new()));
    }
    let text = json::read(&path, notes)?;
    let source = Source::new(&path, &text);
    let mut top: Object<'_> = source.parse_all()?;
    let list = |raw: &serde_json::value::RawValue| {
        serde_json::from_str::<Vec<String>>(raw.get()).ok().filter(|names| !names.is_empty())
    };
    let by_field = top.take("classes").and_then(|raw| serde_json::from_str::<Object<'_>>(raw.get()).ok());
    let mut by_field = by_field.unwrap_or_default();
    let own = by_field.take(field).and_then(list);
    let names = own.or_else(|| top.0.get("default_classes").and_then(|raw| list(raw)));
    top.0.remove("default_classes");
    // The writer says this of every set with captures.
    drop_default(&mut top, "media_type", "\"group\"");
    let others = by_field.into_extra();
    let schema = names.map(ClassSchema::new).transpose();
    let schema = schema.map_err(|source| FormatError::Schema { path: path.clone(), source })?;
    let mut extra = top.into_extra();
    if !others.is_empty() {
        let mut text = json::ObjectText::new();
        text.extra("classes", &others, &[])?;
        extra.insert("classes".to_owned(), text.finish());
    }
    Ok((schema, extra))
}

fn file_name(record: &mut Record<'_>, taken: &mut BTreeSet<String>) -> Result<String, WarningKind> {
    let given: String = record.required("filepath", "a text")?;
    let place = format!("{}.filepath", record.place);
    let file_name = files::safe_relative(&given)
        .ok_or_else(|| WarningKind::UnsafePath { place: place.clone(), found: given })?;
    if !taken.insert(file_name.clone()) {
        return Err(WarningKind::DuplicateFileName { place, file_name });
    }
    Ok(file_name)
}

struct Reader<'r, 'a> {
    source: &'r Source<'a>,
    notes: Notes,
    dir: &'r Path,
    field: String,
    path: Rc<PathBuf>,
}

impl<'a> Reader<'_, 'a> {
    fn sample(
        &mut self,
        mut record: Record<'a>,
        name: &str,
        file_name: String,
    ) -> Result<Option<(SampleRecord, Vec<Named>)>> {
        if record.fields.0.get("_media_type").is_some_and(|raw| raw.get() != "\"image\"") {
            return self.notes.unread("sample that is no image").map(|()| None);
        }
        drop_default(&mut record.fields, "_media_type", "\"image\"");
        drop_default(&mut record.fields, "tags", "[]");
        let size = self.size(&mut record.fields, &file_name)?;
        let mut text = |key| record.fields.take(key).and_then(|raw| json::scalar_text(raw.get()));
        let id = text("sample_id").unwrap_or_else(|| name.to_owned());
        let split_group = text("split_group");
        let rig = group(&mut record.fields);
        let labelled_by = people::take(&mut record.fields);
        let detections = record.fields.take(&self.field);
        let place = format!("{}.{}.detections", record.place, self.field);
        let labels = match detections.map(|raw| self.source.parse::<Object<'a>>(raw.get())).transpose()? {
            Some(mut object) => match object.take("detections") {
                Some(list) => Some(self.labels(&place, list, size)?),
                None => Some(Vec::new()),
            },
            None => {
                record.fields.0.remove(&self.field);
                None
            }
        };
        let (capture, slice) = rig.unzip();
        let build = || {
            Ok(SampleRecord {
                capture: CaptureId::new(capture.unwrap_or_else(|| id.clone()))?,
                group: GroupKey::new(split_group.unwrap_or_else(|| id.clone()))?,
                id: SampleId::new(id)?,
                slice: slice.unwrap_or_else(|| "main".to_owned()),
                kind: SliceKind::Image,
                file_name,
                size,
                boxes: labels.is_some().then(Vec::new),
                cuboids: None,
                labelled_by,
                extra: with_source_id(record.fields.into_extra()),
            })
        };
        match build() {
            Ok(sample) => Ok(Some((sample, labels.unwrap_or_default()))),
            Err(reason) => {
                let kind = WarningKind::Refused { place: record.place, reason };
                self.notes.note(Some(record.line), kind).map(|()| None)
            }
        }
    }

    /// The stated size, else that of the image's header. `metadata` stays where it says more than the size.
    fn size(&self, fields: &mut Object<'a>, file_name: &str) -> Result<Option<ImageSize>> {
        if let Some((size, says_more)) = fields.0.get("metadata").and_then(|raw| size_in(raw.get())) {
            if !says_more {
                fields.take("metadata");
            }
            return Ok(Some(size));
        }
        let path = self.dir.join(file_name);
        if path.is_file() { files::image_size(&path) } else { Ok(None) }
    }

    fn labels(
        &mut self,
        place: &str,
        list: &'a serde_json::value::RawValue,
        size: Option<ImageSize>,
    ) -> Result<Vec<Named>> {
        let mut labels = Vec::new();
        for record in self.source.records(place, list, &mut self.notes)? {
            let line = record.line;
            match detection(record, size, &self.path) {
                Ok(label) => labels.push(label),
                Err(kind) => self.notes.note(Some(line), kind)?,
            }
        }
        Ok(labels)
    }
}

fn with_source_id(mut extra: Extra) -> Extra {
    if !extra.contains_key("id")
        && let Some(number) = extra.remove(SOURCE_ID)
    {
        extra.insert("id".to_owned(), number);
    }
    extra
}

/// The size that `metadata` states, and whether it says more than that.
fn size_in(metadata: &str) -> Option<(ImageSize, bool)> {
    let mut metadata: Object<'_> = serde_json::from_str(metadata).ok()?;
    let mut side = |key| serde_json::from_str::<u32>(metadata.take(key)?.get()).ok();
    let size = side("width").zip(side("height")).and_then(|(w, h)| ImageSize::new(w, h).ok())?;
    drop_default(&mut metadata, "_cls", "\"ImageMetadata\"");
    Some((size, !metadata.0.is_empty()))
}

/// What a field `metadata` that is left in place says of the size; nothing where it would not be left.
pub(super) fn size_and_more(metadata: &str) -> Option<Option<ImageSize>> {
    match size_in(metadata) {
        Some((size, true)) => Some(Some(size)),
        Some((_, false)) => None,
        None => Some(None).filter(|_| metadata != "null"),
    }
}

fn drop_default(fields: &mut Object<'_>, key: &str, default: &str) {
    if fields.0.get(key).is_some_and(|raw| raw.get() == default) {
        fields.0.remove(key);
    }
}

/// Id and slice of FiftyOne's group; its id is a text or `{"$oid": text}`. What holds more than that stays.
fn group(fields: &mut Object<'_>) -> Option<(String, String)> {
    let found = group_of(fields.0.get("group")?.get())?;
    fields.take("group");
    Some(found)
}

pub(super) fn group_of(raw: &str) -> Option<(String, String)> {
    let mut object: Object<'_> = serde_json::from_str(raw).ok()?;
    object.take("_cls");
    let name = json::scalar_text(object.take("name")?.get())?;
    let id = object.take("_id").or_else(|| object.take("id"))?;
    let id = json::scalar_text(id.get()).or_else(|| {
        let mut inner: Object<'_> = serde_json::from_str(id.get()).ok()?;
        json::scalar_text(inner.take("$oid")?.get())
    })?;
    Some((id, name))
}

fn detection(
    mut record: Record<'_>,
    size: Option<ImageSize>,
    path: &Rc<PathBuf>,
) -> Result<Named, WarningKind> {
    let place = record.place.clone();
    let class: String = record.required("label", "a text")?;
    let shares: [f64; 4] = record.required("bounding_box", "four shares: left, top, width, height")?;
    let size = size.ok_or_else(|| WarningKind::MissingField {
        place: place.clone(),
        field: "metadata.width of its image",
    })?;
    let bbox = BBox::from_relative(shares, size)
        .map_err(|reason| WarningKind::Refused { place: format!("{place}.bounding_box"), reason })?;
    let mut named = Named::new(class, bbox, path, Some(record.line), place);
    let crowd = record.fields.take("iscrowd").map(serde_json::value::RawValue::get);
    named.label.is_crowd = crowd.is_some_and(|c| matches!(c, "1" | "true" | "1.0"));
    named.label.area = record.optional("area", "a number of square pixels")?;
    named.label.annotator = people::take_text(&mut record.fields, "annotator");
    for (key, default) in [("_cls", "\"Detection\""), ("attributes", "{}"), ("tags", "[]")] {
        drop_default(&mut record.fields, key, default);
    }
    named.label.extra = with_source_id(record.fields.into_extra());
    Ok(named)
}
