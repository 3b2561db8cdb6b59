//! A batch as people get it: pictures listed, labels to be filled in, the model's proposals to start from.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use labelloop_core::{
    AnnotationSet, CaptureId, Extra, GroupKey, LabelledBox, SampleId, SampleRecord, SliceKind,
};
use labelloop_dataset::{Dataset, Sample};
use labelloop_formats::{Format, MediaMode, Warning, coco, cvat, fiftyone, kitti, label_studio, voc, yolo};
use labelloop_train::GridDetector;
use rayon::prelude::*;

use crate::history::History;
use crate::project::Project;
use crate::trainer::Detections;
use crate::{LoopError, Result, files};

/// How a batch goes out.
///
/// ```
/// use labelloop_formats::{Format, MediaMode};
/// use labelloop_loop::BatchOptions;
///
/// let options = BatchOptions::default();
/// assert_eq!((options.format, options.media), (Format::Coco, MediaMode::None));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    /// What the labelling tool reads. Default COCO.
    pub format: Format,
    /// Whether the pictures go along, below `images` in the folder. Default: they stay where they are.
    pub media: MediaMode,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { format: Format::Coco, media: MediaMode::None }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchExport {
    /// Pictures of the batch.
    pub n_pictures: usize,
    /// Boxes that a model proposes on them.
    pub n_proposals: usize,
    /// The file or folder for the labelling tool.
    pub labels: PathBuf,
    /// What the format could not hold.
    pub warnings: Vec<Warning>,
}

/// Writes the batch in one format and, whatever the format, `captures.json` (every slice of the picked captures, point
/// clouds among them, by capture), the schema as configuration of CVAT (`cvat_labels.json`) and Label Studio
/// (`label_studio_config.xml`), and the pictures where asked for.
///
/// | format | labels to fill in | the last model's proposals |
/// |---|---|---|
/// | COCO | `batch.json`, pictures marked as not labelled | `pre_annotations.json` |
/// | CVAT | `batch.xml` | in it, with source `auto` |
/// | Label Studio | `tasks.json`, tasks without annotations | in it, as predictions |
/// | YOLO, VOC, KITTI, FiftyOne | a folder of the format's name | in it, as labels: these formats know nothing else |
///
/// Golden pictures of the batch ([`Project::honeypots`]) go out in the same way, mixed in: without their reference labels,
/// with proposals of the same model, and in an order that does not tell them from the others: a drawn one in COCO, by name in
/// the other formats. What a source said of its pictures beyond name and size (groups, numbers, fields of its own) is left
/// out then.
///
/// Proposals are detections from the score on at which the model's F1 on val is best. They are kept beside the batch as
/// `proposals.json`, so that what comes back as it went out is known for what it is.
///
/// # Errors
/// I/O, a picture that is missing where pictures go along, a folder of the format that is there already (somebody's work
/// may be in it), or a sample that the format cannot hold.
pub fn export_batch(
    project: &Project,
    dataset: &Dataset,
    iteration: u32,
    folder: &Path,
    options: &BatchOptions,
) -> Result<BatchExport> {
    let handed_out = project.handed_out(dataset, iteration)?;
    let is_mixed = handed_out.iter().any(|s| s.batch != Some(iteration));
    let pictures = handed_out.iter().filter(|s| s.kind == SliceKind::Image);
    let samples =
        pictures.zip(1..).map(|(s, n)| if is_mixed { blind(s, n) } else { s.to_record() }).collect();
    let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    let proposals = proposals(project, dataset, iteration, &set.samples, is_mixed)?;
    std::fs::create_dir_all(folder).map_err(LoopError::io(folder))?;
    place_media(project, &set, folder, options.media)?;
    let (labels, warnings) = write_labels(&set, &proposals, folder, options)?;
    files::write_json(&project.layout.proposals(iteration), &proposals)?;
    let configs = [
        ("cvat_labels.json", cvat::labels_config(dataset.schema())),
        ("label_studio_config.xml", label_studio::labelling_config(dataset.schema())),
    ];
    for (name, text) in configs {
        files::write_atomically(&folder.join(name), text.as_bytes())?;
    }
    files::write_json(&folder.join("captures.json"), &captures(&handed_out))?;
    let n_pictures = set.samples.len();
    let places = serde_json::json!({ "media_root": project.config.project.media, "n_pictures": n_pictures });
    files::write_json(&folder.join("README.json"), &places)?;
    let n_proposals = proposals.values().map(Vec::len).sum();
    Ok(BatchExport { n_pictures, n_proposals, labels, warnings })
}

/// A picture by what its file says and nothing else. Groups and fields of the source are left out: golden groups are never
/// those of the pool, and a source may have fields such as `split`. Formats that number pictures get their place in the mixed
/// order for a number; COCO lists them by it.
fn blind(sample: &Sample, number: usize) -> SampleRecord {
    let record = sample.to_record();
    let group = GroupKey::from(&record.capture);
    SampleRecord { group, extra: Extra::from([("id".to_owned(), number.to_string())]), ..record }
}

