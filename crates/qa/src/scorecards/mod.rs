//! How well does each person label, and is anybody worse than the rest?

mod cards;
mod compare;
mod display;
mod fdr;
mod params;
mod shares;
mod shrink;

pub use cards::{CardNote, Review, ScoreFigure, Scorecard, Scorecards, TeamFigure, scorecards};
pub use fdr::benjamini_hochberg;
pub use params::{ScorecardParams, ScorecardValidParams};
