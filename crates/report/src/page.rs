//! The HTML page.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use labelloop_loop::history::IterationRecord;
use labelloop_loop::{QaRecord, TestReport};
use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde::Serialize;

use crate::table::{gain_words, number};
use crate::{IterationDetail, Plot, ReportError, ReportInput, Result};

const TEMPLATE: &str = include_str!("templates/report.html");

/// Most rows of provenance and most crops that the page shows per iteration; the files hold all of them.
const MOST_ROWS: usize = 200;
const MOST_CROPS: usize = 24;

/// One page with everything embedded; names from the data are escaped.
///
/// # Errors
/// [`ReportError::Page`] when the template engine refuses.
pub fn render(input: &ReportInput, plots: &[Plot]) -> Result<String> {
    let refused = |e: minijinja::Error| ReportError::Page { reason: e.to_string() };
    let mut engine = Environment::new();
    engine.add_template("report.html", TEMPLATE).map_err(refused)?;
    let page = engine.get_template("report.html").map_err(refused)?;
    let rows: Vec<Row> = input.records.iter().map(Row::from).collect();
    let clouds: Vec<CloudRow> = input.details.iter().filter_map(cloud_row).collect();
    let iterations: Vec<Section> = input.details.iter().rev().map(section).collect();
    let plots: Vec<_> = plots.iter().map(|p| (p.caption.clone(), p.svg.clone())).collect();
    let values = serde_json::json!({
        "name": input.name,
        "target": input.target_f1,
        "outcome": input.outcome,
        "last": rows.last(),
        "rows": rows,
        "clouds": clouds,
        "plots": plots,
        "iterations": iterations,
        "curve": curve_summary(input),
        "test": input.test.as_ref().map(test_values),
    });
    page.render(Value::from(Serde(values))).map_err(refused)
}

fn test_values(test: &TestReport) -> serde_json::Value {
    let stat = |i: usize| number(test.stats.get(i).copied().filter(|s| 0.0 <= *s));
    serde_json::json!({
        "iteration": test.iteration,
        "reason": test.reason,
        "n_images": test.n_images,
        "f1": number(test.f1),
        "map": stat(0),
        "map50": stat(1),
    })
}

#[derive(Serialize)]
struct Row {
    iteration: u32,
    n_images: usize,
    n_boxes: usize,
    f1: String,
    interval: String,
    precision: String,
    recall: String,
    map: String,
    map50: String,
    tp: usize,
    fp: usize,
    missed: usize,
    gain: String,
    qa: String,
}

impl From<&IterationRecord> for Row {
    fn from(r: &IterationRecord) -> Self {
        Self {
            iteration: r.iteration,
            n_images: r.n_images,
            n_boxes: r.n_boxes,
            f1: number(r.f1),
            interval: r.f1_interval.map_or_else(String::new, |[l, u]| format!("{l:.3} to {u:.3}")),
            precision: number(r.precision),
            recall: number(r.recall),
            map: number(r.map),
            map50: number(r.map50),
            tp: r.tp,
            fp: r.fp,
            missed: r.fn_,
            gain: gain_words(r),
            qa: r.qa_verdict.clone().unwrap_or_else(|| "-".to_owned()),
        }
    }
}

/// One iteration of the pass over point clouds.
#[derive(Serialize)]
struct CloudRow {
    iteration: u32,
    n_scans: usize,
    n_cuboids: usize,
    ap_3d: String,
    interval: String,
    ap_bev: String,
    tp: usize,
    fp: usize,
    missed: usize,
    qa: String,
}

fn cloud_row(detail: &IterationDetail) -> Option<CloudRow> {
    let e = detail.clouds.as_ref()?;
    let percent = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.1}"));
    let scans = detail.qa.as_ref().and_then(|q| q.scans.as_ref());
    Some(CloudRow {
        iteration: e.iteration,
        n_scans: e.n_train_scans,
        n_cuboids: e.n_train_cuboids,
        ap_3d: percent(e.map_3d),
        interval: e.map_3d_interval.map_or_else(String::new, |[l, u]| format!("{l:.1} to {u:.1}")),
        ap_bev: percent(e.map_bev),
        tp: e.tp,
        fp: e.fp,
        missed: e.fn_,
        qa: scans.map_or_else(|| "-".to_owned(), |r| r.verdict.to_string()),
    })
}

#[derive(Serialize)]
struct Section {
    iteration: u32,
    buckets: Vec<(String, usize)>,
    picks: Vec<[String; 5]>,
    n_picks: usize,
    qa: Option<String>,
    refused: Option<String>,
    crops: Vec<(String, String)>,
    classes: Vec<(String, String)>,
}

