//! The plots of a report, made from its numbers.

use std::collections::BTreeMap;

use labelloop_loop::history::IterationRecord;

use crate::chart::{BarChart, LineChart, Scatter, Series};
use crate::{ReportInput, Result};

/// A plot with the name of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    /// Stem of the file name.
    pub name: &'static str,
    /// What it shows, for people who cannot see it.
    pub caption: String,
    /// SVG document.
    pub svg: String,
}

/// All plots that the numbers allow: trends, counts, class balance, and where there is something to compare with or to
/// map, learning curves and the selection map.
///
/// # Errors
/// [`crate::ReportError::Chart`] when the drawing library refuses.
pub fn plots(input: &ReportInput) -> Result<Vec<Plot>> {
    let mut plots = vec![
        plot(
            "f1_trend",
            "F1 on val by iteration, with its 95% interval and the target",
            f1_trend(input).to_svg()?,
        ),
        plot(
            "metrics_trend",
            "mAP, mAP50, precision and recall on val by iteration",
            metrics_trend(&input.records).to_svg()?,
        ),
        plot(
            "counts_trend",
            "True positives, false positives and missed objects on val by iteration",
            counts_trend(&input.records).to_svg()?,
        ),
        plot(
            "class_balance",
            "Labelled boxes by class after the last iteration",
            class_balance(&input.records).to_svg()?,
        ),
    ];
    if let Some(chart) = golden_chart(input) {
        let caption = "Golden QA over rounds: the largest change in one round (T) and the largest sum of small ones (CUSUM), each as a multiple of its limit";
        plots.push(plot("golden_chart", caption, chart.to_svg()?));
    }
    if !input.baselines.is_empty() {
        let caption =
            "mAP50 on val over labelled boxes and over pictures, beside random selection at the same budget";
        plots.push(plot("learning_curve_boxes", caption, learning_curve(input, Axis::Boxes).to_svg()?));
        plots.push(plot("learning_curve_images", caption, learning_curve(input, Axis::Images).to_svg()?));
    }
    if !input.map.is_empty() {
        let caption =
            "The pool in embedding space (PCA fitted on the pool) and what each batch picked from it";
        plots.push(plot("selection_map", caption, selection_map(input).to_svg()?));
    }
    Ok(plots)
}

fn plot(name: &'static str, caption: &str, svg: String) -> Plot {
    Plot { name, caption: caption.to_owned(), svg }
}

fn series(
    name: &str,
    records: &[IterationRecord],
    value: impl Fn(&IterationRecord) -> Option<f64>,
) -> Series {
    let points = records.iter().map(|r| (f64::from(r.iteration), value(r))).collect();
    Series { name: name.to_owned(), points, ..Series::default() }
}

fn f1_trend(input: &ReportInput) -> LineChart {
    let mut val = series("F1 on val", &input.records, |r| r.f1);
    val.band = input.records.iter().map(|r| r.f1_interval).collect();
    LineChart {
        title: "F1".to_owned(),
        x_label: "iteration".to_owned(),
        y_label: "F1".to_owned(),
        series: vec![val, series("F1 on training pictures", &input.records, |r| r.train_f1)],
        target: Some((format!("target {}", input.target_f1), input.target_f1)),
        is_share: true,
    }
}

fn metrics_trend(records: &[IterationRecord]) -> LineChart {
    let mut map50 = series("mAP50", records, |r| r.map50);
    map50.band = records.iter().map(|r| r.map50_interval).collect();
    LineChart {
        title: "mAP, precision, recall on val".to_owned(),
        x_label: "iteration".to_owned(),
        y_label: "share".to_owned(),
        series: vec![
            map50,
            series("mAP .50:.95", records, |r| r.map),
            series("precision", records, |r| r.precision),
            series("recall", records, |r| r.recall),
        ],
        target: None,
        is_share: true,
    }
}

