use serde::{Deserialize, Serialize};

use super::methods;
use super::methods::{IsolationParams, KMeansPlusPlusParams, KMeansSelectParams, KMedoidsSelectParams};
use super::{
    FacilityLocationParams, KCenterParams, KernelHerdingParams, MaxHerdingParams, Objective, ProbCoverParams,
    RandomParams, Setting, UniquenessParams,
};
use crate::{OutlierParams, ParamError, RepresentativenessParams, Result, TypiClustParams, ZCoreParams};

/// Every method that rows can be selected by, each with its parameters.
///
/// In a configuration a method is its name and, beside it, its parameters: `{"method": "zcore", "n_draws": 5000}`.
///
/// ```
/// use labelloop_coreset::select::Method;
///
/// assert_eq!(Method::from_name("k-center")?.name(), "k-center");
/// let all = Method::names().join(", ");
/// assert!(Method::from_name("best").unwrap_err().to_string().ends_with(&all));
/// # Ok::<(), labelloop_coreset::ParamError>(())
/// ```
// To add a method:
// 1. write its objective in `methods/`, one file: `XParams` (Default, serde with `default, deny_unknown_fields`) with
//    `pub(crate) fn check(&self) -> Result<(), ParamError>` and
//    `pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>>`; name it in
//    `methods/mod.rs` and re-export its parameters in `select/mod.rs`;
// 2. add its variant below, and its line to `defaults`, `name`, `check` and `start`;
// 3. add its line to the table of the crate's README and to docs/CLI.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// Rows that represent all others best: [`FacilityLocationParams`].
    FacilityLocation(FacilityLocationParams),
    /// Farthest first: [`KCenterParams`].
    KCenter(KCenterParams),
    /// Picks whose mean follows that of all rows: [`KernelHerdingParams`].
    KernelHerding(KernelHerdingParams),
    /// Soft coverage by a Gaussian kernel: [`MaxHerdingParams`].
    MaxHerding(MaxHerdingParams),
    /// The most rows within a radius: [`ProbCoverParams`].
    ProbCover(ProbCoverParams),
    /// By chance: [`RandomParams`].
    Random(RandomParams),
    /// Uniqueness as FiftyOne Brain defines it, among rows and labelled rows: [`UniquenessParams`].
    Uniqueness(UniquenessParams),
    /// ZCore given what is labelled: [`ZCoreParams`], whose seed is that of the selection. The gain is the raw score;
    /// with weights, its height above the lowest times the weight.
    Zcore(ZCoreParams),
    /// How alone a row is, on a scale that one outlier cannot spoil: [`IsolationParams`].
    Isolation(IsolationParams),
    /// The row nearest to each of k means: [`KMeansSelectParams`].
    KMeans(KMeansSelectParams),
    /// Drawn by squared distance to what is known: [`KMeansPlusPlusParams`].
    KMeansPlusPlus(KMeansPlusPlusParams),
    /// The medoids of k clusters: [`KMedoidsSelectParams`].
    KMedoids(KMedoidsSelectParams),
    /// The farthest out, among rows and labelled rows: [`OutlierParams`].
    Outlier(OutlierParams),
    /// The nearest to the middle of clusters of rows and labelled rows: [`RepresentativenessParams`].
    Representativeness(RepresentativenessParams),
    /// The most typical row of the largest cluster without labels: [`TypiClustParams`].
    Typiclust(TypiClustParams),
}

impl Method {
    /// A method by its name, with default parameters.
    ///
    /// # Errors
    /// [`ParamError::UnknownMethod`], which lists the names there are.
    pub fn from_name(name: &str) -> Result<Self, ParamError> {
        Self::defaults().into_iter().find(|method| method.name() == name).ok_or_else(|| {
            ParamError::UnknownMethod { found: name.to_owned(), expected: Self::names().join(", ") }
        })
    }

