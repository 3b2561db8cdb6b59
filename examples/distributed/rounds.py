"""The rounds of ZCore by shards, whatever runs them: what an engine has to do is one function.

`labelloop zcore` is the program on every machine; nothing else of labelloop is needed there.
"""

import hashlib
import json
import pathlib
import subprocess


def arguments(parser):
    """Arguments that all engines share."""
    parser.add_argument("embeddings", help="EMB.npy, one row per sample; each worker opens it and reads its rows")
    parser.add_argument("--labelloop", default="labelloop", help="the program")
    parser.add_argument("--partitions", type=int, default=2)
    parser.add_argument("--folder", default="distributed-zcore", help="a folder that the driver and all workers see")
    parser.add_argument("-k", type=int, default=1000, help="rows to select")
    parser.add_argument("--draws", default="10000")
    parser.add_argument("--neighbours", default="100")
    parser.add_argument("--seed", default="42")
    return parser


def slices(n_rows, n_partitions):
    """First row and end of each partition."""
    ends = [n_rows * i // n_partitions for i in range(n_partitions + 1)]
    return list(zip(ends[:-1], ends[1:]))


def run(args, partials_of):
    """All rounds. `partials_of(order)` gives what every partition says: bytes, in any order; `order` is a path or None."""
    folder = pathlib.Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    order, scores, ids = folder / "order", folder / "scores.npy", folder / "ids.npy"
    for path in (order, scores, ids):
        path.unlink(missing_ok=True)
    while True:
        partials = partials_of(str(order) if order.exists() else None)
        files = [folder / f"partial-{i}" for i in range(len(partials))]
        for path, partial in zip(files, partials):
            path.write_bytes(partial)
        command = [args.labelloop, "zcore", "merge", *files, "--next", order, "--out", scores]
        command += ["--ids", ids, "-k", str(args.k), "--json"]
        command += ["--draws", args.draws, "--neighbours", args.neighbours, "--seed", args.seed]
        said = json.loads(subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE).stdout)
        for path in files:
            path.unlink()
        size = sum(len(partial) for partial in partials)
        print(f"{said.get('round', 'scores')}: {len(partials)} partials, {size:,} bytes")
        if said["done"]:
            break
    for path in (scores, ids):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
