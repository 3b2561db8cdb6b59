use labelloop_core::{
    BBox, Camera, CaptureId, ClassIdx, Extra, GroupKey, LabelledBox, LabelledCuboid, SampleId, SampleRecord,
    Seed, SliceKind,
};
use labelloop_media::{PointCloud, RgbImage};

use super::camera::BASELINE;
use super::draws::Draws;
use super::light::Lighting;
use super::paint::{Seen, Shot, paint};
use super::plan::{Actor, Role, ScenePlan, SceneTraits, plan};
use super::points::{cloud, cuboid};
use super::{SceneValidParams, calibration};
use crate::Result;

/// The slices of a capture, in the order of its records.
pub const SLICES: [&str; 3] = ["left", "right", "pcd"];

/// One sequence in memory.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RenderedGroup {
    /// Name, `seq-0007`.
    pub group: GroupKey,
    /// What it is about.
    pub traits: SceneTraits,
    /// In the order of time.
    pub captures: Vec<RenderedCapture>,
}

/// What the rig saw at one instant, with its labels.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RenderedCapture {
    /// Name, `seq-0007/frame-02`.
    pub capture: CaptureId,
    /// Picture of the left camera.
    pub left: RgbImage,
    /// Picture of the right camera, 0.4 m beside the left one.
    pub right: RgbImage,
    /// Points on the ground and on the things around.
    pub points: PointCloud,
    /// Calibration of the left and of the right camera, as [`super::camera_of`] reads it from their records.
    pub cameras: [Camera; 2],
    /// Records of [`SLICES`], with labels.
    pub records: [SampleRecord; 3],
}

/// Of an object at least this share must be visible for it to be labelled.
const MIN_VISIBLE: f64 = 0.2;
/// Narrower or lower parts are not labelled, in pixels.
const MIN_SIDE: u32 = 5;

pub(crate) fn render(valid: &SceneValidParams, g: usize) -> Result<RenderedGroup> {
    let plan = plan(valid, g);
    let name = format!("seq-{g:04}");
    let mut offset = [0.0; 2];
    let captures = (0..plan.n_captures)
        .map(|frame| {
            let seed = valid.seed(g).stream("frame").stream(&frame.to_string());
            offset = drifted(offset, valid.params().drift, seed);
            render_capture(valid, &plan, &name, Instant { frame, offset, seed })
        })
        .collect::<Result<_>>()?;
    Ok(RenderedGroup { group: GroupKey::new(name)?, traits: plan.traits, captures })
}

#[derive(Clone, Copy)]
struct Instant {
    frame: usize,
    /// Where the camera has drifted to, in pixels.
    offset: [f64; 2],
    seed: Seed,
}

fn drifted([x, y]: [f64; 2], by: f64, seed: Seed) -> [f64; 2] {
    let mut d = Draws::new(seed.stream("drift"));
    let limit = 5.0 * by;
    [(x + by * d.bell()).clamp(-limit, limit), (y + 0.4 * by * d.bell()).clamp(-limit, limit)]
}

fn render_capture(
    valid: &SceneValidParams,
    plan: &ScenePlan,
    group: &str,
    now: Instant,
) -> Result<RenderedCapture> {
    let actors: Vec<Actor> =
        plan.actors.iter().map(|a| Actor { x: a.x + a.speed * now.frame as f64, ..*a }).collect();
    let mut d = Draws::new(now.seed.stream("light"));
    let gain = 1.0 + 0.02 * d.bell();
    let mut shot = Shot {
        size: valid.size(),
        camera: plan.camera.nudged(now.offset),
        shift: 0.0,
        ground: plan.traits.ground,
        backdrop_seed: plan.backdrop_seed,
        actors: &actors,
        lighting: Lighting::new(plan.traits.light, plan.lamp, gain),
        noise: valid.params().noise as f32,
        noise_seed: d.bits32(),
    };
    let (left, seen_left) = paint(&shot)?;
    shot = Shot { shift: BASELINE, noise_seed: d.bits32(), ..shot };
    let (right, seen_right) = paint(&shot)?;
    let cameras = [shot.camera.calibration(0.0)?, shot.camera.calibration(BASELINE)?];
    let boxes = [labels(&actors, &seen_left)?, labels(&actors, &seen_right)?];
    let cuboids = cuboids(&actors, &seen_left, &seen_right)?;
    let capture = format!("{group}/frame-{:02}", now.frame);
    Ok(RenderedCapture {
        left,
        right,
        points: PointCloud::new(cloud(&actors, now.seed.stream("points"))),
        records: with_cameras(records(valid, plan.traits, group, &capture, boxes, cuboids)?, &cameras),
        cameras,
        capture: CaptureId::new(capture)?,
    })
}

