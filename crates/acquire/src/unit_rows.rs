use ndarray::{Array2, ArrayView2};

/// Rows scaled to length 1, so that products are cosines. A zero row stays zero: its cosine to everything counts as 0.
pub(crate) fn unit_rows(rows: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut units = rows.as_standard_layout().into_owned();
    for mut row in units.rows_mut() {
        let norm = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if 0.0 < norm {
            row.mapv_inplace(|v| (f64::from(v) / norm) as f32);
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_get_length_one_and_zero_stays() {
        assert_eq!(unit_rows(array![[3.0, 4.0], [0.0, 0.0]].view()), array![[0.6, 0.8], [0.0, 0.0]]);
        assert_eq!(unit_rows(array![[1e30, 0.0]].view()), array![[1.0, 0.0]]);
    }
}
