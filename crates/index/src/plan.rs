use serde::{Deserialize, Serialize};

use crate::{HnswParams, cost};

/// How neighbours are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Whichever [`plan`] takes to be faster.
    #[default]
    Auto,
    /// Every row is looked at; the answer is exact.
    Exact,
    /// Along a graph; the answer is approximate.
    Hnsw,
}

/// What is to be searched, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Rows of the pool.
    pub n_rows: usize,
    /// Length of each row.
    pub n_dims: usize,
    /// Queries over the life of the index.
    pub n_queries: usize,
    /// Neighbours of each query.
    pub k: usize,
    /// Whether the graph is there already, so that building it costs nothing.
    pub is_built: bool,
}

/// Which method is faster for a workload, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`Method::Exact`] or [`Method::Hnsw`].
    pub method: Method,
    /// CPU seconds that the exact scan takes, roughly.
    pub exact_seconds: f64,
    /// CPU seconds that the graph takes, roughly, its building included where it is not there yet.
    pub hnsw_seconds: f64,
    /// Why, as a sentence.
    pub reason: String,
}

/// The faster method for one batch of queries, the building of the graph included.
///
/// One batch hardly ever repays a graph: building it costs as much as many thousands of exact queries. Costs are those
/// measured on one core with AVX2 (see `docs/benchmarks.md`); they decide how long an answer takes, and whether it is exact,
/// so the method chosen depends on the workload alone and never on the machine.
///
/// ```
/// use labelloop_index::{Method, plan};
///
/// let batch = plan(100_000, 128, 1_000, 10);
/// assert_eq!(batch.method, Method::Exact);
/// let service = plan(1_000_000, 768, 100_000_000, 10);
/// assert_eq!(service.method, Method::Hnsw);
/// assert!(service.hnsw_seconds < service.exact_seconds);
/// ```
pub fn plan(n_rows: usize, n_dims: usize, n_queries: usize, k: usize) -> Plan {
    Workload { n_rows, n_dims, n_queries, k, is_built: false }.plan(&HnswParams::default())
}

impl Workload {
    /// The faster method, with a graph of these parameters.
    ///
    /// ```
    /// use labelloop_index::{HnswParams, Method, Workload};
    ///
    /// let work = Workload { n_rows: 1_000_000, n_dims: 128, n_queries: 1_000, k: 10, is_built: true };
    /// assert_eq!(work.plan(&HnswParams::default()).method, Method::Hnsw);
    /// ```
    pub fn plan(&self, params: &HnswParams) -> Plan {
        let Self { n_rows, n_dims, n_queries, k, is_built } = *self;
        let k = k.min(n_rows);
        let exact = cost::exact_query(n_rows, n_dims);
        let hnsw = cost::hnsw_query(params.search_beam.max(k), params.n_links, n_dims, n_rows);
        let build = if is_built { 0.0 } else { cost::hnsw_build(n_rows, params, n_dims) };
        let (exact_seconds, hnsw_seconds) = (n_queries as f64 * exact, build + n_queries as f64 * hnsw);
        let method = if exact_seconds <= hnsw_seconds { Method::Exact } else { Method::Hnsw };
        let reason = match method {
            Method::Hnsw if is_built => {
                "a query along the graph is cheaper than a scan of all rows".to_owned()
            }
            Method::Hnsw => format!("{n_queries} queries repay the building of a graph"),
            _ if exact <= hnsw => "a scan of so few rows is cheaper than a walk along a graph".to_owned(),
            _ => {
                let even = (build / (exact - hnsw)).ceil();
                format!("a graph would pay from {even} queries, and there are {n_queries}")
            }
        };
        Plan { method, exact_seconds, hnsw_seconds, reason }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_to_do_is_done_exactly() {
        for (n_rows, n_queries, k) in [(0, 10, 5), (1000, 0, 5), (1000, 10, 0), (0, 0, 0)] {
            assert_eq!(plan(n_rows, 16, n_queries, k).method, Method::Exact);
        }
    }

    #[test]
    fn the_reason_names_the_break_even() {
        let reason = plan(1_000_000, 128, 10, 10).reason;
        assert!(
            reason.starts_with("a graph would pay from ") && reason.ends_with("there are 10"),
            "{reason}"
        );
    }

    #[test]
    fn a_graph_that_is_there_pays_sooner() {
        let work = Workload { n_rows: 1_000_000, n_dims: 128, n_queries: 1, k: 10, is_built: true };
        assert_eq!(work.plan(&HnswParams::default()).method, Method::Hnsw);
        assert_eq!(Workload { is_built: false, ..work }.plan(&HnswParams::default()).method, Method::Exact);
    }

    #[test]
    fn names_are_snake_case() {
        assert_eq!(serde_json::to_string(&Method::Hnsw).unwrap(), "\"hnsw\"");
        assert_eq!(serde_json::from_str::<Method>("\"auto\"").unwrap(), Method::default());
    }

    proptest! {
        #[test]
        fn more_queries_never_speak_against_the_graph(
            n_rows in 0usize..10_000_000, n_dims in 1usize..4096, n_queries in 0usize..1_000_000, k in 0usize..200,
        ) {
            let (few, many) = (plan(n_rows, n_dims, n_queries, k), plan(n_rows, n_dims, 10 * n_queries, k));
            prop_assert!(few.method == Method::Exact || many.method == Method::Hnsw);
            prop_assert!(few.exact_seconds.is_finite() && few.hnsw_seconds.is_finite());
            prop_assert!(few.method != Method::Auto);
        }
    }
}
