//! Plans of faults for tests: every operation on the disk is counted and noted, and the n-th one fails.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::DatasetDir;
use super::fs::{Disk, Step};

pub(super) const EIO: i32 = 5;
pub(super) const EACCES: i32 = 13;
pub(super) const ENOSPC: i32 = 28;
pub(super) const EROFS: i32 = 30;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Nothing was done.
    Before,
    /// Half of the bytes were written; as `Before` for anything but a write.
    Short,
    /// All was done, and then an error reported.
    After,
}

/// One fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// Which operation, from 0.
    pub(super) at: usize,
    /// Number of the operating system's error.
    pub(super) errno: i32,
    pub(super) how: How,
    /// Whether all later operations fail too: the process is as good as dead.
    pub(super) is_crash: bool,
}

/// An operation that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) path: PathBuf,
    pub(super) what: What,
}

/// [`Step`] with what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    MakeFolder,
    Create,
    Open,
    Lock,
    Truncate(u64),
    Write(Vec<u8>),
    Sync,
    SyncFolder,
    Rename(PathBuf),
    Link(PathBuf),
    RemoveFile,
    RemoveFolder,
}

/// Counts and notes the operations of a [`Disk`], and lets one of them fail.
#[derive(Debug, Default)]
pub(super) struct Plan {
    fault: Option<Fault>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    n_begun: usize,
    done: Vec<Done>,
    failed_on: Option<PathBuf>,
}

impl Plan {
    pub(super) fn new(fault: Option<Fault>) -> Arc<Self> {
        Arc::new(Self { fault, ..Self::default() })
    }

    /// The folder, whose every operation follows this plan.
    pub(super) fn on(self: &Arc<Self>, root: &Path) -> DatasetDir {
        DatasetDir { root: root.to_owned(), disk: Disk { plan: Some(Arc::clone(self)) } }
    }

    /// All that was done, in order.
    pub(super) fn done(&self) -> Vec<Done> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).done.clone()
    }

    /// On which file or folder the fault fell; nothing when there were not so many operations.
    pub(super) fn failed_on(&self) -> Option<PathBuf> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failed_on.clone()
    }

    pub(super) fn run<T>(
        &self,
        path: &Path,
        step: Step<'_>,
        real: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match self.begin(path) {
            None => self.note(path, step, real()),
            Some(fault) if fault.how == How::After => {
                self.note(path, step, real())?;
                Err(error(fault))
            }
            Some(fault) => Err(error(fault)),
        }
    }

    pub(super) fn write(&self, file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<usize> {
        let fault = self.begin(path);
        let n = match fault.map(|f| (f.how, f)) {
            Some((How::Before, fault)) => return Err(error(fault)),
            Some((How::Short, _)) => bytes.len() / 2,
            _ => bytes.len(),
        };
        file.write_all(&bytes[..n])?;
        self.note(path, Step::Write(&bytes[..n]), Ok(n))?;
        fault.map_or(Ok(n), |fault| Err(error(fault)))
    }

    /// Counts an operation that is about to begin, and says whether it is to fail.
    fn begin(&self, path: &Path) -> Option<Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = state.n_begun;
        state.n_begun += 1;
        let fault = self.fault?;
        if number == fault.at {
            state.failed_on = Some(path.to_owned());
            return Some(fault);
        }
        // A dead process does nothing more, whatever its last operation came to.
        (fault.is_crash && number > fault.at).then_some(Fault { how: How::Before, ..fault })
    }

    fn note<T>(&self, path: &Path, step: Step<'_>, result: io::Result<T>) -> io::Result<T> {
        if result.is_ok() {
            let done = Done { path: path.to_owned(), what: step.into() };
            self.state.lock().unwrap_or_else(PoisonError::into_inner).done.push(done);
        }
        result
    }
}

impl From<Step<'_>> for What {
    fn from(step: Step<'_>) -> Self {
        match step {
            Step::MakeFolder => Self::MakeFolder,
            Step::Create => Self::Create,
            Step::Open => Self::Open,
            Step::Lock => Self::Lock,
            Step::Truncate(n) => Self::Truncate(n),
            Step::Write(bytes) => Self::Write(bytes.to_vec()),
            Step::Sync => Self::Sync,
            Step::SyncFolder => Self::SyncFolder,
            Step::Rename(to) => Self::Rename(to.to_owned()),
            Step::Link(to) => Self::Link(to.to_owned()),
            Step::RemoveFile => Self::RemoveFile,
            Step::RemoveFolder => Self::RemoveFolder,
        }
    }
}

fn error(fault: Fault) -> io::Error {
    io::Error::from_raw_os_error(fault.errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_of_the_operating_system() {
        use std::io::ErrorKind;
        let kinds = [EIO, EACCES, ENOSPC, EROFS].map(|n| io::Error::from_raw_os_error(n).kind());
        assert_eq!(
            kinds[1..],
            [ErrorKind::PermissionDenied, ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem]
        );
    }

    fn fault(at: usize, how: How, is_crash: bool) -> Option<Fault> {
        Some(Fault { at, errno: EIO, how, is_crash })
    }

    /// What is in a file after it was written in three operations with a fault.
    fn written_with(fault: Option<Fault>) -> (Vec<u8>, bool, usize) {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan::new(fault);
        let dir = plan.on(folder.path());
        let path = folder.path().join("f");
        let write = || -> crate::Result<()> {
            let mut file = dir.disk.create(&path)?;
            file.put(b"abcd")?;
            file.finish().map(drop)
        };
        let is_ok = write().is_ok();
        (std::fs::read(&path).unwrap_or_default(), is_ok, plan.done().len())
    }

    #[test]
    fn the_nth_operation_fails_as_planned() {
        assert_eq!(written_with(None), (b"abcd".to_vec(), true, 3));
        assert_eq!(written_with(fault(0, How::Before, false)), (vec![], false, 0));
        assert_eq!(written_with(fault(1, How::Before, false)), (vec![], false, 1));
        assert_eq!(written_with(fault(1, How::Short, false)), (b"ab".to_vec(), false, 2));
        assert_eq!(written_with(fault(1, How::After, false)), (b"abcd".to_vec(), false, 2));
        assert_eq!(written_with(fault(2, How::Before, false)), (b"abcd".to_vec(), false, 2));
        assert_eq!(written_with(fault(3, How::Before, false)), (b"abcd".to_vec(), true, 3));
    }

    #[test]
    fn a_dead_process_does_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan::new(fault(0, How::After, true));
        let disk = plan.on(folder.path()).disk;
        assert!(
            disk.create(&folder.path().join("a")).is_err() && disk.create(&folder.path().join("b")).is_err()
        );
        assert_eq!((folder.path().join("a").exists(), folder.path().join("b").exists()), (true, false));
        assert_eq!(plan.failed_on(), Some(folder.path().join("a")));
        assert_eq!(plan.done(), [Done { path: folder.path().join("a"), what: What::Create }]);
    }
}
