"""What `decode` measures, by Pillow and OpenCV on one core.

    cargo run --release -p labelloop-benches --bin decode -- FOLDER
    python benches/decode_peers.py FOLDER [--side 224] [--most 64] [--rounds 3]

Needs Pillow and opencv-python-headless, both of which decode by libjpeg-turbo.
"""

import argparse
import io
import pathlib
import time

import cv2
import numpy as np
from PIL import Image


def pillow(data, side):
    return Image.open(io.BytesIO(data)).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)


def pillow_draft(data, side):
    picture = Image.open(io.BytesIO(data))
    picture.draft("RGB", (side, side))
    return picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)


def opencv(data, side):
    return cv2.resize(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), (side, side), interpolation=cv2.INTER_AREA)


def opencv_half(data, side):
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def opencv_eighth(data, side):
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_COLOR_8)
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--most", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    files = [path.read_bytes() for path in sorted(args.folder.iterdir())[: args.most]]
    for _ in range(args.rounds):
        for way in (pillow, pillow_draft, opencv, opencv_half, opencv_eighth):
            before = time.process_time()
            for data in files:
                way(data, args.side)
            print(f"{way.__name__}: {len(files) / (time.process_time() - before):.0f} a CPU second")


if __name__ == "__main__":
    main()
