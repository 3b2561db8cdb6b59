"""ZCore under Ray: a task for each partition runs the program on its shard.

    pip install ray numpy
    python ray_zcore.py EMB.npy --labelloop target/release/labelloop --partitions 7 -k 1000
"""

import argparse
import pathlib
import subprocess
import tempfile

import numpy
import ray

import rounds


@ray.remote(num_cpus=1)
def partial(program, path, start, end, order):
    """What one shard says."""
    with tempfile.TemporaryDirectory() as folder:
        shard, answer = pathlib.Path(folder, "shard.npy"), pathlib.Path(folder, "partial")
        numpy.save(shard, numpy.load(path, mmap_mode="r")[start:end])
        command = [program, "zcore", shard, "--first-row", start, "--partial", answer, "--quiet", "--threads", 1]
        if order is not None:
            file = pathlib.Path(folder, "order")
            file.write_bytes(order)
            command += ["--order", file]
        subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
        return answer.read_bytes()


def main():
    args = rounds.arguments(argparse.ArgumentParser(description=__doc__)).parse_args()
    ray.init(include_dashboard=False, log_to_driver=False)
    n_rows = numpy.load(args.embeddings, mmap_mode="r").shape[0]
    path, program = str(pathlib.Path(args.embeddings).resolve()), args.labelloop
    program = str(pathlib.Path(program).resolve()) if "/" in program else program

    def partials_of(order):
        # Put into the object store once, not once for each task.
        order = ray.put(pathlib.Path(order).read_bytes()) if order else None
        parts = rounds.slices(n_rows, args.partitions)
        return ray.get([partial.remote(program, path, start, end, order) for start, end in parts])

    rounds.run(args, partials_of)
    ray.shutdown()


if __name__ == "__main__":
    main()
