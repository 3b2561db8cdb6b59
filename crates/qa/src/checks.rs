//! Plain checks that need no second opinion.

use std::collections::BTreeMap;
use std::fmt;

use labelloop_core::{ClassSchema, LabelledBox, SampleId};
use serde::{Deserialize, Serialize};

use crate::golden::require;
use crate::{GoldenImage, Result};

/// Parameters of [`label_checks`], before they are checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckParams {
    /// A box with a shorter side below this many pixels is a sliver.
    pub min_side: f64,
    /// A box whose longer side is more than this many times the shorter one is a sliver.
    pub max_aspect: f64,
    /// Two boxes of one class that overlap more than this (IoU) are duplicates.
    pub duplicate_iou: f64,
    /// A box may stick out of its image by this many pixels.
    pub outside_slack: f64,
    /// Name of the class for what is ambiguous, compared without case.
    pub other_class: String,
    /// More than this share of all boxes in that class is too much.
    pub max_other_share: f64,
}

impl Default for CheckParams {
    fn default() -> Self {
        Self {
            min_side: 2.0,
            max_aspect: 20.0,
            duplicate_iou: 0.95,
            outside_slack: 1.0,
            other_class: "other".to_owned(),
            max_other_share: 0.2,
        }
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckValidParams(CheckParams);

impl CheckParams {
    /// # Errors
    /// [`QaError::InvalidParam`](crate::QaError::InvalidParam) with the parameter, its value and its range.
    pub fn check(&self) -> Result<CheckValidParams> {
        let finite = |v: f64| 0.0 <= v && v.is_finite();
        let at_least_0 = "a finite number of at least 0";
        require(finite(self.min_side), "min_side", self.min_side, at_least_0)?;
        require(1.0 <= self.max_aspect, "max_aspect", self.max_aspect, "a number of at least 1")?;
        let iou = self.duplicate_iou;
        require(0.0 < iou && iou < 1.0, "duplicate_iou", iou, "a number above 0 and below 1")?;
        require(finite(self.outside_slack), "outside_slack", self.outside_slack, at_least_0)?;
        let share = self.max_other_share;
        require((0.0..=1.0).contains(&share), "max_other_share", share, "a number from 0 to 1")?;
        Ok(CheckValidParams(self.clone()))
    }
}

/// Something about labels that a person should look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum LabelIssue {
    /// A box too thin to be an object.
    Sliver {
        /// The image.
        image: SampleId,
        /// Position of the box in its image.
        box_idx: usize,
        /// Width in pixels.
        width: f64,
        /// Height in pixels.
        height: f64,
    },
    /// Two boxes of one class on the same spot.
    Duplicate {
        /// The image.
        image: SampleId,
        /// Position of the earlier box.
        first_idx: usize,
        /// Position of the later box.
        second_idx: usize,
        /// Their overlap.
        iou: f64,
    },
    /// A box that sticks out of its image.
    OutOfImage {
        /// The image.
        image: SampleId,
        /// Position of the box in its image.
        box_idx: usize,
        /// The largest distance beyond an edge, in pixels.
        excess: f64,
    },
    /// A class number beyond the schema.
    UnknownClass {
        /// The image.
        image: SampleId,
        /// Position of the box in its image.
        box_idx: usize,
        /// The number.
        class: u32,
    },
    /// An image without any box.
    NoLabels {
        /// The image.
        image: SampleId,
    },
    /// Too many boxes in the class for what is ambiguous.
    OtherShare {
        /// Boxes of that class.
        n_other: usize,
        /// All boxes.
        n_objects: usize,
        /// Their ratio.
        share: f64,
    },
    /// Two classes of the schema whose names differ by a slip of the pen.
    NearMissClass {
        /// The earlier name.
        first: String,
        /// The later name.
        second: String,
    },
}

impl LabelIssue {
    /// Name of the kind, as in files.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sliver { .. } => "sliver",
            Self::Duplicate { .. } => "duplicate",
            Self::OutOfImage { .. } => "out_of_image",
            Self::UnknownClass { .. } => "unknown_class",
            Self::NoLabels { .. } => "no_labels",
            Self::OtherShare { .. } => "other_share",
            Self::NearMissClass { .. } => "near_miss_class",
        }
    }
}

