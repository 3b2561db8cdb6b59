//! What random selection would have reached at the same budget: same learner, same pool, same annotator.

use std::collections::BTreeMap;

use labelloop_core::{LabelledBox, SampleId, ScoredBox, Seed, Split};
use labelloop_dataset::{Dataset, GROUND_TRUTH, Sample};
use labelloop_eval::coco::CocoParams;
use labelloop_eval::{ImageCase, coco, threshold};
use labelloop_media::RgbImage;
use labelloop_train::{GridDetector, GridLearner, TrainError};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::annotate::label_picture;
use crate::event::Observer;
use crate::history::History;
use crate::project::Project;
use crate::{Result, files};

/// Quality on val over the labels spent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// How pictures were chosen.
    pub policy: String,
    /// Seed of the choice.
    pub seed: u64,
    /// One point per batch.
    pub points: Vec<CurvePoint>,
}

/// One point of a [`Curve`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePoint {
    /// Labelled pictures.
    pub n_images: usize,
    /// Boxes in them.
    pub n_boxes: usize,
    /// COCO mAP on val.
    pub map: Option<f64>,
    /// mAP at IoU .50 on val.
    pub map50: Option<f64>,
    /// Best F1 over all score thresholds on val.
    pub f1: Option<f64>,
}

/// Learning curves of random selection with the built-in detector, one per seed, each at the given cumulative numbers
/// of pictures.
///
/// Val and pool are those of the project, so a curve can be laid beside the project's own. Costs one fit and one pass
/// over val per point, and one pass over each picture chosen.
///
/// # Errors
/// Missing reference labels, unreadable pictures, an invalid detector configuration.
pub fn random_curves(
    project: &Project,
    budgets: &[usize],
    seeds: &[u64],
    observer: &dyn Observer,
) -> Result<Vec<Curve>> {
    let dataset = project.dataset()?;
    let val = load(project, &dataset, &project.pictures_of(&dataset, Split::Val)?)?;
    let pool = project.pictures_of(&dataset, Split::Pool)?;
    let total = seeds.len() as u64;
    let mut curves = Vec::new();
    for (done, seed) in (1u64..).zip(seeds) {
        curves.push(random_curve(project, &dataset, &val, &pool, budgets, *seed)?);
        observer.step("random baseline", done, total)?;
    }
    Ok(curves)
}

/// Lays random selection beside the project's own curve: the same numbers of pictures, kept for the report.
///
/// # Errors
/// As [`random_curves`], and I/O.
pub fn beside_random(project: &Project, seeds: &[u64], observer: &dyn Observer) -> Result<Vec<Curve>> {
    let records = History::load(&project.layout.history())?.records();
    let budgets: Vec<usize> = records.iter().map(|r| r.n_images).collect();
    let curves = random_curves(project, &budgets, seeds, observer)?;
    files::write_json(&project.layout.baselines(), &curves)?;
    Ok(curves)
}

type Pictures = BTreeMap<SampleId, (RgbImage, Vec<LabelledBox>)>;

fn load(project: &Project, dataset: &Dataset, samples: &BTreeMap<&SampleId, &Sample>) -> Result<Pictures> {
    samples
        .par_iter()
        .map(|(id, s)| Ok(((*id).clone(), (project.picture(s)?, project.reference(dataset, s)?.to_vec()))))
        .collect()
}

fn random_curve(
    project: &Project,
    dataset: &Dataset,
    val: &Pictures,
    pool: &BTreeMap<&SampleId, &Sample>,
    budgets: &[usize],
    seed: u64,
) -> Result<Curve> {
    let choice = Seed::new(seed).stream("random baseline");
    let mut order: Vec<&SampleId> = pool.keys().copied().collect();
    order.sort_by_cached_key(|id| (choice.stream(id.as_str()).bits(0), (*id).clone()));
    let mut params = project.config.training.detector.clone();
    params.seed = project.seed().stream("detector");
    let n_classes = dataset.schema().n_classes();
    let mut learner = GridLearner::new(&params.check().map_err(TrainError::from)?, n_classes);
    let (mut n_images, mut n_boxes) = (0, 0);
    let mut points = Vec::new();
    for budget in budgets {
        let wanted = &order[n_images..(*budget).clamp(n_images, order.len())];
        let fresh = drawn_by_annotator(project, dataset, wanted, pool, seed)?;
        n_images += fresh.len();
        n_boxes += fresh.iter().map(|f| f.1.len()).sum::<usize>();
        learner.add_all(&fresh, |id| project.picture(dataset.sample(id)?))?;
        points.push(score(
            &learner.fit()?,
            val,
            n_classes,
            CurvePoint { n_images, n_boxes, map: None, map50: None, f1: None },
        )?);
    }
    Ok(Curve { policy: "random".to_owned(), seed, points })
}

fn drawn_by_annotator(
    project: &Project,
    dataset: &Dataset,
    ids: &[&SampleId],
    pool: &BTreeMap<&SampleId, &Sample>,
    seed: u64,
) -> Result<Vec<(SampleId, Vec<LabelledBox>)>> {
    let rates = project.config.annotator.clone().unwrap_or_default().rates;
    let chance = Seed::new(seed).stream("annotate");
    let n_classes = dataset.schema().n_classes();
    ids.iter()
        .filter_map(|id| Some((*id, pool.get(id)?.size?)))
        .map(|(id, size)| {
            let truth = dataset.boxes(GROUND_TRUTH, id)?.unwrap_or_default();
            Ok((id.clone(), label_picture(id, truth, size, n_classes, rates, chance)))
        })
        .collect()
}

fn score(detector: &GridDetector, val: &Pictures, n_classes: usize, point: CurvePoint) -> Result<CurvePoint> {
    let found: BTreeMap<&SampleId, Vec<ScoredBox>> = val
        .par_iter()
        .map(|(id, (picture, _))| Ok((id, detector.detect(picture)?)))
        .collect::<Result<_>>()?;
    let cases: Vec<ImageCase<'_>> = val
        .iter()
        .filter_map(|(id, (picture, labels))| {
            Some(ImageCase { id, size: Some(picture.size()), labels, detections: found.get(id)? })
        })
        .collect();
    let scored = coco::evaluate(&cases, n_classes, &CocoParams::default())?;
    let best = threshold::best_f1(&cases, n_classes, 0.5)?;
    Ok(CurvePoint { map: scored.map(), map50: scored.map50(), f1: best.map(|b| b.f1), ..point })
}
