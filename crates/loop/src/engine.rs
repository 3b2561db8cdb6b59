//! The machine that does step after step and saves where it stands after each.

use labelloop_core::Cancelled;

use crate::event::{Event, Observer};
use crate::history::History;
use crate::project::Project;
use crate::state::{Phase, State, Step};
use crate::steps::{self, Context, Outcome};
use crate::trainer::Trainer;
use crate::{LoopError, Result};

/// Where a run begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Begin {
    /// At iteration 0 of a project without a run.
    #[default]
    Fresh,
    /// At the step that was interrupted, which is done again (the reference skips it: its `--resume` goes on with the
    /// iteration after the one that was interrupted).
    Resume,
    /// At the start of an iteration; it and all after it are forgotten.
    Iteration(u32),
}

/// One run of the loop on a project.
pub struct Run<'a> {
    project: &'a Project,
    observer: &'a dyn Observer,
    state: State,
    trainer: Trainer,
}

impl<'a> Run<'a> {
    /// Prepares a run.
    ///
    /// # Errors
    /// [`LoopError::RunExists`] for a fresh start over an existing run, [`LoopError::StartIteration`] beyond the
    /// history, a damaged state.
    pub fn begin(project: &'a Project, begin: Begin, observer: &'a dyn Observer) -> Result<Self> {
        let path = project.layout.state();
        let found = State::load(&path)?;
        let state = match (begin, found) {
            (Begin::Fresh, Some(s)) => {
                let path = project.layout.root().to_owned();
                return Err(LoopError::RunExists { path, iteration: s.iteration, step: s.step.as_str() });
            }
            (Begin::Resume, Some(s)) => s,
            (Begin::Fresh | Begin::Resume, None) => State::start_of(0),
            (Begin::Iteration(n), found) => rewind(project, n, found.map_or(0, |s| s.iteration))?,
        };
        state.save(&path)?;
        Ok(Self { project, observer, state, trainer: Trainer::new(project)? })
    }

    /// Where the run stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Does steps until a rule stops the loop, people must label, or a step refuses.
    ///
    /// # Errors
    /// What the step refused; the state is saved, and the same step is next on resume.
    pub fn go(&mut self) -> Result<Phase> {
        if let Phase::Finished { .. } = self.state.phase {
            return Ok(self.state.phase.clone());
        }
        let Phase::Running = self.state.phase else {
            self.state.phase = Phase::Running;
            return self.go();
        };
        self.announce();
        loop {
            if self.observer.is_cancelled() {
                return Err(Cancelled {
                    done: u64::from(self.state.iteration),
                    total: u64::from(self.state.iteration) + 1,
                }
                .into());
            }
            match self.step() {
                Ok(Phase::Running) => {}
                Ok(phase) => return Ok(phase),
                Err(error) => return Err(self.halt(error)),
            }
        }
    }

    /// Does the step that is due, whatever the phase.
    ///
    /// # Errors
    /// What the step refused. [`Run::go`] also records that; here it is the caller's to deal with.
    pub fn step(&mut self) -> Result<Phase> {
        let (iteration, step) = (self.state.iteration, self.state.step);
        let context = Context { project: self.project, iteration, observer: self.observer };
        let outcome = steps::run(step, &context, &mut self.trainer)?;
        match outcome {
            Outcome::AwaitLabels => self.state.phase = Phase::AwaitingReview,
            Outcome::Stop(reason) => self.state.phase = Phase::Finished { reason },
            Outcome::Next => self.advance(),
        }
        self.state.save(&self.project.layout.state())?;
        self.observer.step_done(iteration, step);
        if step == Step::Decide && self.state.phase == Phase::Running {
            self.announce();
        }
        Ok(self.state.phase.clone())
    }

    fn advance(&mut self) {
        match self.state.step.next() {
            Some(step) => self.state.step = step,
            None => self.state = State::start_of(self.state.iteration + 1),
        }
    }

    fn announce(&self) {
        self.observer.event(&Event::Iteration { iteration: self.state.iteration, step: self.state.step });
    }

    /// Records why the step could not be done; a failure to record it does not hide the first error.
    fn halt(&mut self, error: LoopError) -> LoopError {
        if !matches!(error, LoopError::Cancelled(_)) {
            self.state.phase = Phase::Halted { reason: error.to_string() };
            if let Err(second) = self.state.save(&self.project.layout.state()) {
                return second;
            }
        }
        error
    }
}

/// Takes dataset, history and folders back to where iteration `n` began.
fn rewind(project: &Project, n: u32, reached: u32) -> Result<State> {
    if reached < n {
        return Err(LoopError::StartIteration { found: n, last: reached });
    }
    if let Some(before) = generation_before(project, n)? {
        project.dir().writer()?.restore(before, &format!("iteration-{n:04}/restart"))?;
    }
    project.take_back_versions(n)?;
    let mut history = History::load(&project.layout.history())?;
    history.truncate(n);
    history.save(&project.layout.history())?;
    for later in n..=reached {
        let folder = project.layout.iteration(later);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(LoopError::io(&folder))?;
        }
        for path in [project.layout.prompt_version(later), project.layout.prompt_changes(later)] {
            if path.exists() {
                std::fs::remove_file(&path).map_err(LoopError::io(&path))?;
            }
        }
    }
    Ok(State::start_of(n))
}

/// The newest generation that was committed before iteration `n` changed anything.
fn generation_before(project: &Project, n: u32) -> Result<Option<u64>> {
    let is_later = |key: &str| {
        key.strip_prefix("iteration-")
            .and_then(|k| k.get(..4))
            .and_then(|k| k.parse::<u32>().ok())
            .is_some_and(|i| n <= i)
    };
    let mut kept = None;
    for generation in project.dir().generations()? {
        if is_later(&generation.key) {
            break;
        }
        kept = Some(generation.number);
    }
    Ok(kept)
}
