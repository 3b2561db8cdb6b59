use crate::{MediaError, Result};

/// Coordinates up to this far from zero are kept as they stand, in metres: an `f32` holds them to a quarter of a
/// millimetre. Only farther ones get an origin of their own.
const NEAR_M: f64 = 8192.0;
/// Origins are whole multiples of this, in metres, so that clouds of one place mostly share theirs.
const ORIGIN_STEP_M: f64 = 1000.0;

/// Lidar returns: x forward, y left, z up in metres, and intensity as the file has it (KITTI 0 to 1, nuScenes 0 to 255,
/// LAS 0 to 65535), in the order of the file.
///
/// Coordinates are `f32` relative to [`origin`](Self::origin), which is zero for clouds in a sensor's frame. Maps in
/// UTM have coordinates of millions of metres, where an `f32` is good to half a metre; readers of such files set the
/// origin to whole kilometres near the first point and keep millimetres.
///
/// Points that are not finite are kept, since dropping them would shift what other files say about point numbers;
/// they are counted, and no geometry below counts them as being anywhere.
///
/// ```
/// use labelloop_media::PointCloud;
///
/// let cloud = PointCloud::new(vec![[1.0, 2.0, 0.5, 0.3], [f32::NAN, 0.0, 0.0, 0.0]]);
/// assert_eq!((cloud.n_points(), cloud.n_not_finite()), (2, 1));
/// let mapped = PointCloud::with_origin(vec![[1.5, 2.0, 0.5, 0.3]], [433_000.0, 5_412_000.0, 0.0])?;
/// assert_eq!(mapped.place(0), Some([433_001.5, 5_412_002.0, 0.5]));
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PointCloud {
    points: Vec<[f32; 4]>,
    origin: [f64; 3],
    n_not_finite: usize,
}

impl PointCloud {
    /// Takes rows of x, y, z, intensity; the origin is zero.
    pub fn new(points: Vec<[f32; 4]>) -> Self {
        let n_not_finite = points.iter().filter(|p| !p.iter().all(|v| v.is_finite())).count();
        Self { points, origin: [0.0; 3], n_not_finite }
    }

    /// Takes rows of x, y, z relative to an origin, and intensity.
    ///
    /// # Errors
    /// [`MediaError::InvalidOrigin`] for a coordinate of the origin that is not finite.
    pub fn with_origin(points: Vec<[f32; 4]>, origin: [f64; 3]) -> Result<Self> {
        if !origin.iter().all(|v| v.is_finite()) {
            return Err(MediaError::InvalidOrigin { found: origin });
        }
        Ok(Self { origin, ..Self::new(points) })
    }

    /// Rows of x, y, z relative to the origin, and intensity.
    pub fn points(&self) -> &[[f32; 4]] {
        &self.points
    }

    /// What is to be added to x, y, z of every row to get coordinates of the file's frame, in metres.
    pub fn origin(&self) -> [f64; 3] {
        self.origin
    }

    /// Rows there are, finite or not.
    pub fn n_points(&self) -> usize {
        self.points.len()
    }

    /// Rows with a NaN or an infinity among their four numbers.
    pub fn n_not_finite(&self) -> usize {
        self.n_not_finite
    }

    /// Coordinates of a row in the file's frame, the origin added; nothing beyond the last row or for a point that is
    /// nowhere.
    pub fn place(&self, row: usize) -> Option<[f64; 3]> {
        let point = self.points.get(row)?;
        point[..3].iter().all(|v| v.is_finite()).then(|| placed(point, &self.origin))
    }

    /// The rows of these numbers, in their order, under the same origin; numbers beyond the last row are left out.
    ///
    /// ```
    /// use labelloop_media::PointCloud;
    ///
    /// let cloud = PointCloud::new(vec![[0.0; 4], [1.0; 4], [2.0; 4]]);
    /// assert_eq!(cloud.select(&[2, 0, 9]).points(), [[2.0; 4], [0.0; 4]]);
    /// ```
    pub fn select(&self, rows: &[usize]) -> Self {
        let points = rows.iter().filter_map(|row| self.points.get(*row).copied()).collect();
        Self { origin: self.origin, ..Self::new(points) }
    }

    /// The places of the points that are somewhere, relative to the origin: x, y, z finite.
    pub(crate) fn near_places(&self) -> impl Iterator<Item = [f64; 3]> + '_ {
        let somewhere = self.points.iter().filter(|p| p[..3].iter().all(|v| v.is_finite()));
        somewhere.map(|p| placed(p, &[0.0; 3]))
    }
}

/// Coordinates with the origin added: exact for a zero origin.
pub(crate) fn placed(point: &[f32; 4], origin: &[f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|axis| f64::from(point[axis]) + origin[axis])
}

/// Makes a cloud of `f64` coordinates without losing what makes them differ.
///
/// The origin is found from the first point that is somewhere: zero along axes where it lies within [`NEAR_M`] of zero,
/// else the nearest multiple of [`ORIGIN_STEP_M`].
#[derive(Debug, Default)]
pub(crate) struct CloudBuilder {
    points: Vec<[f32; 4]>,
    origin: Option<[f64; 3]>,
}

