use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use labelloop_core::{
    AnnotationSet, BBox, ClassIdx, ClassSchema, Extra, ImageSize, LabelledBox, SampleRecord,
};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::label_file;
use crate::warning::{Notes, invalid};
use crate::{FormatError, Imported, ReadOptions, Result, WarningKind, files, json, sizes};

/// Reads a YOLO folder by its `dataset.yaml`.
///
/// `names` may be a list or a map from 0 without gaps. `train`, `val` and `test` are folders, text files that list images, or
/// lists of these, inside the folder of the file; a `path` elsewhere is not followed, so a folder that was moved reads as well. An
/// image without a label file is unlabelled; an empty one says that there is no object. Sizes come from the headers of
/// the images, or from `image_sizes.tsv` as [`super::write()`] leaves it.
///
/// Lenient reading leaves out, with a warning each: lines that are not five numbers (or six, with a confidence), class
/// numbers that have no name, images of unknown size. No class is ever made up.
///
/// With [`ReadOptions::schema`], classes are matched by name and the numbers become those of that schema.
///
/// Complexity: O(n log n) in files and lines.
///
/// # Errors
/// [`FormatError::Io`], [`FormatError::NotUtf8`], [`FormatError::Syntax`], [`FormatError::Structure`],
/// [`FormatError::Schema`]; [`FormatError::Refused`] under [`crate::Strictness::Strict`].
pub fn read(path: &Path, options: &ReadOptions) -> Result<Imported> {
    let mut notes = Notes::new(path, options.strictness);
    let yaml = parse_yaml(path)?;
    let names = yaml.names.in_order(path)?;
    if let Some(claimed) = yaml.nc.filter(|nc| *nc != names.len()) {
        notes.note(None, WarningKind::ClassCount { claimed, listed: names.len() })?;
    }
    let listed =
        ClassSchema::new(names).map_err(|source| FormatError::Schema { path: path.to_owned(), source })?;
    let schema = options.schema.clone().unwrap_or_else(|| listed.clone());
    let root = root_of(path, yaml.path.as_deref());
    let sizes = sizes::read(&root, &mut notes)?;
    let mut reader = Reader { root, sizes, listed, schema, notes: &mut notes, samples: BTreeMap::new() };
    for (part, folders) in [("train", &yaml.train), ("val", &yaml.val), ("test", &yaml.test)] {
        for folder in folders.iter().flat_map(|f| &f.0) {
            reader.part(part, folder)?;
        }
    }
    let set = AnnotationSet {
        schema: reader.schema,
        samples: reader.samples.into_values().collect(),
        extra: Extra::new(),
    };
    Ok(Imported { set, warnings: notes.into_warnings() })
}

#[derive(serde::Deserialize)]
struct Yaml {
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    train: Option<Folders>,
    #[serde(default)]
    val: Option<Folders>,
    #[serde(default)]
    test: Option<Folders>,
    #[serde(default)]
    nc: Option<usize>,
    names: Names,
}

fn parse_yaml(path: &Path) -> Result<Yaml> {
    let text = files::read_text(path)?;
    serde_saphyr::from_str(&text).map_err(|e| FormatError::Syntax {
        path: path.to_owned(),
        line: e.location().and_then(|l| usize::try_from(l.line()).ok()).unwrap_or(1),
        reason: e.without_snippet().to_string(),
    })
}

/// One folder or several.
struct Folders(Vec<String>);

