//! What of a cloud stands above the ground.

use labelloop_media::PointCloud;

use super::CloudDetectorParams;
use super::ground::Ground;

/// A return from something that stands on the ground.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) z: f64,
    /// Metres above the ground.
    pub(crate) height: f64,
    pub(crate) intensity: f64,
}

/// A cloud without its ground.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) ground: Ground,
    pub(crate) points: Vec<Standing>,
}

impl Scene {
    /// Points that are nowhere, out of range, on the ground or far above it are left out; an intensity that is not
    /// finite counts as 0.
    pub(crate) fn of(cloud: &PointCloud, params: &CloudDetectorParams) -> Self {
        let reach = params.max_range;
        let near: Vec<[f64; 4]> = cloud
            .points()
            .iter()
            .map(|p| p.map(f64::from))
            .filter(|p| p[0].abs() <= reach && p[1].abs() <= reach && p[2].is_finite())
            .map(|[x, y, z, i]| [x, y, z, if i.is_finite() { i } else { 0.0 }])
            .collect();
        let ground = Ground::of(&near, reach, params.ground_cell);
        let standing = |[x, y, z, intensity]: &[f64; 4]| {
            let height = z - ground.at(*x, *y);
            (params.clearance..=params.max_height).contains(&height).then_some(Standing {
                x: *x,
                y: *y,
                z: *z,
                height,
                intensity: *intensity,
            })
        };
        let points = near.iter().filter_map(standing).collect();
        Self { ground, points }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_on_the_ground_is_kept() {
        let mut points: Vec<[f32; 4]> =
            (0..400).map(|i| [(i % 20) as f32, (i / 20) as f32 - 10.0, -1.7, 0.2]).collect();
        points.extend([
            [5.0, 0.0, -0.7, f32::NAN],
            [5.0, 0.0, 9.0, 0.1],
            [500.0, 0.0, 0.0, 0.1],
            [f32::NAN, 0.0, 0.0, 0.1],
            [5.0, 0.0, f32::INFINITY, 0.1],
        ]);
        let scene = Scene::of(&PointCloud::new(points), &CloudDetectorParams::default());
        assert_eq!(scene.points.len(), 1);
        let kept = scene.points[0];
        assert!((kept.height - 1.0).abs() < 1e-6 && kept.intensity == 0.0, "{kept:?}");
    }
}
