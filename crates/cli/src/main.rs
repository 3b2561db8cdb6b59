//! The `labelloop` program. What it prints and how it exits is written down in `docs/CLI.md`.

mod args;
mod commands;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json, cli.quiet);
    if let Err(error) = use_threads(cli.threads) {
        return output.fail(&error);
    }
    match commands::run(&cli, &output) {
        Ok(code) => code,
        Err(error) => output.fail(&error),
    }
}

/// 0 means all cores.
fn use_threads(n: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(n).build_global()?;
    Ok(())
}
