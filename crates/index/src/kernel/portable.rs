use super::{
    CODE_DIMS, CODE_QUERIES, CODE_ROWS, CodeSweep, Hit, ProductSweep, QueryTerms, RowTerms, TILE_QUERIES,
    TILE_ROWS,
};

pub(super) fn products(sweep: ProductSweep<'_>, hits: &mut Vec<Hit>) {
    for (panel, rows) in sweep.panels.chunks_exact(TILE_ROWS * sweep.n_dims).enumerate() {
        let mut sums = [[0.0f32; TILE_ROWS]; TILE_QUERIES];
        for (q, x) in sweep.queries.chunks_exact(TILE_QUERIES).zip(rows.chunks_exact(TILE_ROWS)) {
            for (sums, q) in sums.iter_mut().zip(q) {
                sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += q * x);
            }
        }
        let first = panel * TILE_ROWS;
        for (lane, sums) in sums.iter().enumerate() {
            let (weight, floor) = (sweep.weight[lane], sweep.floor[lane]);
            for (i, sum) in sums.iter().enumerate() {
                let key = sweep.scale[first + i] * sum + weight * sweep.bias[first + i];
                if !(key < floor) {
                    hits.push(Hit { lane: lane as u32, row: (first + i) as u32, key });
                }
            }
        }
    }
}

pub(super) fn codes(sweep: CodeSweep<'_>, hits: &mut Vec<Hit>) {
    let groups = sweep.rows.chunks_exact(CODE_ROWS * sweep.n_dims).zip(sweep.row_terms);
    for (group, (rows, row_terms)) in groups.enumerate() {
        let mut sums = sweep.terms.map(|terms| [terms.start; CODE_ROWS]);
        let steps =
            sweep.queries.chunks_exact(CODE_QUERIES * 4).zip(rows.chunks_exact(CODE_ROWS * CODE_DIMS));
        for (queries, rows) in steps {
            for (sums, words) in sums.iter_mut().zip(queries.chunks_exact(4)) {
                for (word, rows) in words.iter().zip(rows.chunks_exact(4 * CODE_ROWS)) {
                    let query = word.to_le_bytes().map(|code| i32::from(code as i8));
                    for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(4)) {
                        *sum += query.iter().zip(row).map(|(q, x)| q * i32::from(*x)).sum::<i32>();
                    }
                }
            }
        }
        for (lane, (sums, terms)) in sums.iter().zip(sweep.terms).enumerate() {
            for (i, sum) in sums.iter().enumerate() {
                let key = upper(*sum, terms, row_terms, i);
                if !(key < terms.floor) {
                    hits.push(Hit { lane: lane as u32, row: (group * CODE_ROWS + i) as u32, key });
                }
            }
        }
    }
}

fn upper(sum: i32, q: &QueryTerms, x: &RowTerms, i: usize) -> f32 {
    q.base
        + q.step * x.step[i] * sum as f32
        + q.along * x.along[i]
        + q.weight * x.bias[i]
        + q.length * x.length[i]
        + q.residual * x.residual[i]
        + q.tail * x.tail[i]
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (a, b) in a8.zip(b8) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (x, y))| *sum += x * y);
    }
    sums.iter().fold(rest, |all, sum| all + sum)
}
