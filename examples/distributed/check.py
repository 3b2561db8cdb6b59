"""One process, Spark and Ray with 1, 2 and 7 partitions: all scores and selections must be the same bytes.

    python check.py --labelloop target/release/labelloop
"""

import argparse
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labelloop", default="labelloop")
    parser.add_argument("--embeddings", help="EMB.npy; absent: 3,000 x 64 are made, every tenth row a copy of another")
    parser.add_argument("--engines", default="spark,ray")
    parser.add_argument("--partitions", default="1,2,7")
    parser.add_argument("--draws", default="2000")
    parser.add_argument("-k", default="300")
    args = parser.parse_args()
    here = pathlib.Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        embeddings = args.embeddings or made(pathlib.Path(folder, "embeddings.npy"))
        whole = pathlib.Path(folder, "whole.npy")
        subprocess.run(
            [args.labelloop, "zcore", embeddings, "--out", whole, "--draws", args.draws, "--quiet"],
            check=True, stdout=subprocess.DEVNULL,
        )
        expected = sha256(whole)
        print(f"{expected}  scores of one process")
        selections, wrong = set(), 0
        for engine in args.engines.split(","):
            for n in args.partitions.split(","):
                out, begun = pathlib.Path(folder, f"{engine}-{n}"), time.monotonic()
                command = [sys.executable, here / f"{engine}_zcore.py", embeddings, "--labelloop", args.labelloop]
                command += ["--partitions", n, "--folder", out, "--draws", args.draws, "-k", args.k]
                subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
                scores, ids = sha256(out / "scores.npy"), sha256(out / "ids.npy")
                selections.add(ids)
                wrong += scores != expected
                seconds = time.monotonic() - begun
                print(f"{engine} with {n} partitions in {seconds:.0f} s: scores {scores[:16]}, selection {ids[:16]}")
    if wrong or len(selections) > 1:
        sys.exit("the files differ")
    print(f"all the same: scores {expected}, selection {selections.pop()}")


def made(path):
    rows = numpy.random.default_rng(7).normal(size=(3000, 64)).astype(numpy.float32)
    rows[::10] = rows[5::10]
    numpy.save(path, rows)
    return str(path)


if __name__ == "__main__":
    main()
