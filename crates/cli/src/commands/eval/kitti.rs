//! `eval kitti`: KITTI's object evaluation of two folders.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use labelloop_core::{GroupKey, SampleId, Seed};
use labelloop_eval::bootstrap::{BootstrapParams, Interval};
use labelloop_eval::kitti::{
    BoxFilter, ClassResult, Detection, Difficulty, Frame, KittiParams, KittiResult, Label, Metric, Partial,
    Recall, ci, observe_all,
};
use labelloop_eval::slices3::{self, SliceBy, SliceRow};
use labelloop_formats::kitti_rows::{KittiRow, read_folder};
use serde_json::{Map, Value, json};

use crate::args::EvalKittiArgs;
use crate::output::Output;

/// KITTI's numbers for a folder of labels and a folder of predictions.
pub(in crate::commands) fn kitti(args: &EvalKittiArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let input = Input::read(args, output)?;
    let frames = input.frames();
    let mut params = if args.loose { KittiParams::loose() } else { KittiParams::default() };
    if args.no_filter {
        params.filter = BoxFilter::None;
    }
    let records = observe_all(&frames, &params)?;
    let result = records.finish()?;
    result.warnings.iter().for_each(|warning| output.say(&format!("warning: {warning}")));
    let intervals = args.bootstrap.map(|n_draws| intervals(&records, &result, n_draws, args)).transpose()?;
    let by = [SliceBy::range(), SliceBy::Occlusion];
    let slices = if args.slices { slices3::evaluate(&frames, &by, &params)? } else { Vec::new() };

    let mut document = classes(&result);
    document.insert("labelloop".to_owned(), extras(&input, &result, intervals.as_ref(), &slices)?);
    output.result(&Value::Object(document), &words(&input, &result, intervals.as_ref(), &slices))?;
    Ok(ExitCode::SUCCESS)
}

/// Labelled frames with their predictions.
struct Input {
    frames: BTreeMap<SampleId, (Vec<Label>, Vec<Detection>)>,
    n_without_predictions: usize,
    n_without_scores: usize,
}

impl Input {
    fn read(args: &EvalKittiArgs, output: &Output) -> anyhow::Result<Self> {
        let is_asked = |id: &SampleId| {
            args.sequences.is_empty()
                || args.sequences.iter().any(|prefix| id.as_str().starts_with(prefix.as_str()))
        };
        let read = |dir: &Path| -> anyhow::Result<BTreeMap<SampleId, Vec<KittiRow>>> {
            let mut rows = read_folder(dir)?;
            rows.retain(|id, _| is_asked(id));
            Ok(rows)
        };
        let (labels, mut found) = (read(&args.labels)?, read(&args.predictions)?);
        if labels.is_empty() {
            bail!("{}: no label file is of sequences {}", args.labels.display(), args.sequences.join(", "));
        }
        let n_found = found.len();
        found.retain(|id, _| labels.contains_key(id));
        if found.is_empty() {
            bail!(
                "{}: expected a file named as one of the {} label files, such as {}.txt",
                args.predictions.display(),
                labels.len(),
                labels.keys().next().map_or("", SampleId::as_str)
            );
        }
        if found.len() < n_found {
            output.say(&format!(
                "warning: {} files of predictions have no labels: left out",
                n_found - found.len()
            ));
        }
        let n_without_scores = found.values().flatten().filter(|row| row.score.is_none()).count();
        if 0 < n_without_scores {
            output.say(&format!("warning: {n_without_scores} predictions have no score: 1 is taken"));
        }
        let n_without_predictions = labels.len() - found.len();
        if 0 < n_without_predictions {
            output.say(&format!(
                "warning: {n_without_predictions} of {} frames have no file of predictions: nothing is found there",
                labels.len()
            ));
        }
        let none = Vec::new();
        let frame = |(id, rows): (SampleId, Vec<KittiRow>)| {
            let found = found.get(&id).unwrap_or(&none).iter().map(detection).collect();
            (id, (rows.iter().map(label).collect(), found))
        };
        Ok(Self { frames: labels.into_iter().map(frame).collect(), n_without_predictions, n_without_scores })
    }

    fn frames(&self) -> Vec<Frame<'_>> {
        self.frames.iter().map(|(id, (labels, detections))| Frame { id, labels, detections }).collect()
    }
}

fn label(row: &KittiRow) -> Label {
    Label {
        truncation: row.truncation,
        occlusion: row.occlusion,
        alpha: row.alpha,
        ..Label::new(row.class.as_str(), row.bbox, row.cuboid)
    }
}

fn detection(row: &KittiRow) -> Detection {
    let score = row.score.unwrap_or(1.0);
    Detection { alpha: row.alpha, ..Detection::new(row.class.as_str(), row.bbox, row.cuboid, score) }
}

/// Intervals over forty recalls by class, metric and difficulty.
type Intervals = BTreeMap<String, BTreeMap<&'static str, BTreeMap<&'static str, Interval>>>;

