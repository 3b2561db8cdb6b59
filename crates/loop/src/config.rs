//! `labelloop.toml`: every key of the reference under its name, unknown keys refused with their line.

mod embedding;
mod near_duplicates;
mod text;

use std::path::PathBuf;

use labelloop_acquire::{AcquireError, BatchSizeParams, PolicyParams};
use labelloop_dataset::SplitParams;
use labelloop_qa::GoldenParams;
use labelloop_train::{GridParams, TrainError};
use serde::{Deserialize, Serialize};

use crate::annotate::AnnotatorParams;
use crate::stopping::StoppingParams;
use crate::{LoopError, Result};

pub use embedding::EmbeddingConfig;
pub use near_duplicates::NearDuplicatesConfig;

/// The whole configuration. Every section but `project` may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopConfig {
    /// Names and places.
    pub project: ProjectConfig,
    /// When to stop and who labels.
    #[serde(default)]
    pub active_learning: ActiveLearningConfig,
    /// Shares of the splits.
    #[serde(default)]
    pub splits: SplitParams,
    /// What is too much alike to be on two sides of a split.
    #[serde(default)]
    pub near_duplicates: NearDuplicatesConfig,
    /// What makes vectors of pictures.
    #[serde(default)]
    pub embedding: EmbeddingConfig,
    /// Size and make-up of batches.
    #[serde(default)]
    pub selection: SelectionConfig,
    /// Golden QA.
    #[serde(default)]
    pub qa: QaConfig,
    /// The trainer.
    #[serde(default)]
    pub training: TrainingConfig,
    /// How val is scored.
    #[serde(default)]
    pub evaluation: EvaluationConfig,
    /// The simulated annotator, used when no person labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotator: Option<AnnotatorParams>,
}

/// `[project]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectConfig {
    /// Name of the dataset.
    pub name: String,
    /// Folder that file names are relative to; itself relative to the project folder, or absolute.
    pub media: PathBuf,
    /// COCO file that `run` imports when the dataset is still empty, relative to the project folder, or absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<PathBuf>,
    /// Field of a COCO image that names its leak-free group.
    #[serde(default = "default_group_key")]
    pub group_key: String,
    /// The slice that is embedded, trained on and evaluated; absent: the first picture slice by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// Where all chance comes from.
    #[serde(default = "default_seed")]
    pub seed: u64,
}

fn default_group_key() -> String {
    "group".to_owned()
}

fn default_seed() -> u64 {
    42
}

/// `[active_learning]`, with the reference's keys and defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActiveLearningConfig {
    /// The most missed objects that are listed and cropped for review in one iteration.
    pub max_samples_per_iteration: usize,
    /// Whether people label: the run then pauses after each selection until their labels are imported. Off, the
    /// simulated annotator of `[annotator]` labels.
    pub require_human_review: bool,
    /// See [`StoppingParams::target_f1`].
    pub target_f1: f64,
    /// See [`StoppingParams::plateau_threshold`].
    pub plateau_threshold: f64,
    /// See [`StoppingParams::plateau_iterations`].
    pub plateau_iterations: usize,
    /// See [`StoppingParams::overfit_gap`].
    pub overfit_gap: f64,
    /// See [`StoppingParams::max_iterations`].
    pub max_iterations: u32,
}

impl Default for ActiveLearningConfig {
    fn default() -> Self {
        let s = StoppingParams::default();
        Self {
            max_samples_per_iteration: 20,
            require_human_review: true,
            target_f1: s.target_f1,
            plateau_threshold: s.plateau_threshold,
            plateau_iterations: s.plateau_iterations,
            overfit_gap: s.overfit_gap,
            max_iterations: s.max_iterations,
        }
    }
}

impl ActiveLearningConfig {
    /// The stopping rules among the keys.
    pub fn stopping(&self) -> StoppingParams {
        StoppingParams {
            target_f1: self.target_f1,
            plateau_threshold: self.plateau_threshold,
            plateau_iterations: self.plateau_iterations,
            overfit_gap: self.overfit_gap,
            max_iterations: self.max_iterations,
        }
    }
}

