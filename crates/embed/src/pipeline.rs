//! Workers that each take the next file when they are done with one, until there are no more.
//!
//! A worker reads a file, hashes it, and looks its content up; where there is no vector it makes one and puts it into
//! the store before it takes the next file. So at most one file for each worker is in memory, a process that is killed
//! loses at most one vector for each worker, and no core waits for another until the last file.
//!
//! A content that another worker is busy with is not waited for: the file is noted with the content, and has its vector
//! when the other worker is done.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use labelloop_core::{Cancelled, Progress, SampleId};
use ndarray::Array2;

use crate::failure::FailureKind;
use crate::store::StoreFiles;
use crate::store_format::{Key, key_of};
use crate::{EmbedError, Embedder, Result, VectorStore};

/// Longest time until a wish to end is heard.
const EAR: Duration = Duration::from_millis(50);
/// Vectors that the system may keep off the disk for a while.
const SYNC_EVERY: usize = 512;
/// No picture or cloud is as large; what is cannot be held in memory once for each worker.
pub(crate) const MAX_FILE_BYTES: u64 = 2 << 30;

pub(crate) type Item = (SampleId, PathBuf);

/// What became of one file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Slot {
    /// Nobody came to it.
    Open,
    /// It has a vector: the hash of its bytes, and its row in the store where there is one.
    Done { content: [u8; 32], record: u64 },
    /// It has none.
    Failed { kind: FailureKind, reason: String },
}

/// What all workers leave behind.
pub(crate) struct Outcome {
    pub(crate) slots: Vec<Slot>,
    /// Row by row as the items, where they were asked for; rows of files without a vector are 0.
    pub(crate) vectors: Option<Array2<f32>>,
    pub(crate) n_computed: usize,
}

/// Embeds the items, with their vectors kept in memory or only in the store.
pub(crate) fn run<E: Embedder + ?Sized>(
    items: &[&Item],
    embedder: &E,
    store: Option<&mut VectorStore>,
    keeps_vectors: bool,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let vectors = keeps_vectors.then(|| Array2::zeros((items.len(), embedder.n_dims())));
    let slots = vec![Slot::Open; items.len()];
    let desk = Desk {
        outcome: Outcome { slots, vectors, n_computed: 0 },
        store,
        first_of: BTreeMap::new(),
        waiting: BTreeMap::new(),
        n_done: 0,
        n_at_work: 0,
        error: None,
    };
    let floor = Floor {
        items,
        embedder,
        next: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        desk: Mutex::new(desk),
        changed: Condvar::new(),
    };
    let told = std::thread::scope(|scope| {
        // Whatever ends this closure ends the workers, even a panic in the caller's progress.
        let _end = EndOnDrop(&floor.is_over);
        for _ in 0..rayon::current_num_threads().min(items.len()) {
            floor.lock().n_at_work += 1;
            let worker = std::thread::Builder::new().name("embed".to_owned());
            if let Err(source) = worker.spawn_scoped(scope, || floor.work()) {
                floor.lock().n_at_work -= 1;
                // One worker is enough to go on with.
                if floor.lock().n_at_work == 0 {
                    return Err(EmbedError::Workers { source });
                }
                break;
            }
        }
        floor.tell(progress)
    });
    let desk = floor.desk.into_inner().unwrap_or_else(PoisonError::into_inner);
    // A store that cannot be written explains more than a run that was cancelled at the same time.
    desk.error.map_or(Ok(()), Err)?;
    if let Some(store) = &desk.store {
        store.sync()?;
    }
    told?;
    Ok(desk.outcome)
}

/// What the workers share.
struct Floor<'a, E: ?Sized> {
    items: &'a [&'a Item],
    embedder: &'a E,
    next: AtomicUsize,
    is_over: AtomicBool,
    desk: Mutex<Desk<'a>>,
    changed: Condvar,
}

/// What one worker at a time may touch.
struct Desk<'a> {
    outcome: Outcome,
    store: Option<&'a mut VectorStore>,
    /// Item whose vector belongs to a content, where no store says so.
    first_of: BTreeMap<Key, usize>,
    /// Contents that a worker is busy with, and items that want the vector too.
    waiting: BTreeMap<Key, Vec<(usize, [u8; 32])>>,
    n_done: usize,
    n_at_work: usize,
    error: Option<EmbedError>,
}

