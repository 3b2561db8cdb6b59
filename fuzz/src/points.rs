use labelloop_core::{Cuboid, CuboidFrame};
use labelloop_media::{
    BevFeatureParams, PcdEncoding, PointCloud, PointFormat, PointLimits, bev_features_image, count_points,
    decode_pcd, decode_points, encode_kitti_bin, encode_pcd, points_in_cuboid,
};

/// Points that a file may hold here: larger ones are the limits' business.
const LIMITS: PointLimits = PointLimits { max_points: 1 << 20 };

/// Rows of four numbers and of five; four are written again as the same bytes.
pub fn point_bin(data: &[u8]) {
    if let Ok(cloud) = decode_points(data, PointFormat::KittiBin, LIMITS, "a.bin") {
        assert_eq!(encode_kitti_bin(&cloud), data);
        check(&cloud);
    }
    if let Ok(cloud) = decode_points(data, PointFormat::NuScenesBin, LIMITS, "a.pcd.bin") {
        assert_eq!(20 * cloud.n_points(), data.len());
    }
}

/// A PCD file; what is read is written, and read as the same points.
pub fn point_pcd(data: &[u8]) {
    let Ok(cloud) = decode_points(data, PointFormat::Pcd, LIMITS, "a.pcd") else { return };
    check(&cloud);
    for encoding in [PcdEncoding::Ascii, PcdEncoding::Binary] {
        let again = decode_pcd(&encode_pcd(&cloud, encoding)).expect("what was written is read");
        assert_eq!(again.n_points(), cloud.n_points());
        // Places with an origin are rounded once more on their way.
        for row in (0..cloud.n_points()).filter(|_| cloud.origin() == [0.0; 3]) {
            assert_eq!(again.place(row), cloud.place(row), "point {row} moved");
        }
    }
}

/// A LAS or LAZ file.
pub fn point_las(data: &[u8]) {
    let Ok(cloud) = decode_points(data, PointFormat::Las, LIMITS, "a.las") else { return };
    assert_ne!(cloud.n_points(), 0);
    check(&cloud);
}

/// Whatever the points are, two ways of counting agree and a picture can be made.
fn check(cloud: &PointCloud) {
    let first = (0..cloud.n_points()).find_map(|row| cloud.place(row));
    let centre = first.unwrap_or_default();
    let around = |size: f64, yaw: f64| Cuboid::new(centre, [size, size / 2.0, size], yaw, CuboidFrame::Lidar);
    let cuboids = [(1.0, 0.0), (30.0, 0.7), (1e6, 2.0)].map(|(size, yaw)| around(size, yaw));
    let cuboids = cuboids.into_iter().flatten().collect::<Vec<_>>();
    for (cuboid, count) in cuboids.iter().zip(count_points(cloud, &cuboids)) {
        assert_eq!(count as usize, points_in_cuboid(cloud, cuboid));
        assert_eq!(count as usize, cloud.crop_to(cuboid).n_points());
        assert!(first.is_none() || 0 < count, "its own centre is in a cuboid");
    }
    let params = BevFeatureParams { pixels: 16, ..Default::default() };
    bev_features_image(cloud, params).expect("sixteen pixels are a picture");
}