fn intervals(
    records: &Partial,
    result: &KittiResult,
    n_draws: usize,
    args: &EvalKittiArgs,
) -> anyhow::Result<Intervals> {
    let params = BootstrapParams { n_draws, seed: Seed::new(args.seed), ..BootstrapParams::default() };
    let groups = args.sequence_digits.map(|n| recordings(records, n)).transpose()?;
    let mut all = Intervals::new();
    for class in &result.classes {
        for metric in Metric::ALL {
            for difficulty in Difficulty::ALL {
                let which = (class.name.as_str(), metric, Recall::R40, difficulty);
                let interval = ci(records, groups.as_ref(), which, &params)?;
                let of_class = all.entry(class.name.clone()).or_default();
                of_class.entry(metric.name()).or_default().insert(difficulty.name(), interval);
            }
        }
    }
    Ok(all)
}

/// The first characters of a frame's name name its recording.
fn recordings(records: &Partial, n: usize) -> anyhow::Result<BTreeMap<SampleId, GroupKey>> {
    let of = |id: &SampleId| {
        let key: String = id.as_str().chars().take(n).collect();
        Ok((id.clone(), GroupKey::new(key)?))
    };
    records.frame_ids().map(of).collect()
}

/// Class, metric, recall, difficulty.
fn classes(result: &KittiResult) -> Map<String, Value> {
    let of_recall = |class: &ClassResult, metric, recall: Recall| {
        let ap = |d: Difficulty| {
            (d.name().to_owned(), json!(class.curve(metric, d).map(|curve| curve.ap(recall))))
        };
        Value::Object(Difficulty::ALL.map(ap).into_iter().collect())
    };
    let of_metric = |class: &ClassResult, metric: Metric| {
        let recalls = Recall::ALL.map(|recall| (recall.name().to_owned(), of_recall(class, metric, recall)));
        Value::Object(recalls.into_iter().collect())
    };
    let of_class = |class: &ClassResult| {
        let metrics = Metric::ALL.map(|metric| (metric.name().to_owned(), of_metric(class, metric)));
        (class.name.clone(), Value::Object(metrics.into_iter().collect()))
    };
    result.classes.iter().map(of_class).collect()
}

/// What is no class.
fn extras(
    input: &Input,
    result: &KittiResult,
    intervals: Option<&Intervals>,
    slices: &[SliceRow],
) -> anyhow::Result<Value> {
    let by_difficulty = |of: &dyn Fn(Difficulty) -> Value| -> Value {
        Value::Object(Difficulty::ALL.map(|d| (d.name().to_owned(), of(d))).into_iter().collect())
    };
    let counts = |class: &ClassResult| {
        let found = json!({
            "labels": class.n_labels,
            "detections": class.n_detections,
            "ignored_labels": by_difficulty(&|d| json!(class.filtered_labels[d as usize])),
            "ignored_detections": by_difficulty(&|d| json!(class.filtered_detections[d as usize])),
        });
        (class.name.clone(), found)
    };
    let mut document = json!({
        "frames": result.n_frames,
        "frames_without_predictions": input.n_without_predictions,
        "predictions_without_score": input.n_without_scores,
        "params": result.params,
        "counts": Value::Object(result.classes.iter().map(counts).collect()),
        "warnings": result.warnings,
    });
    if let Some(intervals) = intervals {
        document["ci"] = json!({ "R40": intervals });
    }
    if !slices.is_empty() {
        let row =
            |row: &SliceRow| json!({ "by": row.by, "value": row.value, "classes": classes(&row.result) });
        document["slices"] = slices.iter().map(row).collect();
    }
    Ok(document)
}

fn words(input: &Input, result: &KittiResult, intervals: Option<&Intervals>, slices: &[SliceRow]) -> String {
    let mut words = String::new();
    let table = KittiResult { warnings: Vec::new(), ..result.clone() };
    let objects: Vec<String> = result
        .classes
        .iter()
        .map(|c| format!("{} {} labels, {} detections", c.name, c.n_labels, c.n_detections))
        .collect();
    let _ = write!(words, "{table}\n{} frames: {}\n", input.frames.len(), objects.join("; "));
    if let Some(intervals) = intervals {
        let _ = writeln!(words, "\nintervals of 95%, R40");
        for (class, metrics) in intervals {
            for metric in Metric::ALL.map(Metric::name) {
                let of = |d: Difficulty| metrics.get(metric).and_then(|cells| cells.get(d.name()));
                let ends = Difficulty::ALL.map(|d| ends(of(d))).join("  ");
                let _ = writeln!(words, "{class:<12}{metric:<6}{ends}");
            }
        }
    }
    if !slices.is_empty() {
        let _ = writeln!(words, "\nR40 moderate by slice\n{:<40}{:>9}{:>9}{:>9}", "", "bbox", "bev", "3d");
    }
    for row in slices {
        for class in &row.result.classes {
            let name = format!("{} {} {}", class.name, row.by, row.value);
            let cell = |m| {
                class
                    .curve(m, Difficulty::Moderate)
                    .map_or_else(|| "-".to_owned(), |c| format!("{:.2}", c.r40))
            };
            let [bbox, bev, cuboid] = [Metric::Bbox, Metric::Bev, Metric::Cuboid].map(cell);
            let _ = writeln!(words, "{name:<40}{bbox:>9}{bev:>9}{cuboid:>9}");
        }
    }
    words
}

fn ends(interval: Option<&Interval>) -> String {
    match interval.and_then(|i| i.low.zip(i.high)) {
        Some((low, high)) => format!("[{low:7.3}, {high:7.3}]"),
        None => format!("{:>18}", "-"),
    }
}
