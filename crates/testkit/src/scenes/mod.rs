//! A generator of detection scenes: sequences of nearly equal captures, each with a left picture, a right picture and
//! a point cloud, and labels for all three.
//!
//! The scenes are made to be worth choosing from. A fifth of the sequences are long and dull and hold more than half
//! of the captures, so that blind selection spends its budget on what is known. The rare class lives in short
//! country sequences, some of them at night.
//!
//! Geometry: the cameras look along the lidar's x axis from a mast 3.8 m above the ground, 0.4 m apart, without
//! tilt. A point `(x, y, z)` of the lidar's frame is at column `cx - f * (y + shift) / x` and row
//! `horizon - f * z / x`, with `f` five sixths of the picture's width and `shift` 0 for the left and 0.4 for the
//! right camera; [`camera_of`] gives that as a [`labelloop_core::Camera`], with the capture's drift.
//!
//! Every number comes from [`labelloop_core::Seed`] and from arithmetic that all platforms do alike, so the same
//! parameters give the same bytes everywhere.

mod backdrop;
mod calibration;
mod camera;
mod draws;
mod generate;
mod light;
mod paint;
mod params;
mod plan;
mod points;
mod render;
mod sheet;
mod sprite;
mod texture;

pub use calibration::camera_of;
pub use generate::generate;
use labelloop_core::{AnnotationSet, Progress};
pub use params::{SceneParams, SceneValidParams};
pub(crate) use plan::CLASS_NAMES;
pub use plan::{Ground, Light, SceneKind, SceneTraits};
pub use render::{RenderedCapture, RenderedGroup, SLICES};
pub use sheet::contact_sheet;

impl SceneValidParams {
    /// Renders sequence `g` in memory. Numbers beyond [`SceneValidParams::n_groups`] give further sequences.
    ///
    /// ```
    /// use labelloop_testkit::scenes::SceneParams;
    ///
    /// let valid = SceneParams { n_groups: 5, ..SceneParams::default() }.check()?;
    /// let group = valid.render_group(2);
    /// assert_eq!(group.group.as_str(), "seq-0002");
    /// assert_eq!(group.captures[0].left.size(), valid.size());
    /// assert_eq!(group, valid.render_group(2));
    /// # Ok::<(), labelloop_testkit::TestkitError>(())
    /// ```
    pub fn render_group(&self, g: usize) -> RenderedGroup {
        render::render(self, g).expect("names and boxes that we make ourselves are valid")
    }
}

impl SceneParams {
    /// Checks the parameters, then [`generate`]s.
    ///
    /// # Errors
    /// As [`SceneParams::check`] and [`generate`].
    pub fn generate(&self, dir: &std::path::Path, progress: &dyn Progress) -> crate::Result<AnnotationSet> {
        generate(&self.check()?, dir, progress)
    }
}
