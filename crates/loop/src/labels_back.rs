//! Labels of a batch on their way back from people.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use labelloop_core::{AnnotationSet, LabelledBox, LabelledBy, SampleId, SampleRecord, ScoredBox};
use labelloop_dataset::{BatchReport, Dataset, HUMAN_LABELS};
use labelloop_formats::{Format, Imported, ReadOptions, Warning, WithoutAnnotations, read_as};
use serde::Serialize;

use crate::project::Project;
use crate::trainer::Detections;
use crate::{LoopError, Result, files};

/// Pixels by which an edge may differ from a proposal that nobody moved: what writing with two decimals costs, and what
/// whole pixels cost.
const ROUNDED: f64 = 0.05;
const WHOLE_PIXELS: f64 = 1.0;

/// How labels come back.
///
/// ```
/// use labelloop_formats::{Format, WithoutAnnotations};
/// use labelloop_loop::LabelsBack;
///
/// let options = LabelsBack::default();
/// assert_eq!((options.format, options.annotator.as_str()), (Format::Coco, "people"));
/// assert_eq!((options.accept_untouched, options.without_boxes), (false, WithoutAnnotations::Empty));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelsBack {
    /// What the labelling tool wrote. Default COCO.
    pub format: Format,
    /// Who labelled, where the file does not say. Default `people`.
    pub annotator: String,
    /// Takes proposals that came back as they went out for labels. Default: somebody has still to look at them.
    pub accept_untouched: bool,
    /// What a picture without boxes means in a format that cannot say. Default: there is no object in it.
    pub without_boxes: WithoutAnnotations,
}

