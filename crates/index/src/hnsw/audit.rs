use super::codes::Codes;
use super::links::Links;

/// Gives every node that no path leads to a link from a neighbour that has room, and returns those that are left.
///
/// Paths are those of the lowest layer from the entry. Cutting a node's links back to those that are spread out can take
/// the last link to another node away, which no search could then find, however wide its beam.
pub(crate) fn mend(codes: &Codes, links: &mut Links) -> Vec<u32> {
    if links.n_nodes() == 0 {
        return Vec::new();
    }
    let mut reached = vec![false; links.n_nodes()];
    spread(links, &mut reached, links.entry());
    for node in 0..links.n_nodes() as u32 {
        if reached[node as usize] {
            continue;
        }
        if let Some(neighbour) = host(codes, links, &reached, node) {
            let mut wider = links.of(0, neighbour).to_vec();
            wider.push(node);
            links.set(0, neighbour, &wider);
            spread(links, &mut reached, node);
        }
    }
    (0..links.n_nodes() as u32).filter(|node| !reached[*node as usize]).collect()
}

/// Nodes that no path of the lowest layer leads to from the entry.
pub(crate) fn orphans(links: &Links) -> Vec<u32> {
    let mut reached = vec![false; links.n_nodes()];
    if links.n_nodes() > 0 {
        spread(links, &mut reached, links.entry());
    }
    (0..links.n_nodes() as u32).filter(|node| !reached[*node as usize]).collect()
}

/// Marks whatever can be reached from `node`.
fn spread(links: &Links, reached: &mut [bool], node: u32) {
    let mut waiting = vec![node];
    reached[node as usize] = true;
    while let Some(node) = waiting.pop() {
        for next in links.of(0, node) {
            if !reached[*next as usize] {
                reached[*next as usize] = true;
                waiting.push(*next);
            }
        }
    }
}

/// The closest node with room that can be reached, among the neighbours of `node` and theirs.
fn host(codes: &Codes, links: &Links, reached: &[bool], node: u32) -> Option<u32> {
    let near = links.of(0, node);
    let mut candidates: Vec<u32> = near.iter().flat_map(|n| links.of(0, *n)).chain(near).copied().collect();
    candidates.sort_unstable();
    candidates.dedup();
    candidates.retain(|n| reached[*n as usize] && links.of(0, *n).len() < links.capacity(0));
    let mut distances = Vec::new();
    codes.squared_distances(codes.of(node), &candidates, &mut distances);
    distances.into_iter().zip(candidates).min().map(|(_, host)| host)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::Metric;
    use crate::hnsw::codes::{Grid, norms};

    fn line() -> Codes {
        let pool = array![[0.0], [1.0], [2.0], [3.0], [4.0]];
        let norms = norms(pool.view());
        Grid::fit(pool.view(), &norms, Metric::L2).encode(pool.view(), &norms).0
    }

    #[test]
    fn a_node_without_a_path_is_linked_from_its_closest_neighbour_with_room() {
        let mut links = Links::with_levels(vec![0; 5], 2);
        links.set(0, 0, &[1]);
        links.set(0, 1, &[0, 2]);
        links.set(0, 2, &[1]);
        links.set(0, 4, &[0, 2]);
        links.set(0, 3, &[4]);
        assert_eq!(orphans(&links), [3, 4]);
        assert_eq!(mend(&line(), &mut links), Vec::<u32>::new());
        assert_eq!(orphans(&links), Vec::<u32>::new());
        assert!(links.of(0, 2).contains(&3), "{:?}", links.of(0, 2));
    }

    #[test]
    fn a_node_without_any_neighbour_stays_an_orphan() {
        let mut links = Links::with_levels(vec![0; 2], 2);
        assert_eq!(mend(&line().pick(&[0, 1]), &mut links), [1]);
        assert_eq!(orphans(&Links::with_levels(Vec::new(), 2)), Vec::<u32>::new());
    }
}
