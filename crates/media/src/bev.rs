use labelloop_core::{Cuboid, CuboidFrame, ImageSize};

use crate::{MediaError, PointCloud, Result, RgbImage};

/// Longest side of a bird's-eye view, in pixels.
pub const MAX_BEV_PIXELS: u32 = 8192;

pub(crate) const BACKGROUND: [u8; 3] = [16, 18, 24];
const OUTLINE: [u8; 3] = [255, 176, 0];

/// A cloud seen from above, with the outlines of cuboids: a square picture around the sensor, forward (x) up and
/// left (y) left, showing x and y from `-extent_m` to `extent_m` metres.
///
/// The more points fall on a pixel, the lighter it is. Each cuboid is its ground rectangle and a line from its centre
/// to the middle of its front. Points and cuboids beyond the extent are cut off; points that are not finite are left
/// out. Of a cloud with an [origin](PointCloud::origin) the middle of the picture is the origin. For colours and scores
/// see [`bev_scene`](crate::bev_scene).
///
/// ```
/// use labelloop_core::{Cuboid, CuboidFrame};
/// use labelloop_media::{PointCloud, bev_image};
///
/// let cloud = PointCloud::new(vec![[9.0, 9.0, 0.0, 0.5]]);
/// let car = Cuboid::new([0.0; 3], [4.0, 2.0, 1.5], 0.0, CuboidFrame::Lidar)?;
/// let view = bev_image(&cloud, &[car], 10.0, 200)?;
/// assert_ne!(view.pixel(10, 10), view.pixel(190, 190)); // forward left is upper left
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`MediaError::InvalidExtent`], [`MediaError::InvalidBevSize`] for 0 or more than [`MAX_BEV_PIXELS`] pixels, or
/// [`MediaError::Core`] for a cuboid in a camera's frame.
pub fn bev_image(cloud: &PointCloud, cuboids: &[Cuboid], extent_m: f64, pixels: u32) -> Result<RgbImage> {
    let view = View::new(extent_m, pixels)?;
    let mut picture = view.points(cloud)?;
    for cuboid in cuboids {
        view.draw_cuboid(&mut picture, cloud, cuboid, OUTLINE)?;
    }
    Ok(picture)
}

/// Metres on the ground to pixels in the picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    extent_m: f64,
    pixels: u32,
    pixels_per_m: f64,
}

impl View {
    pub(crate) fn new(extent_m: f64, pixels: u32) -> Result<Self> {
        if !(0.0 < extent_m) || !extent_m.is_finite() {
            return Err(MediaError::InvalidExtent { found: extent_m });
        }
        if pixels == 0 || MAX_BEV_PIXELS < pixels {
            return Err(MediaError::InvalidBevSize { found: pixels, max: MAX_BEV_PIXELS });
        }
        let pixels_per_m = f64::from(pixels) / extent_m / 2.0;
        if !pixels_per_m.is_normal() {
            return Err(MediaError::InvalidExtent { found: extent_m });
        }
        Ok(Self { extent_m, pixels, pixels_per_m })
    }

    /// The points alone.
    pub(crate) fn points(self, cloud: &PointCloud) -> Result<RgbImage> {
        let mut picture = RgbImage::filled(ImageSize::new(self.pixels, self.pixels)?, BACKGROUND);
        for [x, y, _] in cloud.near_places() {
            if let Some((column, row)) = self.pixel_of(x, y) {
                let [level, ..] = picture.pixel(column, row);
                // The first point is plainly visible; further ones add a little until white.
                let lighter = if level == BACKGROUND[0] { 96 } else { level.saturating_add(16) };
                picture.set(column, row, [lighter; 3]);
            }
        }
        Ok(picture)
    }

    /// Column and row, as fractions of pixels from the upper left corner.
    pub(crate) fn place_of(self, x: f64, y: f64) -> [f64; 2] {
        [(self.extent_m - y) * self.pixels_per_m, (self.extent_m - x) * self.pixels_per_m]
    }

    pub(crate) fn pixel_of(self, x: f64, y: f64) -> Option<(u32, u32)> {
        let [column, row] = self.place_of(x, y);
        let side = f64::from(self.pixels);
        let inside = 0.0 <= column && column < side && 0.0 <= row && row < side;
        inside.then_some((column as u32, row as u32))
    }

