use std::collections::BTreeMap;

use labelloop_core::{Seed, Silent};
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Partial, PartialError, Shard};
use crate::checks::check_width;
use crate::select::{Candidates, Pick, SelectParams, SelectValidParams, Selection};
use crate::{CoresetError, Result};

/// GreeDi (Mirzasoleiman, Karbasi, Sarkar and Krause, NIPS 2013): a greedy method chooses from each part of the rows, and
/// again from what it chose.
///
/// Rows are dealt to `n_parts` parts by a hash of the row's number, and not by where they happen to lie: shards are made of
/// whole parts ([`part_of`](Self::part_of) is what an engine shuffles by), so one machine, two or seven give the same bytes.
/// Another number of parts is another selection.
///
/// What is promised depends on the method. For k-center the largest distance of a row to its nearest pick is at most 4 times
/// the best possible for any parts (farthest-first in both stages; Malkomes et al., NIPS 2015). For a monotone submodular
/// objective the better of the final picks and the best part's own picks has, as rows fall into parts by chance, on average at
/// least half of `1 - 1/e` of the best possible (Barbosa, Ene, Nguyen and Ward, ICML 2015). The final picks are what comes
/// back; the second stage of methods that sum over the pool sees candidates and not the pool.
///
/// ```
/// use labelloop_coreset::partial::{GreediParams, Partial, Shard};
/// use labelloop_coreset::select::SelectParams;
/// use ndarray::Array2;
///
/// let rows = Array2::from_shape_fn((100, 2), |(i, j)| ((i * 7 + j * 29) % 31) as f32);
/// let params = GreediParams { n_parts: 4, ..GreediParams::new(SelectParams::default(), 5) };
/// let mut greedi = params.start(2, 100)?;
/// greedi.observe(Shard::new(rows.view(), 0)?)?; // all four parts lie here
/// let selection = greedi.finish()?;
/// assert_eq!(selection.picks.len(), 5);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GreediParams {
    /// The greedy method, for both stages.
    pub select: SelectParams,
    /// Picks of each part and of the whole.
    pub k: usize,
    /// Parts; 64 by default.
    pub n_parts: u32,
    /// What rows are dealt by; 42 by default.
    pub seed: u64,
}

/// What a greedy method chose from each part.
#[derive(Debug, Clone, PartialEq)]
pub struct Greedi {
    pub(super) params: GreediParams,
    pub(super) n_columns: usize,
    pub(super) n_rows: u32,
    pub(super) labelled: Array2<f32>,
    pub(super) parts: BTreeMap<u32, Chosen>,
}

/// The choice from one part: rows in the order of picking, and their values one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    /// Rows of the part.
    pub(super) n_rows: u32,
    pub(super) rows: Vec<u32>,
    pub(super) values: Vec<f32>,
}

impl GreediParams {
    /// 64 parts and seed 42.
    pub fn new(select: SelectParams, k: usize) -> Self {
        Self { select, k, n_parts: 64, seed: 42 }
    }

    /// The part of a row.
    pub fn part_of(&self, row: u32) -> u32 {
        Seed::new(self.seed).stream("greedi-part").below(u64::from(row), self.n_parts as usize) as u32
    }

    /// The order, before any rows: of that many columns, numbered from 0 to `n_rows - 1`.
    ///
    /// # Errors
    /// [`PartialError::NoParts`] and [`CoresetError::Param`].
    pub fn start(&self, n_columns: usize, n_rows: u32) -> Result<Greedi> {
        self.start_given(n_columns, n_rows, Array2::zeros((0, n_columns)).view())
    }

    /// The order given rows that are labelled already, which go out to all shards with it.
    ///
    /// # Errors
    /// Those of [`start`](Self::start), and [`CoresetError::DimensionMismatch`].
    pub fn start_given(
        &self,
        n_columns: usize,
        n_rows: u32,
        labelled: ArrayView2<'_, f32>,
    ) -> Result<Greedi> {
        self.select.check()?;
        if self.n_parts == 0 {
            return Err(PartialError::NoParts.into());
        }
        check_width(labelled, n_columns, "labelled")?;
        let labelled = labelled.as_standard_layout().into_owned();
        Ok(Greedi { params: self.clone(), n_columns, n_rows, labelled, parts: BTreeMap::new() })
    }
}

impl Greedi {
    /// The parameters.
    pub fn params(&self) -> &GreediParams {
        &self.params
    }