/// Which policy fills a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// Coverage and failures, by the shares of `[selection.policy]`.
    Hybrid,
    /// Coverage alone.
    Coverage,
    /// Keyed hash order: the baseline.
    Random,
}

/// `[selection]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelectionConfig {
    /// Which policy fills a batch.
    pub kind: PolicyKind,
    /// The most captures of the first batch.
    pub first_batch: usize,
    /// The largest share of the pool that the first batch may take.
    pub first_share: f64,
    /// Size of every later batch, from what is left in the pool.
    pub batch: BatchSizeParams,
    /// Shares and diversity of the hybrid policy. Its seeds are not keys of the file: `project.seed` is.
    pub policy: PolicyParams,
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self {
            kind: PolicyKind::Hybrid,
            first_batch: 30,
            first_share: 0.25,
            batch: BatchSizeParams::default(),
            policy: PolicyParams::default(),
        }
    }
}

/// What happens when golden QA says FAIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFail {
    /// The run ends with a refusal; an override with a reason, or better labels, let it go on.
    Stop,
    /// The simulated annotator labels the batch again with its base rates, as a corrected team would.
    Relabel,
}

/// `[qa]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QaConfig {
    /// What happens on FAIL.
    pub on_fail: OnFail,
    /// The most earlier labellings of each golden picture that calibrate the test: the oldest in people's rounds that
    /// passed; simulated ones where nobody labels.
    pub calibration_rounds: u32,
    /// Golden pictures mixed into every batch, blind: in turn, small objects and rare classes more often. Absent: all of the
    /// golden set, but 100 at most; 0: none, its labels come beside the batch by `import --golden`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honeypots: Option<usize>,
    /// Level, margins and permutations of the test. Its seed is not a key of the file.
    pub golden: GoldenParams,
}

impl QaConfig {
    /// Golden pictures in a batch where the configuration is silent: what finds every strong drift in one round, and people
    /// are paid for each.
    const MOST_HONEYPOTS: usize = 100;

    /// How many of `n_golden` pictures a batch shows.
    pub(crate) fn n_honeypots(&self, n_golden: usize) -> usize {
        self.honeypots.unwrap_or(Self::MOST_HONEYPOTS).min(n_golden)
    }
}

impl Default for QaConfig {
    fn default() -> Self {
        Self {
            on_fail: OnFail::Stop,
            calibration_rounds: 3,
            honeypots: None,
            golden: GoldenParams::default(),
        }
    }
}

/// Who trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainerKind {
    /// The built-in grid detector.
    BuiltIn,
    /// A program of yours, given in `command`.
    Command,
}

/// `[training]`, with the reference's keys and defaults; the built-in detector needs none of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Who trains.
    pub kind: TrainerKind,
    /// Learning rate of iteration 0.
    pub base_lr: f64,
    /// Factor on the learning rate from one iteration to the next.
    pub lr_decay: f64,
    /// The learning rate never falls below this.
    pub lr_floor: f64,
    /// Epochs of iteration 0.
    pub epochs_base: u32,
    /// Epochs of every later iteration.
    pub epochs_increment: u32,
    /// Picture side given to the outside trainer.
    pub imgsz: u32,
    /// Batch size given to the outside trainer.
    pub batch: u32,
    /// The outside trainer's program and arguments, with placeholders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The outside trainer is stopped after this long.
    pub timeout_seconds: f64,
    /// The most training pictures that train F1 is measured on.
    pub max_train_eval: usize,
    /// The built-in detector. Its seed is not a key of the file.
    pub detector: GridParams,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            kind: TrainerKind::BuiltIn,
            base_lr: 0.001,
            lr_decay: 0.5,
            lr_floor: 0.0,
            epochs_base: 150,
            epochs_increment: 100,
            imgsz: 2560,
            batch: 2,
            command: Vec::new(),
            timeout_seconds: 86_400.0,
            max_train_eval: 50,
            detector: GridParams::default(),
        }
    }
}

