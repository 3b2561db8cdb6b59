//! `project`: embeddings in the plane, as a picture or as coordinates.

mod colours;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_core::{SampleId, Seed, Split};
use labelloop_dataset::{Dataset, HUMAN_LABELS};
use labelloop_embed::{Projection, ProjectionMethod, ProjectionParams, TSneParams};
use labelloop_loop::{Project, write_atomically};
use labelloop_report::{Colouring, ScatterPlot};
use ndarray::Array2;
use serde_json::json;

use super::arrays::read_rows;
use crate::args::{ColourKind, LayoutArgs, LayoutMethod};
use crate::output::{Output, UsageError};
use crate::progress::Teller;

/// Rows to lay out, with what is known of them.
struct Rows {
    vectors: Array2<f32>,
    /// Ids, or row numbers where there are none.
    ids: Vec<String>,
    fit_on: Vec<usize>,
    colouring: Colouring,
}

pub(super) fn layout(args: &LayoutArgs, output: &Output) -> anyhow::Result<ExitCode> {
    for out in &args.out {
        if !["svg", "png", "csv"].contains(&ending(out).as_str()) {
            let words = format!("--out {}: expected a name that ends in .svg, .png or .csv", out.display());
            return Err(UsageError(words).into());
        }
    }
    let teller = Teller::new(output);
    let rows = match &args.rows {
        Some(path) => of_file(args, path)?,
        None => of_project(args, &teller)?,
    };
    let method = match args.method {
        LayoutMethod::Pca => ProjectionMethod::Pca,
        LayoutMethod::Tsne => ProjectionMethod::TSne(TSneParams {
            perplexity: args.perplexity,
            max_rows: args.max_rows,
            ..TSneParams::default()
        }),
    };
    let params = ProjectionParams { method, seed: Seed::new(args.seed) };
    let map = params.project(rows.vectors.view(), &rows.fit_on, &teller)?;
    for out in &args.out {
        write(args, out, &rows, &map)?;
    }
    tell(args, &map, output)
}

fn tell(args: &LayoutArgs, map: &Projection, output: &Output) -> anyhow::Result<ExitCode> {
    let n_fitted = map.is_fitted.iter().filter(|f| **f).count();
    let (n_rows, n_placed) = (map.is_fitted.len(), map.is_fitted.len() - n_fitted);
    let names: Vec<String> = args.out.iter().map(|out| out.display().to_string()).collect();
    let by = match (map.perplexity, map.divergence) {
        (Some(perplexity), Some(divergence)) => {
            format!("t-SNE of perplexity {perplexity:.1}, divergence {divergence:.3}")
        }
        _ => "principal components".to_owned(),
    };
    let words =
        format!("{n_rows} rows by {by}: {n_fitted} fitted on, {n_placed} only placed; {}", names.join(", "));
    let document = json!({
        "n_rows": n_rows, "n_fitted": n_fitted, "perplexity": map.perplexity, "divergence": map.divergence,
        "out": args.out,
    });
    output.result(&document, &words)?;
    Ok(ExitCode::SUCCESS)
}

fn write(args: &LayoutArgs, out: &Path, rows: &Rows, map: &Projection) -> anyhow::Result<()> {
    let bytes = if ending(out) == "csv" {
        csv(rows, map).into_bytes()
    } else {
        let heading = match args.method {
            LayoutMethod::Pca => "principal components",
            LayoutMethod::Tsne => "t-SNE",
        };
        let title = args.title.clone().unwrap_or_else(|| format!("{} samples by {heading}", rows.ids.len()));
        let plot = ScatterPlot {
            title,
            points: map.plane.rows().into_iter().map(|r| [r[0], r[1]]).collect(),
            colouring: rows.colouring.clone(),
            is_fitted: Some(map.is_fitted.clone()),
        };
        if ending(out) == "svg" { plot.to_svg()?.into_bytes() } else { plot.to_png()? }
    };
    write_atomically(out, &bytes)?;
    Ok(())
}

fn csv(rows: &Rows, map: &Projection) -> String {
    let value = |row: usize| match &rows.colouring {
        Colouring::Names(names) => names[row].clone().unwrap_or_default(),
        Colouring::Scores(scores) => scores[row].map(|s| s.to_string()).unwrap_or_default(),
        Colouring::Batches(batches) => batches[row].map(|b| b.to_string()).unwrap_or_default(),
        _ => String::new(),
    };
    let quoted = |text: &str| {
        let is_plain = !text.contains([',', '"', '\n', '\r']);
        if is_plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
    };
    let mut text = "id,x,y,is_fitted,value\n".to_owned();
    for (row, (id, at)) in rows.ids.iter().zip(map.plane.rows()).enumerate() {
        let (id, value) = (quoted(id), quoted(&value(row)));
        text.push_str(&format!("{id},{},{},{},{value}\n", at[0], at[1], map.is_fitted[row]));
    }
    text
}

