//! `eval coco`: the twelve numbers, and whatever else was asked for, from one reading of the files.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::{ClassIdx, Seed};
use labelloop_eval::bootstrap::{self, BootstrapParams, Interval, Metric};
use labelloop_eval::calibration::{self, CalibrationParams, CalibrationReport};
use labelloop_eval::coco::{CocoResult, observe_all};
use labelloop_eval::slices::{self, SliceParams, SliceReport};
use labelloop_eval::threshold::{self, BestThreshold, BestThresholds};
use labelloop_eval::tide::{self, TideParams, TideReport};
use labelloop_eval::{CountsReport, ImageCase, evaluate_at, failures};
use ndarray_npy::NpzWriter;
use serde::Serialize;
use serde_json::{Value, json};

use super::Input;
use super::details::Details;
use crate::args::EvalCocoArgs;
use crate::output::Output;

/// COCO bbox evaluation.
pub(in crate::commands) fn coco(args: &EvalCocoArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let input = Input::read(&args.gt, output)?;
    let found = input.read_detections(&args.dt, output)?;
    let cases = input.cases(&found);
    let n_classes = input.n_classes();
    let result = input.evaluate(&found)?;
    let BestThresholds { overall: best, per_class } =
        threshold::best_thresholds(&cases, n_classes, args.iou)?;
    let min_score = args.min_score.unwrap_or(best.as_ref().map_or(0.0, |b| b.score));
    let counts = evaluate_at(&cases, n_classes, args.iou, min_score)?;
    let extras = Extras::new(args, &input, &cases, min_score)?;
    let rows = rows(&input, &result, &per_class, &extras);

    let mut document = json!({
        "stats": result.stats,
        "classes": rows.iter().map(|row| &row.document).collect::<Vec<_>>(),
        "iou": args.iou,
        "min_score": min_score,
        "best_f1_score": best.as_ref().map(|b| b.score),
        "f1": counts.f1,
        "precision": counts.precision,
        "recall": counts.recall,
    });
    extras.document(&mut document)?;
    if args.per_image {
        document["images"] = images(&input, &counts);
    }
    if args.confusion {
        document["confusion"] = confusion(&input, &counts)?;
    }
    write_files(args, &input, &cases, &result, min_score)?;
    let mut words = format!("{result}\n{}", table(&rows));
    let _ = writeln!(words, "\n{}", overall(&counts, args.min_score.is_none()));
    words.push_str(&extras.words());
    output.result(&document, &words)?;
    Ok(ExitCode::SUCCESS)
}

/// What is computed only when asked for.
struct Extras {
    tide: Option<TideReport>,
    slices: Option<SliceReport>,
    calibration: Option<CalibrationReport>,
    intervals: Option<Intervals>,
}

/// Numbers with their intervals.
struct Intervals {
    ap: Interval,
    ap50: Interval,
    f1: Interval,
    ap_by_class: Vec<Interval>,
    ap50_by_class: Vec<Interval>,
}

