use std::sync::atomic::{AtomicU64, Ordering};

use labelloop_core::{CuboidFrame, LabelledCuboid, Progress, SampleId};
use labelloop_media::PointCloud;
use nalgebra::DMatrix;
use rayon::prelude::*;

use super::describe::N_INPUTS;
use super::examples::{Example, Lesson, lesson};
use super::model::{ClassModel, Model};
use super::place::{N_SECTORS, sector};
use super::read_out::{Hidden, Normal, calibrate, read};
use super::{CloudDetector, CloudDetectorParams, CloudDetectorValidParams};
use crate::learner::MOST_CLASSES;
use crate::{Result, TrainError};

/// Parts that take turns at being held out for the calibration of scores.
const N_FOLDS: usize = 5;

/// Penalty of the sizes beside that of the classes: they are read from objects alone and differ little.
const SIZE_PENALTY: f64 = 0.3;

/// One labelled cloud to learn from.
#[derive(Debug, Clone, Copy)]
pub struct CloudScan<'a> {
    /// Name of the sample.
    pub id: &'a SampleId,
    /// Points in the lidar's frame, the sensor at the origin.
    pub cloud: &'a PointCloud,
    /// Everything that is there, in the lidar's frame. An empty slice says that someone looked and there is nothing.
    pub cuboids: &'a [LabelledCuboid],
}

impl CloudDetectorParams {
    /// Checks the parameters, then trains as [`CloudDetectorValidParams::train`].
    ///
    /// # Errors
    /// As [`CloudDetectorParams::check`] and [`CloudDetectorValidParams::train`].
    pub fn train(
        &self,
        scans: &[CloudScan<'_>],
        n_classes: usize,
        progress: &dyn Progress,
    ) -> Result<CloudDetector> {
        self.check()?.train(scans, n_classes, progress)
    }
}

impl CloudDetectorValidParams {
    /// Learns a detector of the classes `0..n_classes` from labelled clouds. The result does not depend on the order of
    /// the scans nor on the number of threads, to the bit.
    ///
    /// Scores are calibrated on scans that were held out, in five parts of neighbouring ids, so that the frames of one
    /// sequence are mostly held out together. From one scan alone they are too sure.
    ///
    /// Time: O(points log points) for each scan, O(clusters x features^2) and O(features^3) once.
    ///
    /// # Errors
    /// [`TrainError::ClassCount`], [`TrainError::NothingAdded`], [`TrainError::DuplicateSample`],
    /// [`TrainError::ClassOutOfRange`]; [`TrainError::Core`] for a cuboid of another frame; [`TrainError::NoUsableCuboid`]
    /// when no label has a cluster of points; [`TrainError::Cancelled`].
    pub fn train(
        &self,
        scans: &[CloudScan<'_>],
        n_classes: usize,
        progress: &dyn Progress,
    ) -> Result<CloudDetector> {
        let scans = checked(scans, n_classes)?;
        let (done, total) = (AtomicU64::new(0), scans.len() as u64);
        let lessons: Vec<Lesson> = scans
            .par_iter()
            .map(|scan| {
                let lesson = lesson(scan, self.get());
                progress.step("describe clouds", done.fetch_add(1, Ordering::Relaxed) + 1, total)?;
                Ok(lesson)
            })
            .collect::<Result<_>>()?;
        let class_of = |scan: usize, example: &Example| {
            example.label.map(|label| scans[scan].cuboids[label].class.as_usize())
        };
        let rows = Rows::of(&lessons, &class_of, self.get());
        let n_labels = scans.iter().map(|s| s.cuboids.len()).sum();
        if rows.classes.iter().all(Option::is_none) {
            return Err(TrainError::NoUsableCuboid { n_scans: scans.len(), n_cuboids: n_labels });
        }
        let votes = rows.votes(n_classes, self.get())?;
        let classes = classes(&scans, &lessons, &rows, &votes.held_out, n_classes);
        let sizes = sizes(&scans, &lessons, &rows, &classes, self.get())?;
        let model = Model { params: self.clone(), hidden: rows.hidden, votes: votes.weights, sizes, classes };
        Ok(CloudDetector { model })
    }
}

/// Scans in the order of their ids.
fn checked<'a>(scans: &[CloudScan<'a>], n_classes: usize) -> Result<Vec<CloudScan<'a>>> {
    if n_classes == 0 || MOST_CLASSES < n_classes {
        return Err(TrainError::ClassCount { found: n_classes, most: MOST_CLASSES });
    }
    if scans.is_empty() {
        return Err(TrainError::NothingAdded);
    }
    let mut scans = scans.to_vec();
    scans.sort_by_key(|scan| scan.id);
    if let Some(pair) = scans.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(TrainError::DuplicateSample { id: pair[0].id.to_string() });
    }
    for scan in &scans {
        for label in scan.cuboids {
            label.cuboid.expect_frame(CuboidFrame::Lidar)?;
            let found = label.class.as_usize();
            if n_classes <= found {
                return Err(TrainError::ClassOutOfRange { id: scan.id.to_string(), found, n_classes });
            }
        }
    }
    Ok(scans)
}

/// All examples in the order of scans and clusters.
struct Rows {
    hidden: Hidden,
    features: Vec<Vec<f64>>,
    /// Class of each example; `None` for background.
    classes: Vec<Option<usize>>,
    /// What is aimed at for its class: less for a part of an object, so that the whole one wins.
    aims: Vec<f64>,
    weights: Vec<f64>,
    /// The part of the scans that each example is from.
    folds: Vec<usize>,
}

