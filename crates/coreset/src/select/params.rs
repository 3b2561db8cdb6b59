use labelloop_core::{Progress, Seed, Silent};
use labelloop_index::Metric;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::engine::Run;
use super::gate::Gate;
use super::mixture::{Balance, Term, check_strength, joined};
use super::{Candidates, Ended, Method, Selection, Setting};
use crate::{CoresetError, ParamError, Result};

/// A method and how much it counts beside others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weighted {
    /// The method with its parameters.
    #[serde(flatten)]
    pub method: Method,
    /// How much it counts; 1 by default, negative to avoid what it seeks, never 0.
    #[serde(default = "one")]
    pub strength: f64,
}

fn one() -> f64 {
    1.0
}

/// How the best row of a step is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Search {
    /// Among all rows, lazily where gains only fall.
    #[default]
    Exact,
    /// Among `ceil(rows / k * ln(1 / epsilon))` rows drawn anew for each step (Mirzasoleiman et al. 2015): for a
    /// monotone submodular objective at least `1 - 1/e - epsilon` of the best possible on average, with
    /// `rows * ln(1 / epsilon)` evaluations whatever k is.
    Stochastic {
        /// Between 0 and 1; smaller is closer to the exact choice.
        epsilon: f64,
    },
}

/// What to pick by, and what a selection has to keep to.
///
/// ```
/// use labelloop_coreset::select::{Candidates, Ended, Method, SelectParams};
/// use ndarray::array;
///
/// let rows = array![[0.0], [0.1], [5.0], [9.0]];
/// let labelled = array![[9.1]];
/// let candidates = Candidates::new(rows.view())?.given(labelled.view())?;
/// let params = SelectParams { min_distance: Some(0.5), ..SelectParams::by(Method::from_name("k-center")?) };
/// let found = params.select(&candidates, 4)?;
/// assert_eq!(found.rows(), [0, 2]);
/// assert_eq!(found.ended, Ended::MinDistance);
/// assert!(found.picks[1].reason.to_string().contains("from labelled row 0"));
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelectParams {
    /// The objectives, at least one; k-center by default. Exactly one of positive strength is that method and nothing
    /// else, whatever its strength.
    pub objectives: Vec<Weighted>,
    /// How gains of several objectives are brought to one scale; each step by default.
    pub balance: Balance,
    /// How the best row of a step is searched for; exactly by default.
    pub search: Search,
    /// Most picks from one group; no limit by default. Labelled rows count where their groups are known.
    pub per_group: Option<usize>,
    /// Least distance of a pick to all other picks and labelled rows, in f64; none by default.
    pub min_distance: Option<f64>,
    /// What distance is, for all methods and for `min_distance`: Euclidean (L2, the default), or `1 - cosine`, under which
    /// methods see rows scaled to unit length.
    pub metric: Metric,
    /// Where all draws come from; 42 by default. It takes the place of a seed that a method's own parameters hold.
    pub seed: u64,
}

impl Default for SelectParams {
    fn default() -> Self {
        Self {
            objectives: vec![Weighted {
                method: Method::KCenter(super::KCenterParams::default()),
                strength: 1.0,
            }],
            balance: Balance::default(),
            search: Search::default(),
            per_group: None,
            min_distance: None,
            metric: Metric::L2,
            seed: 42,
        }
    }
}

/// [`SelectParams`] that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectValidParams(SelectParams);

impl SelectParams {
    /// One method, and all else by default.
    pub fn by(method: Method) -> Self {
        Self { objectives: vec![Weighted { method, strength: 1.0 }], ..Self::default() }
    }

