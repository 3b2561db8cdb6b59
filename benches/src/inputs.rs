//! Labels and detections that look like COCO val2017 and a middling detector, from a seed.

use std::fmt::Write as _;

use labelloop_core::Seed;

/// How much is made.
///
/// ```
/// use labelloop_benches::inputs::InputParams;
///
/// let usual = InputParams::default();
/// assert_eq!((usual.n_images, usual.n_labels, usual.n_detections), (5_000, 36_781, 73_562));
/// assert_eq!((usual.n_classes, usual.seed), (80, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputParams {
    /// Pictures.
    pub n_images: usize,
    /// Labels, crowds included.
    pub n_labels: usize,
    /// Detections.
    pub n_detections: usize,
    /// Classes.
    pub n_classes: usize,
    /// Where chance comes from.
    pub seed: u64,
}

impl Default for InputParams {
    fn default() -> Self {
        Self { n_images: 5_000, n_labels: 36_781, n_detections: 73_562, n_classes: 80, seed: 1 }
    }
}

/// A pair of files as text, written as Python's `json.dump` writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// `instances.json`.
    pub instances: String,
    /// `detections.json`.
    pub detections: String,
}

/// Makes a pair of files: the same bytes for the same parameters.
///
/// Labels: the number per picture is long-tailed and so are the classes, the first of them with some 30 in 100, each
/// picture with a few classes of its own; one in 80 or so is a crowd; boxes are from a few to some hundred pixels wide and their
/// area is a part of the box's, as that of an outline is. Detections: most labels are found with an overlap between
/// hardly and nearly perfect, some twice, some as another class, and the rest is background with lower scores.
///
/// ```
/// use labelloop_benches::inputs::{InputParams, make};
///
/// let few = InputParams { n_images: 5, n_labels: 20, n_detections: 40, n_classes: 3, seed: 1 };
/// let made = make(&few);
/// assert_eq!(made.detections.matches("\"score\": ").count(), 40);
/// assert_eq!(made, make(&few));
/// ```
pub fn make(params: &InputParams) -> Inputs {
    let scene = Scene::new(params);
    let labels = scene.labels();
    let detections = scene.detections(&labels);
    Inputs { instances: scene.instances_text(&labels), detections: scene.detections_text(&detections) }
}

const SIZES: [(u32, u32); 5] = [(640, 480), (640, 427), (480, 640), (427, 640), (500, 375)];

#[derive(Debug, Clone, Copy)]
struct Label {
    image: usize,
    class: usize,
    bbox: [f64; 4],
    area: f64,
    is_crowd: bool,
}

#[derive(Debug, Clone, Copy)]
struct Detection {
    image: usize,
    class: usize,
    bbox: [f64; 4],
    score: f64,
}

struct Scene<'p> {
    params: &'p InputParams,
    seed: Seed,
    image_ids: Vec<u64>,
    category_ids: Vec<usize>,
    sizes: Vec<(u32, u32)>,
    /// Cumulative weights.
    classes: Vec<f64>,
    /// Cumulative weights.
    busyness: Vec<f64>,
}

impl<'p> Scene<'p> {
    fn new(params: &'p InputParams) -> Self {
        let seed = Seed::new(params.seed);
        let of_image = seed.stream("images");
        let mut id = 100;
        let image_ids = (0..params.n_images).map(|i| {
            id += 1 + of_image.stream("ids").below(i as u64, 230) as u64;
            id
        });
        let sizes =
            (0..params.n_images).map(|i| SIZES[of_image.stream("sizes").below(i as u64, SIZES.len())]);
        // COCO's person holds three of ten labels; the tail falls off slowly.
        let weights = (0..params.n_classes).map(|k| if k == 0 { 4.6 } else { (k as f64 + 2.0).powf(-0.6) });
        // Half the pictures hold a few objects, some hold dozens, and a few nothing at all.
        let of_load = seed.stream("busyness");
        let busyness = (0..params.n_images as u64).map(|i| {
            if of_load.stream("none").unit(i) < 0.01 { 0.0 } else { (0.95 * of_load.normal(i)).exp() }
        });
        Self {
            image_ids: image_ids.collect(),
            // COCO numbers 80 classes from 1 to 90 with gaps.
            category_ids: (0..params.n_classes).map(|k| 1 + k + k / 8).collect(),
            sizes: sizes.collect(),
            classes: cumulative(weights),
            busyness: cumulative(busyness),
            params,
            seed,
        }
    }