/// What to do about a content.
enum Claim {
    /// Make its vector.
    Compute,
    /// Nothing more: the item is settled, or will be by another worker.
    Settled,
    /// Read this row of the store.
    Stored(u64),
}

struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts a worker out, however it ends.
struct LeaveOnDrop<'a, 'b, E: Embedder + ?Sized>(&'a Floor<'b, E>);

impl<E: Embedder + ?Sized> Drop for LeaveOnDrop<'_, '_, E> {
    fn drop(&mut self) {
        self.0.lock().n_at_work -= 1;
        self.0.changed.notify_one();
    }
}

impl<'a, E: Embedder + ?Sized> Floor<'a, E> {
    fn lock(&self) -> MutexGuard<'_, Desk<'a>> {
        // A worker that panicked has left the desk as it was: nothing on it is changed in two steps that can fail.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how far the work is until it is done or should end.
    fn tell(&self, progress: &dyn Progress) -> Result<()> {
        let total = self.items.len() as u64;
        let (mut n_told, mut n_synced) = (0, 0);
        progress.step("embed", 0, total)?;
        loop {
            let desk = self.lock();
            let is_news = |desk: &mut Desk<'_>| desk.n_done == n_told && 0 < desk.n_at_work;
            let (desk, _) =
                self.changed.wait_timeout_while(desk, EAR, is_news).unwrap_or_else(PoisonError::into_inner);
            let (n_done, n_at_work, n_computed) = (desk.n_done, desk.n_at_work, desk.outcome.n_computed);
            let files = desk.files();
            drop(desk);
            if n_done == self.items.len() || n_at_work == 0 {
                progress.advance("embed", n_done as u64, total);
                return Ok(());
            }
            if n_told < n_done {
                progress.advance("embed", n_done as u64, total);
                n_told = n_done;
            }
            if progress.is_cancelled() {
                return Err(Cancelled { done: n_done as u64, total }.into());
            }
            if let Some(files) = files
                && n_synced + SYNC_EVERY <= n_computed
            {
                files.sync()?;
                n_synced = n_computed;
            }
        }
    }

    fn work(&self) {
        let _leave = LeaveOnDrop(self);
        while !self.is_over.load(Ordering::Relaxed) {
            let item = self.next.fetch_add(1, Ordering::Relaxed);
            if self.items.len() <= item {
                break;
            }
            if let Err(error) = self.embed(item) {
                self.is_over.store(true, Ordering::Relaxed);
                self.lock().error.get_or_insert(error);
            }
            self.changed.notify_one();
        }
    }

    fn embed(&self, item: usize) -> Result<()> {
        let path = &self.items[item].1;
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(why) => {
                self.lock().fail(item, path, &why);
                return Ok(());
            }
        };
        let content = blake3::hash(&bytes).into();
        let key = key_of(&content, &self.embedder.reading_of(path));
        loop {
            let claim = self.lock().claim(item, key, content);
            match claim {
                Claim::Settled => return Ok(()),
                Claim::Compute => {
                    let made = vector_of(self.embedder, &bytes, path);
                    return self.lock().settle(self.items, item, key, content, made);
                }
                Claim::Stored(record) => {
                    let files = self.lock().files();
                    let row = files.map_or(Ok(None), |files| files.read(record, &key))?;
                    let mut desk = self.lock();
                    match row {
                        Some(row) => {
                            desk.fill(item, content, record, &row);
                            return Ok(());
                        }
                        None => desk.forget(&key, record),
                    }
                }
            }
        }
    }
}

