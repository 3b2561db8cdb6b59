//! Training and detection behind one door: the built-in detector, or a program of the user's.

use std::collections::BTreeMap;

use labelloop_core::{AnnotationSet, LabelledBox, SampleId, ScoredBox, Split};
use labelloop_dataset::{Dataset, HUMAN_LABELS, Sample};
use labelloop_formats::{MediaMode, coco, yolo};
use labelloop_train::{GridLearner, GridValidParams, OutsideJob, OutsideTrainerParams, TrainError};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::TrainerKind;
use crate::project::Project;
use crate::{LoopError, Result, files};

/// Detections by picture.
pub type Detections = BTreeMap<SampleId, Vec<ScoredBox>>;

/// What a training leaves on disk for the evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predictions {
    /// On every val picture.
    pub val: Detections,
    /// On training pictures, as many as the configuration allows.
    pub train: Detections,
    /// Digest of the weights, or of the val detections where the trainer keeps its weights to itself.
    pub model_digest: String,
}

/// Keeps what the built-in learner has seen between iterations, so that only new pictures cost anything. A learner
/// that is built anew from all pictures gives the same bits, so a resumed run loses time and nothing else.
pub(crate) struct Trainer {
    learner: Option<GridLearner>,
    params: GridValidParams,
    seen: BTreeMap<SampleId, Vec<LabelledBox>>,
}

impl Trainer {
    pub(crate) fn new(project: &Project) -> Result<Self> {
        let mut params = project.config.training.detector.clone();
        params.seed = project.seed().stream("detector");
        Ok(Self { learner: None, params: params.check().map_err(TrainError::from)?, seen: BTreeMap::new() })
    }

    /// Trains on the labelled pictures and detects on `val` and `train_eval`.
    pub(crate) fn train(
        &mut self,
        project: &Project,
        iteration: u32,
        dataset: &Dataset,
        labelled: &BTreeMap<SampleId, Vec<LabelledBox>>,
        train_eval: &[&Sample],
    ) -> Result<Predictions> {
        match project.config.training.kind {
            TrainerKind::BuiltIn => self.train_grid(project, iteration, dataset, labelled, train_eval),
            TrainerKind::Command => train_outside(project, iteration, dataset, labelled),
        }
    }

    fn train_grid(
        &mut self,
        project: &Project,
        iteration: u32,
        dataset: &Dataset,
        labelled: &BTreeMap<SampleId, Vec<LabelledBox>>,
        train_eval: &[&Sample],
    ) -> Result<Predictions> {
        let mut learner = self.up_to_date(project, dataset, labelled)?;
        let detector = learner.fit()?;
        self.learner = Some(learner);
        self.seen = labelled.clone();
        let bytes = detector.to_bytes();
        files::write_atomically(&project.layout.weights(iteration), &bytes)?;
        let detect = |samples: &[&Sample]| -> Result<Detections> {
            samples.par_iter().map(|s| Ok((s.id.clone(), detector.detect(&project.picture(s)?)?))).collect()
        };
        let val: Vec<&Sample> = project.pictures_of(dataset, Split::Val)?.into_values().collect();
        Ok(Predictions {
            val: detect(&val)?,
            train: detect(train_eval)?,
            model_digest: blake3::hash(&bytes).to_hex().to_string(),
        })
    }

    /// The learner with exactly these labels: the kept one plus what is new, or a new one when labels changed.
    fn up_to_date(
        &mut self,
        project: &Project,
        dataset: &Dataset,
        labelled: &BTreeMap<SampleId, Vec<LabelledBox>>,
    ) -> Result<GridLearner> {
        let is_grown = self.seen.iter().all(|(id, boxes)| labelled.get(id) == Some(boxes));
        let (mut learner, fresh): (GridLearner, Vec<_>) = match self.learner.take().filter(|_| is_grown) {
            Some(kept) => (kept, labelled.iter().filter(|(id, _)| !self.seen.contains_key(*id)).collect()),
            None => (GridLearner::new(&self.params, dataset.schema().n_classes()), labelled.iter().collect()),
        };
        let fresh: Vec<_> = fresh.into_iter().map(|(id, boxes)| (id.clone(), boxes.clone())).collect();
        learner.add_all(&fresh, |id| project.picture(dataset.sample(id)?))?;
        Ok(learner)
    }
}

