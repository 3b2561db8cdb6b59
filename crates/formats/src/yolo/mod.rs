//! YOLO folders as version 5, 8 and their kin train on: one text file of relative boxes per image and `dataset.yaml`.
//!
//! ```text
//! dataset.yaml         path, train, val, nc, names: {0: car, 1: van}
//! image_sizes.tsv      ours: file, width, height, original file name; read where images were not copied
//! train/images/a.jpg   train/labels/a.txt      "class cx cy width height", shares of the picture's sides
//! val/images/b.jpg     val/labels/b.txt        empty where somebody looked and there is no object
//! ```
//!
//! Class numbers are those of the schema, so they are the same in every iteration and part. Files are named after the
//! sample's id. A round trip moves edges by less than 1e-9 pixels and carries ids, sizes, classes, boxes, verified-empty
//! images and the part (in `extra["split"]`); media files that were copied or linked get their place in the folder as new file
//! name. Everything else is counted in the warnings of [`write()`].

mod read;
mod write;

pub use read::read;
pub use write::write;

/// The part of a YOLO folder that an image goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Fits the detector.
    Train,
    /// Picks its best epoch.
    Val,
    /// Judges it once.
    Test,
}

impl Part {
    /// Folder of the part.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Val => "val",
            Part::Test => "test",
        }
    }

    /// The part of this name, as readers leave it in `extra["split"]`.
    ///
    /// ```
    /// use labelloop_formats::yolo::Part;
    ///
    /// assert_eq!((Part::named("test"), Part::named("pool")), (Some(Part::Test), None));
    /// ```
    pub fn named(name: &str) -> Option<Part> {
        [Part::Train, Part::Val, Part::Test].into_iter().find(|part| part.as_str() == name)
    }
}

/// Where the label of an image lies: its last folder `images` becomes `labels`, its ending `txt`.
fn label_file(image: &str) -> String {
    let stem = crate::files::stem(image);
    let in_folder = match stem.rfind("/images/") {
        Some(at) => format!("{}/labels/{}", &stem[..at], &stem[at + "/images/".len()..]),
        None => stem.strip_prefix("images/").map_or_else(|| stem.to_owned(), |rest| format!("labels/{rest}")),
    };
    format!("{in_folder}.txt")
}

#[cfg(test)]
mod tests {
    use super::label_file;

    #[test]
    fn labels_lie_where_trainers_look() {
        assert_eq!(label_file("train/images/a.b.jpg"), "train/labels/a.b.txt");
        assert_eq!(label_file("images/train/a.jpg"), "labels/train/a.txt");
        assert_eq!(label_file("images/images/a.jpg"), "images/labels/a.txt");
        assert_eq!(label_file("flat/a.jpg"), "flat/a.txt");
    }
}
