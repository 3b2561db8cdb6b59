use std::collections::BTreeMap;

use labelloop_acquire::BatchPlan;
use labelloop_core::{GroupKey, SampleId, Val};
use labelloop_dataset::{Dataset, Sample};

use super::qa::QaRecord;
use super::select::by_bucket;
use super::train::Metadata;
use super::{Context, Outcome};
use crate::evaluation::Evaluation;
use crate::gain::{Gain, GainRound, gain};
use crate::history::{History, IterationRecord};
use crate::{Result, files};

/// Writes the iteration's numbers down: history, `convergence_tracking.csv` and the iteration's report.
pub(super) fn run(context: &Context<'_>) -> Result<Outcome> {
    let layout = &context.project.layout;
    let mut history = History::load(&layout.history())?;
    let record = gather(context, &history)?;
    history.upsert(record.clone());
    history.save(&layout.history())?;
    history.write_csv(&layout.tracking_csv())?;
    let best = history.best().map(|r| r.iteration);
    let report = serde_json::json!({ "version": 1, "record": record, "best_iteration": best });
    files::write_json(&layout.iteration_report(context.iteration), &report)?;
    Ok(Outcome::Next)
}

fn gather(context: &Context<'_>, history: &History) -> Result<IterationRecord> {
    let (layout, i) = (&context.project.layout, context.iteration);
    let dataset = context.project.dataset()?;
    let evaluation: Evaluation = files::read_json(&layout.evaluation(i))?;
    let metadata: Metadata = files::read_json(&layout.metadata(i))?;
    let plan: BatchPlan = files::read_json(&layout.batch(i))?;
    let qa: QaRecord = files::read_json(&layout.qa(i))?;
    let gain = gained(context, &dataset, history, metadata.n_boxes, &evaluation)?;
    let present = |n: Option<&f64>| n.copied().filter(|s| 0.0 <= *s);
    Ok(IterationRecord {
        iteration: i,
        n_images: metadata.n_images,
        n_boxes: metadata.n_boxes,
        n_batch: plan.picks.len(),
        picks_by_bucket: by_bucket(&plan),
        boxes_by_class: metadata.boxes_by_class,
        f1: evaluation.f1,
        f1_interval: evaluation.f1_interval,
        gain,
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
        map_ceiling: qa.map_ceiling,
        map50_ceiling: qa.map50_ceiling,
        model_digest: metadata.model_digest,
    })
}

/// The gain over as many rounds as the plateau rule compares: its last ones and the one before them.
fn gained(
    context: &Context<'_>,
    dataset: &Dataset,
    history: &History,
    n_boxes: usize,
    evaluation: &Evaluation,
) -> Result<Option<Gain>> {
    let config = &context.project.config;
    let records = history.records();
    let known = records.iter().rev().filter(|r| r.iteration < context.iteration && r.f1.is_some());
    let mut earlier = Vec::new();
    for record in known.take(config.active_learning.plateau_iterations) {
        let path = context.project.layout.evaluation(record.iteration);
        earlier.push((record.n_boxes, files::read_json::<Evaluation>(&path)?));
    }
    let mut rounds: Vec<GainRound<'_>> =
        earlier.iter().rev().map(|(n_boxes, e)| GainRound { n_boxes: *n_boxes, images: &e.images }).collect();
    rounds.push(GainRound { n_boxes, images: &evaluation.images });
    let groups: BTreeMap<SampleId, GroupKey> =
        dataset.members::<Val>().ids().iter().filter_map(|id| dataset.samples().get(id)).map(group).collect();
    Ok(gain(&rounds, &groups, config.evaluation.n_bootstrap, context.seed("gain")))
}

fn group(sample: &Sample) -> (SampleId, GroupKey) {
    (sample.id.clone(), sample.group.clone())
}
