use std::collections::BTreeMap;

use labelloop_core::{LabelledBox, LabelledCuboid, SampleId, SliceKind};
use labelloop_dataset::{Dataset, GROUND_TRUTH, HUMAN_LABELS, Sample, Status};

use super::{Context, Outcome};
use crate::Result;
use crate::annotate::{ErrorRates, label_picture, label_scan};
use crate::event::Event;
use crate::export::{BatchOptions, export_batch};

/// Gets the batch labelled: by the simulated annotator, or by people, for whom the run pauses.
pub(super) fn run(context: &Context<'_>) -> Result<Outcome> {
    let project = context.project;
    if project.config.active_learning.require_human_review {
        return await_people(context);
    }
    let rates = project.config.annotator.clone().unwrap_or_default().rates_at(context.iteration);
    project.commit_once(&context.key("annotate"), |d| {
        let labels = simulate(context, d, rates, "annotate")?;
        d.finish_batch(context.iteration, labels, HUMAN_LABELS, "simulated")?;
        let cuboids = simulate_cuboids(context, d, rates, "annotate")?;
        d.finish_batch_cuboids(context.iteration, cuboids, HUMAN_LABELS, "simulated")?;
        Ok(())
    })?;
    tell(context, &project.dataset()?);
    Ok(Outcome::Next)
}

/// People's labels are in when no sample of the batch is waiting; pending ones stay out of training.
fn await_people(context: &Context<'_>) -> Result<Outcome> {
    let dataset = context.project.dataset()?;
    if batch(&dataset, context.iteration).all(|s| s.status != Status::Selected) {
        tell(context, &dataset);
        return Ok(Outcome::Next);
    }
    let folder = context.project.layout.batch_export(context.iteration);
    export_batch(context.project, &dataset, context.iteration, &folder, &BatchOptions::default())?;
    let n_samples = context.project.waiting(context.iteration)?.len();
    context.observer.event(&Event::AwaitingReview { folder, n_samples });
    Ok(Outcome::AwaitLabels)
}

/// Labels of the batch by the simulated annotator, drawn from the given labels. A sample without given labels stays
/// pending, as when a person skips it.
pub(super) fn simulate(
    context: &Context<'_>,
    dataset: &Dataset,
    rates: ErrorRates,
    purpose: &str,
) -> Result<BTreeMap<SampleId, Option<Vec<LabelledBox>>>> {
    let seed = context.seed(purpose);
    let n_classes = dataset.schema().n_classes();
    let mut labels = BTreeMap::new();
    for sample in batch(dataset, context.iteration).filter(|s| s.kind == SliceKind::Image) {
        let given = dataset.boxes(GROUND_TRUTH, &sample.id)?;
        let drawn = given
            .zip(sample.size)
            .map(|(truth, size)| label_picture(&sample.id, truth, size, n_classes, rates, seed));
        labels.insert(sample.id.clone(), drawn);
    }
    Ok(labels)
}

/// Labels of the batch's point clouds, as [`simulate`].
pub(super) fn simulate_cuboids(
    context: &Context<'_>,
    dataset: &Dataset,
    rates: ErrorRates,
    purpose: &str,
) -> Result<BTreeMap<SampleId, Option<Vec<LabelledCuboid>>>> {
    let seed = context.seed(purpose);
    let n_classes = dataset.schema().n_classes();
    let mut labels = BTreeMap::new();
    for sample in batch(dataset, context.iteration).filter(|s| s.kind == SliceKind::PointCloud) {
        let given = dataset.cuboids(GROUND_TRUTH, &sample.id)?;
        let drawn = given.map(|truth| label_scan(&sample.id, truth, n_classes, rates, seed));
        labels.insert(sample.id.clone(), drawn);
    }
    Ok(labels)
}

pub(super) fn batch(dataset: &Dataset, iteration: u32) -> impl Iterator<Item = &Sample> {
    dataset.samples().values().filter(move |s| s.batch == Some(iteration))
}

fn tell(context: &Context<'_>, dataset: &Dataset) {
    let done: Vec<&Sample> = batch(dataset, context.iteration).filter(|s| s.status.is_done()).collect();
    let n_boxes = done
        .iter()
        .filter_map(|s| dataset.boxes(HUMAN_LABELS, &s.id).ok().flatten())
        .map(<[LabelledBox]>::len)
        .sum();
    context.observer.event(&Event::Annotated { n_samples: done.len(), n_boxes });
}
