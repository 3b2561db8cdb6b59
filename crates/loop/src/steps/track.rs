use std::collections::BTreeMap;

use labelloop_acquire::BatchPlan;
use labelloop_core::LabelledBox;
use labelloop_dataset::Dataset;

use super::qa::QaRecord;
use super::select::by_bucket;
use super::train::Metadata;
use super::{Context, Outcome};
use crate::evaluation::Evaluation;
use crate::history::{History, IterationRecord};
use crate::trainer::training_labels;
use crate::{Result, files};

/// Writes the iteration's numbers down: history, `convergence_tracking.csv` and the iteration's report.
pub(super) fn run(context: &Context<'_>) -> Result<Outcome> {
    let layout = &context.project.layout;
    let record = gather(context)?;
    let mut history = History::load(&layout.history())?;
    history.upsert(record.clone());
    history.save(&layout.history())?;
    history.write_csv(&layout.tracking_csv())?;
    let best = history.best().map(|r| r.iteration);
    let report = serde_json::json!({ "version": 1, "record": record, "best_iteration": best });
    files::write_json(&layout.iteration_report(context.iteration), &report)?;
    Ok(Outcome::Next)
}

fn gather(context: &Context<'_>) -> Result<IterationRecord> {
    let (layout, i) = (&context.project.layout, context.iteration);
    let dataset = context.project.dataset()?;
    let evaluation: Evaluation = files::read_json(&layout.evaluation(i))?;
    let metadata: Metadata = files::read_json(&layout.metadata(i))?;
    let plan: BatchPlan = files::read_json(&layout.batch(i))?;
    let qa: QaRecord = files::read_json(&layout.qa(i))?;
    let present = |n: Option<&f64>| n.copied().filter(|s| 0.0 <= *s);
    Ok(IterationRecord {
        iteration: i,
        n_images: metadata.n_images,
        n_boxes: metadata.n_boxes,
        n_batch: plan.picks.len(),
        picks_by_bucket: by_bucket(&plan),
        boxes_by_class: boxes_by_class(context, &dataset)?,
        f1: evaluation.f1,
        f1_interval: evaluation.f1_interval,
        precision: evaluation.precision,
        recall: evaluation.recall,
        tp: evaluation.tp,
        fp: evaluation.fp,
        fn_: evaluation.fn_,
        score_threshold: evaluation.score_threshold,
        map: present(evaluation.stats.first()),
        map50: present(evaluation.stats.get(1)),
        map50_interval: evaluation.map50_interval,
        ap50_by_class: evaluation.ap50_by_class,
        train_f1: evaluation.train_f1,
        qa_verdict: qa.report.as_ref().map(|r| r.verdict.to_string()),
        qa_p: qa.report.as_ref().and_then(|r| r.p_value),
        noise_ceiling: qa.noise_ceiling,
        model_digest: metadata.model_digest,
    })
}

fn boxes_by_class(context: &Context<'_>, dataset: &Dataset) -> Result<BTreeMap<String, usize>> {
    let mut counts: BTreeMap<String, usize> =
        dataset.schema().names().iter().map(|name| (name.clone(), 0)).collect();
    let labels = training_labels(context.project, dataset)?;
    let named = |b: &LabelledBox| dataset.schema().name(b.class).map(str::to_owned);
    for name in labels.values().flatten().filter_map(named) {
        *counts.entry(name).or_insert(0) += 1;
    }
    Ok(counts)
}
