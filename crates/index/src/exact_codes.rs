use ndarray::Array2;
use rayon::prelude::*;

use crate::exact_basis::Basis;
use crate::exact_scan::slice_of;
use crate::exact_space::Space;
use crate::kernel::{CODE_DIMS, CODE_QUERIES, CODE_ROWS, QueryTerms, RowTerms};

/// Codes of rows go from 0 to twice this; this one stands for 0.
const LEVELS: i32 = 90;
/// Groups that one thread codes before it takes up others.
const BLOCK_GROUPS: usize = 32;
/// Rows that share a column of 16-bit sums, of [`CODE_DIMS`] dimensions.
const LANE_DIMS: usize = CODE_DIMS / 2;

/// The rows of an index in 8 bits a number, with what it takes to bound the key of any row from above.
///
/// Let `y = scale x - c` be a row less the centre of all, and `q` a query brought to size. The key of the row is
///
/// ```text
/// q . (scale x) + weight bias = q . c + p . y + (q . e) (e . y) + weight bias
/// ```
///
/// with `e` the direction of the centre and `p` the query without its part along `e`. Only `p . y` is of codes: with `y'` and `p'`
/// what the codes of the row and the query say,
///
/// ```text
/// p . y = p' . y' + (p - p') . y' + p . (y - y') <= p' . y' + |p - p'| |y'| + |p| |y - y'|
/// ```
///
/// by the inequality of Cauchy and Schwarz. Where rows lie near a subspace ([`Basis`]), `y` and `p` are written in its directions, and
/// what is outside of it adds at most the product of its lengths. All lengths are computed from the codes in f64 and rounded up, and the base of a
/// query holds more than the sum can lose in f32. So no row above the floor of a query can be missed, whatever the data
/// are; only how many rows are kept in vain depends on them.
///
/// Taking out the centre and its direction costs nothing for a pair and shortens both sides where rows have much in common, as those
/// of networks that end in a rectifier have.
#[derive(Debug, Clone)]
pub(crate) struct Codes {
    n_rows: usize,
    /// Dimensions, filled up to a multiple of [`CODE_DIMS`].
    n_dims: usize,
    bytes: Vec<u8>,
    terms: Vec<RowTerms>,
    basis: Basis,
    /// The centre's direction; zeros where it has none.
    direction: Vec<f64>,
    /// At least the length of any row less the centre.
    longest: f64,
    /// At least the size of any bias.
    most_bias: f64,
}

/// The codes of up to [`CODE_QUERIES`] queries.
#[derive(Debug, Clone)]
pub(crate) struct CodedQueries {
    pub(crate) words: Vec<i32>,
    pub(crate) terms: [QueryTerms; CODE_QUERIES],
}

impl Codes {
    pub(crate) fn new(space: &Space, vectors: &Array2<f32>) -> Self {
        let basis = Basis::new(space, vectors);
        let (n_rows, n_dims) = (vectors.nrows(), basis.n_coded().next_multiple_of(CODE_DIMS));
        let length = length(&basis.centre);
        let direction = basis.centre.iter().map(|x| if 0.0 < length { x / length } else { 0.0 }).collect();
        let mut codes = Self {
            n_rows,
            n_dims,
            bytes: vec![LEVELS as u8; n_rows.div_ceil(CODE_ROWS) * CODE_ROWS * n_dims],
            terms: Vec::new(),
            basis,
            direction,
            longest: 0.0,
            most_bias: space.bias.iter().map(|bias| f64::from(bias.abs())).fold(0.0, f64::max),
        };
        let mut bytes = std::mem::take(&mut codes.bytes);
        let groups: Vec<(RowTerms, f64)> = bytes
            .par_chunks_mut(BLOCK_GROUPS * CODE_ROWS * n_dims)
            .enumerate()
            .flat_map_iter(|(block, bytes)| codes.encode_block(space, vectors, block * BLOCK_GROUPS, bytes))
            .collect();
        codes.bytes = bytes;
        codes.longest = groups.iter().map(|(_, longest)| *longest).fold(0.0, f64::max);
        codes.terms = groups.into_iter().map(|(terms, _)| terms).collect();
        codes
    }

    pub(crate) fn n_dims(&self) -> usize {
        self.n_dims
    }

    /// Codes and terms of some groups of [`CODE_ROWS`] rows.
    pub(crate) fn groups(&self, groups: std::ops::Range<usize>) -> (&[u8], &[RowTerms]) {
        let size = CODE_ROWS * self.n_dims;
        (&self.bytes[groups.start * size..groups.end * size], &self.terms[groups])
    }

