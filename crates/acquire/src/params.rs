use labelloop_core::{CoreError, Share};
use labelloop_coreset::ZCoreParams;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::{BatchPlan, Budget, Candidates, Failures, ParamError, Result, plan_batch};

/// The share of every batch that goes to coverage unless a reason for less is on record.
pub const COVERAGE_FLOOR: f64 = 0.30;

/// Who gets the budget of a targeted bucket that has no failures to search with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CarryOver {
    /// The targeted buckets that have failures, by their shares; coverage where there are none.
    #[default]
    TargetedThenCoverage,
    /// Coverage.
    Coverage,
}

/// How a batch is put together.
///
/// ```
/// use labelloop_acquire::PolicyParams;
///
/// let policy: PolicyParams = serde_json::from_str(r#"{"max_per_group": 2}"#).unwrap();
/// assert!(policy.check().is_ok());
/// let greedy = PolicyParams { coverage: 0.1, missed: 0.55, ..Default::default() };
/// assert!(greedy.check().is_err()); // exploration is not optional ...
/// let noted = PolicyParams { coverage_floor_override: Some("rare class audit".into()), ..greedy };
/// assert!(noted.check().is_ok()); // ... unless someone says why
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyParams {
    /// Share of samples that cover the pool; 0.30 by default.
    pub coverage: f64,
    /// Share of samples like those with missed objects; 0.35 by default.
    pub missed: f64,
    /// Share of samples like those with false alarms; 0.21 by default.
    pub false_alarm: f64,
    /// Share of samples like those with confused classes; 0.14 by default.
    pub confusion: f64,
    /// Why coverage is below its floor; none by default.
    pub coverage_floor_override: Option<String>,
    /// Weight of resemblance to failures against novelty within targeted buckets; 0.5 by default, 1 for resemblance
    /// alone. Where the pool holds near copies of failing images, give groups or take less than 0.5: at 0.5 a second
    /// copy loses by familiarity exactly what it gains by resemblance.
    pub mmr_lambda: f64,
    /// What a sample loses for each sample of its group in the batch already; 0.25 by default, 0 for no such
    /// preference. In the unit of the bucket's values: normalised scores for coverage, weighted cosines for the rest.
    pub group_penalty: f64,
    /// What a sample loses for each sample that its failing image has beyond its quota; 0.1 by default.
    pub query_penalty: f64,
    /// What a sample loses where its failing image has the least weight possible; 0.1 by default, 0 for weights that
    /// set quotas only.
    pub weight_influence: f64,
    /// Most samples of a group in the batch; none by default. Where it keeps a bucket from being filled, a notice (or,
    /// under `strict`, an error) says so.
    pub max_per_group: Option<usize>,
    /// Who gets the budget of a targeted bucket without failures.
    pub carry_over: CarryOver,
    /// Whether a bucket that cannot be filled is an error; false by default.
    pub strict: bool,
    /// The coverage score; its `seed` is replaced by the policy's.
    pub zcore: ZCoreParams,
    /// Where chance comes from; 42 by default.
    pub seed: u64,
}

impl Default for PolicyParams {
    fn default() -> Self {
        Self {
            coverage: 0.30,
            missed: 0.35,
            false_alarm: 0.21,
            confusion: 0.14,
            coverage_floor_override: None,
            mmr_lambda: 0.5,
            group_penalty: 0.25,
            query_penalty: 0.1,
            weight_influence: 0.1,
            max_per_group: None,
            carry_over: CarryOver::TargetedThenCoverage,
            strict: false,
            zcore: ZCoreParams::default(),
            seed: 42,
        }
    }
}

/// [`PolicyParams`] that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyValidParams(PolicyParams);

