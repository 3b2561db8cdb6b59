use std::collections::BTreeMap;

use labelloop_core::{GroupKey, SampleId, Split};
use labelloop_dataset::{Dataset, HUMAN_LABELS, Tag};
use labelloop_eval::bootstrap::{self, Metric};
use labelloop_eval::coco::{CocoParams, CocoResult};
use labelloop_eval::failures::{self, Failure, FailureKind, rank_images};
use labelloop_eval::{CountsReport, ImageCase, coco, evaluate_at, threshold};

use super::{Context, Outcome};
use crate::evaluation::{Confusion, Evaluation, PictureCounts, RankedPicture, ScoredPicture};
use crate::event::Event;
use crate::trainer::{Detections, Predictions};
use crate::{Result, files};

/// Scores the model on val, writes every failure down and tags the pictures that the next batch looks like.
pub(super) fn run(context: &Context<'_>) -> Result<Outcome> {
    let project = context.project;
    let dataset = project.dataset()?;
    let predictions: Predictions = files::read_json(&project.layout.predictions(context.iteration))?;
    let val = ValSet::load(context, &dataset, &predictions.val)?;
    let evaluation = evaluate(context, &dataset, &val, &predictions.train)?;
    files::write_json(&project.layout.evaluation(context.iteration), &evaluation)?;
    context.observer.event(&Event::Evaluated(Box::new(evaluation.clone())));
    let clouds = super::clouds::evaluate(context, &dataset)?;
    project.commit_once(&context.key("evaluate"), |d| {
        record(context, d, &predictions.val, &evaluation)?;
        clouds.map_or(Ok(()), |clouds| super::clouds::tag(d, &clouds))
    })?;
    Ok(Outcome::Next)
}

/// Val pictures with reference labels and detections, owned, so that cases can borrow.
struct ValSet {
    rows: Vec<ScoredPicture>,
}

impl ValSet {
    fn load(context: &Context<'_>, dataset: &Dataset, detections: &Detections) -> Result<Self> {
        let val = context.project.pictures_of(dataset, Split::Val)?;
        let mut rows = Vec::with_capacity(val.len());
        for (id, sample) in val {
            rows.push(ScoredPicture {
                id: id.clone(),
                group: sample.group.clone(),
                size: sample.size,
                labels: context.project.reference(dataset, sample)?.to_vec(),
                detections: detections.get(id).cloned().unwrap_or_default(),
            });
        }
        Ok(Self { rows })
    }

    fn cases(&self) -> Vec<ImageCase<'_>> {
        self.rows.iter().map(ScoredPicture::case).collect()
    }

    fn groups(&self) -> BTreeMap<SampleId, GroupKey> {
        self.rows.iter().map(|r| (r.id.clone(), r.group.clone())).collect()
    }
}

fn evaluate(
    context: &Context<'_>,
    dataset: &Dataset,
    val: &ValSet,
    train: &Detections,
) -> Result<Evaluation> {
    let settings = &context.project.config.evaluation;
    let n_classes = dataset.schema().n_classes();
    let cases = val.cases();
    let records = coco::observe_all(&cases, n_classes, &CocoParams::default())?;
    let scored = records.finish()?;
    let best = threshold::best_f1(&cases, n_classes, settings.iou)?;
    // Without a single right detection no threshold is better than another: everything counts, and F1 is absent.
    let min_score = best.as_ref().map_or(0.0, |b| b.score);
    let counts = evaluate_at(&cases, n_classes, settings.iou, min_score)?;
    let f1 = Metric::F1 { iou: settings.iou, min_score };
    let wrong = failures::find(&cases, settings.iou, min_score)?;
    let groups = val.groups();
    let interval = |metric| {
        context.interval("bootstrap", |params| bootstrap::ci(&records, Some(&groups), metric, params))
    };
    let mut evaluation = Evaluation {
        iteration: context.iteration,
        n_images: cases.len(),
        n_boxes: cases.iter().map(|c| c.labels.len()).sum(),
        stats: scored.stats.to_vec(),
        ap_by_class: by_class(dataset, &scored, CocoResult::class_ap),
        ap50_by_class: by_class(dataset, &scored, CocoResult::class_ap50),
        score_threshold: best.map(|b| b.score),
        precision: counts.precision,
        recall: counts.recall,
        f1: counts.f1,
        f1_interval: interval(f1)?,
        map50_interval: interval(Metric::Map50)?,
        train_f1: train_f1(dataset, train, settings.iou, min_score)?,
        tp: counts.tp,
        fp: counts.fp,
        fn_: counts.fn_,
        images: Vec::new(),
        high_fn: Vec::new(),
        high_fp: Vec::new(),
        confusions: confusions(dataset, &wrong),
        failures: wrong,
    };
    rank(&mut evaluation, &counts, settings.n_failures);
    Ok(evaluation)
}

