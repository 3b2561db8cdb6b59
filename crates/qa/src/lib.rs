#![doc = include_str!("../README.md")]

mod agreement;
mod ceiling;
mod chart;
pub mod checks;
mod error;
mod golden;
mod history;
mod honeypots;
mod matching;
mod neighbours;
mod objectlab;
mod plan;
mod scorecards;
mod skew;
mod suspicion;
mod team;
mod totals;
mod versions;

pub use agreement::{
    Agreement, AgreementParams, AgreementValidParams, ClassAgreement, agreement, cohens_kappa,
    krippendorffs_alpha,
};
pub use ceiling::{ClassCeiling, MapCeiling, NoiseCeiling, noise_ceiling, noise_ceiling_over};
pub use chart::{
    ChartKind, ChartLimit, ChartLimits, ChartParams, ChartPoint, ChartRow, ChartSignal, ChartValidParams,
    Direction, GoldenChart, PassReason, PassedOver, golden_chart,
};
pub use checks::{
    CheckParams, CheckValidParams, LabelIssue, UnexpectedClass, label_checks, unexpected_classes,
};
pub use error::{QaError, Result};
pub use golden::{
    Attribution, CuboidGoldenParams, CuboidGoldenValidParams, CuboidMargins, Design, Finding, GoldenImage,
    GoldenParams, GoldenReport, GoldenScan, GoldenValidParams, Margins, Note, Part, Round, ScanRound,
    Statistic, StatisticResult, Verdict, golden_check, golden_check_cuboids, label_digest, scan_digest,
};
pub use golden::{EarlierRounds, LEAST_ANSWERED, LEAST_COVERED, earlier_rounds, earlier_scan_rounds};
pub use history::{History, HistoryEntry, Upsert};
pub use honeypots::{
    HoneypotCandidate, HoneypotObjects, HoneypotParams, HoneypotPick, HoneypotReason, HoneypotValidParams,
    choose_honeypots, mix,
};
pub use matching::{Matching, match_boxes, match_cuboids};
pub use neighbours::{
    NeighbourObjects, NeighbourParams, NeighbourReport, NeighbourSuspect, NeighbourValidParams,
    neighbour_suspects,
};
pub use objectlab::{ImageQuality, ObjectLabParams, ObjectLabValidParams, label_quality};
pub use plan::{
    AnnotatorModel, AnnotatorValidModel, GoldenPlan, LabelDrift, PlanCell, PlanParams, PlanRow, PlanSource,
    PlanValidParams, estimate_annotator, golden_plan,
};
pub use scorecards::{
    CardNote, Review, ScoreFigure, Scorecard, ScorecardParams, ScorecardValidParams, Scorecards, TeamFigure,
    benjamini_hochberg, scorecards,
};
pub use skew::{ClassShift, ClassSkew, class_skew};
pub use suspicion::{ScoredImage, Suspect, SuspectKind, SuspicionParams, SuspicionValidParams, suspects};
pub use team::{Labelling, PairAgreement, TeamAgreement, TeamClass, fleiss_kappa, team_agreement};
pub use totals::{ClassTotal, LabelTotals};
pub use versions::{GoldenChanges, GoldenReference, GoldenVersion, GoldenVersions};
