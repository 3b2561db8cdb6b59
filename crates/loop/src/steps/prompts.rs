use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::ClassSchema;
use labelloop_eval::failures::{Failure, Position, ProfileParams, SizeBand};
use serde::{Deserialize, Serialize};

use super::Context;
use crate::{Result, files};

/// What to tell annotators about a class, drawn from what was missed (requirement 131).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// The description so far.
    pub current: String,
    /// What was missed.
    pub issues: Vec<String>,
    /// The description that covers it as well.
    pub suggested: String,
}

/// Kind of instance that a description points out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptTrait {
    /// Below 1024 square pixels.
    Small,
    /// Little contrast against its surround.
    LowContrast,
    /// At an edge or in a corner of the picture.
    CutOff,
}

/// How classes are described to annotators after an iteration (requirement 139): every class of the schema. Descriptions
/// only grow, since what was once missed would be missed again if nobody spoke of it any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptVersion {
    /// Version of this record.
    pub version: u32,
    /// The iteration whose misses it covers.
    pub iteration: u32,
    /// Descriptions by class name.
    pub classes: BTreeMap<String, PromptDescription>,
}

/// PromptDescription of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptDescription {
    /// What annotators read.
    pub text: String,
    /// What it points out.
    pub traits: BTreeSet<PromptTrait>,
}

/// What a version changed against the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptChanges {
    /// The version that changed something.
    pub iteration: u32,
    /// The version compared with; none for the first, which is compared with bare class names.
    pub previous: Option<u32>,
    /// Descriptions that changed, by class name.
    pub changed: BTreeMap<String, PromptChange>,
    /// Classes whose description stayed.
    pub unchanged: Vec<String>,
    /// Classes that only the version before described.
    pub removed: Vec<String>,
}

/// A description before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptChange {
    /// The text before; none for a class that is new.
    pub before: Option<String>,
    /// The text now.
    pub after: String,
    /// What it points out now and did not before.
    pub added: BTreeSet<PromptTrait>,
}

/// Writes this iteration's suggestions, the version of all descriptions that follows from them, and what it changed
/// against the version before. An iteration reads the version of an earlier one only, so doing it again changes nothing.
pub(super) fn write(
    context: &Context<'_>,
    schema: &ClassSchema,
    missed: &[&Failure],
    contrasts: &[Option<f64>],
) -> Result<()> {
    let (layout, iteration) = (&context.project.layout, context.iteration);
    let path = iteration.checked_sub(1).map(|i| layout.prompt_version(i)).filter(|p| p.exists());
    let previous: Option<PromptVersion> = path.map(|p| files::read_json(&p)).transpose()?;
    let counts = counts(schema, missed, contrasts);
    let next = next_version(iteration, schema, previous.as_ref(), &counts);
    let suggestions = suggestions(schema, previous.as_ref(), &next, &counts);
    files::write_json(&layout.error_analysis(iteration).join("prompt_suggestions.json"), &suggestions)?;
    files::write_json(&layout.prompt_version(iteration), &next)?;
    files::write_json(&layout.prompt_changes(iteration), &changes(previous.as_ref(), &next))
}

/// How often a trait was missed, by class name; zeros left out.
type Counts = BTreeMap<String, BTreeMap<PromptTrait, usize>>;

fn counts(schema: &ClassSchema, missed: &[&Failure], contrasts: &[Option<f64>]) -> Counts {
    let low = ProfileParams::default().low_contrast;
    let mut counts = Counts::new();
    for (failure, contrast) in missed.iter().zip(contrasts) {
        let Some(name) = schema.name(failure.class) else { continue };
        let traits = [
            (matches!(failure.size_band, SizeBand::Tiny | SizeBand::Small), PromptTrait::Small),
            (contrast.is_some_and(|c| c < low), PromptTrait::LowContrast),
            (matches!(failure.position, Some(Position::Edge | Position::Corner)), PromptTrait::CutOff),
        ];
        for (_, of) in traits.iter().filter(|(is_present, _)| *is_present) {
            *counts.entry(name.to_owned()).or_default().entry(*of).or_insert(0) += 1;
        }
    }
    counts
}

fn next_version(
    iteration: u32,
    schema: &ClassSchema,
    previous: Option<&PromptVersion>,
    counts: &Counts,
) -> PromptVersion {
    let describe = |name: &String| {
        let known = previous.and_then(|p| p.classes.get(name)).map(|d| d.traits.clone());
        let mut traits = known.unwrap_or_default();
        traits.extend(counts.get(name).into_iter().flat_map(BTreeMap::keys));
        (name.clone(), PromptDescription { text: text(name, &traits), traits })
    };
    PromptVersion { version: 1, iteration, classes: schema.names().iter().map(describe).collect() }
}

fn text(name: &str, traits: &BTreeSet<PromptTrait>) -> String {
    let word = |t: &PromptTrait| match t {
        PromptTrait::Small => "small",
        PromptTrait::LowContrast => "low-contrast",
        PromptTrait::CutOff => "cut-off",
    };
    if traits.is_empty() {
        return name.to_owned();
    }
    let words: Vec<&str> = traits.iter().map(word).collect();
    format!("every {name}, including {} instances", words.join(", "))
}

