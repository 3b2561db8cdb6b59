//! Bars and events on standard error, and a quiet end on Ctrl-C.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use labelloop_core::Progress;
use labelloop_loop::{Event, Observer};

use crate::output::Output;

/// Set by the signal handler; work ends at its next step.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Tells a person on a terminal what is going on.
pub(crate) struct Teller<'a> {
    output: &'a Output,
    bar: Mutex<Option<(String, ProgressBar)>>,
}

impl<'a> Teller<'a> {
    /// A teller that also listens to Ctrl-C.
    pub(crate) fn new(output: &'a Output) -> Self {
        // A second handler cannot be set in one process; the first one serves all.
        let _already_set = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
        Self { output, bar: Mutex::new(None) }
    }

    fn clear(&self) {
        if let Ok(mut bar) = self.bar.lock()
            && let Some((_, bar)) = bar.take()
        {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Teller<'_> {
    fn advance(&self, what: &str, done: u64, total: u64) {
        if self.output.is_quiet() {
            return;
        }
        let Ok(mut slot) = self.bar.lock() else { return };
        if slot.as_ref().is_none_or(|(name, _)| name != what) {
            let style =
                ProgressStyle::with_template("  {prefix} {bar:30} {pos}/{len}, {per_sec}, {eta} left");
            let bar = ProgressBar::new(total).with_prefix(what.to_owned());
            *slot = Some((what.to_owned(), style.map_or(bar.clone(), |s| bar.with_style(s))));
        }
        if let Some((_, bar)) = slot.as_ref() {
            bar.set_length(total);
            bar.set_position(done);
            if done == total {
                bar.finish_and_clear();
            }
        }
    }

    fn is_cancelled(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}

impl Observer for Teller<'_> {
    fn event(&self, event: &Event) {
        self.clear();
        self.output.say(&event.to_string());
    }
}
