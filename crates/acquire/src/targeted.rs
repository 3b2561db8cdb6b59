//! Samples like the model's failures, but unlike each other and unlike what is labelled.

use labelloop_index::{ExactIndex, Metric, RowFilter};
use ndarray::{Array2, ArrayView2};

use crate::coverage::Taken;
use crate::failures::BucketQueries;
use crate::queue::FallingQueue;
use crate::shelf::Shelf;
use crate::unit_rows::unit_rows;
use crate::{PolicyParams, Result};

/// Pairs of query and candidate that are held at once.
const MAX_PAIRS: usize = 4_000_000;

/// The embeddings that all targeted buckets of a batch look at, scaled to length 1.
pub(crate) struct Space {
    candidates: Array2<f32>,
    pool: ExactIndex,
    /// Highest cosine of each candidate to anything labelled, and -1 where nothing is.
    known: Vec<f64>,
}

impl Space {
    pub(crate) fn new(candidates: ArrayView2<'_, f32>, labelled: ArrayView2<'_, f32>) -> Result<Self> {
        let candidates = unit_rows(candidates);
        let mut known = vec![-1.0; candidates.nrows()];
        if labelled.nrows() > 0 {
            let labelled = ExactIndex::new(unit_rows(labelled).view(), Metric::Dot)?;
            let closest = labelled.search(candidates.view(), 1, None)?;
            known = closest.scores.iter().map(|s| f64::from(*s)).collect();
        }
        let pool = ExactIndex::new(candidates.view(), Metric::Dot)?;
        Ok(Self { candidates, pool, known })
    }

    fn cosine(&self, a: usize, b: usize) -> f64 {
        Metric::Dot.score(self.candidates.row(a), self.candidates.row(b))
    }
}

/// One targeted bucket being filled.
struct Filling<'a> {
    space: &'a Space,
    params: &'a PolicyParams,
    /// What each query's weight costs those who resemble it.
    handicap: Vec<f64>,
    quota: Vec<usize>,
    served: Vec<usize>,
    /// Highest cosine to anything labelled or taken so far, and how many taken rows that covers.
    novelty: Vec<(f64, usize)>,
    edges: Edges,
}

/// The queries that each candidate is near to.
struct Edges {
    start: Vec<usize>,
    pairs: Vec<(usize, f64)>,
}

/// Takes rows for one bucket until the amount is spent, by greedy maximal marginal relevance.
///
/// The value of a row (Carbonell and Goldstein 1998) is
/// `lambda * resemblance - (1 - lambda) * familiarity - penalties`: its best cosine to a failing image of the bucket,
/// against its highest cosine to anything labelled or in the batch. An image of less weight than the heaviest loses up
/// to `weight_influence`; an image that has its quota already loses `query_penalty` for each further row; a row loses
/// `group_penalty` for each row of its group in the batch. Values only fall as rows are taken.
pub(crate) fn fill(
    space: &Space,
    queries: &BucketQueries,
    shelf: &mut Shelf,
    amount: f64,
    params: &PolicyParams,
) -> Result<Vec<Taken>> {
    let n_queries = queries.images.len();
    let n_wanted = (amount / shelf.mean_cost()).ceil();
    let total: f64 = queries.weights.iter().sum();
    let heaviest = queries.weights.iter().copied().fold(0.0, f64::max);
    let mut filling = Filling {
        space,
        params,
        handicap: queries.weights.iter().map(|w| params.weight_influence * (1.0 - w / heaviest)).collect(),
        quota: queries.weights.iter().map(|w| (n_wanted * w / total).ceil().max(1.0) as usize).collect(),
        served: vec![0; n_queries],
        novelty: space.known.iter().map(|known| (*known, 0)).collect(),
        edges: Edges { start: Vec::new(), pairs: Vec::new() },
    };
    let units = unit_rows(queries.embeddings.view());
    let n_open = shelf.open().iter().filter(|open| **open).count();
    let mut depth = (MAX_PAIRS / n_queries.max(1)).max(4 * n_wanted as usize).clamp(1, n_open.max(1));
    let (mut left, mut taken) = (amount, Vec::new());
    loop {
        filling.edges = Edges::find(space, units.view(), depth, shelf)?;
        filling.drain(shelf, &mut left, &mut taken);
        if depth >= n_open || left <= 0.0 {
            return Ok(taken);
        }
        depth = (2 * depth).min(n_open);
    }
}