fn by_class(
    dataset: &Dataset,
    scored: &CocoResult,
    number: impl Fn(&CocoResult, labelloop_core::ClassIdx) -> Option<f64>,
) -> BTreeMap<String, Option<f64>> {
    dataset.schema().iter().map(|(class, name)| (name.to_owned(), number(scored, class))).collect()
}

/// F1 against the labels that the model was trained on; absent when the trainer gives no detections there.
fn train_f1(dataset: &Dataset, train: &Detections, iou: f64, min_score: f64) -> Result<Option<f64>> {
    if train.is_empty() {
        return Ok(None);
    }
    let mut cases = Vec::with_capacity(train.len());
    for (id, detections) in train {
        let labels = dataset.boxes(HUMAN_LABELS, id)?.unwrap_or_default();
        cases.push(ImageCase { id, size: None, labels, detections });
    }
    Ok(evaluate_at(&cases, dataset.schema().n_classes(), iou, min_score)?.f1)
}

fn rank(evaluation: &mut Evaluation, counts: &CountsReport, n: usize) {
    let of: BTreeMap<&SampleId, _> = counts.images.iter().map(|c| (&c.id, c)).collect();
    let ranked = rank_images(&counts.images, n);
    let with = |ids: &[SampleId], count: fn(&labelloop_eval::ImageCounts) -> usize| -> Vec<RankedPicture> {
        ids.iter()
            .filter_map(|id| of.get(id).map(|c| RankedPicture { id: id.clone(), count: count(c) }))
            .collect()
    };
    evaluation.high_fn = with(&ranked.high_fn, |c| c.fn_);
    evaluation.high_fp = with(&ranked.high_fp, |c| c.fp);
    evaluation.images = counts
        .images
        .iter()
        .map(|c| PictureCounts { id: c.id.clone(), tp: c.tp, fp: c.fp, fn_: c.fn_ })
        .collect();
}

/// Classes taken for one another, by picture, the most frequent first and ties by picture and names.
fn confusions(dataset: &Dataset, wrong: &[Failure]) -> Vec<Confusion> {
    let mut counts: BTreeMap<(SampleId, String, String), usize> = BTreeMap::new();
    for failure in wrong {
        if let FailureKind::Confusion { actual, predicted, .. } = failure.kind
            && let (Some(a), Some(p)) = (dataset.schema().name(actual), dataset.schema().name(predicted))
        {
            *counts.entry((failure.image.clone(), a.to_owned(), p.to_owned())).or_insert(0) += 1;
        }
    }
    let mut confusions: Vec<Confusion> = counts
        .into_iter()
        .map(|((id, actual, predicted), count)| Confusion { id, actual, predicted, count })
        .collect();
    // The map gave them in order of picture and names; a stable sort keeps that among equals.
    confusions.sort_by_key(|c| std::cmp::Reverse(c.count));
    confusions
}

/// Stores detections and replaces the failure tags of earlier evaluations by this one's.
fn record(context: &Context<'_>, d: &mut Dataset, val: &Detections, evaluation: &Evaluation) -> Result<()> {
    let field = format!("predictions@{}", context.iteration);
    for (id, boxes) in val {
        d.set_predictions(&field, id, boxes.clone())?;
    }
    d.clear_tags("failure");
    let missed = evaluation.high_fn.iter().map(|r| (&r.id, "failure:high_fn".to_owned()));
    let alarms = evaluation.high_fp.iter().map(|r| (&r.id, "failure:high_fp".to_owned()));
    let confused = evaluation
        .confusions
        .iter()
        .map(|c| (&c.id, format!("failure:confusion:{}>{}", slug(&c.actual), slug(&c.predicted))));
    for (id, tag) in missed.chain(alarms).chain(confused) {
        d.add_tag(std::slice::from_ref(id), &Tag::new(tag)?)?;
    }
    let failing = evaluation.high_fn.iter().chain(&evaluation.high_fp).map(|r| r.id.clone()).collect();
    d.save_view(
        &format!("eval/{}/failures", context.iteration),
        labelloop_dataset::View::Frozen { ids: failing },
    )?;
    let summary = serde_json::json!({
        "iteration": evaluation.iteration,
        "mAP": evaluation.stats.first().copied().filter(|s| 0.0 <= *s),
        "f1": evaluation.f1,
        "train_samples": d.training_ids().len(),
        "val_samples": evaluation.n_images,
        "simulated": !context.project.config.active_learning.require_human_review,
    });
    d.set_info(format!("eval_v{}", context.iteration), summary);
    Ok(())
}

/// A class name as a part of a tag: white space becomes a dash.
fn slug(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join("-")
}
