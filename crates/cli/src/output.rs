//! One JSON document on standard output or words for people; errors as one sentence and an exit status.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use labelloop_embed::EmbedError;
use labelloop_formats::FormatError;
use labelloop_loop::LoopError;
use serde::Serialize;

/// Where results go.
pub(crate) struct Output {
    is_json: bool,
    is_quiet: bool,
}

/// Work that ended in a refusal after its result was printed.
pub(crate) const GATE: u8 = 3;

impl Output {
    pub(crate) fn new(is_json: bool, is_quiet: bool) -> Self {
        Self { is_json, is_quiet }
    }

    /// Prints a result: the document with `--json`, the words otherwise.
    pub(crate) fn result<T: Serialize>(&self, document: &T, words: &str) -> anyhow::Result<()> {
        if self.is_json {
            print(&serde_json::to_string(document)?)?;
        } else if !words.is_empty() {
            print(words.trim_end())?;
        }
        Ok(())
    }

    /// Tells a person something on the way.
    #[expect(clippy::print_stderr, reason = "messages belong on standard error")]
    pub(crate) fn say(&self, words: &str) {
        if !self.is_quiet {
            eprintln!("{words}");
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Prints the error and gives the exit status that says what kind it is.
    #[expect(clippy::print_stderr, reason = "this is where errors are printed")]
    pub(crate) fn fail(&self, error: &anyhow::Error) -> ExitCode {
        let kind = Kind::of(error);
        let sentence = one_sentence(error);
        eprintln!("error: {sentence}");
        if self.is_json {
            let (path, line) = place(error);
            let document = serde_json::json!({ "error": { "kind": kind.name(), "message": sentence, "path": path, "line": line } });
            // The error is what counts; that nobody reads about it is no second one.
            let _ = print(&document.to_string());
        }
        ExitCode::from(kind.status())
    }
}

/// Prints a line on standard output. A reader that has seen enough, as `head` has, is no error.
fn print(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Wrong use of the program, found after the arguments were parsed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed,
    Usage,
    Gate,
    Interrupted,
}

impl Kind {
    fn of(error: &anyhow::Error) -> Self {
        if error.downcast_ref::<UsageError>().is_some() {
            return Self::Usage;
        }
        if let Some(EmbedError::Cancelled(_)) = error.downcast_ref::<EmbedError>() {
            return Self::Interrupted;
        }
        match error.downcast_ref::<LoopError>() {
            Some(e) if e.is_gate() => Self::Gate,
            Some(LoopError::Cancelled(_) | LoopError::Embed(EmbedError::Cancelled(_))) => Self::Interrupted,
            Some(LoopError::StartIteration { .. } | LoopError::RunExists { .. }) => Self::Usage,
            Some(LoopError::ConfigSyntax { .. } | LoopError::Config { .. }) => Self::Usage,
            _ => Self::Failed,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Gate => "gate",
            Self::Interrupted => "interrupted",
        }
    }

    fn status(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Gate => GATE,
            Self::Interrupted => 130,
        }
    }
}

/// The chain of causes in one line, without repeating a cause that the message already holds.
fn one_sentence(error: &anyhow::Error) -> String {
    let mut sentence = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !sentence.contains(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    sentence.replace('\n', " ")
}

fn place(error: &anyhow::Error) -> (Option<PathBuf>, Option<usize>) {
    if let Some(format) = error.downcast_ref::<FormatError>() {
        return (format.path().map(Path::to_owned), format.line());
    }
    if let Some(embed) = error.downcast_ref::<EmbedError>() {
        return (embed.path().map(Path::to_owned), None);
    }
    match error.downcast_ref::<LoopError>() {
        Some(LoopError::Format(e)) => (e.path().map(Path::to_owned), e.line()),
        Some(LoopError::ConfigSyntax { path, line, .. }) => (Some(path.clone()), Some(*line)),
        Some(
            LoopError::Io { path, .. }
            | LoopError::Record { path, .. }
            | LoopError::UnknownClass { path, .. }
            | LoopError::SeveralAnnotators { path, .. },
        ) => (Some(path.clone()), None),
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("disk on fire");
        let error = Err::<(), _>(inner).context("cannot read a.json").unwrap_err();
        assert_eq!(one_sentence(&error), "cannot read a.json: disk on fire");
        let said = anyhow::anyhow!("a.json: disk on fire");
        assert_eq!(one_sentence(&said), "a.json: disk on fire");
    }

    #[test]
    fn kinds_have_the_statuses_of_the_contract() {
        let usage = anyhow::Error::from(UsageError("no".to_owned()));
        assert_eq!(Kind::of(&usage).status(), 2);
        let gate = anyhow::Error::from(LoopError::GoldenGate {
            iteration: 1,
            verdict: "FAIL".to_owned(),
            reason: String::new(),
        });
        assert_eq!(Kind::of(&gate).status(), 3);
        assert_eq!(Kind::of(&anyhow::anyhow!("x")).status(), 1);
        let cancelled = || labelloop_core::Cancelled { done: 0, total: 1 };
        assert_eq!(Kind::of(&anyhow::Error::from(LoopError::Cancelled(cancelled()))).status(), 130);
        assert_eq!(Kind::of(&anyhow::Error::from(EmbedError::from(cancelled()))).status(), 130);
        let within = LoopError::from(EmbedError::from(cancelled()));
        assert_eq!(Kind::of(&anyhow::Error::from(within)).status(), 130);
    }
}
