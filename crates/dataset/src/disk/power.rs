//! A model of what a disk keeps when the power fails: what was synced, and of the rest anything.
//!
//! A file keeps its bytes of the last sync; those written since may be there, be cut off or be zeros in places. A folder
//! keeps the names of its last sync; names made, changed and removed since are each there or not, in any combination.
//! Syncing a file does not sync its name. This is weaker than what common file systems do, who keep some order.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use labelloop_core::Seed;

use super::faults::{Done, What};

/// What is left of that which was not synced.
#[derive(Debug, Clone, Copy)]
pub(super) enum Survivors {
    /// Nothing.
    Synced,
    /// Everything.
    All,
    /// Anything, by a seed.
    Random(u64),
}

#[derive(Debug)]
enum Node {
    File { synced: Vec<u8>, now: Vec<u8> },
    Folder { synced: Names, now: Names, pending: Vec<Entry> },
}

type Names = BTreeMap<OsString, usize>;

/// A change of names that was not synced.
#[derive(Debug, Clone)]
enum Entry {
    Add(OsString, usize),
    Remove(OsString),
    Rename(OsString, OsString, usize),
}

impl Entry {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

/// A folder on a disk. Node 0 is the folder itself.
#[derive(Debug)]
pub(super) struct Model {
    nodes: Vec<Node>,
}

impl Model {
    /// A folder all of which is synced.
    pub(super) fn of(folder: &Path) -> Self {
        let mut model = Self { nodes: vec![] };
        model.load(folder);
        model
    }

    fn load(&mut self, path: &Path) -> usize {
        let number = self.nodes.len();
        if path.is_file() {
            let bytes = fs::read(path).unwrap();
            self.nodes.push(Node::File { synced: bytes.clone(), now: bytes });
            return number;
        }
        self.nodes.push(empty_folder());
        let children = super::fs::list(path).unwrap();
        let names: Names =
            children.iter().map(|p| (p.file_name().unwrap().to_owned(), self.load(p))).collect();
        self.nodes[number] = Node::Folder { synced: names.clone(), now: names, pending: vec![] };
        number
    }

    /// Follows an operation that was done below `root`.
    pub(super) fn apply(&mut self, root: &Path, done: &Done) {
        let path = done.path.strip_prefix(root).unwrap();
        match &done.what {
            What::MakeFolder => self.add(path, empty_folder()),
            What::Create => self.add(path, Node::File { synced: vec![], now: vec![] }),
            What::Open if self.find(path).is_none() => {
                self.add(path, Node::File { synced: vec![], now: vec![] });
            }
            What::Open | What::Lock => {}
            What::Truncate(n) => self.file(path).1.truncate(usize::try_from(*n).unwrap()),
            What::Write(bytes) => self.file(path).1.extend_from_slice(bytes),
            What::Sync => {
                let (synced, now) = self.file(path);
                synced.clone_from(now);
            }
            What::SyncFolder => {
                let number = self.find(path).unwrap();
                let Node::Folder { synced, now, pending } = &mut self.nodes[number] else {
                    panic!("{path:?}")
                };
                synced.clone_from(now);
                pending.clear();
            }
            What::Rename(to) => {
                assert_eq!(to.parent(), done.path.parent(), "renames stay in their folder");
                let node = self.find(path).unwrap();
                let [from, to] = [path, to].map(|p| p.file_name().unwrap().to_owned());
                self.change(path, Entry::Rename(from, to, node));
            }
            What::Link(of) => {
                let node = self.find(of.strip_prefix(root).unwrap()).unwrap();
                self.change(path, Entry::Add(path.file_name().unwrap().to_owned(), node));
            }
            What::RemoveFile | What::RemoveFolder => {
                self.change(path, Entry::Remove(path.file_name().unwrap().to_owned()));
            }
        }
    }

    fn find(&self, path: &Path) -> Option<usize> {
        path.components().try_fold(0, |node, name| match &self.nodes[node] {
            Node::Folder { now, .. } => now.get(name.as_os_str()).copied(),
            Node::File { .. } => None,
        })
    }

    fn add(&mut self, path: &Path, node: Node) {
        self.nodes.push(node);
        self.change(path, Entry::Add(path.file_name().unwrap().to_owned(), self.nodes.len() - 1));
    }

    fn change(&mut self, path: &Path, entry: Entry) {
        let number = self.find(path.parent().unwrap()).unwrap();
        let Node::Folder { now, pending, .. } = &mut self.nodes[number] else { panic!("{path:?}") };
        entry.apply(now);
        pending.push(entry);
    }

    fn file(&mut self, path: &Path) -> (&mut Vec<u8>, &mut Vec<u8>) {
        let number = self.find(path).unwrap();
        let Node::File { synced, now } = &mut self.nodes[number] else { panic!("{path:?}") };
        (synced, now)
    }