impl CloudBuilder {
    pub(crate) fn push(&mut self, place: [f64; 3], intensity: f32) {
        if self.origin.is_none() && place.iter().all(|v| v.is_finite()) {
            let origin = place.map(origin_of);
            // What came before was nowhere, but its finite coordinates should be relative to the origin as well.
            for point in &mut self.points {
                let moved = [0, 1, 2].map(|axis| (f64::from(point[axis]) - origin[axis]) as f32);
                point[..3].copy_from_slice(&moved);
            }
            self.origin = Some(origin);
        }
        let origin = self.origin.unwrap_or_default();
        let [x, y, z] = [0, 1, 2].map(|axis| (place[axis] - origin[axis]) as f32);
        self.points.push([x, y, z, intensity]);
    }

    pub(crate) fn finish(self) -> PointCloud {
        PointCloud { origin: self.origin.unwrap_or_default(), ..PointCloud::new(self.points) }
    }
}

fn origin_of(coordinate: f64) -> f64 {
    if coordinate.abs() <= NEAR_M {
        return 0.0;
    }
    (coordinate / ORIGIN_STEP_M).round() * ORIGIN_STEP_M
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn built(places: &[[f64; 3]]) -> PointCloud {
        let mut builder = CloudBuilder::default();
        places.iter().for_each(|place| builder.push(*place, 0.5));
        builder.finish()
    }

    #[test]
    fn points_that_are_not_finite_are_counted_and_are_nowhere() {
        let cloud =
            PointCloud::new(vec![[f32::NAN, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, f32::INFINITY], [1.0; 4]]);
        assert_eq!((cloud.n_points(), cloud.n_not_finite()), (3, 2));
        let places = [0, 1, 2, 3].map(|row| cloud.place(row));
        assert_eq!(places, [None, Some([0.0; 3]), Some([1.0; 3]), None]);
    }

    #[test]
    fn origins_that_are_no_place_are_refused() {
        for found in [f64::NAN, f64::INFINITY] {
            let refused = PointCloud::with_origin(Vec::new(), [0.0, found, 0.0]);
            assert!(matches!(refused, Err(MediaError::InvalidOrigin { .. })), "{found}");
        }
    }

    #[test]
    fn coordinates_of_a_sensor_stay_as_they_are() {
        let cloud = built(&[[-120.25, 80.5, -3.0], [8192.0, 9000.0, 0.1]]);
        assert_eq!(cloud.origin(), [0.0; 3]);
        assert_eq!(cloud.points()[0][..3], [-120.25, 80.5, -3.0]);
    }

    #[test]
    fn map_coordinates_keep_their_millimetres() {
        let places = [[433_512.123, 5_412_345.678, 412.301], [433_512.124, 5_412_345.679, 412.302]];
        let cloud = built(&places);
        assert_eq!(cloud.origin(), [434_000.0, 5_412_000.0, 0.0]);
        for (row, place) in places.iter().enumerate() {
            let found = cloud.place(row).unwrap();
            assert!(found.iter().zip(place).all(|(a, b)| (a - b).abs() < 2e-5), "{found:?}");
        }
        // Without an origin the two points would be one.
        assert_eq!(places[0][1] as f32, places[1][1] as f32);
    }

    #[test]
    fn points_before_the_first_place_are_relative_to_the_same_origin() {
        let cloud = built(&[[f64::NAN, 5_000_250.0, 0.0], [20_000.0, 5_000_000.0, 0.0]]);
        assert_eq!(cloud.origin(), [20_000.0, 5_000_000.0, 0.0]);
        assert_eq!(cloud.points()[0][1], 250.0);
    }

    #[test]
    fn selected_rows_keep_the_origin_and_are_counted_anew() {
        let rows = vec![[f32::NAN; 4], [1.0; 4]];
        let cloud = PointCloud::with_origin(rows, [1e6, 0.0, 0.0]).unwrap();
        assert_eq!((cloud.n_not_finite(), cloud.select(&[1]).n_not_finite()), (1, 0));
        assert_eq!(cloud.select(&[1]).place(0), Some([1_000_001.0, 1.0, 1.0]));
    }

    proptest! {
        #[test]
        fn no_tile_of_a_few_kilometres_loses_more_than_half_a_millimetre(
            corner in [-1e7..1e7f64, -1e7..1e7f64, -100.0..9000.0f64],
            steps in proptest::collection::vec([-4e3..4e3f64, -4e3..4e3f64, -4e2..4e2f64], 1..20),
        ) {
            let places = steps.iter().map(|s| [0, 1, 2].map(|k| corner[k] + s[k])).collect::<Vec<_>>();
            let cloud = built(&places);
            for (row, place) in places.iter().enumerate() {
                let found = cloud.place(row).unwrap();
                prop_assert!(found.iter().zip(place).all(|(a, b)| (a - b).abs() <= 5e-4));
            }
        }
    }
}
