//! How soon control charts over rounds see weak drifts, and how often they cry wolf, on simulated people.
//!
//! `cargo run --release -p labelloop-qa --example drift_delay [histories] [quiet histories]`
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::time::Instant;

use labelloop_core::Seed;
use labelloop_qa::{
    AnnotatorModel, ChartKind, ChartParams, GoldenChart, GoldenParams, History, HistoryEntry, LabelDrift,
    Verdict, golden_chart, golden_check,
};
use rayon::prelude::*;

#[path = "../drift_power/simulate.rs"]
#[allow(dead_code, reason = "only the true objects are drawn from it here")]
mod simulate;

use simulate::{Golden, Labels};

const N_IMAGES: usize = 100;
/// Rounds of a quiet history, for which the charts state their rate.
const N_ROUNDS: u64 = 20;
/// Rounds that a drift lasts.
const N_DRIFTED: u64 = 10;

fn main() {
    let argument =
        |i: usize, usual: u64| std::env::args().nth(i).and_then(|a| a.parse().ok()).unwrap_or(usual);
    let (n_drifting, n_quiet) = (argument(1, 200), argument(2, 1000));
    println!("{N_IMAGES} golden images, about 700 objects; level {} over {N_ROUNDS} rounds\n", stated());
    println!(
        "{:<38} {:>8} {:>7} {:>11} {:>7} {:>7} {:>9}",
        "nothing changes: share of histories", "T", "CUSUM", "any signal", "beyond", "gate", "any FAIL"
    );
    for (n_images, wobble, n_calibration) in [
        (N_IMAGES, 0.0, 3),
        (N_IMAGES, 0.0, 1),
        (N_IMAGES, 0.0, 0),
        (20, 0.0, 3),
        (20, 0.0, 0),
        (N_IMAGES, 0.004, 3),
        (N_IMAGES, 0.004, 8),
    ] {
        quiet(n_quiet, n_images, n_calibration, wobble);
    }
    for n_before in [0, 4] {
        println!(
            "\ndrift after {n_before} quiet rounds: {n_drifting} histories, 3 calibration rounds\n{:<24} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8}",
            "drift", "within 3", "median", "mean", "FAIL 1st", "gate <=3", "named"
        );
        for drift in LabelDrift::WEAK {
            drifting(drift, n_before, n_drifting);
        }
    }
    let people = People { run: 0, n_images: N_IMAGES, n_calibration: 3, wobble: 0.0 };
    let history = people.history(N_ROUNDS, |_| AnnotatorModel::default());
    let start = Instant::now();
    let chart = golden_chart(&history, "1", &ChartParams::default()).expect("the history has entries");
    println!(
        "\none chart with the default parameters: {:.0} ms\n{chart}",
        start.elapsed().as_secs_f64() * 1e3
    );
}

fn stated() -> f64 {
    ChartParams::default().false_alarm
}

/// Shares of histories in which nothing changes and yet a chart signals. `beyond`: a CUSUM whose effect is beyond its
/// margin; `gate`: such a one that more than one round shows; `any FAIL`: the golden check alone, at its level per round.
fn quiet(n_histories: u64, n_images: usize, n_calibration: u64, wobble: f64) {
    let charts: Vec<GoldenChart> = (0..n_histories)
        .into_par_iter()
        .map(|run| {
            let people = People { run, n_images, n_calibration, wobble };
            people.chart(N_ROUNDS + u64::from(n_calibration == 0), |_| AnnotatorModel::default())
        })
        .collect();
    let share = |holds: &dyn Fn(&GoldenChart) -> bool| {
        charts.iter().filter(|c| holds(c)).count() as f64 / charts.len().max(1) as f64
    };
    let has = |kind| share(&|c| c.signals.iter().any(|s| s.chart == kind));
    println!(
        "{:<38} {:>8.3} {:>7.3} {:>11.3} {:>7.3} {:>7.3} {:>9.3}",
        format!("  {n_images} images, {n_calibration} calibration, wobble {:.1}%", 100.0 * wobble),
        has(ChartKind::Shewhart),
        has(ChartKind::Cusum),
        share(&|c| !c.signals.is_empty()),
        share(&|c| c.signals.iter().any(|s| s.chart == ChartKind::Cusum && s.is_beyond_margin)),
        share(&|c| c.points.iter().any(|p| c.drift_of(p.iteration).is_some())),
        share(&|c| c.points.iter().any(|p| p.verdict == Verdict::Fail)),
    );
}

