"""Perceptual hashes of small pictures by Python's ImageHash, for crates/media/tests/phash.rs.

    python conformance/phash_reference.py

Needs ImageHash 4.3.2 (with SciPy), NumPy and Pillow. Writes crates/media/tests/data/phash/*.png and expected.json beside
them. ImageHash transforms in floating point and we do in whole numbers, so bits may differ where a coefficient is within
1e-4 of the median in relation to it; `n_close` counts those.
"""

import json
import pathlib

import imagehash
import numpy as np
from PIL import Image
from scipy import fft

OUT = pathlib.Path(__file__).parent.parent / "crates/media/tests/data/phash"


def scene(rng, width, height):
    pixels = np.full((height, width, 3), 110, np.uint8)
    for _ in range(25):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(1, width // 2 + 2), rng.integers(1, height // 2 + 2)
        pixels[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels)


def n_close(picture, side):
    small = np.asarray(picture.convert("L").resize((4 * side, 4 * side), Image.Resampling.LANCZOS), float)
    low = fft.dctn(small, type=2)[:side, :side]
    return int((np.abs(low - np.median(low)) < 1e-4 * np.abs(low).mean()).sum())


def main():
    OUT.mkdir(exist_ok=True)
    rng = np.random.default_rng(6)
    cases = {}
    for width, height in [(32, 32), (64, 64), (97, 61), (61, 97), (40, 200), (200, 40), (20, 15), (5, 3), (150, 150), (128, 96)]:
        name = f"{width}x{height}.png"
        picture = scene(rng, width, height)
        picture.save(OUT / name, optimize=True)
        cases[name] = {
            "phash64": str(imagehash.phash(picture)),
            "phash256": str(imagehash.phash(picture, hash_size=16)),
            "mirrored": str(imagehash.phash(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))),
            "quarter_turn": str(imagehash.phash(picture.transpose(Image.Transpose.ROTATE_270))),
            "n_close": [n_close(picture, 8), n_close(picture, 16)],
        }
    (OUT / "expected.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
