use labelloop_core::Cuboid;

use crate::PointCloud;
use crate::cloud::placed;

/// Cells along each side of the grid that sorts cuboids by place.
const N_CELLS: usize = 128;
/// Cuboids that one word of the grid can name.
const BATCH: usize = 64;
/// Cuboids that reach farther than this, in metres, are looked at one by one: a grid over them would have no fine cells.
const FARTHEST_M: f64 = 1e9;

/// Number of points in a cuboid; its faces belong to it. Points that are not finite are nowhere.
///
/// The cloud and the cuboid must be in one frame; a cloud does not know its own, so nothing can check that. The cuboid may
/// be turned in any way. Linear in the number of points.
///
/// ```
/// use labelloop_core::{Cuboid, CuboidFrame};
/// use labelloop_media::{PointCloud, points_in_cuboid};
///
/// let cloud = PointCloud::new(vec![[10.0, 0.0, 0.0, 0.1], [12.5, 0.0, 0.0, 0.1]]);
/// let car = Cuboid::new([10.0, 0.0, 0.0], [4.0, 2.0, 2.0], 0.0, CuboidFrame::Lidar)?;
/// assert_eq!(points_in_cuboid(&cloud, &car), 1);
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
pub fn points_in_cuboid(cloud: &PointCloud, cuboid: &Cuboid) -> usize {
    let (region, origin) = (Region::of(cuboid), cloud.origin());
    cloud.points().iter().filter(|point| region.holds(placed(point, &origin))).count()
}

/// Number of points in each of many cuboids, in their order: for every one of them exactly what [`points_in_cuboid`]
/// says.
///
/// One pass over the points for every 64 cuboids: a grid on the ground tells which cuboids a point can be in at all, and
/// only those are asked. A point that is in several cuboids counts in each.
///
/// ```
/// use labelloop_core::{Cuboid, CuboidFrame};
/// use labelloop_media::{PointCloud, count_points};
///
/// let cloud = PointCloud::new(vec![[10.0, 0.0, 0.0, 0.1], [12.5, 0.0, 0.0, 0.1]]);
/// let car = |x| Cuboid::new([x, 0.0, 0.0], [4.0, 2.0, 2.0], 0.0, CuboidFrame::Lidar);
/// assert_eq!(count_points(&cloud, &[car(10.0)?, car(11.0)?, car(30.0)?]), [1, 2, 0]);
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
pub fn count_points(cloud: &PointCloud, cuboids: &[Cuboid]) -> Vec<u32> {
    let regions = cuboids.iter().map(Region::of).collect::<Vec<_>>();
    let mut counts = vec![0; regions.len()];
    for (regions, counts) in regions.chunks(BATCH).zip(counts.chunks_mut(BATCH)) {
        match Grid::over(regions) {
            Some(grid) => grid.count(cloud, regions, counts),
            None => count_one_by_one(cloud, regions, counts),
        }
    }
    counts
}

impl PointCloud {
    /// Numbers of the points in a cuboid, rising; its faces belong to it.
    ///
    /// ```
    /// use labelloop_core::{Cuboid, CuboidFrame};
    /// use labelloop_media::PointCloud;
    ///
    /// let cloud = PointCloud::new(vec![[90.0, 0.0, 0.0, 0.1], [10.0, 0.5, 0.0, 0.2]]);
    /// let car = Cuboid::new([10.0, 0.0, 0.0], [4.0, 2.0, 2.0], 0.0, CuboidFrame::Lidar)?;
    /// assert_eq!(cloud.rows_in(&car), [1]);
    /// assert_eq!(cloud.crop_to(&car).points(), [[10.0, 0.5, 0.0, 0.2]]);
    /// # Ok::<(), labelloop_core::CoreError>(())
    /// ```
    pub fn rows_in(&self, cuboid: &Cuboid) -> Vec<usize> {
        let (region, origin) = (Region::of(cuboid), self.origin());
        let rows = self.points().iter().enumerate();
        rows.filter(|(_, point)| region.holds(placed(point, &origin))).map(|(row, _)| row).collect()
    }

