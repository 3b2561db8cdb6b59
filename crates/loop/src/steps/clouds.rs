//! The pass over point clouds beside that over pictures: train, evaluate as KITTI does, list failures.
//!
//! A project without labelled clouds does nothing here and leaves no file.

use std::collections::BTreeMap;

use labelloop_core::{GroupKey, LabelledCuboid, SampleId, ScoredCuboid, SliceKind, Split};
use labelloop_dataset::{Dataset, GROUND_TRUTH, HUMAN_LABELS, Sample, Tag};
use labelloop_eval::kitti::{
    BoxFilter, Detection, DetectionOutcome, Difficulty, Frame, KittiClass, KittiParams, KittiResult, Label,
    LabelOutcome, Metric, Partial, Recall, ci_mean, observe_all, outcomes,
};
use labelloop_media::{PointCloud, read_points};
use labelloop_train::{CloudDetectorParams, CloudScan, TrainError};
use rayon::prelude::*;

use super::Context;
use super::golden::where_there_is_a_field;
use crate::clouds::{CloudEvaluation, CloudFailure, CloudPredictions};
use crate::event::Event;
use crate::project::Project;
use crate::{LoopError, Result, files};

/// Cuboids must share more than this part of what both cover.
const MIN_OVERLAP: f64 = 0.5;

/// KITTI's difficulties are one without its filter.
const ALL: Difficulty = Difficulty::Hard;

/// Trains on the labelled clouds and detects on those of val; writes nothing where no cloud holds a label.
pub(super) fn train(context: &Context<'_>, dataset: &Dataset) -> Result<()> {
    let project = context.project;
    let labelled = labelled_clouds(dataset)?;
    let val = clouds_of(dataset, Split::Val);
    let n_cuboids = labelled.values().map(|c| c.len()).sum();
    if n_cuboids == 0 || val.is_empty() {
        return Ok(());
    }
    let clouds = read_all(project, labelled.keys().filter_map(|id| dataset.samples().get(*id)))?;
    let scans: Vec<CloudScan<'_>> =
        labelled.iter().zip(&clouds).map(|((id, cuboids), cloud)| CloudScan { id, cloud, cuboids }).collect();
    let n_classes = dataset.schema().n_classes();
    let detector = match CloudDetectorParams::default().train(&scans, n_classes, context.observer) {
        // Labels without a single cluster of points teach nothing; the pictures go on without the clouds.
        Err(TrainError::NoUsableCuboid { .. }) => return Ok(()),
        trained => trained?,
    };
    let bytes = detector.to_bytes();
    files::write_atomically(&project.layout.cloud_weights(context.iteration), &bytes)?;
    let detect = |s: &&Sample| Ok((s.id.clone(), detector.detect(&read(project, s)?)));
    let predictions = CloudPredictions {
        n_scans: scans.len(),
        n_cuboids,
        model_digest: blake3::hash(&bytes).to_hex().to_string(),
        val: val.par_iter().map(detect).collect::<Result<_>>()?,
    };
    files::write_json(&project.layout.cloud_predictions(context.iteration), &predictions)
}

/// Scores what [`train`] left, and writes every failure down.
pub(super) fn evaluate(context: &Context<'_>, dataset: &Dataset) -> Result<Option<CloudEvaluation>> {
    let layout = &context.project.layout;
    let path = layout.cloud_predictions(context.iteration);
    if !path.exists() {
        return Ok(None);
    }
    let predictions: CloudPredictions = files::read_json(&path)?;
    let scored = Scored::new(dataset, &predictions)?;
    let evaluation = scored.evaluate(context, dataset, &predictions)?;
    files::write_json(&layout.cloud_evaluation(context.iteration), &evaluation)?;
    context.observer.event(&Event::CloudsEvaluated(Box::new(evaluation.clone())));
    Ok(Some(evaluation))
}

/// Tags the clouds of val with misses and false alarms.
pub(super) fn tag(d: &mut Dataset, evaluation: &CloudEvaluation) -> Result<()> {
    for failure in &evaluation.failures {
        let tag = if failure.score.is_some() { "failure:cloud_fp" } else { "failure:cloud_fn" };
        d.add_tag(std::slice::from_ref(&failure.scan), &Tag::new(tag)?)?;
    }
    Ok(())
}

