use std::ops::Range;

use labelloop_core::ImageSize;
use labelloop_media::{RgbImage, resize};
use serde::{Deserialize, Serialize};

use crate::gradient;
use crate::histogram::{self, Cell, LumaPlane, N_BINS, N_COLOUR};
use crate::{ParamError, Result};

/// Raised whenever the same picture and parameters would give other numbers, so that old caches stop matching.
const VERSION: u32 = 2;

/// How pictures become vectors; [`check`](DescriptorParams::check) makes a [`Descriptor`] of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DescriptorParams {
    /// Pictures are brought to this many pixels on both sides before anything is measured. Default: 64.
    pub side: u32,
    /// Pyramid levels of colour and texture: 1 is the whole picture, each further level halves the cells. Default: 2 (1
    /// and 4 cells). Gradients have a grid of 8 x 8 cells whatever the levels.
    pub levels: u32,
    /// Share of colour in the distance between two vectors, relative to the other weights. Default: 1.
    pub colour_weight: f64,
    /// Share of gradient directions. Default: 2.
    pub gradient_weight: f64,
    /// Share of texture. Default: 1.
    pub texture_weight: f64,
}

impl Default for DescriptorParams {
    fn default() -> Self {
        Self { side: 64, levels: 2, colour_weight: 1.0, gradient_weight: 2.0, texture_weight: 1.0 }
    }
}

impl DescriptorParams {
    /// # Errors
    /// [`ParamError`] naming the first parameter out of range.
    pub fn check(self) -> Result<Descriptor, ParamError> {
        if !(16..=1024).contains(&self.side) {
            return Err(ParamError::Side { found: self.side });
        }
        if !(1..=4).contains(&self.levels) {
            return Err(ParamError::Levels { found: self.levels });
        }
        // The most levels there can be have as many cells as the grid of gradients.
        let multiple = gradient::N_GRID as u32;
        if !self.side.is_multiple_of(multiple) {
            return Err(ParamError::UnevenCells { side: self.side, levels: self.levels, multiple });
        }
        for (name, found) in self.weights() {
            if !(0.0 <= found) || !found.is_finite() {
                return Err(ParamError::Weight { name, found });
            }
        }
        let found: f64 = self.weights().iter().map(|(_, weight)| weight).sum();
        if !found.is_normal() {
            return Err(ParamError::WeightSum { found });
        }
        Ok(Descriptor { params: self })
    }

    fn weights(&self) -> [(&'static str, f64); 3] {
        [("colour", self.colour_weight), ("gradient", self.gradient_weight), ("texture", self.texture_weight)]
    }
}

/// The built-in descriptor: colour and texture of a picture on a spatial pyramid, gradient directions on a grid.
///
/// A vector is the square root of histograms, so that the Euclidean distance between two vectors is a weighted
/// Hellinger distance between the histograms. All entries are at least 0 and the length is 1: the squared distance is
/// `2 - 2 cos`, and cosine and Euclidean neighbours are the same. It needs no training and no download; a network
/// trained on a million pictures tells classes apart better.
///
/// The pyramid follows Lazebnik, Schmid and Ponce (2006), the gradients Dalal and Triggs (2005), the square root
/// Arandjelović and Zisserman (2012, section 3). Only whole numbers and operations that IEEE 754 makes exact are used,
/// so that the bits are the same on every machine.
///
/// Version 1 (until November 2026) had a pyramid for gradients too and lost where small print matters; vectors of the
/// two versions have different digests.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_embed::DescriptorParams;
/// use labelloop_media::RgbImage;
///
/// let descriptor = DescriptorParams::default().check()?;
/// let red = RgbImage::filled(ImageSize::new(64, 48)?, [200, 30, 30]);
/// let vector = descriptor.embed(&red)?;
/// assert_eq!(vector.len(), descriptor.n_dims());
/// let length: f32 = vector.iter().map(|v| v * v).sum();
/// assert!((length - 1.0).abs() < 1e-5);
/// # Ok::<(), labelloop_embed::EmbedError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Descriptor {
    params: DescriptorParams,
}