fn section(detail: &IterationDetail) -> Section {
    let mut buckets: BTreeMap<String, usize> = BTreeMap::new();
    for pick in &detail.picks {
        *buckets.entry(pick[1].clone()).or_insert(0) += 1;
    }
    let report = detail.qa.as_ref();
    let ap50 = detail.evaluation.as_ref().map(|e| e.ap50_by_class.clone()).unwrap_or_default();
    Section {
        iteration: detail.iteration,
        buckets: buckets.into_iter().collect(),
        n_picks: detail.picks.len(),
        picks: detail.picks.iter().take(MOST_ROWS).cloned().collect(),
        qa: report.and_then(qa_words),
        refused: report.and_then(|q| q.refused.as_ref()).map(ToString::to_string),
        crops: detail
            .crops
            .iter()
            .take(MOST_CROPS)
            .map(|c| (c.name.clone(), format!("data:image/png;base64,{}", BASE64.encode(&c.png))))
            .collect(),
        classes: ap50.into_iter().map(|(class, ap)| (class, number(ap))).collect(),
    }
}

/// The golden check and what the control charts saw in this round.
fn qa_words(qa: &QaRecord) -> Option<String> {
    let mut words = qa.report.as_ref()?.to_string();
    for signal in qa.chart.iter().flat_map(|c| c.signals_of(u64::from(qa.iteration))) {
        words.push_str(&format!("\n{signal}"));
    }
    Some(words)
}

/// How many boxes random selection needed, or would need, for this run's final quality.
fn curve_summary(input: &ReportInput) -> Option<String> {
    let last = input.records.last()?;
    let finals: Vec<f64> = input.baselines.iter().filter_map(|c| c.points.last()?.map50).collect();
    if finals.is_empty() {
        return None;
    }
    let mean = finals.iter().sum::<f64>() / finals.len() as f64;
    Some(format!(
        "mAP50 {} with {} boxes in {} pictures; random selection of as many pictures: {mean:.3} on average over {} seeds",
        number(last.map50),
        last.n_boxes,
        last.n_images,
        finals.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str) -> ReportInput {
        ReportInput {
            name: name.to_owned(),
            target_f1: 0.9,
            records: Vec::new(),
            details: Vec::new(),
            baselines: Vec::new(),
            map: Vec::new(),
            outcome: None,
            test: None,
        }
    }

    #[test]
    fn names_from_the_data_cannot_become_markup() {
        let page = render(&input("<script>alert(1)</script>"), &[]).unwrap();
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn point_clouds_have_a_table_where_there_are_any() {
        let mut with_clouds = input("p");
        assert!(!render(&with_clouds, &[]).unwrap().contains("Point clouds"));
        let clouds = labelloop_loop::clouds::CloudEvaluation {
            n_train_scans: 16,
            map_3d: Some(61.25),
            map_3d_interval: Some([34.8, 76.4]),
            ..Default::default()
        };
        with_clouds.details = vec![IterationDetail { clouds: Some(clouds), ..IterationDetail::default() }];
        let page = render(&with_clouds, &[]).unwrap();
        assert!(page.contains("Point clouds") && page.contains("34.8 to 76.4"), "{page}");
    }

    #[test]
    fn control_charts_of_golden_qa_are_drawn_with_their_limit() {
        let limit = serde_json::json!({ "value": 4.0, "interval": [3.9, 4.1] });
        let point = |iteration: u64, t: f64| {
            let row = serde_json::json!({
                "statistic": "missed", "value": 0.02, "baseline": 0.02, "n_baseline": 3.0, "w": t, "k": 0.5,
                "cusum_up": 1.0,
            });
            serde_json::json!({
                "iteration": iteration, "label_digest": "a", "verdict": "PASS", "t": t, "leading": "missed",
                "rows": [row],
            })
        };
        let chart = serde_json::json!({
            "golden_version": "1", "false_alarm": 0.05, "n_rounds": 20, "n_simulations": 1000,
            "n_calibration": 3, "limits": { "shewhart": limit, "cusum": limit },
            "points": [point(0, 1.0), point(1, 2.0)], "signals": [], "passed_over": [],
        });
        let qa = serde_json::from_value(serde_json::json!({ "iteration": 1, "chart": chart })).unwrap();
        let mut input = input("run");
        assert!(!crate::plots(&input).unwrap().iter().any(|p| p.name == "golden_chart"));
        input.details = vec![IterationDetail { iteration: 1, qa: Some(qa), ..IterationDetail::default() }];
        let plots = crate::plots(&input).unwrap();
        let drawn = plots.iter().find(|p| p.name == "golden_chart").unwrap();
        assert!(drawn.svg.contains("false alarm 0.05 in 20 rounds") && drawn.svg.contains("CUSUM"));
        assert!(render(&input, &plots).unwrap().contains("Golden QA over rounds"));
    }

    #[test]
    fn the_page_loads_nothing_from_anywhere() {
        let page = render(&input("p"), &[]).unwrap();
        for word in ["http://", "https://", "src=\"/", "@import"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
