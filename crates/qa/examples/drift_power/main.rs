//! False alarms and power of the golden check on simulated annotators.
//!
//! `cargo run --release -p labelloop-qa --example drift_power [runs]`
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::time::Instant;

use labelloop_core::Seed;
use labelloop_qa::{
    AnnotatorModel, CuboidGoldenParams, GoldenParams, GoldenReport, LabelDrift, Statistic, Verdict,
    golden_check, golden_check_cuboids,
};
use rayon::prelude::*;

mod simulate;
mod simulate_scans;

use simulate::{Golden, Labels};
use simulate_scans::{GoldenScans, ScanErrors, ScanLabels};

const N_CALIBRATION: usize = 3;

fn main() {
    let runs = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(500);
    println!(
        "100 golden images, about 700 objects, {N_CALIBRATION} calibration rounds, {runs} runs per row\n"
    );
    header();
    let still = AnnotatorModel::default();
    row("as before", runs, 0.0, still, &[]);
    row("as before, rounds wobble 0.4%", runs, 0.004, still, &[]);
    for drift in LabelDrift::STRONG {
        row(&drift.to_string(), runs, 0.0, drift.on(&still), drift.statistics());
    }
    scans(runs);
    speed();
}

fn header() {
    println!(
        "{:<34} {:>6} {:>6} {:>6} {:>6} {:>8} {:>8}",
        "current round", "FAIL", "WARN", "INC.", "PASS", "p <= .05", "named"
    );
}

/// The same for point clouds.
fn scans(runs: u64) {
    println!(
        "\n120 golden scans, about 960 cuboids, {N_CALIBRATION} calibration rounds, {runs} runs per row\n"
    );
    header();
    let still = ScanErrors::default();
    let rows = [
        ("as before", still, None),
        ("classes swapped 5%", ScanErrors { swap: 0.06, ..still }, Some(Statistic::WrongClass)),
        ("missed 5%", ScanErrors { miss: 0.06, ..still }, Some(Statistic::Missed)),
        ("spurious 8%", ScanErrors { spurious: 0.10, ..still }, Some(Statistic::Spurious)),
        ("heading backwards 4%", ScanErrors { flip: 0.045, ..still }, Some(Statistic::Flipped)),
        ("sides shrunk 5%", ScanErrors { scale: 0.95, ..still }, Some(Statistic::LogSize)),
        ("10 cm too high", ScanErrors { shift: [0.0, 0.0, 0.1], ..still }, Some(Statistic::ShiftZ)),
        (
            "10 cm along the sensor's x",
            ScanErrors { shift: [0.1, 0.0, 0.0], ..still },
            Some(Statistic::ShiftX),
        ),
        ("10 cm along the heading", ScanErrors { along: 0.1, ..still }, Some(Statistic::ShiftAlong)),
        ("turned by 0.05", ScanErrors { turn: 0.05, ..still }, Some(Statistic::Yaw)),
        ("scans left empty 7%", ScanErrors { empty: 0.07, ..still }, Some(Statistic::LeftEmpty)),
    ];
    for (name, errors, wanted) in rows {
        let reports: Vec<GoldenReport> =
            (0..runs).into_par_iter().map(|run| one_run_of_scans(run, errors)).collect();
        print_row(name, &reports, wanted.as_slice());
    }
}

fn one_run_of_scans(run: u64, errors: ScanErrors) -> GoldenReport {
    let seed = Seed::new(run);
    let golden = GoldenScans::generate(120, seed);
    let calibration: Vec<ScanLabels> = (0..N_CALIBRATION as u64)
        .map(|k| golden.annotate(&ScanErrors::default(), seed.stream("calibration").stream(&k.to_string())))
        .collect();
    let rounds: Vec<_> = calibration.iter().map(|labels| golden.round(labels)).collect();
    let current = golden.annotate(&errors, seed.stream("current"));
    let params = CuboidGoldenParams { seed, ..CuboidGoldenParams::default() };
    golden_check_cuboids(
        &golden.round(&golden.truth),
        &rounds,
        &golden.round(&current),
        &golden.schema,
        &params,
    )
    .expect("simulated rounds show the reference's scans")
}

/// One line of the table: `errors` in the current round, `wobble` the deviation of the scale of whole rounds.
fn row(name: &str, runs: u64, wobble: f64, errors: AnnotatorModel, wanted: &[Statistic]) {
    let reports: Vec<GoldenReport> =
        (0..runs).into_par_iter().map(|run| one_run(run, wobble, errors)).collect();
    print_row(name, &reports, wanted);
}

fn print_row(name: &str, reports: &[GoldenReport], wanted: &[Statistic]) {
    let share = |holds: &dyn Fn(&GoldenReport) -> bool| {
        reports.iter().filter(|r| holds(r)).count() as f64 / reports.len().max(1) as f64
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

fn one_run(run: u64, wobble: f64, errors: AnnotatorModel) -> GoldenReport {
    let seed = Seed::new(run);
    let golden = Golden::generate(100, seed);
    let wobbly = |errors: AnnotatorModel, round: u64| AnnotatorModel {
        scale: errors.scale * (1.0 + wobble * seed.stream("wobble").normal(round)),
        ..errors
    };
    let calibration: Vec<Labels> = (0..N_CALIBRATION as u64)
        .map(|k| {
            golden.annotate(
                &wobbly(AnnotatorModel::default(), k),
                seed.stream("calibration").stream(&k.to_string()),
            )
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
    let errors = AnnotatorModel::default();
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
