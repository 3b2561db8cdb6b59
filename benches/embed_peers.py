"""Vectors of pictures by loops in Python and by ours, in turn on the same files and model.

    cargo build --release -p labelloop-benches --bin embed_speed
    python benches/embed_peers.py target/release/embed_speed PICTURES MODEL.onnx

Needs numpy, onnxruntime and pillow. PICTURES is a folder of JPEG or PNG files; beside MODEL.onnx lies its description for ours,
MODEL.toml. The loops are what one writes first: Pillow opens, turns, resizes (bicubic) and crops, numpy scales, onnxruntime runs; by
one picture and by batches, with onnxruntime's own threads and with a thread pool for the pictures. The best of them is the peer.
Prints pictures a second of wall time and CPU seconds a picture, the median of rounds in which everyone has a turn.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

SIZE, SHORT, MEAN, DEVIATION = 224, 256, 127.0, 128.0


def prepared(path):
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image.convert("RGB"))
    scale = SHORT / min(image.size)
    image = image.resize([max(SHORT, round(side * scale)) for side in image.size], Image.BICUBIC)
    left, top = ((side - SIZE) // 2 for side in image.size)
    image = image.crop((left, top, left + SIZE, top + SIZE))
    return ((np.asarray(image, dtype=np.float32) - MEAN) / DEVIATION).transpose(2, 0, 1)


def session(model, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def in_batches(runtime, paths, batch):
    name = runtime.get_inputs()[0].name
    for i in range(0, len(paths), batch):
        yield from runtime.run(None, {name: np.stack([prepared(path) for path in paths[i : i + batch]])})[0]


def in_threads(runtime, paths, workers):
    name = runtime.get_inputs()[0].name
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda path: runtime.run(None, {name: prepared(path)[None]})[0][0], paths)


def measured(work, n):
    cpu, wall = time.process_time(), time.perf_counter()
    done = sum(1 for _ in work())
    assert done == n
    return n / (time.perf_counter() - wall), (time.process_time() - cpu) / n


def ours(args):
    command = [args.program, args.pictures, "--model", args.model, "--cores", str(args.cores), "--rounds", "1"]
    if args.description:
        command += ["--description", args.description]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--description", type=Path, help="of the model, where it is not beside it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    args = parser.parse_args()
    paths = sorted(p for p in args.pictures.iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    one, all_cores = session(args.model, 1), session(args.model, args.cores)
    loops = {
        "loop, one picture, threads of onnxruntime": lambda: in_batches(all_cores, paths, 1),
        "loop, batches of 16, threads of onnxruntime": lambda: in_batches(all_cores, paths, 16),
        "a thread a core, one picture each": lambda: in_threads(one, paths, args.cores),
    }
    rates, cpu, ceilings = {}, {}, []
    for _ in range(args.rounds):
        result = ours(args)
        assert result["n_pictures"] == len(paths)
        (our,) = result["rounds"]
        rates.setdefault("labelloop", []).append(our["per_second"])
        cpu.setdefault("labelloop", []).append(our["cpu_per_picture"])
        ceilings.append(our)
        for name, loop in loops.items():
            rate, seconds = measured(loop, len(paths))
            rates.setdefault(name, []).append(rate)
            cpu.setdefault(name, []).append(seconds)
        print({name: round(values[-1], 1) for name, values in rates.items()}, file=sys.stderr)
    median = statistics.median
    print(f"{len(paths)} pictures, {args.cores} cores, onnxruntime {onnxruntime.__version__}, {args.rounds} rounds")
    print("| | pictures a second | CPU ms a picture | ours is faster by |\n|---|---|---|---|")
    for name in rates:
        ratio = median(a / b for a, b in zip(rates["labelloop"], rates[name]))
        print(f"| {name} | {median(rates[name]):.1f} | {1000 * median(cpu[name]):.1f} | {ratio:.2f} |")
    for key in ["prepare_cpu", "network_cpu"]:
        print(f"{key}: {1000 * median(round[key] for round in ceilings):.2f} ms")
    print(f"share of the ceiling: {median(round['of_ceiling'] for round in ceilings):.3f}")


if __name__ == "__main__":
    main()