fn object(actor: &Actor) -> Option<ClassIdx> {
    match actor.role {
        Role::Object(class) => Some(class),
        Role::Clutter(_) => None,
    }
}

fn is_labelled(seen: &Seen) -> bool {
    let [left, top, right, bottom] = seen.corners;
    MIN_VISIBLE * f64::from(seen.n_total) <= f64::from(seen.n_visible)
        && left + MIN_SIDE <= right
        && top + MIN_SIDE <= bottom
}

/// Boxes of the visible parts, from far to near, each with the share that is hidden and the object's number, which is
/// the same in all slices and captures of the sequence.
fn labels(actors: &[Actor], seen: &[Seen]) -> Result<Vec<LabelledBox>> {
    let mut boxes = Vec::new();
    for (i, (actor, seen)) in actors.iter().zip(seen).enumerate() {
        let Some(class) = object(actor).filter(|_| is_labelled(seen)) else { continue };
        let [l, t, r, b] = seen.corners.map(f64::from);
        let mut label = LabelledBox::new(class, BBox::from_corners(l, t, r, b)?);
        let hidden = 1.0 - f64::from(seen.n_visible) / f64::from(seen.n_total);
        label.extra.insert("occluded".to_owned(), format!("{hidden:.2}"));
        label.extra.insert("object".to_owned(), i.to_string());
        boxes.push(label);
    }
    Ok(boxes)
}

/// Cuboids of the objects that are labelled in at least one of the pictures.
fn cuboids(actors: &[Actor], left: &[Seen], right: &[Seen]) -> Result<Vec<LabelledCuboid>> {
    let mut cuboids = Vec::new();
    for (actor, (l, r)) in actors.iter().zip(left.iter().zip(right)) {
        if let Some(class) = object(actor).filter(|_| is_labelled(l) || is_labelled(r)) {
            cuboids.push(LabelledCuboid { class, cuboid: cuboid(actor)?, annotator: None });
        }
    }
    Ok(cuboids)
}

fn records(
    valid: &SceneValidParams,
    traits: SceneTraits,
    group: &str,
    capture: &str,
    boxes: [Vec<LabelledBox>; 2],
    cuboids: Vec<LabelledCuboid>,
) -> Result<[SampleRecord; 3]> {
    let record = |slice: &str, file: &str, kind: SliceKind| -> Result<SampleRecord> {
        Ok(SampleRecord {
            id: SampleId::new(format!("{capture}/{slice}"))?,
            capture: CaptureId::new(capture)?,
            group: GroupKey::new(group)?,
            slice: slice.to_owned(),
            kind,
            file_name: format!("media/{capture}/{file}"),
            size: (kind == SliceKind::Image).then(|| valid.size()),
            boxes: None,
            cuboids: None,
            labelled_by: None,
            extra: extra(traits),
        })
    };
    let [left_boxes, right_boxes] = boxes;
    let left = record(SLICES[0], "left.png", SliceKind::Image)?;
    let right = record(SLICES[1], "right.png", SliceKind::Image)?;
    let pcd = record(SLICES[2], "points.bin", SliceKind::PointCloud)?;
    Ok([
        SampleRecord { boxes: Some(left_boxes), ..left },
        SampleRecord { boxes: Some(right_boxes), ..right },
        SampleRecord { cuboids: Some(cuboids), ..pcd },
    ])
}

fn with_cameras(mut records: [SampleRecord; 3], cameras: &[Camera; 2]) -> [SampleRecord; 3] {
    for (record, camera) in records.iter_mut().zip(cameras) {
        let text = serde_json::to_string(camera).ok();
        record.extra.extend(text.map(|text| (calibration::KEY.to_owned(), text)));
    }
    records
}

/// The traits as JSON texts: `kind`, `light` and `ground`.
fn extra(traits: SceneTraits) -> Extra {
    let words = [
        ("kind", serde_json::to_string(&traits.kind)),
        ("light", serde_json::to_string(&traits.light)),
        ("ground", serde_json::to_string(&traits.ground)),
    ];
    words.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text.ok()?))).collect()
}