impl Descriptor {
    /// The parameters it was made of.
    pub fn params(&self) -> DescriptorParams {
        self.params
    }

    /// Length of every vector: 26 for each cell of the pyramid (16 colour, 10 texture) and 9 for each of the 64 cells of
    /// the grid (8 directions, flat).
    pub fn n_dims(&self) -> usize {
        let of_pyramid: usize = (0..self.params.levels).map(|level| N_BINS << (2 * level)).sum();
        of_pyramid + gradient::N_GRID.pow(2) * gradient::N_BINS
    }

    /// Which numbers this descriptor gives: 64 hexadecimal digits of name, version and parameters.
    ///
    /// Vectors of different digests must not be compared.
    ///
    /// ```
    /// use labelloop_embed::DescriptorParams;
    ///
    /// let plain = DescriptorParams::default().check()?;
    /// let finer = DescriptorParams { levels: 4, ..Default::default() }.check()?;
    /// assert_ne!(plain.digest(), finer.digest());
    /// # Ok::<(), labelloop_embed::ParamError>(())
    /// ```
    pub fn digest(&self) -> String {
        self.digest_hash().to_hex().to_string()
    }

    /// What the digest stands for, in words.
    pub(crate) fn description(&self) -> String {
        crate::embedder::words("labelloop colour-gradient-texture pyramid", VERSION, &self.params)
    }

    pub(crate) fn digest_hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"labelloop colour-gradient-texture pyramid");
        hasher.update(&VERSION.to_le_bytes());
        hasher.update(&self.params.side.to_le_bytes());
        hasher.update(&self.params.levels.to_le_bytes());
        for (_, weight) in self.params.weights() {
            hasher.update(&weight.to_le_bytes());
        }
        hasher.finalize()
    }

    /// The vector of a picture; the same picture gives the same bits every time.
    ///
    /// # Errors
    /// [`EmbedError::Media`](crate::EmbedError::Media) when the picture cannot be resized.
    pub fn embed(&self, picture: &RgbImage) -> Result<Vec<f32>> {
        let side = ImageSize::new(self.params.side, self.params.side)?;
        let small = resize(picture, side)?;
        let n_finest = 1usize << (self.params.levels - 1);
        let luma = LumaPlane::of(&small);
        let mut levels = vec![histogram::cells(&small, &luma, n_finest)];
        for n_cells in (0..self.params.levels - 1).rev().map(|level| 1usize << level) {
            let finer = &levels[levels.len() - 1];
            levels.push(halved(finer, n_cells));
        }
        let mut vector = Vec::with_capacity(self.n_dims());
        for cells in levels.iter().rev() {
            self.append(&mut vector, cells);
        }
        let share = self.share(self.params.gradient_weight);
        vector.extend(gradient::shares(&luma).iter().map(|bin| (bin * share).sqrt() as f32));
        Ok(vector)
    }

    /// Appends one level: each family of each cell becomes a distribution, weighted so that the squares of the whole
    /// vector add up to 1.
    fn append(&self, vector: &mut Vec<f32>, cells: &[Cell]) {
        let n_distributions = cells.len() as f64 * f64::from(self.params.levels);
        let families: [(Range<usize>, f64); 2] = [
            (0..N_COLOUR, self.share(self.params.colour_weight)),
            (N_COLOUR..N_BINS, self.share(self.params.texture_weight)),
        ];
        for cell in cells {
            for (family, share) in &families {
                let bins = &cell[family.clone()];
                let n_pixels: f64 = bins.iter().sum();
                vector
                    .extend(bins.iter().map(|bin| (bin / n_pixels * share / n_distributions).sqrt() as f32));
            }
        }
    }

    fn share(&self, weight: f64) -> f64 {
        weight / self.params.weights().iter().map(|(_, weight)| weight).sum::<f64>()
    }
}

