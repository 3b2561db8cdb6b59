use serde::{Deserialize, Serialize};

use labelloop_core::ImageSize;

use super::{Channels, Filter, Fit, Layout, ModelDescription, Pooling};

/// What families of models expect of pictures, as their own preprocessing states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Preset {
    /// Classifiers in the manner of torchvision: short side to 256 bilinear, the middle 224, mean and deviation of
    /// ImageNet.
    Imagenet,
    /// CLIP: short side to 224 bicubic, the middle 224, its own mean and deviation.
    Clip,
    /// DINOv2: short side to 256 bicubic, the middle 224, mean and deviation of ImageNet; the class token.
    Dinov2,
    /// SigLIP: both sides to 224 bicubic, -1 to 1.
    Siglip,
    /// EfficientNet-Lite: short side to 256 bicubic, the middle 224, (value - 127) / 128.
    EfficientnetLite,
}

/// Mean and deviation of the training pictures of ImageNet, of channels from 0 to 1.
const IMAGENET: ([f64; 3], [f64; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
/// The same of those that CLIP was trained on.
const CLIP: ([f64; 3], [f64; 3]) =
    ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]);

impl Preset {
    pub(super) fn description(self) -> ModelDescription {
        let base = ModelDescription {
            size: ImageSize::new(224, 224).expect("both sides are above 0"),
            fit: Fit::Crop,
            resize_to: 256,
            fill: [0; 3],
            filter: Filter::Bicubic,
            range: 1.0,
            mean: IMAGENET.0,
            deviation: IMAGENET.1,
            channels: Channels::Rgb,
            layout: Layout::Nchw,
            output: None,
            pooling: Pooling::None,
            prefix_tokens: 1,
            map_layout: Layout::Nchw,
            l2_norm: true,
            reduced_decode: false,
        };
        match self {
            Self::Imagenet => ModelDescription { filter: Filter::Bilinear, ..base },
            Self::Clip => ModelDescription { resize_to: 224, mean: CLIP.0, deviation: CLIP.1, ..base },
            Self::Dinov2 => ModelDescription { pooling: Pooling::Cls, ..base },
            Self::Siglip => {
                ModelDescription { fit: Fit::Stretch, mean: [0.5; 3], deviation: [0.5; 3], ..base }
            }
            Self::EfficientnetLite => {
                ModelDescription { range: 255.0, mean: [127.0; 3], deviation: [128.0; 3], ..base }
            }
        }
    }
}