    fn labels(&self) -> Vec<Label> {
        let seed = self.seed.stream("labels");
        (0..self.params.n_labels).map(|j| self.label(seed, j as u64)).collect()
    }

    fn label(&self, seed: Seed, j: u64) -> Label {
        let image = pick(&self.busyness, seed.stream("image").unit(j));
        let bbox = self.free_box(seed.stream("box"), j, image);
        let share = 0.35 + 0.6 * seed.stream("area").unit(j);
        Label {
            image,
            class: self.class_of_image(seed, j, image),
            bbox,
            area: round(bbox[2] * bbox[3] * share, 1e4),
            is_crowd: seed.stream("crowd").unit(j) < 0.012,
        }
    }

    /// A picture holds few classes: draws come from a small list of its own, made of the common ones by weight.
    fn class_of_image(&self, seed: Seed, j: u64, image: usize) -> usize {
        let n_kinds = 1 + self.seed.stream("kinds").below(image as u64, 7) as u64;
        let kind = seed.stream("class").below(j, n_kinds as usize) as u64;
        pick(&self.classes, self.seed.stream("kind").unit(image as u64 * 8 + kind))
    }

    /// A box anywhere in the picture: long-tailed in size, like COCO's with four of ten under 32² pixels.
    fn free_box(&self, seed: Seed, j: u64, image: usize) -> [f64; 4] {
        let (width, height) = self.sizes[image];
        let side = (3.9 + 1.1 * seed.stream("side").normal(j)).exp();
        let aspect = (0.45 * seed.stream("aspect").normal(j)).exp();
        let w = (side * aspect).clamp(3.0, f64::from(width));
        let h = (side / aspect).clamp(3.0, f64::from(height));
        let x = seed.stream("x").unit(j) * (f64::from(width) - w);
        let y = seed.stream("y").unit(j) * (f64::from(height) - h);
        [x, y, w, h].map(|v| round(v, 1e2))
    }

    fn detections(&self, labels: &[Label]) -> Vec<Detection> {
        let seed = self.seed.stream("detections");
        let mut found: Vec<Detection> = (0..self.params.n_detections)
            .map(|d| {
                let d = d as u64;
                // Each label once at first; what is left over looks at labels again or at nothing.
                let origin = match (d as usize) < labels.len() {
                    true if seed.stream("seen").unit(d) < 0.9 => labels.get(d as usize),
                    false if seed.stream("again").unit(d) < 0.25 => {
                        labels.get(seed.stream("which").below(d, labels.len()))
                    }
                    _ => None,
                };
                match origin {
                    Some(label) => self.sighting(seed, d, label, (d as usize) < labels.len()),
                    None => self.phantom(seed, d),
                }
            })
            .collect();
        // A detector writes picture by picture, best first.
        found.sort_by(|a, b| a.image.cmp(&b.image).then(b.score.total_cmp(&a.score)));
        found
    }

    fn sighting(&self, seed: Seed, d: u64, label: &Label, is_first: bool) -> Detection {
        let quality = seed.stream("quality").unit(d).powf(if is_first { 2.0 } else { 0.8 });
        let slip = |name: &str, side: f64| 0.3 * quality * side * seed.stream(name).normal(d);
        let [x, y, w, h] = label.bbox;
        let moved = [
            x + slip("dx", w),
            y + slip("dy", h),
            (w * (0.3 * quality * seed.stream("dw").normal(d)).exp()).max(1.0),
            (h * (0.3 * quality * seed.stream("dh").normal(d)).exp()).max(1.0),
        ];
        let is_swapped = seed.stream("swap").unit(d) < 0.08;
        let class = if is_swapped { pick(&self.classes, seed.stream("other").unit(d)) } else { label.class };
        let logit =
            1.6 - 3.0 * quality - if is_first { 0.0 } else { 1.5 } - if is_swapped { 0.8 } else { 0.0 };
        self.scored(seed, d, label.image, class, moved, logit)
    }

    fn phantom(&self, seed: Seed, d: u64) -> Detection {
        let image = pick(&self.busyness, seed.stream("image").unit(d));
        let class = self.class_of_image(seed, d, image);
        self.scored(seed, d, image, class, self.free_box(seed.stream("box"), d, image), -2.2)
    }

