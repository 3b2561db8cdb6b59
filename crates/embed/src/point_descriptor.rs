use labelloop_media::PointCloud;
use serde::{Deserialize, Serialize};

use crate::{EmbedError, ParamError, Result};

/// Raised whenever the same cloud and parameters would give other numbers, so that old caches stop matching.
const VERSION: u32 = 1;

/// How clouds become vectors; [`check`](Self::check) makes a [`PointDescriptor`] of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PointDescriptorParams {
    /// Rings around the sensor, all equally wide. Default: 16, of 4 m each.
    pub n_rings: u32,
    /// Outer side of the last ring, in metres; points farther away are left out. Default: 64.
    pub max_range_m: f64,
    /// Layers of height, all equally high. Default: 12, of half a metre each.
    pub n_heights: u32,
    /// Foot of the lowest layer, in metres; what lies lower counts in it. Default: -3.
    pub lowest_m: f64,
    /// Top of the highest layer; what lies higher counts in it. Default: 3.
    pub highest_m: f64,
}

impl Default for PointDescriptorParams {
    fn default() -> Self {
        Self { n_rings: 16, max_range_m: 64.0, n_heights: 12, lowest_m: -3.0, highest_m: 3.0 }
    }
}

impl PointDescriptorParams {
    /// # Errors
    /// [`ParamError`] naming the first parameter out of range.
    pub fn check(self) -> Result<PointDescriptor, ParamError> {
        for (name, found) in [("rings", self.n_rings), ("heights", self.n_heights)] {
            if !(1..=256).contains(&found) {
                return Err(ParamError::Bins { name, found });
            }
        }
        if !(0.0 < self.max_range_m) || !self.max_range_m.is_finite() {
            return Err(ParamError::Range { found: self.max_range_m });
        }
        let span = self.highest_m - self.lowest_m;
        if !(0.0 < span) || !span.is_finite() {
            return Err(ParamError::Heights { lowest: self.lowest_m, highest: self.highest_m });
        }
        Ok(PointDescriptor { params: self })
    }
}

/// The built-in descriptor of point clouds: how many points there are in each ring around the sensor at each height.
///
/// Counts enter by the binary logarithm of count + 1, since a ring near the sensor has a hundred times the points of a far
/// one; then the vector is brought to length 1, so that cosine and Euclidean neighbours are the same. Only distance
/// and height of points are looked at, so a turn about the vertical leaves the vector as it is (but for points that
/// rounding moves across the side of a ring). Kin of shape histograms by shells (Ankerst et al. 1999) with heights as
/// in Scan Context (Kim and Kim 2018).
///
/// Whole numbers are counted and only `+ - * /` and square roots follow, so that the same points give the same bits on
/// every machine and in any order. Coordinates are those relative to the cloud's origin.
///
/// ```
/// use labelloop_embed::PointDescriptorParams;
/// use labelloop_media::PointCloud;
///
/// let descriptor = PointDescriptorParams::default().check()?;
/// let cloud = PointCloud::new(vec![[10.0, 2.0, -1.5, 0.3], [0.0, 30.0, 0.5, 0.1]]);
/// let turned = PointCloud::new(vec![[-2.0, 10.0, -1.5, 0.3], [-30.0, 0.0, 0.5, 0.1]]);
/// let vector = descriptor.embed(&cloud)?;
/// assert_eq!(vector.len(), descriptor.n_dims());
/// assert_eq!(vector, descriptor.embed(&turned)?);
/// # Ok::<(), labelloop_embed::EmbedError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PointDescriptor {
    params: PointDescriptorParams,
}

impl PointDescriptor {
    /// The parameters it was made of.
    pub fn params(&self) -> PointDescriptorParams {
        self.params
    }

    /// Length of every vector: heights of the first ring from below, then of the next.
    pub fn n_dims(&self) -> usize {
        self.params.n_rings as usize * self.params.n_heights as usize
    }

    /// Which numbers this descriptor gives: 64 hexadecimal digits of name, version and parameters.
    pub fn digest(&self) -> String {
        self.digest_hash().to_hex().to_string()
    }

    /// What the digest stands for, in words.
    pub(crate) fn description(&self) -> String {
        crate::embedder::words("labelloop rings and heights", VERSION, &self.params)
    }

