use labelloop_core::Seed;
use serde::{Deserialize, Serialize};

use crate::ParamError;
use crate::params::in_range;

/// How the built-in detector for point clouds learns and detects. [`CloudDetectorParams::check`] turns it into
/// [`CloudDetectorValidParams`], which trains.
///
/// ```
/// use labelloop_train::CloudDetectorParams;
///
/// let indoors = CloudDetectorParams { max_range: 15.0, cluster_gaps: vec![0.1, 0.3], ..Default::default() };
/// assert!(indoors.check().is_ok());
/// assert!(CloudDetectorParams { cluster_gaps: vec![0.8, 0.4], ..Default::default() }.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloudDetectorParams {
    /// Points farther than this from the sensor along x or y are left out; metres, 1 to 500. Default 80.
    pub max_range: f64,
    /// Side of the cells in which the height of the ground is told; metres, 0.25 to 20. Default 2.
    pub ground_cell: f64,
    /// Points less than this above the ground belong to it; metres, 0.02 to 2. Default 0.25.
    pub clearance: f64,
    /// Points more than this above the ground are left out: branches, bridges; metres, 0.5 to 50. Default 4.5.
    pub max_height: f64,
    /// Points nearer to one another than this, seen from above, are one thing; one to four distances in metres, rising,
    /// 0.05 to 5. Each gives its own proposals, of which the better one stays. Default 0.2, 0.4
    /// and 0.8.
    pub cluster_gaps: Vec<f64>,
    /// Fewer points than this are no thing, 3 to 1000. Default 5.
    pub min_points: usize,
    /// Things whose extent along x or y is longer than this are walls; metres, 0.5 to 100. Default 20.
    pub max_side: f64,
    /// Number of random ReLU features, 16 to 2048. Default 256.
    pub n_random_features: usize,
    /// Strength of the ridge penalty, above 0. Default 30.
    pub lambda: f64,
    /// Weight of a cluster that is an object; background weighs 1, up to 1000. Default 4.
    pub object_weight: f64,
    /// Detections with a lower score are dropped. Default 0.05.
    pub score_floor: f64,
    /// Most detections per cloud. Default 200.
    pub max_detections: usize,
    /// Where the random features come from. Default 0.
    pub seed: Seed,
}

impl Default for CloudDetectorParams {
    fn default() -> Self {
        Self {
            max_range: 80.0,
            ground_cell: 2.0,
            clearance: 0.25,
            max_height: 4.5,
            cluster_gaps: vec![0.2, 0.4, 0.8],
            min_points: 5,
            max_side: 20.0,
            n_random_features: 256,
            lambda: 30.0,
            object_weight: 4.0,
            score_floor: 0.05,
            max_detections: 200,
            seed: Seed::new(0),
        }
    }
}

