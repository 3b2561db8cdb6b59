use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use labelloop_embed::{CacheState, EmbedFailure, EmbedRun, FailureKind, ModelInfo, StoredRun};
use serde_json::{Value, json};

/// Failures that are told by name; all of them are in the file beside the output.
const N_NAMED: usize = 10;

/// What came of a run, for people and for programs.
pub(super) struct Summary {
    n_samples: usize,
    n_dims: usize,
    n_computed: usize,
    n_stored: usize,
    n_damaged: usize,
    cache: CacheState,
    model: Option<ModelInfo>,
    failures: Vec<EmbedFailure>,
    skipped: BTreeMap<String, usize>,
    out: Option<PathBuf>,
    failures_file: Option<PathBuf>,
}

impl Summary {
    pub(super) fn of_run(run: &EmbedRun) -> Self {
        Self {
            n_samples: run.embeddings.n_samples(),
            n_dims: run.embeddings.n_dims(),
            n_computed: run.n_computed,
            n_stored: run.n_cached,
            n_damaged: run.n_damaged,
            cache: run.cache.clone(),
            model: None,
            failures: run.failures.clone(),
            skipped: BTreeMap::new(),
            out: None,
            failures_file: None,
        }
    }

    pub(super) fn of_stored(run: &StoredRun, skipped: &BTreeMap<String, usize>, out: &Path) -> Self {
        Self {
            n_samples: run.n_rows(),
            n_dims: run.n_dims(),
            n_computed: run.n_computed,
            n_stored: run.n_cached,
            n_damaged: run.n_damaged(),
            cache: run.cache().clone(),
            model: Some(run.model().clone()),
            failures: run.failures.clone(),
            skipped: skipped.clone(),
            out: Some(out.to_owned()),
            failures_file: None,
        }
    }

    pub(super) fn n_failed(&self) -> usize {
        self.failures.len()
    }

    /// Writes all failures, or removes what an earlier run wrote about its own.
    pub(super) fn write_failures(&mut self, path: &Path) -> anyhow::Result<()> {
        if self.failures.is_empty() {
            return match std::fs::remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    Err(e).with_context(|| format!("{}: cannot be removed", path.display()))
                }
                _ => Ok(()),
            };
        }
        let document = json!({ "by_kind": self.by_kind(), "failures": self.failures_json() });
        let bytes = format!("{document:#}\n");
        std::fs::write(path, bytes).with_context(|| format!("{}: cannot be written", path.display()))?;
        self.failures_file = Some(path.to_owned());
        Ok(())
    }

    pub(super) fn document(&self) -> Value {
        json!({
            "n_samples": self.n_samples,
            "n_dims": self.n_dims,
            "n_computed": self.n_computed,
            "n_cached": self.n_stored,
            "n_damaged": self.n_damaged,
            "n_failed": self.n_failed(),
            "failures_by_kind": self.by_kind(),
            "failures": self.failures_json(),
            "failures_file": self.failures_file,
            "n_skipped": self.skipped.values().sum::<usize>(),
            "skipped": self.skipped,
            "model": self.model,
            "out": self.out,
        })
    }

    pub(super) fn words(&self) -> String {
        let mut lines = vec![format!(
            "{} pictures x {} numbers: {} computed, {} from the store, {} could not be read",
            self.n_samples,
            self.n_dims,
            self.n_computed,
            self.n_stored,
            self.n_failed()
        )];
        if let CacheState::Rebuilt { reason } = &self.cache {
            lines.push(format!("the store was begun anew: {reason}"));
        }
        if self.n_damaged != 0 {
            lines.push(format!("{} damaged rows of the store were dropped", self.n_damaged));
        }
        if !self.skipped.is_empty() {
            let kinds: Vec<_> = self.skipped.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
            lines.push(format!("passed over by their names: {}", kinds.join(", ")));
        }
        lines.extend(self.failure_words());
        lines.join("\n")
    }

    fn failure_words(&self) -> Vec<String> {
        let by_kind: Vec<_> = self.by_kind().iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        let mut lines = Vec::new();
        if !by_kind.is_empty() {
            lines.push(format!("could not be read: {}", by_kind.join(", ")));
        }
        lines.extend(self.failures.iter().take(N_NAMED).map(|failure| format!("  {}", failure.reason)));
        let n_more = self.n_failed().saturating_sub(N_NAMED);
        match &self.failures_file {
            Some(file) if n_more != 0 => lines.push(format!("  and {n_more} more in {}", file.display())),
            None if n_more != 0 => lines.push(format!("  and {n_more} more")),
            _ => {}
        }
        lines
    }

    fn by_kind(&self) -> BTreeMap<String, usize> {
        let mut by_kind = BTreeMap::new();
        for failure in &self.failures {
            *by_kind.entry(FailureKind::to_string(&failure.kind)).or_default() += 1;
        }
        by_kind
    }

    fn failures_json(&self) -> Vec<Value> {
        let one =
            |f: &EmbedFailure| json!({ "id": f.id, "path": f.path, "kind": f.kind, "reason": f.reason });
        self.failures.iter().map(one).collect()
    }
}
