use labelloop_core::ImageSize;

use crate::bev::View;
use crate::{MediaError, PointCloud, Result, RgbImage};

/// Points of a cell that make the third channel full (MV3D, Chen et al. 2017, section 3.1: the logarithm of the number
/// plus 1 over that of 64).
const FULL_CELL: f64 = 64.0;

/// What the picture of [`bev_features_image`] shows; [`check`](Self::check) is its gate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BevFeatureParams {
    /// The picture shows x and y from minus this to this, in metres. Default: 50.
    pub extent_m: f64,
    /// Pixels on both sides. Default: 256, a cell of 0.39 m.
    pub pixels: u32,
    /// Height, in metres, that is as dark as an empty cell but for one level; what lies lower counts as this. Default: -3,
    /// below the ground under a sensor on a car's roof.
    pub lowest_m: f64,
    /// Height that is full; what lies higher counts as this. Default: 3.
    pub highest_m: f64,
    /// Intensity that is full: 1 for KITTI (default), 255 for nuScenes, 65535 for LAS.
    pub full_intensity: f64,
}

impl Default for BevFeatureParams {
    fn default() -> Self {
        Self { extent_m: 50.0, pixels: 256, lowest_m: -3.0, highest_m: 3.0, full_intensity: 1.0 }
    }
}

impl BevFeatureParams {
    /// # Errors
    /// [`MediaError::InvalidExtent`], [`MediaError::InvalidBevSize`], [`MediaError::InvalidHeights`] or
    /// [`MediaError::InvalidIntensity`] for the first parameter out of range.
    pub fn check(self) -> Result<BevFeatureValidParams> {
        let view = View::new(self.extent_m, self.pixels)?;
        let span = self.highest_m - self.lowest_m;
        if !(0.0 < span) || !span.is_finite() {
            return Err(MediaError::InvalidHeights { lowest: self.lowest_m, highest: self.highest_m });
        }
        if !(0.0 < self.full_intensity) || !self.full_intensity.is_finite() {
            return Err(MediaError::InvalidIntensity { found: self.full_intensity });
        }
        Ok(BevFeatureValidParams { params: self, view })
    }
}

/// Checked [`BevFeatureParams`].
#[derive(Debug, Clone, Copy)]
pub struct BevFeatureValidParams {
    params: BevFeatureParams,
    view: View,
}

/// A cloud from above as three measures of every cell, for models that take pictures: red is the height of the highest
/// point, green the highest intensity, blue how many points there are.
///
/// Cells without points are black; others have a red of at least 1. Forward (x) is up, left (y) is left, as in
/// [`bev_image`](crate::bev_image). Red and green are linear between their limits, blue is `ln(n + 1) / ln(64)` up to 1.
/// The same points give the same bytes in any order; points that are not finite are left out, an intensity that is not a
/// number counts as 0.
///
/// ```
/// use labelloop_media::{BevFeatureParams, PointCloud, bev_features_image};
///
/// let cloud = PointCloud::new(vec![[10.0, 0.0, 3.0, 1.0], [10.0, 0.0, -1.0, 0.2]]);
/// let params = BevFeatureParams { extent_m: 20.0, pixels: 40, ..Default::default() };
/// let picture = bev_features_image(&cloud, params)?;
/// assert_eq!(picture.pixel(20, 10), [255, 255, 67]);
/// assert_eq!(picture.pixel(0, 0), [0, 0, 0]);
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// As [`BevFeatureParams::check`].
pub fn bev_features_image(cloud: &PointCloud, params: BevFeatureParams) -> Result<RgbImage> {
    params.check()?.image(cloud)
}

impl BevFeatureValidParams {
    /// As [`bev_features_image`].
    ///
    /// # Errors
    /// None that these parameters leave; the picture's own constructor has one.
    pub fn image(&self, cloud: &PointCloud) -> Result<RgbImage> {
        let side = self.params.pixels;
        let mut picture = RgbImage::filled(ImageSize::new(side, side)?, [0; 3]);
        let mut counts = vec![0u32; side as usize * side as usize];
        for point in cloud.points().iter().filter(|p| p[..3].iter().all(|v| v.is_finite())) {
            let [x, y, z, intensity] = point.map(f64::from);
            let Some((column, row)) = self.view.pixel_of(x, y) else { continue };
            let count = &mut counts[(row * side + column) as usize];
            *count = count.saturating_add(1);
            let [red, green, _] = picture.pixel(column, row);
            let height = self.height(z).max(red);
            let light = level(intensity / self.params.full_intensity).max(green);
            picture.set(column, row, [height, light, density(*count)]);
        }
        Ok(picture)
    }