impl CloudDetectorParams {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ParamError::OutOfRange`] naming the first field at fault.
    pub fn check(&self) -> Result<CloudDetectorValidParams, ParamError> {
        in_range("max_range", self.max_range, 1.0, 500.0, "1 to 500 metres")?;
        in_range("ground_cell", self.ground_cell, 0.25, 20.0, "0.25 to 20 metres")?;
        in_range("clearance", self.clearance, 0.02, 2.0, "0.02 to 2 metres")?;
        in_range("max_height", self.max_height, 0.5, 50.0, "0.5 to 50 metres")?;
        let n_gaps = self.cluster_gaps.len() as f64;
        in_range("cluster_gaps", n_gaps, 1.0, 4.0, "one to four distances")?;
        let mut least = 0.05;
        for gap in &self.cluster_gaps {
            in_range("cluster_gaps", *gap, least, 5.0, "rising distances of 0.05 to 5 metres")?;
            least = gap * (1.0 + 1e-9);
        }
        in_range("min_points", self.min_points as f64, 3.0, 1000.0, "a number from 3 to 1000")?;
        in_range("max_side", self.max_side, 0.5, 100.0, "0.5 to 100 metres")?;
        let n = self.n_random_features as f64;
        in_range("n_random_features", n, 16.0, 2048.0, "a number from 16 to 2048")?;
        in_range("lambda", self.lambda, 1e-6, 1e12, "a number from 1e-6 to 1e12")?;
        in_range("object_weight", self.object_weight, 1e-3, 1000.0, "a number from 0.001 to 1000")?;
        in_range("score_floor", self.score_floor, 0.0, 1.0, "a number from 0 to 1")?;
        in_range("max_detections", self.max_detections as f64, 1.0, 1e6, "a number from 1 to 1e6")?;
        Ok(CloudDetectorValidParams(self.clone()))
    }
}

/// Parameters that passed [`CloudDetectorParams::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct CloudDetectorValidParams(CloudDetectorParams);

impl CloudDetectorValidParams {
    /// The checked values.
    pub fn get(&self) -> &CloudDetectorParams {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut CloudDetectorParams)) -> &'static str {
        let mut params = CloudDetectorParams::default();
        change(&mut params);
        match params.check() {
            Err(ParamError::OutOfRange { name, .. }) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_those_documented() {
        let d = CloudDetectorParams::default();
        assert_eq!((d.max_range, d.ground_cell, d.clearance, d.max_height), (80.0, 2.0, 0.25, 4.5));
        assert_eq!((d.cluster_gaps.as_slice(), d.min_points, d.max_side), (&[0.2, 0.4, 0.8][..], 5, 20.0));
        assert_eq!((d.n_random_features, d.lambda, d.object_weight), (256, 30.0, 4.0));
        assert_eq!((d.score_floor, d.max_detections, d.seed), (0.05, 200, Seed::new(0)));
        assert_eq!(d.check().unwrap().get(), &d);
    }

    #[test]
    fn ranges_out_of_range_are_refused() {
        for range in [0.0, f64::NAN, f64::INFINITY, -5.0] {
            assert_eq!(refused(|p| p.max_range = range), "max_range");
        }
    }

    #[test]
    fn grounds_out_of_range_are_refused() {
        assert_eq!(refused(|p| p.ground_cell = 0.0), "ground_cell");
        assert_eq!(refused(|p| p.clearance = f64::NAN), "clearance");
        assert_eq!(refused(|p| p.max_height = 0.0), "max_height");
    }

    #[test]
    fn gaps_that_do_not_rise_are_refused() {
        for gaps in
            [vec![], vec![0.0], vec![0.5, 0.5], vec![f64::NAN], vec![0.1, 0.2, 0.3, 0.4, 0.5], vec![9.0]]
        {
            assert_eq!(refused(|p| p.cluster_gaps = gaps), "cluster_gaps");
        }
    }

    #[test]
    fn cluster_sizes_out_of_range_are_refused() {
        assert_eq!(refused(|p| p.min_points = 2), "min_points");
        assert_eq!(refused(|p| p.max_side = f64::NAN), "max_side");
    }

    #[test]
    fn learners_out_of_range_are_refused() {
        assert_eq!(refused(|p| p.n_random_features = 15), "n_random_features");
        assert_eq!(refused(|p| p.lambda = 0.0), "lambda");
        assert_eq!(refused(|p| p.object_weight = f64::INFINITY), "object_weight");
    }

    #[test]
    fn detection_limits_out_of_range_are_refused() {
        assert_eq!(refused(|p| p.score_floor = f64::NAN), "score_floor");
        assert_eq!(refused(|p| p.max_detections = 0), "max_detections");
    }

    #[test]
    fn configuration_files_may_leave_out_but_not_invent_fields() {
        let p: CloudDetectorParams = serde_json::from_str(r#"{"max_range": 40, "seed": 7}"#).unwrap();
        assert_eq!(p, CloudDetectorParams { max_range: 40.0, seed: Seed::new(7), ..Default::default() });
        assert!(serde_json::from_str::<CloudDetectorParams>(r#"{"range": 4}"#).is_err());
    }
}