impl Default for LabelsBack {
    fn default() -> Self {
        Self {
            format: Format::Coco,
            annotator: "people".to_owned(),
            accept_untouched: false,
            without_boxes: WithoutAnnotations::Empty,
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CameBack {
    /// The batch after it.
    pub report: BatchReport,
    /// Pictures that this file answers for.
    pub n_taken: usize,
    /// Golden pictures among them: their labels go to the golden round of the iteration and never into the dataset.
    pub n_golden: usize,
    /// Pictures that came back with the model's proposals as they went out, in order; they are pending.
    pub untouched: Vec<SampleId>,
    /// Pictures answered for by annotator.
    pub annotators: BTreeMap<String, usize>,
    /// Whether the dataset knew all of it already; nothing was written then.
    pub is_known: bool,
}

impl CameBack {
    fn of(answers: &BTreeMap<SampleId, Answer>, untouched: BTreeSet<SampleId>) -> Self {
        let mut came = Self {
            report: BatchReport::default(),
            n_taken: 0,
            n_golden: 0,
            untouched: untouched.into_iter().collect(),
            annotators: BTreeMap::new(),
            is_known: false,
        };
        for answer in answers.values().filter(|a| a.boxes.is_some()) {
            came.n_taken += 1;
            *came.annotators.entry(answer.by.annotator.clone().unwrap_or_default()).or_default() += 1;
        }
        came
    }
}

impl Project {
    /// Reads annotations of any format. COCO files name their groups by the configured key.
    ///
    /// # Errors
    /// A file that cannot be read, with its place.
    pub fn read_labels(
        &self,
        path: &Path,
        format: Format,
        without_boxes: WithoutAnnotations,
    ) -> Result<(AnnotationSet, Vec<Warning>)> {
        let options = ReadOptions { images_without_annotations: without_boxes, ..ReadOptions::default() };
        let Imported { set, warnings } = match format {
            Format::Coco => return self.read_coco_as(path, without_boxes),
            Format::Yolo
            | Format::Voc
            | Format::Kitti
            | Format::Cvat
            | Format::LabelStudio
            | Format::FiftyOne => read_as(format, path, &options)?,
            other => return Err(LoopError::BatchFormat { found: other.as_str() }),
        };
        Ok((set, warnings))
    }

    /// Takes people's labels of a batch, all or none, in one commit; the same file again changes nothing. Who labelled and
    /// when is kept where the file says so.
    ///
    /// A picture that comes back with exactly the proposals that it went out with was looked at by nobody, as far as
    /// anybody can tell: it stays pending, but for formats that tell proposals from labels (Label Studio), and unless
    /// [`LabelsBack::accept_untouched`] says otherwise. Where that happens to some, pictures without proposals that come
    /// back empty are pending as well; and where a format cannot say "nobody looked" (YOLO, VOC, KITTI, CVAT), so is a
    /// whole file without a box.
    ///
    /// Answers for golden pictures that the batch showed are taken apart: they go to the golden round of the iteration with
    /// the names of those who drew them, never among the dataset's labels.
    ///
    /// # Errors
    /// A file that cannot be read, [`LoopError::UnknownClass`], [`LoopError::SeveralAnnotators`], a batch that was never
    /// begun, samples that do not belong to it, I/O. Nothing has changed then.
    pub fn take_labels(
        &self,
        number: u32,
        path: &Path,
        options: &LabelsBack,
    ) -> Result<(CameBack, Vec<Warning>)> {
        let (set, warnings) = self.read_labels(path, options.format, options.without_boxes)?;
        let proposals = self.proposals(number)?;
        let mut writer = self.dir().writer()?;
        let before = self.dataset()?;
        let out: BTreeSet<&SampleId> = self.handed_out(&before, number)?.into_iter().map(|s| &s.id).collect();
        let mut answers = answers(&before, &out, path, &set, options)?;
        let untouched = if options.accept_untouched {
            BTreeSet::new()
        } else {
            untouched(&answers, &proposals, options.format)
        };
        let mut dataset = before.clone();
        for (_, answer) in answers.iter_mut().filter(|(id, _)| untouched.contains(*id)) {
            answer.boxes = None;
        }
        let mut came = CameBack::of(&answers, untouched);
        let golden = self.take_golden(&before, number, &mut answers)?;
        let labels = answers.iter().map(|(id, a)| (id.clone(), a.boxes.clone())).collect();
        came.report = dataset.finish_batch(number, labels, HUMAN_LABELS, &options.annotator)?;
        for (id, answer) in answers.iter().filter(|(_, a)| a.boxes.is_some()) {
            dataset.set_labelled_by(HUMAN_LABELS, id, &answer.by)?;
        }
        let golden: BTreeMap<_, _> =
            golden.into_iter().filter_map(|(id, a)| Some((id, a.named()?))).collect();
        came.n_golden = golden.len();
        // Before the dataset, so that a run killed between the two takes the same file again and lacks nothing.
        let is_golden_new = self.add_golden(number, golden)?;
        let is_new = dataset != before;
        if is_new {
            writer.commit(&dataset, &format!("iteration-{number:04}/import"))?;
        }
        came.is_known = !is_new && !is_golden_new;
        Ok((came, warnings))
    }

    fn proposals(&self, number: u32) -> Result<Detections> {
        let path = self.layout.proposals(number);
        if path.exists() { files::read_json(&path) } else { Ok(Detections::new()) }
    }
}

/// What a file says about one sample, under the names and class numbers of the dataset.
struct Answer {
    boxes: Option<Vec<LabelledBox>>,
    by: LabelledBy,
}

impl Answer {
    /// Boxes and who drew them; none where nobody did.
    fn named(self) -> Option<(Vec<LabelledBox>, String)> {
        Some((self.boxes?, self.by.annotator.unwrap_or_default()))
    }
}

/// A tool names pictures by their files and may list the classes in an order of its own: samples are matched by media
/// file, else by id, else by the end of the file name, and classes by name.
fn answers(
    dataset: &Dataset,
    out: &BTreeSet<&SampleId>,
    path: &Path,
    set: &AnnotationSet,
    options: &LabelsBack,
) -> Result<BTreeMap<SampleId, Answer>> {
    let names = Names::of(dataset, out);
    let mut answers = BTreeMap::new();
    for record in &set.samples {
        let id = names.find(record);
        let mut boxes = record.boxes.clone();
        for b in boxes.iter_mut().flatten() {
            let class = set.schema.name(b.class).unwrap_or_default();
            b.class = dataset.schema().index(class).map_err(|_| LoopError::UnknownClass {
                path: path.to_owned(),
                class: class.to_owned(),
                id: id.to_string(),
                nearest: dataset.schema().nearest(class).map(str::to_owned),
            })?;
        }
        let by = who(path, &id, record, options)?;
        if answers.insert(id.clone(), Answer { boxes, by }).is_some() {
            let reason = format!("sample {id} is answered for twice: expected once");
            return Err(LoopError::Record { path: path.to_owned(), reason });
        }
    }
    Ok(answers)
}

/// Who answered and when: as the file says, else whoever drew the boxes, else whom the caller names.
fn who(path: &Path, id: &SampleId, record: &SampleRecord, options: &LabelsBack) -> Result<LabelledBy> {
    let drew: BTreeSet<&str> = record.boxes.iter().flatten().filter_map(|b| b.annotator.as_deref()).collect();
    // In Label Studio every annotator labels the whole picture, so the boxes of two are the same objects twice.
    if options.format == Format::LabelStudio && 1 < drew.len() {
        return Err(LoopError::SeveralAnnotators {
            path: path.to_owned(),
            id: id.to_string(),
            found: drew.into_iter().map(str::to_owned).collect(),
        });
    }
    let said = record.labelled_by.clone().unwrap_or_default();
    let drawn_by = (drew.len() == 1).then(|| drew.first().map(|a| (*a).to_owned())).flatten();
    let annotator = said.annotator.or(drawn_by).unwrap_or_else(|| options.annotator.clone());
    Ok(LabelledBy { annotator: Some(annotator), at: said.at })
}

/// Samples by what files call them.
struct Names<'d> {
    dataset: &'d Dataset,
    by_file: BTreeMap<&'d str, &'d SampleId>,
    /// Of what was handed out alone, by file name without folders and ending; `None` where several share it.
    by_stem: BTreeMap<&'d str, Option<&'d SampleId>>,
}

impl<'d> Names<'d> {
    fn of(dataset: &'d Dataset, out: &BTreeSet<&SampleId>) -> Self {
        let by_file = dataset.samples().values().map(|s| (s.file_name.as_str(), &s.id)).collect();
        let mut by_stem: BTreeMap<&str, Option<&SampleId>> = BTreeMap::new();
        for sample in dataset.samples().values().filter(|s| out.contains(&s.id)) {
            by_stem.entry(stem(&sample.file_name)).and_modify(|id| *id = None).or_insert(Some(&sample.id));
        }
        Self { dataset, by_file, by_stem }
    }

    fn find(&self, record: &SampleRecord) -> SampleId {
        if let Some(id) = self.by_file.get(record.file_name.as_str()) {
            return (*id).clone();
        }
        if self.dataset.samples().contains_key(&record.id) {
            return record.id.clone();
        }
        let by_stem = self.by_stem.get(stem(&record.file_name)).copied().flatten();
        by_stem.unwrap_or(&record.id).clone()
    }
}

fn stem(file_name: &str) -> &str {
    let name = file_name.rsplit('/').next().unwrap_or(file_name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Samples that came back with their proposals as they went out.
fn untouched(
    answers: &BTreeMap<SampleId, Answer>,
    proposals: &Detections,
    format: Format,
) -> BTreeSet<SampleId> {
    if format == Format::LabelStudio {
        return BTreeSet::new();
    }
    let edge = if format == Format::Voc { WHOLE_PIXELS } else { ROUNDED };
    let answered = || answers.iter().filter_map(|(id, a)| Some((id, a.boxes.as_deref()?)));
    let mut found: BTreeSet<SampleId> = answered()
        .filter(|(id, boxes)| proposals.get(*id).is_some_and(|p| is_same(boxes, p, edge)))
        .map(|(id, _)| id.clone())
        .collect();
    let cannot_say = matches!(format, Format::Yolo | Format::Voc | Format::Kitti | Format::Cvat);
    let is_blank = cannot_say && proposals.is_empty() && answered().all(|(_, boxes)| boxes.is_empty());
    if is_blank || !found.is_empty() {
        let empty = answered().filter(|(id, boxes)| boxes.is_empty() && !proposals.contains_key(*id));
        found.extend(empty.map(|(id, _)| id.clone()));
    }
    found
}

/// Whether the boxes are the proposals, in any order, each edge at most so many pixels off.
fn is_same(boxes: &[LabelledBox], proposals: &[ScoredBox], edge: f64) -> bool {
    let near = |b: &LabelledBox, p: &ScoredBox| {
        let (a, c) = (b.bbox, p.bbox());
        let off = [a.x() - c.x(), a.y() - c.y(), a.right() - c.right(), a.bottom() - c.bottom()];
        b.class == p.class() && off.iter().all(|d| d.abs() <= edge)
    };
    let mut open: Vec<&LabelledBox> = boxes.iter().collect();
    boxes.len() == proposals.len()
        && proposals.iter().all(|p| match open.iter().position(|b| near(b, p)) {
            Some(at) => {
                open.swap_remove(at);
                true
            }
            None => false,
        })
}
