#![allow(clippy::needless_range_loop, reason = "lanes count through several arrays of registers at once")]

use std::arch::x86_64::{__m256, __m256i};

use pulp::NullaryFnOnce;
use pulp::x86::V3;

use super::{
    CODE_QUERIES, CODE_ROWS, CodeSweep, Hit, ProductSweep, QueryTerms, RowTerms, TILE_QUERIES, TILE_ROWS,
};

/// `_CMP_NLT_UQ`: not less than, which is true also where there is nothing to compare.
const NOT_LESS: i32 = 0x15;

/// [`super::Kernel::products`] by fused multiplications and additions, 12 vectors of sums at once.
pub(super) struct Products<'a> {
    pub(super) v3: V3,
    pub(super) sweep: ProductSweep<'a>,
    pub(super) hits: &'a mut Vec<Hit>,
}

impl NullaryFnOnce for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { v3, sweep, hits } = self;
        let (scale, bias) =
            (pulp::as_arrays::<16, f32>(sweep.scale).0, pulp::as_arrays::<16, f32>(sweep.bias).0);
        let panels = sweep.panels.chunks_exact(TILE_ROWS * sweep.n_dims).zip(scale.iter().zip(bias));
        for (panel, (rows, (scale, bias))) in panels.enumerate() {
            let sums = tile(v3, sweep.queries, rows);
            let (scale, bias): ([__m256; 2], [__m256; 2]) = (pulp::cast(*scale), pulp::cast(*bias));
            for lane in 0..TILE_QUERIES {
                let weight = v3.avx._mm256_broadcast_ss(&sweep.weight[lane]);
                let floor = v3.avx._mm256_broadcast_ss(&sweep.floor[lane]);
                let mut keys = [floor; 2];
                let mut mask = 0;
                for half in 0..2 {
                    let bias = v3.avx._mm256_mul_ps(weight, bias[half]);
                    keys[half] = v3.fma._mm256_fmadd_ps(scale[half], sums[lane][half], bias);
                    let kept = v3.avx._mm256_cmp_ps::<NOT_LESS>(keys[half], floor);
                    mask |= (v3.avx._mm256_movemask_ps(kept) as u32) << (8 * half);
                }
                if mask != 0 {
                    push(hits, lane, panel * TILE_ROWS, mask, pulp::cast::<_, [f32; 16]>(keys));
                }
            }
        }
    }
}

/// The sums of [`TILE_QUERIES`] x [`TILE_ROWS`] products, kept in registers.
#[inline(always)]
fn tile(v3: V3, queries: &[f32], rows: &[f32]) -> [[__m256; 2]; TILE_QUERIES] {
    let (queries, _) = pulp::as_arrays::<TILE_QUERIES, f32>(queries);
    let (rows, _) = pulp::as_arrays::<TILE_ROWS, f32>(rows);
    let mut sums = [[v3.avx._mm256_setzero_ps(); 2]; TILE_QUERIES];
    for (query, row) in queries.iter().zip(rows) {
        let row: [__m256; 2] = pulp::cast(*row);
        for lane in 0..TILE_QUERIES {
            let entry = v3.avx._mm256_broadcast_ss(&query[lane]);
            sums[lane][0] = v3.fma._mm256_fmadd_ps(entry, row[0], sums[lane][0]);
            sums[lane][1] = v3.fma._mm256_fmadd_ps(entry, row[1], sums[lane][1]);
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

/// [`super::Kernel::codes`]: products of bytes are added in pairs and fours in 16 bits, then widened to 32.
pub(super) struct Codes<'a> {
    pub(super) v3: V3,
    pub(super) sweep: CodeSweep<'a>,
    pub(super) hits: &'a mut Vec<Hit>,
}

impl NullaryFnOnce for Codes<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { v3, sweep, hits } = self;
        let groups = sweep.rows.chunks_exact(CODE_ROWS * sweep.n_dims).zip(sweep.row_terms);
        for (group, (rows, row_terms)) in groups.enumerate() {
            let sums = code_tile(v3, sweep.queries, rows);
            for lane in 0..CODE_QUERIES {
                let terms = &sweep.terms[lane];
                let keys = upper(v3, sums[lane], terms, row_terms);
                let kept = v3.avx._mm256_cmp_ps::<NOT_LESS>(keys, v3.avx._mm256_broadcast_ss(&terms.floor));
                let mask = v3.avx._mm256_movemask_ps(kept) as u32;
                if mask != 0 {
                    push(hits, lane, group * CODE_ROWS, mask, pulp::cast::<_, [f32; 8]>(keys));
                }
            }
        }
    }
}