impl fmt::Display for LabelIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sliver { image, box_idx, width, height } => {
                write!(f, "box {box_idx} of {image} is a sliver of {width:.1} x {height:.1} pixels")
            }
            Self::Duplicate { image, first_idx, second_idx, iou } => {
                write!(
                    f,
                    "boxes {first_idx} and {second_idx} of {image} are of one class and overlap by {iou:.3}"
                )
            }
            Self::OutOfImage { image, box_idx, excess } => {
                write!(f, "box {box_idx} of {image} sticks out by {excess:.1} pixels")
            }
            Self::UnknownClass { image, box_idx, class } => {
                write!(f, "box {box_idx} of {image} has class {class}, which the schema does not know")
            }
            Self::NoLabels { image } => write!(f, "{image} has no box"),
            Self::OtherShare { n_other, n_objects, share } => {
                write!(
                    f,
                    "{n_other} of {n_objects} boxes ({:.1}%) are of the class for the rest",
                    100.0 * share
                )
            }
            Self::NearMissClass { first, second } => {
                write!(f, "classes {first} and {second} differ by a slip of the pen")
            }
        }
    }
}

/// Looks at every box, in the order of images as given; findings about the whole set come last.
///
/// Crowds are regions, not objects: they are no slivers and no duplicates.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId};
/// use labelloop_qa::{CheckParams, GoldenImage, LabelIssue, label_checks};
///
/// let (id, size) = (SampleId::new("a")?, ImageSize::new(64, 64)?);
/// let thin = [LabelledBox::new(ClassIdx(0), BBox::new(5.0, 5.0, 40.0, 0.5)?)];
/// let issues = label_checks(
///     &[GoldenImage { id: &id, size, boxes: &thin }],
///     &ClassSchema::new(["car"])?,
///     &CheckParams::default(),
/// )?;
/// assert!(matches!(issues[..], [LabelIssue::Sliver { box_idx: 0, .. }]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// O(boxes squared) per image.
///
/// # Errors
/// [`QaError::InvalidParam`](crate::QaError::InvalidParam) as [`CheckParams::check`].
pub fn label_checks(
    images: &[GoldenImage<'_>],
    schema: &ClassSchema,
    params: &CheckParams,
) -> Result<Vec<LabelIssue>> {
    Ok(params.check()?.label_checks(images, schema))
}

impl CheckValidParams {
    /// [`label_checks`] with checked parameters.
    pub fn label_checks(&self, images: &[GoldenImage<'_>], schema: &ClassSchema) -> Vec<LabelIssue> {
        let mut issues = Vec::new();
        for image in images {
            if image.boxes.is_empty() {
                issues.push(LabelIssue::NoLabels { image: image.id.clone() });
            }
            for (box_idx, b) in image.boxes.iter().enumerate() {
                self.one_box(image, box_idx, b, schema, &mut issues);
            }
            self.duplicates(image, &mut issues);
        }
        self.other_share(images, schema, &mut issues);
        issues.extend(near_miss_classes(schema));
        issues
    }

    fn one_box(
        &self,
        image: &GoldenImage<'_>,
        box_idx: usize,
        b: &LabelledBox,
        schema: &ClassSchema,
        issues: &mut Vec<LabelIssue>,
    ) {
        let (width, height) = (b.bbox.width(), b.bbox.height());
        let (short, long) = (width.min(height), width.max(height));
        if !b.is_crowd && (short < self.0.min_side || self.0.max_aspect * short < long) {
            issues.push(LabelIssue::Sliver { image: image.id.clone(), box_idx, width, height });
        }
        if !b.bbox.is_inside(image.size, self.0.outside_slack) {
            let [left, top, right, bottom] = b.bbox.to_corners();
            let (w, h) = (f64::from(image.size.width()), f64::from(image.size.height()));
            let excess = [-left, -top, right - w, bottom - h].into_iter().fold(0.0, f64::max);
            issues.push(LabelIssue::OutOfImage { image: image.id.clone(), box_idx, excess });
        }
        if schema.name(b.class).is_none() {
            issues.push(LabelIssue::UnknownClass { image: image.id.clone(), box_idx, class: b.class.0 });
        }
    }

    fn duplicates(&self, image: &GoldenImage<'_>, issues: &mut Vec<LabelIssue>) {
        let objects: Vec<(usize, &LabelledBox)> =
            image.boxes.iter().enumerate().filter(|(_, b)| !b.is_crowd).collect();
        for (n, &(first_idx, a)) in objects.iter().enumerate() {
            for &(second_idx, b) in &objects[n + 1..] {
                let iou = a.bbox.iou(b.bbox);
                // Boxes without area have no IoU, and are the same box all the same.
                if a.class == b.class && (self.0.duplicate_iou < iou || a.bbox == b.bbox) {
                    issues.push(LabelIssue::Duplicate {
                        image: image.id.clone(),
                        first_idx,
                        second_idx,
                        iou,
                    });
                }
            }
        }
    }

    fn other_share(&self, images: &[GoldenImage<'_>], schema: &ClassSchema, issues: &mut Vec<LabelIssue>) {
        let is_other = |name: &str| name.trim().to_lowercase() == self.0.other_class.trim().to_lowercase();
        let Some((class, _)) = schema.iter().find(|(_, name)| is_other(name)) else { return };
        let boxes = || images.iter().flat_map(|i| i.boxes);
        let (n_other, n_objects) = (boxes().filter(|b| b.class == class).count(), boxes().count());
        let share = if 0 < n_objects { n_other as f64 / n_objects as f64 } else { 0.0 };
        if self.0.max_other_share < share {
            issues.push(LabelIssue::OtherShare { n_other, n_objects, share });
        }
    }
}

fn near_miss_classes(schema: &ClassSchema) -> Vec<LabelIssue> {
    let mut found = Vec::new();
    for (i, second) in schema.names().iter().enumerate() {
        for first in &schema.names()[..i] {
            let short = first.chars().count().min(second.chars().count());
            let is_near = ClassSchema::new([first.clone()]).is_ok_and(|s| s.nearest(second).is_some());
            // Short names such as "car" and "van" are near each other by nature.
            if 4 <= short && is_near {
                found.push(LabelIssue::NearMissClass { first: first.clone(), second: second.clone() });
            }
        }
    }
    found
}

/// A class name found in labels that the schema does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnexpectedClass {
    /// The name.
    pub name: String,
    /// How many labels have it.
    pub count: usize,
    /// The name that was probably meant.
    pub nearest: Option<String>,
}

/// Names of labels as they came back from people, against the schema; in the order of names.
///
/// ```
/// use labelloop_core::ClassSchema;
/// use labelloop_qa::unexpected_classes;
///
/// let schema = ClassSchema::new(["pedestrian", "car"])?;
/// let found = unexpected_classes(["car", "pedestrain", "tree", "pedestrain"], &schema);
/// assert_eq!((found[0].count, found[0].nearest.as_deref()), (2, Some("pedestrian")));
/// assert_eq!((found[1].name.as_str(), found[1].nearest.as_deref()), ("tree", None));
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
pub fn unexpected_classes<'a>(
    names: impl IntoIterator<Item = &'a str>,
    schema: &ClassSchema,
) -> Vec<UnexpectedClass> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
        .into_iter()
        .filter(|(name, _)| schema.index(name).is_err())
        .map(|(name, count)| UnexpectedClass {
            name: name.to_owned(),
            count,
            nearest: schema.nearest(name).map(str::to_owned),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx, ImageSize};

    use super::*;
    use crate::QaError;

    fn issues(boxes: &[LabelledBox], names: &[&str]) -> Vec<LabelIssue> {
        let (id, size) = (SampleId::new("a").unwrap(), ImageSize::new(100, 100).unwrap());
        let schema = ClassSchema::new(names.iter().copied()).unwrap();
        label_checks(&[GoldenImage { id: &id, size, boxes }], &schema, &CheckParams::default()).unwrap()
    }

    fn object(class: u32, [x, y, w, h]: [f64; 4]) -> LabelledBox {
        LabelledBox::new(ClassIdx(class), BBox::new(x, y, w, h).unwrap())
    }

    fn refused(change: impl Fn(&mut CheckParams)) -> &'static str {
        let mut params = CheckParams::default();
        change(&mut params);
        match params.check() {
            Err(QaError::InvalidParam { name, .. }) => name,
            other => panic!("expected a parameter error, found {other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let p = CheckParams::default();
        assert_eq!((p.min_side, p.max_aspect, p.duplicate_iou), (2.0, 20.0, 0.95));
        assert_eq!((p.outside_slack, p.other_class.as_str(), p.max_other_share), (1.0, "other", 0.2));
        assert!(p.check().is_ok());
    }

    #[test]
    fn each_parameter_is_checked() {
        assert_eq!(refused(|p| p.min_side = f64::NAN), "min_side");
        assert_eq!(refused(|p| p.max_aspect = 0.5), "max_aspect");
        assert_eq!(refused(|p| p.duplicate_iou = 1.0), "duplicate_iou");
        assert_eq!(refused(|p| p.outside_slack = f64::INFINITY), "outside_slack");
        assert_eq!(refused(|p| p.max_other_share = 1.5), "max_other_share");
    }

    #[test]
    fn sound_labels_raise_nothing() {
        assert_eq!(
            issues(
                &[object(0, [10.0, 10.0, 30.0, 20.0]), object(1, [50.0, 50.0, 9.0, 9.0])],
                &["car", "van"]
            ),
            []
        );
    }

    #[test]
    fn duplicates_are_of_one_class() {
        let [a, b] = [object(0, [10.0, 10.0, 40.0, 40.0]), object(0, [10.0, 10.0, 40.0, 40.5])];
        assert!(matches!(
            issues(&[a.clone(), b.clone()], &["car", "van"])[..],
            [LabelIssue::Duplicate { second_idx: 1, .. }]
        ));
        assert_eq!(issues(&[a, LabelledBox { class: ClassIdx(1), ..b }], &["car", "van"]), []);
    }

    #[test]
    fn boxes_outside_and_classes_beyond_the_schema_are_named() {
        let found = issues(&[object(7, [90.0, 10.0, 30.0, 20.0])], &["car"]);
        assert!(matches!(found[0], LabelIssue::OutOfImage { excess, .. } if excess == 20.0));
        assert!(matches!(found[1], LabelIssue::UnknownClass { class: 7, .. }));
    }

    #[test]
    fn too_much_other_is_reported_with_its_share() {
        let found =
            issues(&[object(1, [0.0, 0.0, 9.0, 9.0]), object(0, [20.0, 0.0, 9.0, 9.0])], &["car", "Other"]);
        assert_eq!(found, [LabelIssue::OtherShare { n_other: 1, n_objects: 2, share: 0.5 }]);
    }

    #[test]
    fn issues_are_said_in_words_and_named_as_in_files() {
        let found =
            issues(&[object(0, [90.0, 10.0, 30.0, 1.0]), object(0, [90.0, 10.0, 30.0, 1.0])], &["car"]);
        let words: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(words[0], "box 0 of a is a sliver of 30.0 x 1.0 pixels");
        assert_eq!(words[1], "box 0 of a sticks out by 20.0 pixels");
        assert_eq!(words[4], "boxes 0 and 1 of a are of one class and overlap by 1.000");
        for issue in &found {
            assert_eq!(serde_json::to_value(issue).unwrap()["kind"], issue.kind());
        }
    }

    #[test]
    fn near_miss_names_and_empty_images_are_reported() {
        let found = issues(&[], &["cyclist", "cyclists", "car", "van"]);
        assert!(matches!(found[0], LabelIssue::NoLabels { .. }));
        assert_eq!(
            found[1],
            LabelIssue::NearMissClass { first: "cyclist".into(), second: "cyclists".into() }
        );
        assert_eq!(found.len(), 2);
    }
}