    pub(crate) fn digest_hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"labelloop rings and heights");
        hasher.update(&VERSION.to_le_bytes());
        hasher.update(&self.params.n_rings.to_le_bytes());
        hasher.update(&self.params.n_heights.to_le_bytes());
        for number in [self.params.max_range_m, self.params.lowest_m, self.params.highest_m] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.finalize()
    }

    /// The vector of a cloud.
    ///
    /// # Errors
    /// [`EmbedError::NoPoints`] when no point is within the range: such a cloud is near to nothing.
    pub fn embed(&self, cloud: &PointCloud) -> Result<Vec<f32>> {
        let mut counts = vec![0u64; self.n_dims()];
        for point in cloud.points() {
            if let Some(bin) = self.bin_of(point) {
                counts[bin] += 1;
            }
        }
        let logs = counts.iter().map(|n| log2_of(*n + 1)).collect::<Vec<_>>();
        let length = logs.iter().map(|v| v * v).sum::<f64>().sqrt();
        if length == 0.0 {
            let max_range_m = self.params.max_range_m;
            return Err(EmbedError::NoPoints { n_points: cloud.n_points(), max_range_m });
        }
        Ok(logs.iter().map(|v| (v / length) as f32).collect())
    }

    /// Nothing for points that are nowhere or too far away.
    fn bin_of(&self, point: &[f32; 4]) -> Option<usize> {
        let PointDescriptorParams { n_rings, max_range_m, n_heights, lowest_m, highest_m } = self.params;
        let [x, y, z, _] = point.map(f64::from);
        let range = (x * x + y * y).sqrt();
        if !(range < max_range_m) || !z.is_finite() {
            return None;
        }
        // Casts of floats stop at the ends: what lies lower than the lowest layer is in it.
        let ring = ((range / max_range_m * f64::from(n_rings)) as u32).min(n_rings - 1);
        let share = (z - lowest_m) / (highest_m - lowest_m);
        let height = ((share * f64::from(n_heights)) as u32).min(n_heights - 1);
        Some(ring as usize * n_heights as usize + height as usize)
    }
}

