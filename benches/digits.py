"""Writes scikit-learn's digits (1,797 pictures of 8 x 8 pixels) as PNG files in a folder for each class.

python digits.py FOLDER   (needs scikit-learn and Pillow)
"""

import pathlib
import sys

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

folder = pathlib.Path(sys.argv[1])
digits = load_digits()
for number, (picture, digit) in enumerate(zip(digits.images, digits.target)):
    place = folder / str(digit)
    place.mkdir(parents=True, exist_ok=True)
    grey = np.round(picture * 255 / 16).astype(np.uint8)
    Image.fromarray(grey).save(place / f"{number:04}.png")
print(f"{len(digits.images)} pictures in {folder}")