    /// Checks every parameter, those of the methods included.
    ///
    /// # Errors
    /// [`ParamError`] for the first one at fault.
    pub fn check(&self) -> Result<SelectValidParams, ParamError> {
        if self.objectives.is_empty() {
            return Err(ParamError::NoObjectives);
        }
        for Weighted { method, strength } in &self.objectives {
            check_strength(*strength)?;
            method.check()?;
        }
        if self.per_group == Some(0) {
            return Err(ParamError::NoQuota);
        }
        if let Some(found) = self.min_distance.filter(|d| !(0.0 <= *d && d.is_finite())) {
            return Err(ParamError::MinDistance { found });
        }
        if let Search::Stochastic { epsilon } = self.search
            && !(0.0 < epsilon && epsilon < 1.0)
        {
            return Err(ParamError::Epsilon { found: epsilon });
        }
        if self.metric == Metric::Dot {
            return Err(ParamError::NotADistance);
        }
        Ok(SelectValidParams(self.clone()))
    }

    /// [`SelectValidParams::select`] after a check.
    ///
    /// # Errors
    /// Those of the check and of the verb.
    pub fn select(&self, candidates: &Candidates<'_>, k: usize) -> Result<Selection> {
        self.check()?.select(candidates, k, &Silent)
    }
}

impl SelectValidParams {
    /// The parameters.
    pub fn params(&self) -> &SelectParams {
        &self.0
    }

    /// Picks up to `k` rows, one after the other.
    ///
    /// In every step the row of the highest gain among those that may be picked, ties by lower row. The same bytes with
    /// any number of threads. No rows and a `k` of 0 give no picks; where `k` exceeds what may be picked, all of it
    /// comes back and [`Selection::ended`] says why there is no more.
    ///
    /// # Errors
    /// [`CoresetError::NoGroups`] for a quota without groups, [`CoresetError::ZeroVector`] under cosine, what a method
    /// refuses, and [`CoresetError::Cancelled`].
    pub fn select(
        &self,
        candidates: &Candidates<'_>,
        k: usize,
        progress: &dyn Progress,
    ) -> Result<Selection> {
        if let Some(nothing) = self.nothing(candidates, k)? {
            return Ok(nothing);
        }
        let (rows, labelled) = candidates.prepared(self.0.metric)?;
        let setting = self.setting(candidates, (rows.view(), labelled.view()), k, progress);
        let start = |(i, weighted): (usize, &Weighted)| {
            let name = weighted.method.name();
            let seed = setting.seed.stream(name);
            let seed = if i == 0 { seed } else { seed.stream(&i.to_string()) };
            let objective = weighted.method.start(&Setting { seed, ..setting.clone() }, self.0.seed)?;
            Ok(Term { name: name.to_owned(), strength: weighted.strength, objective })
        };
        let terms: Result<Vec<Term<'_>>> = self.0.objectives.iter().enumerate().map(start).collect();
        self.run(candidates, &setting, k, terms?)
    }

    /// Picks by objectives that the caller brings, in place of those named in the parameters.
    ///
    /// # Errors
    /// [`ParamError::NoObjectives`], and as [`select`](Self::select).
    pub fn select_by(
        &self,
        candidates: &Candidates<'_>,
        k: usize,
        terms: Vec<Term<'_>>,
        progress: &dyn Progress,
    ) -> Result<Selection> {
        if terms.is_empty() {
            return Err(ParamError::NoObjectives.into());
        }
        if let Some(nothing) = self.nothing(candidates, k)? {
            return Ok(nothing);
        }
        let (rows, labelled) = candidates.prepared(self.0.metric)?;
        let setting = self.setting(candidates, (rows.view(), labelled.view()), k, progress);
        self.run(candidates, &setting, k, terms)
    }

    /// The answer where there is nothing to choose from or nothing to choose.
    fn nothing(&self, candidates: &Candidates<'_>, k: usize) -> Result<Option<Selection>> {
        if self.0.per_group.is_some() && candidates.groups().is_none() {
            return Err(CoresetError::NoGroups);
        }
        let ended = match (candidates.n_rows(), k) {
            (_, 0) => Ended::Full,
            (0, _) => Ended::RowsExhausted,
            _ => return Ok(None),
        };
        Ok(Some(Selection { picks: Vec::new(), ended }))
    }

