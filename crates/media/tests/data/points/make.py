"""Writes the point files of this folder: python make.py (numpy, pypcd4 1.5.1, laspy 2.7.0, lazrs 0.8.2)."""

import json

import laspy
import numpy as np
from pypcd4 import Encoding, PointCloud

rng = np.random.default_rng(1)
n = 60
xyz = rng.uniform(-50, 50, (n, 3)).round(3)
intensity = rng.integers(0, 256, n)

fields = ["ring", "y", "x", "intensity", "z"]
types = [np.uint16, np.float32, np.float32, np.float32, np.float32]
columns = [np.arange(n) % 32, xyz[:, 1], xyz[:, 0], intensity, xyz[:, 2]]
cloud = PointCloud.from_points([np.asarray(c, t) for c, t in zip(columns, types)], fields, types)
for encoding in (Encoding.ASCII, Encoding.BINARY, Encoding.BINARY_COMPRESSED):
    cloud.save(f"{encoding.value}.pcd", encoding=encoding)

utm = np.array([433_512.0, 5_412_345.0, 300.0])
for name, point_format, version in [
    ("format1.las", 1, "1.2"),
    ("format3.laz", 3, "1.2"),
    ("format6.las", 6, "1.4"),
    ("format7.laz", 7, "1.4"),
]:
    header = laspy.LasHeader(point_format=point_format, version=version)
    header.scales, header.offsets = [0.001] * 3, utm
    las = laspy.LasData(header)
    las.x, las.y, las.z = (xyz + utm).T
    las.intensity = intensity * 257
    las.write(name)

with open("expected.json", "w") as f:
    json.dump({"xyz": xyz.tolist(), "intensity": intensity.tolist(), "utm": utm.tolist()}, f)
