//! Tables to and from files, and tables by other tools.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use std::path::Path;

use labelloop_core::{CoreError, Embeddings, SampleId, Silent};
use labelloop_embed::{
    Descriptor, EmbedError, EmbeddingTable, ModelInfo, Result, TableProblem, embed_all, embed_to_store,
};
use labelloop_media::{RgbImage, save_png};
use ndarray::{Array2, array};
use proptest::prelude::*;

fn ids(texts: &[&str]) -> Vec<SampleId> {
    texts.iter().map(|text| SampleId::new(*text).unwrap()).collect()
}

fn model(digit: &str) -> ModelInfo {
    ModelInfo { digest: digit.repeat(64), description: "a \"model\"\nof two lines, ä".to_owned() }
}

fn table() -> EmbeddingTable {
    let vectors =
        Embeddings::new(ids(&["b", "a/ä ö.png"]), array![[1.0, -0.0, 1e-40], [0.1, 2.0, 3.0]]).unwrap();
    EmbeddingTable::new(vectors, Some(vec![[1; 32], [255; 32]]), Some(model("a"))).unwrap()
}

fn bits(table: &EmbeddingTable) -> Vec<u32> {
    table.embeddings().vectors().iter().map(|v| v.to_bits()).collect()
}

fn problem(read: Result<EmbeddingTable>) -> TableProblem {
    match read.unwrap_err() {
        EmbedError::Table { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn npy_comes_back_with_all_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.npy");
    table().write_npy(&path).unwrap();
    let back = EmbeddingTable::read_npy(&path).unwrap();
    assert_eq!((&back, bits(&back)), (&table(), bits(&table())));
    let ids: Vec<String> =
        serde_json::from_slice(&std::fs::read(folder.path().join("v.json")).unwrap()).unwrap();
    assert_eq!(ids, ["b", "a/ä ö.png"], "a plain list, for other programs");
}

#[test]
fn npy_without_a_note_has_no_model_and_forgets_that_of_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.npy");
    table().write_npy(&path).unwrap();
    let plain = EmbeddingTable::new(table().into_embeddings(), None, None).unwrap();
    plain.write_npy(&path).unwrap();
    assert_eq!(EmbeddingTable::read_npy(&path).unwrap(), plain);
    plain.write_npy(&path).unwrap();
}

#[test]
fn npy_with_ids_that_do_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.npy");
    table().write_npy(&path).unwrap();
    let read_with = |ids: &str| {
        std::fs::write(folder.path().join("v.json"), ids).unwrap();
        problem(EmbeddingTable::read_npy(&path))
    };
    assert_eq!(read_with("[\"a\"]"), TableProblem::Count { what: "ids", found: 1, expected: 2 });
    let twice = TableProblem::DuplicateId { row: 1, first: 0, id: "a".to_owned() };
    assert_eq!(read_with("[\"a\", \"a\"]"), twice);
    assert!(matches!(read_with("[\"a\", \"\"]"), TableProblem::Id { row: 1, .. }));
    assert!(matches!(read_with("{}"), TableProblem::Format { .. }));
    std::fs::write(folder.path().join("v.json"), "[\"a\", \"b\"]").unwrap();
    let beside = folder.path().join("v.model.json");
    std::fs::write(&beside, "{\"model\": null, \"contents\": [\"00\", \"11\"]}").unwrap();
    assert!(matches!(problem(EmbeddingTable::read_npy(&path)), TableProblem::Content { row: 0, .. }));
    std::fs::write(&beside, "{\"model\": null, \"contents\": []}").unwrap();
    let counted = TableProblem::Count { what: "contents", found: 0, expected: 2 };
    assert_eq!(problem(EmbeddingTable::read_npy(&path)), counted);
}

#[test]
fn npy_with_nan_is_refused_with_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.npy");
    labelloop_embed::write_npy(&path, array![[1.0, 2.0], [3.0, f32::NAN]].view()).unwrap();
    std::fs::write(folder.path().join("v.json"), "[\"a\", \"b\"]").unwrap();
    let found = "NaN".to_owned();
    assert_eq!(
        problem(EmbeddingTable::read_npy(&path)),
        TableProblem::NotFinite { row: 1, number: 1, found }
    );
}

#[test]
fn tables_of_two_models_never_join() {
    let of = |id: &str, model: Option<ModelInfo>, n_dims: usize| {
        let vectors = Embeddings::new(ids(&[id]), Array2::ones((1, n_dims))).unwrap();
        EmbeddingTable::new(vectors, Some(vec![[0; 32]]), model).unwrap()
    };
    let first = of("a", Some(model("a")), 2);
    let joined = first.join(&of("b", Some(model("a")), 2)).unwrap();
    assert_eq!(joined.embeddings().ids(), ids(&["a", "b"]));
    assert_eq!((joined.contents().unwrap().len(), joined.model()), (2, first.model()));
    let other = first.join(&of("b", Some(model("b")), 2)).unwrap_err();
    assert!(other.to_string().contains(&"b".repeat(64)), "{other}");
    let unknown = first.join(&of("b", None, 2)).unwrap_err();
    assert!(matches!(unknown, EmbedError::DifferentModels { right, .. } if right == "unknown"));
    let longer = first.join(&of("b", Some(model("a")), 3)).unwrap_err();
    assert!(matches!(longer, EmbedError::VectorLength { found: 3, expected: 2 }));
    let twice = first.join(&of("a", Some(model("a")), 2)).unwrap_err();
    assert!(matches!(twice, EmbedError::Core(CoreError::DuplicateSample { .. })));
    assert!(of("a", None, 2).join(&of("b", None, 2)).is_ok());
}

