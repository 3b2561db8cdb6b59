use labelloop_core::ImageSize;
use labelloop_media::{RgbImage, resize_window, resize_with};

use super::{Channels, Fit, Layout, ModelDescription};
use crate::Result;

/// What turns pictures into a model's input, with the arithmetic on single pixels done once for all.
#[derive(Debug)]
pub(super) struct Preprocess {
    description: ModelDescription,
    /// The number of each of the 256 values of a channel: red, green, blue.
    tables: Box<[[f32; 256]; 3]>,
}

impl Preprocess {
    pub(super) fn new(description: &ModelDescription) -> Self {
        let scale = description.range / 255.0;
        let number = |channel: usize, value: usize| {
            ((value as f64 * scale - description.mean[channel]) / description.deviation[channel]) as f32
        };
        let table = |channel| std::array::from_fn(|value| number(channel, value));
        Self { description: description.clone(), tables: Box::new(std::array::from_fn(table)) }
    }

    /// Lengths of the input of one picture.
    pub(super) fn shape(&self) -> [usize; 4] {
        let (width, height) =
            (self.description.size.width() as usize, self.description.size.height() as usize);
        match self.description.layout {
            Layout::Nchw => [1, 3, height, width],
            Layout::Nhwc => [1, height, width, 3],
        }
    }

    /// Numbers of the input of one picture.
    pub(super) fn n_numbers(&self) -> usize {
        self.shape().iter().product()
    }

    /// Sides that a picture must have at least so that it is made smaller, not larger.
    pub(super) fn at_least(&self) -> ImageSize {
        let short = ImageSize::new(self.description.resize_to, self.description.resize_to);
        match self.description.fit {
            Fit::Crop => short.unwrap_or(self.description.size),
            Fit::Letterbox | Fit::Stretch => self.description.size,
        }
    }

    /// Writes the input of the picture over `input`, which has [`n_numbers`](Self::n_numbers).
    pub(super) fn fill(&self, picture: &RgbImage, input: &mut [f32]) -> Result<()> {
        let size = self.description.size;
        let filter = self.description.filter.into();
        match self.description.fit {
            Fit::Stretch => self.write(&resize_with(picture, size, filter)?, (0, 0), input),
            Fit::Crop => {
                let whole = short_side_to(picture.size(), self.description.resize_to)?;
                let corner = (middle(whole.width(), size.width()), middle(whole.height(), size.height()));
                self.write(&resize_window(picture, whole, corner, size, filter)?, (0, 0), input);
            }
            Fit::Letterbox => {
                let inner = fitted(picture.size(), size)?;
                let corner = ((size.width() - inner.width()) / 2, (size.height() - inner.height()) / 2);
                self.write_fill(input);
                self.write(&resize_with(picture, inner, filter)?, corner, input);
            }
        }
        Ok(())
    }

    /// Where in a pixel or among the planes a colour goes.
    fn place_of(&self, channel: usize) -> usize {
        match self.description.channels {
            Channels::Rgb => channel,
            Channels::Bgr => 2 - channel,
        }
    }

    fn write_fill(&self, input: &mut [f32]) {
        let n_places = input.len() / 3;
        for (channel, value) in self.description.fill.into_iter().enumerate() {
            let (number, place) = (self.tables[channel][usize::from(value)], self.place_of(channel));
            match self.description.layout {
                Layout::Nchw => input[place * n_places..(place + 1) * n_places].fill(number),
                Layout::Nhwc => input.iter_mut().skip(place).step_by(3).for_each(|to| *to = number),
            }
        }
    }

    /// Writes the pixels, of which the first goes to the column and row given.
    fn write(&self, pixels: &RgbImage, (left, top): (u32, u32), input: &mut [f32]) {
        let width = self.description.size.width() as usize;
        for y in 0..pixels.size().height() {
            let first = (top + y) as usize * width + left as usize;
            match self.description.layout {
                Layout::Nchw => self.write_planes(pixels.row(y), first, input),
                Layout::Nhwc => self.write_pixels(pixels.row(y), &mut input[3 * first..]),
            }
        }
    }

