//! Where the loop stands, on disk after every step.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::stopping::StopReason;
use crate::{LoopError, Result, files};

/// The steps of an iteration, in their order.
///
/// The order is fixed (requirement 118): labels pass golden QA before anything is trained on them, and the next batch
/// is chosen from what the new model gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Choose the batch.
    Select,
    /// Get it labelled.
    Annotate,
    /// Compare this round's golden labels with the reference.
    Qa,
    /// Fit the model.
    Train,
    /// Score it on val.
    Evaluate,
    /// Look at what it gets wrong.
    Analyse,
    /// Write the numbers down.
    Track,
    /// Stop, or go on.
    Decide,
}

impl Step {
    /// All steps in order.
    pub const ALL: [Step; 8] = [
        Step::Select,
        Step::Annotate,
        Step::Qa,
        Step::Train,
        Step::Evaluate,
        Step::Analyse,
        Step::Track,
        Step::Decide,
    ];

    /// The step after this one, if the iteration has one.
    pub fn next(self) -> Option<Step> {
        Self::ALL.into_iter().find(|s| *s > self)
    }

    /// Name in messages and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Select => "select",
            Step::Annotate => "annotate",
            Step::Qa => "qa",
            Step::Train => "train",
            Step::Evaluate => "evaluate",
            Step::Analyse => "analyse",
            Step::Track => "track",
            Step::Decide => "decide",
        }
    }
}

/// What the loop is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Phase {
    /// The next step can be done.
    Running,
    /// People are labelling the batch of this iteration.
    AwaitingReview,
    /// A gate refused or a step failed; the step is done again on resume.
    Halted {
        /// Why.
        reason: String,
    },
    /// A stopping rule fired.
    Finished {
        /// Which one.
        reason: StopReason,
    },
}

/// Where the loop stands: the next step to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of this record.
    pub version: u32,
    /// Iteration, from 0.
    pub iteration: u32,
    /// Next step in it.
    pub step: Step,
    /// What the loop is doing.
    pub phase: Phase,
}

/// Version that this code writes.
const VERSION: u32 = 1;

impl State {
    /// The beginning of an iteration.
    pub fn start_of(iteration: u32) -> Self {
        Self { version: VERSION, iteration, step: Step::Select, phase: Phase::Running }
    }

    /// Reads the state, or `None` where no run has begun.
    ///
    /// # Errors
    /// [`LoopError::Record`] for a damaged file or one of a newer version.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let state: Self = files::read_json(path)?;
        if VERSION < state.version {
            let reason = format!(
                "state version {} is newer than {VERSION}, the newest this program knows",
                state.version
            );
            return Err(LoopError::Record { path: path.to_owned(), reason });
        }
        Ok(Some(state))
    }

    /// Writes the state as a whole.
    ///
    /// # Errors
    /// [`LoopError::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        files::write_json(path, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_to_the_end() {
        let mut step = Step::Select;
        let mut seen = vec![step];
        while let Some(next) = step.next() {
            seen.push(next);
            step = next;
        }
        assert_eq!(seen, Step::ALL);
        assert!(Step::Qa < Step::Train, "labels are checked before anything is trained on them");
    }

    #[test]
    fn state_survives_the_disk_and_newer_versions_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        assert_eq!(State::load(&path).unwrap(), None);
        let mut state = State::start_of(3);
        state.phase = Phase::Finished { reason: StopReason::PoolExhausted };
        state.save(&path).unwrap();
        assert_eq!(State::load(&path).unwrap(), Some(state.clone()));
        state.version = 99;
        state.save(&path).unwrap();
        assert!(State::load(&path).unwrap_err().to_string().contains("newer"));
    }
}
