//! `eval nuscenes`: mAP, NDS and the errors of true positives from two plain files.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::{Cuboid, SampleId, Seed};
use labelloop_eval::bootstrap::{BootstrapParams, Interval};
use labelloop_eval::nuscenes::{
    self as protocol, AbsentClasses, ClassResult, DetectionBox, Excess, LabelBox, NuscenesIntervals,
    NuscenesParams, NuscenesResult, SampleCase, SampleOrder, TpMeans, ci, observe_all,
};
use labelloop_formats::Strictness;
use labelloop_formats::nuscenes::{NuscenesRow, NuscenesRows, ReadOptions, read_detections, read_labels};
use serde_json::{Map, Value, json};

use crate::args::EvalNuscenesArgs;
use crate::output::Output;

/// nuScenes detection evaluation.
pub(in crate::commands) fn nuscenes(args: &EvalNuscenesArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let input = Input::read(args, output)?;
    let cases = input.cases();
    let params = input.params(args);
    let records = observe_all(&cases, &params)?;
    let result = records.finish()?;
    let warnings: Vec<String> = result.warnings.iter().map(ToString::to_string).collect();
    warnings.iter().for_each(|warning| output.say(&format!("warning: {warning}")));
    let intervals = args.bootstrap.map(|n_draws| {
        let params = BootstrapParams { n_draws, seed: Seed::new(args.seed), ..BootstrapParams::default() };
        let scenes = &input.labels.scenes;
        ci(&records, (!scenes.is_empty()).then_some(scenes), &params)
    });
    let intervals = intervals.transpose()?;
    if let Some(path) = &args.objects {
        write_objects(path, &cases, &params)?;
    }
    output.result(&document(&result, &warnings, intervals.as_ref()), &words(&result, intervals.as_ref()))?;
    Ok(ExitCode::SUCCESS)
}

/// Labels and detections by sample, in the order of the file of labels.
struct Input {
    labels: NuscenesRows,
    boxes: Vec<Vec<LabelBox>>,
    detections: Vec<Vec<DetectionBox>>,
    racks: Vec<Vec<Cuboid>>,
    /// Samples in the order of the file of detections, which decides between equal scores.
    order: Vec<SampleId>,
}

impl Input {
    fn read(args: &EvalNuscenesArgs, output: &Output) -> anyhow::Result<Self> {
        // A number is only as good as what it is made from, so nothing is left out unless that is asked for.
        let strictness = if args.lenient { Strictness::Lenient } else { Strictness::Strict };
        let options = ReadOptions { strictness, ..ReadOptions::default() };
        let labels = read_labels(&args.gt, &options)?;
        let found = read_detections(&args.dt, &labels, &options)?;
        labels.warnings.iter().chain(&found.warnings).for_each(|w| output.say(&format!("warning: {w}")));
        let answered: BTreeSet<&SampleId> = found.samples.iter().collect();
        let n_missing = labels.samples.iter().filter(|id| !answered.contains(id)).count();
        if 0 < n_missing {
            output.say(&format!(
                "warning: {n_missing} samples are not in {}: nothing is found there",
                args.dt.display()
            ));
        }
        let boxes = labels.by_sample().map(|(_, rows)| rows.iter().map(label_of).collect()).collect();
        let place: std::collections::BTreeMap<&SampleId, usize> = labels.samples.iter().zip(0..).collect();
        let mut detections = vec![Vec::new(); labels.samples.len()];
        for (id, rows) in found.by_sample() {
            if let Some(place) = place.get(id) {
                detections[*place] = rows.iter().map(detection_of).collect();
            }
        }
        let mut racks = vec![Vec::new(); labels.samples.len()];
        labels.racks.iter().for_each(|(sample, rack)| racks[*sample as usize].push(*rack));
        Ok(Self { boxes, detections, racks, order: found.samples, labels })
    }

