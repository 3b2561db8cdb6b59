//! A diff in words.

use std::collections::BTreeMap;
use std::fmt;

use labelloop_core::{SampleId, Split};

use super::{AnswersDiff, DatasetDiff, Moved, NamesDiff, Presence, SampleField};

/// Samples that are named before the rest is counted.
const N_NAMED: usize = 3;

impl fmt::Display for DatasetDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![];
        self.tell_samples(&mut lines);
        for (kind, fields) in
            [("boxes", &self.boxes), ("cuboids", &self.cuboids), ("predictions", &self.predictions)]
        {
            lines.extend(fields.iter().map(|(name, diff)| answers(kind, name, diff)));
        }
        for (name, diff) in &self.scores {
            let (a, r, c) = (diff.added.len(), diff.removed.len(), diff.changed.len());
            lines.push(format!("score {name}{}: {a} added, {r} removed, {c} changed", came(diff.field)));
        }
        names("view", &self.views, &mut lines);
        names("info", &self.info, &mut lines);
        if lines.is_empty() {
            lines.push("nothing changed".to_owned());
        }
        write!(f, "{}", lines.join("\n"))
    }
}

impl DatasetDiff {
    fn tell_samples(&self, lines: &mut Vec<String>) {
        if let Some([from, to]) = &self.name {
            lines.push(format!("name: {from:?} to {to:?}"));
        }
        if let Some([from, to]) = &self.classes {
            lines.push(format!("classes: {} to {}", from.join(", "), to.join(", ")));
        }
        for (what, ids) in [("added", &self.samples_added), ("removed", &self.samples_removed)] {
            if !ids.is_empty() {
                lines.push(format!("samples {what}: {}", some(ids)));
            }
        }
        lines.extend(
            self.splits.iter().map(|m| moved("split", m, |s| s.map_or("none", Split::as_str).to_owned())),
        );
        lines.extend(self.statuses.iter().map(|m| moved("status", m, ToString::to_string)));
        for (tag, diff) in &self.tags {
            lines.push(format!("tag {tag}: {} added, {} removed", diff.added.len(), diff.removed.len()));
        }
        let mut by_field: BTreeMap<SampleField, Vec<&SampleId>> = BTreeMap::new();
        for (id, fields) in &self.samples_changed {
            for field in fields.iter().filter(|f| !f.is_told_apart()) {
                by_field.entry(*field).or_default().push(id);
            }
        }
        lines.extend(by_field.iter().map(|(field, ids)| format!("{} changed: {}", field.name(), some(ids))));
    }
}

impl SampleField {
    /// Whether it has lines of its own.
    fn is_told_apart(self) -> bool {
        matches!(self, Self::Split | Self::Status | Self::Tags)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Capture => "capture",
            Self::Extra => "extra",
            Self::FileName => "file name",
            Self::Group => "group",
            Self::Kind => "kind",
            Self::Parent => "parent",
            Self::Size => "size",
            Self::Slice => "slice",
            Self::Split => "split",
            Self::Status => "status",
            Self::Tags => "tags",
        }
    }
}

fn moved<T>(what: &str, moved: &Moved<T>, name: impl Fn(&T) -> String) -> String {
    format!("{what} {} to {}: {}", name(&moved.from), name(&moved.to), some(&moved.ids))
}

fn answers(kind: &str, name: &str, diff: &AnswersDiff) -> String {
    let (a, r, c) = (diff.added.len(), diff.removed.len(), diff.changed.len());
    let objects = diff.n_objects();
    let mut line = format!(
        "{kind} {name}{}: samples {a} added, {r} removed, {c} changed; objects there {} to {}",
        came(diff.field),
        objects.before,
        objects.after
    );
    let test = diff.test;
    if test.objects.is_some() {
        line.push_str(&format!(
            "; in the frozen test set, not named: {} added, {} removed, {} changed",
            test.n_added, test.n_removed, test.n_changed
        ));
    }
    line
}

fn came(presence: Presence) -> &'static str {
    match presence {
        Presence::Both => "",
        Presence::Added => " (new)",
        Presence::Removed => " (gone)",
    }
}

fn names(what: &str, diff: &NamesDiff, lines: &mut Vec<String>) {
    for (how, names) in [("added", &diff.added), ("removed", &diff.removed), ("changed", &diff.changed)] {
        if !names.is_empty() {
            lines.push(format!("{what} {how}: {}", names.join(", ")));
        }
    }
}

fn some<T: ToString>(ids: &[T]) -> String {
    let named: Vec<String> = ids.iter().take(N_NAMED).map(ToString::to_string).collect();
    let more = ids.len().saturating_sub(N_NAMED);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{} ({}{rest})", ids.len(), named.join(", "))
}
