use std::fmt::Write as _;
use std::path::Path;

use labelloop_core::{AnnotationSet, ClassSchema, LabelledBox, SampleId, SampleRecord, SliceKind};

use super::{Part, label_file};
use crate::files::{self, StagedFolder};
use crate::loss::{self, Holds, Losses};
use crate::{Format, FormatError, Lost, MediaMode, Result, Warning, sizes};

const HOLDS: Holds = Holds {
    unlabelled_marks: true,
    sizes: true,
    sample_field: |_, key, raw| key == "split" && Part::named(raw.trim_matches('"')).is_some(),
    ..Holds::NOTHING
};

/// Writes the labelled samples that `split_of` gives a part as a YOLO folder.
///
/// Samples that nobody looked at and point clouds are left out and counted in the warnings; samples without a part are
/// left out as asked. The folder is built beside its place and moved there once complete; `dataset.yaml` names it by
/// its absolute path, as trainers want it. Media files are taken from `media_root` by the sample's file name.
///
/// Complexity: O(n log n) in samples, plus the copying.
///
/// # Errors
/// [`FormatError::Occupied`] where the folder holds something already, [`FormatError::NothingToWrite`] without a
/// labelled sample, [`FormatError::NoSize`], [`FormatError::UnsafeName`], [`FormatError::Io`],
/// [`FormatError::ClassOutOfRange`] and [`FormatError::DuplicateSample`].
pub fn write(
    dir: &Path,
    set: &AnnotationSet,
    split_of: &dyn Fn(&SampleId) -> Option<Part>,
    media_root: &Path,
    media: MediaMode,
) -> Result<Vec<Warning>> {
    loss::check(set)?;
    let asked: Vec<(&SampleRecord, Part)> =
        set.samples.iter().filter_map(|s| split_of(&s.id).map(|part| (s, part))).collect();
    let (pictures, clouds): (Vec<_>, Vec<_>) =
        asked.into_iter().partition(|(s, _)| s.kind == SliceKind::Image);
    let (mut labelled, unlabelled): (Vec<_>, Vec<_>) =
        pictures.into_iter().partition(|(s, _)| s.boxes.is_some());
    if labelled.is_empty() {
        return Err(FormatError::NothingToWrite { path: dir.to_owned(), n_samples: set.samples.len() });
    }
    labelled.sort_unstable_by(|(a, pa), (b, pb)| (pa, &a.id).cmp(&(pb, &b.id)));

    let mut losses = Losses::of(set, labelled.iter().map(|(s, _)| *s), &HOLDS);
    losses.add(Lost::PointClouds, clouds.len());
    losses.add(Lost::UnlabelledSamples, unlabelled.len());

    let renamed = |s: &&(&SampleRecord, Part)| s.0.file_name.contains('\\');
    losses.add(Lost::FileNames, labelled.iter().filter(renamed).count());

    let folder = StagedFolder::new(dir)?;
    let has_test = labelled.iter().any(|(_, part)| *part == Part::Test);
    for sub in ["train/images", "train/labels", "val/images", "val/labels"] {
        folder.folder(sub)?;
    }
    let mut listed = String::new();
    for (sample, part) in labelled {
        add_sample(&folder, sample, part, (media_root, media), &mut listed)?;
    }
    folder.write(sizes::SIZES, &listed)?;
    folder.write("dataset.yaml", &yaml(folder.target(), &set.schema, has_test))?;
    folder.finish()?;
    Ok(losses.into_warnings(dir, Format::Yolo))
}

fn add_sample(
    folder: &StagedFolder,
    sample: &SampleRecord,
    part: Part,
    (media_root, media): (&Path, MediaMode),
    listed: &mut String,
) -> Result<()> {
    let id = sample.id.as_str();
    let size = sample.size.ok_or_else(|| FormatError::NoSize { sample: id.to_owned() })?;
    let original = files::safe_relative(&sample.file_name)
        .ok_or_else(|| FormatError::UnsafeName { name: sample.file_name.clone() })?;
    let ending = files::ending(&original).unwrap_or("jpg");
    let image = format!("{}/images/{}", part.as_str(), files::named_after(id, ending)?);
    let mut text = String::new();
    for label in sample.boxes.iter().flatten() {
        add_label(&mut text, label, size);
    }
    folder.write(&label_file(&image), &text)?;
    sizes::add(listed, &image, size, &original);
    files::place_media(&sample.file_name, media_root, &folder.file(&image)?, media)
}

fn add_label(text: &mut String, label: &LabelledBox, size: labelloop_core::ImageSize) {
    // Writing to a text cannot fail.
    let _ = write!(text, "{}", label.class.0);
    for share in label.bbox.to_yolo(size) {
        let _ = write!(text, " {share}");
    }
    text.push('\n');
}

fn yaml(root: &Path, schema: &ClassSchema, has_test: bool) -> String {
    let mut text = format!("path: {}\n", quoted(&root.to_string_lossy()));
    text.push_str("train: train/images\nval: val/images\n");
    if has_test {
        text.push_str("test: test/images\n");
    }
    let _ = writeln!(text, "nc: {}\nnames:", schema.n_classes());
    for (class, name) in schema.iter() {
        let _ = writeln!(text, "  {}: {}", class.0, quoted(name));
    }
    text
}

/// A text in YAML's double quotes, so that a class named `no` or `1` stays a text. What is neither a letter nor printable
/// ASCII is escaped: parsers take some of the rest for breaks of lines.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        // Writing to a text cannot fail.
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            ' '..='~' => write!(out, "{c}"),
            c if c.is_alphanumeric() => write!(out, "{c}"),
            c if u32::from(c) <= 0xffff => write!(out, "\\u{:04X}", u32::from(c)),
            c => write!(out, "\\U{:08X}", u32::from(c)),
        };
    }
    out.push('"');
    out
}
