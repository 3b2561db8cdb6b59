use serde::{Deserialize, Serialize};

use crate::{CoreError, Result};

/// Width and height of a picture in pixels, both at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawSize")]
pub struct ImageSize {
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
struct RawSize {
    width: u32,
    height: u32,
}

impl TryFrom<RawSize> for ImageSize {
    type Error = CoreError;

    fn try_from(raw: RawSize) -> Result<Self> {
        Self::new(raw.width, raw.height)
    }
}

impl ImageSize {
    /// # Errors
    /// [`CoreError::InvalidImageSize`] when a side is 0.
    pub fn new(width: u32, height: u32) -> Result<Self> {
        if width == 0 || height == 0 {
            return Err(CoreError::InvalidImageSize { width, height });
        }
        Ok(Self { width, height })
    }

    /// Pixels from left to right.
    pub fn width(self) -> u32 {
        self.width
    }

    /// Pixels from top to bottom.
    pub fn height(self) -> u32 {
        self.height
    }
}

/// An axis-aligned box in pixels: left, top, width, height; the origin is the picture's upper left corner.
///
/// All numbers are finite and sizes at least 0. A box of zero width or height is *degenerate*: readers keep it so
/// that nothing is lost, and datasets refuse or drop it by an explicit policy.
///
/// ```
/// use labelloop_core::BBox;
///
/// let a = BBox::new(0.0, 0.0, 10.0, 10.0)?;
/// let b = BBox::from_corners(5.0, 0.0, 15.0, 10.0)?;
/// assert_eq!(a.intersection_area(b), 50.0);
/// assert_eq!(a.iou(b), 50.0 / 150.0);
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 4]", into = "[f64; 4]")]
pub struct BBox {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl TryFrom<[f64; 4]> for BBox {
    type Error = CoreError;

    fn try_from([x, y, width, height]: [f64; 4]) -> Result<Self> {
        Self::new(x, y, width, height)
    }
}

impl From<BBox> for [f64; 4] {
    fn from(b: BBox) -> Self {
        b.to_xywh()
    }
}

impl BBox {
    /// Left, top, width, height in pixels.
    ///
    /// # Errors
    /// [`CoreError::InvalidBox`] for a NaN, an infinity or a negative size.
    #[inline]
    pub fn new(x: f64, y: f64, width: f64, height: f64) -> Result<Self> {
        let finite = [x, y, width, height, x + width, y + height].iter().all(|v| v.is_finite());
        if !finite || !(0.0 <= width) || !(0.0 <= height) {
            return Err(CoreError::InvalidBox { x, y, width, height });
        }
        Ok(Self { x, y, width, height })
    }

    /// Left, top, right, bottom in pixels.
    ///
    /// # Errors
    /// [`CoreError::InvalidBox`] as [`BBox::new`].
    pub fn from_corners(left: f64, top: f64, right: f64, bottom: f64) -> Result<Self> {
        Self::new(left, top, right - left, bottom - top)
    }

    /// Left, top, width, height as shares of the picture's sides (FiftyOne's convention).
    ///
    /// # Errors
    /// [`CoreError::InvalidBox`] as [`BBox::new`].
    pub fn from_relative([x, y, w, h]: [f64; 4], size: ImageSize) -> Result<Self> {
        let (iw, ih) = (f64::from(size.width), f64::from(size.height));
        Self::new(x * iw, y * ih, w * iw, h * ih)
    }

    /// Centre x, centre y, width, height as shares of the picture's sides (YOLO's convention).
    ///
    /// # Errors
    /// [`CoreError::InvalidBox`] as [`BBox::new`].
    pub fn from_yolo([cx, cy, w, h]: [f64; 4], size: ImageSize) -> Result<Self> {
        Self::from_relative([cx - w / 2.0, cy - h / 2.0, w, h], size)
    }

    /// Left edge.
    #[inline]
    pub fn x(self) -> f64 {
        self.x
    }

    /// Top edge.
    #[inline]
    pub fn y(self) -> f64 {
        self.y
    }

    /// Width.
    #[inline]
    pub fn width(self) -> f64 {
        self.width
    }

    /// Height.
    #[inline]
    pub fn height(self) -> f64 {
        self.height
    }

    /// Right edge.
    #[inline]
    pub fn right(self) -> f64 {
        self.x + self.width
    }

    /// Bottom edge.
    #[inline]
    pub fn bottom(self) -> f64 {
        self.y + self.height
    }

