//! What a COCO file says beyond boxes: groups that resampling keeps together, and fields to slice by.

use std::collections::BTreeMap;
use std::path::Path;

use labelloop_core::{Extra, GroupKey, SampleId, SampleRecord};
use labelloop_eval::slices::SliceBy;
use labelloop_formats::coco::{CocoDataset, ReadOptions, read};

use super::{Input, name_of};
use crate::args::EvalDataArgs;
use crate::output::UsageError;

/// Groups and attributes, pictures named as in [`Input`].
pub(super) struct Details {
    pub(super) groups: BTreeMap<SampleId, GroupKey>,
    pub(super) by: Vec<SliceBy>,
}

impl Details {
    /// Reads the file once more, with all its fields, where something asks for them.
    pub(super) fn read(
        path: &Path,
        input: &Input,
        data: &EvalDataArgs,
        needs_groups: bool,
    ) -> anyhow::Result<Self> {
        let alone = |name: &SampleId| Ok((name.clone(), GroupKey::new(name.as_str())?));
        let mut groups =
            input.names.iter().map(alone).collect::<Result<BTreeMap<_, _>, labelloop_core::CoreError>>()?;
        let mut by = if data.slices { SliceBy::built_in() } else { Vec::new() };
        if !needs_groups && data.slice_by.is_empty() {
            return Ok(Self { groups, by });
        }
        let options = ReadOptions { group_key: Some(data.group.clone()), ..ReadOptions::default() };
        let named = Named::new(read(path, &options)?)?;
        groups.extend(named.samples.iter().map(|(name, sample)| (name.clone(), sample.group.clone())));
        for field in &data.slice_by {
            by.push(named.attribute(field)?);
        }
        Ok(Self { groups, by })
    }
}

struct Named {
    samples: Vec<(SampleId, SampleRecord)>,
}

impl Named {
    fn new(dataset: CocoDataset) -> anyhow::Result<Self> {
        let mut samples = Vec::with_capacity(dataset.set.samples.len());
        for sample in dataset.set.samples {
            samples.push((name_of(&dataset.image_ids[&sample.id])?, sample));
        }
        Ok(Self { samples })
    }

    fn attribute(&self, field: &str) -> anyhow::Result<SliceBy> {
        let of_images: BTreeMap<SampleId, String> = self
            .samples
            .iter()
            .filter_map(|(name, sample)| Some((name.clone(), text(&sample.extra, field)?)))
            .collect();
        if !of_images.is_empty() {
            return Ok(SliceBy::Image { name: field.to_owned(), values: of_images });
        }
        let of_boxes = |sample: &SampleRecord| {
            sample.boxes.iter().flatten().map(|label| text(&label.extra, field)).collect::<Vec<_>>()
        };
        let values: BTreeMap<SampleId, Vec<Option<String>>> =
            self.samples.iter().map(|(name, sample)| (name.clone(), of_boxes(sample))).collect();
        if values.values().flatten().all(Option::is_none) {
            let said = format!("--slice-by {field}: no image and no annotation has this field");
            return Err(UsageError(said).into());
        }
        Ok(SliceBy::Label { name: field.to_owned(), values })
    }
}

/// A field's value as people write it: texts without their quotes.
fn text(extra: &Extra, field: &str) -> Option<String> {
    let json = extra.get(field)?;
    Some(serde_json::from_str::<String>(json).unwrap_or_else(|_| json.clone()))
}
