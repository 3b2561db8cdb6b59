//! Partials as Arrow record batches and as bytes (feature `arrow`).
//!
//! A batch has one row for each column, draw, query or kept row; what the partial is and which version its layout has stand in
//! the schema's metadata under `labelloop.partial`, as JSON. Bytes are one Arrow IPC stream, which any Arrow library reads,
//! and 24 bytes after its end with length and checksum, which it passes over.
//!
//! ```
//! use labelloop_coreset::partial::wire::Wire;
//! use labelloop_coreset::partial::{Partial, TopRows};
//!
//! let mut top = TopRows::new(2);
//! top.observe((&[4, 9], &[0.5, 0.75]))?;
//! let bytes = top.to_bytes()?;
//! assert_eq!(TopRows::from_bytes(&bytes)?, top);
//! assert!(TopRows::from_bytes(&bytes[..bytes.len() - 1]).is_err());
//! # Ok::<(), labelloop_coreset::CoresetError>(())
//! ```

mod columns;
mod fields;
mod frame;
mod header;
mod lists;
mod zcore;

use arrow_array::RecordBatch;

pub use self::frame::seal;

use super::{Partial, PartialError};
use crate::Result;

/// Key of the schema's metadata that tells what a batch is.
pub const METADATA_KEY: &str = "labelloop.partial";
/// Version of the layouts.
pub const VERSION: &str = "1";

/// A partial that travels.
pub trait Wire: Partial {
    /// What the metadata calls it.
    const KIND: &'static str;

    /// The partial as a table.
    ///
    /// # Errors
    /// [`PartialError::Unreadable`] where Arrow refuses the table, which takes more than 2^31 rows.
    fn to_batch(&self) -> Result<RecordBatch>;

    /// The partial that a table holds.
    ///
    /// # Errors
    /// [`PartialError::Unreadable`], [`PartialError::Version`], [`PartialError::Field`] and parameter errors, for a table that
    /// this crate would not have written.
    fn from_batch(batch: &RecordBatch) -> Result<Self>;

    /// The partial as an Arrow IPC stream with length and checksum behind it: the same bytes for the same partial.
    ///
    /// # Errors
    /// Those of [`to_batch`](Self::to_batch).
    fn to_bytes(&self) -> Result<Vec<u8>> {
        frame::write(Self::KIND, &self.to_batch()?)
    }

    /// The partial that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// Those of [`from_batch`](Self::from_batch), for any bytes.
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_batch(&frame::read(Self::KIND, bytes)?)
    }
}

/// What kind of partial the bytes hold: [`Wire::KIND`] of whatever wrote them.
///
/// # Errors
/// [`PartialError::Unreadable`].
pub fn kind_of(bytes: &[u8]) -> Result<String> {
    header::kind_of(&frame::read("any kind", bytes)?)
}

fn unreadable(kind: &'static str, reason: impl ToString) -> PartialError {
    PartialError::Unreadable { kind, reason: reason.to_string() }
}
