use labelloop_core::{ClassIdx, Cuboid};

use crate::bev::View;
use crate::{PointCloud, Result, RgbImage};

/// Ten colours that differ on a dark ground, also for most people who see fewer of them (after Okabe and Ito 2008, with
/// lighter ones).
const COLOURS: [[u8; 3]; 10] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 200, 140],
    [240, 228, 66],
    [213, 94, 0],
    [204, 121, 167],
    [140, 160, 255],
    [190, 120, 60],
    [120, 220, 80],
    [250, 170, 200],
];
/// Digits of 3 x 5 pixels, rows from above, the left pixel in the highest of three bits; the last is the point.
const DIGITS: [[u8; 5]; 11] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
    [0, 0, 0, 0, 2],
];

/// A cuboid as [`bev_scene`] draws it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BevBox {
    /// What is outlined.
    pub cuboid: Cuboid,
    /// Red, green, blue of the outline; [`class_colour`] has one for every class.
    pub colour: [u8; 3],
    /// Written beside the box with two digits, where there is one.
    pub score: Option<f64>,
}

/// The colour that a class is drawn in: one of ten, again from the first after the tenth.
///
/// ```
/// use labelloop_core::ClassIdx;
/// use labelloop_media::class_colour;
///
/// assert_ne!(class_colour(ClassIdx(0)), class_colour(ClassIdx(1)));
/// assert_eq!(class_colour(ClassIdx(3)), class_colour(ClassIdx(13)));
/// ```
pub fn class_colour(class: ClassIdx) -> [u8; 3] {
    COLOURS[class.0 as usize % COLOURS.len()]
}

/// As [`bev_image`](crate::bev_image), with a colour for every cuboid and its score.
///
/// Boxes are drawn in their order, so the last lies on top. Scores are written right above the box as `.87` or `1.0`;
/// where there is no room for them they are left out, and so are scores that are not numbers.
///
/// ```
/// use labelloop_core::{ClassIdx, Cuboid, CuboidFrame};
/// use labelloop_media::{BevBox, PointCloud, bev_scene, class_colour, encode_png};
///
/// let cuboid = Cuboid::new([5.0, 0.0, 0.0], [4.0, 2.0, 1.5], 0.0, CuboidFrame::Lidar)?;
/// let car = BevBox { cuboid, colour: class_colour(ClassIdx(2)), score: Some(0.87) };
/// let view = bev_scene(&PointCloud::default(), &[car], 20.0, 400)?;
/// assert!(encode_png(&view)?.starts_with(b"\x89PNG"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`bev_image`](crate::bev_image).
pub fn bev_scene(cloud: &PointCloud, boxes: &[BevBox], extent_m: f64, pixels: u32) -> Result<RgbImage> {
    let view = View::new(extent_m, pixels)?;
    let mut picture = view.points(cloud)?;
    for shown in boxes {
        view.draw_cuboid(&mut picture, cloud, &shown.cuboid, shown.colour)?;
    }
    for shown in boxes {
        if let Some(text) = shown.score.and_then(written) {
            let [ox, oy, _] = cloud.origin();
            let corners = shown.cuboid.ground_corners().map(|[x, y]| view.place_of(x - ox, y - oy));
            let middle = corners.iter().map(|c| c[0]).sum::<f64>() / 4.0;
            let top = corners.iter().map(|c| c[1]).fold(f64::INFINITY, f64::min);
            let scale = (pixels / 400).clamp(1, 4);
            write_at(&mut picture, &text, [middle, top], scale, shown.colour);
        }
    }
    Ok(picture)
}

/// `.87`, or `1.0` for what rounds to that or is more.
fn written(score: f64) -> Option<String> {
    if !score.is_finite() {
        return None;
    }
    let hundredths = (score.clamp(0.0, 1.0) * 100.0).round() as u8;
    Some(if hundredths == 100 { "1.0".to_owned() } else { format!(".{hundredths:02}") })
}

/// Writes a text so that the middle of its foot is a little above a place.
fn write_at(picture: &mut RgbImage, text: &str, foot: [f64; 2], scale: u32, colour: [u8; 3]) {
    let width = 4.0 * text.len() as f64 * f64::from(scale);
    let (left, top) = (foot[0] - width / 2.0, foot[1] - 7.0 * f64::from(scale));
    let side = f64::from(picture.size().width());
    // Also false for places that are no numbers.
    if !(0.0 <= left && 0.0 <= top && left + width < side && foot[1] < side) {
        return;
    }
    let (left, top) = (left as u32, top as u32);
    for (i, letter) in (0u32..).zip(text.bytes()) {
        let glyph = DIGITS[usize::from(letter.wrapping_sub(b'0')).min(10)];
        for (row, bits) in (0u32..).zip(glyph) {
            for column in (0..3).filter(|column| bits & (4 >> column) != 0) {
                let (x, y) = (left + (4 * i + column) * scale, top + row * scale);
                fill(picture, x, y, scale, colour);
            }
        }
    }
}