/// Exports to YOLO, runs the command, reads its COCO results back.
fn train_outside(
    project: &Project,
    iteration: u32,
    dataset: &Dataset,
    labelled: &BTreeMap<SampleId, Vec<LabelledBox>>,
) -> Result<Predictions> {
    let settings = &project.config.training;
    let folder = project.layout.iteration(iteration).join("training");
    if folder.exists() {
        // What a killed run left behind; the training is done again from its beginning.
        std::fs::remove_dir_all(&folder).map_err(LoopError::io(&folder))?;
    }
    let set = export_set(project, dataset, labelled)?;
    let part = |id: &SampleId| {
        let is_train = labelled.contains_key(id);
        Some(if is_train { yolo::Part::Train } else { yolo::Part::Val })
    };
    yolo::write(&folder, &set, &part, &project.media_root(), MediaMode::Link)?;
    // The same samples with their numeric ids, so that the results can name them.
    let ids_path = folder.join("val_images.json");
    let val_set = val_part(&set, labelled);
    coco::write(&ids_path, &val_set, &coco::WriteOptions::default())?;
    let written = coco::CocoDataset::of(val_set)?;
    let output = folder.join("predictions.json");
    let params = OutsideTrainerParams {
        command: settings.command.clone(),
        timeout_seconds: settings.timeout_seconds,
        ..OutsideTrainerParams::default()
    };
    let job = OutsideJob {
        data_yaml: folder.join("dataset.yaml"),
        train_dir: folder.join("train"),
        val_dir: folder.join("val"),
        output: output.clone(),
        log: folder.join("trainer.log"),
        iteration,
        epochs: settings.epochs(iteration),
        lr: settings.learning_rate(iteration),
        batch: settings.batch,
        imgsz: settings.imgsz,
    };
    let run = params.check().map_err(TrainError::from)?.run(&job)?;
    let (mut val, _warnings) = coco::read_detections(&run.predictions, &written)?;
    for sample in project.pictures_of(dataset, Split::Val)?.into_values() {
        val.entry(sample.id.clone()).or_default();
    }
    let digest = blake3::hash(&std::fs::read(&run.predictions).map_err(LoopError::io(&run.predictions))?);
    Ok(Predictions { val, train: Detections::new(), model_digest: digest.to_hex().to_string() })
}

fn export_set(
    project: &Project,
    dataset: &Dataset,
    labelled: &BTreeMap<SampleId, Vec<LabelledBox>>,
) -> Result<AnnotationSet> {
    let mut samples = Vec::new();
    for (id, boxes) in labelled {
        let mut record = dataset.sample(id)?.to_record();
        record.boxes = Some(boxes.clone());
        samples.push(record);
    }
    for val in project.pictures_of(dataset, Split::Val)?.into_values() {
        let mut record = val.to_record();
        record.boxes = Some(project.reference(dataset, val)?.to_vec());
        samples.push(record);
    }
    Ok(AnnotationSet { schema: dataset.schema().clone(), samples, extra: labelloop_core::Extra::new() })
}

fn val_part(set: &AnnotationSet, labelled: &BTreeMap<SampleId, Vec<LabelledBox>>) -> AnnotationSet {
    let samples = set.samples.iter().filter(|s| !labelled.contains_key(&s.id)).cloned().collect();
    AnnotationSet { schema: set.schema.clone(), samples, extra: set.extra.clone() }
}

/// Labels of the project's slice that may be trained on, after the lineage gate.
pub(crate) fn training_labels(
    project: &Project,
    dataset: &Dataset,
) -> Result<BTreeMap<SampleId, Vec<LabelledBox>>> {
    let slice = project.slice(dataset)?;
    let members =
        dataset.training_ids().filtered(|id| dataset.samples().get(id).is_some_and(|s| s.slice == slice));
    let mut labels = dataset.training_boxes(HUMAN_LABELS, &members)?;
    for id in members.ids() {
        labels.entry(id.clone()).or_default();
    }
    Ok(labels)
}
