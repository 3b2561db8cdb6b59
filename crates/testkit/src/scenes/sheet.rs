use labelloop_core::{ClassIdx, ImageSize, LabelledBox};
use labelloop_media::RgbImage;

use crate::Result;

/// Colours of the frames, by class.
const FRAMES: [[u8; 3]; 6] =
    [[255, 60, 60], [60, 255, 60], [80, 140, 255], [255, 255, 60], [255, 60, 255], [60, 255, 255]];

/// Puts pictures with their labels side by side on one sheet, `n_columns` in a row, to be looked at.
///
/// Every cell is as large as the largest picture. Without pictures, or without columns, the sheet is one black pixel.
///
/// ```
/// use labelloop_testkit::scenes::{SceneParams, contact_sheet};
///
/// let valid = SceneParams { n_groups: 5, ..SceneParams::default() }.check()?;
/// let group = valid.render_group(0);
/// let cells: Vec<_> = group
///     .captures
///     .iter()
///     .map(|c| (&c.left, c.records[0].boxes.as_deref().unwrap_or_default()))
///     .collect();
/// assert_eq!(contact_sheet(&cells, 1)?.size().width(), 192);
/// # Ok::<(), labelloop_testkit::TestkitError>(())
/// ```
///
/// # Errors
/// [`crate::TestkitError::Core`] for a sheet that is too large to be counted in 32 bits.
pub fn contact_sheet(cells: &[(&RgbImage, &[LabelledBox])], n_columns: usize) -> Result<RgbImage> {
    let n_columns = n_columns.min(cells.len());
    let n_rows =
        cells.len().checked_div(n_columns).map_or(0, |n| n + usize::from(n * n_columns < cells.len()));
    let cell_w = cells.iter().map(|(p, _)| p.size().width()).max().unwrap_or(1);
    let cell_h = cells.iter().map(|(p, _)| p.size().height()).max().unwrap_or(1);
    let side =
        |n: usize, cell: u32| u32::try_from(n.max(1)).ok().and_then(|n| n.checked_mul(cell)).unwrap_or(0);
    let size = ImageSize::new(side(n_columns, cell_w), side(n_rows, cell_h))?;
    let mut sheet = RgbImage::new(size, vec![0; 3 * size.width() as usize * size.height() as usize])?;
    for (i, (picture, boxes)) in cells.iter().enumerate() {
        let at = [(i % n_columns) * cell_w as usize, (i / n_columns) * cell_h as usize];
        copy(&mut sheet, picture, at);
        for label in *boxes {
            frame(&mut sheet, picture.size(), at, label);
        }
    }
    Ok(sheet)
}

fn copy(sheet: &mut RgbImage, picture: &RgbImage, [left, top]: [usize; 2]) {
    let (stride, width) = (3 * sheet.size().width() as usize, 3 * picture.size().width() as usize);
    for (y, row) in picture.pixels().chunks_exact(width).enumerate() {
        let start = (top + y) * stride + 3 * left;
        sheet.pixels_mut()[start..start + width].copy_from_slice(row);
    }
}

fn frame(sheet: &mut RgbImage, within: ImageSize, at: [usize; 2], label: &LabelledBox) {
    let Some(inside) = label.bbox.clipped(within) else { return };
    let [l, t, r, b] = inside.to_corners().map(|v| v as usize);
    let (r, b) = (r.saturating_sub(1).max(l), b.saturating_sub(1).max(t));
    let colour = frame_colour(label.class);
    for x in l..=r {
        dot(sheet, [at[0] + x, at[1] + t], colour);
        dot(sheet, [at[0] + x, at[1] + b], colour);
    }
    for y in t..=b {
        dot(sheet, [at[0] + l, at[1] + y], colour);
        dot(sheet, [at[0] + r, at[1] + y], colour);
    }
}

fn frame_colour(class: ClassIdx) -> [u8; 3] {
    FRAMES[class.as_usize() % FRAMES.len()]
}

fn dot(sheet: &mut RgbImage, [x, y]: [usize; 2], colour: [u8; 3]) {
    let start = 3 * (y * sheet.size().width() as usize + x);
    if let Some(pixel) = sheet.pixels_mut().get_mut(start..start + 3) {
        pixel.copy_from_slice(&colour);
    }
}