/// Rounds from the first drifted one to the first signal of either chart. `FAIL 1st`: the golden check alone, in the first
/// drifted round; `gate <=3`: a FAIL or a CUSUM beyond its margin within three rounds.
fn drifting(drift: LabelDrift, n_before: u64, n_histories: u64) {
    let usual = AnnotatorModel::default();
    let drifted = drift.on(&usual);
    let charts: Vec<GoldenChart> = (0..n_histories)
        .into_par_iter()
        .map(|run| {
            let people = People { run, n_images: N_IMAGES, n_calibration: 3, wobble: 0.0 };
            people.chart(n_before + N_DRIFTED, |round| if round < n_before { usual } else { drifted })
        })
        .collect();
    let mut delays: Vec<u64> = charts
        .iter()
        .map(|c| {
            let first = c.signals.iter().find(|s| n_before <= s.iteration);
            first.map_or(N_DRIFTED + 1, |s| s.iteration - n_before + 1)
        })
        .collect();
    delays.sort_unstable();
    let n = delays.len().max(1) as f64;
    let share = |holds: &dyn Fn(&GoldenChart) -> bool| charts.iter().filter(|c| holds(c)).count() as f64 / n;
    let named = share(&|c| {
        let first = c.signals.iter().find(|s| n_before <= s.iteration);
        first.is_some_and(|s| drift.statistics().contains(&s.statistic))
    });
    let is_failed = |c: &GoldenChart, n_rounds: u64| {
        let span = n_before..n_before + n_rounds;
        c.points.iter().any(|p| span.contains(&p.iteration) && p.verdict == Verdict::Fail)
    };
    let gate = |c: &GoldenChart| {
        is_failed(c, 3) || (n_before..n_before + 3).any(|iteration| c.drift_of(iteration).is_some())
    };
    println!(
        "{:<24} {:>9.3} {:>9} {:>8.2} {:>8.3} {:>8.3} {named:>8.3}",
        drift,
        delays.iter().filter(|d| **d <= 3).count() as f64 / n,
        delays.get(delays.len() / 2).copied().unwrap_or(0),
        delays.iter().sum::<u64>() as f64 / n,
        share(&|c| is_failed(c, 1)),
        share(&gate),
    );
}

/// Who labels one history.
struct People {
    run: u64,
    n_images: usize,
    n_calibration: u64,
    /// Standard deviation of the scale of whole rounds.
    wobble: f64,
}

impl People {
    fn chart(&self, n_rounds: u64, model: impl Fn(u64) -> AnnotatorModel) -> GoldenChart {
        let params = ChartParams { seed: Seed::new(self.run), n_simulations: 4000, ..ChartParams::default() };
        golden_chart(&self.history(n_rounds, model), "1", &params).expect("the history has entries")
    }

    /// `n_rounds` rounds of the real golden check.
    fn history(&self, n_rounds: u64, model: impl Fn(u64) -> AnnotatorModel) -> History {
        let seed = Seed::new(self.run);
        let golden = Golden::generate(self.n_images, seed);
        let calibration: Vec<Labels> = (0..self.n_calibration)
            .map(|k| self.annotate(&golden, AnnotatorModel::default(), "calibration", k))
            .collect();
        let calibration: Vec<_> = calibration.iter().map(|labels| golden.round(labels)).collect();
        let params = GoldenParams { seed, n_permutations: 199, ..GoldenParams::default() };
        let mut history = History::default();
        for round in 0..n_rounds {
            let current = self.annotate(&golden, model(round), "round", round);
            let (truth, current) = (golden.round(&golden.truth), golden.round(&current));
            let report = golden_check(&truth, &calibration, &current, &golden.schema, &params)
                .expect("simulated rounds show the reference's images");
            history.upsert(HistoryEntry::of(round, "1", &report)).expect("one reference");
        }
        history
    }

    fn annotate(&self, golden: &Golden, model: AnnotatorModel, name: &str, round: u64) -> Labels {
        let seed = Seed::new(self.run).stream(name).stream(&round.to_string());
        let scale = model.scale * (1.0 + self.wobble * seed.stream("wobble").normal(0));
        let model = AnnotatorModel { scale, ..model }.check().expect("rates are within their ranges");
        let n_classes = golden.schema.n_classes();
        golden.round(&golden.truth).iter().map(|image| model.annotate(image, n_classes, seed)).collect()
    }
}