/// The binary logarithm of a number of at least 1, exact at powers of 2 and straight between them: at most 0.09 too
/// small, and the same bits on every machine, which `f64::log2` does not promise.
fn log2_of(n: u64) -> f64 {
    let power = n.ilog2();
    f64::from(power) + (n as f64 / (1u64 << power) as f64 - 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scene(seed: u64, n: u64) -> Vec<[f32; 4]> {
        let draws = labelloop_core::Seed::new(seed);
        let at = |i: u64, k: u64, side: f64| ((draws.unit(4 * i + k) - 0.5) * side) as f32;
        (0..n).map(|i| [at(i, 0, 120.0), at(i, 1, 120.0), at(i, 2, 8.0), 0.5]).collect()
    }

    #[test]
    fn defaults_are_the_documented_ones_and_valid() {
        let params = PointDescriptorParams::default();
        assert_eq!((params.n_rings, params.max_range_m, params.n_heights), (16, 64.0, 12));
        assert_eq!((params.lowest_m, params.highest_m), (-3.0, 3.0));
        assert_eq!(params.check().unwrap(), PointDescriptor::default());
        assert_eq!(PointDescriptor::default().n_dims(), 192);
    }

    #[test]
    fn numbers_of_bins_out_of_range_are_refused() {
        for found in [0, 257, u32::MAX] {
            let plain = PointDescriptorParams::default();
            let refused = PointDescriptorParams { n_rings: found, ..plain }.check();
            assert_eq!(refused, Err(ParamError::Bins { name: "rings", found }));
            let refused = PointDescriptorParams { n_heights: found, ..plain }.check();
            assert_eq!(refused, Err(ParamError::Bins { name: "heights", found }));
        }
    }

    #[test]
    fn ranges_that_are_no_length_are_refused() {
        for max_range_m in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let refused = PointDescriptorParams { max_range_m, ..Default::default() }.check();
            assert!(matches!(refused, Err(ParamError::Range { .. })));
        }
    }

    #[test]
    fn heights_that_leave_nothing_are_refused() {
        for (lowest_m, highest_m) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            let refused = PointDescriptorParams { lowest_m, highest_m, ..Default::default() }.check();
            assert!(matches!(refused, Err(ParamError::Heights { .. })));
        }
    }

    #[test]
    fn a_config_file_cannot_misspell_a_name() {
        assert!(serde_json::from_str::<PointDescriptorParams>(r#"{"rings": 3}"#).is_err());
        let back = serde_json::to_string(&PointDescriptorParams::default()).unwrap();
        assert_eq!(
            serde_json::from_str::<PointDescriptorParams>(&back).unwrap(),
            PointDescriptorParams::default()
        );
    }

    #[test]
    fn every_parameter_is_in_the_digest() {
        let plain = PointDescriptorParams::default();
        let mut digests = [
            plain,
            PointDescriptorParams { n_rings: 8, ..plain },
            PointDescriptorParams { max_range_m: 8.0, ..plain },
            PointDescriptorParams { n_heights: 8, ..plain },
            PointDescriptorParams { lowest_m: -8.0, ..plain },
            PointDescriptorParams { highest_m: 8.0, ..plain },
        ]
        .map(|p| p.check().unwrap().digest())
        .to_vec();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 6);
    }

    #[test]
    fn points_count_where_they_are() {
        let points = vec![
            [0.0, 5.0, -3.5, 0.0],
            [5.0, 0.0, -2.9, 9.0],
            [0.0, -63.9, 99.0, 0.0],
            [64.0, 0.0, 0.0, 0.0],
        ];
        let vector = PointDescriptor::default().embed(&PointCloud::new(points)).unwrap();
        let lit = vector.iter().enumerate().filter(|(_, v)| **v != 0.0).collect::<Vec<_>>();
        let [near, far] = [log2_of(3), 1.0].map(|v| (v / (log2_of(3).powi(2) + 1.0).sqrt()) as f32);
        assert_eq!(lit, [(12, &near), (191, &far)]);
    }

    #[test]
    fn clouds_without_points_in_range_have_no_vector() {
        for points in
            [vec![], vec![[100.0, 0.0, 0.0, 0.0]], vec![[f32::NAN; 4]], vec![[0.0, 0.0, f32::INFINITY, 0.0]]]
        {
            let refused = PointDescriptor::default().embed(&PointCloud::new(points));
            assert!(matches!(refused, Err(EmbedError::NoPoints { .. })));
        }
    }

    #[test]
    fn the_logarithm_is_exact_at_powers_of_two_and_near_elsewhere() {
        assert_eq!([1, 2, 3, 4, 6, 1 << 40].map(log2_of), [0.0, 1.0, 1.5, 2.0, 2.5, 40.0]);
        assert!((1..5000u64).all(|n| (0.0..0.0861).contains(&((n as f64).log2() - log2_of(n) + 1e-12))));
        assert!((1..5000u64).all(|n| log2_of(n) < log2_of(n + 1)));
    }

    #[test]
    fn the_bits_are_pinned() {
        let vector = PointDescriptor::default().embed(&PointCloud::new(scene(7, 5000))).unwrap();
        let bytes = vector.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        // Another value here means that VERSION must be raised: caches made before would be mixed with new vectors.
        assert_eq!(&blake3::hash(&bytes).to_hex()[..16], "152a2fdc68c01fdd");
    }

    proptest! {
        #[test]
        fn vectors_have_length_one_and_no_order(seed in any::<u64>(), n in 30..300u64) {
            let mut points = scene(seed, n);
            let vector = PointDescriptor::default().embed(&PointCloud::new(points.clone())).unwrap();
            points.reverse();
            prop_assert_eq!(&vector, &PointDescriptor::default().embed(&PointCloud::new(points)).unwrap());
            let length: f64 = vector.iter().map(|v| f64::from(*v).powi(2)).sum();
            prop_assert!((length - 1.0).abs() < 1e-6);
        }

        #[test]
        fn a_turn_changes_next_to_nothing(seed in any::<u64>(), angle in -4.0..4.0f64) {
            let points = scene(seed, 2000);
            let (sin, cos) = angle.sin_cos();
            let turned = points.iter().map(|p| {
                let [x, y] = [f64::from(p[0]), f64::from(p[1])];
                [(x * cos - y * sin) as f32, (x * sin + y * cos) as f32, p[2], p[3]]
            });
            let [a, b] = [points.clone(), turned.collect()].map(|p| PointDescriptor::default().embed(&PointCloud::new(p)).unwrap());
            let distance = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
            prop_assert!(distance < 0.03, "{}", distance);
        }
    }
}
