use std::fmt::Display;

use labelloop_core::ImageSize;
use labelloop_media::ResizeFilter;
use serde::{Deserialize, Serialize};

use super::{DescriptionError, Preset};

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

/// What the file beside a model says; [`check`](DescriptionParams::check) makes a [`ModelDescription`] of it.
///
/// Every key may be left out: what is left out is as in the preset, and without a preset as in [`Preset::Imagenet`];
/// a `size` without `resize_to` is cut out of a picture whose short side is the larger of the two. A key that has no
/// effect beside the others is an error.
///
/// ```
/// use labelloop_embed::DescriptionParams;
///
/// let params = DescriptionParams::from_toml("preset = \"clip\"\nsize = 336")?;
/// let description = params.check()?;
/// assert_eq!(description.size().width(), 336);
/// assert!((description.deviation()[0] - 0.26862954).abs() < 1e-9);
/// assert!(DescriptionParams::from_toml("sise = 336").is_err());
/// # Ok::<(), labelloop_embed::DescriptionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DescriptionParams {
    /// What the other keys start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Sides of the input in pixels: one number for a square, or `[width, height]`; 1 to 4096 each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Sides>,
    /// `crop`, `letterbox` or `stretch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// The short side before the crop, in pixels; at least both sides of `size`, at most 8192.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize_to: Option<u32>,
    /// The colour around a letterboxed picture: red, green, blue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<[u8; 3]>,
    /// `nearest`, `box`, `bilinear`, `bicubic` or `lanczos`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// What a full channel is before `mean` and `deviation`: 1 or 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<f64>,
    /// Subtracted from each channel: red, green, blue, whatever the order in the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<[f64; 3]>,
    /// Each channel is divided by it, after `mean`: red, green, blue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<[f64; 3]>,
    /// `rgb` or `bgr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Channels>,
    /// Layout of the input: `nchw` or `nhwc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Name of the output; the first one where this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// `none`, `cls`, `mean-tokens`, `mean-patches`, `global-average` or `flatten`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Tokens before those of the patches: 1 for a class token alone, 5 with four registers; 0 to 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_tokens: Option<u32>,
    /// Layout of the feature map that `global-average` takes; that of the input where this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_layout: Option<Layout>,
    /// Whether vectors are divided by their length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2_norm: Option<bool>,
    /// Whether large JPEGs may be decoded at a half, a quarter or an eighth of their sides, where that is still at
    /// least twice what the model wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduced_decode: Option<bool>,
}

impl DescriptionParams {
    /// What a text in TOML says; nothing is checked yet but names and types.
    ///
    /// # Errors
    /// [`DescriptionError::Syntax`] with the line, for text that is not TOML, an unknown key, a value of another type.
    pub fn from_toml(text: &str) -> Result<Self, DescriptionError> {
        toml::from_str(text).map_err(|error| DescriptionError::Syntax {
            line: error
                .span()
                .map_or(1, |span| 1 + text.as_bytes()[..span.start].iter().filter(|b| **b == b'\n').count()),
            reason: error.message().trim_end().replace('\n', "; "),
        })
    }

    /// The same as TOML.
    ///
    /// # Errors
    /// [`DescriptionError::Unwritable`], which no checked description comes to.
    pub fn to_toml(&self) -> Result<String, DescriptionError> {
        toml::to_string(self).map_err(|error| DescriptionError::Unwritable { reason: error.to_string() })
    }

    /// # Errors
    /// [`DescriptionError`] naming the first key that is out of range, or that has no effect.
    pub fn check(&self) -> Result<ModelDescription, DescriptionError> {
        let base = self.preset.unwrap_or(Preset::Imagenet).description();
        let size = self.size.map_or(Ok(base.size), checked_size)?;
        let larger = size.width().max(size.height());
        let found = ModelDescription {
            size,
            fit: self.fit.unwrap_or(base.fit),
            resize_to: self.resize_to.unwrap_or(if self.size.is_some() { larger } else { base.resize_to }),
            fill: self.fill.unwrap_or(base.fill),
            filter: self.filter.unwrap_or(base.filter),
            range: self.range.unwrap_or(base.range),
            mean: self.mean.unwrap_or(base.mean),
            deviation: self.deviation.unwrap_or(base.deviation),
            channels: self.channels.unwrap_or(base.channels),
            layout: self.layout.unwrap_or(base.layout),
            output: self.output.clone(),
            pooling: self.pooling.unwrap_or(base.pooling),
            prefix_tokens: self.prefix_tokens.unwrap_or(base.prefix_tokens),
            map_layout: self.map_layout.or(self.layout).unwrap_or(base.map_layout),
            l2_norm: self.l2_norm.unwrap_or(base.l2_norm),
            reduced_decode: self.reduced_decode.unwrap_or(base.reduced_decode),
        };
        self.check_effects(&found)?;
        found.checked()
    }

    /// A key that changes nothing was meant for something.
    fn check_effects(&self, found: &ModelDescription) -> Result<(), DescriptionError> {
        let keys = [
            ("resize_to", self.resize_to.is_some(), found.fit == Fit::Crop, "fit = \"crop\""),
            ("fill", self.fill.is_some(), found.fit == Fit::Letterbox, "fit = \"letterbox\""),
            (
                "prefix_tokens",
                self.prefix_tokens.is_some(),
                found.pooling == Pooling::MeanPatches,
                "pooling = \"mean-patches\"",
            ),
            (
                "map_layout",
                self.map_layout.is_some(),
                found.pooling == Pooling::GlobalAverage,
                "pooling = \"global-average\"",
            ),
        ];
        match keys.into_iter().find(|(_, given, used, _)| *given && !used) {
            Some((key, _, _, expected)) => Err(DescriptionError::NoEffect { key, expected }),
            None => Ok(()),
        }
    }
}

