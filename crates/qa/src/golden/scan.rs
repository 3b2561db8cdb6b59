use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, LabelledCuboid, SampleId};

use super::item::{Item, Mark, bits, digest};
use crate::Result;

/// One golden point cloud as it was labelled in one round (or as the reference has it).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GoldenScan<'a> {
    /// Which point cloud.
    pub id: &'a SampleId,
    /// What was marked in it; empty where somebody looked and found nothing.
    pub cuboids: &'a [LabelledCuboid],
}

/// One annotation round of the golden scans: all of them, each once, in any order.
pub type ScanRound<'a> = Vec<GoldenScan<'a>>;

impl Mark for LabelledCuboid {
    type Key = [u64; 9];

    fn class(&self) -> ClassIdx {
        self.class
    }

    fn annotator(&self) -> Option<&str> {
        self.annotator.as_deref()
    }

    fn is_crowd(&self) -> bool {
        false
    }

    fn key(&self) -> [u64; 9] {
        let [x, y, z] = self.cuboid.centre().map(bits);
        let [l, w, h] = self.cuboid.size().map(bits);
        [u64::from(self.class.0), frame_number(&self.cuboid), x, y, z, l, w, h, bits(self.cuboid.yaw())]
    }
}

fn frame_number(cuboid: &Cuboid) -> u64 {
    match cuboid.frame() {
        CuboidFrame::Lidar => 0,
        CuboidFrame::Global => 1,
        CuboidFrame::KittiCamera => 2,
        // Frames to come get numbers of their own when they come.
        _ => u64::MAX,
    }
}

impl<'a> Item<'a> for GoldenScan<'a> {
    type Mark = LabelledCuboid;

    fn id(&self) -> &'a SampleId {
        self.id
    }

    fn marks(&self) -> &'a [LabelledCuboid] {
        self.cuboids
    }

    /// Cuboids are sound by construction.
    fn check(&self, _round: &str) -> Result<()> {
        Ok(())
    }

    fn check_against(&self, _round: &str, _expected: &Self) -> Result<()> {
        Ok(())
    }
}

/// A digest of what was labelled: scans, classes and cuboids. The order of scans and of cuboids within a scan does not
/// matter, nor does who drew them.
///
/// ```
/// use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, LabelledCuboid, SampleId};
/// use labelloop_qa::{GoldenScan, scan_digest};
///
/// let id = SampleId::new("sweep-7")?;
/// let car = |yaw| Cuboid::new([9.0, 1.0, -1.0], [4.2, 1.8, 1.5], yaw, CuboidFrame::Lidar).map(|cuboid| {
///     LabelledCuboid { class: ClassIdx(0), cuboid, annotator: None }
/// });
/// let digest = |cuboids: &[LabelledCuboid]| scan_digest(&[GoldenScan { id: &id, cuboids }]);
/// assert_eq!(digest(&[car(0.0)?, car(1.0)?]), digest(&[car(1.0)?, car(0.0)?]));
/// assert_ne!(digest(&[car(0.0)?]), digest(&[car(0.1)?]));
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
pub fn scan_digest(scans: &[GoldenScan<'_>]) -> String {
    digest(scans)
}
