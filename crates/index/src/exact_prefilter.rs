use std::ops::Range;

use crate::RowFilter;
use crate::exact_codes::{CodedQueries, Codes};
use crate::exact_scan::{Batch, Rows, Scan};
use crate::kernel::{CODE_QUERIES, CODE_ROWS, CodeSweep, Hit};

/// Rows whose products are computed before the codes are asked, so that there are floors to compare with.
const FIRST: usize = 512;
/// Rows whose codes are read by all queries before the next ones are.
const BLOCK: usize = 64;
/// What a product of one pair alone costs, counted in pairs of a tile: 6 where the row is in the cache, and seldom is it.
const CANDIDATE: u64 = 16;

/// A scan that asks codes first and computes the products of the rows that may be closest only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefilter<'a> {
    pub(crate) scan: Scan<'a>,
    pub(crate) codes: &'a Codes,
    pub(crate) allowed: Option<&'a RowFilter>,
}

/// What a scan did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Pairs of query and row that codes were compared of.
    pub(crate) pairs: u64,
    /// Those whose products were computed as well.
    pub(crate) candidates: u64,
}

impl Prefilter<'_> {
    /// Offers the allowed ones of these rows, a range of the whole pool that begins with a group, to every query of the batch.
    ///
    /// Where too many rows of a block have to be computed all the same, as many rows as there were so far go the way of products
    /// before codes are asked again: by then floors are higher. So data that codes are of no use for cost the logarithm of
    /// their rows in blocks more than products alone.
    pub(crate) fn run(&self, batch: &mut Batch<'_>, rows: Range<usize>) -> Counts {
        let mut counts = Counts::default();
        let mut start = self.products(batch, rows.start..rows.end.min(rows.start + FIRST));
        let mut queries = self.coded(batch);
        let mut hits = Vec::new();
        while start < rows.end {
            let block = start..rows.end.min(start + BLOCK);
            let mut candidates = 0;
            for (panel, queries) in queries.iter_mut().enumerate() {
                candidates += self.sweep(batch, panel * CODE_QUERIES, queries, block.clone(), &mut hits);
            }
            let pairs = (block.len() * batch.lists.len()) as u64;
            counts = Counts { pairs: counts.pairs + pairs, candidates: counts.candidates + candidates };
            start = block.end;
            if 2 * CANDIDATE * candidates > pairs {
                let seen = start - rows.start;
                start = self.products(batch, start..rows.end.min(start + seen));
            }
        }
        counts
    }

    /// Offers rows by their products, and gives where they end.
    fn products(&self, batch: &mut Batch<'_>, rows: Range<usize>) -> usize {
        let end = rows.end;
        let allowed = Rows::Some(rows.filter(|row| self.allows(*row)).map(|row| row as u32).collect());
        self.scan.run(batch, &allowed, 0..allowed.len());
        end
    }

    fn allows(&self, row: usize) -> bool {
        self.allowed.is_none_or(|allowed| allowed.contains(row))
    }

    fn coded(&self, batch: &Batch<'_>) -> Vec<CodedQueries> {
        let n = batch.lists.len();
        (0..n)
            .step_by(CODE_QUERIES)
            .map(|first| {
                let lanes = first..n.min(first + CODE_QUERIES);
                let queries: Vec<&[f32]> = lanes.clone().map(|i| batch.query(i)).collect();
                let weights: Vec<f32> = lanes.map(|i| batch.weight(i)).collect();
                self.codes.queries(&queries, &weights)
            })
            .collect()
    }

    /// Compares the queries of a panel with the rows of a block, and gives the number of products that took.
    fn sweep(
        &self,
        batch: &mut Batch<'_>,
        first: usize,
        queries: &mut CodedQueries,
        block: Range<usize>,
        hits: &mut Vec<Hit>,
    ) -> u64 {
        let lists = &mut batch.lists[first..];
        for (terms, list) in queries.terms.iter_mut().zip(lists.iter_mut()) {
            list.refresh();
            terms.floor = list.floor();
        }
        let (rows, row_terms) = self.codes.groups(block.start / CODE_ROWS..block.end.div_ceil(CODE_ROWS));
        let (words, terms) = (&queries.words, &queries.terms);
        hits.clear();
        let sweep = CodeSweep { queries: words, terms, rows, row_terms, n_dims: self.codes.n_dims() };
        self.scan.kernel.codes(sweep, hits);
        let mut candidates = 0;
        for hit in hits.iter() {
            let (query, row) = (first + hit.lane as usize, block.start + hit.row as usize);
            // The floor may have risen since, and the last group may have places without a row.
            if row < block.end && !(hit.key < batch.lists[query].floor()) && self.allows(row) {
                let key = self.scan.key(batch, query, row);
                batch.lists[query].offer(key, row as u32);
                candidates += 1;
            }
        }
        candidates
    }
}
