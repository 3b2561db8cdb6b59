//! A round of ZCore by shards, whichever it is.

use std::path::Path;

use anyhow::Context;
use labelloop_coreset::partial::wire::{Wire, kind_of};
use labelloop_coreset::partial::{
    ColumnCounts, Partial, PartialError, RowsSeen, Shard, ZCoreNeighbours, ZCoreWinners,
};
use labelloop_coreset::{CoresetError, Result, ZCoreScores, ZCoreValidParams};

use super::pipe;

/// What shards said in a round, or its order before they did.
pub(super) enum Round {
    Counts(ColumnCounts),
    Winners(ZCoreWinners),
    Neighbours(ZCoreNeighbours),
}

/// What comes after a round.
pub(super) enum After {
    Next(Round),
    Scores(ZCoreScores),
}

impl Round {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
        Self::from_bytes(&bytes).with_context(|| path.display().to_string())
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let kind = kind_of(bytes)?;
        match kind.as_str() {
            ColumnCounts::KIND => ColumnCounts::from_bytes(bytes).map(Self::Counts),
            ZCoreWinners::KIND => ZCoreWinners::from_bytes(bytes).map(Self::Winners),
            ZCoreNeighbours::KIND => ZCoreNeighbours::from_bytes(bytes).map(Self::Neighbours),
            _ => {
                let reason = format!("it is one of {kind}");
                Err(PartialError::Unreadable { kind: "a round of zcore", reason }.into())
            }
        }
    }

    /// Writes the bytes; to `-` as a line of base64.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<usize> {
        let bytes = match self {
            Self::Counts(round) => round.to_bytes(),
            Self::Winners(round) => round.to_bytes(),
            Self::Neighbours(round) => round.to_bytes(),
        }?;
        if pipe::is_standard(path) {
            pipe::write_line(&bytes)?;
        } else {
            std::fs::write(path, &bytes).with_context(|| format!("{}: cannot be written", path.display()))?;
        }
        Ok(bytes.len())
    }

    pub(super) fn observe(&mut self, shard: Shard<'_>) -> Result<()> {
        match self {
            Self::Counts(round) => round.observe(shard),
            Self::Winners(round) => round.observe(shard),
            Self::Neighbours(round) => round.observe(shard),
        }
    }

    pub(super) fn merge(&mut self, other: Self) -> Result<()> {
        match (self, other) {
            (Self::Counts(a), Self::Counts(b)) => a.merge(b),
            (Self::Winners(a), Self::Winners(b)) => a.merge(b),
            (Self::Neighbours(a), Self::Neighbours(b)) => a.merge(b),
            _ => Err(CoresetError::from(PartialError::Incompatible { what: "kind" })),
        }
    }

    /// Closes the round.
    pub(super) fn finish(
        self,
        median_rounds: u32,
        n_labelled: u32,
        params: &ZCoreValidParams,
    ) -> Result<After> {
        match self {
            Self::Counts(counts) => {
                let next = if counts.round() < median_rounds { counts.next_round()? } else { None };
                let next = match next {
                    Some(next) => Self::Counts(next),
                    None => Self::Winners(ZCoreWinners::new(params, &counts.finish()?, n_labelled)?),
                };
                Ok(After::Next(next))
            }
            Self::Winners(winners) => winners.finish().map(|next| After::Next(Self::Neighbours(next))),
            Self::Neighbours(neighbours) => neighbours.finish().map(After::Scores),
        }
    }

    pub(super) fn seen(&self) -> RowsSeen {
        match self {
            Self::Counts(round) => round.seen(),
            Self::Winners(round) => round.seen(),
            Self::Neighbours(round) => round.seen(),
        }
    }

    /// What people call it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Counts(round) => format!("columns {} of 3", round.round()),
            Self::Winners(_) => "winners".to_owned(),
            Self::Neighbours(_) => "neighbours".to_owned(),
        }
    }
}
