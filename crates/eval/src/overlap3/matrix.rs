use super::Upright;

/// IoU on the ground of every box of `rows` with every one of `columns`, row-major, `rows.len() * columns.len()` numbers.
///
/// Pairs whose circles are apart are told by a comparison that the compiler does many at a time, about a nanosecond each.
///
/// ```
/// use labelloop_eval::overlap3::{Upright, bev_matrix};
///
/// let car = |x| Upright::from_row([x, 0.0, 0.0, 4.0, 2.0, 1.5, 0.0]).unwrap();
/// assert_eq!(bev_matrix(&[car(0.0)], &[car(2.0), car(80.0), car(0.0)]), [1.0 / 3.0, 0.0, 1.0]);
/// ```
pub fn bev_matrix(rows: &[Upright], columns: &[Upright]) -> Vec<f64> {
    matrix(rows, columns, Upright::iou_bev)
}

/// IoU of the volumes, as [`bev_matrix`].
pub fn iou_3d_matrix(rows: &[Upright], columns: &[Upright]) -> Vec<f64> {
    matrix(rows, columns, Upright::iou_3d)
}

/// Columns that are compared before any overlap is computed; their far-near flags fill a machine word.
const BLOCK: usize = 64;

fn matrix(rows: &[Upright], columns: &[Upright], iou: impl Fn(&Upright, &Upright) -> f64) -> Vec<f64> {
    let mut out = vec![0.0; rows.len() * columns.len()];
    if columns.is_empty() {
        return out;
    }
    let circles = Circles::new(columns);
    let mut near = [false; BLOCK];
    for (row, out) in rows.iter().zip(out.chunks_exact_mut(columns.len())) {
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let first = block * BLOCK;
            if !circles.find_near(row, first, &mut near[..out.len()]) {
                continue;
            }
            for (i, (value, _)) in out.iter_mut().zip(&near).enumerate().filter(|(_, (_, near))| **near) {
                *value = iou(row, &columns[first + i]);
            }
        }
    }
    out
}

/// Centres and radii, one list each, in `f32`: enough to tell what is certainly apart.
struct Circles {
    x: Vec<f32>,
    y: Vec<f32>,
    radius: Vec<f32>,
}

impl Circles {
    fn new(boxes: &[Upright]) -> Self {
        Self {
            x: boxes.iter().map(|b| b.x as f32).collect(),
            y: boxes.iter().map(|b| b.y as f32).collect(),
            radius: boxes.iter().map(|b| b.radius as f32).collect(),
        }
    }

    /// Flags what may touch `row` from column `first` on; whether there is any.
    fn find_near(&self, row: &Upright, first: usize, near: &mut [bool]) -> bool {
        let (x, y, radius) = (row.x as f32, row.y as f32, row.radius as f32);
        // Rounding to f32 moves each centre by at most 2^-24 of its largest coordinate.
        let slack = x.abs().max(y.abs()) * 4e-7 + radius * 1e-6;
        let end = first + near.len();
        let (xs, ys, radii) = (&self.x[first..end], &self.y[first..end], &self.radius[first..end]);
        let mut any = false;
        for (((near, bx), by), br) in near.iter_mut().zip(xs).zip(ys).zip(radii) {
            let (dx, dy) = (bx - x, by - y);
            let reach = (radius + br) * 1.000_001 + slack + (bx.abs() + by.abs()) * 4e-7;
            // Not the other way round: what cannot be compared is looked at.
            *near = !(reach * reach < dx * dx + dy * dy);
            any |= *near;
        }
        any
    }
}