    /// Writes the codes of some groups and gives the terms of each, with the greatest length of its rows less the centre.
    fn encode_block(
        &self,
        space: &Space,
        vectors: &Array2<f32>,
        first: usize,
        bytes: &mut [u8],
    ) -> Vec<(RowTerms, f64)> {
        let start = first * CODE_ROWS;
        let rows: Vec<usize> = (start..self.n_rows.min(start + bytes.len() / self.n_dims)).collect();
        let whole: Vec<Vec<f64>> = rows.iter().map(|row| self.basis.centred(space, vectors, *row)).collect();
        let parts = self.basis.directions.as_ref().map(|directions| {
            let n_dims = vectors.ncols();
            let rows = Array2::from_shape_fn((rows.len(), n_dims), |(i, j)| whole[i][j] as f32);
            rows.dot(&directions.t())
        });
        let zero = [0.0; CODE_ROWS];
        let nothing =
            RowTerms { step: zero, along: zero, bias: zero, length: zero, residual: zero, tail: zero };
        let mut terms = vec![(nothing, 0.0f64); bytes.len() / (CODE_ROWS * self.n_dims)];
        for (i, (row, y)) in rows.iter().zip(&whole).enumerate() {
            let (group, lane) = (i / CODE_ROWS, i % CODE_ROWS);
            let (terms, longest) = &mut terms[group];
            let length = length(y);
            *longest = longest.max(length);
            terms.along[lane] = dot(y, &self.direction) as f32;
            terms.bias[lane] = space.bias[*row];
            let group = &mut bytes[group * CODE_ROWS * self.n_dims..];
            match &parts {
                None => encode(y, lane, group, terms),
                Some(parts) => {
                    let part: Vec<f64> = parts.row(i).iter().map(|a| f64::from(*a)).collect();
                    terms.tail[lane] = self.tail(length, &part);
                    encode(&part, lane, group, terms);
                }
            }
        }
        terms
    }

    /// At least the length of what is outside of the subspace, of a vector with this part in it.
    fn tail(&self, whole: f64, part: &[f64]) -> f32 {
        let inside = (length(part) - self.blur() * whole).max(0.0) * (1.0 - self.basis.skew).max(0.0);
        round_up((whole * whole * (1.0 + 1e-12) - inside * inside).max(0.0).sqrt())
    }

    /// At least the length of what is lost of a vector of length 1 when its part in the subspace is computed in f32.
    fn blur(&self) -> f64 {
        let Some(directions) = &self.basis.directions else { return 0.0 };
        let steps = directions.ncols() as f64 + 4.0;
        // The bound of a product as in a `Space`, for each direction, of which each is at most a little longer than 1.
        (directions.nrows() as f64).sqrt() * steps * 0.5 * f64::from(f32::EPSILON) * 1.01
    }

    /// Codes of the queries, which are brought to size; `weights` are theirs.
    pub(crate) fn queries(&self, queries: &[&[f32]], weights: &[f32]) -> CodedQueries {
        // A lane without a query wants nothing.
        let nothing = QueryTerms {
            base: 0.0,
            step: 0.0,
            along: 0.0,
            weight: 0.0,
            length: 0.0,
            residual: 0.0,
            tail: 0.0,
            start: 0,
            floor: f32::INFINITY,
        };
        let mut coded =
            CodedQueries { words: vec![0; CODE_QUERIES * self.n_dims / 4], terms: [nothing; CODE_QUERIES] };
        for (lane, (query, weight)) in queries.iter().zip(weights).enumerate().take(CODE_QUERIES) {
            let (codes, terms) = self.query(query, *weight);
            for (word, codes) in codes.chunks_exact(4).enumerate() {
                let at = (word / 4 * CODE_QUERIES + lane) * 4 + word % 4;
                coded.words[at] = i32::from_le_bytes([0, 1, 2, 3].map(|b| codes[b] as u8));
            }
            coded.terms[lane] = terms;
        }
        coded
    }