    fn scored(
        &self,
        seed: Seed,
        d: u64,
        image: usize,
        class: usize,
        bbox: [f64; 4],
        logit: f64,
    ) -> Detection {
        let score = 1.0 / (1.0 + (-logit - 0.9 * seed.stream("score").normal(d)).exp());
        // Results are sent in with two decimals for boxes and all digits for scores.
        let (width, height) = self.sizes[image];
        let [x, y, w, h] = bbox;
        let (left, top) = (x.clamp(0.0, f64::from(width) - 1.0), y.clamp(0.0, f64::from(height) - 1.0));
        let (w, h) = (w.min(f64::from(width) - left), h.min(f64::from(height) - top));
        Detection { image, class, bbox: [left, top, w, h].map(|v| round(v, 1e2)), score }
    }

    fn instances_text(&self, labels: &[Label]) -> String {
        let mut text = String::from("{\"images\": [");
        for (i, id) in self.image_ids.iter().enumerate() {
            let (width, height) = self.sizes[i];
            let gap = if i == 0 { "" } else { ", " };
            let _ = write!(
                text,
                "{gap}{{\"license\": 4, \"file_name\": \"{id:012}.jpg\", \"height\": {height}, \"width\": {width}, \
                 \"id\": {id}}}"
            );
        }
        text.push_str("], \"annotations\": [");
        for (j, label) in labels.iter().enumerate() {
            let gap = if j == 0 { "" } else { ", " };
            let _ = write!(
                text,
                "{gap}{{\"area\": {:?}, \"iscrowd\": {}, \"image_id\": {}, \"bbox\": {:?}, \"category_id\": {}, \
                 \"id\": {}}}",
                label.area,
                u8::from(label.is_crowd),
                self.image_ids[label.image],
                label.bbox,
                self.category_ids[label.class],
                1_000 + 17 * j,
            );
        }
        text.push_str("], \"categories\": [");
        for (k, id) in self.category_ids.iter().enumerate() {
            let gap = if k == 0 { "" } else { ", " };
            let _ =
                write!(text, "{gap}{{\"supercategory\": \"thing\", \"id\": {id}, \"name\": \"class {id}\"}}");
        }
        text.push_str("]}");
        text
    }

    fn detections_text(&self, detections: &[Detection]) -> String {
        let mut text = String::from("[");
        for (d, found) in detections.iter().enumerate() {
            let gap = if d == 0 { "" } else { ", " };
            let _ = write!(
                text,
                "{gap}{{\"image_id\": {}, \"category_id\": {}, \"bbox\": {:?}, \"score\": {:?}}}",
                self.image_ids[found.image], self.category_ids[found.class], found.bbox, found.score,
            );
        }
        text.push(']');
        text
    }
}

fn cumulative(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    weights
        .map(|w| {
            sum += w;
            sum
        })
        .collect()
}

/// Place of a draw from `[0, 1)` among cumulative weights.
fn pick(cumulative: &[f64], draw: f64) -> usize {
    let target = draw * cumulative.last().copied().unwrap_or(0.0);
    cumulative.partition_point(|c| *c <= target).min(cumulative.len().saturating_sub(1))
}

fn round(value: f64, unit: f64) -> f64 {
    (value * unit).round() / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_weights() {
        let sums = cumulative([1.0, 0.0, 3.0].into_iter());
        assert_eq!(sums, [1.0, 1.0, 4.0]);
        assert_eq!([0.0, 0.2499, 0.25, 0.9999].map(|d| pick(&sums, d)), [0, 0, 2, 2]);
        assert_eq!(pick(&[], 0.5), 0);
    }

    #[test]
    fn both_files_are_json_with_the_numbers_asked_for() {
        let params = InputParams { n_images: 50, n_labels: 300, n_detections: 700, n_classes: 12, seed: 3 };
        let made = make(&params);
        let instances: serde_json::Value = serde_json::from_str(&made.instances).unwrap();
        let detections: serde_json::Value = serde_json::from_str(&made.detections).unwrap();
        assert_eq!(instances["images"].as_array().unwrap().len(), 50);
        assert_eq!(instances["annotations"].as_array().unwrap().len(), 300);
        assert_eq!(instances["categories"].as_array().unwrap().len(), 12);
        assert_eq!(detections.as_array().unwrap().len(), 700);
    }

    #[test]
    fn another_seed_makes_other_files() {
        let params = InputParams { n_images: 5, n_labels: 30, n_detections: 30, n_classes: 3, seed: 3 };
        assert_ne!(make(&params), make(&InputParams { seed: 4, ..params }));
    }

    #[test]
    fn nothing_to_make_is_made_too() {
        let none = InputParams { n_images: 1, n_labels: 0, n_detections: 3, n_classes: 1, seed: 3 };
        assert_eq!(make(&none).detections.matches("image_id").count(), 3);
    }
}
