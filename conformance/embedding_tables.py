"""Tables of embeddings that other tools write, and ours read by them.

    python conformance/embedding_tables.py fixtures crates/embed/tests/data/tables
    python conformance/embedding_tables.py check OUR.parquet OUR.npy [OUR.vectors]

`fixtures` writes the same five rows by pandas, pyarrow, polars and DuckDB, in every kind of list and compression these have, for the
test in crates/embed/tests/tables.rs. `check` reads what `labelloop embed --out OUR.parquet` and `--out OUR.npy` wrote for the same
pictures, by all four, and compares it bit for bit; with OUR.vectors also the plain rows of the store, by np.memmap.
Needs numpy, pandas, pyarrow, polars and duckdb.
"""

import glob
import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

IDS = ["a.jpg", "b/c.png", "ä ö.png", "d.jpg", "e.jpg"]
ROWS, DIMS = len(IDS), 4


def rows():
    """Numbers that f32 holds exactly."""
    i, j = np.arange(ROWS)[:, None], np.arange(DIMS)[None, :]
    return ((i * 37 + j * 11) % 64 / 8 - 4).astype(np.float32)


def lists(values):
    return [row.tolist() for row in values]


def arrow(kind, values):
    flat = pa.array(values.reshape(-1), pa.float32() if "f32" in kind else pa.float64())
    offsets = np.arange(0, ROWS * DIMS + 1, DIMS)
    if kind.startswith("fixed"):
        column = pa.FixedSizeListArray.from_arrays(flat, DIMS)
    elif kind.startswith("large"):
        column = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat)
    else:
        column = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)
    return pa.table({"id": pa.array(IDS), "more": pa.array(range(ROWS)), "embedding": column})


def fixtures(folder):
    folder.mkdir(parents=True, exist_ok=True)
    values = rows()
    for kind in ("list_f32", "list_f64", "large_list_f32", "fixed_f32", "fixed_f64"):
        for compression in ("snappy", "zstd") if kind == "list_f32" else ("none",):
            pq.write_table(arrow(kind, values), folder / f"pyarrow_{kind}_{compression}.parquet", compression=compression)
    pq.write_table(arrow("list_f32", values), folder / "pyarrow_two_groups.parquet", row_group_size=3, data_page_version="2.0")
    categories = arrow("fixed_f32", values)
    categories = categories.set_column(0, "id", categories["id"].dictionary_encode())
    pq.write_table(categories, folder / "pyarrow_dictionary_ids.parquet")
    frame = pd.DataFrame({"id": IDS, "embedding": lists(values)})
    frame.to_parquet(folder / "pandas_lists.parquet")
    pd.DataFrame({"id": IDS, "embedding": list(values)}).to_parquet(folder / "pandas_arrays.parquet", index=False)
    series = pl.Series("embedding", lists(values), pl.List(pl.Float32))
    pl.DataFrame({"id": IDS, "embedding": series}).write_parquet(folder / "polars_list.parquet")
    array = series.cast(pl.Array(pl.Float32, DIMS))
    pl.DataFrame({"id": IDS, "embedding": array}).write_parquet(folder / "polars_array.parquet")
    duckdb.register("frame", frame)
    for name, kind in (("list", "FLOAT[]"), ("array", f"FLOAT[{DIMS}]")):
        to = folder / f"duckdb_{name}.parquet"
        duckdb.sql(f"COPY (SELECT id, embedding::{kind} AS embedding FROM frame) TO '{to}' (FORMAT parquet)")

    # What must be refused, and where.
    bad = {
        "null_id": pa.table({"id": pa.array(["a", None]), "embedding": pa.array([[1.0], [2.0]])}),
        "null_row": pa.table({"id": pa.array(["a", "b"]), "embedding": pa.array([[1.0], None])}),
        "null_number": pa.table({"id": pa.array(["a", "b"]), "embedding": pa.array([[1.0, 2.0], [None, 2.0]])}),
        "nan": pa.table({"id": pa.array(["a", "b"]), "embedding": pa.array([[1.0, 2.0], [2.0, float("nan")]])}),
        "too_large": pa.table({"id": pa.array(["a", "b"]), "embedding": pa.array([[1.0, 2.0], [1e39, 2.0]])}),
        "mixed": pa.table({"id": pa.array(["a", "b"]), "embedding": pa.array([[1.0], [2.0, 3.0]])}),
        "no_numbers": pa.table({"id": pa.array(["a"]), "embedding": pa.array([[]], pa.list_(pa.float32()))}),
        "same_id": pa.table({"id": pa.array(["a", "b", "a"]), "embedding": pa.array([[1.0], [2.0], [3.0]])}),
        "empty_id": pa.table({"id": pa.array(["a", ""]), "embedding": pa.array([[1.0], [2.0]])}),
        "number_ids": pa.table({"id": pa.array([1, 2]), "embedding": pa.array([[1.0], [2.0]])}),
        "text_rows": pa.table({"id": pa.array(["a"]), "embedding": pa.array(["[1.0]"])}),
        "integers": pa.table({"id": pa.array(["a"]), "embedding": pa.array([[1]])}),
        "no_ids": pa.table({"name": pa.array(["a"]), "embedding": pa.array([[1.0]])}),
        "bad_content": pa.table({"id": pa.array(["a"]), "content": pa.array(["xyz"]), "embedding": pa.array([[1.0]])}),
        "no_rows": arrow("list_f32", values).slice(0, 0),
    }
    for name, table in bad.items():
        pq.write_table(table, folder / f"bad_{name}.parquet")
    (folder / "expected.json").write_text(json.dumps({"ids": IDS, "rows": lists(values)}, ensure_ascii=False) + "\n")
    versions = {m.__name__: m.__version__ for m in (np, pd, pa, pl, duckdb)}
    print(len(list(folder.glob("*.parquet"))), "tables by", versions)


