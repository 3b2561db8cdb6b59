use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;

use labelloop_core::{
    AnnotationSet, BBox, Camera, Extra, LabelledBox, LabelledCuboid, RigidTransform, SampleRecord, SliceKind,
};

use super::captures::{
    BOXLESS, CALIBRATION, CAMERA, CUBOID, DONT_CARE_BOXES, DONT_CARE_LINES, LINE, is_boxless,
};
use super::link::{Link, links};
use super::{CLASSES, Calibration, DONT_CARE, add_line, class_words, columns, field, is_column, label};
use crate::files::{self, StagedFolder};
use crate::loss::{self, Holds, Losses};
use crate::{Format, FormatError, Lost, MediaMode, Result, Warning, sizes};

const HOLDS: Holds = Holds {
    unlabelled_marks: true,
    sizes: true,
    // Counted against the capture below.
    groups: true,
    captures: true,
    sample_field: |_, key, _| [DONT_CARE_BOXES, DONT_CARE_LINES, BOXLESS, CAMERA, CALIBRATION].contains(&key),
    label_field: |_, key, raw| key == LINE || key == CUBOID || is_column(key, raw),
    ..Holds::NOTHING
};
/// Corners of a box that is not known.
const NO_BOX: [f64; 4] = [-1.0; 4];

/// Writes captures as a KITTI folder (`label_2`, `calib`, and the media as `image_2`, `image_3`, `velodyne`), which is built
/// beside its place and moved there once complete.
///
/// The left picture is the slice `left` or `main`, the right one `right`, the cloud the first slice of points. Each box of
/// the left picture becomes a line, with the columns of its cuboid: the one that it was read with, or, where nobody linked
/// them, the one of its class that the calibration shows in its place (IoU of at least 0.5). Lines that were read and whose
/// box and cuboid nobody changed are written as they were; of changed cuboids `alpha` is computed anew. Cuboids that no box
/// belongs to get a line with -1 for the box. A calibration is that which was read, or is made of the pictures'
/// `extra["camera"]`.
///
/// Captures that nobody labelled are left out and counted in the warnings, as is all that KITTI cannot hold: boxes of right
/// pictures, cuboids of captures without calibration, tilts, groups of several captures, other slices.
///
/// # Errors
/// As [`super::write`]; [`FormatError::Io`] for media that cannot be copied or linked.
pub fn write_captures(
    dir: &Path,
    set: &AnnotationSet,
    media_root: &Path,
    media: MediaMode,
) -> Result<Vec<Warning>> {
    loss::check(set)?;
    let mut losses = Losses::default();
    let captures = labelled(set, &mut losses);
    if captures.is_empty() {
        return Err(FormatError::NothingToWrite { path: dir.to_owned(), n_samples: set.samples.len() });
    }
    losses.add(Lost::FileFields, set.extra.len());
    let (words, n_changed) = class_words(&set.schema)?;
    losses.add(Lost::ClassNames, n_changed);
    let folder = StagedFolder::new(dir)?;
    let mut listed = String::new();
    for (name, capture) in &captures {
        capture.count(&mut losses);
        let calibration = capture.calibration()?;
        let text = Lines { capture, calibration: calibration.as_ref(), words: &words, text: String::new() };
        folder.write(&format!("label_2/{}", files::named_after(name, "txt")?), &text.write(&mut losses)?)?;
        if let Some(calibration) = &calibration {
            folder.write(&format!("calib/{}", files::named_after(name, "txt")?), &calibration.to_text())?;
        }
        capture.place(name, &folder, media_root, media, (&mut listed, &mut losses))?;
    }
    folder.write(sizes::SIZES, &listed)?;
    folder.write(CLASSES, &format!("{}\n", words.join("\n")))?;
    folder.finish()?;
    Ok(losses.into_warnings(dir, Format::Kitti))
}