/// Cells of twice the side: each is the sum of four, in a fixed order.
fn halved(finer: &[Cell], n_cells: usize) -> Vec<Cell> {
    let at = |x: usize, y: usize| &finer[y * 2 * n_cells + x];
    let sum_of_four = |x: usize, y: usize| {
        let parts = [at(x, y), at(x + 1, y), at(x, y + 1), at(x + 1, y + 1)];
        std::array::from_fn(|bin| parts.iter().map(|part| part[bin]).sum())
    };
    (0..n_cells)
        .flat_map(|y| (0..n_cells).map(move |x| (2 * x, 2 * y)))
        .map(|(x, y)| sum_of_four(x, y))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(width: u32, height: u32) -> ImageSize {
        ImageSize::new(width, height).unwrap()
    }

    fn noise(seed: u64, width: u32, height: u32) -> RgbImage {
        let seed = labelloop_core::Seed::new(seed);
        let n_bytes = u64::from(3 * width * height);
        RgbImage::new(size(width, height), (0..n_bytes).map(|i| seed.bits(i).to_le_bytes()[0]).collect())
            .unwrap()
    }

    fn distance(a: &RgbImage, b: &RgbImage) -> f32 {
        let [a, b] = [a, b].map(|p| Descriptor::default().embed(p).unwrap());
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
    }

    #[test]
    fn defaults_are_the_documented_ones_and_valid() {
        let params = DescriptorParams::default();
        assert_eq!((params.side, params.levels), (64, 2));
        assert_eq!((params.colour_weight, params.gradient_weight, params.texture_weight), (1.0, 2.0, 1.0));
        assert_eq!(params.check().unwrap(), Descriptor::default());
        assert_eq!(Descriptor::default().n_dims(), 706);
    }

    #[test]
    fn sides_out_of_range_are_refused() {
        for side in [0, 15, 1025, u32::MAX] {
            let refused = DescriptorParams { side, ..Default::default() }.check();
            assert_eq!(refused, Err(ParamError::Side { found: side }));
        }
    }

    #[test]
    fn levels_out_of_range_are_refused() {
        for levels in [0, 5, u32::MAX] {
            let refused = DescriptorParams { levels, ..Default::default() }.check();
            assert_eq!(refused, Err(ParamError::Levels { found: levels }));
        }
    }

    #[test]
    fn sides_that_cells_do_not_fill_are_refused() {
        let refused = DescriptorParams { side: 130, ..Default::default() }.check().unwrap_err();
        assert_eq!(refused.to_string(), "side 130 for 2 pyramid levels: expected a multiple of 8");
    }

    #[test]
    fn weights_that_are_negative_or_not_numbers_are_refused() {
        for found in [-1.0, f64::NAN, f64::INFINITY] {
            let plain = DescriptorParams::default();
            let cases = [
                ("colour", DescriptorParams { colour_weight: found, ..plain }),
                ("gradient", DescriptorParams { gradient_weight: found, ..plain }),
                ("texture", DescriptorParams { texture_weight: found, ..plain }),
            ];
            for (expected, params) in cases {
                assert!(matches!(params.check(), Err(ParamError::Weight { name, .. }) if name == expected));
            }
        }
    }

    #[test]
    fn weights_that_leave_nothing_are_refused() {
        for weight in [0.0, f64::MAX] {
            let params = DescriptorParams {
                colour_weight: weight,
                gradient_weight: weight,
                texture_weight: weight,
                ..Default::default()
            };
            assert!(matches!(params.check(), Err(ParamError::WeightSum { .. })));
        }
    }

    #[test]
    fn a_config_file_cannot_skip_the_check_or_misspell_a_name() {
        let params: DescriptorParams = serde_json::from_str(r#"{"side": 3}"#).unwrap();
        assert!(params.check().is_err());
        assert!(serde_json::from_str::<DescriptorParams>(r#"{"sides": 128}"#).is_err());
        let back = serde_json::to_string(&DescriptorParams::default()).unwrap();
        assert_eq!(serde_json::from_str::<DescriptorParams>(&back).unwrap(), DescriptorParams::default());
    }

    #[test]
    fn every_parameter_is_in_the_digest() {
        let plain = DescriptorParams::default();
        let mut digests = [
            plain,
            DescriptorParams { side: 128, ..plain },
            DescriptorParams { levels: 3, ..plain },
            DescriptorParams { colour_weight: 2.0, ..plain },
            DescriptorParams { gradient_weight: 3.0, ..plain },
            DescriptorParams { texture_weight: 2.0, ..plain },
        ]
        .map(|p| p.check().unwrap().digest())
        .to_vec();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 6);
        assert!(digests.iter().all(|d| d.len() == 64));
    }

    #[test]
    fn a_weight_of_zero_leaves_the_family_out() {
        let params = DescriptorParams { gradient_weight: 0.0, texture_weight: 0.0, ..Default::default() };
        let vector = params.check().unwrap().embed(&noise(1, 30, 30)).unwrap();
        let (pyramid, grid) = vector.split_at(5 * N_BINS);
        assert!(pyramid.chunks(N_BINS).all(|cell| cell[N_COLOUR..].iter().all(|v| *v == 0.0)));
        assert!(grid.iter().all(|v| *v == 0.0));
    }

    #[test]
    fn a_small_change_is_nearer_than_another_picture() {
        let picture = noise(1, 64, 64);
        let smooth = resize(&resize(&picture, size(8, 8)).unwrap(), size(64, 64)).unwrap();
        let mut brighter = smooth.clone();
        brighter.pixels_mut().iter_mut().for_each(|v| *v = v.saturating_add(6));
        let other = RgbImage::filled(size(64, 64), [20, 160, 40]);
        assert!(distance(&smooth, &brighter) < 0.5 * distance(&smooth, &other));
        assert_eq!(distance(&smooth, &smooth), 0.0);
    }

    #[test]
    fn where_things_are_matters() {
        let with_square = |at: u32| {
            let mut picture = RgbImage::filled(size(64, 64), [120; 3]);
            (at..at + 16).for_each(|y| (at..at + 16).for_each(|x| picture.set(x, y, [250, 10, 10])));
            picture
        };
        assert!(0.1 < distance(&with_square(4), &with_square(44)));
    }

    #[test]
    fn the_bits_are_pinned() {
        // The first is of the size that is described, so that no resizing takes part.
        let pinned = [
            (Descriptor::default(), noise(7, 64, 64), "8af1754def2e7a8e"),
            (Descriptor::default(), noise(7, 128, 128), "d797e78dbd7e2cd2"),
            (
                DescriptorParams { side: 48, levels: 4, ..Default::default() }.check().unwrap(),
                noise(8, 31, 77),
                "35ae1821465c58d6",
            ),
        ];
        for (descriptor, picture, expected) in pinned {
            let vector = descriptor.embed(&picture).unwrap();
            let bytes = vector.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
            // Another value here means that VERSION must be raised: stores made before would be mixed with new vectors.
            assert_eq!(&blake3::hash(&bytes).to_hex()[..16], expected);
        }
    }

    proptest! {
        #[test]
        fn vectors_have_length_one_and_no_negative_entry(
            seed in any::<u64>(), w in 1..50u32, h in 1..50u32, levels in 1..=4u32, side in 2..8u32,
        ) {
            let descriptor = DescriptorParams { side: 8 * side, levels, ..Default::default() }.check().unwrap();
            let vector = descriptor.embed(&noise(seed, w, h)).unwrap();
            prop_assert_eq!(vector.len(), descriptor.n_dims());
            prop_assert!(vector.iter().all(|v| 0.0 <= *v && v.is_finite()));
            let length: f64 = vector.iter().map(|v| f64::from(*v).powi(2)).sum();
            prop_assert!((length - 1.0).abs() < 1e-5, "{}", length);
        }
    }
}