    pub(crate) fn draw_cuboid(
        self,
        picture: &mut RgbImage,
        cloud: &PointCloud,
        cuboid: &Cuboid,
        colour: [u8; 3],
    ) -> Result<()> {
        // A camera's ground is not x and y: its cuboids must be moved to the cloud's frame before.
        if cuboid.frame() == CuboidFrame::KittiCamera {
            cuboid.expect_frame(CuboidFrame::Lidar)?;
        }
        let [ox, oy, _] = cloud.origin();
        let corners = cuboid.ground_corners().map(|[x, y]| [x - ox, y - oy]);
        for (from, to) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
            self.draw_line(picture, corners[from], corners[to], colour);
        }
        let [cx, cy, _] = cuboid.centre();
        let front = [0, 1].map(|i| f64::midpoint(corners[0][i], corners[3][i]));
        self.draw_line(picture, [cx - ox, cy - oy], front, colour);
        Ok(())
    }

    /// Steps of at most one pixel along the part of the line that is in view.
    fn draw_line(self, picture: &mut RgbImage, from_m: [f64; 2], to_m: [f64; 2], colour: [u8; 3]) {
        let from = self.place_of(from_m[0], from_m[1]);
        let to = self.place_of(to_m[0], to_m[1]);
        let Some((from, to)) = clip_line(from, to, f64::from(self.pixels)) else { return };
        let longest = (to[0] - from[0]).abs().max((to[1] - from[1]).abs());
        // The clip bounds the length by the side of the picture.
        let n_steps = longest.ceil().max(1.0) as u32;
        let last = self.pixels - 1;
        for step in 0..=n_steps {
            let share = f64::from(step) / f64::from(n_steps);
            let at = [0, 1].map(|i| (from[i] + share * (to[i] - from[i])).clamp(0.0, f64::from(last)) as u32);
            picture.set(at[0], at[1], colour);
        }
    }
}

type Line = ([f64; 2], [f64; 2]);