    /// A row of pixels to the place `first` of each of the three planes.
    fn write_planes(&self, row: &[u8], first: usize, input: &mut [f32]) {
        let (n_columns, n_places) = (row.len() / 3, input.len() / 3);
        for (place, plane) in input.chunks_exact_mut(n_places).enumerate() {
            let channel = self.place_of(place);
            let table = &self.tables[channel];
            let pixels = row.chunks_exact(3).map(|pixel| table[usize::from(pixel[channel])]);
            plane[first..first + n_columns].iter_mut().zip(pixels).for_each(|(to, number)| *to = number);
        }
    }

    /// A row of pixels whose colours stay together.
    fn write_pixels(&self, row: &[u8], input: &mut [f32]) {
        for (to, pixel) in input.chunks_exact_mut(3).zip(row.chunks_exact(3)) {
            for (channel, table) in self.tables.iter().enumerate() {
                to[self.place_of(channel)] = table[usize::from(pixel[channel])];
            }
        }
    }
}

/// Sides whose short one is as asked for and whose long one is rounded down, as torchvision and Pillow's users do it.
fn short_side_to(size: ImageSize, short: u32) -> Result<ImageSize> {
    let long = |from_long: u32, from_short: u32| {
        let long = u64::from(short) * u64::from(from_long) / u64::from(from_short);
        u32::try_from(long).unwrap_or(u32::MAX)
    };
    let (width, height) = (size.width(), size.height());
    Ok(if width <= height {
        ImageSize::new(short, long(height, width))?
    } else {
        ImageSize::new(long(width, height), short)?
    })
}

/// The first of `inner` pixels in the middle of `outer`: half of the rest, halves to the even number, as torchvision
/// rounds.
fn middle(outer: u32, inner: u32) -> u32 {
    let rest = outer.saturating_sub(inner);
    rest / 2 + (rest % 4) / 3
}

