use std::fmt;

use labelloop_core::SampleId;
use serde::{Deserialize, Serialize};

use crate::{Budget, PolicyParams};

/// Why a sample is in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// It covers a part of the pool that nothing labelled covers.
    Coverage,
    /// It resembles an image with missed objects.
    Missed,
    /// It resembles an image with false alarms.
    FalseAlarm,
    /// It resembles an image with confused classes.
    Confusion,
    /// By chance, as a baseline.
    Random,
}

impl Bucket {
    /// The buckets of the policy, in the order in which they are filled.
    pub const POLICY: [Bucket; 4] = [Bucket::Coverage, Bucket::Missed, Bucket::FalseAlarm, Bucket::Confusion];

    /// Name in files and tags.
    pub fn as_str(self) -> &'static str {
        match self {
            Bucket::Coverage => "coverage",
            Bucket::Missed => "missed",
            Bucket::FalseAlarm => "false_alarm",
            Bucket::Confusion => "confusion",
            Bucket::Random => "random",
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One sample of a batch and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pick {
    /// The sample.
    pub id: SampleId,
    /// Why it is here.
    pub bucket: Bucket,
    /// What scored it: `zcore`, `zcore_given_labelled`, `mmr_cosine` or `random`.
    pub scorer: String,
    /// The scorer's raw score: ZCore's gains less losses, the cosine to the failing image, or the random number.
    pub score: f64,
    /// The value it was chosen on, after penalties and novelty.
    pub gain: f64,
    /// Position in the batch, from 1.
    pub rank: u32,
    /// The failing image that it resembles.
    pub query: Option<SampleId>,
    /// `1 - cosine` to that image.
    pub distance: Option<f64>,
    /// What it takes of the budget.
    pub cost: f64,
    /// Seed of the policy.
    pub seed: u64,
}

/// How full a bucket is, in the unit of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BucketFill {
    /// The bucket.
    pub bucket: Bucket,
    /// What its share entitles it to.
    pub asked: f64,
    /// What it had after carry-over.
    pub granted: f64,
    /// What its picks take.
    pub reached: f64,
    /// How many samples that is.
    pub n_picks: usize,
}

/// Why a budget went elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackReason {
    /// There are no failures of this kind.
    NoQueries,
    /// No candidate was left that the bucket may take or could pay.
    NoCandidates,
}

/// Why a bucket is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnderfillReason {
    /// Every group left has reached `max_per_group`.
    GroupCap,
}

impl fmt::Display for UnderfillReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every group left has reached max_per_group")
    }
}

/// What a person should know about a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// The budget was more than the pool holds.
    BudgetClamped {
        /// The budget.
        asked: f64,
        /// What the pool holds.
        reached: f64,
    },
    /// A bucket's budget went to another.
    Fallback {
        /// The bucket that could not use it.
        bucket: Bucket,
        /// The bucket that got it.
        to: Bucket,
        /// How much.
        amount: f64,
        /// Why.
        reason: FallbackReason,
    },
    /// A bucket is not full.
    Underfilled {
        /// The bucket.
        bucket: Bucket,
        /// What it lacks.
        missing: f64,
        /// Why.
        reason: UnderfillReason,
    },
    /// Cost that no candidate left is cheap enough for.
    Unspent {
        /// How much.
        amount: f64,
    },
    /// Coverage is below its floor, on purpose.
    CoverageFloorOverridden {
        /// The share.
        coverage: f64,
        /// The reason given.
        reason: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::BudgetClamped { asked, reached } => {
                write!(f, "budget is {asked}, the pool holds {reached}: taking {reached}")
            }
            Notice::Fallback { bucket, to, amount, reason } => {
                let why = match reason {
                    FallbackReason::NoQueries => "there are no failures of its kind",
                    FallbackReason::NoCandidates => "no candidate was left for it",
                };
                write!(f, "{amount} of bucket {bucket} went to {to}: {why}")
            }
            Notice::Underfilled { bucket, missing, reason } => {
                write!(f, "bucket {bucket} lacks {missing}: {reason}")
            }
            Notice::Unspent { amount } => write!(f, "{amount} is left and buys no further candidate"),
            Notice::CoverageFloorOverridden { coverage, reason } => {
                write!(f, "coverage is {coverage}, below its floor: {reason}")
            }
        }
    }
}

/// A batch: what to label next and why, ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchPlan {
    /// The samples, in rank order: coverage first, then the targeted buckets.
    pub picks: Vec<Pick>,
    /// What a person should know.
    pub notices: Vec<Notice>,
    /// How full each bucket is.
    pub fills: Vec<BucketFill>,
    /// The budget asked for.
    pub budget: Budget,
    /// The policy, to plan it again; none for a random batch.
    pub policy: Option<PolicyParams>,
}

impl BatchPlan {
    /// The samples in rank order.
    pub fn ids(&self) -> impl Iterator<Item = &SampleId> {
        self.picks.iter().map(|pick| &pick.id)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.picks.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.picks.is_empty()
    }

    /// Picks of one bucket, in rank order.
    pub fn of(&self, bucket: Bucket) -> impl Iterator<Item = &Pick> {
        self.picks.iter().filter(move |pick| pick.bucket == bucket)
    }
}
