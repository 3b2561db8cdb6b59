use labelloop_core::ImageSize;
use serde::{Deserialize, Serialize};

use super::model_description::value;
use super::{Channels, DescriptionError, Filter, Fit, Layout, ModelDescription, Pooling, Preset, Sides};

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
    /// Whether large JPEGs may be decoded at a quarter or an eighth of their sides, where that is no less than what they
    /// are resized to. Of photographs of 12 million pixels 1.7 times as many pass through a core, and vectors are
    /// other ones: 1 - cosine 0.003 on average, 0.03 at worst.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRESETS: [Preset; 5] =
        [Preset::Imagenet, Preset::Clip, Preset::Dinov2, Preset::Siglip, Preset::EfficientnetLite];

    fn of(text: &str) -> Result<ModelDescription, DescriptionError> {
        DescriptionParams::from_toml(text)?.check()
    }

    fn message(text: &str) -> String {
        of(text).unwrap_err().to_string()
    }

    #[test]
    fn nothing_at_all_is_imagenet() {
        assert_eq!(of("").unwrap(), ModelDescription::from(Preset::Imagenet));
        assert_eq!(DescriptionParams::default().check().unwrap(), of("preset = \"imagenet\"").unwrap());
    }

    #[test]
    fn every_key_replaces_that_of_the_preset() {
        let text = "preset = \"clip\"\nsize = [320, 200]\nfit = \"letterbox\"\nfill = [1, 2, 3]\nfilter = \"lanczos\"\n\
            range = 255\nmean = [1, 2.5, 3]\ndeviation = [4, 5, 6]\nchannels = \"bgr\"\nlayout = \"nhwc\"\n\
            output = \"map\"\npooling = \"global-average\"\nmap_layout = \"nchw\"\nl2_norm = false\nreduced_decode = true";
        let found = of(text).unwrap();
        assert_eq!((found.size().width(), found.size().height(), found.fit()), (320, 200, Fit::Letterbox));
        assert_eq!((found.fill, found.filter(), found.range), ([1, 2, 3], Filter::Lanczos, 255.0));
        assert_eq!((found.mean(), found.deviation()), ([1.0, 2.5, 3.0], [4.0, 5.0, 6.0]));
        assert_eq!(
            (found.channels, found.layout, found.output()),
            (Channels::Bgr, Layout::Nhwc, Some("map"))
        );
        assert_eq!((found.pooling(), found.map_layout), (Pooling::GlobalAverage, Layout::Nchw));
        assert!(!found.l2_norm() && found.reduced_decode());
    }

    #[test]
    fn the_short_side_follows_the_size() {
        assert_eq!(of("size = 299").unwrap().resize_to, 299);
        assert_eq!(of("size = [96, 64]").unwrap().resize_to, 96);
        assert_eq!(of("size = 299\nresize_to = 342").unwrap().resize_to, 342);
        assert_eq!(of("preset = \"dinov2\"").unwrap().resize_to, 256);
    }

    #[test]
    fn the_map_is_laid_out_as_the_input_unless_said() {
        let text = "pooling = \"global-average\"\nlayout = \"nhwc\"";
        assert_eq!(of(text).unwrap().map_layout, Layout::Nhwc);
        assert_eq!(of("pooling = \"global-average\"").unwrap().map_layout, Layout::Nchw);
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for (text, found) in
            [("0", "0 x 0"), ("4097", "4097 x 4097"), ("[8, 0]", "8 x 0"), ("[1, 5000]", "1 x 5000")]
        {
            let expected = format!("size = {found}: expected 1 to 4096 pixels on both sides");
            assert_eq!(message(&format!("size = {text}")), expected);
        }
    }

    #[test]
    fn a_short_side_below_the_crop_is_refused() {
        let expected = "resize_to = 200: expected at least both sides of size and at most 8192";
        assert_eq!(message("resize_to = 200"), expected);
        assert!(message("size = [100, 300]\nresize_to = 299").starts_with("resize_to = 299"));
        assert!(message("resize_to = 8193").starts_with("resize_to = 8193"));
    }

    #[test]
    fn ranges_means_and_deviations_out_of_range_are_refused() {
        for text in ["range = 2", "range = nan", "range = 0"] {
            assert!(message(text).ends_with("expected 1 or 255"), "{text}");
        }
        for text in ["mean = [0, nan, 0]", "mean = [inf, 0, 0]", "mean = [0, 0, -2e6]"] {
            assert!(message(text).ends_with("expected numbers from -1e6 to 1e6"), "{text}");
        }
        for text in [
            "deviation = [1, 0, 1]",
            "deviation = [nan, 1, 1]",
            "deviation = [1, 1, -1]",
            "deviation = [inf, 1, 1]",
        ] {
            assert!(message(text).ends_with("expected numbers from 1e-6 to 1e6"), "{text}");
        }
    }

    #[test]
    fn names_and_tokens_out_of_range_are_refused() {
        assert_eq!(message("output = \"\""), "output = : expected a name");
        assert_eq!(message("output = \"a\\u0000\""), "output = a\\0: expected a name");
        assert_eq!(
            message("pooling = \"mean-patches\"\nprefix_tokens = 65"),
            "prefix_tokens = 65: expected 0 to 64"
        );
    }

    #[test]
    fn keys_without_effect_are_refused() {
        for (text, expected) in [
            (
                "fit = \"stretch\"\nresize_to = 256",
                "resize_to has no effect: expected it beside fit = \"crop\" only",
            ),
            ("fill = [0, 0, 0]", "fill has no effect: expected it beside fit = \"letterbox\" only"),
            (
                "prefix_tokens = 5",
                "prefix_tokens has no effect: expected it beside pooling = \"mean-patches\" only",
            ),
            (
                "map_layout = \"nhwc\"",
                "map_layout has no effect: expected it beside pooling = \"global-average\" only",
            ),
        ] {
            assert_eq!(message(text), expected);
        }
    }

    #[test]
    fn unknown_keys_and_values_name_their_line() {
        assert!(
            message("size = 8\n\nlayuot = \"nchw\"")
                .starts_with("line 3: unknown field `layuot`, expected one of")
        );
        assert!(
            message("preset = \"resnet\"")
                .starts_with("line 1: unknown variant `resnet`, expected one of `imagenet`")
        );
        assert!(message("size = \"big\"").starts_with("line 1: "));
        assert!(message("mean = [1, 2]").starts_with("line 1: "));
        assert!(message("fill = [1, 2, 256]").starts_with("line 1: "));
        assert!(message("[size\n").starts_with("line 1: "));
    }

    #[test]
    fn presets_are_what_the_families_state() {
        let clip = of("preset = \"clip\"").unwrap();
        assert_eq!((clip.filter(), clip.resize_to, clip.fit()), (Filter::Bicubic, 224, Fit::Crop));
        let dino = of("preset = \"dinov2\"").unwrap();
        assert_eq!((dino.filter(), dino.resize_to, dino.pooling()), (Filter::Bicubic, 256, Pooling::Cls));
        assert_eq!(dino.mean(), [0.485, 0.456, 0.406]);
        let siglip = of("preset = \"siglip\"").unwrap();
        assert_eq!((siglip.fit(), siglip.mean(), siglip.deviation()), (Fit::Stretch, [0.5; 3], [0.5; 3]));
        let lite = of("preset = \"efficientnet-lite\"").unwrap();
        assert_eq!((lite.range, lite.mean(), lite.filter()), (255.0, [127.0; 3], Filter::Bicubic));
        assert_eq!(of("preset = \"imagenet\"").unwrap().filter(), Filter::Bilinear);
    }

    #[test]
    fn presets_are_written_out_and_read_as_the_same() {
        for preset in PRESETS {
            let description = ModelDescription::from(preset);
            let text = description.to_params().to_toml().unwrap();
            assert!(!text.contains("preset"), "{text}");
            assert_eq!(of(&text).unwrap(), description);
        }
    }

    fn any_params() -> impl Strategy<Value = DescriptionParams> {
        let sides = prop_oneof![
            (1..=4096u32).prop_map(Sides::Square),
            (1..=4096u32, 1..=4096u32).prop_map(|(w, h)| Sides::Both([w, h])),
        ];
        let one_of = |names: &'static [&'static str]| proptest::option::of(proptest::sample::select(names));
        let filters = one_of(&["nearest", "box", "bilinear", "bicubic", "lanczos"]);
        let poolings = one_of(&["none", "cls", "mean-tokens", "mean-patches", "global-average", "flatten"]);
        let numbers = proptest::option::of(proptest::array::uniform3(1e-3..1e3f64));
        let others = (numbers.clone(), numbers, any::<Option<bool>>(), any::<Option<bool>>(), 0..3u8);
        (proptest::option::of(0..5usize), proptest::option::of(sides), filters, poolings, others, any::<Option<[u8; 3]>>())
            .prop_map(|(preset, size, filter, pooling, (mean, deviation, l2_norm, reduced_decode, fit), fill)| {
                let fit = ["crop", "letterbox", "stretch"][usize::from(fit)];
                let json = serde_json::json!({ "filter": filter, "pooling": pooling, "fit": fit, "mean": mean,
                    "deviation": deviation, "l2_norm": l2_norm, "reduced_decode": reduced_decode });
                let params: DescriptionParams = serde_json::from_value(json).unwrap();
                let fill = fill.filter(|_| fit == "letterbox");
                DescriptionParams { preset: preset.map(|i| PRESETS[i]), size, fill, ..params }
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(params in any_params()) {
            let text = params.to_toml().unwrap();
            prop_assert_eq!(&DescriptionParams::from_toml(&text).unwrap(), &params);
            let description = params.check().unwrap();
            let all = description.to_params().to_toml().unwrap();
            let again = of(&all).unwrap();
            prop_assert_eq!(again.digest_bytes(), description.digest_bytes());
            prop_assert_eq!(again, description);
        }

        #[test]
        fn any_text_is_an_answer_or_an_error_with_a_line(text in "(size|mean|fit|preset|[a-z]{1,4}) ?= ?[\"0-9a-z\\[\\], .\n-]{0,20}") {
            if let Err(DescriptionError::Syntax { line, reason }) = of(&text) {
                prop_assert!(1 <= line && line <= 1 + text.matches('\n').count() && !reason.is_empty());
            }
        }
    }
}