impl Rows {
    fn of(
        lessons: &[Lesson],
        class_of: &dyn Fn(usize, &Example) -> Option<usize>,
        params: &CloudDetectorParams,
    ) -> Self {
        let all = || lessons.iter().enumerate().flat_map(|(s, l)| l.examples.iter().map(move |e| (s, e)));
        let inputs: Vec<[f64; N_INPUTS]> = all().map(|(_, e)| e.description.inputs).collect();
        let hidden = Hidden::fitted(&inputs, params.n_random_features, params.seed);
        let features = inputs.par_iter().map(|row| hidden.of(row)).collect();
        let classes: Vec<_> = all().map(|(scan, e)| class_of(scan, e)).collect();
        let aims = all().map(|(_, e)| e.share * e.share).collect();
        let weights = classes.iter().map(|c| if c.is_some() { params.object_weight } else { 1.0 }).collect();
        let folds = all().map(|(scan, _)| scan * N_FOLDS / lessons.len()).collect();
        Self { hidden, features, classes, aims, weights, folds }
    }

    /// Normal equations of the examples that pass.
    fn normal(
        &self,
        of: impl Fn(usize) -> bool,
        n_outputs: usize,
        target: impl Fn(usize, usize) -> f64,
    ) -> Normal {
        let chosen: Vec<usize> = (0..self.features.len()).filter(|i| of(*i)).collect();
        let rows: Vec<&[f64]> = chosen.iter().map(|i| self.features[*i].as_slice()).collect();
        let weights: Vec<f64> = chosen.iter().map(|i| self.weights[*i]).collect();
        let targets = DMatrix::from_fn(chosen.len(), n_outputs, |i, k| target(chosen[i], k));
        Normal::of(&rows, &weights, &targets, self.hidden.width())
    }

    fn votes(&self, n_classes: usize, params: &CloudDetectorParams) -> Result<Votes> {
        let target = |i: usize, k: usize| if self.classes[i] == Some(k) { self.aims[i] } else { 0.0 };
        let solve = |sums: Normal| sums.solve(params.lambda, "classes");
        let parts: Vec<Normal> =
            (0..N_FOLDS).map(|fold| self.normal(|i| self.folds[i] == fold, n_classes, target)).collect();
        let all = parts.iter().skip(1).fold(parts[0].clone(), Normal::plus);
        let weights = solve(all.clone())?;
        let is_one_part = self.folds.iter().all(|f| *f == self.folds[0]);
        let mut held_out = vec![Vec::new(); self.features.len()];
        for (fold, part) in parts.iter().enumerate() {
            let others = if is_one_part { weights.clone() } else { solve(all.clone().minus(part))? };
            for i in (0..self.features.len()).filter(|i| self.folds[*i] == fold) {
                held_out[i] = read(&self.features[i], &others);
            }
        }
        Ok(Votes { weights, held_out })
    }
}

struct Votes {
    weights: DMatrix<f64>,
    /// What each example gets from the scans of the other parts.
    held_out: Vec<Vec<f64>>,
}

fn classes(
    scans: &[CloudScan<'_>],
    lessons: &[Lesson],
    rows: &Rows,
    held_out: &[Vec<f64>],
    n_classes: usize,
) -> Vec<ClassModel> {
    (0..n_classes)
        .map(|class| {
            let outputs: Vec<(f64, bool)> =
                held_out.iter().zip(&rows.classes).map(|(out, c)| (out[class], *c == Some(class))).collect();
            let n_examples = outputs.iter().filter(|(_, is)| *is).count() as f64;
            let mut sums = ([0.0; 3], 0.0, 0.0);
            let mut sectors = [0.0; N_SECTORS];
            for (scan, lesson) in scans.iter().zip(lessons) {
                let labels = scan.cuboids.iter().zip(&lesson.bottoms);
                for (label, bottom) in labels.filter(|(l, _)| l.class.as_usize() == class) {
                    let size = label.cuboid.size();
                    (0..3).for_each(|i| sums.0[i] += size[i].ln());
                    (sums.1, sums.2) = (sums.1 + bottom, sums.2 + 1.0);
                    sectors[sector(label.cuboid.yaw())] += 1.0;
                }
            }
            let n: f64 = f64::max(sums.2, 1.0);
            ClassModel {
                n_examples,
                size: sums.0.map(|s| s / n),
                bottom: sums.1 / n,
                curve: calibrate(&outputs),
                sectors,
            }
        })
        .collect()
}

/// How sizes differ from the mean of their class, read from the objects alone.
fn sizes(
    scans: &[CloudScan<'_>],
    lessons: &[Lesson],
    rows: &Rows,
    classes: &[ClassModel],
    params: &CloudDetectorParams,
) -> Result<DMatrix<f64>> {
    let all = scans.iter().zip(lessons).flat_map(|(s, l)| l.examples.iter().map(move |e| (s, e)));
    let differences: Vec<Option<[f64; 3]>> = all
        .map(|(scan, example)| {
            let label = &scan.cuboids[example.label?];
            let mean = &classes[label.class.as_usize()].size;
            Some(std::array::from_fn(|i| label.cuboid.size()[i].ln() - mean[i]))
        })
        .collect();
    let target = |i: usize, k: usize| differences[i].map_or(0.0, |d| d[k]);
    rows.normal(|i| differences[i].is_some(), 3, target).solve(SIZE_PENALTY * params.lambda, "sizes")
}