/// The slices of a capture that KITTI has a place for.
#[derive(Default)]
struct Capture<'s> {
    left: Option<&'s SampleRecord>,
    right: Option<&'s SampleRecord>,
    cloud: Option<&'s SampleRecord>,
    n_others: usize,
}

/// Captures that somebody labelled, by name.
fn labelled<'s>(set: &'s AnnotationSet, losses: &mut Losses) -> BTreeMap<&'s str, Capture<'s>> {
    let mut captures: BTreeMap<&str, Capture<'_>> = BTreeMap::new();
    for sample in &set.samples {
        let capture = captures.entry(sample.capture.as_str()).or_default();
        let place = match (sample.kind, sample.slice.as_str()) {
            (SliceKind::PointCloud, _) => &mut capture.cloud,
            (SliceKind::Image, "left" | "main") => &mut capture.left,
            (SliceKind::Image, "right") => &mut capture.right,
            _ => {
                capture.n_others += 1;
                continue;
            }
        };
        match place {
            Some(_) => capture.n_others += 1,
            None => *place = Some(sample),
        }
    }
    captures.retain(|_, capture| {
        let is_labelled = capture.boxes().is_some() || capture.cuboids().is_some();
        if !is_labelled {
            losses.add(Lost::UnlabelledSamples, capture.slices().count() + capture.n_others);
        }
        is_labelled
    });
    captures
}

impl<'s> Capture<'s> {
    fn slices(&self) -> impl Iterator<Item = &'s SampleRecord> {
        [self.left, self.right, self.cloud].into_iter().flatten()
    }

    fn boxes(&self) -> Option<&'s [LabelledBox]> {
        self.left?.boxes.as_deref()
    }

    fn cuboids(&self) -> Option<&'s [LabelledCuboid]> {
        self.cloud?.cuboids.as_deref()
    }

    /// Counts what no file of the folder says, but for cuboids that have no way into the camera's frame.
    fn count(&self, losses: &mut Losses) {
        for sample in self.slices() {
            // Boxes of the right picture and cuboids are counted here, not as what the left picture's labels lose.
            let bare = |sample: &SampleRecord| SampleRecord {
                boxes: sample.boxes.as_ref().map(|_| Vec::new()),
                cuboids: None,
                ..sample.clone()
            };
            match self.left {
                Some(left) if std::ptr::eq(left, sample) => losses.count(sample, &HOLDS),
                _ => losses.count(&bare(sample), &HOLDS),
            }
            losses.add(Lost::Groups, usize::from(sample.group.as_str() != sample.capture.as_str()));
        }
        let right = self.right.and_then(|r| r.boxes.as_ref());
        losses.add(Lost::Boxes, right.map_or(0, Vec::len));
        losses.add(Lost::UnlabelledMarks, usize::from(right.is_some()));
        losses.add(Lost::UnlabelledMarks, usize::from(self.left.is_some() && self.boxes().is_none()));
        losses.add(Lost::UnlabelledMarks, usize::from(self.cloud.is_some() && self.cuboids().is_none()));
        losses.add(Lost::Slices, self.n_others);
        let annotators = self.cuboids().into_iter().flatten().filter(|c| c.annotator.is_some());
        losses.add(Lost::Annotators, annotators.count());
    }

    /// The calibration as it was read, or as the pictures' cameras give it.
    fn calibration(&self) -> Result<Option<Calibration>> {
        let text =
            self.left.map_or(Ok(None), |left| field::<String>(left.id.as_str(), &left.extra, CALIBRATION))?;
        if let Some((left, text)) = self.left.zip(text) {
            return Calibration::parse(Path::new(left.id.as_str()), &text).map(Some);
        }
        let camera = |sample: Option<&SampleRecord>| -> Result<Option<Camera>> {
            sample.map_or(Ok(None), |s| field(s.id.as_str(), &s.extra, CAMERA))
        };
        let (left, right) = (camera(self.left)?, camera(self.right)?);
        let Some(left) = left else { return Ok(None) };
        let projections = [Some(left), right].map(|c| c.map(|c| c.image_from_camera()));
        let both = [projections[0], projections[1], projections[0], projections[1]];
        let made = Calibration::new(both, RigidTransform::IDENTITY, *left.camera_from_lidar());
        Ok(made.ok())
    }

    /// Puts the media where KITTI has them.
    fn place(
        &self,
        name: &str,
        folder: &StagedFolder,
        media_root: &Path,
        media: MediaMode,
        (listed, losses): (&mut String, &mut Losses),
    ) -> Result<()> {
        for (slice, place) in [(self.left, "image_2"), (self.right, "image_3"), (self.cloud, "velodyne")] {
            let Some(sample) = slice else { continue };
            let usual = if place == "velodyne" { "bin" } else { "png" };
            let ending = files::ending(&sample.file_name).unwrap_or(usual);
            if place == "velodyne" && ending != usual {
                losses.add(Lost::PointClouds, 1);
                continue;
            }
            let file = format!("{place}/{}", files::named_after(name, ending)?);
            if let Some(size) = sample.size {
                sizes::add(listed, &file, size, &file);
            }
            if media != MediaMode::None {
                files::place_media(&sample.file_name, media_root, &folder.file(&file)?, media)?;
            }
        }
        Ok(())
    }
}

