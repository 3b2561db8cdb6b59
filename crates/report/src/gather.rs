//! Reads what the loop left on disk.

use std::path::{Path, PathBuf};

use labelloop_loop::backtest::Curve;
use labelloop_loop::clouds::CloudEvaluation;
use labelloop_loop::evaluation::Evaluation;
use labelloop_loop::history::{History, IterationRecord};
use labelloop_loop::state::{Phase, State};
use labelloop_loop::{HardExample, Layout, LoopConfig, MapPoint, QaRecord, TestReport};
use serde::de::DeserializeOwned;

use crate::{ReportError, Result};

/// Everything that a report shows.
#[derive(Debug, Clone)]
pub struct ReportInput {
    /// Name of the project.
    pub name: String,
    /// F1 to reach.
    pub target_f1: f64,
    /// Numbers by iteration.
    pub records: Vec<IterationRecord>,
    /// More about each iteration, in the same order.
    pub details: Vec<IterationDetail>,
    /// Curves of other policies at the same budget.
    pub baselines: Vec<Curve>,
    /// Pool and val in the plane.
    pub map: Vec<MapPoint>,
    /// Why the loop ended, if it did.
    pub outcome: Option<String>,
    /// The look at the frozen test set, if there was one.
    pub test: Option<TestReport>,
}

/// One iteration beyond its numbers.
#[derive(Debug, Clone, Default)]
pub struct IterationDetail {
    /// Iteration, from 0.
    pub iteration: u32,
    /// Picks with their reasons: id, bucket, scorer, score, query.
    pub picks: Vec<[String; 5]>,
    /// Golden QA.
    pub qa: Option<QaRecord>,
    /// Hard examples, the most informative first.
    pub hard: Vec<HardExample>,
    /// Crops of missed objects.
    pub crops: Vec<Crop>,
    /// Scores and failures.
    pub evaluation: Option<Evaluation>,
    /// Scores and failures of point clouds.
    pub clouds: Option<CloudEvaluation>,
}

/// A crop of a missed object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crop {
    /// File name without its ending.
    pub name: String,
    /// PNG bytes.
    pub png: Vec<u8>,
}

/// Reads a project folder. What is not there yet is left out; what is damaged is an error.
///
/// # Errors
/// [`ReportError`] naming the file.
pub fn gather(layout: &Layout) -> Result<ReportInput> {
    let config = LoopConfig::load(&layout.config())?;
    let records = History::load(&layout.history())?.records();
    let details = records.iter().map(|r| detail(layout, r.iteration)).collect::<Result<_>>()?;
    let outcome = State::load(&layout.state())?.and_then(|s| match s.phase {
        Phase::Finished { reason } => Some(reason.to_string()),
        Phase::Halted { reason } => Some(format!("halted: {reason}")),
        Phase::AwaitingReview => Some("people are labelling the batch".to_owned()),
        Phase::Running => None,
    });
    Ok(ReportInput {
        name: config.project.name,
        target_f1: config.active_learning.target_f1,
        records,
        details,
        baselines: optional(&layout.baselines())?.unwrap_or_default(),
        map: optional(&layout.selection_map())?.unwrap_or_default(),
        outcome,
        test: optional(&layout.test_report())?,
    })
}

fn detail(layout: &Layout, iteration: u32) -> Result<IterationDetail> {
    let analysis = layout.error_analysis(iteration);
    Ok(IterationDetail {
        iteration,
        picks: picks(&layout.batch(iteration))?,
        qa: optional(&layout.qa(iteration))?,
        hard: optional(&analysis.join("hard_examples.json"))?.unwrap_or_default(),
        crops: crops(&analysis.join("fn_crops"))?,
        evaluation: optional(&layout.evaluation(iteration))?,
        clouds: optional(&layout.cloud_evaluation(iteration))?,
    })
}

fn picks(path: &Path) -> Result<Vec<[String; 5]>> {
    let Some(plan) = optional::<serde_json::Value>(path)? else { return Ok(Vec::new()) };
    let word = |value: &serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(s) => s.clone(),
        serde_json::Value::Number(n) => n.as_f64().map_or_else(|| n.to_string(), |f| format!("{f:.3}")),
        other => other.to_string(),
    };
    let rows = plan["picks"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(rows.iter().map(|p| ["id", "bucket", "scorer", "score", "query"].map(|key| word(&p[key]))).collect())
}

fn crops(folder: &Path) -> Result<Vec<Crop>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError::Io { path, source }
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        paths.push(entry.map_err(io(folder))?.path());
    }
    paths.retain(|p| p.extension().is_some_and(|e| e == "png"));
    paths.sort();
    paths
        .iter()
        .map(|p| {
            let name = p.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok(Crop { name, png: std::fs::read(p).map_err(io(p))? })
        })
        .collect()
}

fn optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(|source| ReportError::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| ReportError::Record { path: path.to_owned(), reason: e.to_string() })
}