impl<'de> Deserialize<'de> for Folders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Folders;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a folder or a list of folders")
            }

            fn visit_str<E>(self, text: &str) -> Result<Folders, E> {
                Ok(Folders(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Folders, A::Error> {
                let mut folders = Vec::new();
                while let Some(folder) = seq.next_element::<String>()? {
                    folders.push(folder);
                }
                Ok(Folders(folders))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

/// Class names as a list or by number. Names are asked for as text, so that `no` and `7` are names too.
enum Names {
    List(Vec<String>),
    Map(BTreeMap<u32, String>),
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrMap;

        impl<'de> Visitor<'de> for ListOrMap {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of class names or a map from class number to name")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element::<String>()? {
                    names.push(name);
                }
                Ok(Names::List(names))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = BTreeMap::new();
                while let Some((number, name)) = map.next_entry::<u32, String>()? {
                    names.insert(number, name);
                }
                Ok(Names::Map(names))
            }
        }

        deserializer.deserialize_any(ListOrMap)
    }
}

impl Names {
    fn in_order(self, path: &Path) -> Result<Vec<String>> {
        match self {
            Names::List(names) => Ok(names),
            Names::Map(names) if (0u32..).zip(names.keys()).all(|(i, n)| i == *n) => {
                Ok(names.into_values().collect())
            }
            Names::Map(_) => Err(FormatError::Structure {
                path: path.to_owned(),
                place: "names".to_owned(),
                expected: "class numbers from 0 without a gap",
            }),
        }
    }
}

/// The file's own folder, or the folder inside it that `path` names.
fn root_of(path: &Path, named: Option<&str>) -> PathBuf {
    let own = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let inside = named.and_then(files::safe_relative).map(|p| own.join(p));
    inside.filter(|p| p.is_dir()).unwrap_or(own)
}

struct Reader<'r> {
    root: PathBuf,
    sizes: BTreeMap<String, sizes::Listed>,
    /// Names as the file numbers them.
    listed: ClassSchema,
    /// Classes as the caller numbers them.
    schema: ClassSchema,
    notes: &'r mut Notes,
    samples: BTreeMap<String, SampleRecord>,
}

const IMAGE_ENDINGS: [&str; 9] = ["bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp", "heic"];

