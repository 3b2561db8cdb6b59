//! `qa golden`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use labelloop_core::{AnnotationSet, Seed};
use labelloop_qa::{
    CuboidGoldenParams, GoldenImage, GoldenParams, GoldenReport, GoldenScan, Verdict, golden_check,
    golden_check_cuboids,
};
use serde_json::{Value, json};

use super::golden_rounds::{images, in_schema, read, scans};
use crate::args::QaGoldenArgs;
use crate::output::{GATE, Output};

/// Compares a round of golden labels with its reference; status 3 when labelling has drifted.
pub(super) fn golden(args: &QaGoldenArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let reference = read(&args.reference, &args.format, output)?;
    let round = |path: &PathBuf| in_schema(read(path, &args.format, output)?, &reference.schema, path);
    let current = round(&args.current)?;
    let calibration: Vec<AnnotationSet> =
        args.calibration.iter().map(round).collect::<anyhow::Result<_>>()?;
    let rounds = Rounds { reference: &reference, calibration: &calibration, current: &current };
    let reports: Vec<GoldenReport> =
        [rounds.of_pictures(args)?, rounds.of_clouds(args)?].into_iter().flatten().collect();
    let Some((first, others)) = reports.split_first() else {
        bail!("{}: no sample has been answered for, and a reference has to be", args.reference.display());
    };
    let mut document = json!(first);
    if let (Some(scans), Value::Object(fields)) = (others.first(), &mut document) {
        fields.insert("scans".to_owned(), json!(scans));
    }
    let words: Vec<String> = reports.iter().map(ToString::to_string).collect();
    output.result(&document, &words.join("\n\n"))?;
    let is_failed = reports.iter().any(|r| r.verdict == Verdict::Fail);
    Ok(if is_failed { ExitCode::from(GATE) } else { ExitCode::SUCCESS })
}

struct Rounds<'a> {
    reference: &'a AnnotationSet,
    calibration: &'a [AnnotationSet],
    current: &'a AnnotationSet,
}

impl Rounds<'_> {
    /// Nothing where the reference answers for no picture.
    fn of_pictures(&self, args: &QaGoldenArgs) -> anyhow::Result<Option<GoldenReport>> {
        let reference = images(self.reference)?;
        if reference.is_empty() {
            return Ok(None);
        }
        let calibration: Vec<Vec<GoldenImage<'_>>> =
            self.calibration.iter().map(images).collect::<anyhow::Result<_>>()?;
        let params = GoldenParams {
            n_permutations: args.permutations,
            level: args.level,
            seed: Seed::new(args.seed),
            ..GoldenParams::default()
        };
        let (current, schema) = (images(self.current)?, &self.reference.schema);
        Ok(Some(golden_check(&reference, &calibration, &current, schema, &params)?))
    }

    /// Nothing where the reference answers for no point cloud.
    fn of_clouds(&self, args: &QaGoldenArgs) -> anyhow::Result<Option<GoldenReport>> {
        let reference = scans(self.reference);
        if reference.is_empty() {
            return Ok(None);
        }
        let calibration: Vec<Vec<GoldenScan<'_>>> = self.calibration.iter().map(scans).collect();
        let params = CuboidGoldenParams {
            n_permutations: args.permutations,
            level: args.level,
            seed: Seed::new(args.seed),
            ..CuboidGoldenParams::default()
        };
        let (current, schema) = (scans(self.current), &self.reference.schema);
        Ok(Some(golden_check_cuboids(&reference, &calibration, &current, schema, &params)?))
    }
}
