use std::collections::BTreeMap;

use labelloop_core::{LabelledBox, SampleId};
use labelloop_dataset::{Dataset, Sample};
use serde::{Deserialize, Serialize};

use super::{Context, Outcome};
use crate::config::TrainerKind;
use crate::event::Event;
use crate::trainer::{Trainer, training_labels};
use crate::{Result, files};

/// `metadata.json` of an iteration (requirement 145).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Iteration of the model.
    pub iteration: u32,
    /// Which trainer made it.
    pub model_type: String,
    /// Digest of the weights.
    pub model_digest: String,
    /// Pictures trained on.
    pub n_images: usize,
    /// Boxes trained on.
    pub n_boxes: usize,
    /// The same by class, zeros kept.
    #[serde(default)]
    pub boxes_by_class: BTreeMap<String, usize>,
    /// Settings handed to an outside trainer.
    pub training: Option<OutsideSettings>,
}

/// The reference's training settings as they were in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideSettings {
    /// Epochs.
    pub epochs: u32,
    /// Learning rate.
    pub learning_rate: f64,
    /// Batch size.
    pub batch_size: u32,
    /// Picture side.
    pub image_size: u32,
}

/// Fits the model on everything labelled so far and detects on val and on some training pictures.
pub(super) fn run(context: &Context<'_>, trainer: &mut Trainer) -> Result<Outcome> {
    let project = context.project;
    let dataset = project.dataset()?;
    context.tell_kept_out(&dataset)?;
    let labelled = training_labels(project, &dataset)?;
    let seen_again = train_eval(context, &dataset, &labelled);
    let predictions = trainer.train(project, context.iteration, &dataset, &labelled, &seen_again)?;
    files::write_json(&project.layout.predictions(context.iteration), &predictions)?;
    let n_boxes = labelled.values().map(Vec::len).sum();
    let settings = &project.config.training;
    let metadata = Metadata {
        iteration: context.iteration,
        model_type: match settings.kind {
            TrainerKind::BuiltIn => "built-in grid detector".to_owned(),
            TrainerKind::Command => settings.command.join(" "),
        },
        model_digest: predictions.model_digest,
        n_images: labelled.len(),
        n_boxes,
        boxes_by_class: boxes_by_class(&dataset, &labelled),
        training: (settings.kind == TrainerKind::Command).then(|| OutsideSettings {
            epochs: settings.epochs(context.iteration),
            learning_rate: settings.learning_rate(context.iteration),
            batch_size: settings.batch,
            image_size: settings.imgsz,
        }),
    };
    files::write_json(&project.layout.metadata(context.iteration), &metadata)?;
    super::clouds::train(context, &dataset)?;
    context.observer.event(&Event::Trained { n_images: labelled.len(), n_boxes });
    Ok(Outcome::Next)
}

/// Training pictures that train F1 is measured on: all, or a seeded part of them.
fn train_eval<'d>(
    context: &Context<'_>,
    dataset: &'d Dataset,
    labelled: &BTreeMap<SampleId, Vec<LabelledBox>>,
) -> Vec<&'d Sample> {
    let ids: Vec<&SampleId> = labelled.keys().collect();
    let mut order = context.seed("train eval").permutation(ids.len());
    order.truncate(context.project.config.training.max_train_eval);
    order.sort_unstable();
    order.into_iter().filter_map(|i| dataset.samples().get(ids[i])).collect()
}

fn boxes_by_class(
    dataset: &Dataset,
    labelled: &BTreeMap<SampleId, Vec<LabelledBox>>,
) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> =
        dataset.schema().names().iter().map(|name| (name.clone(), 0)).collect();
    for name in labelled.values().flatten().filter_map(|b| dataset.schema().name(b.class)) {
        *counts.entry(name.to_owned()).or_insert(0) += 1;
    }
    counts
}