fn counts_trend(records: &[IterationRecord]) -> LineChart {
    LineChart {
        title: "Counts on val".to_owned(),
        x_label: "iteration".to_owned(),
        y_label: "objects".to_owned(),
        series: vec![
            series("true positives", records, |r| Some(r.tp as f64)),
            series("false positives", records, |r| Some(r.fp as f64)),
            series("missed", records, |r| Some(r.fn_ as f64)),
        ],
        target: None,
        is_share: false,
    }
}

/// Both control charts on one scale; none before there is a round to draw.
fn golden_chart(input: &ReportInput) -> Option<LineChart> {
    let chart = input.details.iter().rev().find_map(|d| d.qa.as_ref()?.chart.as_ref())?;
    let limits = chart.limits?;
    let line = |name: &str, height: &dyn Fn(usize) -> f64| {
        let points =
            chart.points.iter().enumerate().map(|(i, p)| (p.iteration as f64, Some(height(i)))).collect();
        Series { name: name.to_owned(), points, ..Series::default() }
    };
    let cusum = |i: usize| chart.points[i].leading_cusum().map_or(0.0, |(s, ..)| s) / limits.cusum.value;
    Some(LineChart {
        title: format!("Golden QA over rounds, version {}", chart.golden_version),
        x_label: "iteration".to_owned(),
        y_label: "times its limit".to_owned(),
        series: vec![line("T", &|i| chart.points[i].t / limits.shewhart.value), line("CUSUM", &cusum)],
        target: Some((format!("limit: false alarm {} in {} rounds", chart.false_alarm, chart.n_rounds), 1.0)),
        is_share: false,
    })
}

fn class_balance(records: &[IterationRecord]) -> BarChart {
    let bars = records
        .last()
        .map(|r| r.boxes_by_class.iter().map(|(class, n)| (class.clone(), *n as f64)).collect());
    BarChart {
        title: "Labelled boxes by class".to_owned(),
        y_label: "boxes".to_owned(),
        bars: bars.unwrap_or_default(),
    }
}

#[derive(Clone, Copy)]
enum Axis {
    Boxes,
    Images,
}

fn learning_curve(input: &ReportInput, axis: Axis) -> LineChart {
    let pick = |n_images: usize, n_boxes: usize| match axis {
        Axis::Boxes => n_boxes as f64,
        Axis::Images => n_images as f64,
    };
    let own = Series {
        name: "this run".to_owned(),
        points: input.records.iter().map(|r| (pick(r.n_images, r.n_boxes), r.map50)).collect(),
        band: input.records.iter().map(|r| r.map50_interval).collect(),
        is_background: false,
    };
    let others = input.baselines.iter().map(|c| Series {
        name: format!("{}, seed {}", c.policy, c.seed),
        points: c.points.iter().map(|p| (pick(p.n_images, p.n_boxes), p.map50)).collect(),
        band: Vec::new(),
        is_background: true,
    });
    LineChart {
        title: "Learning curve".to_owned(),
        x_label: match axis {
            Axis::Boxes => "labelled boxes".to_owned(),
            Axis::Images => "labelled pictures".to_owned(),
        },
        y_label: "mAP50 on val".to_owned(),
        series: std::iter::once(own).chain(others).collect(),
        target: None,
        is_share: true,
    }
}

fn selection_map(input: &ReportInput) -> Scatter {
    let mut batches: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
    for point in &input.map {
        if let Some(batch) = point.batch {
            batches.entry(batch).or_default().push((point.x, point.y));
        }
    }
    let rest =
        input.map.iter().filter(|p| p.split == "pool" && p.batch.is_none()).map(|p| (p.x, p.y)).collect();
    let mut categories = vec![("pool, not picked".to_owned(), rest)];
    categories.extend(batches.into_iter().map(|(batch, points)| (format!("batch {batch}"), points)));
    Scatter { title: "What was picked".to_owned(), categories }
}
