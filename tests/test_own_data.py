"""Pictures that a reader brings along: every form gives the bytes that a folder would."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

import ganlab
from ganlab.data import ImageSet, own
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


class ClassLabel:
    """Stands for that of Hugging Face."""

    names = ("cat", "dog", "owl")


class Table(Items):
    """Stands for a Hugging Face data set."""

    column_names = ("image", "label")
    features = {"image": type("Image", (), {})(), "label": ClassLabel()}  # noqa: RUF012


t = torch.from_numpy
FORMS = {
    "tensor": t(COLOUR),
    "array": COLOUR,
    "channels last": COLOUR.transpose(0, 2, 3, 1),
    "floats in [0, 1]": t(COLOUR).double() / 255,
    "floats in [-1, 1]": t(COLOUR).float() / 127.5 - 1,
    "halves": (t(COLOUR).float() / 127.5 - 1).half().float(),
    "list of PIL": PICTURES,
    "list of tensors": [t(x) for x in COLOUR],
    "list of arrays": [x.transpose(1, 2, 0) for x in COLOUR],
    "tuple of PIL": tuple(PICTURES),
    "data set": Items(PICTURES),
    "dicts": Items([{"image": p} for p in PICTURES]),
    "loader": DataLoader(Items(PICTURES), batch_size=2),
    "TensorDataset": TensorDataset(t(COLOUR)),
    "image set": ImageSet("x", t(COLOUR)),
}
LABELLED = {
    "pair": (t(COLOUR), torch.tensor(LABELS)),
    "TensorDataset": TensorDataset(t(COLOUR), torch.tensor(LABELS)),
    "int32": (COLOUR, np.array(LABELS, np.int32)),
    "float": (COLOUR, np.array(LABELS, np.float32)),
    "column": (COLOUR, np.array(LABELS)[:, None]),
    "one-hot": (COLOUR, np.eye(3)[LABELS]),
    "from 1": (COLOUR, np.array(LABELS) + 1),
    "words": (COLOUR, ["a", "b", "c", "a", "b", "c"]),
    "items": Items(list(zip(PICTURES, LABELS))),
    "items with tensors": Items([(p, torch.tensor(y)) for p, y in zip(PICTURES, LABELS)]),
    "dicts": Items([{"image": p, "label": y} for p, y in zip(PICTURES, LABELS)]),
    "Hugging Face": Table([{"image": p, "label": y} for p, y in zip(PICTURES, LABELS)]),
    "its splits": {"test": Table([]), "train": Table(
        [{"image": p, "label": y} for p, y in zip(PICTURES, LABELS)])},
}  # fmt: skip
REFUSED = {
    "a number": (5, "a int is not an ImageSet"),
    "a dict": ({"a": 1}, "a dict is not an ImageSet"),
    "floats to 255": (t(COLOUR).float(), "floats from 0 to 255 are not read"),
    "not a number": (torch.full((2, 1, 8, 8), torch.nan), "floats from nan to nan"),
    "int64": (t(COLOUR).long(), "torch.int64 are not read"),
    "two channels": (COLOUR[:, :2], "is not pictures"),
    "points": (torch.rand(6, 2), "shape (6, 2) is not pictures"),
    "nothing": (COLOUR[:0], "is not pictures"),
    "an empty list": ([], "there are no pictures"),
    "words": (["a.png"], "a.png cannot be read as a picture"),
    "objects": ([object()], "an item is a object"),
    "no image": (Items([{"x": 1}]), "no 'image'"),
    "too few labels": ((COLOUR, LABELS[:5]), "5 of them for 6 pictures"),
    "fractions": ((COLOUR, np.array(LABELS) + 0.5), "fractions are not class numbers"),
    "not one-hot": ((COLOUR, np.ones((6, 3))), "not one-hot"),
    "three axes": ((COLOUR, np.ones((6, 2, 2))), "is not one label a picture"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_gives_the_bytes(form):
    made = own(FORMS[form])
    assert made.images.dtype == torch.uint8
    difference = (made.images.int() - t(COLOUR).int()).abs().max()
    assert difference <= (1 if form == "halves" else 0)


@pytest.mark.parametrize("form", LABELLED)
def test_a_form_gives_the_labels(form):
    made = own(LABELLED[form])
    assert made.labels.dtype == torch.int64
    assert made.labels.tolist() == LABELS
    names = {"from 1": ("1", "2", "3"), "words": ("a", "b", "c")}
    hugging = ("cat", "dog", "owl") if form in ("Hugging Face", "its splits") else None
    assert made.classes == names.get(form, hugging or ("0", "1", "2"))


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_not_pictures_is_one_line(form):
    data, line = REFUSED[form]
    with pytest.raises(DataError) as caught:
        own(data)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_classes_stand_in_natural_order():
    assert own((COLOUR, ["10", "2", "9", "10", "2", "9"])).classes == ("2", "9", "10")


def test_a_size_and_channels_are_those_of_a_folder(tmp_path):
    for i, picture in enumerate(PICTURES):
        picture.resize((40, 30)).save(tmp_path / f"{i}.png")
    folder = ganlab.data.load(str(tmp_path), size=(12, 16), channels=1)
    mine = own([Image.open(p) for p in sorted(tmp_path.iterdir())], size=(12, 16), channels=1)
    assert torch.equal(folder.images, mine.images)
    again = own(own(COLOUR), size=4, channels=1)
    assert again.shape == (1, 4, 4)
    assert own(GREY, channels=3).shape == (3, 8, 8)


SMALL = {"steps": 2, "batch": 4, "size": 16, "precision": "fp32", "samples": 4,
         "generator": {"width": 4, "latent": 4}, "discriminator": {"width": 4}}  # fmt: skip


@pytest.mark.parametrize("form", ["tensor", "data set", "floats in [-1, 1]", "loader"])
def test_train_takes_it(form, tmp_path):
    plan = recipe("dcgan-glyphs-color", **SMALL)
    run = ganlab.train(plan, tmp_path / "run", data=FORMS[form], evaluate=False)
    assert run.sample(3).shape == (3, 3, 16, 16)
    assert run.about["data"] == "own pictures"


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
