use labelloop_media::ResizeFilter;
use serde::{Deserialize, Serialize};

/// How a picture is brought to the sides that a model wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fit {
    /// The short side to `resize_to`, then the middle is cut out.
    Crop,
    /// As large as fits, centred, the rest filled with `fill`.
    Letterbox,
    /// Both sides at once, whatever that does to the shapes.
    Stretch,
}

/// The order of the three colours in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Channels {
    /// Red first.
    Rgb,
    /// Blue first, as OpenCV has it.
    Bgr,
}

/// Where the colours are in a tensor of four dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Layout {
    /// Picture, channel, row, column; as PyTorch has it.
    Nchw,
    /// Picture, row, column, channel; as TensorFlow has it.
    Nhwc,
}

/// How pixels are weighed when a picture is resized; by Pillow's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Filter {
    /// The pixel in whose middle the new one falls.
    Nearest,
    /// The mean of the pixels that the new one covers.
    Box,
    /// A triangle.
    Bilinear,
    /// A cubic after Catmull and Rom (a = -0.5).
    Bicubic,
    /// A sinc under a sinc, of three lobes.
    Lanczos,
}

impl From<Filter> for ResizeFilter {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::Nearest => Self::Nearest,
            Filter::Box => Self::Box,
            Filter::Bilinear => Self::Triangle,
            Filter::Bicubic => Self::CatmullRom,
            Filter::Lanczos => Self::Lanczos3,
        }
    }
}

/// How one vector is made of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Pooling {
    /// The output is a vector: `[1, dims]`.
    None,
    /// The first token of `[1, tokens, dims]`.
    Cls,
    /// The mean of all tokens of `[1, tokens, dims]`.
    MeanTokens,
    /// The mean of the tokens after the first `prefix_tokens`.
    MeanPatches,
    /// The mean of a feature map over its rows and columns.
    GlobalAverage,
    /// All numbers of the output, in their order.
    Flatten,
}

/// One side of a square, or both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sides {
    /// Width and height.
    Square(u32),
    /// Width, height.
    Both([u32; 2]),
}
