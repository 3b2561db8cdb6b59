"""Pictures resized by Pillow, as small cases for crates/media/tests/data/resize.

    pip install pillow==13.0.0 numpy==2.4.6
    python conformance/resize_pillow.py crates/media/tests/data/resize/pillow.json

Each case names the sides of a picture that any language can make (`picture`), the filter and the new sides, and holds the
resized bytes as hexadecimal digits. Cases with `window` are cut out of the whole after resizing: left, top, width, height.
"""

import importlib.metadata
import json
import sys

import numpy as np
from PIL import Image

FILTERS = ["NEAREST", "BOX", "BILINEAR", "BICUBIC", "LANCZOS"]
SIDES = [((40, 30), (16, 12)), ((40, 30), (17, 9)), ((40, 30), (33, 30)), ((11, 7), (26, 19)), ((64, 5), (3, 5)), ((9, 9), (1, 1))]


def picture(width, height):
    """Waves with some noise: edges, flat parts and fine texture."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    noise = (x * 7919 + y * 104729 + c * 1299709) % 97
    wave = (x * (c + 2) + y * (5 - c)) % 64 * 2
    return ((wave + noise + 255 * ((x // 5 + y // 7) % 2)) % 256).astype(np.uint8)


def resized(source, name, size):
    return np.asarray(Image.fromarray(picture(*source)).resize(size, getattr(Image.Resampling, name)))


def main():
    cases = []
    for name in FILTERS:
        for source, size in SIDES:
            pixels = resized(source, name, size)
            cases.append({"filter": name, "from": source, "to": size, "pixels": pixels.tobytes().hex()})
        whole = resized((64, 48), name, (34, 25))[3:20, 9:27]
        cases.append({"filter": name, "from": (64, 48), "to": (34, 25), "window": (9, 3, 18, 17), "pixels": whole.tobytes().hex()})
    version = importlib.metadata.version("pillow")
    lines = ",\n".join(json.dumps(case) for case in cases)
    with open(sys.argv[1], "w") as file:
        file.write(f'{{"tool": "pillow {version}", "cases": [\n{lines}\n]}}\n')


main()