    /// The points in a cuboid, in their order and where they were; their number is that of [`points_in_cuboid`].
    pub fn crop_to(&self, cuboid: &Cuboid) -> Self {
        self.select(&self.rows_in(cuboid))
    }
}

/// A cuboid as points are asked whether they are in it.
#[derive(Debug, Clone, Copy)]
struct Region {
    centre: [f64; 3],
    half: [f64; 3],
    /// Columns are the directions of length, width and height.
    axes: [[f64; 3]; 3],
}

impl Region {
    fn of(cuboid: &Cuboid) -> Self {
        Self { centre: cuboid.centre(), half: cuboid.size().map(|side| side / 2.0), axes: cuboid.axes() }
    }

    /// False for coordinates that are not numbers, since no comparison with them is true.
    fn holds(&self, place: [f64; 3]) -> bool {
        let [dx, dy, dz] = [0, 1, 2].map(|k| place[k] - self.centre[k]);
        let [x, y, z] = &self.axes;
        let inside = |k: usize| (dx * x[k] + dy * y[k] + dz * z[k]).abs() <= self.half[k];
        inside(0) && inside(1) && inside(2)
    }

    /// Lowest and highest x and y that a point inside can have, a little more than exact: rounding in
    /// [`holds`](Self::holds) may let in what lies outside by a few units in the last place.
    fn bounds(&self) -> [[f64; 2]; 2] {
        [0, 1].map(|row| {
            let reach: f64 = (0..3).map(|k| self.axes[row][k].abs() * self.half[k]).sum();
            let margin = 1e-9 * (self.centre[row].abs() + self.half.iter().sum::<f64>());
            [self.centre[row] - reach - margin, self.centre[row] + reach + margin]
        })
    }
}

fn count_one_by_one(cloud: &PointCloud, regions: &[Region], counts: &mut [u32]) {
    let origin = cloud.origin();
    for point in cloud.points() {
        let place = placed(point, &origin);
        for (count, region) in counts.iter_mut().zip(regions) {
            *count += u32::from(region.holds(place));
        }
    }
}

/// A square of ground cut into cells; each names the cuboids that reach into it by the bits of a word.
///
/// The outermost cells are beyond all cuboids, and points outside the square count as being in them.
struct Grid {
    low: [f64; 2],
    cells_per_m: [f64; 2],
    words: Vec<u64>,
}

impl Grid {
    /// Nothing for no cuboids, and for some that reach too far.
    fn over(regions: &[Region]) -> Option<Self> {
        let bounds = regions.iter().map(Region::bounds).collect::<Vec<_>>();
        let low = [0, 1].map(|axis| bounds.iter().map(|b| b[axis][0]).fold(f64::INFINITY, f64::min));
        let high = [0, 1].map(|axis| bounds.iter().map(|b| b[axis][1]).fold(f64::NEG_INFINITY, f64::max));
        let is_near = |v: &f64| v.abs() <= FARTHEST_M;
        if !low.iter().chain(&high).all(is_near) {
            return None;
        }
        let cells_per_m = [0, 1].map(|axis| (N_CELLS - 4) as f64 / (high[axis] - low[axis]).max(1e-6));
        let low = [0, 1].map(|axis| low[axis] - 2.0 / cells_per_m[axis]);
        let mut grid = Self { low, cells_per_m, words: vec![0; N_CELLS * N_CELLS] };
        for (bit, [x, y]) in bounds.iter().enumerate() {
            grid.mark(1 << bit, [grid.column(0, x[0]), grid.column(0, x[1])], [y[0], y[1]]);
        }
        Some(grid)
    }

    fn mark(&mut self, bit: u64, columns: [usize; 2], y: [f64; 2]) {
        let rows = y.map(|y| self.column(1, y));
        for row in rows[0]..=rows[1] {
            for word in &mut self.words[row * N_CELLS..][columns[0]..=columns[1]] {
                *word |= bit;
            }
        }
    }

