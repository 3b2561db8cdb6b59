//! One box: from JSON to a row, or to what is wrong with it.

use std::borrow::Cow;
use std::fmt;

use labelloop_core::{Cuboid, CuboidFrame};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

use super::read::Role;
use super::{NuscenesRow, ReadOptions};
use crate::WarningKind;
use crate::json::{Record, shortened};

/// A number, or one of Python's words for none: `NaN`, `Infinity`, which arrive as texts, and `null`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;

        impl Visitor<'_> for Word {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Number, E> {
                Ok(Number(v))
            }

            fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Number, E> {
                Ok(Number(v as f64))
            }

            fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Number, E> {
                Ok(Number(v as f64))
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Number, E> {
                Ok(Number(f64::NAN))
            }

            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Number, E> {
                match v {
                    "N" => Ok(Number(f64::NAN)),
                    "Infini" => Ok(Number(f64::INFINITY)),
                    "-Infini" => Ok(Number(f64::NEG_INFINITY)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(v), &self)),
                }
            }
        }

        deserializer.deserialize_any(Word)
    }
}

/// The fields of a box that are read.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Parts<'a> {
    #[serde(borrow, default)]
    sample_token: Option<Cow<'a, str>>,
    translation: [Number; 3],
    size: [Number; 3],
    rotation: [Number; 4],
    #[serde(default)]
    velocity: Option<[Number; 2]>,
    #[serde(borrow)]
    detection_name: Cow<'a, str>,
    #[serde(default)]
    detection_score: Option<Number>,
    #[serde(borrow, default)]
    attribute_name: Option<Cow<'a, str>>,
    #[serde(default)]
    ego_translation: Option<[Number; 3]>,
    #[serde(default)]
    num_pts: Option<i64>,
}

const THREE: &str = "three numbers";
const NAME: &str = "a name";

impl<'a> Parts<'a> {
    /// The same from a record, whose complaints name the field.
    pub(super) fn of(mut record: Record<'a>) -> Result<Self, WarningKind> {
        Ok(Self {
            sample_token: text(&mut record, "sample_token")?,
            translation: record.required("translation", THREE)?,
            size: record.required("size", THREE)?,
            rotation: record.required("rotation", "four numbers")?,
            velocity: record.optional("velocity", "two numbers")?,
            detection_name: match text(&mut record, "detection_name")? {
                Some(name) => name,
                None => return Err(missing(&record.place, "detection_name")),
            },
            detection_score: record.optional("detection_score", "a number")?,
            attribute_name: text(&mut record, "attribute_name")?,
            ego_translation: record.optional("ego_translation", THREE)?,
            num_pts: record.optional("num_pts", "a whole number")?,
        })
    }

    /// The row, or what is wrong. `place` is that of the box.
    pub(super) fn row(
        &self,
        sample: u32,
        token: &str,
        frame: CuboidFrame,
        options: &ReadOptions,
        role: Role,
        place: &dyn Fn() -> String,
    ) -> Result<NuscenesRow, WarningKind> {
        if let Some(own) = &self.sample_token
            && own != token
        {
            return Err(invalid(place, "sample_token", "that of the list it is in", own));
        }
        let name = self.detection_name.as_ref();
        let class = options.classes.index(name).map_err(|_| WarningKind::UnknownClass {
            place: format!("{}.detection_name", place()),
            found: name.to_owned(),
            nearest: options.classes.nearest(name).map(str::to_owned),
        })?;
        let (translation, size) = (plain(self.translation), plain(self.size));
        let cuboid = Cuboid::from_nuscenes(translation, size, plain(self.rotation), frame)
            .map_err(|reason| WarningKind::Refused { place: place(), reason })?;
        Ok(NuscenesRow {
            sample,
            class,
            cuboid,
            velocity: self.velocity(place)?,
            attribute: self.attribute(options, place)?,
            ego: self.ego(place)?,
            n_points: self.n_points(place)?,
            score: self.score(role, place)?,
        })
    }

