/// The caller asked for work to end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled after {done} of {total} steps")]
pub struct Cancelled {
    /// Steps finished.
    pub done: u64,
    /// Steps there were.
    pub total: u64,
}

/// How long work tells its caller where it is and learns that it should stop.
///
/// Calls may come from any thread.
pub trait Progress: Sync {
    /// `done` of `total` steps of the work called `what` are finished.
    fn advance(&self, what: &str, done: u64, total: u64);

    /// Whether the work should end.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// Reports a step, or fails when the work should end.
    ///
    /// # Errors
    /// [`Cancelled`] when the caller asked for it.
    fn step(&self, what: &str, done: u64, total: u64) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            return Err(Cancelled { done, total });
        }
        self.advance(what, done, total);
        Ok(())
    }
}

/// Says nothing and never cancels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn advance(&self, _what: &str, _done: u64, _total: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stop;

    impl Progress for Stop {
        fn advance(&self, _: &str, _: u64, _: u64) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_cancelled_handle_ends_the_work() {
        assert_eq!(Stop.step("embed", 3, 9), Err(Cancelled { done: 3, total: 9 }));
        assert_eq!(Silent.step("embed", 3, 9), Ok(()));
    }
}