    /// Number of the cell along an axis. Never falls as the coordinate rises, so that a point between the bounds of a
    /// cuboid is in a cell between those of its bounds, however the numbers are rounded. NaN is in the first.
    fn column(&self, axis: usize, coordinate: f64) -> usize {
        let cell = (coordinate - self.low[axis]) * self.cells_per_m[axis];
        (cell as u32 as usize).min(N_CELLS - 1)
    }

    fn count(&self, cloud: &PointCloud, regions: &[Region], counts: &mut [u32]) {
        let origin = cloud.origin();
        for point in cloud.points() {
            let place = placed(point, &origin);
            let mut word = self.words[self.column(1, place[1]) * N_CELLS + self.column(0, place[0])];
            while word != 0 {
                let bit = word.trailing_zeros() as usize;
                counts[bit] += u32::from(regions[bit].holds(place));
                word &= word - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{CuboidFrame, CuboidOrigin, Rotation};
    use proptest::prelude::*;

    use super::*;

    fn cuboid(centre: [f64; 3], size: [f64; 3], yaw: f64) -> Cuboid {
        Cuboid::new(centre, size, yaw, CuboidFrame::Lidar).unwrap()
    }

    fn one_by_one(cloud: &PointCloud, cuboids: &[Cuboid]) -> Vec<u32> {
        cuboids.iter().map(|c| u32::try_from(points_in_cuboid(cloud, c)).unwrap()).collect()
    }

    #[test]
    fn points_that_are_not_finite_are_counted_and_are_nowhere() {
        let nan = f32::NAN;
        let cloud = PointCloud::new(vec![
            [nan, 0.0, 0.0, 0.0],
            [0.0, f32::INFINITY, 0.0, 0.0],
            [0.0, 0.0, 0.0, nan],
            [0.0, 0.0, 0.0, 0.0],
        ]);
        assert_eq!(cloud.n_not_finite(), 3);
        let around = cuboid([0.0; 3], [2.0; 3], 0.0);
        assert_eq!(points_in_cuboid(&cloud, &around), 2, "a point with a bad intensity still has a place");
    }

    #[test]
    fn faces_belong_to_the_cuboid() {
        let cloud =
            PointCloud::new(vec![[2.0, 0.0, 0.0, 0.0], [0.0, 1.0, -0.5, 0.0], [2.001, 0.0, 0.0, 0.0]]);
        assert_eq!(points_in_cuboid(&cloud, &cuboid([0.0; 3], [4.0, 2.0, 1.0], 0.0)), 2);
    }

    #[test]
    fn yaw_turns_length_towards_y() {
        let cloud = PointCloud::new(vec![[0.0, 1.9, 0.0, 0.0], [1.9, 0.0, 0.0, 0.0]]);
        assert_eq!(points_in_cuboid(&cloud, &cuboid([0.0; 3], [4.0, 2.0, 1.0], 0.0)), 1);
        let turned = cuboid([0.0; 3], [4.0, 2.0, 1.0], std::f64::consts::FRAC_PI_2);
        let only_first = PointCloud::new(vec![cloud.points()[0]]);
        assert_eq!(points_in_cuboid(&only_first, &turned), 1);
    }

    #[test]
    fn no_cuboids_and_no_points_are_no_counts() {
        let cloud = PointCloud::new(vec![[0.0; 4]]);
        assert_eq!(count_points(&cloud, &[]), []);
        assert_eq!(count_points(&PointCloud::default(), &[cuboid([0.0; 3], [1.0; 3], 0.0)]), [0]);
    }

    #[test]
    fn cuboids_without_end_and_far_away_are_counted_too() {
        let cloud =
            PointCloud::new(vec![[0.0; 4], [f32::MAX, 0.0, 0.0, 0.0], [f32::NAN; 4], [1e30, 1.0, 0.0, 0.0]]);
        let cuboids = [
            cuboid([0.0; 3], [1e300, 1.0, 1.0], 0.3),
            cuboid([1e30, 0.0, 0.0], [1e29; 3], 0.0),
            cuboid([f64::MAX; 3], [1e100; 3], 0.3),
            cuboid([0.0; 3], [1e-12; 3], 1.0),
        ];
        assert_eq!(count_points(&cloud, &cuboids), one_by_one(&cloud, &cuboids));
        assert_eq!(count_points(&cloud, &cuboids)[3], 1);
    }

    #[test]
    fn a_cloud_with_an_origin_is_counted_where_it_is() {
        let cloud =
            PointCloud::with_origin(vec![[0.5, 0.25, 1.0, 0.0]; 3], [433_000.0, 5_412_000.0, 0.0]).unwrap();
        let there = cuboid([433_000.0, 5_412_000.0, 1.0], [2.0; 3], 0.7);
        let here = cuboid([0.0, 0.0, 1.0], [2.0; 3], 0.7);
        assert_eq!(count_points(&cloud, &[there, here]), [3, 0]);
        assert_eq!(cloud.crop_to(&there), cloud);
        assert_eq!(cloud.crop_to(&here).origin(), cloud.origin());
    }

    #[test]
    fn a_tilted_cuboid_holds_what_lies_along_its_axes() {
        let (sin, cos) = (30f64.to_radians() / 2.0).sin_cos();
        // Turned by 30 degrees about y: the nose points down.
        let tilted = Cuboid::posed(
            [5.0, 0.0, 0.0],
            CuboidOrigin::Centre,
            [4.0, 1.0, 0.5],
            Rotation::Quaternion([cos, 0.0, sin, 0.0]),
            CuboidFrame::Lidar,
        )
        .unwrap();
        let nose =
            [5.0 + 1.9 * 30f64.to_radians().cos(), 0.0, -1.9 * 30f64.to_radians().sin()].map(|v| v as f32);
        let cloud = PointCloud::new(vec![[nose[0], nose[1], nose[2], 0.0], [6.9, 0.0, 0.0, 0.0]]);
        assert_eq!(cloud.rows_in(&tilted), [0]);
        assert_eq!(count_points(&cloud, &[tilted]), [1]);
    }

    #[test]
    fn the_bottom_is_no_centre() {
        let cloud = PointCloud::new(vec![[0.0, 0.0, 0.9, 0.0], [0.0, 0.0, -0.4, 0.0]]);
        let at = |origin| {
            Cuboid::posed([0.0; 3], origin, [1.0; 3], Rotation::Yaw(0.0), CuboidFrame::Lidar).unwrap()
        };
        let counts = count_points(&cloud, &[at(CuboidOrigin::Centre), at(CuboidOrigin::BottomCentre)]);
        assert_eq!(counts, [1, 1]);
        assert_eq!(cloud.rows_in(&at(CuboidOrigin::BottomCentre)), [0]);
    }

    #[test]
    fn points_on_faces_are_counted_alike_by_both_ways() {
        // Lattices of points on the faces of boxes at places where coordinates round.
        let mut points = Vec::new();
        for i in 0..40u8 {
            let t = f32::from(i) / 10.0 - 2.0;
            points.extend([
                [t + 70.1, 2.0 + 33.3, 0.5, 0.0],
                [70.1 + 2.0, t + 33.3, -0.5, 0.0],
                [70.1 - 2.0, t + 33.3, 0.0, 0.0],
            ]);
        }
        let cloud = PointCloud::new(points);
        let centre = [f64::from(70.1f32), f64::from(33.3f32), 0.0];
        let turns = (0..200).map(|i| f64::from(i) * std::f64::consts::FRAC_PI_2 / 10.0);
        let cuboids = turns.map(|yaw| cuboid(centre, [4.0, 4.0, 1.0], yaw)).collect::<Vec<_>>();
        let counts = count_points(&cloud, &cuboids);
        assert_eq!(counts, one_by_one(&cloud, &cuboids));
        assert!(counts.iter().any(|n| 0 < *n));
    }

    proptest! {
        #[test]
        fn many_cuboids_at_once_count_as_one_by_one(
            seed in any::<u64>(), n_points in 0..400u64, n_cuboids in 0..150u64, spread in 1.0..60.0f64,
            origin in proptest::sample::select(vec![0.0, 1e3, -5e6]),
        ) {
            let draws = labelloop_core::Seed::new(seed);
            let number = |i: u64, k: u64, from: f64, to: f64| from + (to - from) * draws.unit(16 * i + k);
            let points = (0..n_points).map(|i| [0, 1, 2, 3].map(|k| number(i, k, -spread, spread) as f32)).collect();
            let cloud = PointCloud::with_origin(points, [origin, origin, 0.0]).unwrap();
            let cuboids = (n_points..n_points + n_cuboids).map(|i| {
                let centre = [0, 1, 2].map(|k| number(i, k, -spread, spread) + if k < 2 { origin } else { 0.0 });
                let size = [3, 4, 5].map(|k| number(i, k, 0.01, 20.0));
                let yaw = number(i, 6, -7.0, 7.0);
                let tilted = Rotation::Euler([number(i, 7, -1.0, 1.0), number(i, 8, -1.0, 1.0), yaw]);
                let rotation = if i % 3 == 0 { tilted } else { Rotation::Yaw(yaw) };
                Cuboid::posed(centre, CuboidOrigin::Centre, size, rotation, CuboidFrame::Lidar).unwrap()
            }).collect::<Vec<_>>();
            prop_assert_eq!(count_points(&cloud, &cuboids), one_by_one(&cloud, &cuboids));
        }

        #[test]
        fn what_is_cropped_is_what_is_counted(
            xs in proptest::collection::vec(-4.0..4.0f32, 0..200), yaw in -4.0..4.0f64, size in 0.1..5.0f64,
        ) {
            let cloud = PointCloud::new(xs.chunks_exact(3).map(|p| [p[0], p[1], p[2], 0.0]).collect());
            let region = cuboid([0.1, 0.2, 0.3], [size, 2.0, 3.0], yaw);
            let cropped = cloud.crop_to(&region);
            prop_assert_eq!(cropped.n_points(), points_in_cuboid(&cloud, &region));
            prop_assert_eq!(points_in_cuboid(&cropped, &region), cropped.n_points());
        }

        #[test]
        fn a_point_is_inside_when_it_is_on_the_inner_side_of_all_ground_edges(
            x in -5.0..5.0f32, y in -5.0..5.0f32, z in -2.0..2.0f32,
            centre in [-2.0..2.0f64, -2.0..2.0f64, -1.0..1.0f64],
            size in [0.1..6.0f64, 0.1..6.0f64, 0.1..3.0f64],
            yaw in -7.0..7.0f64,
        ) {
            let cuboid = cuboid(centre, size, yaw);
            let corners = cuboid.ground_corners();
            let (px, py) = (f64::from(x), f64::from(y));
            let sides = (0..4).map(|i| {
                let ([ax, ay], [bx, by]) = (corners[i], corners[(i + 1) % 4]);
                (bx - ax) * (py - ay) - (by - ay) * (px - ax)
            }).collect::<Vec<_>>();
            // On an edge the two ways of counting may round differently.
            prop_assume!(sides.iter().all(|s| 1e-6 < s.abs()));
            let inside = sides.iter().all(|s| 0.0 < *s) && (f64::from(z) - centre[2]).abs() <= size[2] / 2.0;
            let cloud = PointCloud::new(vec![[x, y, z, 0.0]]);
            prop_assert_eq!(points_in_cuboid(&cloud, &cuboid) == 1, inside);
        }
    }
}
