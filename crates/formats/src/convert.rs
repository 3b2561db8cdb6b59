use std::path::Path;

use labelloop_core::{AnnotationSet, SampleId, SampleRecord};

use crate::{
    Format, Imported, MediaMode, ReadOptions, Result, Warning, coco, cvat, fiftyone, kitti, label_studio,
    voc, yolo,
};

/// What a conversion carried over and what it could not.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversionReport {
    /// Samples read.
    pub n_images: usize,
    /// Boxes read.
    pub n_boxes: usize,
    /// What was wrong with the source, then what the target cannot hold.
    pub warnings: Vec<Warning>,
}

/// Turns one annotation format into another, reading leniently; media files stay where they are.
///
/// `input` and `out` are files for COCO, CVAT and Label Studio and folders for the others; a YOLO folder may be named by its
/// `dataset.yaml` as well. Samples go to YOLO's validation or test part if they come from one of that name, else to its
/// training part.
///
/// ```
/// use labelloop_formats::{Format, convert};
///
/// let folder = tempfile::tempdir()?;
/// let coco = folder.path().join("instances.json");
/// std::fs::write(&coco, r#"{
///     "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}],
///     "categories": [{"id": 1, "name": "car"}],
///     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 16, 16], "iscrowd": 1}]
/// }"#)?;
/// let report = convert(Format::Coco, &coco, Format::Voc, &folder.path().join("voc"))?;
/// assert_eq!((report.n_images, report.n_boxes), (1, 1));
/// assert!(report.warnings[0].to_string().ends_with("1 crowd marks not written: voc cannot hold them"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of the reader and of the writer.
pub fn convert(from: Format, input: &Path, to: Format, out: &Path) -> Result<ConversionReport> {
    let Imported { set, mut warnings } = read_as(from, input, &ReadOptions::default())?;
    warnings.extend(write(to, out, &set)?);
    Ok(ConversionReport { n_images: set.samples.len(), n_boxes: set.n_boxes(), warnings })
}

/// Reads annotations of any format: `input` is a file for COCO, CVAT and Label Studio and a folder for the others, as for
/// [`convert`]. COCO files list their classes themselves, whatever `options` say of a schema.
///
/// ```
/// use labelloop_formats::{Format, ReadOptions, read_as};
///
/// let folder = tempfile::tempdir()?;
/// let coco = folder.path().join("instances.json");
/// std::fs::write(&coco, r#"{"images": [], "categories": [{"id": 1, "name": "car"}], "annotations": []}"#)?;
/// assert_eq!(read_as(Format::Coco, &coco, &ReadOptions::default())?.set.schema.names(), ["car"]);
/// assert!(read_as(Format::Voc, &folder.path().join("nowhere"), &ReadOptions::default()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of the format's reader.
pub fn read_as(format: Format, input: &Path, options: &ReadOptions) -> Result<Imported> {
    match format {
        Format::Coco => {
            let options = coco::ReadOptions {
                strictness: options.strictness,
                images_without_annotations: options.images_without_annotations,
                ..coco::ReadOptions::default()
            };
            let dataset = coco::read(input, &options)?;
            Ok(Imported { set: dataset.set, warnings: dataset.warnings })
        }
        Format::Yolo if input.is_dir() => yolo::read(&input.join("dataset.yaml"), options),
        Format::Yolo => yolo::read(input, options),
        Format::Voc => voc::read(input, options),
        Format::Kitti => kitti::read(input, options),
        Format::Cvat => cvat::read(input, options),
        Format::LabelStudio => label_studio::read(input, options),
        Format::FiftyOne => fiftyone::read(input, options),
        #[cfg(feature = "parquet")]
        Format::Parquet => crate::tables::read(input, options),
    }
}

fn write(format: Format, out: &Path, set: &AnnotationSet) -> Result<Vec<Warning>> {
    match format {
        Format::Coco => coco::write(out, set, &coco::WriteOptions::default()),
        Format::Yolo => {
            let part_of = |s: &SampleRecord| {
                let named: String = serde_json::from_str(s.extra.get("split")?).ok()?;
                yolo::Part::named(&named)
            };
            let parts: std::collections::BTreeMap<&SampleId, yolo::Part> =
                set.samples.iter().filter_map(|s| Some((&s.id, part_of(s)?))).collect();
            let part = |id: &SampleId| Some(parts.get(id).copied().unwrap_or(yolo::Part::Train));
            yolo::write(out, set, &part, Path::new("."), MediaMode::None)
        }
        Format::Voc => voc::write(out, set),
        Format::Kitti => kitti::write(out, set),
        Format::Cvat => cvat::write(out, set),
        Format::LabelStudio => label_studio::write(out, set, &label_studio::WriteOptions::default()),
        Format::FiftyOne => fiftyone::write(out, set),
        #[cfg(feature = "parquet")]
        Format::Parquet => crate::tables::write(out, set),
    }
}
