//! `iou3d`: overlaps of pairs of upright cuboids, file in, file out.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use labelloop_eval::overlap3::Upright;
use ndarray::{Array2, ArrayView1};
use ndarray_npy::{ReadNpyError, ReadNpyExt};
use serde_json::json;

use super::arrays::write_npy;
use crate::args::Iou3dArgs;
use crate::output::Output;

/// Numbers of one cuboid: x, y, z, length, width, height, yaw.
const WIDTH: usize = 7;

/// Overlaps of the two cuboids of every row.
pub(super) fn iou3d(args: &Iou3dArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let pairs = read_pairs(&args.pairs)?;
    let mut overlaps = Array2::zeros((pairs.nrows(), 4));
    for (i, row) in pairs.rows().into_iter().enumerate() {
        let place = || format!("{}, row {i}", args.pairs.display());
        let (a, b) = (cuboid(&row, 0).with_context(place)?, cuboid(&row, WIDTH).with_context(place)?);
        let found = a.overlap(&b);
        let numbers = [found.inter_bev, found.iou_bev, found.inter_vol, found.iou_3d];
        overlaps.row_mut(i).assign(&ArrayView1::from(&numbers));
    }
    write_npy(&args.out, &overlaps)?;
    let words = format!("{} pairs in {}", pairs.nrows(), args.out.display());
    output.result(&json!({ "n_pairs": pairs.nrows(), "out": args.out }), &words)?;
    Ok(ExitCode::SUCCESS)
}

fn cuboid(row: &ArrayView1<'_, f64>, from: usize) -> labelloop_eval::Result<Upright> {
    Upright::from_row(std::array::from_fn(|i| row[from + i]))
}

/// Rows of 14 numbers, f64 or f32.
fn read_pairs(path: &Path) -> anyhow::Result<Array2<f64>> {
    let open = || File::open(path).with_context(|| format!("{}: cannot be read", path.display()));
    let not_rows = || format!("{}: expected a two-dimensional array of f64 or f32", path.display());
    let pairs = match Array2::<f64>::read_npy(open()?) {
        Err(ReadNpyError::WrongDescriptor(_)) => {
            Array2::<f32>::read_npy(open()?).with_context(not_rows)?.mapv(f64::from)
        }
        read => read.with_context(not_rows)?,
    };
    anyhow::ensure!(
        pairs.ncols() == 2 * WIDTH,
        "{}: {} columns, expected 14: ax ay az al aw ah ayaw bx by bz bl bw bh byaw",
        path.display(),
        pairs.ncols()
    );
    Ok(pairs)
}
