//! ZCore on a given array and given draws: seconds of laying out, of the draws, and of a whole run with draws of its own.
//!
//!     python benches/zcore_peers.py 50000 768

use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use labelloop_benches::cpu;
use labelloop_core::Silent;
use labelloop_coreset::{DrawPlan, ZCoreParams};
use ndarray::{Array1, Array2, Axis, Slice};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use serde_json::json;

#[derive(Parser)]
#[command(about = "Times ZCore on an array of embeddings.")]
struct Args {
    /// Embeddings, rows x dimensions, f32.
    embeddings: PathBuf,
    /// Columns of each draw, draws x columns per draw, u32.
    dims: PathBuf,
    /// The point of each draw, of the same shape, f64.
    points: PathBuf,
    /// Where the raw scores of the first `--checked` draws go.
    raw: PathBuf,
    /// Draws whose scores are written for comparison.
    #[arg(long, default_value_t = 100)]
    checked: usize,
    /// Rows that share the penalty.
    #[arg(long, default_value_t = 50)]
    neighbours: usize,
    /// Draws of the run from beginning to end.
    #[arg(long, default_value_t = 5000)]
    whole: usize,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    rayon::ThreadPoolBuilder::new().num_threads(args.threads).build_global()?;
    let rows = Array2::<f32>::read_npy(File::open(&args.embeddings)?)?;
    let none = Array2::zeros((0, rows.ncols()));
    let plan = DrawPlan {
        dims: Array2::read_npy(File::open(&args.dims)?)?,
        points: Array2::read_npy(File::open(&args.points)?)?,
    };
    let params =
        |n_draws| ZCoreParams { n_draws, n_neighbours: args.neighbours, ..Default::default() }.check();
    let checked = Slice::from(..args.checked.min(plan.dims.nrows()));
    let first = DrawPlan {
        dims: plan.dims.slice_axis(Axis(0), checked).to_owned(),
        points: plan.points.slice_axis(Axis(0), checked).to_owned(),
    };

    let valid = params(plan.dims.nrows())?;
    let begin = Clock::start();
    let laid_out = valid.lay_out(rows.view(), none.view())?;
    let layout = begin.stop();
    let begin = Clock::start();
    laid_out.score_plan(&plan, &Silent)?;
    let draws = begin.stop();
    Array1::from(laid_out.score_plan(&first, &Silent)?.raw).write_npy(File::create(&args.raw)?)?;
    drop(laid_out);

    let valid = params(args.whole)?;
    let begin = Clock::start();
    valid.score(rows.view())?;
    let whole = begin.stop();
    print(&json!({ "n_draws": plan.dims.nrows(), "layout": layout, "draws": draws, "whole": whole }));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result of the program")]
fn print(result: &serde_json::Value) {
    println!("{result}");
}

/// Wall and processor seconds from one moment to another.
struct Clock {
    wall: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu::of_process().unwrap_or_default() }
    }

    fn stop(&self) -> serde_json::Value {
        json!({ "wall": self.wall.elapsed().as_secs_f64(), "cpu": cpu::of_process().unwrap_or_default() - self.cpu })
    }
}
