use crate::select::{Gains, Objective, Reason, Setting};

/// One row after the other from clusters: from one with the fewest known rows, of these the largest, its best row.
pub(crate) struct ClusterChoice {
    cluster_of: Vec<u32>,
    sizes: Vec<usize>,
    /// Rows that count as known before all others of the cluster do.
    behind: Vec<usize>,
    known: Vec<usize>,
    /// Place of each cluster by size, the largest highest.
    rank: Vec<usize>,
    /// Place of each row within its cluster, between 0 and 1, the best highest.
    place: Vec<f64>,
    score: Vec<f64>,
}

impl ClusterChoice {
    /// `cluster_of` and `score` (higher is better) have one entry for each candidate; `sizes` and `known` one for each
    /// cluster. Clusters below `min_size` wait until the others have as many known rows as there are candidates.
    pub(crate) fn new(
        setting: &Setting<'_>,
        cluster_of: Vec<u32>,
        score: Vec<f64>,
        sizes: Vec<usize>,
        known: Vec<usize>,
        min_size: usize,
    ) -> Self {
        let mut by_size: Vec<usize> = (0..sizes.len()).collect();
        by_size.sort_unstable_by(|a, b| sizes[*a].cmp(&sizes[*b]).then(b.cmp(a)));
        let mut rank = vec![0; sizes.len()];
        by_size.iter().enumerate().for_each(|(place, cluster)| rank[*cluster] = place);
        let n_rows = setting.rows.nrows();
        let behind = sizes.iter().map(|size| if *size < min_size { n_rows } else { 0 }).collect();
        let weighted: Vec<f64> = score.iter().enumerate().map(|(row, s)| s * setting.weight(row)).collect();
        let place = places(&weighted);
        Self { cluster_of, sizes, behind, known, rank, place, score }
    }

    /// The same where weights have had their say in the clusters: rows count by the score alone.
    pub(crate) fn unweighted(
        setting: &Setting<'_>,
        cluster_of: Vec<u32>,
        score: Vec<f64>,
        sizes: Vec<usize>,
        known: Vec<usize>,
    ) -> Self {
        let plain = Setting { weights: None, ..setting.clone() };
        Self::new(&plain, cluster_of, score, sizes, known, 0)
    }

    fn cluster(&self, row: usize) -> usize {
        self.cluster_of[row] as usize
    }
}

/// Numbers between 0 and 1 in the order of the scores; of equal ones the lower row has the higher.
fn places(scores: &[f64]) -> Vec<f64> {
    let n_rows = scores.len();
    let mut best_first: Vec<usize> = (0..n_rows).collect();
    best_first.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let mut place = vec![0.0; n_rows];
    for (i, row) in best_first.into_iter().enumerate() {
        place[row] = (n_rows - i) as f64 / (n_rows + 1) as f64;
    }
    place
}

impl Objective for ClusterChoice {
    fn kind(&self) -> Gains {
        Gains::Any
    }

    fn gains(&self, rows: &[usize], gains: &mut [f64]) {
        for (row, gain) in rows.iter().zip(gains) {
            let cluster = self.cluster(*row);
            let known = (self.known[cluster] + self.behind[cluster]) as f64;
            // Known rows decide, then the cluster, then the row: whole numbers and a fraction, exact far beyond 2^32.
            *gain = self.rank[cluster] as f64 + self.place[*row] - known * (self.sizes.len() + 1) as f64;
        }
    }

    fn pick(&mut self, row: usize) {
        let cluster = self.cluster(row);
        self.known[cluster] += 1;
    }

    fn reason(&self, row: usize) -> Reason {
        let cluster = self.cluster(row);
        let (size, known) = (self.sizes[cluster], self.known[cluster]);
        Reason::Cluster { cluster, size, known, score: self.score[row] }
    }
}

/// How many rows are in each cluster.
pub(crate) fn counted(assigned: &[u32], n_clusters: usize) -> Vec<usize> {
    let mut sizes = vec![0; n_clusters];
    for cluster in assigned {
        sizes[*cluster as usize] += 1;
    }
    sizes
}
