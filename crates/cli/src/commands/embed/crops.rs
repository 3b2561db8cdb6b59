use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};
use labelloop_core::{LabelledBox, SampleRecord};
use labelloop_embed::{CropItem, CropObject, CropParams, CropRun, EmbeddingTable, ModelInfo, embed_crops};
use labelloop_formats::coco;
use serde_json::json;

use super::{Format, model};
use crate::args::EmbedArgs;
use crate::output::{Output, UsageError};
use crate::progress::Teller;

/// A vector of every labelled object, in a table whose rows are named picture#label; where each comes from is beside it.
pub(super) fn crops(args: &EmbedArgs, labels: &Path, out: &Path, output: &Output) -> anyhow::Result<()> {
    let [folder] = args.images.as_slice() else {
        return Err(UsageError("embed --crops: expected one folder of pictures".to_owned()).into());
    };
    let format = Format::of(out)?;
    let embedder = model::embedder(args)?;
    let read = coco::read(labels, &coco::ReadOptions::default())?;
    for warning in &read.warnings {
        output.say(&format!("warning: {warning}"));
    }
    let items: Vec<CropItem> = read.set.samples.iter().map(|s| item(s, folder)).collect();
    let store = args.store.clone().unwrap_or_else(|| out.with_extension("vectors"));
    let params = CropParams { margin: args.margin, ..CropParams::default() };
    let run = embed_crops(&items, embedder.as_ref(), &params, Some(&store), &Teller::new(output))?;
    let lineage = out.with_extension("crops.json");
    if !args.strict || run.failures.is_empty() {
        let (contents, model) = (Some(run.contents.clone()), Some(ModelInfo::of(embedder.as_ref())));
        let table = EmbeddingTable::new(run.embeddings.clone(), contents, model)?;
        match format {
            Format::Parquet => table.write_parquet(out)?,
            Format::Npy => table.write_npy(out)?,
        }
        std::fs::write(&lineage, serde_json::to_vec_pretty(&run.records)?)
            .with_context(|| format!("{}: cannot be written", lineage.display()))?;
    }
    tell(&run, out, &lineage, output)?;
    if args.strict && !run.failures.is_empty() {
        bail!("{} objects have no vector: expected none under --strict", run.failures.len());
    }
    Ok(())
}

fn item(sample: &SampleRecord, folder: &Path) -> CropItem {
    let mut taken = BTreeSet::new();
    let labels = sample.boxes.iter().flatten().filter(|l| !l.is_crowd);
    let objects = labels.enumerate().map(|(idx, label)| CropObject {
        object: name(label, idx, &mut taken),
        bbox: label.bbox,
        class: Some(label.class),
    });
    CropItem { parent: sample.id.clone(), path: folder.join(&sample.file_name), objects: objects.collect() }
}

/// The label's id in its file; its place among the picture's labels where it has none of its own.
pub(in crate::commands) fn name(label: &LabelledBox, idx: usize, taken: &mut BTreeSet<String>) -> String {
    let id = label.extra.get("id").map(|id| id.trim_matches('"').to_owned());
    let id = id.filter(|id| !id.is_empty() && !taken.contains(id)).unwrap_or_else(|| format!("at{idx}"));
    taken.insert(id.clone());
    id
}

fn tell(run: &CropRun, out: &Path, lineage: &Path, output: &Output) -> anyhow::Result<()> {
    let (n, n_failed) = (run.records.len(), run.failures.len());
    let mut words = format!(
        "{n} objects in {}: {} computed, {} from the store, {n_failed} without a vector; where they come from in {}",
        out.display(),
        run.n_computed,
        run.n_cached,
        lineage.display()
    );
    for failure in run.failures.iter().take(10) {
        words.push_str(&format!("\n  {}", failure.reason));
    }
    if 10 < n_failed {
        words.push_str(&format!("\n  and {} more (all of them with --json)", n_failed - 10));
    }
    let failures: Vec<_> = run
        .failures
        .iter()
        .map(|f| json!({ "id": f.id, "path": f.path, "kind": f.kind, "reason": f.reason }))
        .collect();
    let document = json!({
        "n_objects": n, "n_computed": run.n_computed, "n_stored": run.n_cached, "n_decoded": run.n_decoded,
        "out": out, "lineage": lineage, "failures": failures,
    });
    output.result(&document, &words)
}