#[test]
fn as_many_contents_as_rows_are_wanted() {
    let refused = EmbeddingTable::new(table().into_embeddings(), Some(vec![]), None).unwrap_err();
    assert!(matches!(refused, EmbedError::Core(CoreError::RowCount { n_rows: 2, n_ids: 0 })));
}

/// A folder of pictures, and their samples.
fn pictures(folder: &Path, n: u8) -> Vec<(SampleId, std::path::PathBuf)> {
    let item = |i: u8| {
        let path = folder.join(format!("{i:03}.png"));
        let size = labelloop_core::ImageSize::new(20, 16).unwrap();
        save_png(&RgbImage::filled(size, [i, 255 - i, 7 * (i % 30)]), &path).unwrap();
        (SampleId::new(format!("{i:03}")).unwrap(), path)
    };
    (0..n).map(item).collect()
}

#[test]
fn a_table_from_the_store_is_that_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (items, embedder) = (pictures(folder.path(), 5), Descriptor::default());
    let run = embed_all(&items, &embedder, None, &Silent).unwrap();
    let expected = EmbeddingTable::of(run, &embedder);
    let stored = embed_to_store(&items, &embedder, &folder.path().join("s"), &Silent).unwrap();
    let [one, two] = ["one.npy", "two.npy"].map(|name| folder.path().join(name));
    stored.write_npy(&one).unwrap();
    expected.write_npy(&two).unwrap();
    assert_eq!(EmbeddingTable::read_npy(&one).unwrap(), expected);
    for ending in ["npy", "json", "model.json"] {
        let read = |path: &Path| std::fs::read(path.with_extension(ending)).unwrap();
        assert_eq!(read(&one), read(&two), "{ending}");
    }
}

#[cfg(feature = "parquet")]
mod parquet {
    use labelloop_embed::{ParquetRows, TableColumns};

    use super::*;

    fn fixture(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tables").join(name)
    }

    #[test]
    fn tables_by_pandas_pyarrow_polars_and_duckdb_are_read() {
        let expected: serde_json::Value =
            serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap();
        let names: Vec<String> = serde_json::from_value(expected["ids"].clone()).unwrap();
        let rows: Vec<Vec<f32>> = serde_json::from_value(expected["rows"].clone()).unwrap();
        let mut n_tables = 0;
        for entry in std::fs::read_dir(fixture("")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.ends_with(".parquet") || name.starts_with("bad_") {
                continue;
            }
            let table = EmbeddingTable::read_parquet(&path).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(
                table.embeddings().ids().iter().map(SampleId::as_str).collect::<Vec<_>>(),
                names,
                "{name}"
            );
            let found: Vec<Vec<f32>> =
                table.embeddings().vectors().rows().into_iter().map(|r| r.to_vec()).collect();
            assert_eq!(found, rows, "{name}");
            assert_eq!((table.model(), table.contents()), (None, None));
            n_tables += 1;
        }
        assert!(14 <= n_tables, "{n_tables} tables: their number may only rise");
    }

    #[test]
    fn what_no_table_should_hold_is_refused_with_its_row() {
        let read =
            |name: &str| problem(EmbeddingTable::read_parquet(&fixture(&format!("bad_{name}.parquet"))));
        let null = |column: &str, row| TableProblem::Null { column: column.to_owned(), row };
        assert_eq!(read("null_id"), null("id", 1));
        assert_eq!(read("null_row"), null("embedding", 1));
        assert_eq!(read("null_number"), null("embedding", 1));
        let not_finite =
            |number, found: &str| TableProblem::NotFinite { row: 1, number, found: found.to_owned() };
        assert_eq!(read("nan"), not_finite(1, "NaN"));
        assert!(matches!(read("too_large"), TableProblem::NotFinite { row: 1, number: 0, .. }));
        assert_eq!(read("mixed"), TableProblem::Length { row: 1, found: 2, expected: 1 });
        assert_eq!(read("no_numbers"), TableProblem::Length { row: 0, found: 0, expected: 1 });
        assert_eq!(read("same_id"), TableProblem::DuplicateId { row: 2, first: 0, id: "a".to_owned() });
        assert!(matches!(read("empty_id"), TableProblem::Id { row: 1, .. }));
        for (name, column) in [("number_ids", "id"), ("text_rows", "embedding"), ("integers", "embedding")] {
            assert!(
                matches!(read(name), TableProblem::ColumnType { column: c, .. } if c == column),
                "{name}"
            );
        }
        let no_column = TableProblem::NoColumn {
            column: "id".to_owned(),
            found: vec!["name".to_owned(), "embedding".to_owned()],
        };
        assert_eq!(read("no_ids"), no_column);
        assert_eq!(read("bad_content"), TableProblem::Content { row: 0, found: "xyz".to_owned() });
        assert_eq!(read("no_rows"), TableProblem::NoRows);
    }