    /// The names of all methods, in the order of the alphabet.
    pub fn names() -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Self::defaults().iter().map(Method::name).collect();
        names.sort_unstable();
        names
    }

    /// The name, as in configurations and on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Method::FacilityLocation(_) => "facility-location",
            Method::KCenter(_) => "k-center",
            Method::KernelHerding(_) => "kernel-herding",
            Method::MaxHerding(_) => "max-herding",
            Method::ProbCover(_) => "prob-cover",
            Method::Random(_) => "random",
            Method::Uniqueness(_) => "uniqueness",
            Method::Zcore(_) => "zcore",
            Method::Isolation(_) => "isolation",
            Method::KMeans(_) => "k-means",
            Method::KMeansPlusPlus(_) => "k-means-plus-plus",
            Method::KMedoids(_) => "k-medoids",
            Method::Outlier(_) => "outlier",
            Method::Representativeness(_) => "representativeness",
            Method::Typiclust(_) => "typiclust",
        }
    }

    /// Every method with its default parameters.
    fn defaults() -> Vec<Self> {
        vec![
            Method::FacilityLocation(FacilityLocationParams::default()),
            Method::KCenter(KCenterParams::default()),
            Method::KernelHerding(KernelHerdingParams::default()),
            Method::MaxHerding(MaxHerdingParams::default()),
            Method::ProbCover(ProbCoverParams::default()),
            Method::Random(RandomParams::default()),
            Method::Uniqueness(UniquenessParams::default()),
            Method::Zcore(ZCoreParams::default()),
            Method::Isolation(IsolationParams::default()),
            Method::KMeans(KMeansSelectParams::default()),
            Method::KMeansPlusPlus(KMeansPlusPlusParams::default()),
            Method::KMedoids(KMedoidsSelectParams::default()),
            Method::Outlier(OutlierParams::default()),
            Method::Representativeness(RepresentativenessParams::default()),
            Method::Typiclust(TypiClustParams::default()),
        ]
    }

    /// Checks the method's parameters.
    ///
    /// # Errors
    /// [`ParamError`] for the first one at fault.
    pub fn check(&self) -> Result<(), ParamError> {
        match self {
            Method::KCenter(_) | Method::Random(_) | Method::Uniqueness(_) => Ok(()),
            Method::FacilityLocation(params) => params.check(),
            Method::KernelHerding(params) => params.check(),
            Method::MaxHerding(params) => params.check(),
            Method::ProbCover(params) => params.check(),
            Method::Zcore(params) => params.check().map(|_| ()),
            Method::Isolation(_) => Ok(()),
            Method::KMeans(params) => params.check(),
            Method::KMeansPlusPlus(_) => Ok(()),
            Method::KMedoids(params) => params.check(),
            Method::Outlier(params) => params.check().map(|_| ()),
            Method::Representativeness(params) => params.check(),
            Method::Typiclust(params) => params.check(),
        }
    }

    /// Starts the method on rows; `seed` is the selection's own, for parameters that hold a seed.
    pub(crate) fn start<'a>(&self, setting: &Setting<'a>, seed: u64) -> Result<Box<dyn Objective + 'a>> {
        match self {
            Method::FacilityLocation(params) => params.start(setting),
            Method::KCenter(params) => params.start(setting),
            Method::KernelHerding(params) => params.start(setting),
            Method::MaxHerding(params) => params.start(setting),
            Method::ProbCover(params) => params.start(setting),
            Method::Random(params) => params.start(setting),
            Method::Uniqueness(params) => params.start(setting),
            Method::Zcore(params) => methods::zcore::start(params, setting, seed),
            Method::Isolation(params) => params.start(setting),
            Method::KMeans(params) => params.start(setting),
            Method::KMeansPlusPlus(params) => params.start(setting),
            Method::KMedoids(params) => params.start(setting),
            Method::Outlier(params) => params.start(setting),
            Method::Representativeness(params) => params.start(setting),
            Method::Typiclust(params) => params.start(setting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_configurations() {
        for name in Method::names() {
            let method = Method::from_name(name).unwrap();
            assert!(method.check().is_ok());
            let json = serde_json::to_value(&method).unwrap();
            assert_eq!(json["method"], name);
            assert_eq!(serde_json::from_value::<Method>(json).unwrap(), method);
        }
    }

    #[test]
    fn parameters_of_methods_are_checked() {
        let none = Method::Zcore(ZCoreParams { n_draws: 0, ..Default::default() });
        assert_eq!(none.check(), Err(ParamError::NoDraws));
    }
}
