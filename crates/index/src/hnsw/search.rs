use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use super::HnswIndex;
use super::walk::Walker;
use crate::checks::checked_norms;
use crate::cost;
use crate::metric::Scorer;
use crate::{IndexError, NeighbourIndex, Neighbours, Result, Role, RowFilter};

/// Queries that one thread answers at a stretch, so that what a walk remembers is allocated seldom.
const STRETCH: usize = 16;

/// Rows with their scores, closest first.
type Ranked = Vec<(f64, u32)>;

impl HnswIndex {
    /// The k closest allowed rows of each query (shape: queries x dimensions) that the search finds, closest first, ties
    /// by lower row. Deleted rows are not allowed.
    ///
    /// As with [`ExactIndex::search`](crate::ExactIndex::search) the answer has `min(k, allowed rows)` columns, always.
    ///
    /// # Errors
    /// [`IndexError::DimensionMismatch`], [`IndexError::NotFinite`], [`IndexError::ZeroVector`] under
    /// [`Metric::Cosine`](crate::Metric::Cosine), and [`IndexError::FilterLength`].
    pub fn search(
        &self,
        queries: ArrayView2<'_, f32>,
        k: usize,
        allowed: Option<&RowFilter>,
    ) -> Result<Neighbours> {
        let filter = match allowed {
            Some(filter) => filter
                .and(&self.alive)
                .map_err(|_| IndexError::FilterLength { found: filter.n_rows(), expected: self.n_rows() })?,
            None => self.alive.clone(),
        };
        let n_allowed = filter.count();
        let k = k.min(n_allowed);
        let width = self.width(k, n_allowed);
        let filter = if n_allowed == self.n_rows() { None } else { Some(&filter) };
        if cost::exact_query(n_allowed, self.n_dims())
            <= cost::hnsw_query(width, self.links.n_links(), self.n_dims(), self.n_rows())
        {
            return self.exact.search(queries, k, filter);
        }
        self.walk(queries, k, width, filter)
    }

    /// Candidates that a walk keeps. Where only a share of the rows is allowed, so many more are needed.
    fn width(&self, k: usize, n_allowed: usize) -> usize {
        let share = self.n_rows() as f64 / n_allowed.max(1) as f64;
        (self.params.search_beam.max(k) as f64 * share).ceil() as usize
    }

    /// [`HnswIndex::search`] along the graph, however costly.
    pub(super) fn walk(
        &self,
        queries: ArrayView2<'_, f32>,
        k: usize,
        width: usize,
        filter: Option<&RowFilter>,
    ) -> Result<Neighbours> {
        if queries.ncols() != self.n_dims() {
            return Err(IndexError::DimensionMismatch { found: queries.ncols(), expected: self.n_dims() });
        }
        let queries = queries.as_standard_layout();
        let norms = checked_norms(queries.view(), self.metric(), Role::Query)?;
        let search = Search { index: self, k, width, filter };
        let answers: Vec<Ranked> = (0..queries.nrows())
            .into_par_iter()
            .with_min_len(STRETCH)
            .map_init(
                || (Walker::new(self.nodes.len()), Vec::new()),
                |(walker, code), i| search.answer(queries.row(i), norms[i], walker, code),
            )
            .collect();
        let short: Vec<usize> = (0..answers.len()).filter(|i| answers[*i].len() < k).collect();
        let mut found = table(&answers, k);
        if !short.is_empty() {
            let exact = self.exact.search(queries.select(Axis(0), &short).view(), k, filter)?;
            for (from, to) in short.into_iter().enumerate() {
                found.ids.row_mut(to).assign(&exact.ids.row(from));
                found.scores.row_mut(to).assign(&exact.scores.row(from));
            }
        }
        Ok(found)
    }
}

/// One row for each answer, zeros where it is short.
fn table(answers: &[Ranked], k: usize) -> Neighbours {
    let shape = (answers.len(), k);
    let (mut ids, mut scores) = (Array2::zeros(shape), Array2::zeros(shape));
    for (i, answer) in answers.iter().enumerate() {
        for (j, (score, row)) in answer.iter().enumerate() {
            (ids[[i, j]], scores[[i, j]]) = (*row, *score as f32);
        }
    }
    Neighbours { ids, scores }
}

/// What all queries of one search share.
struct Search<'a> {
    index: &'a HnswIndex,
    k: usize,
    width: usize,
    filter: Option<&'a RowFilter>,
}

impl Search<'_> {
    /// The k closest rows found, fewer where the walk came by fewer.
    fn answer(
        &self,
        query: ArrayView1<'_, f32>,
        query_norm: f64,
        walker: &mut Walker,
        code: &mut Vec<i16>,
    ) -> Ranked {
        let HnswIndex { exact, grid, codes, links, orphans, .. } = self.index;
        // The queries are in standard layout, so their rows are slices.
        let query = query.to_slice().unwrap_or(&[]);
        if !grid.encode_query(query, query_norm, code) {
            return Vec::new();
        }
        let entry = walker.descend(codes, links, code, 0);
        walker.search(codes, links, code, 0, &[entry], self.width);
        walker.add(codes, code, orphans);
        let metric = exact.metric();
        let sign = if metric.higher_is_closer() { -1.0 } else { 1.0 };
        let scorer = Scorer::new(metric, query, query_norm);
        let (pool, norms) = (exact.pool(), exact.norms());
        let mut ranked: Ranked = self
            .candidates(walker)
            .into_iter()
            .map(|row| {
                let vector = pool.index_axis_move(Axis(0), row as usize);
                (scorer.score(vector.to_slice().unwrap_or(&[]), norms[row as usize]), row)
            })
            .collect();
        ranked.sort_unstable_by(|a, b| (sign * a.0).total_cmp(&(sign * b.0)).then(a.1.cmp(&b.1)));
        ranked.truncate(self.k);
        ranked
    }

    /// The rows found that may be among the k closest of them, as the distance of codes is only nearly that of vectors;
    /// and those off the grid.
    fn candidates(&self, walker: &Walker) -> Vec<u32> {
        let HnswIndex { grid, nodes, strays, .. } = self.index;
        let is_allowed = |row: &u32| self.filter.is_none_or(|filter| filter.contains(*row as usize));
        let mut rows: Vec<u32> = Vec::new();
        let mut limit = f64::INFINITY;
        for (squared, node) in walker.found() {
            let distance = f64::from(squared).sqrt();
            if limit < distance {
                break;
            }
            let of_node = nodes.rows(node).iter().filter(|row| strays.binary_search(row).is_err());
            rows.extend(of_node.filter(|row| is_allowed(row)));
            if self.k <= rows.len() && limit.is_infinite() {
                limit = distance + 2.0 * grid.slack();
            }
        }
        rows.extend(strays.iter().filter(|row| is_allowed(row)));
        rows
    }
}
