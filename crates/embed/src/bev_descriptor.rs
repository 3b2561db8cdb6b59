use labelloop_media::{BevFeatureParams, PointCloud};
use serde::{Deserialize, Serialize};

use crate::{Descriptor, DescriptorParams, ParamError, Result};

/// Raised whenever the same cloud and parameters would give other numbers.
const VERSION: u32 = 1;

/// How clouds become pictures from above, and these vectors; [`check`](Self::check) makes a [`BevDescriptor`] of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BevDescriptorParams {
    /// The picture shows x and y from minus this to this, in metres. Default: 50.
    pub extent_m: f64,
    /// Pixels on both sides. Default: 256.
    pub pixels: u32,
    /// Height that is darkest, in metres. Default: -3.
    pub lowest_m: f64,
    /// Height that is lightest. Default: 3.
    pub highest_m: f64,
    /// Intensity that is full. Default: 1 (KITTI); nuScenes has 255, LAS 65535.
    pub full_intensity: f64,
    /// What is measured of the picture.
    pub picture: DescriptorParams,
}

impl Default for BevDescriptorParams {
    fn default() -> Self {
        let BevFeatureParams { extent_m, pixels, lowest_m, highest_m, full_intensity } =
            BevFeatureParams::default();
        Self { extent_m, pixels, lowest_m, highest_m, full_intensity, picture: DescriptorParams::default() }
    }
}

impl BevDescriptorParams {
    /// # Errors
    /// [`ParamError`] naming the first parameter out of range.
    pub fn check(self) -> Result<BevDescriptor, ParamError> {
        self.features().check().map_err(|e| ParamError::Bev { reason: e.to_string() })?;
        Ok(BevDescriptor { params: self, picture: self.picture.check()? })
    }

    fn features(&self) -> BevFeatureParams {
        let Self { extent_m, pixels, lowest_m, highest_m, full_intensity, .. } = *self;
        BevFeatureParams { extent_m, pixels, lowest_m, highest_m, full_intensity }
    }
}

/// The picture descriptor on a cloud seen from above ([`labelloop_media::bev_features_image`]): tells apart what lies
/// where around the sensor, which [`PointDescriptor`](crate::PointDescriptor) does not.
///
/// A model of one's own that takes pictures is used likewise: give it that picture.
///
/// ```
/// use labelloop_embed::BevDescriptorParams;
/// use labelloop_media::PointCloud;
///
/// let descriptor = BevDescriptorParams::default().check()?;
/// let vector = descriptor.embed(&PointCloud::new(vec![[10.0, 2.0, -1.5, 0.3]]))?;
/// assert_eq!(vector.len(), descriptor.n_dims());
/// # Ok::<(), labelloop_embed::EmbedError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BevDescriptor {
    params: BevDescriptorParams,
    picture: Descriptor,
}

impl BevDescriptor {
    /// The parameters it was made of.
    pub fn params(&self) -> BevDescriptorParams {
        self.params
    }

    /// Length of every vector: that of the picture descriptor.
    pub fn n_dims(&self) -> usize {
        self.picture.n_dims()
    }

    /// Which numbers this descriptor gives: 64 hexadecimal digits of name, version and parameters.
    pub fn digest(&self) -> String {
        self.digest_hash().to_hex().to_string()
    }

    /// What the digest stands for, in words.
    pub(crate) fn description(&self) -> String {
        crate::embedder::words("labelloop picture from above", VERSION, &self.params)
    }

    pub(crate) fn digest_hash(&self) -> blake3::Hash {
        let BevDescriptorParams { extent_m, pixels, lowest_m, highest_m, full_intensity, .. } = self.params;
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"labelloop picture from above");
        hasher.update(&VERSION.to_le_bytes());
        hasher.update(&pixels.to_le_bytes());
        for number in [extent_m, lowest_m, highest_m, full_intensity] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(self.picture.digest_hash().as_bytes());
        hasher.finalize()
    }

    /// The vector of a cloud; the same points give the same bits in any order.
    ///
    /// # Errors
    /// [`EmbedError::Media`](crate::EmbedError::Media) when the picture cannot be made.
    pub fn embed(&self, cloud: &PointCloud) -> Result<Vec<f32>> {
        self.picture.embed(&self.params.features().check()?.image(cloud)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(x: f32) -> PointCloud {
        PointCloud::new(
            (0..200u8).map(|i| [x, f32::from(i) / 5.0 - 20.0, f32::from(i % 20) / 10.0, 0.4]).collect(),
        )
    }

    fn distance(a: &PointCloud, b: &PointCloud) -> f32 {
        let [a, b] = [a, b].map(|cloud| BevDescriptor::default().embed(cloud).unwrap());
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    }

    #[test]
    fn defaults_are_the_documented_ones_and_valid() {
        let params = BevDescriptorParams::default();
        assert_eq!((params.extent_m, params.pixels, params.full_intensity), (50.0, 256, 1.0));
        assert_eq!((params.lowest_m, params.highest_m), (-3.0, 3.0));
        assert_eq!(params.check().unwrap(), BevDescriptor::default());
        assert_eq!(BevDescriptor::default().n_dims(), Descriptor::default().n_dims());
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let plain = BevDescriptorParams::default();
        for params in [
            BevDescriptorParams { extent_m: f64::NAN, ..plain },
            BevDescriptorParams { pixels: 0, ..plain },
            BevDescriptorParams { highest_m: -9.0, ..plain },
            BevDescriptorParams { full_intensity: 0.0, ..plain },
        ] {
            assert!(matches!(params.check(), Err(ParamError::Bev { .. })));
        }
        let picture = DescriptorParams { levels: 9, ..Default::default() };
        assert!(matches!(
            BevDescriptorParams { picture, ..plain }.check(),
            Err(ParamError::Levels { found: 9 })
        ));
    }

    #[test]
    fn every_parameter_is_in_the_digest() {
        let plain = BevDescriptorParams::default();
        let picture = DescriptorParams { levels: 3, ..Default::default() };
        let mut digests = [
            plain,
            BevDescriptorParams { extent_m: 40.0, ..plain },
            BevDescriptorParams { pixels: 128, ..plain },
            BevDescriptorParams { lowest_m: -2.0, ..plain },
            BevDescriptorParams { highest_m: 2.0, ..plain },
            BevDescriptorParams { full_intensity: 255.0, ..plain },
            BevDescriptorParams { picture, ..plain },
        ]
        .map(|p| p.check().unwrap().digest())
        .to_vec();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 7);
    }

    #[test]
    fn where_things_are_matters() {
        assert_eq!(distance(&wall(10.0), &wall(10.0)), 0.0);
        assert!(distance(&wall(10.0), &wall(10.2)) < distance(&wall(10.0), &wall(-30.0)));
    }
}