fn of_file(args: &LayoutArgs, path: &Path) -> anyhow::Result<Rows> {
    let vectors = read_rows(path)?;
    let ids = ids(path, vectors.nrows())?;
    let excluded: BTreeSet<String> = match &args.exclude_from_fit {
        None => BTreeSet::new(),
        Some(list) => {
            let text = std::fs::read_to_string(list)
                .with_context(|| format!("{}: cannot be read", list.display()))?;
            text.lines().map(str::trim_end).filter(|l| !l.is_empty()).map(ToOwned::to_owned).collect()
        }
    };
    let known: BTreeSet<&String> = ids.iter().collect();
    if let Some(missing) = excluded.iter().find(|id| !known.contains(id)) {
        anyhow::bail!("sample {missing} to be left out of the fit: expected an id of {}", path.display());
    }
    let fit_on = (0..ids.len()).filter(|row| !excluded.contains(&ids[*row])).collect();
    let colouring = match &args.color_by {
        None => Colouring::Plain,
        Some(file) => colours::read(file, &ids, args.kind)?,
    };
    Ok(Rows { vectors, ids, fit_on, colouring })
}

/// Ids of a table, or of the list beside a matrix; row numbers where there is none.
fn ids(path: &Path, n_rows: usize) -> anyhow::Result<Vec<String>> {
    if ending(path) == "parquet" {
        let table = labelloop_embed::EmbeddingTable::read_parquet(path)?;
        return Ok(table.embeddings().ids().iter().map(ToString::to_string).collect());
    }
    let beside = path.with_extension("json");
    if !beside.exists() {
        return Ok((0..n_rows).map(|row| row.to_string()).collect());
    }
    let table = labelloop_embed::EmbeddingTable::read_npy(path)?;
    Ok(table.embeddings().ids().iter().map(ToString::to_string).collect())
}

/// Pool and val, fitted on the pool alone; test and golden are not looked at.
fn of_project(args: &LayoutArgs, teller: &Teller<'_>) -> anyhow::Result<Rows> {
    let project = Project::open(&args.project.project)?;
    let dataset = project.dataset()?;
    let run = project.embed(&dataset, teller)?;
    let ids = run.embeddings.ids();
    let samples: Vec<_> = ids.iter().map(|id| dataset.samples().get(id)).collect();
    let is_pool = |row: &usize| samples[*row].is_some_and(|s| s.split == Some(Split::Pool));
    let scores = match (&args.score, args.kind) {
        (Some(name), _) => Some(dataset.scores(name)?),
        (None, Some(ColourKind::Score)) => {
            let known = dataset.score_names().join(", ");
            return Err(UsageError(format!("--kind score: expected --score with one of: {known}")).into());
        }
        _ => None,
    };
    let classes = match args.kind {
        Some(ColourKind::Class) => Some(main_classes(&dataset, ids)?),
        _ => None,
    };
    let colouring = match (scores, classes, args.kind) {
        (Some(scores), ..) => Colouring::Scores(ids.iter().map(|id| scores.get(id).copied()).collect()),
        (_, Some(classes), _) => Colouring::Names(classes),
        (_, _, Some(ColourKind::Batch)) => {
            Colouring::Batches(samples.iter().map(|s| s.and_then(|s| s.batch)).collect())
        }
        _ => Colouring::Names(
            samples.iter().map(|s| s.and_then(|s| s.split).map(|split| split.to_string())).collect(),
        ),
    };
    Ok(Rows {
        fit_on: (0..ids.len()).filter(is_pool).collect(),
        vectors: run.embeddings.vectors().to_owned(),
        ids: ids.iter().map(ToString::to_string).collect(),
        colouring,
    })
}

/// The most frequent class of each sample that people labelled; ties by class.
fn main_classes(dataset: &Dataset, ids: &[SampleId]) -> anyhow::Result<Vec<Option<String>>> {
    let main = |id: &SampleId| -> anyhow::Result<Option<String>> {
        let mut counts: BTreeMap<_, usize> = BTreeMap::new();
        for label in dataset.boxes(HUMAN_LABELS, id)?.unwrap_or_default() {
            *counts.entry(label.class).or_default() += 1;
        }
        let most = counts.iter().max_by_key(|(class, n)| (**n, std::cmp::Reverse(**class)));
        Ok(most.and_then(|(class, _)| dataset.schema().name(*class)).map(ToOwned::to_owned))
    };
    ids.iter().map(main).collect()
}

fn ending(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}