/// Everything that has to be known of a model besides its file, checked; see [`DescriptionParams`] for the keys.
///
/// ```
/// use labelloop_embed::{ModelDescription, Preset};
///
/// let description = ModelDescription::from(Preset::EfficientnetLite);
/// assert_eq!((description.mean(), description.deviation()), ([127.0; 3], [128.0; 3]));
/// let written = description.to_params().to_toml()?;
/// assert!(written.contains("resize_to = 256"));
/// # Ok::<(), labelloop_embed::DescriptionError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ModelDescription {
    pub(super) size: ImageSize,
    pub(super) fit: Fit,
    pub(super) resize_to: u32,
    pub(super) fill: [u8; 3],
    pub(super) filter: Filter,
    pub(super) range: f64,
    pub(super) mean: [f64; 3],
    pub(super) deviation: [f64; 3],
    pub(super) channels: Channels,
    pub(super) layout: Layout,
    pub(super) output: Option<String>,
    pub(super) pooling: Pooling,
    pub(super) prefix_tokens: u32,
    pub(super) map_layout: Layout,
    pub(super) l2_norm: bool,
    pub(super) reduced_decode: bool,
}

impl From<Preset> for ModelDescription {
    fn from(preset: Preset) -> Self {
        preset.description()
    }
}

impl ModelDescription {
    /// Sides of the input.
    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// How pictures get these sides.
    pub fn fit(&self) -> Fit {
        self.fit
    }

    /// How pixels are weighed.
    pub fn filter(&self) -> Filter {
        self.filter
    }

    /// Subtracted from each channel: red, green, blue.
    pub fn mean(&self) -> [f64; 3] {
        self.mean
    }

    /// Each channel is divided by it: red, green, blue.
    pub fn deviation(&self) -> [f64; 3] {
        self.deviation
    }

    /// Name of the output; the first one where there is none.
    pub fn output(&self) -> Option<&str> {
        self.output.as_deref()
    }

    /// How a vector is made of the output.
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// Whether vectors have length 1.
    pub fn l2_norm(&self) -> bool {
        self.l2_norm
    }

    /// Whether large JPEGs may be decoded at a part of their sides.
    pub fn reduced_decode(&self) -> bool {
        self.reduced_decode
    }

    /// All keys that have an effect, without a preset: what [`check`](DescriptionParams::check) makes this of again.
    pub fn to_params(&self) -> DescriptionParams {
        let sides = [self.size.width(), self.size.height()];
        let square = sides[0] == sides[1];
        DescriptionParams {
            preset: None,
            size: Some(if square { Sides::Square(sides[0]) } else { Sides::Both(sides) }),
            fit: Some(self.fit),
            resize_to: (self.fit == Fit::Crop).then_some(self.resize_to),
            fill: (self.fit == Fit::Letterbox).then_some(self.fill),
            filter: Some(self.filter),
            range: Some(self.range),
            mean: Some(self.mean),
            deviation: Some(self.deviation),
            channels: Some(self.channels),
            layout: Some(self.layout),
            output: self.output.clone(),
            pooling: Some(self.pooling),
            prefix_tokens: (self.pooling == Pooling::MeanPatches).then_some(self.prefix_tokens),
            map_layout: (self.pooling == Pooling::GlobalAverage).then_some(self.map_layout),
            l2_norm: Some(self.l2_norm),
            reduced_decode: Some(self.reduced_decode),
        }
    }

    /// Everything that has an effect, as bytes that differ where it does.
    pub(super) fn digest_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.to_params()).expect("names and finite numbers are JSON")
    }

    fn checked(self) -> Result<Self, DescriptionError> {
        let larger = self.size.width().max(self.size.height());
        if self.fit == Fit::Crop && !(larger..=8192).contains(&self.resize_to) {
            let expected = "at least both sides of size and at most 8192";
            return Err(value("resize_to", &self.resize_to, expected));
        }
        if self.range != 1.0 && self.range != 255.0 {
            return Err(value("range", &self.range, "1 or 255"));
        }
        if let Some(found) = self.mean.iter().find(|mean| !(mean.abs() <= 1e6)) {
            return Err(value("mean", &found, "numbers from -1e6 to 1e6"));
        }
        if let Some(found) = self.deviation.iter().find(|deviation| !(1e-6..=1e6).contains(*deviation)) {
            return Err(value("deviation", &found, "numbers from 1e-6 to 1e6"));
        }
        if self.output.as_ref().is_some_and(|name| name.is_empty() || name.contains('\0')) {
            return Err(value("output", &self.output.unwrap_or_default().escape_debug(), "a name"));
        }
        if 64 < self.prefix_tokens {
            return Err(value("prefix_tokens", &self.prefix_tokens, "0 to 64"));
        }
        Ok(self)
    }
}

fn checked_size(sides: Sides) -> Result<ImageSize, DescriptionError> {
    let [width, height] = match sides {
        Sides::Square(side) => [side; 2],
        Sides::Both(sides) => sides,
    };
    let refused = || value("size", &format!("{width} x {height}"), "1 to 4096 pixels on both sides");
    if 4096 < width.max(height) {
        return Err(refused());
    }
    ImageSize::new(width, height).map_err(|_| refused())
}

fn value(key: &'static str, found: &dyn Display, expected: &'static str) -> DescriptionError {
    DescriptionError::Value { key, found: found.to_string(), expected }
}
