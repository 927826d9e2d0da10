"""Pictures that lie in one .npy or .npz: shapes, types, labels, splits, and what is refused."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch
from data_kit import noise, one_line, own_folders, write  # noqa: F401
from PIL import Image

from ganlab.data import arrays, load
from ganlab.data.native import native
from ganlab.errors import DataError

RNG = np.random.default_rng(0)


def numbers(*shape):
    made = RNG.integers(0, 256, shape, dtype=np.uint8)
    made.flat[0], made.flat[-1] = 0, 255
    return made


@pytest.mark.parametrize("ending", ["npy", "npz"])
@pytest.mark.parametrize(
    ("shape", "channels", "last"),
    [((5, 10, 12), 1, False)]
    + [((5, c, 10, 12), c, False) for c in range(1, 9)]
    + [((5, 10, 12, c), c, True) for c in range(1, 9)]
    + [((5, 3, 10, 3), 3, False), ((5, 8, 8, 3), 3, True), ((5, 2, 10, 5), 2, False),
       ((1, 1, 1, 1), 1, False)],
)  # fmt: skip
def test_arrays_of_1_to_8_channels_are_read_as_they_are(ending, shape, channels, last, tmp_path):
    values, path = numbers(*shape), tmp_path / f"a.{ending}"
    if ending == "npy":
        np.save(path, values)
    else:
        np.savez(path, values)
    data = load(str(path))
    expected = values[:, None] if values.ndim == 3 else values
    expected = expected.transpose(0, 3, 1, 2) if last else expected
    assert data.images.numpy().tobytes() == np.ascontiguousarray(expected).tobytes()
    assert data.shape[0] == channels
    about = native(str(path))
    assert (about.channels, about.sizes) == (channels, {data.shape[1:]})
    both = len(shape) == 4 and shape[1] <= 8 and shape[3] <= 8
    assert ("was read as (N, " in data.note) == both


TYPES = {
    "bool": (numbers(4, 6, 6) > 99, None),
    "uint8": (numbers(4, 6, 6), None),
    "uint16": (numbers(4, 6, 6).astype(np.uint16) * 16, (0, 4080)),
    "big-endian": (numbers(4, 6, 6).astype(">u2") * 16, (0, 4080)),
    "int64": (numbers(4, 6, 6).astype(np.int64) - 100, (-100, 155)),
    "float16": ((numbers(4, 6, 6) / 255).astype(np.float16), (0, 1)),
    "float32": ((numbers(4, 6, 6) / 127.5 - 1).astype(np.float32), (-1, 1)),
    "float64": (numbers(4, 6, 6) / 255, (0, 1)),
    "fortran": (np.asfortranarray(numbers(4, 6, 6)), None),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_become_bytes_by_the_same_rule_as_files(name, tmp_path):
    values, span = TYPES[name]
    np.save(tmp_path / "a.npy", values)
    data = load(str(tmp_path / "a.npy"))
    low, high = span or ((0, 1) if name == "bool" else (0, 255))
    expected = (values.astype(float) - low) / (high - low) * 255
    assert np.abs(data.images[:, 0].numpy() - expected).max() <= 0.51
    assert ("became 0 to 255 (auto" in data.note) == (span is not None)
    few = load(str(tmp_path / "a.npy"), limit=2)
    assert all(any(torch.equal(a, b) for b in data.images) for a in few.images)
    if name == "uint16":
        full = load(str(tmp_path / "a.npy"), range="full").images
        assert full.max() == round(4080 / 65535 * 255)


def test_labels_and_splits_of_an_npz(tmp_path):
    x, y = numbers(6, 4, 4), np.array([10, 2, 2, 10, 1, 1])
    np.savez(tmp_path / "a.npz", images=x, labels=y)
    data = load(str(tmp_path / "a.npz"))
    assert data.classes == ("1", "2", "10")
    assert data.labels.tolist() == [2, 1, 1, 2, 0, 0]
    np.savez_compressed(tmp_path / "b.npz", x_train=x, y_train=y, x_test=x[:2] // 2, y_test=y[:2])
    path = str(tmp_path / "b.npz")
    assert len(load(path)) == 6
    assert load(path, split="test").labels.tolist() == [1, 0]
    np.savez(tmp_path / "c.npz", train_images=x, train_labels=y[:, None], val_images=x[:1])
    data = load(str(tmp_path / "c.npz"))
    assert data.labels.tolist() == [2, 1, 1, 2, 0, 0]
    held_out = load(str(tmp_path / "c.npz"), split="test")
    assert (len(held_out), held_out.labels) == (1, None)
    np.savez(tmp_path / "e.npz", x_train=x.astype("u2") * 2, x_test=x.astype("u2") * 4)
    dim, bright = (load(str(tmp_path / "e.npz"), split=s).images for s in ("train", "test"))
    assert (dim.max(), bright.max()) == (128, 255)  # one range for both
    words = np.array(["cat", "dog", "cat", "dog", "dog", "cat"])
    np.savez(tmp_path / "d.npz", x=x, y=words)
    few = load(str(tmp_path / "d.npz"), limit=3)
    assert few.classes == ("cat", "dog")
    for path in ("a.npz", "d.npz"):
        with pytest.raises(DataError, match="has no split 'test'"):
            load(str(tmp_path / path), split="test")


def test_an_array_is_resized_and_recoloured_as_a_folder_is(tmp_path):
    values = numbers(3, 20, 30, 3)
    np.save(tmp_path / "a.npy", values)
    write(tmp_path / "f", {f"{i}.png": Image.fromarray(v) for i, v in enumerate(values)})
    for options in (
        {"size": 16}, {"size": 16, "channels": 1}, {"size": (16, 8), "fit": "stretch"},
        {"size": 40, "fit": "pad", "background": "#104080"}, {"size": 16, "channels": 4},
        {"size": 16, "channels": 1, "fit": "pad", "background": "red"},
    ):  # fmt: skip
        a = load(str(tmp_path / "a.npy"), **options)
        b = load(str(tmp_path / "f"), **options)
        assert (a.images.int() - b.images.int()).abs().max() <= 2, options
        assert a.note == b.note
    rgba = numbers(2, 9, 9, 4)
    np.save(tmp_path / "b.npy", rgba)
    write(tmp_path / "g", {f"{i}.png": Image.fromarray(v) for i, v in enumerate(rgba)})
    a = load(str(tmp_path / "b.npy"), channels=3, background="red")
    b = load(str(tmp_path / "g"), size=9, background="red")
    assert (a.images.int() - b.images.int()).abs().max() <= 1
    five = numbers(2, 5, 9, 18)
    np.save(tmp_path / "c.npy", five)
    padded = load(str(tmp_path / "c.npy"), size=18, fit="pad", background=77)
    assert padded.shape == (5, 18, 18)
    assert (padded.images[:, :, 0] == 77).all()


def test_a_file_that_has_changed_is_read_again(tmp_path):
    np.save(tmp_path / "a.npy", numbers(2, 4, 4))
    assert len(load(str(tmp_path / "a.npy"))) == 2
    np.save(tmp_path / "a.npy", numbers(3, 4, 4))
    assert len(load(str(tmp_path / "a.npy"))) == 3


def saved(values, **more):
    out = io.BytesIO()
    if more:
        np.savez(out, **more)
    else:
        np.save(out, values, allow_pickle=True)
    return out.getvalue()


def claims(shape):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return out.getvalue()


def packed(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return out.getvalue()


X = numbers(3, 4, 4)
REFUSED = {
    "objects": ("a.npy", saved(np.array([None, X], object)), "holds objects"),
    "objects of an npz": ("a.npz", saved(None, images=np.array([None], object)), "holds objects"),
    "complex": ("a.npy", saved(X.astype(complex)), "holds values of type complex128"),
    "words": ("a.npy", saved(np.full((2, 3, 3), "a")), "holds values of type <U1"),
    "dates": ("a.npy", saved(np.zeros((2, 3, 3), "M8[s]")), "holds values of type datetime64[s]"),
    "records": ("a.npy", saved(np.zeros((2, 3, 3), "u1,u1")), "holds values of type"),
    "one axis": ("a.npy", saved(X[0, 0]), "an array of shape (4,) is not pictures: (N, H, W),"),
    "points": ("a.npy", saved(X[0]), "an array of shape (4, 4) is not pictures"),
    "a number": ("a.npy", saved(np.uint8(3)), "an array of shape () is not pictures"),
    "nine channels": ("a.npy", saved(numbers(2, 9, 10, 10)), "with C from 1 to 8"),
    "five axes": ("a.npy", saved(numbers(2, 3, 3, 4, 4)), "is not pictures"),
    "no pictures": ("a.npy", saved(X[:0]), "an array of shape (0, 4, 4) is empty"),
    "no pixels": ("a.npy", saved(X[:, :0]), "an array of shape (3, 0, 4) is empty"),
    "an empty file": ("a.npy", b"", "a.npy is damaged or no .npy file"),
    "another file": ("a.npy", b"hello, this is a text", "a.npy is damaged or no .npy file"),
    "a pickle": ("a.npy", b"\x80\x04N.", "a.npy is damaged or no .npy file"),
    "cut short": ("a.npy", saved(X)[:-5], "171 bytes in place of 176"),
    "a head alone": ("a.npy", saved(X)[:20], "damaged or no .npy file"),
    "a huge claim": ("a.npy", claims((10**9, 10**4, 10**4)), "bytes in place of"),
    "a huge claim of an npz": ("a.npz", packed(x=claims((10**9, 9999, 9999))), "in place of"),
    "no zip": ("a.npz", b"hello", "a.npz is damaged or no .npz file (File is not a zip file)"),
    "half a zip": ("a.npz", saved(None, images=X)[:-60], "damaged or no .npz file"),
    "an empty zip": ("a.npz", packed(), "a.npz holds nothing: name its pictures 'images'"),
    "two arrays": ("a.npz", saved(None, a=X, b=X), "a.npz holds a, b: name its pictures 'images'"),
    "labels alone": ("a.npz", saved(None, labels=np.arange(3)), "holds labels: name its pictures"),
    "few labels": ("a.npz", saved(None, images=X, labels=np.arange(2)), "2 of them for 3 pictures"),
    "fractions": ("a.npz", saved(None, images=X, y=np.array([0.5, 1, 2])), "fractions are not"),
    "object labels": ("a.npz", saved(None, images=X, y=np.array([{}, 1, 2])), "no .npz file"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_files_are_refused_in_one_line(name, tmp_path):
    file, data, line = REFUSED[name]
    (tmp_path / file).write_bytes(data)
    with pytest.raises(DataError) as caught:
        load(str(tmp_path / file))
    text = one_line(caught)
    assert line in text
    assert file in text
    assert text.isprintable()


def test_bytes_that_have_changed_are_damage_and_encryption_is_told(tmp_path):
    content = bytearray(saved(None, images=numbers(9, 9, 9)))
    content[400] ^= 255
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"damaged or no .npz file \(Bad CRC-32"):
        load(str(tmp_path / "a.npz"))
    content = bytearray(saved(None, images=X))
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b.npz").write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        load(str(tmp_path / "b.npz"))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"channels": 3}, "pictures of 5 channels do not become pictures of 3: leave"),
        ({"channels": 9}, "channels=9 is not a choice"),
        ({"damaged": "skip"}, "option of an array 'damaged'"),
        ({"range": "x"}, "range='x' is not a choice"),
        ({"split": "test"}, "a.npy has no split 'test'"),
    ],
    ids=str,
)
def test_options_that_do_not_fit_are_one_line(options, line, tmp_path):
    np.save(tmp_path / "a.npy", numbers(2, 5, 9, 9))
    with pytest.raises(DataError) as caught:
        load(str(tmp_path / "a.npy"), **options)
    assert line in one_line(caught)


def test_memory_that_is_lacking_is_no_damage(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", images=X)

    def read_array(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(arrays.np.lib.format, "read_array", read_array)
    with pytest.raises(DataError, match=r"do not fit into memory: save it as \.npy"):
        load(str(tmp_path / "a.npz"))
