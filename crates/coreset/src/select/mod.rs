//! One way to select rows by any method: what to choose from ([`Candidates`]), what to choose by and what to keep to
//! ([`SelectParams`]), and the picks with their reasons ([`Selection`]).
//!
//! Every method is an [`Objective`]: the worth of picking a row given what is picked and labelled. One engine takes, in
//! every step, the row of the highest gain among those that may be picked, so that all methods share what selections
//! need: conditioning on labelled rows, quotas per group, a minimum distance, weights, mixtures and reasons. What is
//! fixed is sorted once, what only falls is searched lazily, and all else is scanned; the result is the same.

mod balls;
mod candidates;
mod coverage;
mod engine;
mod gate;
mod method;
mod methods;
mod mixture;
mod objective;
mod params;
mod reason;
mod selection;
mod similarity;

pub use candidates::Candidates;
pub use method::Method;
pub use methods::{
    FacilityLocationParams, FixedScore, KCenterParams, KernelHerdingParams, MaxHerdingParams,
    ProbCoverParams, Radius, RandomParams, UniquenessParams,
};
pub use methods::{IsolationParams, KMeansPlusPlusParams, KMeansSelectParams, KMedoidsSelectParams};
pub use mixture::{Balance, Term};
pub use objective::{Gains, Objective, Setting};
pub use params::{Search, SelectParams, SelectValidParams, Weighted};
pub use reason::{Known, Reason, ReasonPart};
pub use selection::{Ended, Pick, Selection};
pub use similarity::Kernel;

#[cfg(test)]
mod tests;