/// Reference cuboids of a split's clouds, those that nobody labelled left out.
pub(crate) fn reference(dataset: &Dataset, split: Split) -> Result<BTreeMap<SampleId, Vec<LabelledCuboid>>> {
    let mut found = BTreeMap::new();
    for sample in clouds_of(dataset, split) {
        if let Some(cuboids) = where_there_is_a_field(dataset.cuboids(GROUND_TRUTH, &sample.id))? {
            found.insert(sample.id.clone(), cuboids.to_vec());
        }
    }
    Ok(found)
}

fn clouds_of(dataset: &Dataset, split: Split) -> Vec<&Sample> {
    let is_asked = |s: &&Sample| s.split == Some(split) && s.kind == SliceKind::PointCloud;
    dataset.samples().values().filter(is_asked).collect()
}

/// Clouds that may be trained on, after the lineage gate, with their labels.
fn labelled_clouds(dataset: &Dataset) -> Result<BTreeMap<&SampleId, &[LabelledCuboid]>> {
    let is_cloud = |id: &SampleId| dataset.samples().get(id).is_some_and(|s| s.kind == SliceKind::PointCloud);
    let members = dataset.training_ids().filtered(is_cloud);
    dataset.training_gate(members.ids())?;
    let mut labels = BTreeMap::new();
    for id in members.ids() {
        if let Some((id, sample)) = dataset.samples().get_key_value(id) {
            let cuboids = dataset.cuboids(HUMAN_LABELS, &sample.id)?.unwrap_or_default();
            labels.insert(id, cuboids);
        }
    }
    Ok(labels)
}

fn read_all<'s>(project: &Project, samples: impl Iterator<Item = &'s Sample>) -> Result<Vec<PointCloud>> {
    samples.collect::<Vec<_>>().par_iter().map(|s| read(project, s)).collect()
}

fn read(project: &Project, sample: &Sample) -> Result<PointCloud> {
    read_points(&project.media_path(sample))
        .map_err(|source| LoopError::Picture { id: sample.id.to_string(), source: Box::new(source) })
}

/// Clouds of val as KITTI's evaluation takes them.
struct Scored {
    rows: Vec<(SampleId, Vec<Label>, Vec<Detection>)>,
    params: KittiParams,
}

impl Scored {
    fn new(dataset: &Dataset, predictions: &CloudPredictions) -> Result<Self> {
        let name = |class| dataset.schema().name(class).unwrap_or_default();
        let label = |c: &LabelledCuboid| Label::new(name(c.class), None, Some(c.cuboid));
        let detection = |d: &ScoredCuboid| Detection::new(name(d.class()), None, Some(d.cuboid()), d.score());
        let rows = reference(dataset, Split::Val)?.into_iter().map(|(id, cuboids)| {
            let found = predictions.val.get(&id).map(Vec::as_slice).unwrap_or_default();
            (id, cuboids.iter().map(label).collect(), found.iter().map(detection).collect())
        });
        let class = |name: &String| KittiClass::new(name.clone(), &[], [MIN_OVERLAP; 3]);
        let params = KittiParams {
            classes: dataset.schema().names().iter().map(class).collect(),
            filter: BoxFilter::None,
            ..KittiParams::default()
        };
        Ok(Self { rows: rows.collect(), params })
    }