/// The part of a line inside the square from 0 to `side` (Liang and Barsky 1984), or nothing.
fn clip_line(from: [f64; 2], to: [f64; 2], side: f64) -> Option<Line> {
    let delta = [to[0] - from[0], to[1] - from[1]];
    if !from.iter().chain(&delta).all(|v| v.is_finite()) {
        return None;
    }
    let (mut start, mut end) = (0.0f64, 1.0f64);
    for axis in 0..2 {
        for (towards, distance) in [(-delta[axis], from[axis]), (delta[axis], side - from[axis])] {
            if towards == 0.0 {
                if distance < 0.0 {
                    return None;
                }
            } else if towards < 0.0 {
                start = start.max(distance / towards);
            } else {
                end = end.min(distance / towards);
            }
        }
    }
    let at = |share: f64| [from[0] + share * delta[0], from[1] + share * delta[1]];
    (start <= end).then(|| (at(start), at(end)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cuboid(centre: [f64; 3], size: [f64; 3], yaw: f64) -> Cuboid {
        Cuboid::new(centre, size, yaw, CuboidFrame::Lidar).unwrap()
    }

    fn outline(view: &RgbImage) -> Vec<(u32, u32)> {
        let side = view.size().width();
        let all = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
        all.filter(|(x, y)| view.pixel(*x, *y) == OUTLINE).collect()
    }

    #[test]
    fn forward_is_up_and_left_is_left() {
        let cloud = PointCloud::new(vec![[5.0, 0.0, 0.0, 0.0], [0.0, 5.0, 0.0, 0.0]]);
        let view = bev_image(&cloud, &[], 10.0, 100).unwrap();
        assert_eq!(view.pixel(50, 25), [96; 3]);
        assert_eq!(view.pixel(25, 50), [96; 3]);
        assert_eq!(view.pixel(75, 75), BACKGROUND);
    }

    #[test]
    fn more_points_are_lighter_up_to_white() {
        let shade = |n| bev_image(&PointCloud::new(vec![[0.0; 4]; n]), &[], 1.0, 2).unwrap().pixel(1, 1)[0];
        let found = [0, 1, 2, 3, 50, 500].map(shade);
        assert_eq!(found, [BACKGROUND[0], 96, 112, 128, 255, 255]);
    }

    #[test]
    fn a_box_is_its_rectangle_and_a_heading() {
        let view =
            bev_image(&PointCloud::default(), &[cuboid([0.0; 3], [4.0, 2.0, 1.0], 0.0)], 5.0, 100).unwrap();
        let lit = outline(&view);
        let (left, right) = (lit.iter().map(|p| p.0).min(), lit.iter().map(|p| p.0).max());
        let (top, bottom) = (lit.iter().map(|p| p.1).min(), lit.iter().map(|p| p.1).max());
        assert_eq!((left, right, top, bottom), (Some(40), Some(60), Some(30), Some(70)));
        assert_eq!(view.pixel(50, 40), OUTLINE, "the heading line runs forward");
        assert_eq!(view.pixel(50, 60), BACKGROUND);
    }

    #[test]
    fn huge_and_far_cuboids_are_cut_off_or_left_out() {
        let far = cuboid([1e300, 0.0, 0.0], [1.0; 3], 0.0);
        let huge = cuboid([0.0; 3], [1e300, 1.0, 1.0], 0.3);
        let overflowing = cuboid([f64::MAX; 3], [f64::MAX, 1e-5, 1e-5], 0.3);
        let view = bev_image(&PointCloud::default(), &[far, overflowing], 10.0, 50).unwrap();
        assert_eq!(outline(&view), []);
        bev_image(&PointCloud::default(), &[huge], 10.0, 50).unwrap();
    }

    #[test]
    fn points_beyond_the_extent_or_nowhere_are_left_out() {
        let cloud = PointCloud::new(vec![[11.0, 0.0, 0.0, 0.0], [f32::NAN; 4], [-10.0, -10.0, 0.0, 0.0]]);
        let view = bev_image(&cloud, &[], 10.0, 20).unwrap();
        assert_eq!(view, RgbImage::filled(view.size(), BACKGROUND));
    }

    #[test]
    fn a_cloud_with_an_origin_is_seen_around_it() {
        let origin = [433_000.0, 5_412_000.0, 0.0];
        let here = bev_image(
            &PointCloud::new(vec![[5.0, 0.0, 0.0, 0.0]]),
            &[cuboid([1.0, 2.0, 0.0], [4.0, 2.0, 1.0], 0.3)],
            10.0,
            100,
        );
        let there = bev_image(
            &PointCloud::with_origin(vec![[5.0, 0.0, 0.0, 0.0]], origin).unwrap(),
            &[cuboid([433_001.0, 5_412_002.0, 0.0], [4.0, 2.0, 1.0], 0.3)],
            10.0,
            100,
        );
        assert_eq!(here.unwrap(), there.unwrap());
    }

    #[test]
    fn cuboids_of_a_camera_are_refused() {
        let car = Cuboid::from_kitti([1.5, 1.8, 4.2], [2.0, 1.7, 10.0], -1.6).unwrap();
        let refused = bev_image(&PointCloud::default(), &[car], 10.0, 50);
        assert!(matches!(refused, Err(MediaError::Core(_))));
    }

    #[test]
    fn extents_that_are_no_length_are_refused() {
        for found in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE / 4.0] {
            let refused = bev_image(&PointCloud::default(), &[], found, 10);
            assert!(matches!(refused, Err(MediaError::InvalidExtent { .. })), "{found}");
        }
    }

    #[test]
    fn sides_of_no_pixels_or_too_many_are_refused() {
        for found in [0, MAX_BEV_PIXELS + 1, u32::MAX] {
            let refused = bev_image(&PointCloud::default(), &[], 10.0, found);
            assert!(matches!(refused, Err(MediaError::InvalidBevSize { .. })), "{found}");
        }
    }

    proptest! {
        #[test]
        fn clipped_ends_are_in_the_square_and_on_the_line(
            from in [-20.0..30.0f64, -20.0..30.0f64], to in [-20.0..30.0f64, -20.0..30.0f64],
        ) {
            if let Some((a, b)) = clip_line(from, to, 10.0) {
                for p in [a, b] {
                    prop_assert!(p.iter().all(|v| (-1e-9..=10.0 + 1e-9).contains(v)));
                    let cross = (to[0] - from[0]) * (p[1] - from[1]) - (to[1] - from[1]) * (p[0] - from[0]);
                    prop_assert!(cross.abs() < 1e-6);
                }
            } else {
                for i in 0..=1000 {
                    let t = f64::from(i) / 1000.0;
                    let p = [0, 1].map(|k| from[k] + t * (to[k] - from[k]));
                    prop_assert!(!p.iter().all(|v| (1e-9..10.0 - 1e-9).contains(v)));
                }
            }
        }

        #[test]
        fn any_cuboids_are_drawn_without_a_panic(
            centre in [-1e3..1e3f64, -1e3..1e3f64, -5.0..5.0f64], length in 1e-6..1e4f64, yaw in -10.0..10.0f64,
        ) {
            let cuboids = [cuboid(centre, [length, length / 2.0, 1.0], yaw)];
            let view = bev_image(&PointCloud::default(), &cuboids, 40.0, 64).unwrap();
            prop_assert_eq!(view.size().width(), 64);
        }
    }
}
