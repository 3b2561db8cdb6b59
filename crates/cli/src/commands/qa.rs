//! `qa golden`

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::{AnnotationSet, Seed};
use labelloop_formats::coco;
use labelloop_qa::{GoldenImage, GoldenParams, Verdict, golden_check};

use crate::args::QaGoldenArgs;
use crate::output::{GATE, Output};

/// Compares a round of golden labels with its reference; status 3 when labelling has drifted.
pub(super) fn golden(args: &QaGoldenArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let reference = read(&args.reference, output)?;
    let current = read(&args.current, output)?;
    let calibration: Vec<AnnotationSet> =
        args.calibration.iter().map(|path| read(path, output)).collect::<anyhow::Result<_>>()?;
    let rounds: Vec<Vec<GoldenImage<'_>>> = calibration.iter().map(images).collect::<anyhow::Result<_>>()?;
    let params = GoldenParams {
        n_permutations: args.permutations,
        level: args.level,
        seed: Seed::new(args.seed),
        ..GoldenParams::default()
    };
    let report = golden_check(&images(&reference)?, &rounds, &images(&current)?, &reference.schema, &params)?;
    output.result(&report, &report.to_string())?;
    Ok(if report.verdict == Verdict::Fail { ExitCode::from(GATE) } else { ExitCode::SUCCESS })
}

fn read(path: &Path, output: &Output) -> anyhow::Result<AnnotationSet> {
    let read = coco::read(path, &coco::ReadOptions::default())?;
    for warning in &read.warnings {
        output.say(&format!("warning: {warning}"));
    }
    Ok(read.set)
}

fn images(set: &AnnotationSet) -> anyhow::Result<Vec<GoldenImage<'_>>> {
    set.samples
        .iter()
        .map(|s| {
            let size = s.size.with_context(|| format!("picture {}: expected width and height", s.id))?;
            Ok(GoldenImage { id: &s.id, size, boxes: s.boxes.as_deref().unwrap_or_default() })
        })
        .collect()
}