    fn query(&self, query: &[f32], weight: f32) -> (Vec<i8>, QueryTerms) {
        let query: Vec<f64> = query.iter().map(|q| f64::from(*q)).collect();
        let (base, along) = (dot(&query, &self.basis.centre), dot(&query, &self.direction));
        let mut part: Vec<f64> = query.iter().zip(&self.direction).map(|(q, e)| q - along * e).collect();
        let whole = length(&part);
        let mut tail = 0.0;
        if let Some(directions) = &self.basis.directions {
            let entries = |row: &[f32]| row.iter().zip(&part).map(|(v, p)| f64::from(*v) * p).sum::<f64>();
            let inside: Vec<f64> =
                (0..directions.nrows()).map(|i| entries(slice_of(directions, i))).collect();
            tail = self.tail(whole, &inside);
            part = inside;
        }
        part.resize(self.n_dims, 0.0);
        let step = query_step(&part);
        let inverse = if 0.0 < step { 1.0 / f64::from(step) } else { 0.0 };
        let codes: Vec<i8> = part.iter().map(|p| rounded(p * inverse) as i8).collect();
        let lost: Vec<f64> =
            part.iter().zip(&codes).map(|(p, c)| p - f64::from(*c) * f64::from(step)).collect();
        // Six terms of at most this size are rounded, multiplied and added in f32; what is lost is less than 32 units
        // of 2^-24, and what the floor itself was computed of differs from f64 by less than 8 more.
        let size = whole * 4.0 * self.longest
            + base.abs()
            + along.abs() * self.longest
            + f64::from(weight) * self.most_bias;
        let slack = 64.0 * f64::from(f32::EPSILON) * size + 1e-30
            // Products of parts in the subspace are off by what its directions are off, and the rows' parts.
            + (2.0 * self.basis.skew + 1.1 * self.blur()) * whole * self.longest;
        let terms = QueryTerms {
            base: (base + slack) as f32,
            step,
            along: along as f32,
            weight,
            length: round_up(length(&lost)),
            residual: round_up(length(&part)),
            tail,
            start: -LEVELS * codes.iter().map(|code| i32::from(*code)).sum::<i32>(),
            floor: f32::NEG_INFINITY,
        };
        (codes, terms)
    }
}

/// The finest step of a query's codes whose products with rows' codes can be added in 16 bits.
///
/// One 16-bit sum is of two neighbouring dimensions out of each four of [`CODE_DIMS`]. As codes of rows go from 0 to `2 LEVELS`, it lies
/// between `2 LEVELS` times the sum of the negative codes and as much times that of the positive ones; rounding adds at most
/// 1/2 for each of the 8.
fn query_step(part: &[f64]) -> f32 {
    let room = f64::from(i32::from(i16::MAX) / (2 * LEVELS)) - 0.5 * LANE_DIMS as f64;
    let mut most = part.iter().fold(0.0f64, |most, p| most.max(p.abs())) / 127.0;
    for dims in part.chunks_exact(CODE_DIMS) {
        for pair in [0, 2] {
            let lane = || dims.chunks_exact(4).flat_map(|four| &four[pair..pair + 2]);
            let above: f64 = lane().map(|p| p.max(0.0)).sum();
            let below: f64 = lane().map(|p| -p.min(0.0)).sum();
            most = most.max(above.max(below) / room);
        }
    }
    round_up(most)
}

/// Writes the codes of one row, and what they say of it.
fn encode(y: &[f64], lane: usize, group: &mut [u8], terms: &mut RowTerms) {
    let most = y.iter().fold(0.0f64, |most, y| most.max(y.abs()));
    let step = round_up(most / f64::from(LEVELS));
    let inverse = if 0.0 < step { 1.0 / f64::from(step) } else { 0.0 };
    let codes: Vec<f64> = y.iter().map(|y| rounded(y * inverse)).collect();
    for (k, code) in codes.iter().enumerate() {
        group[(k / 4 * CODE_ROWS + lane) * 4 + k % 4] = (*code as i32 + LEVELS) as u8;
    }
    let lost: Vec<f64> = y.iter().zip(&codes).map(|(y, code)| y - code * f64::from(step)).collect();
    terms.step[lane] = step;
    terms.length[lane] = round_up(length(&codes) * f64::from(step));
    terms.residual[lane] = round_up(length(&lost));
}

/// The nearest whole number of one that is far below 2^51: adding 1.5 * 2^52 leaves no place for a fraction.
fn rounded(x: f64) -> f64 {
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    (x + SHIFT) - SHIFT
}

/// Inner product by eight sums, so that the additions need not wait for each other.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0.0; 8];
    for (a, b) in a8.zip(b8) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    rest + sums.iter().sum::<f64>()
}

fn length(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

/// An f32 that is surely not below a length computed in f64.
fn round_up(x: f64) -> f32 {
    if x == 0.0 { 0.0 } else { (x * (1.0 + 1e-6)) as f32 + f32::MIN_POSITIVE }
}
