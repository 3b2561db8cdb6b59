//! The inner loops of a scan, for the machine at hand.
//!
//! Everything here has two forms: one of AVX2 and FMA instructions, chosen when the program runs, and one of plain Rust.
//! Products of f32 may differ between the two in their last bits; sums of codes may not. The answers of a search do not
//! depend on either, as what these loops say is only used within its error bound.

mod portable;
#[cfg(target_arch = "x86_64")]
mod v3;

/// Queries of one tile of an f32 product: with two vectors of rows, as many sums as there are registers for.
pub(crate) const TILE_QUERIES: usize = 6;
/// Rows of one tile of an f32 product.
pub(crate) const TILE_ROWS: usize = 16;
/// Queries of one tile of a product of codes.
pub(crate) const CODE_QUERIES: usize = 8;
/// Rows of one tile of a product of codes: one 32-bit sum for each in a vector.
pub(crate) const CODE_ROWS: usize = 8;
/// Dimensions of codes that are summed in 16 bits before they are widened.
pub(crate) const CODE_DIMS: usize = 16;

/// A row that may be close to a query of a tile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hit {
    /// Place of the query in its tile.
    pub(crate) lane: u32,
    /// Place of the row among the rows of the sweep.
    pub(crate) row: u32,
    /// The key, which orders rows: exact up to rounding in a sweep of products, an upper bound in a sweep of codes.
    pub(crate) key: f32,
}

/// One tile of queries against panels of rows: `key = scale[row] * (query . row) + weight[lane] * bias[row]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProductSweep<'a> {
    /// Entry k of each of the [`TILE_QUERIES`] queries, for each k.
    pub(crate) queries: &'a [f32],
    /// For each [`TILE_ROWS`] rows a panel: entry k of each row, for each k.
    pub(crate) panels: &'a [f32],
    pub(crate) n_dims: usize,
    pub(crate) scale: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) weight: [f32; TILE_QUERIES],
    /// Keys below are of no interest; keys that are not numbers always are.
    pub(crate) floor: [f32; TILE_QUERIES],
}

/// What a bound knows of [`CODE_ROWS`] rows, each an array over them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RowTerms {
    /// What one step of a row's codes is worth.
    pub(crate) step: [f32; CODE_ROWS],
    /// Length of the row along the direction that is taken out of the queries.
    pub(crate) along: [f32; CODE_ROWS],
    /// The bias of the key.
    pub(crate) bias: [f32; CODE_ROWS],
    /// At least the length of what the codes say.
    pub(crate) length: [f32; CODE_ROWS],
    /// At least the length of what the codes leave out.
    pub(crate) residual: [f32; CODE_ROWS],
    /// At least the length of what is not coded at all.
    pub(crate) tail: [f32; CODE_ROWS],
}

/// What a bound knows of one query: the factor of each of the [`RowTerms`], and where to begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct QueryTerms {
    pub(crate) base: f32,
    pub(crate) step: f32,
    pub(crate) along: f32,
    pub(crate) weight: f32,
    pub(crate) length: f32,
    pub(crate) residual: f32,
    pub(crate) tail: f32,
    /// What the sum of products begins with, so that codes of rows can be without sign.
    pub(crate) start: i32,
    pub(crate) floor: f32,
}

/// One tile of query codes against rows' codes, whose keys are upper bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CodeSweep<'a> {
    /// For each [`CODE_DIMS`] dimensions and each of the [`CODE_QUERIES`] queries 4 words of 4 signed codes.
    pub(crate) queries: &'a [i32],
    pub(crate) terms: &'a [QueryTerms; CODE_QUERIES],
    /// For each [`CODE_ROWS`] rows and each 4 dimensions: 4 unsigned codes of each row.
    pub(crate) rows: &'a [u8],
    pub(crate) row_terms: &'a [RowTerms],
    /// Dimensions, a multiple of [`CODE_DIMS`].
    pub(crate) n_dims: usize,
}

/// The form of the inner loops that this machine can run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kernel {
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    V3(fearless_simd::x86::Avx2),
    /// Plain Rust.
    Portable,
}

