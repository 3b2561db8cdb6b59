//! Beyond one machine: results of shards that merge to the bits of the whole.
//!
//! A [`Partial`] looks at one shard, merges with the partials of other shards in any order and any tree, and finishes as the
//! value that one process would have computed over all rows: not close to it, but the same bits. An engine such as Spark, Ray
//! or DataFusion moves shards and partials; what it needs of this crate is in the trait.
//!
//! | partial | rounds | result |
//! |---|---|---|
//! | [`ColumnCounts`] | 3, or fewer with a bound | [`ColumnTable`]: minimum, median, maximum of each column |
//! | [`ZCoreWinners`], then [`ZCoreNeighbours`] | 1 each | [`ZCoreScores`](crate::ZCoreScores) |
//! | [`NeighbourLists`] | 1 | k nearest rows of each query |
//! | [`TopRows`] | 1 | the k rows with the highest scores |
//! | [`Greedi`] | 1, over whole parts | GreeDi: a greedy method over what it chose from each part |
//!
//! A partial that has seen nothing is also the order for its round: it is what goes out to the workers, and what comes back is
//! the same type with rows in it. With feature `arrow` each partial is also an Arrow record batch and bytes of the Arrow IPC format
//! (module `wire`), and with feature `datafusion` an aggregate function of SQL (module `datafusion`).
//!
//! ```
//! use labelloop_coreset::ZCoreParams;
//! use labelloop_coreset::partial::{ColumnCounts, Partial, Shard, ZCoreWinners, over};
//! use ndarray::{Array2, Axis};
//!
//! let rows = Array2::from_shape_fn((90, 5), |(i, j)| ((i * 37 + j * 11) % 64) as f32);
//! let params = ZCoreParams { n_draws: 50, ..Default::default() };
//!
//! // Two shards; `over` stands for the engine.
//! let (head, tail) = rows.view().split_at(Axis(0), 30);
//! let shards = [Shard::new(head, 0)?, Shard::new(tail, 30)?];
//! let mut counts = ColumnCounts::new(5);
//! let table = loop {
//!     counts = over(&counts, &shards)?;
//!     match counts.next_round()? {
//!         Some(next) => counts = next,
//!         None => break counts.finish()?,
//!     }
//! };
//! let winners = over(&ZCoreWinners::new(&params.check()?, &table, 0)?, &shards)?.finish()?;
//! let scores = over(&winners, &shards)?.finish()?;
//! assert_eq!(scores, params.score(rows.view())?);
//! # Ok::<(), labelloop_coreset::CoresetError>(())
//! ```

mod columns;
#[cfg(feature = "datafusion")]
pub mod datafusion;
mod error;
mod greedi;
mod neighbours;
mod search;
mod shard;
mod top;
#[cfg(feature = "arrow")]
pub mod wire;
mod zcore;
mod zcore_neighbours;

pub use columns::{ColumnCounts, ColumnTable};
pub use error::PartialError;
pub use greedi::{Greedi, GreediParams};
pub use neighbours::NeighbourLists;
pub use shard::{RowsSeen, Shard};
pub use top::TopRows;
pub use zcore::ZCoreWinners;
pub use zcore_neighbours::ZCoreNeighbours;

use crate::Result;

/// A result of some shards that merges with those of other shards.
///
/// Merging is associative and commutative, a partial that has seen nothing changes nothing, and observing two shards one after
/// the other is the same as merging what was observed of each: any partitioning, order and tree gives the same bits. An error
/// leaves the partial as it was.
pub trait Partial: Sized {
    /// What one shard gives to look at.
    type Input<'a>;
    /// What all shards come to.
    type Output;

    /// Looks at a shard.
    ///
    /// # Errors
    /// [`CoresetError`](crate::CoresetError) for rows that do not fit.
    fn observe(&mut self, input: Self::Input<'_>) -> Result<()>;

    /// Takes in what another partial of the same round saw.
    ///
    /// # Errors
    /// [`PartialError::Incompatible`] for one of another run or round.
    fn merge(&mut self, other: Self) -> Result<()>;

    /// The result, once all shards are merged.
    ///
    /// # Errors
    /// [`PartialError::Rows`] where the rows seen are not those of the rounds before.
    fn finish(self) -> Result<Self::Output>;
}

/// One round over shards in this process: what an engine does on many machines.
///
/// # Errors
/// Those of [`Partial::observe`].
pub fn over<'a, P>(round: &P, shards: &[Shard<'a>]) -> Result<P>
where
    P: Partial<Input<'a> = Shard<'a>> + Clone,
{
    let mut merged = round.clone();
    for shard in shards {
        let mut one = round.clone();
        one.observe(*shard)?;
        merged.merge(one)?;
    }
    Ok(merged)
}
