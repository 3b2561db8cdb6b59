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
        let (n_columns, n_places) = (pixels.size().width() as usize, input.len() / 3);
        for y in 0..pixels.size().height() {
            let row = pixels.row(y);
            let first = (top + y) as usize * width + left as usize;
            for (channel, table) in self.tables.iter().enumerate() {
                let place = self.place_of(channel);
                let values = row.iter().skip(channel).step_by(3);
                let numbers = values.map(|value| table[usize::from(*value)]);
                match self.description.layout {
                    Layout::Nchw => {
                        let to = &mut input[place * n_places + first..][..n_columns];
                        to.iter_mut().zip(numbers).for_each(|(to, number)| *to = number);
                    }
                    Layout::Nhwc => {
                        let to = &mut input[3 * first..][..3 * n_columns];
                        to.iter_mut()
                            .skip(place)
                            .step_by(3)
                            .zip(numbers)
                            .for_each(|(to, number)| *to = number);
                    }
                }
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
