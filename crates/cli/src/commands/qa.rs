//! `qa golden` and `qa suspects`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use labelloop_core::{AnnotationSet, ClassSchema, Seed};
use labelloop_formats::coco;
use labelloop_qa::{GoldenImage, GoldenParams, ScoredImage, Suspect, SuspicionParams, Verdict, golden_check};
use serde_json::{Value, json};

use crate::args::{QaGoldenArgs, QaSuspectsArgs};
use crate::output::{GATE, Output};

/// Compares a round of golden labels with its reference; status 3 when labelling has drifted.
pub(super) fn golden(args: &QaGoldenArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let reference = read(&args.reference, output)?;
    let round = |path: &PathBuf| in_schema(read(path, output)?, &reference.schema, path);
    let current = round(&args.current)?;
    let calibration: Vec<AnnotationSet> =
        args.calibration.iter().map(round).collect::<anyhow::Result<_>>()?;
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

/// Labels that may be wrong, the most suspicious first.
pub(super) fn suspects(args: &QaSuspectsArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let gt = coco::read(&args.gt, &coco::ReadOptions::default())?;
    let (detections, warnings) = coco::read_detections(&args.dt, &gt)?;
    for warning in gt.warnings.iter().chain(&warnings) {
        output.say(&format!("warning: {warning}"));
    }
    let images: Vec<ScoredImage<'_>> = gt
        .set
        .samples
        .iter()
        .map(|s| ScoredImage {
            id: &s.id,
            labels: s.boxes.as_deref().unwrap_or_default(),
            detections: detections.get(&s.id).map(Vec::as_slice).unwrap_or_default(),
        })
        .collect();
    let params =
        SuspicionParams { min_score: args.min_score, match_iou: args.iou, ..SuspicionParams::default() };
    let found = labelloop_qa::suspects(&images, &params)?;
    let listed: Vec<&Suspect> = found.iter().take(args.top).collect();
    let schema = &gt.set.schema;
    let documents: Vec<Value> = listed.iter().map(|s| document(s, schema)).collect();
    let mut words = format!("{} suspicious labels in {} pictures", found.len(), images.len());
    for s in listed {
        words.push_str(&line(s, schema));
    }
    output.result(&json!({ "n_suspects": found.len(), "params": params, "suspects": documents }), &words)?;
    Ok(ExitCode::SUCCESS)
}

fn document(s: &Suspect, schema: &ClassSchema) -> Value {
    json!({
        "image": s.image,
        "kind": s.kind,
        "suspicion": s.suspicion,
        "label_idx": s.label_idx,
        "detection_idx": s.detection_idx,
        "class": schema.name(s.class),
        "suggested": s.suggested.and_then(|c| schema.name(c)),
        "bbox": s.bbox,
    })
}

fn line(s: &Suspect, schema: &ClassSchema) -> String {
    let name = |c| schema.name(c).unwrap_or("unknown");
    let [x, y, w, h] = s.bbox.to_xywh();
    let suggested =
        s.suggested.filter(|c| *c != s.class).map_or_else(String::new, |c| format!(", rather {}", name(c)));
    format!(
        "\n  {:.3} {:<13} {} at [{x:.0}, {y:.0}, {w:.0}, {h:.0}] of picture {}{suggested}",
        s.suspicion,
        s.kind.as_str(),
        name(s.class),
        s.image,
    )
}

/// Reads a whole round: a label that the reader left out would count as missed by people.
pub(super) fn read(path: &Path, output: &Output) -> anyhow::Result<AnnotationSet> {
    let read = coco::read(path, &coco::ReadOptions::default())?;
    if let Some(lost) = read.warnings.iter().find(|w| w.kind.may_lose_labels()) {
        bail!("{lost}; what cannot be read would count as missed");
    }
    for warning in &read.warnings {
        output.say(&format!("warning: {warning}"));
    }
    Ok(read.set)
}

/// Numbers classes as the reference does: files of different tools list the same classes in different orders.
pub(super) fn in_schema(
    mut set: AnnotationSet,
    schema: &ClassSchema,
    path: &Path,
) -> anyhow::Result<AnnotationSet> {
    for sample in &mut set.samples {
        for b in sample.boxes.iter_mut().flatten() {
            let name = set.schema.name(b.class).unwrap_or_default();
            b.class =
                schema.index(name).with_context(|| format!("{}, image {}", path.display(), sample.id))?;
        }
    }
    set.schema = schema.clone();
    Ok(set)
}

pub(super) fn images(set: &AnnotationSet) -> anyhow::Result<Vec<GoldenImage<'_>>> {
    set.samples
        .iter()
        .map(|s| {
            let size = s.size.with_context(|| format!("picture {}: expected width and height", s.id))?;
            Ok(GoldenImage { id: &s.id, size, boxes: s.boxes.as_deref().unwrap_or_default() })
        })
        .collect()
}
