use std::fmt::Display;

use labelloop_core::ImageSize;

use super::{Channels, DescriptionError, DescriptionParams, Filter, Fit, Layout, Pooling, Preset, Sides};

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
        preset.description().plain()
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

    pub(super) fn checked(self) -> Result<Self, DescriptionError> {
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
        Ok(self.plain())
    }

    /// The same with what has no effect as if it had not been said, so that equal descriptions are equal.
    pub(super) fn plain(self) -> Self {
        let larger = self.size.width().max(self.size.height());
        Self {
            resize_to: if self.fit == Fit::Crop { self.resize_to } else { larger },
            fill: if self.fit == Fit::Letterbox { self.fill } else { [0; 3] },
            prefix_tokens: if self.pooling == Pooling::MeanPatches { self.prefix_tokens } else { 1 },
            map_layout: if self.pooling == Pooling::GlobalAverage { self.map_layout } else { self.layout },
            ..self
        }
    }
}

pub(super) fn value(key: &'static str, found: &dyn Display, expected: &'static str) -> DescriptionError {
    DescriptionError::Value { key, found: found.to_string(), expected }
}