/// Sums of products of codes. The caller sees to it that eight products fit 16 bits.
#[inline(always)]
fn code_tile(v3: V3, queries: &[i32], rows: &[u8]) -> [__m256i; CODE_QUERIES] {
    let (queries, _) = pulp::as_arrays::<4, i32>(queries);
    let (queries, _) = pulp::as_arrays::<CODE_QUERIES, [i32; 4]>(queries);
    let (rows, _) = pulp::as_arrays::<128, u8>(rows);
    let ones = v3.avx._mm256_set1_epi16(1);
    let mut sums = [v3.avx._mm256_setzero_si256(); CODE_QUERIES];
    for (query, rows) in queries.iter().zip(rows) {
        let rows: [__m256i; 4] = pulp::cast(*rows);
        for lane in 0..CODE_QUERIES {
            let pairs =
                |j: usize| v3.avx2._mm256_maddubs_epi16(rows[j], v3.avx._mm256_set1_epi32(query[lane][j]));
            let even = v3.avx2._mm256_add_epi16(pairs(0), pairs(2));
            let odd = v3.avx2._mm256_add_epi16(pairs(1), pairs(3));
            let sum = v3.avx2._mm256_madd_epi16(v3.avx2._mm256_add_epi16(even, odd), ones);
            sums[lane] = v3.avx2._mm256_add_epi32(sums[lane], sum);
        }
    }
    sums
}

#[inline(always)]
fn upper(v3: V3, sum: __m256i, q: &QueryTerms, x: &RowTerms) -> __m256 {
    let sum = v3.avx2._mm256_add_epi32(sum, v3.avx._mm256_set1_epi32(q.start));
    let step = v3.avx._mm256_mul_ps(v3.avx._mm256_broadcast_ss(&q.step), pulp::cast(x.step));
    let key = v3.avx._mm256_broadcast_ss(&q.base);
    let key = v3.fma._mm256_fmadd_ps(step, v3.avx._mm256_cvtepi32_ps(sum), key);
    let key = v3.fma._mm256_fmadd_ps(v3.avx._mm256_broadcast_ss(&q.along), pulp::cast(x.along), key);
    let key = v3.fma._mm256_fmadd_ps(v3.avx._mm256_broadcast_ss(&q.weight), pulp::cast(x.bias), key);
    let key = v3.fma._mm256_fmadd_ps(v3.avx._mm256_broadcast_ss(&q.length), pulp::cast(x.length), key);
    let key = v3.fma._mm256_fmadd_ps(v3.avx._mm256_broadcast_ss(&q.residual), pulp::cast(x.residual), key);
    v3.fma._mm256_fmadd_ps(v3.avx._mm256_broadcast_ss(&q.tail), pulp::cast(x.tail), key)
}

/// [`super::Kernel::dot`] with four vectors of sums.
pub(super) struct Dot<'a> {
    pub(super) v3: V3,
    pub(super) a: &'a [f32],
    pub(super) b: &'a [f32],
}

impl NullaryFnOnce for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        let Self { v3, a, b } = self;
        let ((a32, a_rest), (b32, b_rest)) = (pulp::as_arrays::<32, f32>(a), pulp::as_arrays::<32, f32>(b));
        let mut sums = [v3.avx._mm256_setzero_ps(); 4];
        for (a, b) in a32.iter().zip(b32) {
            let (a, b): ([__m256; 4], [__m256; 4]) = (pulp::cast(*a), pulp::cast(*b));
            for i in 0..4 {
                sums[i] = v3.fma._mm256_fmadd_ps(a[i], b[i], sums[i]);
            }
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
        let sum = v3
            .avx
            ._mm256_add_ps(v3.avx._mm256_add_ps(sums[0], sums[1]), v3.avx._mm256_add_ps(sums[2], sums[3]));
        pulp::cast::<_, [f32; 8]>(sum).iter().fold(rest, |all, sum| all + sum)
    }
}
