//! Agreement of any number of people.

mod fleiss;
mod team_agreement;
mod units;

pub use fleiss::fleiss_kappa;
pub use team_agreement::{Labelling, PairAgreement, TeamAgreement, TeamClass, team_agreement};