fn write_labels(
    set: &AnnotationSet,
    proposals: &Detections,
    folder: &Path,
    options: &BatchOptions,
) -> Result<(PathBuf, Vec<Warning>)> {
    let predictions = (!proposals.is_empty()).then_some(proposals);
    let name = match options.format {
        Format::Coco => "batch.json",
        Format::Cvat => "batch.xml",
        Format::LabelStudio => "tasks.json",
        other => other.as_str(),
    };
    let out = folder.join(name);
    let warnings = match options.format {
        Format::Coco => {
            if predictions.is_some() {
                let guesses = with_proposals(set, proposals, false);
                let path = folder.join("pre_annotations.json");
                coco::write(&path, &guesses, &coco::WriteOptions::default())?;
            }
            coco::write(&out, set, &coco::WriteOptions::default())?
        }
        Format::Cvat => cvat::write_with(&out, set, &cvat::WriteOptions { predictions })?,
        Format::LabelStudio => {
            // As Label Studio serves a folder that is its document root.
            let image_prefix =
                if options.media == MediaMode::None { "" } else { "/data/local-files/?d=images/" };
            let options = label_studio::WriteOptions { predictions, image_prefix, ..Default::default() };
            label_studio::write(&out, set, &options)?
        }
        Format::Yolo => {
            let part = |_: &SampleId| Some(yolo::Part::Train);
            let all = with_proposals(set, proposals, true);
            yolo::write(&out, &all, &part, &folder.join("images"), options.media)?
        }
        Format::Voc => voc::write(&out, &with_proposals(set, proposals, true))?,
        Format::Kitti => kitti::write(&out, &with_proposals(set, proposals, true))?,
        Format::FiftyOne => fiftyone::write(&out, &with_proposals(set, proposals, false))?,
        other => return Err(LoopError::BatchFormat { found: other.as_str() }),
    };
    Ok((out, warnings))
}

/// The set with proposals as labels; what has none is left unlabelled, or empty where the format knows no other way to
/// list a picture.
fn with_proposals(set: &AnnotationSet, proposals: &Detections, is_empty_listed: bool) -> AnnotationSet {
    let mut guesses = set.clone();
    for record in &mut guesses.samples {
        let found = proposals.get(&record.id);
        let boxes = found.map(|f| f.iter().map(|d| LabelledBox::new(d.class(), d.bbox())).collect());
        record.boxes = if is_empty_listed { Some(boxes.unwrap_or_default()) } else { boxes };
    }
    guesses
}

/// What the model of the last iteration finds on the batch: as the dataset has it, else by the built-in detector's weights.
/// A picture that cannot be read has no proposals. Where golden pictures are mixed in, what the dataset has is taken only
/// if it has something to say on every picture: those without would stand out.
fn proposals(
    project: &Project,
    dataset: &Dataset,
    iteration: u32,
    samples: &[SampleRecord],
    is_mixed: bool,
) -> Result<Detections> {
    let Some(last) = iteration.checked_sub(1) else { return Ok(Detections::new()) };
    let field = format!("predictions@{last}");
    let mut found = Detections::new();
    if dataset.prediction_names().contains(&field.as_str()) {
        for record in samples {
            if let Some(known) = dataset.predictions(&field, &record.id)? {
                found.insert(record.id.clone(), known.to_vec());
            }
        }
    }
    if is_mixed && found.len() < samples.len() {
        found.clear();
    }
    let weights = project.layout.weights(last);
    if found.is_empty() && weights.exists() {
        let detector = GridDetector::load(&weights)?;
        let detect = |record: &SampleRecord| {
            let picture = project.picture(dataset.samples().get(&record.id)?).ok()?;
            Some(detector.detect(&picture).map(|found| (record.id.clone(), found)))
        };
        found = samples.par_iter().filter_map(detect).collect::<Result<_, _>>()?;
    }
    let history = History::load(&project.layout.history())?;
    let threshold = history.records().iter().find(|r| r.iteration == last).and_then(|r| r.score_threshold);
    for boxes in found.values_mut() {
        boxes.retain(|b| threshold.is_none_or(|least| least <= b.score()));
    }
    found.retain(|_, boxes| !boxes.is_empty());
    Ok(found)
}

/// Puts the pictures below `images` under their own names.
fn place_media(project: &Project, set: &AnnotationSet, folder: &Path, media: MediaMode) -> Result<()> {
    if media == MediaMode::None {
        return Ok(());
    }
    for record in &set.samples {
        let name = Path::new(&record.file_name);
        if !name.components().all(|c| matches!(c, Component::Normal(_))) {
            let found = record.file_name.clone();
            return Err(LoopError::UnsafeName { id: record.id.to_string(), found });
        }
        let (source, target) = (project.media_root().join(name), folder.join("images").join(name));
        let parent = target.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(LoopError::io(parent))?;
        let source = std::fs::canonicalize(&source).map_err(LoopError::io(&source))?;
        if target.symlink_metadata().is_ok() {
            std::fs::remove_file(&target).map_err(LoopError::io(&target))?;
        }
        match media {
            MediaMode::Link => link(&source, &target).map_err(LoopError::io(&target))?,
            _ => std::fs::copy(&source, &target).map(|_| ()).map_err(LoopError::io(&target))?,
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(source: &Path, target: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(source, target)
}

#[cfg(not(unix))]
fn link(source: &Path, target: &Path) -> std::io::Result<()> {
    std::fs::hard_link(source, target)
}

/// The slices of each capture: what belongs together on a labeller's screen.
fn captures<'s>(handed_out: &[&'s Sample]) -> BTreeMap<&'s CaptureId, Vec<serde_json::Value>> {
    let mut captures: BTreeMap<&CaptureId, Vec<serde_json::Value>> = BTreeMap::new();
    for sample in handed_out {
        let slice = serde_json::json!({
            "id": sample.id,
            "slice": sample.slice,
            "kind": sample.kind,
            "file_name": sample.file_name,
        });
        captures.entry(&sample.capture).or_default().push(slice);
    }
    captures
}