    /// Writes what is left to an empty folder.
    pub(super) fn write(&self, to: &Path, survivors: Survivors) {
        self.write_node(0, to, survivors);
    }

    fn write_node(&self, number: usize, to: &Path, survivors: Survivors) {
        match &self.nodes[number] {
            Node::File { synced, now } => {
                fs::write(to, left_of_file(synced, now, survivors, number as u64)).unwrap();
            }
            Node::Folder { synced, pending, .. } => {
                let mut names = synced.clone();
                for (i, entry) in pending.iter().enumerate() {
                    let is_left = match survivors {
                        Survivors::Synced => false,
                        Survivors::All => true,
                        Survivors::Random(seed) => {
                            Seed::new(seed).stream("names").unit((number as u64) << 32 | i as u64) < 0.5
                        }
                    };
                    if is_left {
                        entry.apply(&mut names);
                    }
                }
                for (name, node) in &names {
                    let path = to.join(OsStr::new(name));
                    if matches!(self.nodes[*node], Node::Folder { .. }) {
                        fs::create_dir(&path).unwrap();
                    }
                    self.write_node(*node, &path, survivors);
                }
            }
        }
    }
}

fn empty_folder() -> Node {
    Node::Folder { synced: Names::new(), now: Names::new(), pending: vec![] }
}

/// Size of the pieces that reach the disk or do not. Real ones are larger; small ones tear short lines too.
const BLOCK: usize = 16;

fn left_of_file(synced: &[u8], now: &[u8], survivors: Survivors, file: u64) -> Vec<u8> {
    let seed = match survivors {
        Survivors::Synced => return synced.to_vec(),
        Survivors::All => return now.to_vec(),
        Survivors::Random(seed) => Seed::new(Seed::new(seed).stream("bytes").bits(file)),
    };
    let n_same = synced.iter().zip(now).take_while(|(a, b)| a == b).count();
    let mut left = now.to_vec();
    match (seed.unit(0) * 4.0) as u32 {
        0 => return synced.to_vec(),
        1 => {}
        2 => left.truncate(n_same + ((now.len() - n_same) as f64 * seed.unit(1)) as usize),
        _ => {
            for (i, block) in left[n_same..].chunks_mut(BLOCK).enumerate() {
                if seed.unit(2 + i as u64) < 0.5 {
                    block.fill(0);
                }
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(path: &str, what: What) -> Done {
        Done { path: Path::new("/r").join(path), what }
    }

    /// Names and bytes of what is left after some operations in an empty folder.
    fn left(operations: &[Done], survivors: Survivors) -> Vec<(String, Vec<u8>)> {
        let folder = tempfile::tempdir().unwrap();
        let mut model = Model::of(folder.path());
        operations.iter().for_each(|d| model.apply(Path::new("/r"), d));
        model.write(folder.path(), survivors);
        let paths = super::super::fs::list(folder.path()).unwrap();
        let name = |p: &Path| p.file_name().unwrap().to_string_lossy().into_owned();
        paths.iter().map(|p| (name(p), fs::read(p).unwrap())).collect()
    }

    #[test]
    fn only_what_was_synced_is_sure_to_stay() {
        let written = [done("a", What::Create), done("a", What::Write(b"x".to_vec()))];
        let with = |more: &[Done]| [&written[..], more].concat();
        assert!(left(&written, Survivors::Synced).is_empty());
        assert_eq!(left(&written, Survivors::All), [("a".to_owned(), b"x".to_vec())]);
        let synced = with(&[done("a", What::Sync)]);
        assert!(left(&synced, Survivors::Synced).is_empty(), "a synced file still has no name");
        let named = with(&[done("", What::SyncFolder)]);
        assert_eq!(left(&named, Survivors::Synced), [("a".to_owned(), vec![])], "a name without its bytes");
        let renamed = with(&[
            done("a", What::Sync),
            done("", What::SyncFolder),
            done("a", What::Rename("/r/b".into())),
        ]);
        assert_eq!(left(&renamed, Survivors::Synced), [("a".to_owned(), b"x".to_vec())]);
        assert_eq!(left(&renamed, Survivors::All), [("b".to_owned(), b"x".to_vec())]);
    }

    #[test]
    fn anything_may_be_left_of_what_was_not_synced() {
        let writes =
            [done("a", What::Create), done("", What::SyncFolder), done("a", What::Write(vec![7; 64]))];
        let all: std::collections::BTreeSet<_> =
            (0..64).map(|seed| left(&writes, Survivors::Random(seed)).remove(0).1).collect();
        assert!(all.contains(&vec![]) && all.contains(&vec![7; 64]));
        assert!(all.iter().any(|b| b.len() == 64 && b.contains(&0)), "zeros in places");
        assert!(all.iter().any(|b| !b.is_empty() && b.len() < 64), "cut off");
    }
}
