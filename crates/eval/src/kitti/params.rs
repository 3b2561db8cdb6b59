use serde::{Deserialize, Serialize};

use super::filter::BoxFilter;
use super::input::DONT_CARE;
use crate::error::check_share;
use crate::{EvalError, Result};

/// What precision is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Metric {
    /// Boxes in the picture.
    #[serde(rename = "bbox")]
    Bbox,
    /// Cuboids seen from above.
    #[serde(rename = "bev")]
    Bev,
    /// Cuboids.
    #[serde(rename = "3d")]
    Cuboid,
    /// Boxes in the picture, each counted by how well its angle fits.
    #[serde(rename = "aos")]
    Aos,
}

impl Metric {
    /// All of them, in KITTI's order.
    pub const ALL: [Self; 4] = [Self::Bbox, Self::Bev, Self::Cuboid, Self::Aos];

    /// `bbox`, `bev`, `3d` or `aos`.
    ///
    /// ```
    /// use labelloop_eval::kitti::Metric;
    ///
    /// assert_eq!(Metric::ALL.map(Metric::name), ["bbox", "bev", "3d", "aos"]);
    /// ```
    pub fn name(self) -> &'static str {
        ["bbox", "bev", "3d", "aos"][self as usize]
    }

    /// Which overlap it goes by.
    pub(super) fn overlap(self) -> usize {
        match self {
            Self::Bbox | Self::Aos => 0,
            Self::Bev => 1,
            Self::Cuboid => 2,
        }
    }
}

/// A class that is evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KittiClass {
    /// Its name.
    pub name: String,
    /// Classes that look so much like it that finding them counts neither way.
    #[serde(default)]
    pub neighbours: Vec<String>,
    /// Overlap of boxes, bird's-eye views and cuboids that a detection must exceed.
    pub min_overlap: [f64; 3],
}

impl KittiClass {
    /// A class with its neighbours and overlaps.
    pub fn new(name: impl Into<String>, neighbours: &[&str], min_overlap: [f64; 3]) -> Self {
        let neighbours = neighbours.iter().map(|n| (*n).to_owned()).collect();
        Self { name: name.into(), neighbours, min_overlap }
    }
}

/// What is evaluated, and how strictly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KittiParams {
    /// Classes. Default: Car with its neighbour Van above .7, Pedestrian with Person_sitting and Cyclist above .5.
    pub classes: Vec<KittiClass>,
    /// What makes labels and detections count at a difficulty. Default: KITTI's rules.
    pub filter: BoxFilter,
    /// Share of a class's labels or detections that the filter may remove at every difficulty without a warning.
    /// Default: .9.
    pub warn_share: f64,
}

impl Default for KittiParams {
    fn default() -> Self {
        Self::of([[0.7; 3], [0.5; 3], [0.5; 3]])
    }
}

/// Parameters that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct KittiValidParams(KittiParams);

impl KittiParams {
    /// The lower overlaps that papers quote beside the official ones: Car .7, .5, .5 for boxes, bird's-eye views and
    /// cuboids, Pedestrian and Cyclist .5, .25, .25.
    ///
    /// ```
    /// use labelloop_eval::kitti::KittiParams;
    ///
    /// assert_eq!(KittiParams::loose().classes[0].min_overlap, [0.7, 0.5, 0.5]);
    /// ```
    pub fn loose() -> Self {
        Self::of([[0.7, 0.5, 0.5], [0.5, 0.25, 0.25], [0.5, 0.25, 0.25]])
    }

    fn of([car, pedestrian, cyclist]: [[f64; 3]; 3]) -> Self {
        let classes = vec![
            KittiClass::new("Car", &["Van"], car),
            KittiClass::new("Pedestrian", &["Person_sitting"], pedestrian),
            KittiClass::new("Cyclist", &[], cyclist),
        ];
        Self { classes, filter: BoxFilter::Official, warn_share: 0.9 }
    }