    #[test]
    fn columns_of_other_names_are_read_when_asked_for() {
        let columns = TableColumns { id: "name".to_owned(), ..Default::default() };
        let table = EmbeddingTable::read_parquet_columns(&fixture("bad_no_ids.parquet"), &columns).unwrap();
        assert_eq!(table.embeddings().vectors(), array![[1.0]]);
    }

    #[test]
    fn ours_comes_back_bit_for_bit_with_model_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        for expected in [table(), EmbeddingTable::new(table().into_embeddings(), None, None).unwrap()] {
            expected.write_parquet(&path).unwrap();
            let back = EmbeddingTable::read_parquet(&path).unwrap();
            assert_eq!((&back, bits(&back)), (&expected, bits(&expected)));
        }
    }

    #[test]
    fn no_rows_come_back_with_their_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        let empty = embed_all(&[], &Descriptor::default(), None, &Silent).unwrap();
        let empty = EmbeddingTable::of(empty, &Descriptor::default());
        empty.write_parquet(&path).unwrap();
        assert_eq!(EmbeddingTable::read_parquet(&path).unwrap(), empty);
    }

    #[test]
    fn the_store_writes_the_same_file_as_memory() {
        let folder = tempfile::tempdir().unwrap();
        let (items, embedder) = (pictures(folder.path(), 5), Descriptor::default());
        let run = embed_all(&items, &embedder, None, &Silent).unwrap();
        let stored = embed_to_store(&items, &embedder, &folder.path().join("s"), &Silent).unwrap();
        let [one, two] = ["one.parquet", "two.parquet"].map(|name| folder.path().join(name));
        stored.write_parquet(&one).unwrap();
        EmbeddingTable::of(run, &embedder).write_parquet(&two).unwrap();
        assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
    }

    #[test]
    fn many_rows_come_in_parts_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        let names: Vec<SampleId> = (0..3000).map(|i| SampleId::new(format!("{i:04}")).unwrap()).collect();
        let vectors = Array2::from_shape_fn((3000, 3), |(i, j)| (3 * i + j) as f32);
        let table =
            EmbeddingTable::new(Embeddings::new(names, vectors).unwrap(), None, Some(model("c"))).unwrap();
        table.write_parquet(&path).unwrap();
        let mut rows = ParquetRows::open(&path, &TableColumns::default()).unwrap();
        assert_eq!(rows.model(), Some(&model("c")));
        let parts: Vec<_> = rows.by_ref().map(|part| part.unwrap().ids.len()).collect();
        assert!(1 < parts.len() && parts.iter().all(|n| *n <= 512), "{parts:?}");
        assert!(rows.next().is_none());
        assert_eq!(EmbeddingTable::read_parquet(&path).unwrap(), table);
    }

    #[test]
    fn files_that_are_none_are_typed_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        assert!(matches!(EmbeddingTable::read_parquet(&path), Err(EmbedError::Io { .. })));
        for bytes in [b"".as_slice(), b"PAR1", b"PAR1\0\0\0\0PAR1", b"not a table at all"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(problem(EmbeddingTable::read_parquet(&path)), TableProblem::Format { .. }));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_table_that_cannot_be_written_leaves_the_one_that_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        table().write_parquet(&path).unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join(".v.parquet.tmp")).unwrap();
        let refused = table().write_parquet(&path).unwrap_err();
        let EmbedError::Io { source, .. } = &refused else { panic!("{refused}") };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(EmbeddingTable::read_parquet(&path).unwrap(), table());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_table_round_trips(
            rows in proptest::collection::btree_map("[a-zäß/ ._-]{1,12}", proptest::collection::vec(-1e30..1e30f32, 4), 1..40),
            has_contents in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let names: Vec<_> = rows.keys().filter_map(|name| SampleId::new(name.clone()).ok()).collect();
            prop_assume!(names.len() == rows.len());
            let vectors = Array2::from_shape_vec((rows.len(), 4), rows.into_values().flatten().collect()).unwrap();
            let contents = has_contents.then(|| (0..names.len()).map(|i| [i as u8; 32]).collect());
            let table =
                EmbeddingTable::new(Embeddings::new(names, vectors).unwrap(), contents, Some(model("0"))).unwrap();
            let path = folder.path().join("v.parquet");
            table.write_parquet(&path).unwrap();
            prop_assert_eq!(EmbeddingTable::read_parquet(&path).unwrap(), table);
        }

        #[test]
        fn a_damaged_table_is_read_or_refused_and_nothing_else(at in any::<u32>(), value in any::<u8>(), cut in any::<bool>()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("v.parquet");
            table().write_parquet(&path).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at as usize % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] = value }
            std::fs::write(&path, bytes).unwrap();
            let _ = EmbeddingTable::read_parquet(&path);
        }
    }
}
