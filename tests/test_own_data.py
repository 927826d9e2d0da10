"""Pictures that a reader brings along: every form gives the bytes that a folder would."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

import ganlab
from ganlab.data import ImageSet, own, stack
from ganlab.errors import DataError
from ganlab.recipes import recipe

DRAW = np.random.default_rng(0)
COLOUR = DRAW.integers(0, 256, (6, 3, 8, 8), dtype=np.uint8)
GREY = COLOUR[:, :1]
PICTURES = [Image.fromarray(x.transpose(1, 2, 0)) for x in COLOUR]
LABELS = [0, 1, 2, 0, 1, 2]


class Items(torch.utils.data.Dataset):
    """A map-style data set."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


class Endless(IterableDataset):
    """A data set that can only be read in order."""

    def __iter__(self):
        yield from PICTURES


class Streamed:
    """Stands for a Hugging Face data set that is not stored."""

    column_names = features = None

    def __iter__(self):
        yield {"image": PICTURES[0]}


class ClassLabel:
    """Stands for that of Hugging Face."""

    names = ("cat", "dog", "owl")


Picture, Value = type("Image", (), {}), type("Value", (), {})


class Table(Items):
    """Stands for a Hugging Face data set."""

    def __init__(self, rows, **features):
        super().__init__(rows)
        self.features = features or {"image": Picture(), "label": ClassLabel()}
        self.column_names = list(self.features)


def rows(labels, image="image", label="label"):
    """A table's rows."""
    return [{image: p, label: y} for p, y in zip(PICTURES, labels)]


def locked(x):
    """An array that may not be written, as one of a file mapped for reading."""
    x = x.copy()
    x.flags.writeable = False
    return x


t = torch.from_numpy
SIGNED = t(COLOUR).float() / 127.5 - 1
LAST = COLOUR.transpose(0, 2, 3, 1)
NARROW = DRAW.integers(0, 256, (6, 3, 8, 3), dtype=np.uint8)  # its last axis could be channels too
FORMS = {
    "tensor": t(COLOUR),
    "array": COLOUR,
    "channels last": LAST,
    "read-only": locked(COLOUR),
    "not in order": np.flip(np.ascontiguousarray(np.flip(COLOUR))),
    "with a gradient": (t(COLOUR).float() / 255).requires_grad_(),
    "floats in [0, 1]": t(COLOUR).double() / 255,
    "floats in [-1, 1]": SIGNED,
    "big-endian floats": (COLOUR / 255).astype(">f4"),
    "long doubles": (COLOUR / 255).astype(np.longdouble),
    "halves": SIGNED.half(),
    "list of PIL": PICTURES,
    "list of tensors": [t(x) for x in COLOUR],
    "list of floats": list(SIGNED),
    "list of arrays": list(LAST),
    "tuple of PIL": tuple(PICTURES),
    "data set": Items(PICTURES),
    "subset": Subset(Items([*PICTURES, *PICTURES]), range(6)),
    "data sets in a row": ConcatDataset([Items(PICTURES[:2]), Items(PICTURES[2:])]),
    "items of one": Items([(p,) for p in PICTURES]),
    "dicts": Items([{"image": p} for p in PICTURES]),
    "loader": DataLoader(Items(PICTURES), batch_size=2),
    "TensorDataset": TensorDataset(t(COLOUR)),
    "floats of a TensorDataset": DataLoader(TensorDataset(SIGNED)),
    "image set": ImageSet("x", t(COLOUR)),
    "Hugging Face": Table([{"image": p} for p in PICTURES], image=Picture()),
    "found by its value": Table([{"x": 1, "y": p} for p in PICTURES], x=Value(), y=Value()),
}
LABELLED = {
    "pair": (t(COLOUR), torch.tensor(LABELS)),
    "list and labels": (PICTURES, LABELS),
    "TensorDataset": TensorDataset(t(COLOUR), torch.tensor(LABELS)),
    "int8": (COLOUR, np.array(LABELS, np.int8)),
    "int32": (COLOUR, np.array(LABELS, np.int32)),
    "uint64": (COLOUR, np.array(LABELS, np.uint64)),
    "float": (COLOUR, np.array(LABELS, np.float32)),
    "column": (COLOUR, np.array(LABELS)[:, None]),
    "one-hot": (COLOUR, np.eye(3)[LABELS]),
    "one-hot truths": (COLOUR, torch.eye(3, dtype=torch.bool)[LABELS]),
    "from 1": (COLOUR, np.array(LABELS) + 1),
    "from 1 as a column of floats": (COLOUR, np.array(LABELS)[:, None] + 1.0),
    "sparse one-hot": (COLOUR, torch.eye(3)[LABELS].to_sparse()),
    "with a gradient": (COLOUR, torch.tensor(LABELS).float().requires_grad_()),
    "a tuple": (COLOUR, tuple(LABELS)),
    "truths of 3": (COLOUR, [0, True, 2, False, 1, 2]),
    "words": (COLOUR, ["a", "b", "c", "a", "b", "c"]),
    "items": Items(list(zip(PICTURES, LABELS))),
    "items with tensors": Items([(p, torch.tensor(y)) for p, y in zip(PICTURES, LABELS)]),
    "items with rows": Items([(p, torch.eye(3)[y]) for p, y in zip(PICTURES, LABELS)]),
    "dicts": Items(rows(LABELS)),
    "Hugging Face": Table(rows(LABELS)),
    "its splits": {"test": Table([]), "train": Table(rows(LABELS))},
    "its column by name": Table(rows(LABELS, "img", "labels"), img=Picture(), labels=Value()),
}
ONE_ON = ("1", "2", "3")
NAMES = {"from 1": ONE_ON, "from 1 as a column of floats": ONE_ON, "words": ("a", "b", "c"),
         "Hugging Face": ClassLabel.names, "its splits": ClassLabel.names}  # fmt: skip
