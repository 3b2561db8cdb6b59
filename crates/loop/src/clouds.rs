//! What the loop records about point clouds: detections, scores and failures of the built-in detector of clouds.

use std::collections::BTreeMap;

use labelloop_core::{ClassIdx, Cuboid, SampleId, ScoredCuboid};
use serde::{Deserialize, Serialize};

/// What the model of an iteration found in the clouds of val.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudPredictions {
    /// Labelled clouds that the model was trained on.
    pub n_scans: usize,
    /// Labelled cuboids in them.
    pub n_cuboids: usize,
    /// Digest of the weights.
    pub model_digest: String,
    /// Found cuboids by cloud, the best first.
    pub val: BTreeMap<SampleId, Vec<ScoredCuboid>>,
}

/// Scores on the clouds of val. A number that does not exist is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudEvaluation {
    /// Iteration of the model.
    pub iteration: u32,
    /// Labelled clouds that the model was trained on.
    pub n_train_scans: usize,
    /// Labelled cuboids in them.
    pub n_train_cuboids: usize,
    /// Clouds of val.
    pub n_scans: usize,
    /// Labelled cuboids in them.
    pub n_cuboids: usize,
    /// KITTI's AP over 40 recalls by class, in percent: cuboids that share more than half of their volume, without KITTI's
    /// filter, since clouds have no heights in pixels.
    pub ap_3d: BTreeMap<String, Option<f64>>,
    /// The same for what is seen from above.
    pub ap_bev: BTreeMap<String, Option<f64>>,
    /// Mean of `ap_3d` over the classes that have one.
    pub map_3d: Option<f64>,
    /// Mean of `ap_bev` over the classes that have one.
    pub map_bev: Option<f64>,
    /// 95% interval of `map_3d` from resampling groups; absent with one group.
    pub map_3d_interval: Option<[f64; 2]>,
    /// Score from which detections count below: the best one for F1 among twentieths.
    pub score_threshold: f64,
    /// Labels found.
    pub tp: usize,
    /// False alarms.
    pub fp: usize,
    /// Labels missed.
    #[serde(rename = "fn")]
    pub fn_: usize,
    /// Missed labels and false alarms, by cloud.
    pub failures: Vec<CloudFailure>,
}

/// One wrong or missing cuboid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudFailure {
    /// The cloud.
    pub scan: SampleId,
    /// Class of the label or the detection.
    pub class: ClassIdx,
    /// The label that was missed, or the detection that found nothing.
    pub cuboid: Cuboid,
    /// Distance of its centre from the sensor on the ground, in metres.
    pub range: f64,
    /// Score of a false alarm; absent for a miss.
    pub score: Option<f64>,
}

impl std::fmt::Display for CloudEvaluation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |v: Option<f64>| v.map_or_else(|| "none".to_owned(), |v| format!("{v:.1}"));
        let interval = self.map_3d_interval.map_or_else(String::new, |[l, u]| format!(" [{l:.1}, {u:.1}]"));
        write!(
            f,
            "clouds: KITTI 3D AP40 {}{interval}  BEV {}  TP {} FP {} FN {}, from {} labelled clouds",
            number(self.map_3d),
            number(self.map_bev),
            self.tp,
            self.fp,
            self.fn_,
            self.n_train_scans
        )
    }
}