impl Extras {
    fn new(
        args: &EvalCocoArgs,
        input: &Input,
        cases: &[ImageCase<'_>],
        min_score: f64,
    ) -> anyhow::Result<Self> {
        let n_classes = input.n_classes();
        let iou = args.iou;
        let draws = args.bootstrap.map(|n_draws| BootstrapParams {
            n_draws,
            seed: Seed::new(args.seed),
            ..BootstrapParams::default()
        });
        let Details { groups, by } = Details::read(&args.gt, input, &args.data, draws.is_some())?;
        let tide = || {
            let background_iou = TideParams::default().background_iou.min(iou);
            tide::evaluate(cases, n_classes, &TideParams { iou, background_iou, ..TideParams::default() })
        };
        let sliced = || {
            let params = SliceParams { iou, min_score, ..SliceParams::default() };
            slices::evaluate(cases, n_classes, &by, Some(&groups), &params, draws.as_ref())
        };
        let calibrated = || {
            let params =
                CalibrationParams { iou, min_score: args.min_score.unwrap_or(0.0), ..Default::default() };
            calibration::evaluate(cases, n_classes, &params)
        };
        let intervals = |params: &BootstrapParams| -> anyhow::Result<Intervals> {
            let records = observe_all(cases, n_classes, &input.params)?;
            let of = |metric| bootstrap::ci_by_class(&records, Some(&groups), metric, params);
            let ((ap, ap_by_class), (ap50, ap50_by_class)) = (of(Metric::Map)?, of(Metric::Map50)?);
            let f1 = bootstrap::ci(&records, Some(&groups), Metric::F1 { iou, min_score }, params)?;
            Ok(Intervals { ap, ap50, f1, ap_by_class, ap50_by_class })
        };
        Ok(Self {
            tide: args.tide.then(tide).transpose()?,
            slices: (!by.is_empty()).then(sliced).transpose()?,
            calibration: args.calibration.then(calibrated).transpose()?,
            intervals: draws.as_ref().map(intervals).transpose()?,
        })
    }

    fn document(&self, document: &mut Value) -> anyhow::Result<()> {
        if let Some(tide) = &self.tide {
            document["errors"] = serde_json::to_value(tide)?;
        }
        if let Some(slices) = &self.slices {
            document["slices"] = serde_json::to_value(&slices.rows)?;
        }
        if let Some(calibration) = &self.calibration {
            document["calibration"] = serde_json::to_value(calibration)?;
        }
        if let Some(i) = &self.intervals {
            document["ci"] = json!({ "ap": i.ap, "ap50": i.ap50, "f1": i.f1 });
        }
        Ok(())
    }

    fn words(&self) -> String {
        let mut words = String::new();
        if let Some(i) = &self.intervals {
            let of = |interval: &Interval| format!("{} {}", number(interval.value), ends(interval));
            let (ap, ap50, f1) = (of(&i.ap), of(&i.ap50), of(&i.f1));
            let _ = writeln!(
                words,
                "\nintervals of 95% from {} groups of images\nAP    {ap}\nAP50  {ap50}\nF1    {f1}",
                i.ap.n_groups
            );
        }
        if let Some(tide) = &self.tide {
            let _ = writeln!(
                words,
                "\n{:<26}  {:>7}  {:>8}  AP{:.0} gained by mending the kind (now {})\n{}",
                "errors",
                "count",
                "dAP",
                tide.params.iou * 100.0,
                number(tide.ap),
                tide.to_string().trim_end()
            );
        }
        if let Some(slices) = &self.slices {
            let _ = write!(words, "\n{slices}");
        }
        if let Some(c) = &self.calibration {
            let [ece, mass, mce] = [c.ece, c.ece_equal_mass, c.mce].map(number);
            let [position, size, all] = [c.d_ece_position, c.d_ece_size, c.d_ece_all].map(number);
            let bias = c.bias.map_or_else(|| "-".to_owned(), |b| format!("{b:+.3}"));
            let _ = writeln!(
                words,
                "\ncalibration of {} detections\nECE {ece} (equal mass {mass}), worst bin {mce}, mean score less precision \
                 {bias}\nD-ECE by position {position}, by size {size}, by both {all}",
                c.n_detections
            );
        }
        words
    }
}

/// One class, for machines and for people.
struct Row {
    document: Value,
    cells: Option<[String; 12]>,
}

fn rows(input: &Input, result: &CocoResult, best: &[Option<BestThreshold>], extras: &Extras) -> Vec<Row> {
    let mut n_labels = vec![0usize; input.n_classes()];
    for label in input.rows.labels.iter().filter(|label| !label.is_crowd) {
        n_labels[label.class.as_usize()] += 1;
    }
    let classes = input.rows.schema.iter().zip(best);
    let row = |((class, name), best): ((ClassIdx, &str), &Option<BestThreshold>)| {
        row(input, result, class, name, n_labels[class.as_usize()], best.as_ref(), extras)
    };
    classes.map(row).collect()
}

fn row(
    input: &Input,
    result: &CocoResult,
    class: ClassIdx,
    name: &str,
    n_labels: usize,
    best: Option<&BestThreshold>,
    extras: &Extras,
) -> Row {
    let k = class.as_usize();
    let [ap, ap50, ap75, ar] =
        [result.class_ap(class), result.class_ap50(class), result.class_ap75(class), result.class_ar(class)];
    let mut document = json!({
        "id": input.rows.category_ids.get(k),
        "name": name,
        "ap": ap,
        "ap50": ap50,
        "ap75": ap75,
        "ar100": ar,
        "gt": n_labels,
        "tp": best.map(|b| b.tp),
        "fp": best.map(|b| b.fp),
        "fn": best.map(|b| b.fn_),
        "precision": best.map(|b| b.precision),
        "recall": best.map(|b| b.recall),
        "best_f1": best.map(|b| b.f1),
        "best_f1_score": best.map(|b| b.score),
    });
    if let Some(i) = &extras.intervals {
        document["ci"] = json!({ "ap": i.ap_by_class.get(k), "ap50": i.ap50_by_class.get(k) });
    }
    if let Some(c) = &extras.calibration {
        document["ece"] = json!(c.ece_by_class.get(k));
    }
    let interval = extras.intervals.as_ref().and_then(|i| i.ap_by_class.get(k)).map(ends).unwrap_or_default();
    let at_best = |of: fn(&BestThreshold) -> f64| number(best.map(of));
    let count = |of: fn(&BestThreshold) -> usize| best.map_or_else(|| "-".to_owned(), |b| of(b).to_string());
    let cells = (n_labels != 0).then(|| {
        [
            name.to_owned(),
            n_labels.to_string(),
            format!("{}{}{interval}", number(ap), if interval.is_empty() { "" } else { " " }),
            number(ap50),
            number(ap75),
            number(ar),
            at_best(|b| b.precision),
            at_best(|b| b.recall),
            at_best(|b| b.f1),
            at_best(|b| b.score),
            count(|b| b.fp),
            count(|b| b.fn_),
        ]
    });
    Row { document, cells }
}

/// Classes with a label, aligned.
fn table(rows: &[Row]) -> String {
    let head = [
        "class",
        "labels",
        "AP",
        "AP50",
        "AP75",
        "AR",
        "precision",
        "recall",
        "best F1",
        "score",
        "FP",
        "FN",
    ]
    .map(str::to_owned);
    let shown: Vec<&[String; 12]> = rows.iter().filter_map(|row| row.cells.as_ref()).collect();
    let mut widths = head.clone().map(|cell| cell.len());
    for cells in &shown {
        widths.iter_mut().zip(*cells).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let mut text = String::new();
    for cells in std::iter::once(&head).chain(shown.iter().copied()) {
        let mut line = format!("{:<width$}", cells[0], width = widths[0]);
        for (cell, width) in cells.iter().zip(widths).skip(1) {
            let _ = write!(line, "  {cell:>width$}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let n_absent = rows.len() - shown.len();
    if 0 < n_absent {
        let _ = writeln!(text, "({n_absent} classes have no label)");
    }
    text
}

fn overall(counts: &CountsReport, is_best: bool) -> String {
    let [precision, recall, f1] = [counts.precision, counts.recall, counts.f1].map(number);
    let which = if is_best { ", the best F1" } else { "" };
    format!(
        "all classes at IoU {:.2} and score {:.3}{which}: precision {precision}, recall {recall}, F1 {f1} ({} right, {} wrong, \
         {} missed)",
        counts.iou, counts.min_score, counts.tp, counts.fp, counts.fn_
    )
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"))
}

fn ends(interval: &Interval) -> String {
    format!("[{}, {}]", number(interval.low), number(interval.high))
}

fn images(input: &Input, counts: &CountsReport) -> Value {
    let ids = input.ids();
    let row = |c: &labelloop_eval::ImageCounts| json!({ "id": ids.get(&c.id), "tp": c.tp, "fp": c.fp, "fn": c.fn_ });
    counts.images.iter().map(row).collect()
}

/// Rows are labels and columns detections; the last of each is the background.
fn confusion(input: &Input, counts: &CountsReport) -> anyhow::Result<Value> {
    let names: Vec<&str> = input.rows.schema.iter().map(|(_, name)| name).chain(["background"]).collect();
    let rows: Vec<&[u64]> = counts.confusion.counts.chunks(names.len()).collect();
    Ok(json!({ "names": names, "counts": serde_json::to_value(rows)? }))
}

fn write_files(
    args: &EvalCocoArgs,
    input: &Input,
    cases: &[ImageCase<'_>],
    result: &CocoResult,
    min_score: f64,
) -> anyhow::Result<()> {
    if let Some(path) = &args.arrays {
        write_arrays(path, result)?;
    }
    if let Some(path) = &args.failures {
        write_json(path, &failures::find(cases, args.iou, min_score)?)?;
    }
    if let Some(path) = &args.curves {
        let mut curves = Vec::new();
        for (class, name) in input.rows.schema.iter() {
            let points = threshold::class_curve(cases, input.n_classes(), args.iou, class)?;
            curves.push(
                json!({ "id": input.rows.category_ids.get(class.as_usize()), "name": name, "points": points }),
            );
        }
        write_json(path, &curves)?;
    }
    Ok(())
}

fn write_json<T: Serialize>(path: &Path, document: &T) -> anyhow::Result<()> {
    std::fs::write(path, serde_json::to_vec_pretty(document)?)
        .with_context(|| format!("{}: cannot be written", path.display()))
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