    fn cases(&self) -> Vec<SampleCase<'_>> {
        let samples = self.labels.samples.iter().enumerate();
        let case = |(i, id): (usize, _)| SampleCase {
            id,
            labels: &self.boxes[i],
            detections: &self.detections[i],
            racks: &self.racks[i],
        };
        samples.map(case).collect()
    }

    fn params(&self, args: &EvalNuscenesArgs) -> NuscenesParams {
        NuscenesParams {
            excess: if args.lenient { Excess::KeepBest } else { Excess::Refuse },
            range_filter: !args.no_range_filter,
            absent_classes: if args.present_classes { AbsentClasses::LeaveOut } else { AbsentClasses::Zero },
            sample_order: SampleOrder::Ranked(self.order.iter().cloned().zip(0..).collect()),
            ..NuscenesParams::default()
        }
    }
}

fn label_of(row: &NuscenesRow) -> LabelBox {
    let NuscenesRow { class, cuboid, velocity, attribute, ego, n_points, .. } = *row;
    LabelBox { class, cuboid, velocity, attribute, ego, n_points }
}

fn detection_of(row: &NuscenesRow) -> DetectionBox {
    let NuscenesRow { class, cuboid, velocity, attribute, ego, score, .. } = *row;
    // The reader refuses detections without a score.
    DetectionBox { class, cuboid, velocity, attribute, ego, score: score.unwrap_or(0.0) }
}

fn document(result: &NuscenesResult, warnings: &[String], intervals: Option<&NuscenesIntervals>) -> Value {
    let classes: Map<String, Value> =
        result.classes.iter().map(|class| (class.name.clone(), class_document(result, class))).collect();
    let mut document = json!({
        "mAP": result.mean_ap,
        "NDS": result.nds,
        "tp_errors": errors(&result.tp_errors),
        "classes": classes,
        "n_samples": result.n_samples,
        "warnings": warnings,
    });
    if let Some(i) = intervals {
        document["ci"] = json!({ "mAP": i.mean_ap, "NDS": i.nds });
    }
    document
}

fn class_document(result: &NuscenesResult, class: &ClassResult) -> Value {
    let distances = result.params.distances.iter().map(|d| format!("{d:?}"));
    let by_distance: Map<String, Value> =
        distances.zip(&class.ap_by_distance).map(|(d, ap)| (d, json!(ap))).collect();
    let mut document = json!({
        "ap": class.ap,
        "ap_by_distance": by_distance,
        "n_labels": class.n_labels,
        "n_detections": class.n_detections,
        "n_matched": class.n_matched,
        "filtered_labels": class.filtered_labels,
        "filtered_detections": class.filtered_detections,
    });
    for (name, value) in errors(&class.tp_errors) {
        document[name] = value;
    }
    document
}

fn errors(means: &TpMeans) -> Map<String, Value> {
    TpMeans::NAMES.iter().zip(means.to_array()).map(|(name, v)| ((*name).to_owned(), json!(v))).collect()
}

fn words(result: &NuscenesResult, intervals: Option<&NuscenesIntervals>) -> String {
    let Some(i) = intervals else { return result.to_string() };
    let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    let line = |name: &str, i: &Interval| {
        format!("{name}  {} [{}, {}]\n", number(i.value), number(i.low), number(i.high))
    };
    let n = i.nds.n_groups;
    format!(
        "{result}\nintervals of 95% from {n} groups of samples\n{}{}",
        line("mAP", &i.mean_ap),
        line("NDS", &i.nds)
    )
}

/// What became of every box, sample by sample.
fn write_objects(path: &Path, cases: &[SampleCase<'_>], params: &NuscenesParams) -> anyhow::Result<()> {
    let mut samples = Map::new();
    for case in cases {
        let outcomes = protocol::outcomes(case, params)?;
        samples.insert(case.id.to_string(), serde_json::to_value(outcomes)?);
    }
    std::fs::write(path, serde_json::to_vec_pretty(&samples)?)
        .with_context(|| format!("{}: cannot be written", path.display()))
}
