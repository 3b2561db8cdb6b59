//! `qa scorecards` and `qa agreement`: people beside each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use labelloop_core::{AnnotationSet, ClassSchema, LabelledBox, SampleId, Seed};
use labelloop_qa::{
    AgreementParams, GoldenImage, Labelling, Review, ScorecardParams, TeamAgreement, scorecards,
    team_agreement,
};

use super::golden_rounds::{images, in_schema, read};
use crate::args::{QaAgreementArgs, QaScorecardsArgs};
use crate::output::{Output, UsageError};

/// What each person misses, invents, swaps and draws off, and who is worse than the rest.
pub(super) fn cards(args: &QaScorecardsArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let reference = read(&args.reference, &args.format, output)?;
    let mut rounds = Vec::with_capacity(args.rounds.len());
    for path in &args.rounds {
        let set = in_schema(read(path, &args.format, output)?, &reference.schema, path)?;
        rounds.push((path.display().to_string(), name_of(path), set));
    }
    let known: BTreeMap<&SampleId, GoldenImage<'_>> =
        images(&reference)?.into_iter().map(|image| (image.id, image)).collect();
    let is_independent = args.independent || (args.format == "label-studio" && !args.by_file);
    let split: Vec<People> = rounds.iter().map(|(_, _, set)| by_person(set)).collect();
    let mut reviews = Vec::new();
    let (mut n_others, mut n_joint) = (0, 0);
    for ((round, file, set), split) in rounds.iter().zip(&split) {
        let by: BTreeMap<&SampleId, Option<&str>> = set
            .samples
            .iter()
            .map(|s| (&s.id, s.labelled_by.as_ref().and_then(|by| by.annotator.as_deref())))
            .collect();
        for labelled in images(set)? {
            let Some(reference) = known.get(labelled.id).copied() else {
                n_others += 1;
                continue;
            };
            let review = |labelled, annotator| Review { round, reference, labelled, annotator };
            let people = split.get(labelled.id).filter(|people| 1 < people.len());
            match people {
                _ if args.by_file => reviews.push(review(labelled, Some(file.as_str()))),
                Some(people) if is_independent => {
                    let own = people.iter().map(|(name, boxes)| (name, GoldenImage { boxes, ..labelled }));
                    reviews.extend(own.map(|(name, labelled)| review(labelled, Some(name.as_str()))));
                }
                _ => {
                    n_joint += usize::from(people.is_some());
                    reviews.push(review(labelled, by.get(labelled.id).copied().flatten()));
                }
            }
        }
    }
    if 0 < n_others {
        let why = "have no reference labels and are passed over";
        output.say(&format!("note: {n_others} pictures of the rounds {why}"));
    }
    if 0 < n_joint {
        let why = "taken as one labelling that they share; --independent if each labelled all of it";
        output.say(&format!("note: {n_joint} pictures name several people, {why}"));
    }
    let params = ScorecardParams {
        iou_threshold: args.iou,
        fdr: args.fdr,
        min_images: args.min_images,
        n_permutations: args.permutations,
        seed: Seed::new(args.seed),
        ..ScorecardParams::default()
    };
    let cards = scorecards(&reviews, &reference.schema, &params)?;
    if cards.cards.is_empty() {
        let why = "no picture says who labelled it: give files that name people, or one file per person with --by-file";
        return Err(UsageError(why.to_owned()).into());
    }
    output.result(&cards, &cards.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// How far people agree who labelled the same pictures.
pub(super) fn agreement(args: &QaAgreementArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let read: Vec<AnnotationSet> =
        args.files.iter().map(|path| read(path, &args.format, output)).collect::<anyhow::Result<_>>()?;
    let schema = union(read.iter().map(|set| &set.schema))?;
    let mut sets = Vec::with_capacity(read.len());
    for (set, path) in read.into_iter().zip(&args.files) {
        sets.push((name_of(path), in_schema(set, &schema, path)?));
    }
    let split;
    let mut labellings: Vec<Labelling<'_>> = Vec::new();
    if let [(_, set)] = &sets[..] {
        split = by_person(set);
        for image in images(set)? {
            let people = split.get(image.id).into_iter().flatten();
            labellings.extend(
                people.map(|(name, boxes)| Labelling {
                    annotator: name,
                    image: GoldenImage { boxes, ..image },
                }),
            );
        }
    } else {
        if let Some(name) = repeated(sets.iter().map(|(name, _)| name)) {
            return Err(
                UsageError(format!("two files are called {name}: expected one name per person")).into()
            );
        }
        for (name, set) in &sets {
            labellings.extend(images(set)?.into_iter().map(|image| Labelling { annotator: name, image }));
        }
    }
    let people: BTreeSet<&str> = labellings.iter().map(|l| l.annotator).collect();
    if people.len() < 2 {
        let why = "expected labels of at least two people: one file per person, or a file that names who drew each box";
        return Err(UsageError(why.to_owned()).into());
    }
    let params = AgreementParams {
        iou_threshold: args.iou,
        n_bootstrap: args.bootstrap,
        seed: Seed::new(args.seed),
        ..AgreementParams::default()
    };
    let agreement = team_agreement(&labellings, &schema, &params)?;
    output.result(&agreement, &words(&agreement))?;
    Ok(ExitCode::SUCCESS)
}

type People = BTreeMap<SampleId, BTreeMap<String, Vec<LabelledBox>>>;

/// The boxes of each picture by who drew them; who answered for a picture is among its people even without a box.
fn by_person(set: &AnnotationSet) -> People {
    let mut split = People::new();
    for sample in &set.samples {
        let people = split.entry(sample.id.clone()).or_default();
        if let Some(name) = sample.labelled_by.as_ref().and_then(|by| by.annotator.clone()) {
            people.entry(name).or_default();
        }
        for b in sample.boxes.iter().flatten() {
            if let Some(name) = &b.annotator {
                people.entry(name.clone()).or_default().push(b.clone());
            }
        }
    }
    split
}

fn name_of(path: &Path) -> String {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
    stem.unwrap_or_else(|| path.display().to_string())
}

fn repeated<'a>(names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut known = BTreeSet::new();
    names.into_iter().find(|name| !known.insert(*name))
}

/// All classes of some schemas, in the order in which they come first.
pub(super) fn union<'a>(schemas: impl Iterator<Item = &'a ClassSchema>) -> anyhow::Result<ClassSchema> {
    let mut names: Vec<&String> = Vec::new();
    for name in schemas.flat_map(ClassSchema::names) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(ClassSchema::new(names)?)
}