impl Desk<'_> {
    fn files(&self) -> Option<Arc<StoreFiles>> {
        self.store.as_ref().map(|store| store.files())
    }

    fn claim(&mut self, item: usize, key: Key, content: [u8; 32]) -> Claim {
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.push((item, content));
            return Claim::Settled;
        }
        match &self.store {
            Some(store) => {
                if let Some(record) = store.record_of(&key) {
                    return Claim::Stored(record);
                }
            }
            None => {
                if let Some(first) = self.first_of.get(&key) {
                    let row = self.outcome.vectors.as_ref().map(|v| v.row(*first).to_vec());
                    self.fill(item, content, 0, &row.unwrap_or_default());
                    return Claim::Settled;
                }
            }
        }
        self.waiting.insert(key, Vec::new());
        Claim::Compute
    }

    fn forget(&mut self, key: &Key, record: u64) {
        if let Some(store) = &mut self.store {
            store.forget(key, record);
        }
    }

    /// Keeps what was made, for the item and for those that wait for it.
    fn settle(
        &mut self,
        items: &[&Item],
        item: usize,
        key: Key,
        content: [u8; 32],
        made: Result<Vec<f32>, Why>,
    ) -> Result<()> {
        let mut wanted = self.waiting.remove(&key).unwrap_or_default();
        wanted.push((item, content));
        match made {
            Ok(vector) => {
                let record = match &mut self.store {
                    Some(store) => store.append(&key, &vector)?,
                    None => {
                        self.first_of.insert(key, item);
                        0
                    }
                };
                self.outcome.n_computed += 1;
                wanted.into_iter().for_each(|(item, content)| self.fill(item, content, record, &vector));
            }
            Err(why) => wanted.into_iter().for_each(|(item, _)| self.fail(item, &items[item].1, &why)),
        }
        Ok(())
    }

    fn fill(&mut self, item: usize, content: [u8; 32], record: u64, vector: &[f32]) {
        if let Some(vectors) = &mut self.outcome.vectors {
            vectors.row_mut(item).iter_mut().zip(vector).for_each(|(to, from)| *to = *from);
        }
        self.outcome.slots[item] = Slot::Done { content, record };
        self.n_done += 1;
    }

    fn fail(&mut self, item: usize, path: &Path, why: &Why) {
        let reason = format!("{}{}", path.display(), why.after_place);
        self.outcome.slots[item] = Slot::Failed { kind: why.kind, reason };
        self.n_done += 1;
    }
}

/// Why there is no vector: what comes after the file's name, since files of the same bytes share it.
struct Why {
    kind: FailureKind,
    after_place: String,
}

impl Why {
    fn new(kind: FailureKind, reason: &str) -> Self {
        Self { kind, after_place: format!(": {reason}") }
    }
}

/// The bytes of a regular file; others might never end.
fn read(path: &Path) -> Result<Vec<u8>, Why> {
    let unreadable = |e: std::io::Error| Why::new(FailureKind::Unreadable, &e.to_string());
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(Why::new(FailureKind::NotAFile, "not a regular file"));
    }
    if MAX_FILE_BYTES < about.len() {
        let reason = format!("{} bytes: expected at most {MAX_FILE_BYTES}", about.len());
        return Err(Why::new(FailureKind::TooLarge, &reason));
    }
    std::fs::read(path).map_err(unreadable)
}

fn vector_of<E: Embedder + ?Sized>(embedder: &E, bytes: &[u8], path: &Path) -> Result<Vec<f32>, Why> {
    let made = catch_unwind(AssertUnwindSafe(|| embedder.embed_bytes(bytes, path)));
    let vector = match made {
        Ok(Ok(vector)) => vector,
        Ok(Err(_)) if bytes.is_empty() => return Err(Why::new(FailureKind::Empty, "the file is empty")),
        Ok(Err(error)) => {
            let (kind, reason) = (FailureKind::of(&error), error.to_string());
            let after_place = reason.strip_prefix(&path.display().to_string());
            return Err(match after_place.filter(|rest| rest.starts_with(':')) {
                Some(rest) => Why { kind, after_place: rest.to_owned() },
                None => Why::new(kind, &reason),
            });
        }
        Err(panic) => {
            let reason = format!("the embedder panicked: {}", words_of(panic.as_ref()));
            return Err(Why::new(FailureKind::Panicked, &reason));
        }
    };
    if vector.len() != embedder.n_dims() {
        let reason = format!("a vector of {} numbers: expected {}", vector.len(), embedder.n_dims());
        return Err(Why::new(FailureKind::BadVector, &reason));
    }
    if let Some((column, found)) = vector.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        let reason = format!("number {column} of the vector is {found}: expected a finite number");
        return Err(Why::new(FailureKind::BadVector, &reason));
    }
    Ok(vector)
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
