use std::collections::BTreeMap;

use labelloop_acquire::{
    AcquireError, BatchPlan, Budget, Candidates, CoverageScores, FailureKind, FailureQuery, Failures,
    PolicyParams, batch_size, coverage_scores, first_batch_scored, plan_batch_scored, random_batch,
};
use labelloop_core::{Embeddings, GroupKey, Members, Pool, SampleId};
use labelloop_coreset::ZCoreParams;
use labelloop_dataset::Dataset;
use labelloop_embed::ModelInfo;
use ndarray::Array2;

use super::{Context, Outcome};
use crate::config::PolicyKind;
use crate::evaluation::Evaluation;
use crate::event::Event;
use crate::{LoopError, Result, files};

/// Chooses the batch, writes it down with a reason for every pick, and marks its captures as selected.
pub(super) fn run(context: &Context<'_>) -> Result<Outcome> {
    let project = context.project;
    let dataset = warn_of_leaks(context, project.dataset()?)?;
    context.tell_kept_out(&dataset)?;
    let path = project.layout.batch(context.iteration);
    // A run that was killed after the commit finds its batch in the dataset already: choosing again would choose
    // from a pool that lacks it.
    let is_chosen = dataset.samples().values().any(|s| s.batch == Some(context.iteration));
    let (plan, scores) =
        if is_chosen { (files::read_json(&path)?, None) } else { choose(context, &dataset)? };
    files::write_json(&path, &plan)?;
    let picks: Vec<SampleId> = plan.picks.iter().map(|p| p.id.clone()).collect();
    project.commit_once(&context.key("select"), |d| {
        d.begin_batch(context.iteration, &picks)?;
        if let Some(Scores { by_sample, made_with }) = scores {
            d.set_scores_made_with(&format!("zcore@{}", context.iteration), by_sample, made_with)?;
        }
        Ok(())
    })?;
    let dataset = project.dataset()?;
    if let Some(version) = project.golden_version(&dataset, context.iteration)? {
        project.choose_honeypots(&dataset, context.iteration, &version)?;
    }
    context.observer.event(&Event::Selected {
        n_picks: picks.len(),
        n_remaining: candidates_of(context, &dataset)?.len(),
        buckets: by_bucket(&plan).into_iter().collect(),
        notices: plan.notices.iter().map(ToString::to_string).collect(),
    });
    Ok(Outcome::Next)
}

/// Says before the first batch which pictures of different splits look alike, and has the dataset know it: also a split
/// that was made elsewhere, or without a look at the pictures, must not leak into training.
fn warn_of_leaks(context: &Context<'_>, dataset: Dataset) -> Result<Dataset> {
    let project = context.project;
    if context.iteration != 0 {
        return Ok(dataset);
    }
    let looks = project.lookalikes(&dataset, context.observer)?;
    let report = project.leaks_among(&dataset, &looks);
    if !report.is_clean() {
        context.observer.event(&Event::Leaks(Box::new(report)));
    }
    let across = looks.pairs.across(|id| dataset.samples().get(id).and_then(|s| s.split));
    let mut next = dataset.clone();
    next.keep_near_duplicates(across.into_iter().map(|a| a.pair))?;
    if next.info() == dataset.info() {
        return Ok(dataset);
    }
    project.commit_once(&context.key("leaks"), |d| {
        Ok(d.set_record("near_duplicates", &next.near_duplicates()?)?)
    })?;
    project.dataset()
}

/// Picks of a plan by bucket.
pub(crate) fn by_bucket(plan: &BatchPlan) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for pick in &plan.picks {
        *counts.entry(pick.bucket.as_str().to_owned()).or_insert(0) += 1;
    }
    counts
}

fn candidates_of(context: &Context<'_>, dataset: &Dataset) -> Result<Members<Pool>> {
    let slice = context.project.slice(dataset)?;
    Ok(dataset.unlabeled_pool().filtered(|id| dataset.samples().get(id).is_some_and(|s| s.slice == slice)))
}

/// Coverage of every candidate, and what it was computed with.
struct Scores {
    by_sample: BTreeMap<SampleId, f64>,
    made_with: serde_json::Value,
}

