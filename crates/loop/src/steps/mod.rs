//! The steps of an iteration, one file each. Every step is a function of what lay on disk before it, writes files as a
//! whole and commits to the dataset at most once, under a key; so a step that was killed is done again from its
//! beginning and leaves the same bytes.

mod analyse;
mod annotate;
mod calibration;
mod chart;
mod clouds;
mod crops;
mod decide;
mod evaluate;
mod golden;
mod label_checks;
mod prompts;
mod qa;
mod select;
mod track;
mod train;

pub use analyse::HardExample;
pub(crate) use clouds::reference as scan_reference;
pub(crate) use golden::{FIRST_VERSION, golden_history, images, labelled_reference, scans};
pub use golden::{GoldenLabels, GoldenScans};
pub use prompts::{Prompt, PromptChange, PromptChanges, PromptDescription, PromptTrait, PromptVersion};
pub use qa::{QaOverride, QaRecord};
pub use train::{Metadata, OutsideSettings};

use labelloop_core::Seed;
use labelloop_dataset::Dataset;
use labelloop_eval::bootstrap::{BootstrapParams, Interval};

use crate::Result;
use crate::event::{Event, Observer};
use crate::project::Project;
use crate::state::Step;
use crate::stopping::StopReason;
use crate::trainer::Trainer;

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// The next step can be done.
    Next,
    /// People must label the batch first.
    AwaitLabels,
    /// A stopping rule fired.
    Stop(StopReason),
}

/// What a step works with.
pub(crate) struct Context<'a> {
    pub(crate) project: &'a Project,
    pub(crate) iteration: u32,
    pub(crate) observer: &'a dyn Observer,
}

impl Context<'_> {
    /// Key of this step's commit to the dataset.
    fn key(&self, step: &str) -> String {
        format!("iteration-{:04}/{step}", self.iteration)
    }

    /// Says how many pool samples are kept out because they look like frozen ones, where there are any.
    fn tell_kept_out(&self, dataset: &Dataset) -> Result<()> {
        let kept_out = dataset.quarantine()?;
        if let Some((id, found)) = kept_out.iter().next() {
            let example = format!("{id} looks like {} in {}: {}", found.frozen, found.split, found.by);
            self.observer.event(&Event::KeptOut { n_samples: kept_out.len(), example });
        }
        Ok(())
    }

    /// A stream of chance for one purpose in this iteration.
    fn seed(&self, purpose: &str) -> Seed {
        self.project.seed().stream(purpose).stream(&self.iteration.to_string())
    }

    /// 95% interval from resampling groups. One group says nothing about another, so there is none then.
    fn interval(
        &self,
        purpose: &str,
        ci: impl FnOnce(&BootstrapParams) -> labelloop_eval::Result<Interval>,
    ) -> Result<Option<[f64; 2]>> {
        let n_draws = self.project.config.evaluation.n_bootstrap;
        if n_draws == 0 {
            return Ok(None);
        }
        let found = ci(&BootstrapParams { n_draws, seed: self.seed(purpose), ..BootstrapParams::default() })?;
        Ok(found.low.zip(found.high).filter(|_| 1 < found.n_groups).map(|(low, high)| [low, high]))
    }
}

/// Does one step.
pub(crate) fn run(step: Step, context: &Context<'_>, trainer: &mut Trainer) -> Result<Outcome> {
    match step {
        Step::Select => select::run(context),
        Step::Annotate => annotate::run(context),
        Step::Qa => qa::run(context),
        Step::Train => train::run(context, trainer),
        Step::Evaluate => evaluate::run(context),
        Step::Analyse => analyse::run(context),
        Step::Track => track::run(context),
        Step::Decide => decide::run(context),
    }
}