fn fill(picture: &mut RgbImage, left: u32, top: u32, side: u32, colour: [u8; 3]) {
    for (x, y) in (left..left + side).flat_map(|x| (top..top + side).map(move |y| (x, y))) {
        picture.set(x, y, colour);
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::CuboidFrame;
    use proptest::prelude::*;

    use super::*;
    use crate::bev_image;

    fn shown(x: f64, y: f64, colour: [u8; 3], score: Option<f64>) -> BevBox {
        let cuboid = Cuboid::new([x, y, 0.0], [4.0, 2.0, 1.5], 0.0, CuboidFrame::Lidar).unwrap();
        BevBox { cuboid, colour, score }
    }

    fn n_of(picture: &RgbImage, colour: [u8; 3]) -> usize {
        picture.pixels().chunks_exact(3).filter(|p| **p == colour).count()
    }

    #[test]
    fn boxes_are_in_their_colours_and_the_last_on_top() {
        let (red, blue) = ([255, 0, 0], [0, 0, 255]);
        let both = bev_scene(
            &PointCloud::default(),
            &[shown(5.0, 5.0, red, None), shown(-5.0, 0.0, blue, None)],
            10.0,
            200,
        );
        let both = both.unwrap();
        assert!(0 < n_of(&both, red) && n_of(&both, red) == n_of(&both, blue));
        let over = bev_scene(
            &PointCloud::default(),
            &[shown(5.0, 5.0, red, None), shown(5.0, 5.0, blue, None)],
            10.0,
            200,
        );
        assert_eq!(n_of(&over.unwrap(), red), 0);
    }

    #[test]
    fn without_scores_it_is_the_plain_view_in_other_colours() {
        let cloud = PointCloud::new(vec![[1.0, 2.0, 0.0, 0.0]; 3]);
        let plain = bev_image(&cloud, &[shown(5.0, 0.0, [0; 3], None).cuboid], 10.0, 100).unwrap();
        let scene = bev_scene(&cloud, &[shown(5.0, 0.0, [255, 176, 0], None)], 10.0, 100).unwrap();
        assert_eq!(scene, plain);
    }

    #[test]
    fn scores_are_written_above_the_box() {
        let colour = [1, 2, 3];
        let of = |score| {
            n_of(
                &bev_scene(&PointCloud::default(), &[shown(0.0, 0.0, colour, score)], 10.0, 200).unwrap(),
                colour,
            )
        };
        // A point, a digit of 7 lit pixels twice; then the same with an 8.
        let lit = |digit: usize| DIGITS[digit].iter().map(|bits| bits.count_ones() as usize).sum::<usize>();
        assert_eq!(of(Some(0.77)) - of(None), 1 + 2 * lit(7));
        assert_eq!(of(Some(0.88)) - of(None), 1 + 2 * lit(8));
        assert_eq!(of(Some(f64::NAN)), of(None));
    }

    #[test]
    fn scores_round_and_stay_within_one() {
        let found = [0.0, 0.004, 0.875, 0.994, 0.996, 7.0, -1.0].map(|s| written(s).unwrap());
        assert_eq!(found, [".00", ".00", ".88", ".99", "1.0", "1.0", ".00"]);
        assert_eq!(written(f64::INFINITY), None);
    }

    #[test]
    fn colours_of_ten_classes_differ() {
        let mut colours = (0..10).map(|i| class_colour(ClassIdx(i))).collect::<Vec<_>>();
        colours.sort_unstable();
        colours.dedup();
        assert_eq!(colours.len(), 10);
        assert_eq!(class_colour(ClassIdx(u32::MAX)), class_colour(ClassIdx(u32::MAX % 10)));
    }

    proptest! {
        #[test]
        fn any_place_and_score_is_drawn_without_a_panic(
            x in -40.0..40.0f64, y in -40.0..40.0f64, score in any::<f64>(), pixels in 1..900u32,
        ) {
            let view = bev_scene(&PointCloud::default(), &[shown(x, y, [9; 3], Some(score))], 20.0, pixels).unwrap();
            prop_assert_eq!(view.size().width(), pixels);
        }
    }
}
