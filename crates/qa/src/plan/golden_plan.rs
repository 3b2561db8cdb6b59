use labelloop_core::{LabelledBox, Seed};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::pictures::PlanSource;
use super::{AnnotatorModel, AnnotatorValidModel, LabelDrift, PlanParams, PlanValidParams};
use crate::golden::normal_quantile;
use crate::{GoldenParams, GoldenValidParams, Result, Verdict};

/// What the checks of one drift and size concluded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlanCell {
    /// Images of the golden set.
    pub n_images: usize,
    /// Checks simulated.
    pub n_runs: usize,
    /// How many said FAIL.
    pub n_fail: usize,
    /// How many said WARN.
    pub n_warn: usize,
    /// How many said INCONCLUSIVE.
    pub n_inconclusive: usize,
    /// How many said PASS.
    pub n_pass: usize,
    /// Share that said FAIL.
    pub fail_rate: f64,
    /// Wilson's 95% interval of it.
    pub fail_interval: [f64; 2],
}

/// One drift over all sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRow {
    /// What changes.
    pub drift: LabelDrift,
    /// One cell per size, ascending.
    pub cells: Vec<PlanCell>,
    /// The smallest size from which on all found it with the wanted power; none where the largest did not.
    pub smallest: Option<usize>,
}

/// The result of [`golden_plan`]. `Display` prints it for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GoldenPlan {
    /// Probability with which drifts are to be found.
    pub power: f64,
    /// Level of the checks.
    pub level: f64,
    /// Calibration rounds of every check.
    pub n_calibration: usize,
    /// How people label where nothing changed.
    pub people: AnnotatorModel,
    /// Objects per image, on average.
    pub objects_per_image: f64,
    /// One row per drift.
    pub rows: Vec<PlanRow>,
    /// The same where nothing changed: FAIL is a false alarm.
    pub honest: Vec<PlanCell>,
    /// The smallest size that finds every drift with the wanted power; none where no size tried does.
    pub smallest: Option<usize>,
}

/// How large does a golden set have to be? Simulates people who label sets of every size, usually and with every drift,
/// runs the real [`golden_check`](crate::golden_check) on their rounds, and counts its verdicts.
///
/// A drift counts as found where the verdict is FAIL. Every run has its own images and calibration rounds, which all
/// drifts of a run share. People slip by chance: where they leave 5% of images empty, 100 images have 5 of them on average,
/// and 2 at times.
///
/// O(runs x drifts x images x (objects + permutations)): about 20 seconds on one core with the defaults, where
/// the standard error of a share is at most .036. The result does not depend on threads.
///
/// ```
/// use labelloop_qa::{LabelDrift, PlanParams, PlanSource, golden_plan};
///
/// let params = PlanParams {
///     sizes: vec![10, 100],
///     drifts: vec![LabelDrift::Missed(0.05)],
///     n_runs: 20,
///     ..PlanParams::default()
/// };
/// let plan = golden_plan(PlanSource::Generated, &params)?;
/// assert_eq!(plan.smallest, Some(100));
/// println!("{plan}");
/// # Ok::<(), labelloop_qa::QaError>(())
/// ```
///
/// # Errors
/// [`QaError`](crate::QaError) for parameters out of range and a reference without images or objects, with an image twice,
/// or with classes beyond the schema.
pub fn golden_plan(source: PlanSource<'_>, params: &PlanParams) -> Result<GoldenPlan> {
    params.check()?.golden_plan(source)
}

impl PlanValidParams {
    /// [`golden_plan`] with checked parameters.
    ///
    /// # Errors
    /// As [`golden_plan`], but for the parameters.
    pub fn golden_plan(&self, source: PlanSource<'_>) -> Result<GoldenPlan> {
        source.check()?;
        let p = self.get();
        let mut models = vec![p.people.check()?];
        for drift in &p.drifts {
            models.push(drift.on(&p.people).check()?);
        }
        let mut tables = Vec::with_capacity(p.sizes.len());
        let mut n_objects = 0;
        for &n_images in &p.sizes {
            let runs: Vec<(Vec<Verdict>, usize)> = (0..p.n_runs)
                .into_par_iter()
                .map(|run| one_run(source, n_images, run, &models, p))
                .collect::<Result<_>>()?;
            n_objects += runs.iter().map(|r| r.1).sum::<usize>();
            tables.push(runs.into_iter().map(|r| r.0).collect::<Vec<_>>());
        }
        let cells = |row: usize| -> Vec<PlanCell> {
            p.sizes.iter().zip(&tables).map(|(n, runs)| cell(*n, runs.iter().map(|v| v[row]))).collect()
        };
        let of_drift = |(i, drift): (usize, &LabelDrift)| {
            let cells = cells(i + 1);
            PlanRow { drift: *drift, smallest: smallest(&cells, p.power), cells }
        };
        let rows: Vec<PlanRow> = p.drifts.iter().enumerate().map(of_drift).collect();
        let each: Option<Vec<usize>> = rows.iter().map(|r| r.smallest).collect();
        Ok(GoldenPlan {
            power: p.power,
            level: p.golden.level,
            n_calibration: p.n_calibration,
            people: p.people,
            objects_per_image: n_objects as f64 / (p.n_runs * p.sizes.iter().sum::<usize>()) as f64,
            honest: cells(0),
            smallest: each.and_then(|sizes| sizes.into_iter().max()),
            rows,
        })
    }
}