impl PolicyParams {
    /// Checks every parameter.
    ///
    /// # Errors
    /// [`ParamError`] for the first one at fault.
    pub fn check(&self) -> Result<PolicyValidParams, ParamError> {
        let sum = self.shares()?.iter().map(|s| s.get()).sum::<f64>();
        if !((sum - 1.0).abs() <= 1e-9) {
            return Err(CoreError::ShareSum { found: sum }.into());
        }
        match &self.coverage_floor_override {
            Some(reason) if reason.trim().is_empty() => return Err(ParamError::BlankOverride),
            None if self.coverage < COVERAGE_FLOOR - 1e-12 => {
                return Err(ParamError::CoverageBelowFloor { found: self.coverage, floor: COVERAGE_FLOOR });
            }
            _ => {}
        }
        let numbers = [
            ("mmr_lambda", self.mmr_lambda, 1.0, "a number from 0 to 1"),
            ("group_penalty", self.group_penalty, f64::MAX, "a finite number of at least 0"),
            ("query_penalty", self.query_penalty, f64::MAX, "a finite number of at least 0"),
            ("weight_influence", self.weight_influence, f64::MAX, "a finite number of at least 0"),
        ];
        for (name, found, most, expected) in numbers {
            if !(0.0..=most).contains(&found) {
                return Err(ParamError::Number { name, found, expected });
            }
        }
        if self.max_per_group == Some(0) {
            return Err(ParamError::ZeroCap);
        }
        self.zcore.check()?;
        Ok(PolicyValidParams(self.clone()))
    }

    /// [`plan_batch`] after a check.
    ///
    /// # Errors
    /// Those of the check and of the verb.
    pub fn plan(
        &self,
        candidates: &Candidates<'_>,
        labelled: ArrayView2<'_, f32>,
        failures: &Failures<'_>,
        budget: Budget,
    ) -> Result<BatchPlan> {
        plan_batch(candidates, labelled, failures, budget, &self.check()?)
    }

    /// Shares of coverage, missed, false alarm and confusion.
    fn shares(&self) -> Result<[Share; 4], ParamError> {
        Ok([
            Share::new("coverage", self.coverage)?,
            Share::new("missed", self.missed)?,
            Share::new("false_alarm", self.false_alarm)?,
            Share::new("confusion", self.confusion)?,
        ])
    }
}

impl PolicyValidParams {
    /// The parameters.
    pub fn params(&self) -> &PolicyParams {
        &self.0
    }

    pub(crate) fn shares(&self) -> Result<[Share; 4], ParamError> {
        self.0.shares()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut PolicyParams)) -> String {
        let mut params = PolicyParams::default();
        change(&mut params);
        params.check().unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_as_documented() {
        let p = PolicyParams::default();
        assert_eq!((p.coverage, p.missed, p.false_alarm, p.confusion), (0.30, 0.35, 0.21, 0.14));
        assert_eq!(
            (p.mmr_lambda, p.group_penalty, p.query_penalty, p.weight_influence),
            (0.5, 0.25, 0.1, 0.1)
        );
        assert_eq!((p.max_per_group, p.strict, p.seed), (None, false, 42));
        assert_eq!((&p.coverage_floor_override, p.carry_over), (&None, CarryOver::TargetedThenCoverage));
        assert!(p.check().is_ok());
    }

    #[test]
    fn shares_must_be_shares_and_add_up() {
        assert_eq!(refused(|p| p.missed = -0.1), "missed is -0.1: expected a number from 0 to 1");
        assert!(refused(|p| p.confusion = f64::NAN).contains("confusion is NaN"));
        assert!(refused(|p| p.false_alarm = 0.5).contains("add up to"));
    }

    #[test]
    fn coverage_has_a_floor() {
        let low = |p: &mut PolicyParams| (p.coverage, p.missed) = (0.2, 0.45);
        assert_eq!(
            refused(low),
            "coverage is 0.2: expected at least 0.3, or a reason for less in coverage_floor_override"
        );
        assert!(refused(|p| p.coverage_floor_override = Some(" ".into())).contains("blank"));
    }

    #[test]
    fn numbers_have_ranges() {
        assert!(refused(|p| p.mmr_lambda = 1.5).contains("mmr_lambda is 1.5"));
        assert!(refused(|p| p.group_penalty = f64::NAN).contains("group_penalty"));
        assert!(refused(|p| p.query_penalty = -1.0).contains("query_penalty"));
        assert!(refused(|p| p.weight_influence = f64::INFINITY).contains("weight_influence"));
        assert!(refused(|p| p.max_per_group = Some(0)).contains("max_per_group"));
        assert!(refused(|p| p.zcore.n_draws = 0).contains("n_draws"));
    }

    #[test]
    fn a_config_cannot_hold_unknown_keys_and_survives_a_round_trip() {
        assert!(serde_json::from_str::<PolicyParams>(r#"{"covrage": 0.3}"#).is_err());
        let p = PolicyParams { max_per_group: Some(3), ..Default::default() };
        assert_eq!(serde_json::from_str::<PolicyParams>(&serde_json::to_string(&p).unwrap()).unwrap(), p);
    }
}
