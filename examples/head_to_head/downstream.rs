//! How well the built-in detector does after learning from a choice of pictures.

use labelloop::core::{ScoredBox, Seed};
use labelloop::eval::ImageCase;
use labelloop::eval::coco::{AreaRange, CocoParams, evaluate};
use labelloop::media::load;
use labelloop::train::{GridFeatures, GridLearner, GridParams, GridPartial, TrainError, stride_for};

use crate::args::Args;
use crate::data::{Data, Sample};

/// Mean average precision at an IoU of .5 on the validation pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quality {
    pub(crate) map50: f64,
    /// The same over the rare classes that the validation pictures hold; none where they hold none.
    pub(crate) rare_map50: Option<f64>,
}

/// Learns and evaluates; looks at each picture once for learning and once a seed for validation.
///
/// What a picture adds to the normal equations does not depend on the others, so it is kept, and learning from a choice
/// is adding up: the same detector, to the bit, as from the pictures themselves.
pub(crate) struct Trainer<'a> {
    data: &'a Data,
    blank: GridLearner,
    /// By sample number, filled when first needed.
    partials: Vec<Option<GridPartial>>,
    val: Vec<(usize, GridFeatures)>,
}

impl<'a> Trainer<'a> {
    pub(crate) fn new(data: &'a Data, args: &Args) -> anyhow::Result<Self> {
        let stride = args.stride.unwrap_or_else(|| stride_for(data.boxes()));
        let params = GridParams {
            stride: Some(stride),
            n_random_features: args.features,
            seed: Seed::new(0),
            ..GridParams::default()
        };
        let blank = GridLearner::new(&params.check()?, data.schema.n_classes());
        Ok(Self { data, blank, partials: vec![None; data.samples.len()], val: Vec::new() })
    }

    /// Takes other pictures for validation.
    pub(crate) fn validate_on(&mut self, val: &[usize]) -> anyhow::Result<()> {
        self.val.clear();
        for sample in val {
            let features = self.features(*sample)?;
            self.val.push((*sample, features));
        }
        Ok(())
    }

    /// Learns from `chosen` and detects in the validation pictures. A choice without any object teaches nothing and
    /// scores 0.
    pub(crate) fn quality(&mut self, chosen: &[usize]) -> anyhow::Result<Quality> {
        let mut learner = self.blank.clone();
        for sample in chosen {
            self.learn(*sample)?;
            if let Some(partial) = &self.partials[*sample] {
                learner.add_partial(&self.data.samples[*sample].id, partial)?;
            }
        }
        let found: Vec<Vec<ScoredBox>> = match learner.fit() {
            Err(TrainError::NoPositiveLabel { .. }) => vec![Vec::new(); self.val.len()],
            fitted => {
                let detector = fitted?;
                let detect = |(_, features): &(usize, GridFeatures)| detector.detect_features(features);
                self.val.iter().map(detect).collect::<Result<_, _>>()?
            }
        };
        self.score(&found)
    }

    fn score(&self, found: &[Vec<ScoredBox>]) -> anyhow::Result<Quality> {
        let cases: Vec<ImageCase<'_>> = self
            .val
            .iter()
            .zip(found)
            .map(|((sample, _), detections)| {
                let Sample { id, boxes, .. } = &self.data.samples[*sample];
                ImageCase { id, size: None, labels: boxes, detections }
            })
            .collect();
        let result = evaluate(&cases, self.data.schema.n_classes(), &at_half())?;
        let rare: Vec<f64> = self.data.rare.iter().filter_map(|c| result.class_ap50(*c)).collect();
        let rare_map50 = (!rare.is_empty()).then(|| rare.iter().sum::<f64>() / rare.len() as f64);
        Ok(Quality { map50: result.ap(Some(0.5), "all", None).unwrap_or(0.0), rare_map50 })
    }

    fn learn(&mut self, sample: usize) -> anyhow::Result<()> {
        if self.partials[sample].is_none() {
            let features = self.blank.features(&load(&self.data.samples[sample].path)?)?;
            self.keep_partial(sample, &features)?;
        }
        Ok(())
    }

    /// Features of a picture, which teach what it teaches on the way.
    fn features(&mut self, sample: usize) -> anyhow::Result<GridFeatures> {
        let features = self.blank.features(&load(&self.data.samples[sample].path)?)?;
        if self.partials[sample].is_none() {
            self.keep_partial(sample, &features)?;
        }
        Ok(features)
    }

    fn keep_partial(&mut self, sample: usize, features: &GridFeatures) -> anyhow::Result<()> {
        let Sample { id, boxes, .. } = &self.data.samples[sample];
        self.partials[sample] = Some(self.blank.partial(id, features, boxes)?);
        Ok(())
    }
}

/// COCO's rule at one threshold and for objects of all sizes.
fn at_half() -> CocoParams {
    let everything = AreaRange { label: "all".to_owned(), min: 0.0, max: 1e10 };
    CocoParams { iou_thresholds: vec![0.5], areas: vec![everything], ..CocoParams::default() }
}
