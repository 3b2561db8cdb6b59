"""Writes the pictures of this folder and the pixels that Pillow reads from them. Needs Pillow, NumPy and OpenCV."""
import json
import pathlib
import struct
import zlib

import cv2
import numpy as np
from PIL import Image, ImageOps

here = pathlib.Path(__file__).parent


def quarters(mode, colours, size=(48, 32)):
    picture = Image.new(mode, size)
    w, h = size[0] // 2, size[1] // 2
    for i, colour in enumerate(colours):
        picture.paste(colour, (i % 2 * w, i // 2 * h, i % 2 * w + w, i // 2 * h + h))
    return picture


def interlaced(picture):
    """The bytes of an interlaced PNG (Adam7), which Pillow does not write."""
    pixels = np.asarray(picture)
    rows = b""
    for x, y, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[y::dy, x::dx])
    head = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 1)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def waves(w, h):
    """Something smooth in all three channels, with no two rows or columns alike."""
    y, x = np.mgrid[0:h, 0:w].astype(float)
    red = 128 + 80 * np.sin(x / 23) + 40 * np.cos(y / 17)
    green = 120 + 60 * np.sin((x + 2 * y) / 31) + 50 * np.cos(x / 11)
    blue = 130 + 90 * np.cos((2 * x - y) / 41)
    return Image.fromarray(np.clip(np.stack([red, green, blue], -1), 0, 255).round().astype(np.uint8))


def turned(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif


colours = [(220, 30, 30), (30, 200, 40), (40, 40, 210), (240, 240, 240)]
rgb = quarters("RGB", colours)
rgb.save(here / "progressive.jpg", quality=92, progressive=True)
rgb.convert("L").save(here / "grey.jpg", quality=92)
rgb.convert("CMYK").save(here / "cmyk.jpg", quality=92)
rgb.quantize(4).save(here / "palette.png")
rgb.convert("1").save(here / "one_bit.png")
for turn in range(1, 9):
    rgb.save(here / f"orientation_{turn}.jpg", quality=92, exif=turned(turn))

# The same inks said to be YCCK: the transform flag is the last byte of the Adobe segment.
inks = (here / "cmyk.jpg").read_bytes()
flag = inks.index(b"Adobe") + 11
(here / "ycck.jpg").write_bytes(inks[:flag] + b"\2" + inks[flag + 1 :])
rgb.save(here / "rgb.jpg", quality=92, keep_rgb=True)
rgb.save(here / "restart.jpg", quality=92, restart_marker_blocks=2)
rgba = rgb.convert("RGBA")
rgba.putalpha(quarters("L", [255, 128, 1, 0]))
rgba.save(here / "alpha.png")
rgba.convert("LA").save(here / "grey_alpha.png")
rgb.quantize(4).save(here / "palette_clear.png", transparency=0)
(here / "interlaced.png").write_bytes(interlaced(rgb))
rgb.save(here / "animated.png", save_all=True, append_images=[ImageOps.invert(rgb)], duration=100)
cv2.imwrite(str(here / "sixteen.png"), np.asarray(rgb)[..., ::-1].astype(np.uint16) * 257)
cv2.imwrite(str(here / "sixteen_grey.png"), np.asarray(rgb.convert("L")).astype(np.uint16) * 257)

# Odd sides, so that the last blocks are cut; every kind of subsampling; the turns at reduced scale.
picture = waves(203, 137)
for name, options in {
    "420": {"subsampling": 2},
    "422": {"subsampling": 1},
    "444": {"subsampling": 0},
    "progressive": {"subsampling": 2, "progressive": True},
    "restart": {"subsampling": 2, "restart_marker_blocks": 5},
    "rgb": {"keep_rgb": True},
    **{f"turn_{turn}": {"subsampling": 2, "exif": turned(turn)} for turn in range(2, 9)},
}.items():
    picture.save(here / f"waves_{name}.jpg", quality=85, **options)
picture.convert("L").save(here / "waves_grey.jpg", quality=85)
picture.convert("CMYK").save(here / "waves_cmyk.jpg", quality=85)


def grid(picture):
    """Five by four pixels spread over a picture, row by row."""
    w, h = picture.size
    return [picture.getpixel((w * (2 * i + 1) // 10, h * (2 * j + 1) // 8)) for j in range(4) for i in range(5)]


def means(picture, divisor, stored):
    """The picture made of the means of square blocks, with the orientation of the stored one."""
    pixels = np.asarray(picture).astype(float)
    rows, columns = (range(0, side, divisor) for side in pixels.shape[:2])
    blocks = [[pixels[y : y + divisor, x : x + divisor].mean((0, 1)) for x in columns] for y in rows]
    reduced = Image.fromarray(np.asarray(blocks).round().astype(np.uint8))
    reduced.getexif()[0x0112] = stored.getexif().get(0x0112, 1)
    return reduced


expected = {}
for path in sorted(here.glob("*.[jp][pn]g")):
    picture = ImageOps.exif_transpose(Image.open(path))
    if path.name == "sixteen_grey.png":
        picture = Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    picture = picture.convert("RGB")
    w, h = picture.size
    if path.name.startswith("waves_"):
        case = {}
        for divisor in (1, 4, 8):
            reduced = ImageOps.exif_transpose(means(Image.open(path).convert("RGB"), divisor, Image.open(path)))
            case[str(divisor)] = {"size": list(reduced.size), "grid": grid(reduced)}
    else:
        corners = [picture.getpixel((x, y)) for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)]
        case = {"size": [w, h], "quarters": corners}
    expected[path.name] = case
(here / "expected.json").write_text(json.dumps(expected, indent=None, separators=(",", ":"), sort_keys=True).replace('},"', '},\n"') + "\n")
