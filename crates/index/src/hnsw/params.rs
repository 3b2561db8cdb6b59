use labelloop_core::{Progress, Silent};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::HnswIndex;
use crate::{Metric, Result};

/// Links of a node above the lowest layer that can be asked for.
const MAX_LINKS: usize = 512;
/// Widest beam that can be asked for.
const MAX_BEAM: usize = 100_000;

/// How an [`HnswIndex`] is built.
///
/// ```
/// use labelloop_index::{HnswParams, Metric};
/// use ndarray::array;
///
/// let pool = array![[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]];
/// let index = HnswParams::default().build(pool.view(), Metric::Cosine)?;
/// assert_eq!(index.search(array![[0.0, 2.0]].view(), 2, None)?.ids, array![[2, 1]]);
/// # Ok::<(), labelloop_index::IndexError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HnswParams {
    /// Links that a node asks for on each layer (M of the paper); 16 by default. Twice as many are kept on the lowest
    /// layer.
    pub n_links: usize,
    /// Candidates among which links are chosen (efConstruction); 200 by default.
    pub build_beam: usize,
    /// Candidates that a search keeps (ef); 64 by default, and never fewer than the neighbours asked for.
    pub search_beam: usize,
    /// Where the heights of nodes come from; 42 by default.
    pub seed: u64,
}

impl Default for HnswParams {
    fn default() -> Self {
        Self { n_links: 16, build_beam: 200, search_beam: 64, seed: 42 }
    }
}

/// A parameter of [`HnswParams`] that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HnswParamError {
    /// Too few or too many links.
    #[error("n_links is {found}: expected 2 to {MAX_LINKS}")]
    Links {
        /// The number found.
        found: usize,
    },
    /// Too narrow or too wide a beam of the build.
    #[error("build_beam is {found}: expected {at_least} to {MAX_BEAM}")]
    BuildBeam {
        /// The number found.
        found: usize,
        /// The number of links, below which a beam cannot fill them.
        at_least: usize,
    },
    /// Too narrow or too wide a beam of a search.
    #[error("search_beam is {found}: expected 1 to {MAX_BEAM}")]
    SearchBeam {
        /// The number found.
        found: usize,
    },
}

/// [`HnswParams`] that were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HnswValidParams(HnswParams);

impl HnswParams {
    /// Checks every parameter.
    ///
    /// # Errors
    /// [`HnswParamError`] for the first one at fault.
    pub fn check(&self) -> Result<HnswValidParams, HnswParamError> {
        if !(2..=MAX_LINKS).contains(&self.n_links) {
            return Err(HnswParamError::Links { found: self.n_links });
        }
        if !(self.n_links..=MAX_BEAM).contains(&self.build_beam) {
            return Err(HnswParamError::BuildBeam { found: self.build_beam, at_least: self.n_links });
        }
        check_search_beam(self.search_beam)?;
        Ok(HnswValidParams(self.clone()))
    }

    /// [`HnswValidParams::build`] after a check.
    ///
    /// # Errors
    /// Those of the check and of the verb.
    pub fn build(&self, pool: ArrayView2<'_, f32>, metric: Metric) -> Result<HnswIndex> {
        self.check()?.build(pool, metric, &Silent)
    }
}

impl HnswValidParams {
    /// The parameters.
    pub fn params(&self) -> &HnswParams {
        &self.0
    }

    /// Builds the graph over the rows of `pool` (shape: rows x dimensions) and audits it.
    ///
    /// Rows enter in their order, in batches of fixed size that are worked on in parallel; the same rows, metric and
    /// parameters give the same graph on any number of threads and on any machine. About
    /// O(rows x `build_beam` x `n_links` x dimensions) time; memory is the rows, half as much again for their codes, and
    /// `8 n_links + 20` bytes a row or so.
    ///
    /// # Errors
    /// Those of [`ExactIndex::new`](crate::ExactIndex::new), and [`IndexError::Cancelled`](crate::IndexError::Cancelled).
    pub fn build(
        &self,
        pool: ArrayView2<'_, f32>,
        metric: Metric,
        progress: &dyn Progress,
    ) -> Result<HnswIndex> {
        HnswIndex::build(pool, metric, &self.0, progress)
    }
}

/// The check of the one parameter that can be changed later.
pub(super) fn check_search_beam(found: usize) -> Result<(), HnswParamError> {
    if (1..=MAX_BEAM).contains(&found) {
        return Ok(());
    }
    Err(HnswParamError::SearchBeam { found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_documented() {
        let HnswParams { n_links, build_beam, search_beam, seed } = HnswParams::default();
        assert_eq!((n_links, build_beam, search_beam, seed), (16, 200, 64, 42));
        assert!(HnswParams::default().check().is_ok());
    }

    #[test]
    fn links_must_be_in_range() {
        for found in [0, 1, 513] {
            let params = HnswParams { n_links: found, build_beam: 600, ..HnswParams::default() };
            assert_eq!(params.check().unwrap_err(), HnswParamError::Links { found });
        }
    }

    #[test]
    fn the_beam_of_the_build_must_fill_the_links() {
        let params = HnswParams { build_beam: 15, ..HnswParams::default() };
        assert_eq!(params.check().unwrap_err().to_string(), "build_beam is 15: expected 16 to 100000",);
    }

    #[test]
    fn the_beam_of_a_search_must_hold_something() {
        for found in [0, 100_001] {
            let params = HnswParams { search_beam: found, ..HnswParams::default() };
            assert_eq!(params.check().unwrap_err(), HnswParamError::SearchBeam { found });
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<HnswParams>("{\"m\": 3}").is_err());
        let params: HnswParams = serde_json::from_str("{\"n_links\": 8}").unwrap();
        assert_eq!(params, HnswParams { n_links: 8, ..HnswParams::default() });
    }
}