fn suggestions(
    schema: &ClassSchema,
    previous: Option<&PromptVersion>,
    next: &PromptVersion,
    counts: &Counts,
) -> BTreeMap<String, Prompt> {
    let issue = |(of, n): (&PromptTrait, &usize)| {
        let what = match of {
            PromptTrait::Small => "small (< 1024 px²)",
            PromptTrait::LowContrast => "low-contrast",
            PromptTrait::CutOff => "edge or corner",
        };
        format!("missing {n} {what} instances")
    };
    let mut prompts = BTreeMap::new();
    for name in schema.names() {
        if let (Some(missed), Some(described)) = (counts.get(name), next.classes.get(name)) {
            let current = previous.and_then(|p| p.classes.get(name)).map_or(name, |d| &d.text).clone();
            let issues = missed.iter().map(issue).collect();
            prompts.insert(name.clone(), Prompt { current, issues, suggested: described.text.clone() });
        }
    }
    prompts
}

fn changes(previous: Option<&PromptVersion>, next: &PromptVersion) -> PromptChanges {
    let mut found = PromptChanges {
        iteration: next.iteration,
        previous: previous.map(|p| p.iteration),
        changed: BTreeMap::new(),
        unchanged: Vec::new(),
        removed: Vec::new(),
    };
    for (name, now) in &next.classes {
        // Before the first version, annotators had the bare names.
        let bare = PromptDescription { text: name.clone(), traits: BTreeSet::new() };
        let before = match previous {
            Some(p) => p.classes.get(name),
            None => Some(&bare),
        };
        if before == Some(now) {
            found.unchanged.push(name.clone());
            continue;
        }
        let known = before.map(|d| d.traits.clone()).unwrap_or_default();
        let added = now.traits.difference(&known).copied().collect();
        let before = before.map(|d| d.text.clone());
        found.changed.insert(name.clone(), PromptChange { before, after: now.text.clone(), added });
    }
    let gone = previous.iter().flat_map(|p| p.classes.keys()).filter(|n| !next.classes.contains_key(*n));
    found.removed = gone.cloned().collect();
    found
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx, SampleId};
    use labelloop_eval::failures::FailureKind;

    use super::*;

    fn schema() -> ClassSchema {
        ClassSchema::new(["car", "van"]).unwrap()
    }

    fn missed(area: f64, position: Position) -> Failure {
        Failure {
            image: SampleId::new("a").unwrap(),
            kind: FailureKind::Missed { gt_idx: 0, explained_by: None },
            class: ClassIdx(0),
            bbox: BBox::new(0.0, 0.0, area, 1.0).unwrap(),
            score: None,
            area,
            size_band: SizeBand::of(area),
            position: Some(position),
        }
    }

    fn after(
        iteration: u32,
        previous: Option<&PromptVersion>,
        failures: &[&Failure],
    ) -> (PromptVersion, BTreeMap<String, Prompt>) {
        let counts = counts(&schema(), failures, &vec![None; failures.len()]);
        let next = next_version(iteration, &schema(), previous, &counts);
        let suggested = suggestions(&schema(), previous, &next, &counts);
        (next, suggested)
    }

    #[test]
    fn suggestions_name_what_was_missed_and_nothing_else() {
        let (tiny, large) = (missed(100.0, Position::Edge), missed(50_000.0, Position::Centre));
        let counts = counts(&schema(), &[&tiny, &large], &[Some(0.0), None]);
        let next = next_version(0, &schema(), None, &counts);
        let all = suggestions(&schema(), None, &next, &counts);
        assert_eq!(all.len(), 1, "vans were not missed");
        let car = &all["car"];
        assert_eq!((car.issues.len(), car.current.as_str()), (3, "car"));
        assert_eq!(car.suggested, "every car, including small, low-contrast, cut-off instances");
        assert!(after(0, None, &[&large]).1.is_empty());
        assert!(after(0, None, &[]).1.is_empty());
    }

    #[test]
    fn a_version_keeps_what_earlier_ones_pointed_out() {
        let (tiny, rim) = (missed(100.0, Position::Centre), missed(50_000.0, Position::Corner));
        let (first, _) = after(0, None, &[&tiny]);
        let (second, suggested) = after(1, Some(&first), &[&rim]);
        assert_eq!(suggested["car"].current, "every car, including small instances");
        assert_eq!(second.classes["car"].text, "every car, including small, cut-off instances");
        assert_eq!(second.classes["van"].text, "van");
        let (third, suggested) = after(2, Some(&second), &[]);
        assert_eq!(third.classes, second.classes);
        assert!(suggested.is_empty());
    }

    #[test]
    fn a_version_says_what_it_changed() {
        let (tiny, rim) = (missed(100.0, Position::Centre), missed(50_000.0, Position::Corner));
        let (first, _) = after(0, None, &[&tiny]);
        let of_first = changes(None, &first);
        assert_eq!((of_first.previous, of_first.unchanged.as_slice()), (None, &["van".to_owned()][..]));
        assert_eq!(of_first.changed["car"].before.as_deref(), Some("car"));
        let (second, _) = after(1, Some(&first), &[&tiny, &rim]);
        let of_second = changes(Some(&first), &second);
        assert_eq!(of_second.previous, Some(0));
        let car = &of_second.changed["car"];
        assert_eq!(car.before.as_deref(), Some("every car, including small instances"));
        assert_eq!(car.after, second.classes["car"].text);
        assert_eq!(car.added, BTreeSet::from([PromptTrait::CutOff]));
    }

    #[test]
    fn classes_that_come_and_go_are_told() {
        let (mut old, _) = after(0, None, &[]);
        old.classes.remove("van");
        old.classes
            .insert("bus".to_owned(), PromptDescription { text: "bus".to_owned(), traits: BTreeSet::new() });
        let found = changes(Some(&old), &after(1, Some(&old), &[]).0);
        assert_eq!((found.removed, found.changed["van"].before.clone()), (vec!["bus".to_owned()], None));
        assert_eq!(found.unchanged, ["car"]);
    }
}
