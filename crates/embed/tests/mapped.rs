//! Rows of files mapped into memory.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say where")]
#![cfg(feature = "mmap")]

use std::fs;

use labelloop_core::Silent;
use labelloop_embed::{Descriptor, EmbedError, MappedRows, VectorStore, embed_all, write_npy};
use ndarray::{Array2, array};
use proptest::prelude::*;

#[test]
fn a_map_shows_the_bits_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    for matrix in [array![[1.0, -0.0, f32::NAN]], Array2::zeros((0, 5)), Array2::from_elem((1000, 7), 0.1)] {
        write_npy(&path, matrix.view()).unwrap();
        let rows = MappedRows::open_npy(&path).unwrap();
        assert_eq!(rows.view().dim(), matrix.dim());
        assert!(rows.view().iter().zip(&matrix).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}

#[test]
fn a_file_that_is_replaced_stays_as_it_was_in_an_open_map() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    write_npy(&path, array![[1.0, 2.0]].view()).unwrap();
    let before = MappedRows::open_npy(&path).unwrap();
    write_npy(&path, array![[3.0, 4.0]].view()).unwrap();
    assert_eq!(before.view(), array![[1.0, 2.0]]);
    assert_eq!(MappedRows::open_npy(&path).unwrap().view(), array![[3.0, 4.0]]);
}

#[test]
fn other_kinds_of_npy_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    let file = |header: &str| {
        let header = format!("{header:<117}\n");
        let n_header = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00".as_slice(), &n_header, header.as_bytes(), &[0; 64]].concat()
    };
    for header in [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }",
        "{'descr': '>f4', 'fortran_order': False, 'shape': (2, 2), }",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 5), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
    ] {
        fs::write(&path, file(header)).unwrap();
        assert!(matches!(MappedRows::open_npy(&path), Err(EmbedError::Npy { .. })), "{header}");
    }
    fs::write(&path, file("{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(4,4)}")).unwrap();
    assert_eq!(MappedRows::open_npy(&path).unwrap().view().dim(), (4, 4));
    fs::write(&path, "").unwrap();
    assert!(matches!(MappedRows::open_npy(&path), Err(EmbedError::Npy { .. })));
    assert!(matches!(MappedRows::open_npy(&folder.path().join("no")), Err(EmbedError::Io { .. })));
}

#[test]
fn a_store_is_mapped_or_written_to_but_not_both() {
    let folder = tempfile::tempdir().unwrap();
    let embedder = Descriptor::default();
    let mut store = VectorStore::open(folder.path(), &embedder).unwrap();
    let (path, n_dims) = (store.rows_path().to_owned(), embedder.n_dims());
    store.insert(&[1; 32], &vec![0.25; n_dims]).unwrap();
    assert!(matches!(MappedRows::open_rows(&path, n_dims), Err(EmbedError::Conflict { .. })));
    drop(store);
    let [one, two] = [(); 2].map(|()| MappedRows::open_rows(&path, n_dims).unwrap());
    assert_eq!((one.view().dim(), one.view()), ((1, n_dims), two.view()));
    let refused = embed_all(&[], &embedder, Some(folder.path()), &Silent).unwrap_err();
    assert!(matches!(refused, EmbedError::Conflict { .. }), "{refused}");
    drop((one, two));
    embed_all(&[], &embedder, Some(folder.path()), &Silent).unwrap();
    assert!(matches!(MappedRows::open_rows(&path, 0), Err(EmbedError::Npy { .. })));
}

/// Memory of this process that shows a file, in kB.
#[cfg(target_os = "linux")]
fn resident_kb() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn ten_rows_of_a_large_file_are_read_without_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.f32");
    // Four GiB of holes: rows of zeros that take no room on the disk.
    let (n_dims, n_rows) = (1024, 1 << 20);
    fs::File::create(&path).unwrap().set_len(4 * n_dims as u64 * n_rows as u64).unwrap();
    let before = resident_kb();
    let rows = MappedRows::open_rows(&path, n_dims).unwrap();
    let view = rows.view();
    assert_eq!(view.dim(), (n_rows, n_dims));
    let total: f32 = (0..10).map(|i| view.row(i * (n_rows / 10)).sum()).sum();
    assert_eq!(total, 0.0);
    let grown = resident_kb() - before;
    eprintln!("10 rows of {n_rows} read: {grown} kB of 4 GiB resident");
    // Ten rows are 40 kB; systems read some pages around each.
    assert!(grown < 8 * 1024, "{grown} kB");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_headers_give_a_map_or_an_error(at in 0..200usize, value in any::<u8>(), cut in 0..200usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write_npy(&path, array![[1.0, 2.0], [3.0, 4.0]].view()).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let n_bytes = bytes.len();
        bytes[at % n_bytes] = value;
        bytes.truncate(n_bytes - cut % 8);
        fs::write(&path, bytes).unwrap();
        if let Ok(rows) = MappedRows::open_npy(&path) {
            prop_assert!(rows.view().len() <= 4);
        }
    }
}