    /// Rows chosen from each part so far, in the order of picking.
    pub fn chosen(&self) -> impl Iterator<Item = (u32, &[u32])> {
        self.parts.iter().map(|(part, chosen)| (*part, chosen.rows.as_slice()))
    }

    /// Chooses from one part: positions in the shard, in ascending order of their rows' numbers.
    fn choose(&self, valid: &SelectValidParams, shard: &Shard<'_>, positions: &[usize]) -> Result<Chosen> {
        let rows = shard.rows().select(Axis(0), positions);
        let picks = self.select(valid, rows.view())?.picks;
        let at = picks.iter().map(|pick| positions[pick.row]);
        Ok(Chosen {
            n_rows: positions.len() as u32,
            rows: at.map(|at| shard.id(at)).collect(),
            values: picks.iter().flat_map(|pick| rows.row(pick.row).to_vec()).collect(),
        })
    }

    fn select(&self, valid: &SelectValidParams, rows: ArrayView2<'_, f32>) -> Result<Selection> {
        let candidates = Candidates::new(rows)?.given(self.labelled.view())?;
        valid.select(&candidates, self.params.k, &Silent)
    }

    fn expect_new(&self, parts: impl IntoIterator<Item = u32>) -> Result<()> {
        match parts.into_iter().find(|part| self.parts.contains_key(part)) {
            Some(part) => Err(PartialError::PartTwice { part }.into()),
            None => Ok(()),
        }
    }

    /// Refuses parts of which rows are missing or came twice.
    fn expect_whole(&self) -> Result<()> {
        let mut expected: BTreeMap<u32, u32> = BTreeMap::new();
        for row in 0..self.n_rows {
            *expected.entry(self.params.part_of(row)).or_default() += 1;
        }
        for (part, expected) in expected {
            let found = self.parts.get(&part).map_or(0, |chosen| chosen.n_rows);
            if found != expected {
                return Err(PartialError::PartRows { part, found, expected }.into());
            }
        }
        Ok(())
    }
}

impl Partial for Greedi {
    /// Rows of whole parts; the parts themselves may lie in any order.
    type Input<'a> = Shard<'a>;
    /// Picks by their numbers in the whole.
    type Output = Selection;

    fn observe(&mut self, shard: Shard<'_>) -> Result<()> {
        shard.expect_columns(self.n_columns)?;
        let order = shard.ascending();
        let mut positions: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for i in 0..shard.n_rows() {
            let at = order.as_ref().map_or(i, |order| order[i]);
            let row = shard.id(at);
            if row >= self.n_rows {
                let (found, expected) = (u64::from(row), u64::from(self.n_rows).saturating_sub(1));
                return Err(PartialError::RowNumber { found, expected }.into());
            }
            positions.entry(self.params.part_of(row)).or_default().push(at);
        }
        self.expect_new(positions.keys().copied())?;
        let valid = self.params.select.check()?;
        let chosen: Result<Vec<(u32, Chosen)>> = positions
            .into_par_iter()
            .map(|(part, positions)| Ok((part, self.choose(&valid, &shard, &positions)?)))
            .collect();
        self.parts.extend(chosen?);
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        let is_like = self.params == other.params
            && (self.n_columns, self.n_rows) == (other.n_columns, other.n_rows)
            && self.labelled == other.labelled;
        if !is_like {
            return Err(PartialError::Incompatible { what: "parameters or rows" }.into());
        }
        self.expect_new(other.parts.keys().copied())?;
        self.parts.extend(other.parts);
        Ok(())
    }

    fn finish(self) -> Result<Selection> {
        self.expect_whole()?;
        let mut candidates: Vec<(u32, &[f32])> = self
            .parts
            .values()
            .flat_map(|chosen| {
                chosen.rows.iter().copied().zip(chosen.values.chunks_exact(self.n_columns.max(1)))
            })
            .collect();
        candidates.sort_unstable_by_key(|candidate| candidate.0);
        let values: Vec<f32> = candidates.iter().flat_map(|(_, values)| values.iter().copied()).collect();
        let wrong = CoresetError::LengthMismatch {
            what: "values of candidates",
            found: values.len(),
            expected: candidates.len() * self.n_columns,
        };
        let rows = Array2::from_shape_vec((candidates.len(), self.n_columns), values).map_err(|_| wrong)?;
        let mut selection = self.select(&self.params.select.check()?, rows.view())?;
        let number = |pick: Pick| Pick { row: candidates[pick.row].0 as usize, ..pick };
        selection.picks = selection.picks.into_iter().map(number).collect();
        Ok(selection)
    }
}