/// The label file of one capture.
struct Lines<'c> {
    capture: &'c Capture<'c>,
    calibration: Option<&'c Calibration>,
    words: &'c [String],
    text: String,
}

impl Lines<'_> {
    fn write(mut self, losses: &mut Losses) -> Result<String> {
        let cuboids = self.capture.cuboids();
        let mut is_written = vec![false; cuboids.map_or(0, <[_]>::len)];
        if let Some(left) = self.capture.left {
            let links = links(left, cuboids.unwrap_or_default(), self.calibration);
            let numbers: Vec<Option<usize>> = links.iter().map(Link::cuboid).collect();
            numbers.iter().flatten().for_each(|n| is_written[*n] = true);
            let mut boxless = self.boxless(left, &mut is_written)?;
            for ((label, link), number) in left.boxes.iter().flatten().zip(links).zip(numbers) {
                // Cuboids keep their order: those without a box that come before this one's are written before it.
                let n_before =
                    boxless.iter().rposition(|(_, n)| n.is_some() && *n < number).map_or(0, |i| i + 1);
                boxless.drain(..n_before).for_each(|(line, _)| self.add(&line));
                let link = if cuboids.is_none() { None } else { Some(link) };
                self.boxed(left.id.as_str(), label, link, losses)?;
            }
            boxless.iter().for_each(|(line, _)| self.add(line));
        }
        for (cuboid, _) in cuboids.into_iter().flatten().zip(is_written).filter(|(_, done)| !done) {
            let fields = self.fields(cuboid, losses);
            if let Some(fields) = fields {
                let id = self.capture.cloud.map_or("", |c| c.id.as_str());
                add_line(&mut self.text, id, &self.words[cuboid.class.as_usize()], &NO_BOX, &fields)?;
            }
        }
        self.ignored()?;
        Ok(self.text)
    }

    /// The line of a box; without a link there are no cuboids that could differ from its columns.
    fn boxed(
        &mut self,
        id: &str,
        label: &LabelledBox,
        link: Option<Link>,
        losses: &mut Losses,
    ) -> Result<()> {
        let mut fields = label.extra.clone();
        let (line, _) = (fields.remove(LINE), fields.remove(CUBOID));
        let had_cuboid = columns::KEYS.iter().all(|key| fields.contains_key(*key));
        let cuboids = self.capture.cuboids().unwrap_or_default();
        match link {
            Some(Link::Changed(n)) => {
                let new = self.fields(&cuboids[n], losses);
                replace(&mut fields, new.unwrap_or_default());
            }
            // A cuboid that is none, of no size, was never in the cloud and cannot have been taken out.
            Some(Link::None) if had_cuboid && label.extra.contains_key(CUBOID) => {
                replace(&mut fields, Extra::new());
            }
            _ => {}
        }
        let word = &self.words[label.class.as_usize()];
        let line: Option<String> = line.and_then(|raw| serde_json::from_str(&raw).ok());
        match line.filter(|line| says(line, word, label.bbox, &fields)) {
            Some(line) => self.add(&line),
            None => add_line(&mut self.text, id, word, &label.bbox.to_corners(), &fields)?,
        }
        Ok(())
    }

    /// Lines that were read without a box, as far as their cuboids are still there, each with the number of its cuboid.
    fn boxless(&self, left: &SampleRecord, is_written: &mut [bool]) -> Result<Vec<(String, Option<usize>)>> {
        let lines: Vec<String> = field(left.id.as_str(), &left.extra, BOXLESS)?.unwrap_or_default();
        let mut kept = vec![];
        for line in lines {
            let Some(cuboids) = self.capture.cuboids() else {
                kept.push((line, None));
                continue;
            };
            let Some((word, _, fields)) = parsed(&line) else { continue };
            match columns::cuboid(&fields, self.calibration) {
                Some(Ok(expected)) => {
                    let is_it = |n: &usize| {
                        !is_written[*n]
                            && cuboids[*n].cuboid == expected
                            && self.words[cuboids[*n].class.as_usize()] == word
                    };
                    if let Some(n) = (0..cuboids.len()).find(is_it) {
                        is_written[n] = true;
                        kept.push((line, Some(n)));
                    }
                }
                _ => kept.push((line, None)),
            }
        }
        Ok(kept)
    }

    /// Lines of `DontCare`, as they were read where the boxes are still those.
    fn ignored(&mut self) -> Result<()> {
        let Some(left) = self.capture.left else { return Ok(()) };
        let id = left.id.as_str();
        let boxes: Vec<[f64; 4]> = field(id, &left.extra, DONT_CARE_BOXES)?.unwrap_or_default();
        let lines: Vec<String> = field(id, &left.extra, DONT_CARE_LINES)?.unwrap_or_default();
        for (i, corners) in boxes.iter().enumerate() {
            let same = lines.get(i).filter(|line| {
                parsed(line).is_some_and(|(word, bbox, _)| word == DONT_CARE && bbox.to_corners() == *corners)
            });
            match same {
                Some(line) => self.add(&line.clone()),
                None => add_line(&mut self.text, id, DONT_CARE, corners, &Extra::new())?,
            }
        }
        Ok(())
    }

    /// The columns of a cuboid; counted where there is no way to them.
    fn fields(&self, cuboid: &LabelledCuboid, losses: &mut Losses) -> Option<Extra> {
        let fields = columns::fields(&cuboid.cuboid, self.calibration);
        losses.add(Lost::Cuboids, usize::from(fields.is_none()));
        losses.add(Lost::Tilts, usize::from(fields.is_some() && !cuboid.cuboid.is_upright()));
        fields
    }

    fn add(&mut self, line: &str) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// Puts other columns in the place of those of a cuboid, or none.
fn replace(fields: &mut Extra, new: Extra) {
    columns::KEYS.iter().chain(["alpha"].iter()).for_each(|key| drop(fields.remove(*key)));
    fields.extend(new);
}

/// Whether a line says this and nothing else.
fn says(line: &str, word: &str, bbox: BBox, fields: &Extra) -> bool {
    parsed(line)
        .is_some_and(|(found, b, extra)| found == word && b == bbox && !is_boxless(b) && extra == *fields)
}

fn parsed(line: &str) -> Option<(String, BBox, Extra)> {
    let found = label(line, &Rc::default(), 1).ok()?;
    Some((found.class, found.label.bbox, found.label.extra))
}