/// The largest sides of the same ratio within `within`, rounded, at least 1.
fn fitted(size: ImageSize, within: ImageSize) -> Result<ImageSize> {
    let [x, y] = [
        f64::from(within.width()) / f64::from(size.width()),
        f64::from(within.height()) / f64::from(size.height()),
    ];
    let side = |side: u32, most: u32| ((f64::from(side) * x.min(y)).round() as u32).clamp(1, most);
    Ok(ImageSize::new(side(size.width(), within.width()), side(size.height(), within.height()))?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::onnx::DescriptionParams;

    fn size(width: u32, height: u32) -> ImageSize {
        ImageSize::new(width, height).unwrap()
    }

    fn preprocess(keys: &str) -> Preprocess {
        Preprocess::new(&DescriptionParams::from_toml(keys).unwrap().check().unwrap())
    }

    fn input(keys: &str, picture: &RgbImage) -> Vec<f32> {
        let preprocess = preprocess(keys);
        let mut input = vec![f32::NAN; preprocess.n_numbers()];
        preprocess.fill(picture, &mut input).unwrap();
        input
    }

    fn numbered(width: u32, height: u32) -> RgbImage {
        let n_bytes = 3 * width * height;
        RgbImage::new(size(width, height), (0..n_bytes).map(|i| (i % 251) as u8).collect()).unwrap()
    }

    const PLAIN: &str = "range = 255\nmean = [0, 0, 0]\ndeviation = [1, 1, 1]\nfit = \"stretch\"\n";

    #[test]
    fn planes_are_red_green_blue_or_the_other_way() {
        let picture = numbered(2, 2);
        let rgb = input(&format!("{PLAIN}size = 2"), &picture);
        assert_eq!(rgb, [0., 3., 6., 9., 1., 4., 7., 10., 2., 5., 8., 11.]);
        let bgr = input(&format!("{PLAIN}size = 2\nchannels = \"bgr\""), &picture);
        assert_eq!(bgr, [2., 5., 8., 11., 1., 4., 7., 10., 0., 3., 6., 9.]);
    }

    #[test]
    fn pixels_keep_their_colours_together_where_channels_are_last() {
        let picture = numbered(2, 1);
        let keys = format!("{PLAIN}size = [2, 1]\nlayout = \"nhwc\"\n");
        assert_eq!(input(&keys, &picture), [0., 1., 2., 3., 4., 5.]);
        assert_eq!(input(&format!("{keys}channels = \"bgr\""), &picture), [2., 1., 0., 5., 4., 3.]);
    }

    #[test]
    fn values_are_scaled_shifted_and_divided_by_channel() {
        let picture = RgbImage::filled(size(1, 1), [255, 0, 51]);
        let keys = "size = 1\nfit = \"stretch\"\nmean = [0.5, 0.25, 0.2]\ndeviation = [0.5, 0.5, 2]";
        assert_eq!(input(keys, &picture), [1.0, -0.5, 0.0]);
        let lite = input("preset = \"efficientnet-lite\"\nsize = 1", &picture);
        assert_eq!(lite, [1.0, -127.0 / 128.0, (51.0 - 127.0) / 128.0]);
    }

    #[test]
    fn the_middle_is_rounded_as_torchvision_does() {
        let found: Vec<_> = (0..8).map(|rest| middle(100 + rest, 100)).collect();
        assert_eq!(found, [0, 0, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn the_long_side_is_rounded_down() {
        assert_eq!(short_side_to(size(640, 480), 256).unwrap(), size(341, 256));
        assert_eq!(short_side_to(size(375, 500), 224).unwrap(), size(224, 298));
        assert_eq!(short_side_to(size(100, 100), 256).unwrap(), size(256, 256));
        assert_eq!(short_side_to(size(1, 9), 2).unwrap(), size(2, 18));
    }

    #[test]
    fn the_crop_is_the_middle_of_the_resized() {
        let picture = numbered(8, 4);
        let cropped = input("range = 255\nmean = [0, 0, 0]\ndeviation = [1, 1, 1]\nsize = 4", &picture);
        let expected: Vec<_> =
            (0..4).flat_map(|y| (2..6).map(move |x| (x, y))).map(|(x, y)| picture.pixel(x, y)[1]).collect();
        assert_eq!(cropped[16..32], expected.into_iter().map(f32::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_letterbox_is_filled_around_the_picture() {
        let keys = "range = 255\nmean = [0, 0, 0]\ndeviation = [1, 1, 1]\nfit = \"letterbox\"\nsize = 4\nfill = [7, 8, 9]";
        let picture = RgbImage::filled(size(8, 4), [100, 101, 102]);
        let planes = input(keys, &picture);
        for (plane, (fill, colour)) in planes.chunks(16).zip([(7., 100.), (8., 101.), (9., 102.)]) {
            assert_eq!(plane[..4], [fill; 4]);
            assert_eq!(plane[4..12], [colour; 8]);
            assert_eq!(plane[12..], [fill; 4]);
        }
        let pixels = input(&format!("{keys}\nlayout = \"nhwc\"\nchannels = \"bgr\""), &picture);
        assert_eq!((&pixels[..3], &pixels[12..15]), (&[9., 8., 7.][..], &[102., 101., 100.][..]));
    }

    #[test]
    fn a_thin_picture_keeps_a_pixel_in_a_letterbox() {
        assert_eq!(fitted(size(10_000, 1), size(224, 224)).unwrap(), size(224, 1));
        assert_eq!(fitted(size(3, 3), size(8, 4)).unwrap(), size(4, 4));
    }

    #[test]
    fn a_strip_is_cropped_without_its_whole() {
        // Resized as a whole it would have 256 x 7,680,000 pixels.
        let strip = numbered(30_000, 1);
        assert!(input("", &strip).iter().all(|v| v.is_finite()));
    }

    proptest! {
        #[test]
        fn every_number_is_written_whatever_the_picture(
            w in 1..60u32, h in 1..60u32, width in 1..30u32, height in 1..30u32,
            fit in proptest::sample::select(vec!["crop", "letterbox", "stretch"]),
            layout in proptest::sample::select(vec!["nchw", "nhwc"]),
            filter in proptest::sample::select(vec!["nearest", "box", "bilinear", "bicubic", "lanczos"]),
        ) {
            let keys = format!("size = [{width}, {height}]\nfit = \"{fit}\"\nlayout = \"{layout}\"\nfilter = \"{filter}\"");
            let found = input(&keys, &numbered(w, h));
            prop_assert!(found.iter().all(|v| v.is_finite()));
        }
    }
}