/// The verdicts of one golden set on a round by each model, and its number of objects.
fn one_run(
    source: PlanSource<'_>,
    n_images: usize,
    run: usize,
    models: &[AnnotatorValidModel],
    params: &PlanParams,
) -> Result<(Vec<Verdict>, usize)> {
    // Sizes are independent of each other, so that one unlucky run does not show in all of them.
    let seed = Seed::new(params.seed.stream("plan").stream(&n_images.to_string()).bits(run as u64));
    let golden = source.golden(n_images, seed);
    let schema = source.schema();
    let label = |model: &AnnotatorValidModel, seed: Seed| -> Vec<Vec<LabelledBox>> {
        golden.reference().iter().map(|i| model.annotate(i, schema.n_classes(), seed)).collect()
    };
    let rounds: Vec<Vec<Vec<LabelledBox>>> = (0..params.n_calibration as u64)
        .map(|k| label(&models[0], Seed::new(seed.stream("calibration").bits(k))))
        .collect();
    let calibration: Vec<_> = rounds.iter().map(|labels| golden.round(labels)).collect();
    let check: GoldenValidParams = GoldenParams { seed, ..params.golden.clone() }.check()?;
    let verdict = |model| -> Result<Verdict> {
        let current = label(model, seed.stream("current"));
        Ok(check.golden_check(&golden.reference(), &calibration, &golden.round(&current), &schema)?.verdict)
    };
    let verdicts = models.iter().map(verdict).collect::<Result<_>>()?;
    Ok((verdicts, golden.n_objects()))
}

fn cell(n_images: usize, verdicts: impl Iterator<Item = Verdict>) -> PlanCell {
    let [mut n_fail, mut n_warn, mut n_inconclusive, mut n_pass] = [0; 4];
    for verdict in verdicts {
        match verdict {
            Verdict::Fail => n_fail += 1,
            Verdict::Warn => n_warn += 1,
            Verdict::Inconclusive => n_inconclusive += 1,
            Verdict::Pass => n_pass += 1,
        }
    }
    let n_runs = n_fail + n_warn + n_inconclusive + n_pass;
    PlanCell {
        n_images,
        n_runs,
        n_fail,
        n_warn,
        n_inconclusive,
        n_pass,
        fail_rate: n_fail as f64 / n_runs as f64,
        fail_interval: wilson(n_fail, n_runs),
    }
}

fn smallest(cells: &[PlanCell], power: f64) -> Option<usize> {
    let good = cells.iter().rev().take_while(|c| power <= c.fail_rate);
    good.last().map(|c| c.n_images)
}

/// 95% score interval of a share (Wilson 1927).
fn wilson(hits: usize, n: usize) -> [f64; 2] {
    let (n, z) = (n as f64, normal_quantile(0.975));
    let p = hits as f64 / n;
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    [(centre - half).max(0.0), (centre + half).min(1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_is_the_published_one() {
        // Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (hits, n, expected) in [
            (81, 263, [0.2553, 0.3662]),
            (15, 148, [0.0624, 0.1605]),
            (0, 20, [0.0, 0.1611]),
            (1, 29, [0.0061, 0.1718]),
        ] {
            let found = wilson(hits, n);
            assert!(
                (found[0] - expected[0]).abs() < 5e-5 && (found[1] - expected[1]).abs() < 5e-5,
                "{found:?}"
            );
        }
    }

    fn of(rates: &[usize]) -> Vec<PlanCell> {
        let verdicts =
            |n_fail: usize| (0..10).map(move |i| if i < n_fail { Verdict::Fail } else { Verdict::Pass });
        rates.iter().zip(1..).map(|(n_fail, size)| cell(size, verdicts(*n_fail))).collect()
    }

    #[test]
    fn the_smallest_size_is_that_from_which_on_power_suffices() {
        assert_eq!(smallest(&of(&[2, 8, 9, 10]), 0.8), Some(2));
        assert_eq!(smallest(&of(&[9, 7, 9, 10]), 0.8), Some(3), "one lucky size is not believed");
        assert_eq!(smallest(&of(&[2, 7]), 0.8), None);
        assert_eq!(smallest(&of(&[8]), 0.8), Some(1));
    }

    #[test]
    fn verdicts_are_counted_each() {
        let c = cell(7, [Verdict::Warn, Verdict::Pass, Verdict::Inconclusive, Verdict::Fail].into_iter());
        assert_eq!((c.n_fail, c.n_warn, c.n_inconclusive, c.n_pass, c.n_runs), (1, 1, 1, 1, 4));
        assert_eq!((c.n_images, c.fail_rate), (7, 0.25));
    }
}
