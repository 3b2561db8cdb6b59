//! Ways to choose what to label, head to head with random selection, on data sets that are labelled completely.
//!
//! ```text
//! cargo run --release --example head_to_head -- --data cells=COCO.json,IMAGES --scenes 120 --work FOLDER
//! ```
//!
//! A seed deals whole groups out to a pool and a validation set and feeds all chance of all methods. Each method then
//! chooses shares of the pool by embeddings alone; at every budget it is measured how well the choice covers the pool,
//! how much of the rare classes it holds, how well the built-in detector does after learning from it, and what choosing
//! cost. In the setting `given`, half of each budget is chosen by chance beforehand and the method continues, as in a loop.
//!
//! Results are appended to `FOLDER/results.jsonl` one by one, so that a run which was stopped goes on where it was, and
//! `FOLDER/overview.md` and `FOLDER/tables.md` are written at the end. All figures but the times are the same on every run.

#![allow(clippy::print_stderr, reason = "a long run says where it is")]

mod args;
mod clock;
mod data;
mod downstream;
mod ledger;
mod measures;
mod methods;
mod round;
mod stats;
mod tables;

use anyhow::Context;
use clap::Parser;

use crate::args::Args;
use crate::data::Data;
use crate::ledger::Ledger;
use crate::tables::Detail;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // One worker does everything, so that the time on its clock is all the time there is.
    let workers = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    workers.install(|| run(&args))
}

fn run(args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.work).with_context(|| args.work.display().to_string())?;
    let mut ledger = Ledger::open(&args.work.join("results.jsonl"))?;
    if !args.only_tables {
        for source in args.sources()? {
            let data = Data::load(&source, args).with_context(|| format!("data set {}", source.name()))?;
            eprintln!("{data}");
            round::run_all(&data, args, &mut ledger)?;
        }
    }
    let known: Vec<_> = ledger.records().filter(|record| record.key.seed <= args.seeds).collect();
    for (file, detail) in [("tables.md", Detail::Full), ("overview.md", Detail::Brief)] {
        std::fs::write(args.work.join(file), tables::of(known.iter().copied(), detail)?).context(file)?;
    }
    Ok(())
}
