//! The one look at the frozen test set.

use labelloop_core::Split;
use labelloop_dataset::{GROUND_TRUTH, Sample};
use labelloop_eval::coco::CocoParams;
use labelloop_eval::{ImageCase, coco, evaluate_at};
use labelloop_train::GridDetector;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::evaluation::ScoredPicture;
use crate::history::History;
use crate::project::Project;
use crate::{LoopError, Result, files};

/// Scores of the best model on the frozen test set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestReport {
    /// Iteration of the model: the best on val, chosen before anybody looked at test.
    pub iteration: u32,
    /// Why the set was opened, as the ledger says.
    pub reason: String,
    /// Pictures scored.
    pub n_images: usize,
    /// Labelled boxes in them.
    pub n_boxes: usize,
    /// The 12 COCO statistics in pycocotools' order, -1 where it says -1.
    pub stats: Vec<f64>,
    /// Precision at the score threshold chosen on val.
    pub precision: Option<f64>,
    /// Recall at that threshold.
    pub recall: Option<f64>,
    /// F1 at that threshold.
    pub f1: Option<f64>,
}

/// Evaluates the best model on the frozen test set. The look is written to the ledger before any label is read, and
/// refused when the budget is used up; the same model and reason count as the same look.
///
/// # Errors
/// No iteration to look at, a spent budget, an empty reason, weights kept by an outside trainer.
pub fn final_test(project: &Project, reason: &str) -> Result<TestReport> {
    let history = History::load(&project.layout.history())?;
    let path = project.layout.history();
    let none = || LoopError::Record { path, reason: "no iteration has been evaluated yet".to_owned() };
    let best = history.best().ok_or_else(none)?;
    let weights = project.layout.weights(best.iteration);
    let detector = GridDetector::load(&weights)?;
    let budget = project.config.evaluation.test_budget;
    let access = project.dir().open_test(reason, &best.model_digest, budget)?;
    let dataset = project.dataset()?;
    let pictures: Vec<&Sample> = project.pictures_of(&dataset, Split::Test)?.into_values().collect();
    let rows: Vec<ScoredPicture> = pictures
        .par_iter()
        .map(|s| {
            Ok(ScoredPicture {
                id: s.id.clone(),
                group: s.group.clone(),
                size: s.size,
                labels: access.boxes(GROUND_TRUTH, &s.id)?.unwrap_or_default().to_vec(),
                detections: detector.detect(&project.picture(s)?)?,
            })
        })
        .collect::<Result<_>>()?;
    let cases: Vec<ImageCase<'_>> = rows.iter().map(ScoredPicture::case).collect();
    let n_classes = dataset.schema().n_classes();
    let scored = coco::evaluate(&cases, n_classes, &CocoParams::default())?;
    let counts =
        evaluate_at(&cases, n_classes, project.config.evaluation.iou, best.score_threshold.unwrap_or(0.0))?;
    let report = TestReport {
        iteration: best.iteration,
        reason: reason.to_owned(),
        n_images: cases.len(),
        n_boxes: cases.iter().map(|c| c.labels.len()).sum(),
        stats: scored.stats.to_vec(),
        precision: counts.precision,
        recall: counts.recall,
        f1: counts.f1,
    };
    files::write_json(&project.layout.test_report(), &report)?;
    Ok(report)
}
