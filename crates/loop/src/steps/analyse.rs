use labelloop_acquire::informativeness;
use labelloop_core::SampleId;
use labelloop_dataset::Dataset;
use labelloop_eval::failures::{
    Breakdown, ErrorProfile, Failure, Position, ProfileParams, SizeBand, profile,
};
use serde::{Deserialize, Serialize};

use super::{Context, Outcome, crops, prompts};
use crate::evaluation::Evaluation;
use crate::event::Event;
use crate::{Result, files};

/// A missed object with a score for how much it would teach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardExample {
    /// The val picture. It is looked at and asked with; it never enters training.
    pub image: SampleId,
    /// Class of the object.
    pub class: String,
    /// `[left, top, width, height]` in pixels.
    pub bbox: [f64; 4],
    /// Area in square pixels.
    pub area: f64,
    /// Size band.
    pub size: SizeBand,
    /// Place in the picture.
    pub position: Option<Position>,
    /// Contrast against its surround, in `[0, 1]`.
    pub contrast: Option<f64>,
    /// See [`labelloop_acquire::informativeness`].
    pub score: f64,
}

/// Sizes up the failures: profile, crops, hard examples, suggestions.
pub(super) fn run(context: &Context<'_>) -> Result<Outcome> {
    let layout = &context.project.layout;
    let dataset = context.project.dataset()?;
    let evaluation: Evaluation = files::read_json(&layout.evaluation(context.iteration))?;
    let missed: Vec<&Failure> = evaluation.failures.iter().filter(|f| f.kind.is_false_negative()).collect();
    let n_most = context.project.config.active_learning.max_samples_per_iteration;
    let (contrasts, crops) = crops::write(context, &dataset, &missed, n_most)?;
    let found = profile_of(&evaluation.failures, &contrasts)?;
    let folder = layout.error_analysis(context.iteration);
    files::write_json(&folder.join("profile.json"), &found)?;
    let mut hard = hard_examples(&dataset, &missed, &contrasts)?;
    hard.truncate(n_most);
    files::write_json(&folder.join("hard_examples.json"), &hard)?;
    prompts::write(context, dataset.schema(), &missed, &contrasts)?;
    let summary = in_words(&found.false_negatives);
    context.observer.event(&Event::Analysed { n_missed: missed.len(), summary, n_crops: crops.len() });
    Ok(Outcome::Next)
}

/// Contrast is known for missed objects only.
fn profile_of(failures: &[Failure], of_missed: &[Option<f64>]) -> Result<ErrorProfile> {
    let mut next = of_missed.iter();
    let contrasts: Vec<Option<f64>> = failures
        .iter()
        .map(|f| if f.kind.is_false_negative() { next.next().copied().flatten() } else { None })
        .collect();
    Ok(profile(failures, Some(&contrasts), &ProfileParams::default())?)
}

fn in_words(missed: &Breakdown) -> String {
    let sizes: Vec<String> =
        missed.size.iter().map(|(band, t)| format!("{} {band:?}", t.count).to_lowercase()).collect();
    let places: Vec<String> =
        missed.position.iter().map(|(place, t)| format!("{} {place:?}", t.count).to_lowercase()).collect();
    if sizes.is_empty() { String::new() } else { format!(": {}; {}", sizes.join(", "), places.join(", ")) }
}

/// Missed objects, the most informative first; ties by picture and place in it.
fn hard_examples(
    dataset: &Dataset,
    missed: &[&Failure],
    contrasts: &[Option<f64>],
) -> Result<Vec<HardExample>> {
    let mut hard = Vec::with_capacity(missed.len());
    for (f, contrast) in missed.iter().zip(contrasts).filter(|(f, _)| !f.bbox.is_degenerate()) {
        let aspect = f.bbox.width() / f.bbox.height();
        hard.push(HardExample {
            image: f.image.clone(),
            class: dataset.schema().name(f.class).unwrap_or("unknown").to_owned(),
            bbox: f.bbox.to_xywh(),
            area: f.area,
            size: f.size_band,
            position: f.position,
            contrast: *contrast,
            score: informativeness(f.area, *contrast, place(dataset, f), aspect)?,
        });
    }
    // The list is in order of picture and place; a stable sort keeps that among equals.
    hard.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(hard)
}

/// Centre of the object in parts of the picture's sides; the middle where the size is not known.
fn place(dataset: &Dataset, failure: &Failure) -> (f64, f64) {
    let size = dataset.samples().get(&failure.image).and_then(|s| s.size);
    let (x, y) = failure.bbox.centre();
    size.map_or((0.5, 0.5), |s| {
        ((x / f64::from(s.width())).clamp(0.0, 1.0), (y / f64::from(s.height())).clamp(0.0, 1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_profile_has_no_words() {
        assert_eq!(in_words(&Breakdown::default()), "");
    }
}
