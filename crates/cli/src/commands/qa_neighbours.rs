//! `qa neighbours`: labels that the objects which look like theirs speak against.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use labelloop_core::{ClassIdx, ClassSchema, SampleId};
use labelloop_embed::CropRecord;
use labelloop_formats::coco;
use labelloop_index::{ExactIndex, Metric};
use labelloop_qa::{NeighbourObjects, NeighbourParams, NeighbourSuspect, neighbour_suspects};
use serde_json::{Value, json};

use super::arrays::read_rows;
use super::embed::crop_name;
use crate::args::QaNeighboursArgs;
use crate::output::Output;

/// Crops that still are labels, with what the labels say now.
struct Objects {
    records: Vec<CropRecord>,
    classes: Vec<ClassIdx>,
    parents: Vec<u32>,
    neighbours: Vec<Vec<(u32, f32)>>,
    schema: ClassSchema,
    n_gone: usize,
}

pub(super) fn neighbours(args: &QaNeighboursArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let objects = objects(args, output)?;
    if let Some(of) = &args.of {
        return nearest(args, &objects, of, output);
    }
    let params = NeighbourParams { k: args.k, ..NeighbourParams::default() };
    let (classes, parents) = (&objects.classes, &objects.parents);
    let given = NeighbourObjects { classes, parents, neighbours: &objects.neighbours };
    let report = neighbour_suspects(&given, &params)?;
    let listed = &report.suspects[..args.top.min(report.suspects.len())];
    let mut words = format!(
        "{} suspicious labels among {} objects in {} groups of pictures",
        report.suspects.len(),
        report.n_judged,
        parents.iter().collect::<BTreeSet<_>>().len()
    );
    if 0 < objects.n_gone {
        words.push_str(&format!("; {} crops are no labels any more", objects.n_gone));
    }
    for suspect in listed {
        let record = &objects.records[suspect.object];
        let [x, y, w, h] = record.bbox.to_xywh();
        words.push_str(&format!(
            "\n  {:.3} {} at [{x:.0}, {y:.0}, {w:.0}, {h:.0}]: {}",
            suspect.suspicion,
            record.id,
            suspect.reason(&objects.schema)
        ));
    }
    let suspects: Vec<Value> = listed.iter().map(|s| document(s, &objects)).collect();
    let document = json!({
        "n_suspects": report.suspects.len(), "n_judged": report.n_judged,
        "n_without_neighbours": report.n_without_neighbours, "n_gone": objects.n_gone, "params": params,
        "suspects": suspects,
    });
    output.result(&document, &words)?;
    Ok(ExitCode::SUCCESS)
}

fn document(suspect: &NeighbourSuspect, objects: &Objects) -> Value {
    let record = &objects.records[suspect.object];
    let examples: Vec<&SampleId> = suspect.examples.iter().map(|row| &objects.records[*row].id).collect();
    json!({
        "id": record.id, "image": record.parent, "object": record.object, "bbox": record.bbox,
        "class": objects.schema.name(suspect.class), "suggested": objects.schema.name(suspect.suggested),
        "suspicion": suspect.suspicion, "n_asked": suspect.n_asked, "n_same": suspect.n_same,
        "n_suggested": suspect.n_suggested, "examples": examples, "reason": suspect.reason(&objects.schema),
    })
}

/// The objects that look most like one, in other pictures.
fn nearest(
    args: &QaNeighboursArgs,
    objects: &Objects,
    of: &str,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let row = objects.records.iter().position(|r| r.id.as_str() == of);
    let row = row.with_context(|| format!("object {of}: expected an id of {}", args.crops.display()))?;
    let class = |row: usize| objects.schema.name(objects.classes[row]).unwrap_or("unknown");
    let others = objects.neighbours[row].iter().map(|(other, s)| (*other as usize, -f64::from(*s)));
    let others: Vec<(usize, f64)> =
        others.filter(|(other, _)| objects.parents[*other] != objects.parents[row]).take(args.k).collect();
    let mut words = format!("nearest to {of} ({}):", class(row));
    for (other, distance) in &others {
        words.push_str(&format!("\n  {distance:.4} {} ({})", objects.records[*other].id, class(*other)));
    }
    let near: Vec<Value> = others
        .iter()
        .map(|(other, distance)| {
            json!({ "id": objects.records[*other].id, "class": class(*other), "distance": distance })
        })
        .collect();
    output.result(&json!({ "of": of, "class": class(row), "nearest": near }), &words)?;
    Ok(ExitCode::SUCCESS)
}

fn objects(args: &QaNeighboursArgs, output: &Output) -> anyhow::Result<Objects> {
    let rows = read_rows(&args.crops)?;
    let lineage = args.crops.with_extension("crops.json");
    let records = records(&lineage, rows.nrows())?;
    let options = coco::ReadOptions { group_key: Some(args.group.clone()), ..coco::ReadOptions::default() };
    let labels = coco::read(&args.labels, &options)?;
    for warning in &labels.warnings {
        output.say(&format!("warning: {warning}"));
    }
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut known: BTreeMap<(SampleId, String), (ClassIdx, u32)> = BTreeMap::new();
    for sample in &labels.set.samples {
        let next = numbers.len() as u32;
        let parent = *numbers.entry(sample.group.as_str()).or_insert(next);
        let mut taken = BTreeSet::new();
        for (idx, label) in sample.boxes.iter().flatten().filter(|l| !l.is_crowd).enumerate() {
            known.insert((sample.id.clone(), crop_name(label, idx, &mut taken)), (label.class, parent));
        }
    }
    let label = |r: &CropRecord| known.get(&(r.parent.clone(), r.object.clone())).copied();
    let (kept, found): (Vec<usize>, Vec<(ClassIdx, u32)>) =
        records.iter().enumerate().filter_map(|(row, r)| Some((row, label(r)?))).unzip();
    if kept.is_empty() && !records.is_empty() {
        bail!("{}: none of its labels is among {}", args.labels.display(), lineage.display());
    }
    let (classes, parents): (Vec<ClassIdx>, Vec<u32>) = found.into_iter().unzip();
    let vectors = rows.select(ndarray::Axis(0), &kept);
    Ok(Objects {
        neighbours: lists(&vectors, &parents, args.k)?,
        n_gone: records.len() - kept.len(),
        records: kept.iter().map(|row| records[*row].clone()).collect(),
        schema: labels.set.schema,
        classes,
        parents,
    })
}

fn records(path: &Path, n_rows: usize) -> anyhow::Result<Vec<CropRecord>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: cannot be read; embed --crops writes it", path.display()))?;
    let records: Vec<CropRecord> =
        serde_json::from_str(&text).with_context(|| format!("{}: expected crops", path.display()))?;
    if records.len() != n_rows {
        bail!("{}: {} crops, expected {n_rows} as rows", path.display(), records.len());
    }
    Ok(records)
}

/// Enough neighbours that `k` of them are in other groups of pictures.
fn lists(vectors: &ndarray::Array2<f32>, parents: &[u32], k: usize) -> anyhow::Result<Vec<Vec<(u32, f32)>>> {
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    for parent in parents {
        *sizes.entry(*parent).or_default() += 1;
    }
    let most = sizes.values().copied().max().unwrap_or(0);
    let found = ExactIndex::new(vectors.view(), Metric::L2)?.search(vectors.view(), k + most, None)?;
    Ok((0..parents.len()).map(|row| found.of(row).map(|(other, far)| (other, -far)).collect()).collect())
}
