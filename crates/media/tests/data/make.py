"""Writes the pictures of this folder and prints the pixels that Pillow reads from them."""
import json
import pathlib

from PIL import Image, ImageOps

here = pathlib.Path(__file__).parent


def quarters(mode, colours, size=(48, 32)):
    picture = Image.new(mode, size)
    w, h = size[0] // 2, size[1] // 2
    for i, colour in enumerate(colours):
        picture.paste(colour, (i % 2 * w, i // 2 * h, i % 2 * w + w, i // 2 * h + h))
    return picture


rgb = quarters("RGB", [(220, 30, 30), (30, 200, 40), (40, 40, 210), (240, 240, 240)])
rgb.save(here / "progressive.jpg", quality=92, progressive=True)
rgb.convert("L").save(here / "grey.jpg", quality=92)
rgb.convert("CMYK").save(here / "cmyk.jpg", quality=92)
rgb.quantize(4).save(here / "palette.png")
rgb.convert("1").save(here / "one_bit.png")
for turn in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = turn
    rgb.save(here / f"orientation_{turn}.jpg", quality=92, exif=exif)

expected = {}
for path in sorted(here.glob("*.[jp][pn]g")):
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    w, h = picture.size
    corners = [picture.getpixel((x, y)) for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)]
    expected[path.name] = {"size": [w, h], "quarters": corners}
(here / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
