//! Simulated annotators over golden scans of known cuboids.

use labelloop_core::{ClassIdx, ClassSchema, Cuboid, CuboidFrame, LabelledCuboid, SampleId, Seed};
use labelloop_qa::{GoldenScan, ScanRound};

/// How an annotator of point clouds errs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ScanErrors {
    /// Share of objects missed.
    pub(crate) miss: f64,
    /// Cuboids without an object, per object.
    pub(crate) spurious: f64,
    /// Share of objects given another class.
    pub(crate) swap: f64,
    /// Share of objects that head backwards.
    pub(crate) flip: f64,
    /// Factor on all sides.
    pub(crate) scale: f64,
    /// Shift in metres along the sensor's axes.
    pub(crate) shift: [f64; 3],
    /// Shift in metres along the object's heading.
    pub(crate) along: f64,
    /// Turn in radians.
    pub(crate) turn: f64,
    /// Share of scans left empty.
    pub(crate) empty: f64,
    /// Factor on what hands shake by.
    pub(crate) shake: f64,
}

impl Default for ScanErrors {
    /// People who work well: 1% missed, 2% spurious, 1% confused, 0.5% backwards, centres off by 10 cm, sides by 4%,
    /// headings by 0.04.
    fn default() -> Self {
        Self {
            miss: 0.01,
            spurious: 0.02,
            swap: 0.01,
            flip: 0.005,
            scale: 1.0,
            shift: [0.0; 3],
            along: 0.0,
            turn: 0.0,
            empty: 0.0,
            shake: 1.0,
        }
    }
}

/// Scans and the true objects in them.
pub(crate) struct GoldenScans {
    pub(crate) ids: Vec<SampleId>,
    pub(crate) schema: ClassSchema,
    pub(crate) truth: Vec<Vec<LabelledCuboid>>,
}

/// The cuboids of one round, scan by scan.
pub(crate) type ScanLabels = Vec<Vec<LabelledCuboid>>;

impl GoldenScans {
    /// Scans with 1 to 15 objects (8 on average) of three classes, on a loose grid of 10 m around the sensor.
    pub(crate) fn generate(n_scans: usize, seed: Seed) -> Self {
        let truth = (0..n_scans).map(|i| objects(seed.stream("truth").stream(&i.to_string()))).collect();
        Self {
            ids: (0..n_scans).map(|i| SampleId::new(format!("sweep-{i:04}")).expect("not empty")).collect(),
            schema: ClassSchema::new(["car", "truck", "cyclist"]).expect("distinct names"),
            truth,
        }
    }

    /// One round of an annotator.
    pub(crate) fn annotate(&self, errors: &ScanErrors, seed: Seed) -> ScanLabels {
        let n_empty = (errors.empty * self.truth.len() as f64).round() as usize;
        let rank = seed.stream("empty").permutation(self.truth.len());
        let scan = |(i, truth): (usize, &Vec<LabelledCuboid>)| {
            if rank[i] < n_empty {
                return Vec::new();
            }
            annotate_scan(truth, errors, seed.stream("round").stream(&i.to_string()))
        };
        self.truth.iter().enumerate().map(scan).collect()
    }

    /// Labels as the golden check takes them.
    pub(crate) fn round<'a>(&'a self, labels: &'a ScanLabels) -> ScanRound<'a> {
        self.ids.iter().zip(labels).map(|(id, cuboids)| GoldenScan { id, cuboids }).collect()
    }
}

fn objects(seed: Seed) -> Vec<LabelledCuboid> {
    let n = 1 + seed.below(0, 15);
    let cells = seed.stream("cells").permutation(100);
    (0..n as u64)
        .map(|k| {
            let s = seed.stream("object").stream(&k.to_string());
            let class = [0, 0, 0, 0, 0, 1, 1, 2, 2, 2][s.below(0, 10)];
            let [l, w, h] = [[4.2, 1.8, 1.5], [9.0, 2.5, 3.2], [1.8, 0.7, 1.7]][class as usize];
            let cell = cells[k as usize];
            let (x, y) = ((cell % 10) as f64 * 10.0 - 45.0, (cell / 10) as f64 * 10.0 - 45.0);
            let centre = [x + 2.0 * s.unit(1), y + 2.0 * s.unit(2), -1.7 + h / 2.0];
            let factor = 0.9 + 0.2 * s.unit(3);
            label(class, centre, [l, w, h].map(|v| v * factor), std::f64::consts::TAU * s.unit(4))
        })
        .collect()
}

fn label(class: u32, centre: [f64; 3], size: [f64; 3], yaw: f64) -> LabelledCuboid {
    let cuboid = Cuboid::new(centre, size, yaw, CuboidFrame::Lidar).expect("finite, sides above 0");
    LabelledCuboid { class: ClassIdx(class), cuboid, annotator: None }
}

fn annotate_scan(truth: &[LabelledCuboid], errors: &ScanErrors, seed: Seed) -> Vec<LabelledCuboid> {
    let mut cuboids = Vec::new();
    for (k, object) in truth.iter().enumerate() {
        let s = seed.stream("object").stream(&k.to_string());
        if errors.miss <= s.unit(0) {
            cuboids.push(redrawn(object, errors, s));
        }
        if s.unit(1) < errors.spurious {
            let n = s.stream("spurious");
            // Between the cells, so that it is nobody's partner.
            let centre = [90.0 * n.unit(0) - 45.0, 10.0 * n.below(1, 9) as f64 - 39.0, -1.0];
            cuboids.push(label(n.below(2, 3) as u32, centre, [3.0, 1.5, 1.5], n.unit(3)));
        }
    }
    cuboids
}

fn redrawn(object: &LabelledCuboid, errors: &ScanErrors, s: Seed) -> LabelledCuboid {
    let c = &object.cuboid;
    let noise = |k: u64, sd: f64| errors.shake * sd * s.normal(10 + k);
    let (sin, cos) = c.yaw().sin_cos();
    let [x, y, z] = c.centre();
    let centre = [
        x + errors.shift[0] + errors.along * cos + noise(0, 0.1),
        y + errors.shift[1] + errors.along * sin + noise(1, 0.1),
        z + errors.shift[2] + noise(2, 0.05),
    ];
    let mut size = c.size();
    for (i, side) in size.iter_mut().enumerate() {
        *side *= (errors.scale * (1.0 + noise(3 + i as u64, 0.04))).max(0.1);
    }
    let flip = if s.unit(2) < errors.flip { std::f64::consts::PI } else { 0.0 };
    let class = if s.unit(3) < errors.swap {
        (object.class.0 + 1 + s.below(4, 2) as u32) % 3
    } else {
        object.class.0
    };
    label(class, centre, size, c.yaw() + errors.turn + flip + noise(6, 0.04))
}