def check(parquet, npy, store=None):
    matrix, ids = np.load(npy), json.loads(Path(npy).with_suffix(".json").read_text())
    n_rows, n_dims = matrix.shape
    read = {}
    table = pq.read_table(parquet)
    column = table["embedding"].combine_chunks()
    assert pa.types.is_fixed_size_list(column.type) and column.type.list_size == n_dims, column.type
    read["pyarrow"] = table["id"].to_pylist(), column.flatten().to_numpy().reshape(-1, n_dims)
    frame = pd.read_parquet(parquet)
    read["pandas"] = frame["id"].tolist(), np.stack(frame["embedding"].to_list()) if n_rows else matrix
    frame = pl.read_parquet(parquet)
    read["polars"] = frame["id"].to_list(), frame["embedding"].to_numpy()
    frame = duckdb.sql(f"SELECT id, embedding FROM '{parquet}'").fetchall()
    read["duckdb"] = [row[0] for row in frame], np.array([row[1] for row in frame], np.float32)
    for tool, (found, values) in read.items():
        assert found == ids, f"{tool}: other ids"
        values = np.stack(values).astype(np.float32) if values.dtype == object else values
        assert values.dtype == np.float32 and values.tobytes() == matrix.tobytes(), f"{tool}: other numbers"
    about = {key.decode(): value.decode() for key, value in pq.read_metadata(parquet).metadata.items()}
    print(f"{n_rows} x {n_dims} the same bits by {', '.join(read)}")
    print({key: value for key, value in about.items() if key.startswith("labelloop")})
    if store:
        (note,) = glob.glob(f"{store}/*.json")
        about = json.loads(Path(note).read_text())
        plain = np.memmap(Path(note).with_suffix(".f32"), "<f4", "r").reshape(-1, about["n_dims"])
        known = {row.tobytes() for row in plain}
        assert all(row.tobytes() in known for row in matrix), "a row is not in the store"
        print(f"{len(plain)} rows mapped from the store hold all {n_rows}; {about['description']}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["fixtures"]:
        fixtures(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["check"]:
        check(*sys.argv[2:])
    else:
        sys.exit(__doc__)