impl Kernel {
    /// The fastest form that the machine can run.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = fearless_simd::Level::new().as_avx2() {
            return Self::V3(avx2);
        }
        Self::Portable
    }

    /// Appends every row whose key is not below the floor of a query.
    pub(crate) fn products(self, sweep: ProductSweep<'_>, hits: &mut Vec<Hit>) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::V3(avx2) => v3::products(avx2, sweep, hits),
            Self::Portable => portable::products(sweep, hits),
        }
    }

    /// Appends every row whose upper bound is not below the floor of a query.
    pub(crate) fn codes(self, sweep: CodeSweep<'_>, hits: &mut Vec<Hit>) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::V3(avx2) => v3::codes(avx2, sweep, hits),
            Self::Portable => portable::codes(sweep, hits),
        }
    }

    /// Inner product of two rows of one length.
    pub(crate) fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::V3(avx2) => v3::dot(avx2, a, b),
            Self::Portable => portable::dot(a, b),
        }
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;

    use super::*;

    fn noise(seed: u64, n: usize) -> Vec<f32> {
        let seed = Seed::new(seed);
        (0..n).map(|i| seed.normal(i as u64) as f32).collect()
    }

    /// Both forms, or one where the machine has no more.
    fn forms() -> Vec<Kernel> {
        vec![Kernel::Portable, Kernel::detect()]
    }

    #[test]
    fn products_are_those_of_the_definition() {
        for n_dims in [1, 2, 7, 64] {
            let (queries, panels) = (noise(1, n_dims * TILE_QUERIES), noise(2, 3 * n_dims * TILE_ROWS));
            let (scale, bias) = (noise(3, 3 * TILE_ROWS), noise(4, 3 * TILE_ROWS));
            let weight = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
            let floor = [f32::NEG_INFINITY; TILE_QUERIES];
            let sweep = ProductSweep {
                queries: &queries,
                panels: &panels,
                n_dims,
                scale: &scale,
                bias: &bias,
                weight,
                floor,
            };
            for kernel in forms() {
                let mut hits = Vec::new();
                kernel.products(sweep, &mut hits);
                assert_eq!(hits.len(), 3 * TILE_ROWS * TILE_QUERIES);
                for hit in hits {
                    let (lane, row) = (hit.lane as usize, hit.row as usize);
                    let panel = &panels[row / TILE_ROWS * TILE_ROWS * n_dims..];
                    let dot: f32 = (0..n_dims)
                        .map(|k| queries[k * TILE_QUERIES + lane] * panel[k * TILE_ROWS + row % TILE_ROWS])
                        .sum();
                    let expected = scale[row] * dot + weight[lane] * bias[row];
                    assert!((hit.key - expected).abs() < 1e-3, "{kernel:?} {hit:?} {expected}");
                }
            }
        }
    }

    #[test]
    fn keys_below_the_floor_are_left_out_and_unknown_ones_are_not() {
        let mut panels = vec![0.0; TILE_ROWS];
        (panels[3], panels[9], panels[12]) = (1.0, f32::NAN, 2.0);
        let mut floor = [1e9; TILE_QUERIES];
        floor[2] = 1.0;
        let sweep = ProductSweep {
            queries: &[1.0; TILE_QUERIES],
            panels: &panels,
            n_dims: 1,
            scale: &[1.0; TILE_ROWS],
            bias: &[0.0; TILE_ROWS],
            weight: [0.0; TILE_QUERIES],
            floor,
        };
        for kernel in forms() {
            let mut hits = Vec::new();
            kernel.products(sweep, &mut hits);
            let rows =
                |lane| hits.iter().filter(|hit| hit.lane == lane).map(|hit| hit.row).collect::<Vec<_>>();
            assert_eq!((rows(2), rows(0)), (vec![3, 9, 12], vec![9]), "{kernel:?}");
        }
    }

    #[test]
    fn sums_of_codes_are_the_same_integers_in_both_forms_and_by_definition() {
        let n_dims = 48;
        let seed = Seed::new(5);
        // Nothing larger can be summed in 16 bits: 8 products of 180 and 22.
        let rows: Vec<u8> = (0..2 * CODE_ROWS * n_dims).map(|i| (seed.bits(i as u64) % 181) as u8).collect();
        let code = |i: usize| (seed.bits(1 << 40 | i as u64) % 45) as i8 - 22;
        let words: Vec<i32> = (0..CODE_QUERIES * n_dims / 4)
            .map(|w| i32::from_le_bytes([0, 1, 2, 3].map(|b| code(4 * w + b) as u8)))
            .collect();
        let term = QueryTerms {
            base: 0.0,
            step: 1.0,
            along: 0.0,
            weight: 0.0,
            length: 0.0,
            residual: 0.0,
            tail: 0.0,
            start: -7,
            floor: f32::NEG_INFINITY,
        };
        let (one, zero) = ([1.0; CODE_ROWS], [0.0; CODE_ROWS]);
        let row_term =
            RowTerms { step: one, along: zero, bias: zero, length: zero, residual: zero, tail: zero };
        let sweep = CodeSweep {
            queries: &words,
            terms: &[term; CODE_QUERIES],
            rows: &rows,
            row_terms: &[row_term; 2],
            n_dims,
        };
        for kernel in forms() {
            let mut hits = Vec::new();
            kernel.codes(sweep, &mut hits);
            assert_eq!(hits.len(), 2 * CODE_ROWS * CODE_QUERIES);
            for hit in hits {
                let (lane, row) = (hit.lane as usize, hit.row as usize);
                let sum: i32 = (0..n_dims)
                    .map(|k| {
                        let word = (k / CODE_DIMS * CODE_QUERIES + lane) * 4 + k % CODE_DIMS / 4;
                        let group = &rows[row / CODE_ROWS * CODE_ROWS * n_dims..];
                        i32::from(words[word].to_le_bytes()[k % 4] as i8)
                            * i32::from(group[(k / 4 * CODE_ROWS + row % CODE_ROWS) * 4 + k % 4])
                    })
                    .sum();
                assert_eq!(hit.key, (sum - 7) as f32, "{kernel:?} {lane} {row}");
            }
        }
    }

    #[test]
    fn a_dot_product_of_any_length_is_near_that_in_f64() {
        for n in [0, 1, 7, 8, 31, 32, 33, 64, 100, 735] {
            let (a, b) = (noise(6, n), noise(7, n));
            let exact: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            for kernel in forms() {
                assert!((f64::from(kernel.dot(&a, &b)) - exact).abs() < 1e-3, "{kernel:?} {n}");
            }
        }
    }
}