impl TrainingConfig {
    /// `base_lr * lr_decay^iteration`, not below the floor (requirement 123).
    pub fn learning_rate(&self, iteration: u32) -> f64 {
        let exponent = i32::try_from(iteration).unwrap_or(i32::MAX);
        (self.base_lr * self.lr_decay.powi(exponent)).max(self.lr_floor)
    }

    /// Epochs of an iteration.
    pub fn epochs(&self, iteration: u32) -> u32 {
        if iteration == 0 { self.epochs_base } else { self.epochs_increment }
    }
}

/// `[evaluation]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// IoU at which precision, recall, F1 and failures are counted.
    pub iou: f64,
    /// Resamples of the intervals.
    pub n_bootstrap: usize,
    /// The most val pictures tagged for misses, and for false alarms.
    pub n_failures: usize,
    /// Looks at the frozen test set that the project allows itself.
    pub test_budget: u32,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self { iou: 0.5, n_bootstrap: 200, n_failures: 10, test_budget: 1 }
    }
}

impl LoopConfig {
    /// Defaults for a project.
    pub fn new(name: impl Into<String>, media: impl Into<PathBuf>) -> Self {
        Self {
            project: ProjectConfig {
                name: name.into(),
                media: media.into(),
                annotations: None,
                group_key: default_group_key(),
                slice: None,
                seed: default_seed(),
            },
            active_learning: ActiveLearningConfig::default(),
            splits: SplitParams::default(),
            near_duplicates: NearDuplicatesConfig::default(),
            embedding: EmbeddingConfig::default(),
            selection: SelectionConfig::default(),
            qa: QaConfig::default(),
            training: TrainingConfig::default(),
            evaluation: EvaluationConfig::default(),
            annotator: None,
        }
    }

    /// Checks every range that does not belong to another crate's parameters, and those as well.
    ///
    /// # Errors
    /// [`LoopError::Config`] naming the key, or the other crate's parameter error.
    pub fn check(&self) -> Result<()> {
        self.active_learning.stopping().check()?;
        self.check_selection()?;
        self.check_training()?;
        self.check_annotator()?;
        self.splits.check().map_err(labelloop_dataset::DatasetError::from)?;
        self.near_duplicates.look().check()?;
        self.selection.policy.check().map_err(AcquireError::from)?;
        self.qa.golden.check()?;
        self.training.detector.check().map_err(TrainError::from)?;
        self.check_seeds()
    }

    /// Parameters of other crates carry seeds of their own. The loop replaces them, so one that somebody set is refused
    /// rather than passed over.
    fn check_seeds(&self) -> Result<()> {
        let policy = (&self.selection.policy, PolicyParams::default());
        let seeds = [
            ("selection.policy.seed", policy.0.seed, policy.1.seed),
            ("selection.policy.zcore.seed", policy.0.zcore.seed, policy.1.zcore.seed),
            ("qa.golden.seed", self.qa.golden.seed.value(), GoldenParams::default().seed.value()),
            (
                "training.detector.seed",
                self.training.detector.seed.value(),
                GridParams::default().seed.value(),
            ),
        ];
        match seeds.into_iter().find(|(_, found, default)| found != default) {
            Some((key, found, _)) => {
                let expected = "its default, since all chance comes from project.seed";
                Err(LoopError::Config { key, found: found.to_string(), expected })
            }
            None => Ok(()),
        }
    }

    fn check_selection(&self) -> Result<()> {
        let s = &self.selection;
        within("selection.first_share", s.first_share)?;
        at_least_one("selection.first_batch", s.first_batch)?;
        s.batch.check().map_err(AcquireError::from)?;
        at_least_one("evaluation.n_failures", self.evaluation.n_failures)?;
        within("evaluation.iou", self.evaluation.iou)
    }