fn words(a: &TeamAgreement) -> String {
    let number = |v: Option<f64>| v.map_or_else(|| "none".to_owned(), |v| format!("{v:.3}"));
    let within = |i: Option<[f64; 2]>| i.map_or_else(String::new, |[l, u]| format!(" ({l:.3} to {u:.3})"));
    let mut words = format!(
        "{} people on {} pictures that at least two of them saw ({} were seen by one alone)\n\
         {} objects, {} of them marked by all who saw them; mean IoU {}\n\
         Krippendorff's alpha {}{}, mean by picture {}\n\
         Fleiss' kappa {}{}; Cohen's kappa of the classes, mean over pairs {}",
        a.annotators.len(),
        a.n_images,
        a.n_alone,
        a.n_units,
        a.n_marked_by_all,
        number(a.mean_iou),
        number(a.alpha),
        within(a.alpha_interval),
        number(a.alpha_per_image),
        number(a.fleiss_kappa),
        within(a.fleiss_interval),
        number(a.class_kappa),
    );
    words.push_str("\n\nclass: objects, alpha, Fleiss' kappa, Cohen's kappa");
    for c in &a.classes {
        let (alpha, fleiss, cohen) = (number(c.alpha), number(c.fleiss_kappa), number(c.cohens_kappa));
        words.push_str(&format!("\n  {}: {}, {alpha}, {fleiss}, {cohen}", c.name, c.n_units));
    }
    words.push_str("\n\npair: pictures, objects, marked by both, alpha, Cohen's kappa of the classes");
    for p in &a.pairs {
        let (alpha, kappa) = (number(p.alpha), number(p.class_kappa));
        let of = format!("{}, {}, {}", p.n_images, p.n_units, p.n_matched);
        words.push_str(&format!("\n  {} and {}: {of}, {alpha}, {kappa}", p.first, p.second));
    }
    words
}
