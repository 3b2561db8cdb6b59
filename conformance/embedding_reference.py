"""Vectors of three generated pictures by Pillow and onnxruntime, for crates/embed/tests/data/onnx.

    pip install pillow==13.0.0 onnxruntime==1.31.1 numpy==2.4.6
    python conformance/embedding_reference.py efficientnet_lite0_embedding.onnx crates/embed/tests/data/onnx

Preprocessing is written out as the network's package states it: short side to 256 bicubic, long side rounded down, the middle 224
(halves to the even pixel), (value - 127) / 128. The vectors are the network's own, not divided by their length.
"""

import hashlib
import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

SIDES = [(640, 480), (375, 500), (200, 150)]


def picture(width, height):
    """Waves with some noise: edges, flat parts and fine texture. The tests make the same in Rust."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    noise = (x * 7919 + y * 104729 + c * 1299709) % 97
    wave = (x * (c + 2) + y * (5 - c)) % 64 * 2
    return ((wave + noise + 255 * ((x // 50 + y // 70) % 2)) % 256).astype(np.uint8)


def preprocess(pixels):
    image = Image.fromarray(pixels)
    short = min(image.size)
    image = image.resize(tuple(256 * side // short for side in image.size), Image.Resampling.BICUBIC)
    left, top = (round((side - 224) / 2) for side in image.size)
    cropped = np.asarray(image.crop((left, top, left + 224, top + 224)))
    return ((cropped.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None]


def main():
    model, folder = Path(sys.argv[1]), Path(sys.argv[2])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    inputs = [preprocess(picture(*sides)) for sides in SIDES]
    vectors = np.concatenate([session.run(None, {"images": x})[0] for x in inputs])
    np.save(folder / "efficientnet_lite0.npy", vectors)
    tools = {name: importlib.metadata.version(name) for name in ("pillow", "onnxruntime", "numpy")}
    facts = {"tools": tools, "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(), "sides": SIDES}
    (folder / "efficientnet_lite0.json").write_text(json.dumps(facts) + "\n")


main()