    fn velocity(&self, place: &dyn Fn() -> String) -> Result<Option<[f64; 2]>, WarningKind> {
        let Some(velocity) = self.velocity.map(plain) else { return Ok(None) };
        if velocity.iter().any(|v| v.is_infinite()) {
            return Err(invalid(
                place,
                "velocity",
                "finite numbers, or NaN where it is unknown",
                &format!("{velocity:?}"),
            ));
        }
        Ok(velocity.iter().all(|v| v.is_finite()).then_some(velocity))
    }

    fn attribute(
        &self,
        options: &ReadOptions,
        place: &dyn Fn() -> String,
    ) -> Result<Option<u16>, WarningKind> {
        let Some(name) = self.attribute_name.as_deref().filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        match (0u16..).zip(&options.attributes).find(|(_, known)| *known == name) {
            Some((number, _)) => Ok(Some(number)),
            None => Err(invalid(place, "attribute_name", "a known attribute or an empty text", name)),
        }
    }

    fn ego(&self, place: &dyn Fn() -> String) -> Result<Option<[f64; 3]>, WarningKind> {
        let Some(ego) = self.ego_translation.map(plain) else { return Ok(None) };
        if ego.iter().all(|v| v.is_finite()) {
            return Ok(Some(ego));
        }
        Err(invalid(place, "ego_translation", "three finite numbers", &format!("{ego:?}")))
    }

    fn n_points(&self, place: &dyn Fn() -> String) -> Result<Option<u32>, WarningKind> {
        match self.num_pts {
            // The devkit's word for "not counted".
            None | Some(-1) => Ok(None),
            Some(n) => {
                let wrong =
                    |_| invalid(place, "num_pts", "a count, or -1 where there is none", &n.to_string());
                u32::try_from(n).map(Some).map_err(wrong)
            }
        }
    }

    fn score(&self, role: Role, place: &dyn Fn() -> String) -> Result<Option<f64>, WarningKind> {
        let score = self.detection_score.map(|n| n.0);
        match (role, score) {
            (Role::Labels, _) => Ok(score.filter(|s| s.is_finite())),
            (Role::Detections, None) => Err(missing(&place(), "detection_score")),
            (Role::Detections, Some(s)) if 0.0 <= s && s.is_finite() => Ok(score),
            (Role::Detections, Some(s)) => {
                Err(invalid(place, "detection_score", "a finite number of at least 0", &s.to_string()))
            }
        }
    }
}

/// A bicycle rack.
#[derive(Debug)]
pub(super) struct Rack;

impl Rack {
    pub(super) fn cuboid(mut record: Record<'_>, frame: CuboidFrame) -> Result<Cuboid, WarningKind> {
        let translation: [Number; 3] = record.required("translation", THREE)?;
        let size: [Number; 3] = record.required("size", THREE)?;
        let rotation: [Number; 4] = record.required("rotation", "four numbers")?;
        Cuboid::from_nuscenes(plain(translation), plain(size), plain(rotation), frame)
            .map_err(|reason| WarningKind::Refused { place: record.place, reason })
    }
}

fn plain<const N: usize>(numbers: [Number; N]) -> [f64; N] {
    numbers.map(|n| n.0)
}

fn text<'a>(record: &mut Record<'a>, field: &'static str) -> Result<Option<Cow<'a, str>>, WarningKind> {
    // Texts with escapes cannot be borrowed.
    Ok(record.optional::<String>(field, NAME)?.map(Cow::Owned))
}

fn missing(place: &str, field: &'static str) -> WarningKind {
    WarningKind::MissingField { place: place.to_owned(), field }
}

fn invalid(place: &dyn Fn() -> String, field: &str, expected: &'static str, found: &str) -> WarningKind {
    WarningKind::InvalidValue { place: format!("{}.{field}", place()), expected, found: shortened(found) }
}

/// The boxes of a sample, when nothing about them is unusual.
pub(super) fn plain_rows<'a>(list: &'a RawValue) -> Option<Vec<Parts<'a>>> {
    serde_json::from_str(list.get()).ok()
}