    fn frames(&self) -> Vec<Frame<'_>> {
        self.rows.iter().map(|(id, labels, detections)| Frame { id, labels, detections }).collect()
    }

    fn evaluate(
        &self,
        context: &Context<'_>,
        dataset: &Dataset,
        predictions: &CloudPredictions,
    ) -> Result<CloudEvaluation> {
        let records = observe_all(&self.frames(), &self.params)?;
        let result = records.finish()?;
        let (score_threshold, counts) = self.best_threshold()?;
        let ap_3d = by_class(&result, Metric::Cuboid);
        let ap_bev = by_class(&result, Metric::Bev);
        Ok(CloudEvaluation {
            iteration: context.iteration,
            n_train_scans: predictions.n_scans,
            n_train_cuboids: predictions.n_cuboids,
            n_scans: self.rows.len(),
            n_cuboids: self.rows.iter().map(|(_, labels, _)| labels.len()).sum(),
            map_3d: mean(&ap_3d),
            map_bev: mean(&ap_bev),
            map_3d_interval: interval(context, dataset, &records)?,
            ap_3d,
            ap_bev,
            score_threshold,
            tp: counts.tp,
            fp: counts.fp,
            fn_: counts.fn_,
            failures: self.failures(dataset, score_threshold)?,
        })
    }

    /// The least of the twentieths with the best F1, and what counts from there.
    fn best_threshold(&self) -> Result<(f64, Counts)> {
        let mut best = (0.0, self.counts(0.0)?);
        for step in 1..20 {
            let threshold = f64::from(step) / 20.0;
            let counts = self.counts(threshold)?;
            if best.1.f1() < counts.f1() {
                best = (threshold, counts);
            }
        }
        Ok(best)
    }

    fn counts(&self, min_score: f64) -> Result<Counts> {
        let mut counts = Counts::default();
        self.visit(min_score, |_, _, label, detection| match (label, detection) {
            (Some((_, LabelOutcome::Matched { .. })), _) => counts.tp += 1,
            (Some((_, LabelOutcome::Missed)), _) => counts.fn_ += 1,
            (_, Some((_, DetectionOutcome::False))) => counts.fp += 1,
            _ => {}
        })?;
        Ok(counts)
    }

    fn failures(&self, dataset: &Dataset, min_score: f64) -> Result<Vec<CloudFailure>> {
        let mut failures = Vec::new();
        self.visit(min_score, |scan, class, label, detection| {
            let wrong = match (label, detection) {
                (Some((label, LabelOutcome::Missed)), _) => label.cuboid.map(|c| (c, None)),
                (_, Some((found, DetectionOutcome::False))) => found.cuboid.map(|c| (c, Some(found.score))),
                _ => None,
            };
            if let (Some((cuboid, score)), Ok(class)) = (wrong, dataset.schema().index(class)) {
                let [x, y, _] = cuboid.centre();
                failures.push(CloudFailure { scan: scan.clone(), class, cuboid, range: x.hypot(y), score });
            }
        })?;
        Ok(failures)
    }

    /// Shows every object of every cloud with what became of it, cloud by cloud and class by class.
    fn visit(
        &self,
        min_score: f64,
        mut seen: impl FnMut(&SampleId, &str, LabelSeen<'_>, DetectionSeen<'_>),
    ) -> Result<()> {
        for frame in self.frames() {
            for class in &self.params.classes {
                let found = outcomes(&frame, &class.name, ALL, Metric::Cuboid, min_score, &self.params)?;
                for (label, outcome) in frame.labels.iter().zip(&found.labels) {
                    seen(frame.id, &class.name, Some((label, *outcome)), None);
                }
                for (detection, outcome) in frame.detections.iter().zip(&found.detections) {
                    seen(frame.id, &class.name, None, Some((detection, *outcome)));
                }
            }
        }
        Ok(())
    }
}

type LabelSeen<'a> = Option<(&'a Label, LabelOutcome)>;
type DetectionSeen<'a> = Option<(&'a Detection, DetectionOutcome)>;

#[derive(Default)]
struct Counts {
    tp: usize,
    fp: usize,
    fn_: usize,
}

impl Counts {
    fn f1(&self) -> f64 {
        2.0 * self.tp as f64 / (2 * self.tp + self.fp + self.fn_).max(1) as f64
    }
}

fn by_class(result: &KittiResult, metric: Metric) -> BTreeMap<String, Option<f64>> {
    let ap = |name: &String| result.ap(name, metric, Recall::R40, ALL);
    result.classes.iter().map(|c| (c.name.clone(), ap(&c.name))).collect()
}

fn mean(ap: &BTreeMap<String, Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = ap.values().flatten().copied().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

/// 95% interval of the mean AP.
fn interval(context: &Context<'_>, dataset: &Dataset, records: &Partial) -> Result<Option<[f64; 2]>> {
    let groups: BTreeMap<SampleId, GroupKey> = records
        .frame_ids()
        .filter_map(|id| Some((id.clone(), dataset.samples().get(id)?.group.clone())))
        .collect();
    let which = (Metric::Cuboid, Recall::R40, ALL);
    context.interval("cloud bootstrap", |params| ci_mean(records, Some(&groups), which, params))
}