REFUSED = {
    "a number": (5, "int is not an ImageSet"),
    "None": (None, "NoneType is not an ImageSet"),
    "a dict": ({"a": 1}, "dict is not an ImageSet"),
    "a name": ("mnist", "'mnist' is a name or a path: ganlab.data.load reads those"),
    "a generator": ((p for p in PICTURES), "generator is a stream"),
    "a stream": (Endless(), "Endless is a stream, and pictures are kept in memory: make a list"),
    "its loader": (DataLoader(Endless()), "Endless is a stream"),
    "a stream of Hugging Face": (Streamed(), "Streamed is a stream"),
    "floats to 255": (t(COLOUR).float(), "floats from 0 to 255 in an array are not read"),
    "floats below -1": (SIGNED - 1, "floats from -2 to 0"),
    "not a number": (torch.full((2, 1, 8, 8), torch.nan), "floats from nan to nan"),
    "one not a number": ([SIGNED[0], SIGNED[1] * torch.nan], "from nan to nan in item 1"),
    "infinity": (np.full((2, 8, 8), np.inf), "floats from inf to inf"),
    "an item to 255": ([t(COLOUR[0]).float()], "in item 0 are not read: pictures lie in [0, 1]"),
    "int64": (t(COLOUR).long(), "an array of type torch.int64 is not read: use uint8 or floats"),
    "uint16": (COLOUR.astype(np.uint16), "an array of type uint16 is not read"),
    "truths": (COLOUR > 7, "an array of type bool is not read"),
    "complex": (torch.zeros(2, 1, 8, 8, dtype=torch.cfloat), "of type torch.complex64 is not"),
    "an array of objects": (np.array([None, None]), "an array of type object is not read"),
    "nine channels": (np.zeros((2, 9, 9, 9), np.uint8),
                      "of shape (2, 9, 9, 9) is not pictures: (N, H, W), (N, C, H, W) or"),
    "an item of nine": ([np.zeros((9, 9, 9), np.uint8)],
                        "item 0 of shape (9, 9, 9) is not pictures: (H, W), (C, H, W) or"),
    "sparse": (t(COLOUR).float().to_sparse(), "an array is sparse, which is not read: use .to_d"),
    "labels of points": (TensorDataset(torch.rand(6, 2), torch.arange(6)), "(6, 2) holds points"),
    "a loader of a part": (DataLoader(Items(PICTURES), sampler=SubsetRandomSampler([0, 1])),
                           "the loader's SubsetRandomSampler chooses among its pictures"),
    "a loader that weighs": (DataLoader(Items(PICTURES), sampler=WeightedRandomSampler([1], 1)),
                             "the loader's WeightedRandomSampler chooses"),
    "a loader of batches": (DataLoader(Items(PICTURES), batch_sampler=[[0, 1]]),
                            "the loader's list chooses among its pictures"),
    "five axes": (COLOUR[None], "of shape (1, 6, 3, 8, 8) is not pictures"),
    "points": (torch.rand(6, 2), "shape (6, 2) holds points: they need a recipe of points"),
    "nothing": (COLOUR[:0], "of shape (0, 3, 8, 8) is not pictures"),
    "no height": (COLOUR[:, :, :0], "of shape (6, 3, 0, 8) is not pictures"),
    "an empty list": ([], "there are no pictures"),
    "an empty pair": (([], []), "there are no pictures"),
    "an empty table": (Table([]), "there are no pictures"),
    "three tensors": (TensorDataset(*[t(COLOUR)] * 3), "3 tensors are not"),
    "words": (["a.png"], "a.png cannot be read as a picture"),
    "objects": ([object()], "item 0 is object, not an array, a PIL image or a path"),
    "a missing one": ([*PICTURES, None], "item 6 is NoneType"),
    "no image": (Items([{"x": 1}]), "item 0 has x, but no 'image'"),
    "no column": (Table([{"x": 1}], x=Value()), "no column of pictures among x"),
}  # fmt: skip
NOT_LABELS = {
    "too few": (LABELS[:5], "5 of them for 6 pictures"),
    "too many": (torch.arange(7), "7 of them for 6 pictures"),
    "one": (torch.tensor(3), "1 of them for 6 pictures"),
    "a number": (3, "int is not a label for each picture"),
    "a word": ("abcdef", "str is not a label for each picture"),
    "fractions": (np.array(LABELS) + 0.5, "fractions are not class numbers"),
    "not a number": ([0, 1, 2, 0, 1, float("nan")], "fractions are not class numbers"),
    "infinity": ([0, 1, 2, 0, 1, float("inf")], "fractions are not class numbers"),
    "below 0": ([0, 1, -1, 0, 1, 1], "-1 is below 0: classes are numbered from 0 or from 1"),
    "below 0 as floats": (np.array(LABELS) - 2.0, "-2 is below 0"),
    "not one-hot": (np.ones((6, 3)), "rows of 3 numbers are not one-hot"),
    "all cold": (np.zeros((6, 3)), "not one-hot"),
    "three axes": (np.ones((6, 2, 2)), "shape (6, 2, 2) is not one label a picture"),
    "rows of words": ([["a", "b"]] * 6, "shape (6, 2) is not one label a picture"),
    "of several lengths": ([[0], [1, 2], 1, 2, 3, 4], "labels of type int, list are not read"),
    "missing": ([None, 0, 1, 2, 0, 1], "labels of type NoneType, int are not read"),
    "words among numbers": ([0, 1, 2, 0, 1, "x"], "labels of type int, str are not read"),
    "bytes": ([b"a"] * 6, "labels of type bytes are not read"),
    "complex": (np.ones(6) * 1j, "labels of type complex are not read"),
    "beyond 64 bits": ([2**70] * 6, "labels of type int are not read"),
    "huge floats": ([1e30] * 6, "fractions are not class numbers"),
    "a set": ({0, 1, 2, 3, 4, 5}, "set is not a label for each picture"),
    "no end": (iter(LABELS), "list_iterator is not a label for each picture"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_gives_the_bytes(form):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = own(FORMS[form])
    assert made.images.dtype == torch.uint8
    difference = (made.images.int() - t(COLOUR).int()).abs().max()
    assert difference <= (1 if form == "halves" else 0)
    assert made.labels is None


@pytest.mark.parametrize("form", LABELLED)
def test_a_form_gives_the_labels(form):
    made = own(LABELLED[form])
    assert torch.equal(made.images, t(COLOUR))
    assert made.labels.dtype == torch.int64
    assert made.labels.tolist() == LABELS
    assert made.classes == NAMES.get(form, ("0", "1", "2"))


def refusal(data):
    """The line that `own` refuses something with."""
    with pytest.raises(DataError) as caught:
        own(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_not_pictures_is_one_line(form):
    data, line = REFUSED[form]
    assert line in refusal(data)


@pytest.mark.parametrize("form", NOT_LABELS)
def test_what_is_not_labels_is_one_line(form):
    labels, line = NOT_LABELS[form]
    assert line in refusal((COLOUR, labels))


def saved(picture, kind, **options):
    """A picture as it comes back from a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return Image.open(file)


TURNED = Image.Exif()
TURNED[0x0112] = 6  # lies on its side
PALETTE = Image.new("P", (4, 4), 1)
PALETTE.putpalette([9, 9, 9, 10, 20, 30])
HOLLOW = Image.new("P", (4, 4), 0)
HOLLOW.info["transparency"] = 0
MODES = {
    "L": (Image.new("L", (4, 4), 7), (7,)),
    "1": (Image.new("1", (4, 4), 1), (255,)),
    "I;16": (Image.fromarray(np.full((4, 4), 257 * 9, np.uint16)), (9,)),
    "P": (PALETTE, (10, 20, 30)),
    "P, transparent": (HOLLOW, (255, 255, 255)),
    "LA, transparent": (Image.new("LA", (4, 4), (7, 0)), (255,)),
    "RGBA, transparent": (Image.new("RGBA", (4, 4), (1, 2, 3, 0)), (255, 255, 255)),
    "RGBA, opaque": (Image.new("RGBA", (4, 4), (1, 2, 3, 255)), (1, 2, 3)),
    "RGBA, 20 percent": (Image.new("RGBA", (4, 4), (0, 100, 255, 51)), (204, 224, 255)),
    "CMYK": (Image.new("CMYK", (4, 4), (255, 0, 0, 0)), (0, 255, 255)),
    "from a file": (saved(Image.new("RGBA", (4, 4), (5, 5, 5, 0)), "PNG"), (255, 255, 255)),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_of_pil_gives_the_values(mode):
    picture, values = MODES[mode]
    images = own([picture]).images
    assert torch.equal(images, torch.tensor(values, dtype=torch.uint8).view(1, -1, 1, 1).expand(
        1, len(values), 4, 4))  # fmt: skip


def test_a_photograph_that_lies_on_its_side_stands_up():
    photo = Image.new("RGB", (20, 10))
    assert own([saved(photo, "JPEG", exif=TURNED)]).shape == (3, 20, 10)


def test_channels_first_where_both_fit():
    assert torch.equal(own(NARROW).images, t(NARROW))
    assert torch.equal(own(list(NARROW)).images, t(NARROW))
    assert own(COLOUR[:, 0]).shape == (1, 8, 8)


def test_the_range_is_that_of_the_set_not_of_a_picture():
    bright = SIGNED.clone()
    bright[:4] = bright[:4].abs()
    bright[0, 0, 0, :2], bright[5, 0, 0, 0] = torch.tensor([0.0, 1.0]), -1
    whole = own(bright)
    assert whole.note == "floats from -1 to 1, read as [-1, 1]"
    for late in (list(bright), Items(list(bright))):  # the first below 0 is the fifth
        assert torch.equal(own(late).images, whole.images)
        assert own(late).note == whole.note
    assert own(bright[:4]).note == "floats from 0 to 1, read as [0, 1]"
    assert torch.equal(own(list(bright[:4])).images, own(bright[:4]).images)


def test_what_was_fitted_to_the_first_picture_is_noted():
    made = own([PICTURES[0].convert("L"), PICTURES[1], Image.new("L", (9, 8))])
    assert made.shape == (1, 8, 8)
    assert made.note == (
        "2 of 3 pictures have another shape than the first and were fitted to it"
    )  # fmt: skip
    assert own([PICTURES[0], Image.new("RGB", (9, 8))], size=4).note == ""


def test_a_split_is_noted():
    splits = {"test": Table([]), "train": Table(rows(LABELS))}
    assert own(splits).note == "the split 'train' of test, train"
    assert own({"validation": Table(rows(LABELS))}).note == "the split 'validation' of validation"


def test_a_class_without_pictures_keeps_its_number():
    made = own(Table(rows([2] * 6)))
    assert made.labels.tolist() == [2] * 6
    assert made.classes == ("cat", "dog", "owl")
    assert "3 is none of the 3 named classes" in refusal(Table(rows([3] * 6)))
    assert "-1 is below 0" in refusal(Table(rows([-1] * 6)))


def test_two_arrays_are_two_pictures():
    assert torch.equal(own((COLOUR[0], COLOUR[1])).images, t(COLOUR[:2]))
    assert own(((PICTURES[0], 4), (PICTURES[1], 2))).labels.tolist() == [1, 0]


def test_items_are_read_once_and_in_order():
    seen = []

    class Counting(Items):
        def __getitem__(self, i):
            seen.append(i)
            return super().__getitem__(i)

    own(Counting(PICTURES))
    assert seen == [0, 1, 2, 3, 4, 5]


def test_a_bar_is_drawn_for_those_who_wait(monkeypatch, capsys):
    monkeypatch.setenv("GANLAB_PROGRESS", "1")
    own([GREY[0]] * 1000)
    assert capsys.readouterr().err == ""
    own([GREY[0]] * 1001)
    assert "1001/1001" in capsys.readouterr().err


def test_a_damaged_file_is_one_line(tmp_path):
    PICTURES[0].resize((64, 64)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    assert refusal([tmp_path / "a.png"]).startswith(
        f"data: {tmp_path / 'a.png'} cannot be read as a picture: "
    )
    (tmp_path / "b.png").write_text("no picture", encoding="utf-8")
    assert "b.png cannot be read as a picture" in refusal([str(tmp_path / "b.png")])


@pytest.mark.parametrize("kind", ["png", "webp", "bmp", "gif", "tiff", "ppm"])
def test_a_path_of_any_kind_is_read(kind, tmp_path):
    Image.new("RGB", (8, 8), (0, 0, 255)).save(tmp_path / f"a.{kind}", lossless=True)
    assert own([str(tmp_path / f"a.{kind}")]).images[0, :, 4, 4].tolist() == [0, 0, 255]


def test_points_are_returned_as_they_are():
    ring = ganlab.data.toy.make("ring8")
    assert own(ring) is ring


@pytest.mark.parametrize(("form", "line"), [
    ({"size": 0}, "size=0 must be a whole number of pixels"),
    ({"size": (8, 8, 8)}, "must be a whole number of pixels"),
    ({"channels": 9}, "channels=9 must be 1 (grey), 3 (red, green, blue) or what the pictures"),
    ({"channels": True}, "channels=True must be 1 (grey), 3"),
    ({"channels": "3"}, "channels='3' must be 1 (grey), 3"),
    ({"channels": 2}, "pictures of 3 channels do not become pictures of 2: leave channels out"),
])  # fmt: skip
def test_a_wrong_form_is_one_line(form, line):
    with pytest.raises(DataError) as caught:
        own(COLOUR, **form)
    assert line in str(caught.value)


@pytest.mark.parametrize(("images", "labels", "line"), [
    (torch.rand(2, 3, 8, 8), None, "images of 'x' are torch.float32 (2, 3, 8, 8), and must be"),
    (t(COLOUR[0]), None, "images of 'x' are torch.uint8 (3, 8, 8), and must be torch.uint8 (N, C"),
    (COLOUR, None, "images of 'x' are uint8 (6, 3, 8, 8), and must be torch.uint8"),
    (PICTURES, None, "images of 'x' are list (), and must be torch.uint8"),
    (t(COLOUR), LABELS, "labels of 'x' are list (), and must be torch.int64"),
    (t(COLOUR), torch.tensor(LABELS).int(), "labels of 'x' are torch.int32 (6,), and must be"),
    (t(COLOUR), torch.arange(5), "are torch.int64 (5,), and must be torch.int64 (N,), one for"),
    (t(COLOUR), torch.zeros(6, 1).long(), "are torch.int64 (6, 1), and must be"),
    (t(COLOUR), torch.arange(6) - 1, "labels of 'x': -1 is none of the classes from 0"),
    (torch.zeros(2, 9, 8, 8).byte(), None, "(2, 9, 8, 8), which is not (N, C, H, W) with C from"),
    (torch.zeros(2, 0, 8, 8).byte(), None, "(2, 0, 8, 8), which is not (N, C, H, W) with C from"),
    (torch.zeros(2, 3, 8, 0).byte(), None, "(2, 3, 8, 0), which is not (N, C, H, W) with C from"),
])  # fmt: skip
def test_an_image_set_holds_bytes_and_whole_labels(images, labels, line):
    with pytest.raises(DataError) as caught:
        ImageSet("x", images, labels)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_label_is_one_of_the_classes():
    line = "labels of 'x': 2 is none of the 2 classes from 0"
    with pytest.raises(DataError, match=line):
        ImageSet("x", t(COLOUR), torch.tensor(LABELS), ("a", "b"))
    assert ImageSet("x", t(COLOUR), torch.tensor(LABELS), tuple("abcd")).classes == tuple("abcd")


def test_classes_that_were_renumbered_are_noted():
    line = "labels 1 to 3 are numbered from 0 and keep their names"
    shifted = np.array(LABELS) + 1
    assert own((COLOUR, shifted)).note == line
    assert own(list(zip(PICTURES, shifted))).note == line
    assert own(TensorDataset(SIGNED, t(shifted))).note == (
        f"floats from -1 to 1, read as [-1, 1]; {line}"
    )
    for plain in (LABELS, list("abcabc"), np.eye(3)[LABELS]):
        assert own((COLOUR, plain)).note == ""


def test_an_image_set_without_names_for_its_classes_gets_their_numbers():
    assert own(ImageSet("x", t(COLOUR), torch.tensor(LABELS))).classes == ("0", "1", "2")


@pytest.mark.parametrize("channels", [2, 4, 5, 8])
def test_arrays_of_other_channels_keep_them(channels):
    images = t(DRAW.integers(0, 256, (6, channels, 12, 10), dtype=np.uint8))
    last = images.permute(0, 2, 3, 1)
    for form in (images, last.numpy(), list(images), ImageSet("x", images)):
        assert torch.equal(own(form).images, images)
        assert own(form, size=6).shape == (channels, 6, 6)
    assert own(list(last.numpy())).shape == (channels, 12, 10)
    line = (
        f"{channels} channels do not become pictures of 3: leave channels out, or give {channels}"
    )
    if channels != 4:
        with pytest.raises(DataError, match=line):
            own(images, channels=3)
    else:
        assert own(images, channels=3).shape == (3, 12, 10)
    with pytest.raises(DataError, match="a picture of colours, which has no 5 channels"):
        own(PICTURES, channels=5)


def test_classes_stand_in_natural_order():
    assert own((COLOUR, ["10", "2", "9", "10", "2", "9"])).classes == ("2", "9", "10")
    assert own((COLOUR, ["c²", "c10", "c2", "7", "a", "a"])).classes == (
        "7",
        "a",
        "c2",
        "c10",
        "c²",
    )
    many = own((np.zeros((10, 2, 2), np.uint8), np.arange(10, 0, -1)))
    assert many.classes == (*"123456789", "10")
    assert many.labels.tolist() == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_a_size_and_channels_are_those_of_a_folder(tmp_path):
    for i, picture in enumerate(PICTURES):
        picture.resize((40, 30)).save(tmp_path / f"{i}.png")
    folder = ganlab.data.load(str(tmp_path), size=(12, 16), channels=1)
    mine = own([Image.open(p) for p in sorted(tmp_path.iterdir())], size=(12, 16), channels=1)
    assert torch.equal(folder.images, mine.images)
    arrays = [np.asarray(Image.open(p)) for p in sorted(tmp_path.iterdir())]
    for form in (arrays, np.stack(arrays), sorted(tmp_path.iterdir())):
        assert torch.equal(own(form, size="12x16", channels=1).images, folder.images)
    again = own(own(COLOUR), size=4, channels=1)
    assert again.shape == (1, 4, 4)
    assert own(GREY, channels=3).shape == (3, 8, 8)


def test_an_image_set_keeps_what_it_knows():
    given = ImageSet("x", t(COLOUR), torch.tensor(LABELS), tuple("abc"), note="odd")
    assert own(given) is given
    assert own(given, size=8, channels=3) is given
    small = own(given, size=(4, 8), channels=1)
    assert (small.shape, small.classes, small.note) == ((1, 4, 8), tuple("abc"), "odd")
    digits = ImageSet("d", t(GREY).repeat(2, 1, 1, 1)[:10], torch.arange(10), tuple("0123456789"))
    assert own(stack(digits, 5), size=4).shape == (3, 4, 4)


def test_the_real_tables_of_hugging_face():
    datasets = pytest.importorskip("datasets")
    kinds = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=list(ClassLabel.names))
    )
    table = datasets.Dataset.from_dict({"image": PICTURES, "label": LABELS}, features=kinds)
    made = own(datasets.DatasetDict(train=table))
    assert torch.equal(made.images, t(COLOUR))
    assert (made.labels.tolist(), made.classes) == (LABELS, ClassLabel.names)


SMALL = {"steps": 2, "batch": 4, "size": 16, "precision": "fp32", "samples": 4,
         "generator": {"width": 4, "latent": 4}, "discriminator": {"width": 4}}  # fmt: skip


@pytest.mark.parametrize("form", ["tensor", "data set", "floats in [-1, 1]", "loader"])
def test_train_takes_it(form, tmp_path):
    plan = recipe("dcgan-glyphs-color", **SMALL)
    run = ganlab.train(plan, tmp_path / "run", data=FORMS[form], evaluate=False)
    assert run.sample(3).shape == (3, 3, 16, 16)
    assert run.about["data"] == "own pictures"


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_train_draws_and_samples_other_channels(channels, tmp_path):
    images = t(DRAW.integers(0, 256, (8, channels, 16, 16), dtype=np.uint8))
    run = ganlab.train(
        recipe("dcgan-glyphs", channels=None, **SMALL), tmp_path / "run",
        data=ImageSet("x", images), evaluate=False,
    )  # fmt: skip
    assert run.sample(3).shape == (3, channels, 16, 16)
    assert list((tmp_path / "run").rglob("*.png"))


def test_train_takes_a_name_and_a_folder(tmp_path):
    for i, picture in enumerate(PICTURES):
        (tmp_path / "faces").mkdir(exist_ok=True)
        picture.save(tmp_path / "faces" / f"{i}.png")
    plan = recipe("dcgan-glyphs-color", **SMALL)
    run = ganlab.train(plan, tmp_path / "run", data=tmp_path / "faces", evaluate=False)
    assert run.recipe.data == str(tmp_path / "faces")
    named = ganlab.train(plan, tmp_path / "other", data="glyphs", evaluate=False, steps=1)
    assert named.recipe.data == "glyphs"


def test_points_are_asked_for_by_a_line(tmp_path):
    with pytest.raises(DataError, match="no distribution of points"):
        ganlab.train("mlp-ring", tmp_path / "run", data=torch.rand(100, 2))