impl Reader<'_> {
    /// A folder of images, or a text file that lists them.
    fn part(&mut self, part: &str, given: &str) -> Result<()> {
        match self.folder(given) {
            Some(list) if list.ends_with(".txt") && self.root.join(&list).is_file() => {
                self.listed(part, &list)
            }
            _ => self.images_of(part, given),
        }
    }

    /// Images by a list, one on each line, relative to the root or in it.
    fn listed(&mut self, part: &str, list: &str) -> Result<()> {
        let path = self.root.join(list);
        for (i, line) in files::read_text(&path)?.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            match self.folder(line) {
                Some(image) => {
                    // The folder is that of the images, so that ids are those that it gives as a whole.
                    let upto = |mark: &str| image.find(mark).map(|at| at + mark.len() - 1);
                    let own = format!("/images/{part}/");
                    let bare = image.starts_with(&own[1..]).then(|| own.len() - 2);
                    let end = bare.or_else(|| upto(&own)).or_else(|| upto("/images/"));
                    let end = end.or_else(|| image.starts_with("images/").then_some("images".len()));
                    let folder = image[..end.unwrap_or(0)].to_owned();
                    self.sample(part, &folder, &image)?;
                }
                None => {
                    let kind = WarningKind::UnsafePath { place: part.to_owned(), found: line.to_owned() };
                    self.notes.note_in(&path, Some(i + 1), kind)?;
                }
            }
        }
        Ok(())
    }

    fn images_of(&mut self, part: &str, given: &str) -> Result<()> {
        let Some(folder) = self.folder(given) else {
            return self
                .notes
                .note(None, WarningKind::UnsafePath { place: part.to_owned(), found: given.to_owned() });
        };
        let mut images: BTreeSet<String> =
            self.sizes.keys().filter(|i| i.starts_with(&format!("{folder}/"))).cloned().collect();
        let path = self.root.join(&folder);
        if !path.is_dir() && images.is_empty() {
            let place = format!("{part}: {folder}");
            return self.notes.note(None, WarningKind::MissingField { place, field: "folder" });
        }
        if path.is_dir() {
            let found = files::files_below(&path)?;
            let is_image = |f: &String| {
                files::ending(f).is_some_and(|e| IMAGE_ENDINGS.contains(&e.to_ascii_lowercase().as_str()))
            };
            images.extend(found.into_iter().filter(is_image).map(|f| format!("{folder}/{f}")));
        }
        self.orphans(&folder, &images)?;
        for image in images {
            self.sample(part, &folder, &image)?;
        }
        Ok(())
    }

    /// The folder relative to the root. Some exporters write `../train/images` and mean `train/images`.
    fn folder(&self, given: &str) -> Option<String> {
        let trimmed = given.trim_end_matches('/');
        let inside = trimmed.strip_prefix("./").unwrap_or(trimmed);
        let inside = inside.strip_prefix("../").unwrap_or(inside);
        let own = std::fs::canonicalize(&self.root).ok();
        let inside = own.and_then(|own| Path::new(inside).strip_prefix(own).ok()?.to_str()).unwrap_or(inside);
        files::safe_relative(inside)
    }

    /// Label files without an image have no size to be read with.
    fn orphans(&mut self, folder: &str, images: &BTreeSet<String>) -> Result<()> {
        let labels = label_file(&format!("{folder}/x.y"));
        let labels = labels.trim_end_matches("/x.txt");
        let path = self.root.join(labels);
        if labels == folder || !path.is_dir() {
            return Ok(());
        }
        let wanted: BTreeSet<String> = images.iter().map(|i| label_file(i)).collect();
        let found = files::files_below(&path)?;
        let count = found
            .iter()
            .filter(|f| files::ending(f) == Some("txt") && !wanted.contains(&format!("{labels}/{f}")))
            .count();
        if 0 < count {
            let what = "label files without an image".to_owned();
            self.notes.note_in(&path, None, WarningKind::NotRead { what, count })?;
        }
        Ok(())
    }

    fn sample(&mut self, part: &str, folder: &str, image: &str) -> Result<()> {
        let inside = image.strip_prefix(folder).unwrap_or(image).trim_start_matches('/');
        let name = files::stem(inside).to_owned();
        let path = self.root.join(image);
        let in_header = if path.is_file() { files::image_size(&path)? } else { None };
        let Some(size) = in_header.or_else(|| self.sizes.get(image).map(|l| l.size)) else {
            let place = image.to_owned();
            return self.notes.note(None, WarningKind::MissingField { place, field: "image size" });
        };
        if self.samples.contains_key(&name) {
            let kind = WarningKind::DuplicateFileName { place: part.to_owned(), file_name: image.to_owned() };
            return self.notes.note(None, kind);
        }
        let listed = self.sizes.get(image);
        let file_name = listed.map_or_else(|| image.to_owned(), |l| l.file_name(&self.root, image));
        let mut record = match SampleRecord::image(&name, file_name, size) {
            Ok(record) => record,
            Err(reason) => {
                return self.notes.note(None, WarningKind::Refused { place: image.to_owned(), reason });
            }
        };
        record.boxes = self.labels(&self.root.join(label_file(image)), size)?;
        record.extra.insert("split".to_owned(), json::quoted(part));
        self.samples.insert(name, record);
        Ok(())
    }

    fn labels(&mut self, path: &Path, size: ImageSize) -> Result<Option<Vec<LabelledBox>>> {
        if !path.is_file() {
            return Ok(None);
        }
        let mut labels = Vec::new();
        for (i, line) in files::read_text(path)?.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            match self.label(line, size) {
                Ok(label) => {
                    if !label.bbox.is_inside(size, 1.0) {
                        let kind = WarningKind::OutsideImage { place: "label".to_owned() };
                        self.notes.note_in(path, Some(i + 1), kind)?;
                    }
                    labels.push(label);
                }
                Err(kind) => self.notes.note_in(path, Some(i + 1), kind)?,
            }
        }
        Ok(Some(labels))
    }

    fn label(&self, line: &str, size: ImageSize) -> Result<LabelledBox, WarningKind> {
        const EXPECTED: &str = "a class number and four numbers: centre x, centre y, width, height";
        let words: Vec<&str> = line.split_whitespace().collect();
        if !matches!(words.len(), 5 | 6) {
            return Err(invalid("label", EXPECTED, line));
        }
        let class = words[0].parse().map_err(|_| invalid("class number", "a whole number", words[0]))?;
        let mut numbers = [0.0f64; 5];
        for (number, word) in numbers.iter_mut().zip(&words[1..]) {
            *number = word.parse().map_err(|_| invalid("label", EXPECTED, line))?;
        }
        let [cx, cy, w, h, score] = numbers;
        let bbox = BBox::from_yolo([cx, cy, w, h], size)
            .map_err(|reason| WarningKind::Refused { place: "label".to_owned(), reason })?;
        let mut label = LabelledBox::new(self.class(class)?, bbox);
        if words.len() == 6 && score.is_finite() {
            label.extra.insert("score".to_owned(), json::number(score));
        }
        Ok(label)
    }

    fn class(&self, number: u32) -> Result<ClassIdx, WarningKind> {
        let unknown = |found: String, nearest: Option<&str>| WarningKind::UnknownClass {
            place: "label".to_owned(),
            found,
            nearest: nearest.map(str::to_owned),
        };
        let name = self.listed.name(ClassIdx(number)).ok_or_else(|| unknown(number.to_string(), None))?;
        self.schema.index(name).map_err(|_| unknown(name.to_owned(), self.schema.nearest(name)))
    }
}
