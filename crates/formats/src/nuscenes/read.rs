//! The file: its lists, sample by sample.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use labelloop_core::{Cuboid, CuboidFrame, GroupKey, SampleId};
use rayon::prelude::*;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::rows::{Parts, Rack, plain_rows};
use super::{NuscenesRow, NuscenesRows, ReadOptions};
use crate::json::{self, Object, Source};
use crate::warning::Notes;
use crate::{FormatError, Result, files};

/// What a file's boxes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Labels,
    Detections,
}

#[derive(serde::Deserialize)]
struct Top<'a> {
    #[serde(borrow, default)]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    results: Option<Lists<'a>>,
    #[serde(borrow, default)]
    racks: Option<Lists<'a>>,
    #[serde(borrow, default)]
    scenes: Option<Lists<'a>>,
}

/// Values by name in the order of the file; a name given twice is an error.
struct Lists<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Lists<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        #[derive(serde::Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        impl<'de> Visitor<'de> for Entries {
            type Value = Lists<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a value for each sample")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut entries, mut names) = (Vec::new(), BTreeSet::new());
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format_args!("sample {name:?} occurs twice")));
                    }
                    entries.push((name, value));
                }
                Ok(Lists(entries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

pub(super) fn read(path: &Path, bytes: Vec<u8>, options: &ReadOptions, role: Role) -> Result<NuscenesRows> {
    let text = json::words_as_texts(files::text_of(path, bytes)?);
    let source = Source::new(path, &text);
    let top: Top<'_> = source.parse_all()?;
    let frame = frame(&source, top.meta)?;
    let mut notes = Notes::new(path, options.strictness);
    let lists =
        top.results.ok_or_else(|| source.structure("results", "an object with a list for each sample"))?;
    let mut file = File { source: &source, options, role, frame };
    let (samples, rows) = file.boxes(&lists.0, &mut notes)?;
    let places: BTreeMap<&str, u32> = samples.iter().map(SampleId::as_str).zip(0..).collect();
    let racks = file.racks(top.racks, &places, &mut notes)?;
    let scenes = scenes(&source, top.scenes, &places)?;
    drop(places);
    Ok(NuscenesRows { frame, samples, rows, racks, scenes, warnings: notes.into_warnings() })
}

fn frame(source: &Source<'_>, meta: Option<&RawValue>) -> Result<CuboidFrame> {
    let expected = "\"global\", \"ego\" or \"lidar\"";
    let Some(meta) = meta.filter(|raw| raw.get() != "null") else { return Ok(CuboidFrame::Global) };
    let mut meta: Object<'_> = source.parse(meta.get())?;
    let Some(frame) = meta.take("frame") else { return Ok(CuboidFrame::Global) };
    match serde_json::from_str::<String>(frame.get()).as_deref() {
        Ok("global") => Ok(CuboidFrame::Global),
        Ok("ego" | "lidar") => Ok(CuboidFrame::Lidar),
        _ => Err(source.structure("meta.frame", expected)),
    }
}

/// A file whose lists are being read.
struct File<'s, 'a> {
    source: &'s Source<'a>,
    options: &'s ReadOptions,
    role: Role,
    frame: CuboidFrame,
}

type Entry<'a> = (Cow<'a, str>, &'a RawValue);

impl<'a> File<'_, 'a> {
    fn boxes(&mut self, lists: &[Entry<'a>], notes: &mut Notes) -> Result<(Vec<SampleId>, Vec<NuscenesRow>)> {
        let (options, role, frame) = (self.options, self.role, self.frame);
        // Most samples have nothing unusual and are read in one go; the others box by box, with what is wrong.
        let usual: Vec<Option<Vec<NuscenesRow>>> = lists
            .par_iter()
            .enumerate()
            .map(|(place, (token, list))| usual(place as u32, token, list, frame, options, role))
            .collect();
        let (mut samples, mut rows) = (Vec::with_capacity(lists.len()), Vec::new());
        for (place, ((token, list), usual)) in (0u32..).zip(lists.iter().zip(usual)) {
            let id = SampleId::new(token.as_ref()).map_err(|_| {
                self.source
                    .structure(&format!("results.{token:?}"), "a sample token without control characters")
            })?;
            samples.push(id);
            match usual {
                Some(usual) => rows.extend(usual),
                None => self.unusual(place, token, list, notes, &mut rows)?,
            }
        }
        Ok((samples, rows))
    }

    fn unusual(
        &self,
        sample: u32,
        token: &str,
        list: &'a RawValue,
        notes: &mut Notes,
        rows: &mut Vec<NuscenesRow>,
    ) -> Result<()> {
        for record in self.source.records(&format!("results.{token}"), list, notes)? {
            let (line, place) = (record.line, record.place.clone());
            let row = Parts::of(record)
                .and_then(|p| p.row(sample, token, self.frame, self.options, self.role, &|| place.clone()));
            match row {
                Ok(row) => rows.push(row),
                Err(kind) => notes.note(Some(line), kind)?,
            }
        }
        Ok(())
    }

    fn racks(
        &self,
        lists: Option<Lists<'a>>,
        places: &BTreeMap<&str, u32>,
        notes: &mut Notes,
    ) -> Result<Vec<(u32, Cuboid)>> {
        let mut racks = Vec::new();
        for (token, list) in lists.map(|l| l.0).unwrap_or_default() {
            let sample = *places.get(token.as_ref()).ok_or_else(|| unknown(&token, places))?;
            for record in self.source.records(&format!("racks.{token}"), list, notes)? {
                let line = record.line;
                match Rack::cuboid(record, self.frame) {
                    Ok(rack) => racks.push((sample, rack)),
                    Err(kind) => notes.note(Some(line), kind)?,
                }
            }
        }
        racks.sort_by_key(|(sample, _)| *sample);
        Ok(racks)
    }
}

fn usual(
    sample: u32,
    token: &str,
    list: &RawValue,
    frame: CuboidFrame,
    options: &ReadOptions,
    role: Role,
) -> Option<Vec<NuscenesRow>> {
    let row = |parts: &Parts<'_>| parts.row(sample, token, frame, options, role, &String::new).ok();
    plain_rows(list)?.iter().map(row).collect()
}

fn scenes(
    source: &Source<'_>,
    lists: Option<Lists<'_>>,
    places: &BTreeMap<&str, u32>,
) -> Result<BTreeMap<SampleId, GroupKey>> {
    let entries = lists.map(|l| l.0).unwrap_or_default();
    let scene = |(token, raw): (Cow<'_, str>, &RawValue)| {
        let wrong = || source.structure(&format!("scenes.{token}"), "the name of a scene");
        let name: String = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
        if !places.contains_key(token.as_ref()) {
            return Err(unknown(&token, places));
        }
        let id = SampleId::new(token.as_ref()).map_err(|_| wrong())?;
        Ok((id, GroupKey::new(name).map_err(|_| wrong())?))
    };
    entries.into_iter().map(scene).collect()
}

fn unknown(token: &str, places: &BTreeMap<&str, u32>) -> FormatError {
    FormatError::UnknownSample { sample: token.to_owned(), n_samples: places.len() }
}
