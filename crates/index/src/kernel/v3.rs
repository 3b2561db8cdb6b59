#![allow(clippy::needless_range_loop, reason = "lanes count through several arrays of registers at once")]

use std::arch::x86_64::*;

use bytemuck::cast;
use fearless_simd::kernel;

use super::{
    CODE_QUERIES, CODE_ROWS, CodeSweep, Hit, ProductSweep, QueryTerms, RowTerms, TILE_QUERIES, TILE_ROWS,
};

/// `_CMP_NLT_UQ`: not less than, which is true also where there is nothing to compare.
const NOT_LESS: i32 = 0x15;

kernel!(
    /// [`super::Kernel::products`] by fused multiplications and additions, 12 vectors of sums at once.
    pub(super) fn products(avx2: Avx2, sweep: ProductSweep<'_>, hits: &mut Vec<Hit>) {
        let (scale, bias) = (sweep.scale.as_chunks::<16>().0, sweep.bias.as_chunks::<16>().0);
        let panels = sweep.panels.chunks_exact(TILE_ROWS * sweep.n_dims).zip(scale.iter().zip(bias));
        for (panel, (rows, (scale, bias))) in panels.enumerate() {
            let sums = tile(sweep.queries, rows);
            let (scale, bias): ([__m256; 2], [__m256; 2]) = (cast(*scale), cast(*bias));
            for lane in 0..TILE_QUERIES {
                let weight = _mm256_set1_ps(sweep.weight[lane]);
                let floor = _mm256_set1_ps(sweep.floor[lane]);
                let mut keys = [floor; 2];
                let mut mask = 0;
                for half in 0..2 {
                    let bias = _mm256_mul_ps(weight, bias[half]);
                    keys[half] = _mm256_fmadd_ps(scale[half], sums[lane][half], bias);
                    let kept = _mm256_cmp_ps::<NOT_LESS>(keys[half], floor);
                    mask |= (_mm256_movemask_ps(kept) as u32) << (8 * half);
                }
                if mask != 0 {
                    push(hits, lane, panel * TILE_ROWS, mask, cast::<_, [f32; 16]>(keys));
                }
            }
        }
    }
);

/// The sums of [`TILE_QUERIES`] x [`TILE_ROWS`] products, kept in registers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn tile(queries: &[f32], rows: &[f32]) -> [[__m256; 2]; TILE_QUERIES] {
    let (queries, _) = queries.as_chunks::<TILE_QUERIES>();
    let (rows, _) = rows.as_chunks::<TILE_ROWS>();
    let mut sums = [[_mm256_setzero_ps(); 2]; TILE_QUERIES];
    for (query, row) in queries.iter().zip(rows) {
        let row: [__m256; 2] = cast(*row);
        for lane in 0..TILE_QUERIES {
            let entry = _mm256_set1_ps(query[lane]);
            sums[lane][0] = _mm256_fmadd_ps(entry, row[0], sums[lane][0]);
            sums[lane][1] = _mm256_fmadd_ps(entry, row[1], sums[lane][1]);
        }
    }
    sums
}

#[inline(always)]
fn push<const N: usize>(hits: &mut Vec<Hit>, lane: usize, first: usize, mut mask: u32, keys: [f32; N]) {
    while mask != 0 {
        let i = mask.trailing_zeros() as usize % N;
        mask &= mask - 1;
        hits.push(Hit { lane: lane as u32, row: (first + i) as u32, key: keys[i] });
    }
}

kernel!(
    /// [`super::Kernel::codes`]: products of bytes are added in pairs and fours in 16 bits, then widened to 32.
    pub(super) fn codes(avx2: Avx2, sweep: CodeSweep<'_>, hits: &mut Vec<Hit>) {
        let groups = sweep.rows.chunks_exact(CODE_ROWS * sweep.n_dims).zip(sweep.row_terms);
        for (group, (rows, row_terms)) in groups.enumerate() {
            let sums = code_tile(sweep.queries, rows);
            for lane in 0..CODE_QUERIES {
                let terms = &sweep.terms[lane];
                let keys = upper(sums[lane], terms, row_terms);
                let kept = _mm256_cmp_ps::<NOT_LESS>(keys, _mm256_set1_ps(terms.floor));
                let mask = _mm256_movemask_ps(kept) as u32;
                if mask != 0 {
                    push(hits, lane, group * CODE_ROWS, mask, cast::<_, [f32; 8]>(keys));
                }
            }
        }
    }
);

/// Sums of products of codes. The caller sees to it that eight products fit 16 bits.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn code_tile(queries: &[i32], rows: &[u8]) -> [__m256i; CODE_QUERIES] {
    let (queries, _) = queries.as_chunks::<4>();
    let (queries, _) = queries.as_chunks::<CODE_QUERIES>();
    let (rows, _) = rows.as_chunks::<128>();
    let ones = _mm256_set1_epi16(1);
    let mut sums = [_mm256_setzero_si256(); CODE_QUERIES];
    for (query, rows) in queries.iter().zip(rows) {
        let rows: [__m256i; 4] = cast(*rows);
        for lane in 0..CODE_QUERIES {
            let pairs = |j: usize| _mm256_maddubs_epi16(rows[j], _mm256_set1_epi32(query[lane][j]));
            let even = _mm256_add_epi16(pairs(0), pairs(2));
            let odd = _mm256_add_epi16(pairs(1), pairs(3));
            let sum = _mm256_madd_epi16(_mm256_add_epi16(even, odd), ones);
            sums[lane] = _mm256_add_epi32(sums[lane], sum);
        }
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn upper(sum: __m256i, q: &QueryTerms, x: &RowTerms) -> __m256 {
    let sum = _mm256_add_epi32(sum, _mm256_set1_epi32(q.start));
    let step = _mm256_mul_ps(_mm256_set1_ps(q.step), cast(x.step));
    let key = _mm256_set1_ps(q.base);
    let key = _mm256_fmadd_ps(step, _mm256_cvtepi32_ps(sum), key);
    let key = _mm256_fmadd_ps(_mm256_set1_ps(q.along), cast(x.along), key);
    let key = _mm256_fmadd_ps(_mm256_set1_ps(q.weight), cast(x.bias), key);
    let key = _mm256_fmadd_ps(_mm256_set1_ps(q.length), cast(x.length), key);
    let key = _mm256_fmadd_ps(_mm256_set1_ps(q.residual), cast(x.residual), key);
    _mm256_fmadd_ps(_mm256_set1_ps(q.tail), cast(x.tail), key)
}

kernel!(
    /// [`super::Kernel::dot`] with four vectors of sums.
    pub(super) fn dot(avx2: Avx2, a: &[f32], b: &[f32]) -> f32 {
        let ((a32, a_rest), (b32, b_rest)) = (a.as_chunks::<32>(), b.as_chunks::<32>());
        let mut sums = [_mm256_setzero_ps(); 4];
        for (a, b) in a32.iter().zip(b32) {
            let (a, b): ([__m256; 4], [__m256; 4]) = (cast(*a), cast(*b));
            for i in 0..4 {
                sums[i] = _mm256_fmadd_ps(a[i], b[i], sums[i]);
            }
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
        let sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
        cast::<_, [f32; 8]>(sum).iter().fold(rest, |all, sum| all + sum)
    }
);