    fn check_training(&self) -> Result<()> {
        let t = &self.training;
        positive("training.base_lr", t.base_lr)?;
        within("training.lr_decay", t.lr_decay)?;
        positive("training.timeout_seconds", t.timeout_seconds)?;
        at_least_one("training.epochs_base", t.epochs_base as usize)?;
        at_least_one("training.epochs_increment", t.epochs_increment as usize)?;
        at_least_one("training.imgsz", t.imgsz as usize)?;
        at_least_one("training.batch", t.batch as usize)?;
        let has_command = !t.command.is_empty();
        if has_command != (t.kind == TrainerKind::Command) {
            let expected = "a command exactly when training.kind is \"command\"";
            return Err(LoopError::Config {
                key: "training.command",
                found: format!("{:?}", t.command),
                expected,
            });
        }
        Ok(())
    }

    fn check_annotator(&self) -> Result<()> {
        if let Some(annotator) = &self.annotator {
            annotator.check()?;
        } else if !self.active_learning.require_human_review {
            let expected = "a section [annotator], since active_learning.require_human_review is false";
            return Err(LoopError::Config { key: "annotator", found: "nothing".to_owned(), expected });
        }
        Ok(())
    }
}

pub(crate) fn within(key: &'static str, value: f64) -> Result<()> {
    let expected = "a number from 0 to 1";
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(LoopError::Config { key, found: value.to_string(), expected })
    }
}

fn positive(key: &'static str, value: f64) -> Result<()> {
    let expected = "a finite number above 0";
    let fine = 0.0 < value && value.is_finite();
    if fine { Ok(()) } else { Err(LoopError::Config { key, found: value.to_string(), expected }) }
}

fn at_least_one(key: &'static str, value: usize) -> Result<()> {
    if value == 0 {
        Err(LoopError::Config { key, found: "0".to_owned(), expected: "at least 1" })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_show_all_golden_pictures_up_to_100_where_nothing_is_said() {
        let shown = |honeypots, n_golden| QaConfig { honeypots, ..QaConfig::default() }.n_honeypots(n_golden);
        assert_eq!([12, 100, 5_000].map(|n| shown(None, n)), [12, 100, 100]);
        assert_eq!([0, 20, 300].map(|n| shown(Some(n), 250)), [0, 20, 250]);
    }

    fn minimal() -> LoopConfig {
        LoopConfig::new("p", "media")
    }

    #[test]
    fn labels_must_come_from_somebody() {
        let mut c = minimal();
        c.check().unwrap();
        c.active_learning.require_human_review = false;
        assert!(c.check().unwrap_err().to_string().contains("[annotator]"));
        c.annotator = Some(AnnotatorParams::default());
        c.check().unwrap();
    }

    #[test]
    fn the_learning_rate_halves_and_has_a_floor() {
        let t = TrainingConfig { lr_floor: 0.0004, ..TrainingConfig::default() };
        assert_eq!([0, 1, 2].map(|i| t.learning_rate(i)), [0.001, 0.0005, 0.0004]);
    }

    #[test]
    fn every_range_is_checked() {
        type Spoil = fn(&mut LoopConfig);
        let spoils: [Spoil; 16] = [
            |c| c.near_duplicates.radius = f64::NAN,
            |c| c.near_duplicates.hash_bits = 64,
            |c| c.selection.policy.seed = 7,
            |c| c.selection.policy.zcore.seed = 7,
            |c| c.qa.golden.seed = labelloop_core::Seed::new(7),
            |c| c.training.detector.seed = labelloop_core::Seed::new(7),
            |c| c.selection.first_share = f64::NAN,
            |c| c.active_learning.max_iterations = 0,
            |c| c.selection.first_batch = 0,
            |c| c.active_learning.target_f1 = 2.0,
            |c| c.evaluation.iou = -1.0,
            |c| c.evaluation.n_failures = 0,
            |c| c.training.base_lr = 0.0,
            |c| c.training.timeout_seconds = f64::INFINITY,
            |c| c.training.kind = TrainerKind::Command,
            |c| c.training.imgsz = 0,
        ];
        for spoil in spoils {
            let mut c = minimal();
            spoil(&mut c);
            assert!(matches!(c.check(), Err(LoopError::Config { .. })), "{c:?}");
        }
    }
}
