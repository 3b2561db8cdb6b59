//! `neighbors` on arrays.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use labelloop_index::{
    ExactIndex, HnswIndex, HnswParams, Method, Metric, NeighbourIndex, Neighbours, Plan, RowFilter, Workload,
};
use labelloop_loop::write_atomically;
use ndarray::{Array2, Axis};
use serde_json::json;

use super::arrays::{read_ids, read_rows, write_npy};
use crate::args::{MetricArg, NeighborMethod, NeighborsArgs};
use crate::output::{Output, UsageError};
use crate::progress::Teller;

/// Nearest neighbours, exact or along a graph.
pub(super) fn neighbors(args: &NeighborsArgs, output: &Output) -> anyhow::Result<ExitCode> {
    if args.index.is_some() && matches!(args.method, NeighborMethod::Exact) {
        return Err(
            UsageError("--index with --method exact: the exact scan has no index file".to_owned()).into()
        );
    }
    let (queries, pool) = (read_rows(&args.query)?, read_rows(&args.pool)?);
    let allowed = match &args.allowed {
        Some(path) => Some(allowed(path, pool.nrows())?),
        None => None,
    };
    let (index, plan) = index(args, &pool, queries.nrows(), output)?;
    let found = index.search(queries.view(), args.k, allowed.as_ref())?;
    let recall = match args.audit {
        Some(n) => audit(&found, &pool, &queries, n, args, allowed.as_ref())?,
        None => None,
    };
    write_npy(&args.out, &found.ids.mapv(i64::from))?;
    if let Some(path) = &args.scores {
        write_npy(path, &found.scores)?;
    }
    let mut words = format!(
        "{} x {} neighbours in {}, {}: {}",
        found.n_queries(),
        found.k(),
        args.out.display(),
        if plan.method == Method::Hnsw { "along a graph" } else { "exact" },
        plan.reason,
    );
    if let Some(recall) = recall {
        words = format!("{words}; recall {recall:.4}");
    }
    let document = json!({
        "n_queries": found.n_queries(), "k": found.k(), "out": args.out, "metric": index.metric(),
        "method": plan.method, "reason": plan.reason, "recall": recall,
    });
    output.result(&document, &words)?;
    Ok(ExitCode::SUCCESS)
}

fn allowed(path: &Path, n_rows: usize) -> anyhow::Result<RowFilter> {
    let rows: Vec<u32> = read_ids(path, n_rows)?.into_iter().map(|row| row as u32).collect();
    Ok(RowFilter::from_rows(n_rows, &rows)?)
}

/// The index that was asked for, or that is faster: read from its file, or built and written there.
fn index(
    args: &NeighborsArgs,
    pool: &Array2<f32>,
    n_queries: usize,
    output: &Output,
) -> anyhow::Result<(Box<dyn NeighbourIndex>, Plan)> {
    let metric = metric(args.metric);
    let file = args.index.as_deref().filter(|path| path.exists());
    let mut params = HnswParams::default();
    if let Some(beam) = args.beam {
        params.search_beam = beam;
    }
    let valid = params.check()?;
    let work = Workload {
        n_rows: pool.nrows(),
        n_dims: pool.ncols(),
        n_queries,
        k: args.k,
        is_built: file.is_some(),
    };
    let mut plan = work.plan(&params);
    let asked = match args.method {
        NeighborMethod::Auto => plan.method,
        NeighborMethod::Exact => Method::Exact,
        NeighborMethod::Hnsw => Method::Hnsw,
    };
    if !matches!(args.method, NeighborMethod::Auto) {
        (plan.method, plan.reason) = (asked, "it was asked for".to_owned());
    }
    if asked != Method::Hnsw {
        return Ok((Box::new(ExactIndex::new(pool.view(), metric)?), plan));
    }
    if let Some(path) = file {
        let mut index = read_index(path, pool, metric)?;
        if let Some(beam) = args.beam {
            index.set_search_beam(beam)?;
        }
        return Ok((Box::new(index), plan));
    }
    let index = valid.build(pool.view(), metric, &Teller::new(output))?;
    if let Some(path) = &args.index {
        write_atomically(path, &index.to_bytes())?;
    }
    Ok((Box::new(index), plan))
}

fn read_index(path: &Path, pool: &Array2<f32>, metric: Metric) -> anyhow::Result<HnswIndex> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let index = HnswIndex::from_bytes(&bytes, pool.view()).with_context(|| path.display().to_string())?;
    if index.metric() != metric {
        let (found, asked) = (json!(index.metric()), json!(metric));
        let sentence = format!("{}: index is for --metric {found}, expected {asked}", path.display());
        return Err(UsageError(sentence).into());
    }
    Ok(index)
}

/// Share of the true neighbours found, over `n` queries spread evenly; none where there is nothing to find.
fn audit(
    found: &Neighbours,
    pool: &Array2<f32>,
    queries: &Array2<f32>,
    n: usize,
    args: &NeighborsArgs,
    allowed: Option<&RowFilter>,
) -> anyhow::Result<Option<f64>> {
    let n = n.min(queries.nrows());
    let asked: Vec<usize> = (0..n).map(|i| i * queries.nrows() / n).collect();
    let exact = ExactIndex::new(pool.view(), metric(args.metric))?;
    let truth = exact.search(queries.select(Axis(0), &asked).view(), args.k, allowed)?;
    let pairs = asked.iter().zip(truth.ids.rows());
    let hits: usize = pairs
        .map(|(query, truth)| {
            truth.iter().filter(|id| found.ids.row(*query).iter().any(|f| f == *id)).count()
        })
        .sum();
    Ok((!truth.ids.is_empty()).then(|| hits as f64 / truth.ids.len() as f64))
}

fn metric(arg: MetricArg) -> Metric {
    match arg {
        MetricArg::Cosine => Metric::Cosine,
        MetricArg::Dot => Metric::Dot,
        MetricArg::L2 => Metric::L2,
    }
}
