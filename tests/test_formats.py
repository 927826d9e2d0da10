"""Pictures as people have them: every ending, every mode, deep values, other ratios, channels."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from data_kit import noise, one_line, own_folders, png, write  # noqa: F401
from PIL import Image

from ganlab.data import formats, load, pictures, ranges
from ganlab.data.native import native
from ganlab.errors import DataError

# three colours and a grey, in the four quarters of 16 x 16 pixels
QUARTERS = np.zeros((16, 16, 3), np.uint8)
QUARTERS[:8, :8] = 200, 40, 10
QUARTERS[:8, 8:] = 20, 180, 60
QUARTERS[8:, :8] = 30, 60, 220
QUARTERS[8:, 8:] = 128
COLOURS = Image.fromarray(QUARTERS)
GREY = COLOURS.convert("L")
CUT = np.zeros((16, 16), np.uint8)  # alpha: the upper half is seen
CUT[:8] = 255
STEPS = np.repeat(np.arange(16, dtype=np.uint16) * 273, 16).reshape(16, 16)  # 0 to 4,095


def save(picture, kind, **options):
    out = io.BytesIO()
    picture.copy().save(out, kind, **options)  # which leaves its settings on the picture
    return out.getvalue()


def turned(kind):
    """The quarters as a camera writes them that lay on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return save(COLOURS.transpose(Image.Transpose.ROTATE_90), kind, exif=exif)


def clear():
    picture = COLOURS.convert("RGBA")
    picture.putalpha(Image.fromarray(CUT))
    return picture


def half(picture=COLOURS):
    """What is seen of `clear` on white."""
    return Image.composite(
        picture, Image.new(picture.mode, (16, 16), "white"), Image.fromarray(CUT)
    )


def palette(transparent=False):
    made = COLOURS.quantize(8)
    if transparent:
        made.info["transparency"] = made.getpixel((15, 15))
    return made


