use labelloop_core::{ClassSchema, ImageSize, Seed};
use serde::{Deserialize, Serialize};

use crate::{Result, TestkitError};

/// How many scenes there are and what they look like.
///
/// ```
/// use labelloop_testkit::scenes::SceneParams;
///
/// let valid = SceneParams { n_groups: 3, ..SceneParams::default() }.check()?;
/// assert_eq!(valid.schema().names()[5], "animal");
/// assert!(SceneParams { width: 8, ..SceneParams::default() }.check().is_err());
/// # Ok::<(), labelloop_testkit::TestkitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SceneParams {
    /// Where all chance comes from; default 7.
    pub seed: u64,
    /// Sequences, 1 to 9999; default 80.
    pub n_groups: usize,
    /// Captures of a sequence on average, 1 to 24; default 4. Dull sequences have two to four times as many, the
    /// others about half.
    pub captures_per_group: usize,
    /// Pixels from left to right, 64 to 2048; default 192. Objects grow with it.
    pub width: u32,
    /// Pixels from top to bottom, 48 to 2048; default 144.
    pub height: u32,
    /// Share of sequences that are long and dull: daylight, asphalt, a few common objects; default 0.2.
    pub dull_share: f64,
    /// Share of the other sequences that play in the country, where the rare class lives; default 0.35.
    pub rural_share: f64,
    /// Share of the other sequences that play at night; default 0.3.
    pub night_share: f64,
    /// Deviation of the sensor's noise by daylight, in steps of 8 bits, 0 to 64; default 3. Doubled at night.
    pub noise: f64,
    /// How far the camera moves from one capture to the next, in pixels, 0 to 16; default 1.2.
    pub drift: f64,
}

impl Default for SceneParams {
    fn default() -> Self {
        Self {
            seed: 7,
            n_groups: 80,
            captures_per_group: 4,
            width: 192,
            height: 144,
            dull_share: 0.2,
            rural_share: 0.35,
            night_share: 0.3,
            noise: 3.0,
            drift: 1.2,
        }
    }
}

impl SceneParams {
    /// # Errors
    /// [`TestkitError::InvalidParam`] naming the first parameter outside its range.
    pub fn check(&self) -> Result<SceneValidParams> {
        let count = "a whole number from 1 to 9999";
        within("n_groups", self.n_groups as f64, 1.0, 9999.0, count)?;
        within(
            "captures_per_group",
            self.captures_per_group as f64,
            1.0,
            24.0,
            "a whole number from 1 to 24",
        )?;
        within("width", f64::from(self.width), 64.0, 2048.0, "64 to 2048 pixels")?;
        within("height", f64::from(self.height), 48.0, 2048.0, "48 to 2048 pixels")?;
        for (name, share) in [
            ("dull_share", self.dull_share),
            ("rural_share", self.rural_share),
            ("night_share", self.night_share),
        ] {
            within(name, share, 0.0, 1.0, "a share from 0 to 1")?;
        }
        within("noise", self.noise, 0.0, 64.0, "a deviation from 0 to 64")?;
        within("drift", self.drift, 0.0, 16.0, "0 to 16 pixels")?;
        Ok(SceneValidParams {
            size: ImageSize::new(self.width, self.height)?,
            ranks: ranks(Seed::new(self.seed), self.n_groups),
            schema: ClassSchema::new(super::CLASS_NAMES)?,
            params: self.clone(),
        })
    }
}

/// Checked [`SceneParams`]: what scenes are rendered from.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneValidParams {
    params: SceneParams,
    size: ImageSize,
    schema: ClassSchema,
    /// Rank of each sequence in a random order: the first ranks are dull, the next play in the country, the rest in
    /// town. Shares are met exactly that way, at any seed.
    ranks: Vec<usize>,
}

impl SceneValidParams {
    /// The parameters as given.
    pub fn params(&self) -> &SceneParams {
        &self.params
    }

    /// Sides of every picture.
    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// The classes: car, pedestrian, van, cyclist, sign, animal; from common to rare.
    pub fn schema(&self) -> &ClassSchema {
        &self.schema
    }

    /// Number of sequences.
    pub fn n_groups(&self) -> usize {
        self.params.n_groups
    }

    pub(crate) fn rank(&self, g: usize) -> usize {
        self.ranks.get(g).copied().unwrap_or(g)
    }

    pub(crate) fn seed(&self, g: usize) -> Seed {
        Seed::new(self.params.seed).stream("scenes").stream(&g.to_string())
    }
}

fn within(name: &'static str, found: f64, low: f64, high: f64, expected: &'static str) -> Result<()> {
    if (low..=high).contains(&found) {
        Ok(())
    } else {
        Err(TestkitError::InvalidParam { name, found, expected })
    }
}

fn ranks(seed: Seed, n: usize) -> Vec<usize> {
    seed.stream("ranks").permutation(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(name: &str, change: impl Fn(&mut SceneParams)) {
        let mut params = SceneParams::default();
        change(&mut params);
        let error = params.check().unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }

    #[test]
    fn defaults_are_as_documented() {
        let d = SceneParams::default();
        assert_eq!((d.seed, d.n_groups, d.captures_per_group, d.width, d.height), (7, 80, 4, 192, 144));
        assert_eq!((d.dull_share, d.rural_share, d.night_share), (0.2, 0.35, 0.3));
        assert_eq!((d.noise, d.drift), (3.0, 1.2));
        assert!(d.check().is_ok());
    }

    #[test]
    fn n_groups_is_checked() {
        refuses("n_groups", |p| p.n_groups = 0);
        refuses("n_groups", |p| p.n_groups = 10_000);
    }

    #[test]
    fn captures_per_group_is_checked() {
        refuses("captures_per_group", |p| p.captures_per_group = 0);
        refuses("captures_per_group", |p| p.captures_per_group = 25);
    }

    #[test]
    fn width_is_checked() {
        refuses("width", |p| p.width = 63);
    }

    #[test]
    fn height_is_checked() {
        refuses("height", |p| p.height = 4096);
    }

    #[test]
    fn dull_share_is_checked() {
        refuses("dull_share", |p| p.dull_share = f64::NAN);
    }

    #[test]
    fn rural_share_is_checked() {
        refuses("rural_share", |p| p.rural_share = -0.1);
    }

    #[test]
    fn night_share_is_checked() {
        refuses("night_share", |p| p.night_share = 1.5);
    }

    #[test]
    fn noise_is_checked() {
        refuses("noise", |p| p.noise = f64::INFINITY);
    }

    #[test]
    fn drift_is_checked() {
        refuses("drift", |p| p.drift = -1.0);
    }

    #[test]
    fn json_fills_in_defaults_and_refuses_slips() {
        let p: SceneParams = serde_json::from_str(r#"{"n_groups": 5}"#).unwrap();
        assert_eq!(p, SceneParams { n_groups: 5, ..SceneParams::default() });
        assert!(serde_json::from_str::<SceneParams>(r#"{"n_group": 5}"#).is_err());
    }
}