impl Edges {
    /// The `depth` open candidates nearest to each query.
    fn find(space: &Space, units: ArrayView2<'_, f32>, depth: usize, shelf: &Shelf) -> Result<Self> {
        let found = space.pool.search(units, depth, Some(&RowFilter::from(shelf.open())))?;
        let mut start = vec![0usize; shelf.open().len() + 1];
        found.ids.iter().for_each(|row| start[*row as usize + 1] += 1);
        for row in 1..start.len() {
            start[row] += start[row - 1];
        }
        let mut next = start.clone();
        let mut pairs = vec![(0, 0.0); found.ids.len()];
        for ((query, j), row) in found.ids.indexed_iter() {
            let slot = &mut next[*row as usize];
            pairs[*slot] = (query, f64::from(found.scores[[query, j]]));
            *slot += 1;
        }
        Ok(Self { start, pairs })
    }

    fn of(&self, row: usize) -> &[(usize, f64)] {
        &self.pairs[self.start[row]..self.start[row + 1]]
    }
}

impl Filling<'_> {
    /// Takes every row that has an edge and fits, best first, as long as the amount lasts.
    fn drain(&mut self, shelf: &mut Shelf, left: &mut f64, taken: &mut Vec<Taken>) {
        let near: Vec<usize> =
            (0..shelf.open().len()).filter(|row| !self.edges.of(*row).is_empty()).collect();
        let start: Vec<(usize, f64)> =
            near.into_iter().filter_map(|row| Some((row, self.value(row, shelf)?.0))).collect();
        let mut queue = FallingQueue::new(start);
        loop {
            let value = |row| {
                let fits = shelf.may_take(row, *left);
                if fits { self.value(row, shelf).map(|(value, ..)| value) } else { None }
            };
            let Some((row, gain)) = queue.pop(value) else {
                return;
            };
            let Some((_, query, cosine)) = self.value(row, shelf) else {
                return;
            };
            shelf.take(row);
            self.served[query] += 1;
            *left -= shelf.cost(row);
            taken.push(Taken { row, score: cosine, gain, query: Some((query, 1.0 - cosine)) });
        }
    }

    /// A row's value as of now, with the query it resembles and the cosine to it.
    fn value(&mut self, row: usize, shelf: &Shelf) -> Option<(f64, usize, f64)> {
        let (lambda, query_penalty) = (self.params.mmr_lambda, self.params.query_penalty);
        let mut best: Option<(f64, usize, f64)> = None;
        for (query, cosine) in self.edges.of(row) {
            let over = (self.served[*query] + 1).saturating_sub(self.quota[*query]) as f64;
            let worth = lambda * (cosine - self.handicap[*query]) - query_penalty * over;
            if best.is_none_or(|(most, ..)| worth > most) {
                best = Some((worth, *query, *cosine));
            }
        }
        let (worth, query, cosine) = best?;
        let familiarity = self.familiarity(row, &shelf.taken);
        let crowd = self.params.group_penalty * shelf.taken_of_group(row) as f64;
        Some((worth - (1.0 - lambda) * familiarity - crowd, query, cosine))
    }

    /// Highest cosine to anything labelled or taken. Compares with what was taken since the last time only.
    fn familiarity(&mut self, row: usize, taken: &[usize]) -> f64 {
        let (mut highest, seen) = self.novelty[row];
        for other in &taken[seen..] {
            highest = highest.max(self.space.cosine(row, *other));
        }
        self.novelty[row] = (highest, taken.len());
        highest
    }
}
