//! False alarms and power of the golden check: people with realistic noise label images of known labels again, and err in
//! one way more than they usually do.
//!
//! `--labels INSTANCES.json` takes a real set of labels as the truth; without it labels are made. `--write FOLDER` writes the
//! rounds of the first runs for `benches/drift_peers.py`, with what the golden check said of each.
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

mod people;
mod truth;
mod write;

use std::path::PathBuf;

use anyhow::ensure;
use clap::Parser;
use labelloop_benches::cpu;
use labelloop_core::Seed;
use labelloop_qa::{
    AnnotatorModel, GoldenParams, GoldenReport, LabelDrift, Statistic, Verdict, golden_check,
};
use rayon::prelude::*;

use people::{Labels, People, Wobble};
use truth::Truth;

/// Simulates rounds of a golden set and counts what the golden check says
#[derive(Parser)]
struct Args {
    /// COCO file whose labels are the truth
    #[arg(long)]
    labels: Option<PathBuf>,
    /// Images of known labels, drawn from the file
    #[arg(long, default_value_t = 200)]
    known: usize,
    /// Images of the golden set in each run with drift, drawn from the known ones
    #[arg(long, default_value_t = 100)]
    images: usize,
    /// Earlier rounds known to be good
    #[arg(long, default_value_t = 3)]
    calibration: usize,
    /// Runs per drift
    #[arg(long, default_value_t = 500)]
    runs: u64,
    /// Runs per row without drift
    #[arg(long, default_value_t = 2000)]
    null_runs: u64,
    /// Rearrangements per test
    #[arg(long, default_value_t = 999)]
    permutations: usize,
    /// Spread of the log of how hard objects are
    #[arg(long, default_value_t = 1.0)]
    difficulty: f64,
    /// Write rounds here
    #[arg(long)]
    write: Option<PathBuf>,
    /// Runs of each row that are written
    #[arg(long, default_value_t = 100)]
    write_runs: u64,
}

/// One line of the table.
#[derive(Debug, Clone)]
struct Row {
    name: String,
    wobble: Wobble,
    now: AnnotatorModel,
    /// Any of these names it; empty where nothing drifts.
    wanted: &'static [Statistic],
    n_images: usize,
    n_runs: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let truth = match &args.labels {
        Some(path) => Truth::read(path)?,
        None => Truth::made()?,
    };
    let known = truth.part(args.known, Seed::new(0));
    ensure!(args.images <= known.len(), "--images {}: expected at most {}", args.images, known.len());
    println!(
        "{} images of known labels, {} objects, {:.0}% small, {} classes; {} calibration rounds\n",
        known.len(),
        known.n_objects(),
        100.0 * known.share_small(),
        known.schema.n_classes(),
        args.calibration
    );
    println!(
        "| current round | images | runs | FAIL | WARN | INCONCLUSIVE | PASS | p <= .05 | named first |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let usual = AnnotatorModel { difficulty: args.difficulty, ..AnnotatorModel::default() };
    for (order, row) in rows(&args, usual, known.len()).into_iter().enumerate() {
        let reports: Vec<GoldenReport> = (0..row.n_runs)
            .into_par_iter()
            .map(|run| Run::new(&args, &known, usual, &row, run)?.report())
            .collect::<anyhow::Result<_>>()?;
        print_row(&row, &reports);
        if let Some(folder) = args.write.as_ref().filter(|_| row.n_images == args.images) {
            write::row(&folder.join(format!("{order:02}")), &row, &reports, args.write_runs, |run| {
                Run::new(&args, &known, usual, &row, run)
            })?;
        }
    }
    speed(&args, &known, usual)
}

fn rows(args: &Args, usual: AnnotatorModel, n_known: usize) -> Vec<Row> {
    let still = |name: &str, wobble, n_images| Row {
        name: name.to_owned(),
        wobble,
        now: usual,
        wanted: &[],
        n_images,
        n_runs: args.null_runs,
    };
    let mut rows = Vec::new();
    for n_images in [n_known, args.images] {
        rows.push(still("as before", Wobble::None, n_images));
        rows.push(still("as before, scale of rounds wobbles by 0.4%", Wobble::Rounds(0.004), n_images));
        rows.push(still("as before, four people of different habits", Wobble::People, n_images));
    }
    let drifted = |drift: LabelDrift| Row {
        name: drift.to_string(),
        wobble: Wobble::None,
        now: drift.on(&usual),
        wanted: drift.statistics(),
        n_images: args.images,
        n_runs: args.runs,
    };
    rows.extend(LabelDrift::STRONG.into_iter().chain(LabelDrift::WEAK).map(drifted));
    rows
}

/// One golden set, its rounds and what is asked of them.
struct Run {
    golden: Truth,
    calibration: Vec<Labels>,
    current: Labels,
    params: GoldenParams,
}

impl Run {
    fn new(args: &Args, known: &Truth, usual: AnnotatorModel, row: &Row, run: u64) -> anyhow::Result<Self> {
        let seed = Seed::new(run).stream(&row.name);
        let golden = known.part(row.n_images, seed.stream("golden"));
        let people = People { wobble: row.wobble, seed };
        let calibration = (0..args.calibration)
            .map(|k| people.label(&golden, usual, &format!("calibration {k}")))
            .collect::<anyhow::Result<_>>()?;
        let current = people.label(&golden, row.now, "current")?;
        let params = GoldenParams { seed, n_permutations: args.permutations, ..GoldenParams::default() };
        Ok(Self { golden, calibration, current, params })
    }

    fn report(&self) -> anyhow::Result<GoldenReport> {
        let rounds: Vec<_> = self.calibration.iter().map(|labels| self.golden.round(labels)).collect();
        let (reference, current) = (self.golden.round(&self.golden.boxes), self.golden.round(&self.current));
        Ok(golden_check(&reference, &rounds, &current, &self.golden.schema, &self.params)?)
    }
}

fn print_row(row: &Row, reports: &[GoldenReport]) {
    let share = |holds: &dyn Fn(&GoldenReport) -> bool| {
        reports.iter().filter(|r| holds(r)).count() as f64 / reports.len().max(1) as f64
    };
    let of = |verdict: Verdict| share(&|r| r.verdict == verdict);
    let is_named = |r: &GoldenReport| r.named().is_some_and(|s| row.wanted.contains(&s));
    println!(
        "| {} | {} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {} |",
        row.name,
        row.n_images,
        reports.len(),
        of(Verdict::Fail),
        of(Verdict::Warn),
        of(Verdict::Inconclusive),
        of(Verdict::Pass),
        share(&|r| r.p_value.is_some_and(|p| p <= r.level)),
        if row.wanted.is_empty() { String::new() } else { format!("{:.3}", share(&is_named)) },
    );
}

/// CPU time of whole checks, matching and all, on one core: the median of 31.
fn speed(args: &Args, known: &Truth, usual: AnnotatorModel) -> anyhow::Result<()> {
    let row = rows(args, usual, known.len()).pop().expect("there are rows");
    let mut run = Run::new(args, known, usual, &row, 0)?;
    run.params.n_permutations = 9_999;
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let mut times = (0..31)
        .map(|_| {
            let before = cpu::of_threads()?;
            let report = one_core.install(|| run.report())?;
            ensure!(report.n_permutations == 9_999, "{} rearrangements", report.n_permutations);
            Ok(1e3 * (cpu::of_threads()? - before))
        })
        .collect::<anyhow::Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    println!(
        "\n{} images, 9,999 rearrangements, one core: {:.1} CPU-ms (median of 31)",
        args.images, times[15]
    );
    Ok(())
}