    /// # Errors
    /// [`EvalError::EmptyParam`] without a class; [`EvalError::InvalidClass`] for a name that is empty, `DontCare`, or
    /// used twice, or a class that is its own neighbour; [`EvalError::InvalidParam`] unless overlaps are at least 0 and
    /// below 1 and `warn_share` is from 0 to 1.
    pub fn check(self) -> Result<KittiValidParams> {
        if self.classes.is_empty() {
            return Err(EvalError::EmptyParam { name: "classes" });
        }
        check_share("warn_share", self.warn_share)?;
        for (i, class) in self.classes.iter().enumerate() {
            let refuse = |expected| Err(EvalError::InvalidClass { found: class.name.clone(), expected });
            if class.name.is_empty() || class.name.eq_ignore_ascii_case(DONT_CARE) {
                return refuse("a name other than DontCare");
            }
            if self.classes[..i].iter().any(|other| other.name.eq_ignore_ascii_case(&class.name)) {
                return refuse("distinct names");
            }
            if class.neighbours.iter().any(|n| n.eq_ignore_ascii_case(&class.name)) {
                return refuse("neighbours other than itself");
            }
            for found in class.min_overlap {
                if !(0.0..1.0).contains(&found) {
                    let expected = "a number from 0 to below 1";
                    return Err(EvalError::InvalidParam { name: "min_overlap", found, expected });
                }
            }
        }
        Ok(KittiValidParams(self))
    }
}

impl KittiValidParams {
    /// The parameters.
    pub fn get(&self) -> &KittiParams {
        &self.0
    }

    /// The parameters, to be changed and checked again.
    pub(super) fn into_inner(self) -> KittiParams {
        self.0
    }

    /// The number of a class.
    pub(super) fn class(&self, name: &str) -> Result<usize> {
        let known = || self.0.classes.iter().map(|c| c.name.clone()).collect();
        let place = self.0.classes.iter().position(|c| c.name.eq_ignore_ascii_case(name));
        place.ok_or_else(|| EvalError::UnknownClass { found: name.to_owned(), known: known() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_documented() {
        let params = KittiParams::default();
        let names: Vec<&str> = params.classes.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["Car", "Pedestrian", "Cyclist"]);
        assert_eq!(params.classes[0].neighbours, ["Van"]);
        assert_eq!(params.classes[1].neighbours, ["Person_sitting"]);
        assert!(params.classes[2].neighbours.is_empty());
        let overlaps: Vec<[f64; 3]> = params.classes.iter().map(|c| c.min_overlap).collect();
        assert_eq!(overlaps, [[0.7; 3], [0.5; 3], [0.5; 3]]);
        assert_eq!((params.filter, params.warn_share), (BoxFilter::Official, 0.9));
        let loose: Vec<[f64; 3]> = KittiParams::loose().classes.iter().map(|c| c.min_overlap).collect();
        assert_eq!(loose, [[0.7, 0.5, 0.5], [0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]);
    }

    #[test]
    fn overlaps_outside_their_range_are_refused() {
        for bad in [f64::NAN, -0.1, 1.0, f64::INFINITY] {
            let mut params = KittiParams::default();
            params.classes[1].min_overlap[2] = bad;
            assert!(
                matches!(params.check(), Err(EvalError::InvalidParam { name: "min_overlap", .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn shares_outside_their_range_are_refused() {
        for bad in [f64::NAN, -0.1, 1.1] {
            assert!(KittiParams { warn_share: bad, ..KittiParams::default() }.check().is_err(), "{bad}");
        }
    }

    #[test]
    fn classes_that_cannot_be_told_apart_are_refused() {
        let with = |class| KittiParams {
            classes: vec![KittiClass::new("Car", &[], [0.5; 3]), class],
            ..KittiParams::default()
        };
        for bad in [
            KittiClass::new("car", &[], [0.5; 3]),
            KittiClass::new("dontcare", &[], [0.5; 3]),
            KittiClass::new("", &[], [0.5; 3]),
            KittiClass::new("Truck", &["TRUCK"], [0.5; 3]),
        ] {
            assert!(matches!(with(bad).check(), Err(EvalError::InvalidClass { .. })));
        }
        assert!(with(KittiClass::new("Truck", &["Car"], [0.5; 3])).check().is_ok());
        let none = KittiParams { classes: Vec::new(), ..KittiParams::default() };
        assert_eq!(none.check(), Err(EvalError::EmptyParam { name: "classes" }));
    }

    #[test]
    fn classes_are_found_by_name() {
        let params = KittiParams::default().check().unwrap();
        assert_eq!(params.class("CYCLIST"), Ok(2));
        let said = params.class("Tram").unwrap_err().to_string();
        assert_eq!(
            said,
            r#"class "Tram" is not evaluated: expected one of ["Car", "Pedestrian", "Cyclist"]"#
        );
    }

    #[test]
    fn a_file_may_name_what_differs() {
        let params: KittiParams = serde_json::from_str(r#"{ "filter": "none" }"#).unwrap();
        assert_eq!(params, KittiParams { filter: BoxFilter::None, ..KittiParams::default() });
        assert!(serde_json::from_str::<KittiParams>(r#"{ "minimum": 1 }"#).is_err());
    }
}