fn choose(context: &Context<'_>, dataset: &Dataset) -> Result<(BatchPlan, Option<Scores>)> {
    let project = context.project;
    let run = project.embed(dataset, context.observer)?;
    let members = candidates_of(context, dataset)?.filtered(|id| run.embeddings.row(id).is_some());
    let groups: Vec<GroupKey> =
        members.ids().iter().filter_map(|id| dataset.samples().get(id)).map(|s| s.group.clone()).collect();
    let vectors = run.embeddings.gather(members.ids())?;
    let candidates =
        Candidates { members: &members, groups: Some(&groups), embeddings: vectors.view(), cost: None };
    let labelled = labelled_vectors(context, dataset, &run.embeddings)?;
    let settings = &project.config.selection;
    let seed = context.seed("select").value();
    let mut policy = settings.policy.clone();
    policy.seed = seed;
    let valid = policy.check().map_err(AcquireError::from)?;
    let nothing = Array2::zeros((0, run.embeddings.n_dims()));
    let given = if context.iteration == 0 { &nothing } else { &labelled };
    let scores = match settings.kind {
        PolicyKind::Random => None,
        PolicyKind::Hybrid | PolicyKind::Coverage => {
            Some(coverage_scores(&candidates, given.view(), &valid)?)
        }
    };
    if context.iteration == 0 {
        let n_most = (settings.first_share * members.len() as f64).floor() as usize;
        let budget = Budget::Units(settings.first_batch.min(n_most.max(1)));
        let plan = match &scores {
            None => random_batch(&candidates, budget, seed)?,
            Some(scores) => first_batch_scored(&candidates, scores, budget, &valid)?,
        };
        return Ok((plan, scores.map(|s| kept(&run.model, &candidates, given, &policy, &s))));
    }
    let budget = Budget::Units(batch_size(members.len(), &settings.batch)?.size);
    let (queries, rows) = match settings.kind {
        PolicyKind::Hybrid => failure_queries(context, &run.embeddings)?,
        // Without failures to look like, the policy gives everything to coverage.
        PolicyKind::Coverage | PolicyKind::Random => {
            (Vec::new(), Array2::zeros((0, run.embeddings.n_dims())))
        }
    };
    let failures = Failures { queries: &queries, embeddings: rows.view() };
    let plan = match &scores {
        None => random_batch(&candidates, budget, seed)?,
        Some(scores) => plan_batch_scored(&candidates, scores, labelled.view(), &failures, budget, &valid)?,
    };
    Ok((plan, scores.map(|s| kept(&run.model, &candidates, given, &policy, &s))))
}

/// A plan keeps the scores of its picks alone; these are those of all candidates.
fn kept(
    model: &ModelInfo,
    candidates: &Candidates<'_>,
    labelled: &Array2<f32>,
    policy: &PolicyParams,
    scores: &CoverageScores,
) -> Scores {
    let made_with = serde_json::json!({
        "scorer": scores.scorer(),
        "vectors": model,
        "n_labelled": labelled.nrows(),
        "params": ZCoreParams { seed: policy.seed, ..policy.zcore.clone() },
    });
    let by_sample = candidates.members.ids().iter().cloned().zip(scores.raw().iter().copied()).collect();
    Scores { by_sample, made_with }
}

fn labelled_vectors(
    context: &Context<'_>,
    dataset: &Dataset,
    embeddings: &Embeddings,
) -> Result<Array2<f32>> {
    let slice = context.project.slice(dataset)?;
    let labelled = dataset.training_ids().filtered(|id| {
        embeddings.row(id).is_some() && dataset.samples().get(id).is_some_and(|s| s.slice == slice)
    });
    Ok(embeddings.gather(labelled.ids())?)
}

/// What the last model got wrong on val, as queries with their vectors. Val pictures are asked with and never picked.
fn failure_queries(
    context: &Context<'_>,
    embeddings: &Embeddings,
) -> Result<(Vec<FailureQuery>, Array2<f32>)> {
    let path = context.project.layout.evaluation(context.iteration - 1);
    let last: Evaluation = files::read_json(&path)?;
    let missed = last.high_fn.iter().map(|r| (&r.id, FailureKind::MissedObjects, r.count));
    let alarms = last.high_fp.iter().map(|r| (&r.id, FailureKind::FalseAlarms, r.count));
    let confused = last.confusions.iter().map(|c| {
        (&c.id, FailureKind::Confusion { actual: c.actual.clone(), predicted: c.predicted.clone() }, c.count)
    });
    let mut queries = Vec::new();
    let mut ids = Vec::new();
    for (id, kind, count) in
        missed.chain(alarms).chain(confused).filter(|(id, _, _)| embeddings.row(id).is_some())
    {
        queries.push(FailureQuery { image: id.clone(), kind, weight: count as f64, row: ids.len() });
        ids.push(id.clone());
    }
    let rows = embeddings.gather(&ids).map_err(LoopError::from)?;
    Ok((queries, rows))
}
