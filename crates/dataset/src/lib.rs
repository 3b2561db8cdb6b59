#![doc = include_str!("../README.md")]

mod base;
mod batch;
mod dataset;
mod diff;
mod disk;
mod doctor;
mod error;
mod fields;
mod import;
mod info;
mod labels;
mod lineage;
mod policy;
mod progress;
mod sample;
mod split;
mod status;
mod tag;
mod view;

#[cfg(test)]
mod testing;

pub use batch::{BatchReport, batch_view};
pub use dataset::{Dataset, GROUND_TRUTH, HUMAN_LABELS};
pub use diff::{
    AnswersDiff, DatasetDiff, HiddenCounts, Moved, NamesDiff, ObjectCounts, Presence, SampleField,
    ScoresDiff, TagDiff,
};
pub use disk::{
    Checkup, DatasetDir, FolderFinding, FolderFindingKind, Generation, GenerationInfo, LAYOUT_VERSION,
    LedgerEntry, TestAccess, Writer,
};
pub use doctor::{Finding, FindingKind};
pub use error::{ConflictReason, DatasetError, Result};
pub use import::{ImportReport, Quarantined};
pub use info::{GoldenRecord, StatusNote};
pub use policy::{BoxPolicy, BoxRule};
pub use progress::{BatchRow, Counts, ProgressRow, ProgressTable};
pub use sample::Sample;
pub use split::{
    AcrossPair, AuditItem, Cell, ClassRow, GroupSummary, GuardedSplit, Likeness, LooksLike, NearDuplicate,
    NearDuplicates, NearPolicy, ShareRow, SplitAudit, SplitCounts, SplitLeak, SplitParams, SplitParamsError,
    SplitReport, SplitValidParams, Unmet, assign_splits, audit_splits, connected_groups, merge_groups,
};
pub use status::Status;
pub use tag::{DERIVED_NAMESPACES, KNOWN_NAMESPACES, Tag};
pub use view::{Query, View, ViewKind};
