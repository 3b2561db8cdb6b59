//! `qa suspects`

use std::process::ExitCode;

use labelloop_core::ClassSchema;
use labelloop_formats::coco;
use labelloop_qa::{ObjectLabParams, ScoredImage, Suspect, SuspicionParams, label_quality};
use serde_json::{Value, json};

use crate::args::{QaSuspectsArgs, SuspectsOf};
use crate::output::Output;

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
    if args.by == SuspectsOf::Image {
        return pictures(args, &images, output);
    }
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

/// Pictures whose labels may be wrong, the worst first.
fn pictures(args: &QaSuspectsArgs, images: &[ScoredImage<'_>], output: &Output) -> anyhow::Result<ExitCode> {
    let params = ObjectLabParams::default();
    let scored = label_quality(images, &params)?;
    let listed = &scored[..args.top.min(scored.len())];
    let mut words =
        format!("{} pictures by how far their labels can be trusted, the worst first", scored.len());
    for q in listed {
        words.push_str(&format!(
            "\n  {:.4} {}: overlooked {:.3}, badly located {:.3}, swapped {:.3}",
            q.quality, q.image, q.overlooked, q.badly_located, q.swapped
        ));
    }
    let document = json!({ "n_images": scored.len(), "params": params, "images": listed });
    output.result(&document, &words)?;
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