    fn setting<'a>(
        &self,
        candidates: &'a Candidates<'_>,
        (rows, labelled): (ArrayView2<'a, f32>, ArrayView2<'a, f32>),
        k: usize,
        progress: &'a dyn Progress,
    ) -> Setting<'a> {
        let (weights, k, seed) = (candidates.weights(), k.min(candidates.n_rows()), Seed::new(self.0.seed));
        Setting { rows, labelled, weights, k, metric: self.0.metric, seed, progress }
    }

    fn run<'a>(
        &self,
        candidates: &'a Candidates<'_>,
        setting: &Setting<'a>,
        k: usize,
        terms: Vec<Term<'a>>,
    ) -> Result<Selection> {
        let SelectParams { metric, per_group, min_distance, balance, search, .. } = self.0;
        let n_rows = candidates.n_rows();
        let objective = joined(terms, balance, n_rows);
        let gate = Gate::new(candidates, metric, per_group, min_distance);
        let picks = Vec::with_capacity(setting.k);
        let run = Run { gate, objective, n_rows, k, picks, progress: setting.progress };
        match search {
            Search::Exact => run.exact(),
            Search::Stochastic { epsilon } => {
                let sample = (n_rows as f64 / setting.k as f64 * (1.0 / epsilon).ln()).ceil() as usize;
                run.stochastic(sample.max(1), setting.seed.stream("stochastic"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut SelectParams)) -> ParamError {
        let mut params = SelectParams::default();
        change(&mut params);
        params.check().unwrap_err()
    }

    #[test]
    fn defaults_are_as_documented() {
        let p = SelectParams::default();
        assert_eq!((p.objectives.len(), p.objectives[0].method.name()), (1, "k-center"));
        assert_eq!((p.balance, p.search), (Balance::EachStep, Search::Exact));
        assert_eq!((p.per_group, p.min_distance, p.metric, p.seed), (None, None, Metric::L2, 42));
        assert!(p.check().is_ok());
    }

    #[test]
    fn parameters_are_checked_one_by_one() {
        assert_eq!(refused(|p| p.objectives.clear()), ParamError::NoObjectives);
        assert!(matches!(refused(|p| p.objectives[0].strength = f64::NAN), ParamError::Strength { .. }));
        assert_eq!(refused(|p| p.per_group = Some(0)), ParamError::NoQuota);
        assert!(matches!(refused(|p| p.min_distance = Some(f64::NAN)), ParamError::MinDistance { .. }));
        assert_eq!(refused(|p| p.min_distance = Some(-1.0)), ParamError::MinDistance { found: -1.0 });
        let epsilon = |epsilon| refused(|p| p.search = Search::Stochastic { epsilon });
        assert_eq!(epsilon(0.0), ParamError::Epsilon { found: 0.0 });
        assert_eq!(epsilon(1.0), ParamError::Epsilon { found: 1.0 });
        assert_eq!(refused(|p| p.metric = Metric::Dot), ParamError::NotADistance);
    }

    #[test]
    fn a_configuration_names_methods_with_their_parameters() {
        let text =
            r#"{"objectives": [{"method": "zcore", "n_draws": 50, "strength": 2.0}, {"method": "random"}]}"#;
        let params: SelectParams = serde_json::from_str(text).unwrap();
        assert_eq!(params.objectives[0].strength, 2.0);
        assert!(matches!(&params.objectives[0].method, Method::Zcore(p) if p.n_draws == 50));
        assert_eq!((params.objectives[1].method.name(), params.objectives[1].strength), ("random", 1.0));
        let again: SelectParams = serde_json::from_str(&serde_json::to_string(&params).unwrap()).unwrap();
        assert_eq!(again, params);
        assert!(
            serde_json::from_str::<SelectParams>(r#"{"objectives": [{"method": "zcore", "draws": 1}]}"#)
                .is_err()
        );
        assert!(serde_json::from_str::<SelectParams>(r#"{"objectives": [{"method": "best"}]}"#).is_err());
    }
}