    fn height(&self, z: f64) -> u8 {
        let BevFeatureParams { lowest_m, highest_m, .. } = self.params;
        1 + (share((z - lowest_m) / (highest_m - lowest_m)) * 254.0).round() as u8
    }
}

/// From 0 to 1; what is not a number stays none, and becomes level 0.
fn share(value: f64) -> f64 {
    value.clamp(0.0, 1.0)
}

fn level(value: f64) -> u8 {
    (share(value) * 255.0).round() as u8
}

fn density(n_points: u32) -> u8 {
    // Powers of two lie on halves between two levels; a little more than the last bit of a logarithm decides them.
    level((f64::from(n_points) + 1.0).ln() / FULL_CELL.ln() + 1e-9)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn defaults_are_the_documented_ones_and_valid() {
        let params = BevFeatureParams::default();
        assert_eq!((params.extent_m, params.pixels, params.full_intensity), (50.0, 256, 1.0));
        assert_eq!((params.lowest_m, params.highest_m), (-3.0, 3.0));
        assert!(params.check().is_ok());
    }

    #[test]
    fn extents_and_sizes_out_of_range_are_refused() {
        let plain = BevFeatureParams::default();
        for extent_m in [0.0, -1.0, f64::NAN] {
            let refused = BevFeatureParams { extent_m, ..plain }.check();
            assert!(matches!(refused, Err(MediaError::InvalidExtent { .. })));
        }
        let refused = BevFeatureParams { pixels: 0, ..plain }.check();
        assert!(matches!(refused, Err(MediaError::InvalidBevSize { found: 0, .. })));
    }

    #[test]
    fn heights_that_leave_nothing_between_them_are_refused() {
        for (lowest_m, highest_m) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            let refused = BevFeatureParams { lowest_m, highest_m, ..Default::default() }.check();
            assert!(matches!(refused, Err(MediaError::InvalidHeights { .. })));
        }
    }

    #[test]
    fn intensities_that_are_never_full_are_refused() {
        for full_intensity in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let refused = BevFeatureParams { full_intensity, ..Default::default() }.check();
            assert!(matches!(refused, Err(MediaError::InvalidIntensity { .. })));
        }
    }

    #[test]
    fn levels_of_density_are_pinned() {
        let found = [0, 1, 2, 3, 7, 15, 31, 62, 63, 64, u32::MAX].map(density);
        assert_eq!(found, [0, 43, 67, 85, 128, 170, 213, 254, 255, 255, 255]);
        // Far from halves between two levels, so that a logarithm that is off by its last bit changes nothing.
        for n in 0..64u32 {
            let exact = ((f64::from(n) + 1.0).ln() / FULL_CELL.ln() + 1e-9) * 255.0;
            assert!(1e-8 < (exact.fract() - 0.5).abs(), "{n}");
        }
    }

    #[test]
    fn numbers_that_are_none_are_left_out() {
        let nan = f32::NAN;
        let cloud = PointCloud::new(vec![
            [nan, 0.0, 0.0, 1.0],
            [0.0, 0.0, f32::INFINITY, 1.0],
            [1.0, 1.0, -9.0, nan],
        ]);
        let picture = bev_features_image(&cloud, BevFeatureParams::default()).unwrap();
        let lit = picture.pixels().chunks_exact(3).filter(|p| **p != [0; 3]).collect::<Vec<_>>();
        assert_eq!(lit, [[1, 0, 43]]);
    }

    proptest! {
        #[test]
        fn the_order_of_points_does_not_matter(
            rows in proptest::collection::vec([-60.0..60.0f32, -60.0..60.0f32, -5.0..5.0f32, -0.5..2.0f32], 0..200),
        ) {
            let params = BevFeatureParams { pixels: 16, ..Default::default() };
            let forward = bev_features_image(&PointCloud::new(rows.clone()), params).unwrap();
            let backward = bev_features_image(&PointCloud::new(rows.into_iter().rev().collect()), params).unwrap();
            prop_assert_eq!(forward, backward);
        }
    }
}
