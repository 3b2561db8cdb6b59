//! What a capture's calibration is and where it is written.

use labelloop_core::{Camera, SampleRecord};

/// Key of a picture's `extra` that holds its [`Camera`] as JSON.
pub(crate) const KEY: &str = "camera";

/// The calibration of a generated picture: how points and cuboids of the capture's cloud are seen in it. `None` for a
/// point cloud.
///
/// The same is in `calib.txt` beside the picture, in KITTI's words.
///
/// ```
/// use labelloop_testkit::scenes::{SceneParams, camera_of};
///
/// let group = SceneParams { n_groups: 1, ..SceneParams::default() }.check()?.render_group(0);
/// let [left, right, cloud] = &group.captures[0].records;
/// let (left_camera, right_camera) = (camera_of(left).expect("pictures have one"), camera_of(right).expect("both do"));
/// let [column, row] = left_camera.project([10.0, 0.0, 0.0]).expect("it is ahead");
/// assert_eq!(right_camera.project([10.0, 0.0, 0.0]), Some([column - 160.0 * 0.4 / 10.0, row]));
/// assert!(camera_of(cloud).is_none());
/// # Ok::<(), labelloop_testkit::TestkitError>(())
/// ```
pub fn camera_of(record: &SampleRecord) -> Option<Camera> {
    serde_json::from_str(record.extra.get(KEY)?).ok()
}

/// KITTI's calibration file for a left and a right camera with the lidar in the place of the left one: both pairs of
/// cameras are this pair, nothing is to be rectified, and there is no inertial sensor but the lidar's place.
pub(crate) fn kitti_text([left, right]: &[Camera; 2]) -> String {
    let line = |key: &str, numbers: Vec<f64>| {
        let words: Vec<String> = numbers.iter().map(|n| format!("{n:?}")).collect();
        format!("{key}: {}\n", words.join(" "))
    };
    let projection = |camera: &Camera| camera.image_from_camera().concat();
    let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let rigid = |rows: [[f64; 3]; 3], shift: [f64; 3]| {
        rows.iter().zip(shift).flat_map(|(row, s)| [row[0], row[1], row[2], s]).collect()
    };
    let from_lidar = left.camera_from_lidar();
    [
        line("P0", projection(left)),
        line("P1", projection(right)),
        line("P2", projection(left)),
        line("P3", projection(right)),
        line("R0_rect", identity.concat()),
        line("Tr_velo_to_cam", rigid(from_lidar.rotation(), from_lidar.translation())),
        line("Tr_imu_to_velo", rigid(identity, [0.0; 3])),
    ]
    .concat()
}
