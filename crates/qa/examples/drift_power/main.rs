//! False alarms and power of the golden check on simulated annotators.
//!
//! `cargo run --release -p labelloop-qa --example drift_power [runs]`
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::time::Instant;

use labelloop_core::Seed;
use labelloop_qa::{GoldenParams, GoldenReport, Statistic, Verdict, golden_check};
use rayon::prelude::*;

mod simulate;

use simulate::{Errors, Golden, Labels};

const N_CALIBRATION: usize = 3;

fn main() {
    let runs = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(500);
    println!(
        "100 golden images, about 700 objects, {N_CALIBRATION} calibration rounds, {runs} runs per row\n"
    );
    println!(
        "{:<34} {:>6} {:>6} {:>6} {:>6} {:>8} {:>8}",
        "current round", "FAIL", "WARN", "INC.", "PASS", "p <= .05", "named"
    );
    let still = Errors::default();
    row("as before", runs, 0.0, still, &[]);
    row("as before, rounds wobble 0.4%", runs, 0.004, still, &[]);
    row("classes swapped 10%", runs, 0.0, Errors { swap: 0.11, ..still }, &[Statistic::WrongClass]);
    row("sides shrunk 5%", runs, 0.0, Errors { scale: 0.95, ..still }, &[Statistic::LogSize]);
    row("spurious 8%", runs, 0.0, Errors { spurious: 0.10, ..still }, &[Statistic::Spurious]);
    row(
        "centre shifted 4%",
        runs,
        0.0,
        Errors { shift: 0.04, ..still },
        &[Statistic::ShiftX, Statistic::ShiftY],
    );
    row("missed 5%", runs, 0.0, Errors { miss: 0.06, miss_small: 0.09, ..still }, &[Statistic::Missed]);
    row("small missed 15%", runs, 0.0, Errors { miss_small: 0.19, ..still }, &[Statistic::MissedSmall]);
    row("images left empty 5%", runs, 0.0, Errors { empty: 0.05, ..still }, &[Statistic::LeftEmpty]);
    speed();
}

/// One line of the table: `errors` in the current round, `wobble` the deviation of the scale of whole rounds.
fn row(name: &str, runs: u64, wobble: f64, errors: Errors, wanted: &[Statistic]) {
    let reports: Vec<GoldenReport> =
        (0..runs).into_par_iter().map(|run| one_run(run, wobble, errors)).collect();
    let share = |holds: &dyn Fn(&GoldenReport) -> bool| {
        reports.iter().filter(|r| holds(r)).count() as f64 / runs.max(1) as f64
    };
    let of = |verdict: Verdict| share(&|r| r.verdict == verdict);
    let is_named = |r: &GoldenReport| r.named().is_some_and(|s| wanted.contains(&s));
    println!(
        "{name:<34} {:>6.3} {:>6.3} {:>6.3} {:>6.3} {:>8.3} {:>8}",
        of(Verdict::Fail),
        of(Verdict::Warn),
        of(Verdict::Inconclusive),
        of(Verdict::Pass),
        share(&|r| r.p_value.is_some_and(|p| p <= 0.05)),
        if wanted.is_empty() { "-".to_owned() } else { format!("{:.3}", share(&is_named)) },
    );
}

fn one_run(run: u64, wobble: f64, errors: Errors) -> GoldenReport {
    let seed = Seed::new(run);
    let golden = Golden::generate(100, seed);
    let wobbly = |errors: Errors, round: u64| Errors {
        scale: errors.scale * (1.0 + wobble * seed.stream("wobble").normal(round)),
        ..errors
    };
    let calibration: Vec<Labels> = (0..N_CALIBRATION as u64)
        .map(|k| {
            golden.annotate(&wobbly(Errors::default(), k), seed.stream("calibration").stream(&k.to_string()))
        })
        .collect();
    let current = golden.annotate(&wobbly(errors, N_CALIBRATION as u64), seed.stream("current"));
    check(&golden, &calibration, &current, &GoldenParams { seed, ..GoldenParams::default() })
}

fn check(golden: &Golden, calibration: &[Labels], current: &Labels, params: &GoldenParams) -> GoldenReport {
    let rounds: Vec<_> = calibration.iter().map(|labels| golden.round(labels)).collect();
    golden_check(&golden.round(&golden.truth), &rounds, &golden.round(current), &golden.schema, params)
        .expect("simulated rounds show the reference's images")
}

fn speed() {
    let golden = Golden::generate(100, Seed::new(1));
    let errors = Errors::default();
    let calibration: Vec<Labels> = (0..3).map(|k| golden.annotate(&errors, Seed::new(10 + k))).collect();
    let current = golden.annotate(&errors, Seed::new(20));
    let params = GoldenParams { n_permutations: 9_999, ..GoldenParams::default() };
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    let fastest = (0..7)
        .map(|_| {
            let start = Instant::now();
            let report = one_core.install(|| check(&golden, &calibration, &current, &params));
            assert_eq!(report.n_permutations, 9_999);
            start.elapsed().as_secs_f64() * 1e3
        })
        .fold(f64::INFINITY, f64::min);
    println!("\n100 images, 9,999 permutations, one core: {fastest:.1} ms");
}