HIDDEN = COLOURS.copy()
HIDDEN.paste("white", (8, 8, 16, 16))
BITS = GREY.point(lambda v: 255 * (v > 100)).convert("1")
CASES = {
    # ending, mode: bytes, what is to be seen, how far off
    "rgb.png": (save(COLOURS, "PNG"), COLOURS, 0),
    "rgb.jpg": (save(COLOURS, "JPEG", quality=100, subsampling=0), COLOURS, 3),
    "rgb.jpeg": (save(COLOURS, "JPEG", quality=100, subsampling=0), COLOURS, 3),
    "RGB.JPG": (save(COLOURS, "JPEG", quality=100, subsampling=0), COLOURS, 3),
    "rgb.jfif": (save(COLOURS, "JPEG", quality=100, subsampling=0), COLOURS, 3),
    "progressive.jpg": (save(COLOURS, "JPEG", quality=100, subsampling=0, progressive=True),
                        COLOURS, 3),
    "rgb.webp": (save(COLOURS, "WEBP", lossless=True), COLOURS, 0),
    "rgb.bmp": (save(COLOURS, "BMP"), COLOURS, 0),
    "rgb.gif": (save(COLOURS.quantize(8), "GIF"), COLOURS, 1),
    "rgb.tif": (save(COLOURS, "TIFF"), COLOURS, 0),
    "rgb.tiff": (save(COLOURS, "TIFF", compression="tiff_lzw"), COLOURS, 0),
    "rgb.ppm": (save(COLOURS, "PPM"), COLOURS, 0),
    "grey.pgm": (save(GREY, "PPM"), GREY, 0),
    "bits.pbm": (save(BITS, "PPM"), BITS, 0),
    "bits.png": (save(BITS, "PNG"), BITS, 0),
    "bits.tif": (save(BITS, "TIFF", compression="group4"), BITS, 0),
    "grey.png": (save(GREY, "PNG"), GREY, 0),
    "grey.jpg": (save(GREY, "JPEG", quality=100), GREY, 2),
    "grey-alpha.png": (save(clear().convert("LA"), "PNG"), half(GREY), 0),
    "palette.png": (save(palette(), "PNG"), COLOURS, 1),
    "palette-clear.png": (save(palette(True), "PNG"), HIDDEN, 1),
    "palette.bmp": (save(palette(), "BMP"), COLOURS, 1),
    "key.png": (save(COLOURS, "PNG", transparency=(128, 128, 128)), HIDDEN, 0),
    "grey-key.png": (save(GREY, "PNG", transparency=128), HIDDEN.convert("L"), 0),
    "rgba.png": (save(clear(), "PNG"), half(), 0),
    "rgba.webp": (save(clear(), "WEBP", lossless=True, exact=True), half(), 0),
    "rgba.tif": (save(clear(), "TIFF"), half(), 0),
    "cmyk.jpg": (save(COLOURS.convert("CMYK"), "JPEG", quality=100, subsampling=0), COLOURS, 4),
    "cmyk.tif": (save(COLOURS.convert("CMYK"), "TIFF"), COLOURS, 2),
    "jpeg.tif": (save(COLOURS, "TIFF", compression="jpeg", quality=100), COLOURS, 40),
    "frames.gif": (save(palette(), "GIF", save_all=True, append_images=[BITS.convert("P")]),
                   COLOURS, 1),
    "frames.webp": (save(COLOURS, "WEBP", lossless=True, save_all=True,
                         append_images=[GREY.convert("RGB")]), COLOURS, 0),
    "frames.png": (save(COLOURS, "PNG", save_all=True, append_images=[GREY.convert("RGB")]),
                   COLOURS, 0),
    "pages.tif": (save(COLOURS, "TIFF", save_all=True, append_images=[GREY]), COLOURS, 0),
    "camera.jpg": (turned("JPEG"), COLOURS, 40),
    "camera.png": (turned("PNG"), COLOURS, 0),
    "camera.tif": (turned("TIFF"), COLOURS, 0),
    "camera.webp": (turned("WEBP"), COLOURS, 40),
    "two-lenses.jpg": (save(COLOURS, "MPO", save_all=True, append_images=[GREY.convert("RGB")],
                            quality=100, subsampling=0), COLOURS, 3),
    "wrong-ending.jpg": (save(COLOURS, "PNG"), COLOURS, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_picture_of_any_ending_and_mode_is_what_is_seen(name, tmp_path):
    data, seen, off = CASES[name]
    loaded = load(str(write(tmp_path / "f", {name: data})), size=16)
    expected = torch.from_numpy(np.array(seen.convert("RGB"))).permute(2, 0, 1).int()
    inner = [0, 1, 2, 5, 6, 9, 10, 13, 14, 15] if off < 40 else [2, 3, 4, 11, 12, 13]
    difference = (loaded.images[0].int() - expected).abs()[:, inner][:, :, inner]
    assert difference.max() <= off
    assert loaded.note == ""
    about = native(str(tmp_path / "f"))
    assert about.sizes == {(16, 16)}
    assert about.channels == (1 if seen.mode in ("1", "L") else 3)
    grey = load(str(tmp_path / "f"), size=16, channels=1)
    assert (grey.images[0, 0].int() - torch.from_numpy(np.array(seen.convert("L"))).int()).abs()[
        inner
    ][:, inner].max() <= off + 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_photograph_on_its_side_has_its_sides_swapped(kind, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    data = save(Image.new("RGB", (20, 10)), kind, exif=exif)
    path = str(write(tmp_path / "f", {"a.jpg": data}))
    assert native(path).sizes == {(20, 10)}
    assert load(path, size=(20, 10)).note == ""  # nothing is cut


def sixteen(values, dtype="<u2"):
    """A TIFF of one page of numbers, as scanners and microscopes write it."""
    values = np.ascontiguousarray(values, dtype)
    order, kinds = dtype[0] == "<", {"u": 1, "i": 2, "f": 3}
    high, wide = values.shape
    tags = [(256, wide), (257, high), (258, 8 * values.itemsize), (259, 1), (262, 1), (273, 8),
            (277, 1), (278, high), (279, values.nbytes), (339, kinds[dtype[1]])]  # fmt: skip
    e = "little" if order else "big"
    head = (b"II*\0" if order else b"MM\0*") + (8 + values.nbytes).to_bytes(4, e)
    table = len(tags).to_bytes(2, e)
    for tag, value in tags:
        table += tag.to_bytes(2, e) + (4).to_bytes(2, e) + (1).to_bytes(4, e) + value.to_bytes(4, e)
    return head + values.tobytes() + table + bytes(4)


UNIT = STEPS / 4095
DEEP = {
    "grey.png": (save(Image.fromarray(STEPS), "PNG"), "0 to 4,095"),
    "grey.tif": (sixteen(STEPS), "0 to 4,095"),
    "big-endian.tif": (sixteen(STEPS, ">u2"), "0 to 4,095"),
    "signed.tif": (sixteen(STEPS.astype(int) - 1000, "<i2"), "-1,000 to 3,095"),
    "int32.tif": (sixteen(STEPS.astype(int) * 9 - 70000, "<i4"), "-70,000 to -33,145"),
    "float.tif": (sixteen(UNIT * 3 - 2, "<f4"), "-2 to 1"),
    "deep.pgm": (b"P5 16 16 65535\n" + STEPS.astype(">u2").tobytes(), "0 to 4,095"),
}


@pytest.mark.parametrize("name", DEEP)
def test_values_of_more_than_8_bits_are_spread_over_the_set(name, tmp_path, capsys):
    data, span = DEEP[name]
    loaded = load(str(write(tmp_path / "f", {name: data, "plain.png": GREY})), size=16, channels=1)
    seen = loaded.images[loaded.images[:, 0, 0, 0] == 0][0, 0]
    assert (seen.int() - torch.from_numpy(UNIT * 255 + 0.5).int()).abs().max() <= 1
    kind = "hold floats" if "float" in name else "have more than 8 bits"
    line = f"range: 1 of 2 pictures {kind}: values {span} became 0 to 255"
    assert loaded.note == f"{line} (auto: the lowest and highest of the set)"
    assert loaded.note in capsys.readouterr().err
    assert native(str(tmp_path / "f")).channels == 1


def test_the_range_is_that_of_the_set_or_the_one_that_is_given(tmp_path):
    dim = save(Image.fromarray(np.full((8, 8), 1000, np.uint16)), "PNG")
    low = save(Image.fromarray(np.full((8, 8), 500, np.uint16)), "PNG")
    top = save(Image.fromarray(np.full((8, 8), 4000, np.uint16)), "PNG")
    files = {f"train/{i}.png": dim for i in range(6)} | {"test/a.png": low, "test/b.png": top}
    path = str(write(tmp_path / "f", files))

    def first(**options):
        return load(path, size=8, channels=1, **options).images[0, 0, 0, 0].item()

    assert first() == round(500 / 3500 * 255)  # of the other split, too
    assert first(limit=1) == first(limit=5) == first()
    assert first(range="full") == round(1000 / 65535 * 255)
    assert first(range="0:2000") == first(range=(0, 2000)) == 128
    assert first(range="0:500") == 255
    assert "values 0 to 500 became" in load(path, size=8, channels=1, range="0:500").note
    assert load(path, size=8, split="test").images[:, 0, 0, 0].tolist() == [0, 255]


def test_what_is_no_number_is_black_and_a_flat_set_is_not_spread(tmp_path):
    odd = np.array([[np.nan, np.inf], [0.25, -np.inf]], "<f4")
    data = load(str(write(tmp_path / "f", {"a.tif": sixteen(odd, "<f4")})), size=2, channels=1)
    assert data.images[0, 0].tolist() == [[0, 255], [64, 0]]
    assert ranges.levels(np.array([-1e308, 0, 1e308]), (-1e308, 1e308)).tolist() == [0, 128, 255]


def test_sixteen_bits_a_colour_are_said_to_be_read_by_half(tmp_path):
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))  # fmt: skip

    rows = b"".join(b"\0" + np.full((4, 3), 0x8040, ">u2").tobytes() for _ in range(4))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    loaded = load(str(write(tmp_path / "f", {"a.png": data})), size=4)
    assert (loaded.images == 0x80).all()
    assert loaded.note.startswith("range: 1 of 1 picture have 16 bits a colour, of which the upper")


def bars():
    """30 x 10: red, white, blue."""
    page = np.full((10, 30, 3), 255, np.uint8)
    page[:, :10] = 255, 0, 0
    page[:, 20:] = 0, 0, 255
    return Image.fromarray(page)


FITS = {
    # fit: a line in the middle of 30 x 30, its top, what is said
    "crop": ("www", "w", "cut to a square in the middle"),
    "pad": ("rwb", "k", "padded to a square with the background"),
    "stretch": ("rwb", "w", "stretched to a square"),
}
NAMED = {"r": (255, 0, 0), "w": (255, 255, 255), "b": (0, 0, 255), "k": (0, 0, 0)}


@pytest.mark.parametrize("how", FITS)
def test_other_ratios_are_cut_padded_or_stretched_and_counted(how, tmp_path):
    middle, top, told = FITS[how]
    tall = bars().transpose(Image.Transpose.ROTATE_270)
    files = {"a.png": bars(), "b.png": tall, "c.png": Image.new("RGB", (9, 9))}
    path = str(write(tmp_path / "f", files))
    data = load(path, size=30, fit=how, background="black")
    assert data.note == f"fit: 2 of 3 pictures {told}"
    block = pictures.fit_array(np.array(bars()).transpose(2, 0, 1)[None], 30, 3, how, (0, 0, 0))
    for picture in (data.images[0], torch.from_numpy(block[0]), data.images[1].transpose(1, 2)):
        for x, name in zip((4, 15, 25), middle):
            assert picture[:, 15, x].tolist() == list(NAMED[name])
        assert picture[:, 1, 15].tolist() == list(NAMED[top])
    if how == "crop":
        assert load(path, size=30, background="black").images.equal(data.images)
    for other in FITS:  # one folder, three sets
        same = load(path, size=30, fit=other, background="black").images.equal(data.images)
        assert same == (other == how)
    wide = load(path, size=(10, 30), fit=how, limit=1)
    assert wide.shape == (3, 10, 30)


def test_a_padded_picture_with_alpha_is_clear_at_the_sides(tmp_path):
    data = load(str(write(tmp_path / "f", {"a.png": bars()})), size=30, channels=4, fit="pad")
    assert (data.images[0, 3, 12:18] == 255).all()
    assert (data.images[0, 3, :9] == 0).all()


def test_alpha_is_kept_and_hidden_colours_do_not_shine_through(tmp_path):
    page = np.zeros((32, 32, 4), np.uint8)
    page[:, :16] = 255, 0, 0, 255
    page[:, 16:] = 0, 255, 0, 0  # nobody sees this green
    files = {"a.png": Image.fromarray(page), "b.png": GREY, "c.jpg": save(COLOURS, "JPEG")}
    path = str(write(tmp_path / "f", files))
    data = load(path, size=32, channels=4)
    assert data.shape == (4, 32, 32)
    assert data.images[0].permute(1, 2, 0).numpy().tobytes() == page.tobytes()
    assert (data.images[1:, 3] == 255).all()
    small = load(path, size=8, channels=4).images[0]
    edge = small[:, :, small[3, 0] > 0]
    assert edge[1].max() == 0
    assert edge[0].min() > 250
    assert native(path).channels == 3  # on a background by default


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"channels": 2}, "channels=2 is not a choice: use 1 (grey), 3 (colour) or 4 (colour and"),
        ({"channels": 9}, "for an array as many as it has, 1 to 8"),
        ({"channels": True}, "channels=True is not a choice"),
        ({"channels": "3\n"}, "channels='3\\n' is not a choice"),
        ({"fit": "squeeze"}, "fit='squeeze' is not a choice: use 'crop', 'pad' or 'stretch'"),
        ({"fit": ["pad"]}, "fit=['pad'] is not a choice"),
        ({"range": "0-255"}, "range='0-255' is not a choice: use 'auto'"),
        ({"range": "9:1"}, "range='9:1' is not a choice"),
        ({"range": "nan:1"}, "range='nan:1' is not a choice"),
        ({"range": 5}, "range=5 is not a choice"),
        ({"damaged": "ignore"}, "damaged='ignore' is not a choice: use 'skip' or 'refuse'"),
        ({"background": "reddish\n"}, "background 'reddish\\n' is not a colour"),
        ({"fti": "pad"}, "did you mean 'fit'"),
    ],
    ids=str,
)
def test_options_that_are_none_are_refused_in_one_line(options, line, tmp_path):
    path = str(write(tmp_path / "f", {"a.png": noise(8, 8)}))
    with pytest.raises(DataError) as caught:
        load(path, **options)
    assert line in one_line(caught)


def test_named_sets_take_the_channels_they_have():
    for name, may in (("mnist", "1 (grey) or 3 (colour)"), ("emoji", "4 (colour and alpha)")):
        with pytest.raises(DataError) as caught:
            load(name, channels=5)
        assert may in one_line(caught)
        assert "array" not in str(caught.value)


def test_nothing_is_opened_that_runs_programs():
    assert {"EPS", "PDF", "WMF"}.isdisjoint(formats.FORMATS)
    assert formats.missing() == []