    /// Middle as (x, y).
    pub fn centre(self) -> (f64, f64) {
        (self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    /// Width times height, in square pixels.
    #[inline]
    pub fn area(self) -> f64 {
        self.width * self.height
    }

    /// Whether the box encloses no area.
    pub fn is_degenerate(self) -> bool {
        self.width == 0.0 || self.height == 0.0
    }

    /// `[left, top, width, height]`.
    pub fn to_xywh(self) -> [f64; 4] {
        [self.x, self.y, self.width, self.height]
    }

    /// `[left, top, right, bottom]`.
    pub fn to_corners(self) -> [f64; 4] {
        [self.x, self.y, self.right(), self.bottom()]
    }

    /// `[left, top, width, height]` as shares of the picture's sides.
    pub fn to_relative(self, size: ImageSize) -> [f64; 4] {
        let (iw, ih) = (f64::from(size.width), f64::from(size.height));
        [self.x / iw, self.y / ih, self.width / iw, self.height / ih]
    }

    /// `[centre x, centre y, width, height]` as shares of the picture's sides.
    pub fn to_yolo(self, size: ImageSize) -> [f64; 4] {
        let [x, y, w, h] = self.to_relative(size);
        [x + w / 2.0, y + h / 2.0, w, h]
    }

    /// The part inside the picture, or nothing where no area is inside.
    pub fn clipped(self, size: ImageSize) -> Option<Self> {
        let left = self.x.max(0.0);
        let top = self.y.max(0.0);
        let right = self.right().min(f64::from(size.width));
        let bottom = self.bottom().min(f64::from(size.height));
        (left < right && top < bottom).then_some(Self {
            x: left,
            y: top,
            width: right - left,
            height: bottom - top,
        })
    }

    /// Whether every point of the box lies in the picture, up to `slack` pixels.
    pub fn is_inside(self, size: ImageSize, slack: f64) -> bool {
        -slack <= self.x
            && -slack <= self.y
            && self.right() <= f64::from(size.width) + slack
            && self.bottom() <= f64::from(size.height) + slack
    }

    /// Area shared with another box, in square pixels.
    pub fn intersection_area(self, other: Self) -> f64 {
        let w = self.right().min(other.right()) - self.x.max(other.x);
        let h = self.bottom().min(other.bottom()) - self.y.max(other.y);
        w.max(0.0) * h.max(0.0)
    }

    /// Intersection over union, in `[0, 1]`; 0 where the union has no area.
    ///
    /// Plain geometry. The rules of a protocol (crowds, thresholds, pixel conventions) live with its metric.
    pub fn iou(self, other: Self) -> f64 {
        let inter = self.intersection_area(other);
        let union = self.area() + other.area() - inter;
        if 0.0 < union { (inter / union).clamp(0.0, 1.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxes() -> impl Strategy<Value = BBox> {
        (-50.0..50.0f64, -50.0..50.0f64, 0.0..80.0f64, 0.0..80.0f64)
            .prop_map(|(x, y, w, h)| BBox::new(x, y, w, h).unwrap())
    }

    #[test]
    fn nan_infinity_and_negative_sizes_are_refused() {
        for bad in [[f64::NAN, 0.0, 1.0, 1.0], [0.0, f64::INFINITY, 1.0, 1.0], [0.0, 0.0, -1.0, 1.0]] {
            assert!(BBox::try_from(bad).is_err(), "{bad:?}");
        }
        assert!(BBox::new(f64::MAX, 0.0, f64::MAX, 1.0).is_err(), "the right edge must be finite too");
    }

    #[test]
    fn json_is_four_numbers_and_checked() {
        let b = BBox::new(1.0, 2.0, 3.0, 4.0).unwrap();
        assert_eq!(serde_json::to_string(&b).unwrap(), "[1.0,2.0,3.0,4.0]");
        assert!(serde_json::from_str::<BBox>("[0,0,-1,1]").is_err());
        assert!(serde_json::from_str::<ImageSize>(r#"{"width":0,"height":1}"#).is_err());
    }

    #[test]
    fn clipping_drops_what_is_outside() {
        let size = ImageSize::new(10, 10).unwrap();
        let b = BBox::new(-5.0, 5.0, 10.0, 10.0).unwrap();
        assert_eq!(b.clipped(size).unwrap().to_xywh(), [0.0, 5.0, 5.0, 5.0]);
        assert!(!b.is_inside(size, 1.0));
        assert_eq!(BBox::new(20.0, 0.0, 1.0, 1.0).unwrap().clipped(size), None);
    }

    proptest! {
        #[test]
        fn iou_is_symmetric_and_bounded(a in boxes(), b in boxes()) {
            prop_assert_eq!(a.iou(b), b.iou(a));
            prop_assert!((0.0..=1.0).contains(&a.iou(b)));
        }

        #[test]
        fn a_box_with_area_overlaps_itself_fully(a in boxes()) {
            prop_assume!(a.area() > 1e-6);
            prop_assert!((a.iou(a) - 1.0).abs() < 1e-9);
        }

        #[test]
        fn conventions_round_trip(a in boxes()) {
            let size = ImageSize::new(640, 480).unwrap();
            for back in [BBox::from_yolo(a.to_yolo(size), size), BBox::from_relative(a.to_relative(size), size)] {
                for (x, y) in back.unwrap().to_xywh().iter().zip(a.to_xywh()) {
                    prop_assert!((x - y).abs() < 1e-9);
                }
            }
        }
    }
}
