//! `eval coco` and `eval compare`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::{SampleId, ScoredBox, Seed};
use labelloop_eval::bootstrap::{self, BootstrapParams, Metric};
use labelloop_eval::coco::{CocoParams, CocoResult, ImageOrder, Partial};
use labelloop_eval::{ImageCase, evaluate_at, failures, threshold};
use labelloop_formats::coco::{self, CocoDataset, CocoId};
use ndarray_npy::NpzWriter;
use serde_json::{Value, json};

use crate::args::{EvalCocoArgs, EvalCompareArgs};
use crate::output::Output;

/// Labels and detections of two files, with pycocotools' order of images.
struct Input {
    gt: CocoDataset,
    detections: BTreeMap<SampleId, Vec<ScoredBox>>,
    params: CocoParams,
}

impl Input {
    fn read(gt: &Path, dt: &Path, output: &Output) -> anyhow::Result<Self> {
        let gt = coco::read(gt, &coco::ReadOptions::default())?;
        let (detections, warnings) = coco::read_detections(dt, &gt)?;
        for warning in gt.warnings.iter().chain(&warnings) {
            output.say(&format!("warning: {warning}"));
        }
        let params = CocoParams { image_order: order(&gt), ..CocoParams::default() };
        Ok(Self { gt, detections, params })
    }

    fn n_classes(&self) -> usize {
        self.gt.set.schema.n_classes()
    }

    fn cases(&self) -> Vec<ImageCase<'_>> {
        self.gt
            .set
            .samples
            .iter()
            .map(|s| ImageCase {
                id: &s.id,
                size: s.size,
                labels: s.boxes.as_deref().unwrap_or_default(),
                detections: self.detections.get(&s.id).map(Vec::as_slice).unwrap_or_default(),
            })
            .collect()
    }
}

/// pycocotools walks images by their number, which decides ties among equal scores.
fn order(gt: &CocoDataset) -> ImageOrder {
    let mut ids: Vec<(&CocoId, &SampleId)> = gt.image_ids.iter().map(|(sample, id)| (id, sample)).collect();
    ids.sort();
    ImageOrder::Ranked((0i64..).zip(ids).map(|(rank, (_, sample))| (sample.clone(), rank)).collect())
}

/// COCO bbox evaluation.
pub(super) fn coco(args: &EvalCocoArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let input = Input::read(&args.gt, &args.dt, output)?;
    let cases = input.cases();
    let n_classes = input.n_classes();
    let records = labelloop_eval::coco::observe_all(&cases, n_classes, &input.params)?;
    let result = records.finish()?;
    let best = threshold::best_f1(&cases, n_classes, args.iou)?;
    let min_score = best.as_ref().map_or(0.0, |b| b.score);
    let counts = evaluate_at(&cases, n_classes, args.iou, min_score)?;
    let mut document = json!({
        "stats": result.stats,
        "classes": classes(&input, &result, &cases, args.iou)?,
        "iou": args.iou,
        "best_f1_score": best.as_ref().map(|b| b.score),
        "f1": counts.f1,
        "precision": counts.precision,
        "recall": counts.recall,
    });
    if args.per_image {
        let of = |id: &SampleId| input.gt.image_ids.get(id);
        let rows: Vec<Value> = counts
            .images
            .iter()
            .map(|c| json!({ "id": of(&c.id), "tp": c.tp, "fp": c.fp, "fn": c.fn_ }))
            .collect();
        document["images"] = Value::Array(rows);
    }
    if let Some(n_draws) = args.bootstrap {
        document["ci"] = intervals(&records, n_draws, args.seed, Metric::F1 { iou: args.iou, min_score })?;
    }
    if let Some(path) = &args.arrays {
        write_arrays(path, &result)?;
    }
    if let Some(path) = &args.failures {
        let found = failures::find(&cases, args.iou, min_score)?;
        std::fs::write(path, serde_json::to_vec_pretty(&found)?)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    output.result(&document, &result.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn classes(
    input: &Input,
    result: &CocoResult,
    cases: &[ImageCase<'_>],
    iou: f64,
) -> anyhow::Result<Vec<Value>> {
    let best = threshold::best_f1_per_class(cases, input.n_classes(), iou)?;
    let mut rows = Vec::new();
    for ((class, name), best) in input.gt.set.schema.iter().zip(best) {
        let n_gt = cases.iter().flat_map(|c| c.labels).filter(|l| l.class == class && !l.is_crowd).count();
        rows.push(json!({
            "id": input.gt.category_ids.get(class.as_usize()),
            "name": name,
            "ap": result.class_ap(class),
            "ap50": result.class_ap50(class),
            "ap75": result.class_ap75(class),
            "ar100": result.class_ar(class),
            "gt": n_gt,
            "tp": best.as_ref().map(|b| b.tp),
            "fp": best.as_ref().map(|b| b.fp),
            "fn": best.as_ref().map(|b| b.fn_),
            "best_f1": best.as_ref().map(|b| b.f1),
            "best_f1_score": best.as_ref().map(|b| b.score),
        }));
    }
    Ok(rows)
}

fn intervals(records: &Partial, n_draws: usize, seed: u64, f1: Metric) -> anyhow::Result<Value> {
    let params = BootstrapParams { n_draws, seed: Seed::new(seed), ..BootstrapParams::default() };
    let of = |metric| bootstrap::ci(records, None, metric, &params);
    Ok(json!({ "ap": of(Metric::Map)?, "ap50": of(Metric::Map50)?, "f1": of(f1)? }))
}

fn write_arrays(path: &Path, result: &CocoResult) -> anyhow::Result<()> {
    let file =
        std::fs::File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    let mut npz = NpzWriter::new(file);
    let [t, r, k, a, m] = result.shape();
    let whole = |flat: &[f64]| ndarray::ArrayView::from_shape((t, r, k, a, m), flat).map(|v| v.to_owned());
    npz.add_array("precision", &whole(&result.precision)?)?;
    npz.add_array("recall", &ndarray::ArrayView::from_shape((t, k, a, m), &result.recall)?.to_owned())?;
    npz.add_array("scores", &whole(&result.scores)?)?;
    npz.finish()?;
    Ok(())
}

/// Paired difference of two detectors.
pub(super) fn compare(args: &EvalCompareArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let first = Input::read(&args.gt, &args.a, output)?;
    let (b, _) = coco::read_detections(&args.b, &first.gt)?;
    let second = Input { gt: first.gt.clone(), detections: b, params: first.params.clone() };
    let observe =
        |input: &Input| labelloop_eval::coco::observe_all(&input.cases(), input.n_classes(), &input.params);
    let params =
        BootstrapParams { n_draws: args.bootstrap, seed: Seed::new(args.seed), ..BootstrapParams::default() };
    let (a, b) = (observe(&first)?, observe(&second)?);
    let of = |metric| labelloop_eval::compare(&a, &b, None, metric, &params);
    let (map, map50) = (of(Metric::Map)?, of(Metric::Map50)?);
    let words =
        format!("mAP   {}\nmAP50 {}", line(&serde_json::to_value(map)?), line(&serde_json::to_value(map50)?));
    output.result(&json!({ "ap": map, "ap50": map50 }), &words)?;
    Ok(ExitCode::SUCCESS)
}

fn line(comparison: &Value) -> String {
    let number =
        |key: &str| comparison[key].as_f64().map_or_else(|| "none".to_owned(), |v| format!("{v:.4}"));
    format!(
        "A {} B {} difference {} [{}, {}] p {}",
        number("a"),
        number("b"),
        number("difference"),
        number("low"),
        number("high"),
        number("p_value")
    )
}
