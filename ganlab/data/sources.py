"""The real picture sets by name: where each lies on disk, how it is read, how it is fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganlab.data import celeba, emoji, fetch, lsun
from ganlab.data.cache import Decoded, progress, stamp
from ganlab.data.decoding import decode
from ganlab.data.folder import layout, zip_files
from ganlab.data.found import Found, Want
from ganlab.data.listing import Files
from ganlab.data.pictures import choose, colour, fit_array, fitted, uneven
from ganlab.errors import DataError


@dataclass(frozen=True)
class Source:
    """One named set.

    Attributes:
        name, size, channels, count: as it is by default; ``count`` of the training split.
        classes: how many classes it has, 0 for none.
        origin, licence: where it comes from, for people.
        options: what ``load`` accepts for it beside the common arguments.
        megabytes: of the download.
        splits: those that it has.
        find: look for it under a root; None if it is not there.
        fetch: download it to a root, unless the function it is given says that it is there by
            now; None if it must be put there by hand.
        by_hand: what to do then.
        may: the numbers of channels that it can be given.
    """

    name: str
    size: int
    channels: int
    count: int
    classes: int
    origin: str
    licence: str
    megabytes: int
    find: Callable[[Path, Want], Found | None]
    fetch: Callable[[Path, Callable[[], bool]], None] | None
    options: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("train", "test")
    by_hand: Callable[[Want], str] | None = None
    may: tuple[int, ...] = (1, 3)


def _arrays(
    images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], want: Want, what: str
) -> Decoded:
    """Decode a set that is one array (N, C, H, W)."""
    keep = choose(len(images), want.limit)

    def blocks() -> Iterator[np.ndarray]:
        for i in progress(range(0, len(keep), 1024), len(keep), 1024, f"resizing {what}"):
            block = images[keep[i : i + 1024]]
            yield fit_array(block, want.size, want.channels, want.fit, colour(want.background))

    odd = len(keep) if uneven(images.shape[2], images.shape[3], want.size) else 0
    line = fitted(odd, len(keep), want.size, want.fit)
    return Decoded(blocks(), labels[keep], classes, notes=[line] if line else [])


def _torchvision(kind: str, folder: str, files: tuple[str, ...]):
    """``find`` for a set that torchvision keeps as arrays below ``root / folder``."""

    def find(root: Path, want: Want) -> Found | None:
        here = [root / folder / name for name in files]
        if not all(path.is_file() for path in here):
            return None

        def read(want: Want) -> Decoded:
            import torchvision.datasets

            try:
                data = getattr(torchvision.datasets, kind)(str(root), train=want.split == "train")
            except Exception as e:  # whatever its parsers raise on a file that was cut short
                why = " ".join(f"{type(e).__name__}: {e}".split())[:160]
                raise DataError(
                    f"{root / folder} is damaged ({why}): delete it to download it again"
                ) from None
            images = np.asarray(data.data)
            images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
            classes = tuple(str(c).split(" - ")[0] for c in data.classes)
            return _arrays(images, np.asarray(data.targets), classes, want, kind)

        return Found(stamp(here), read)

    return find


# torchvision wants the files of both splits, whichever it is asked for
_IDX = tuple(
    f"raw/{start}-{part}-ubyte"
    for start in ("train", "t10k")
    for part in ("images-idx3", "labels-idx1")
)
_CIFAR10 = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
_CIFAR100 = ("train", "test", "meta")


def pictures(files: Files, what: str) -> Found:
    """Picture files, to be decoded with the split, classes and options that are wanted."""

    def read(want: Want) -> Decoded:
        return decode(files, layout(files, want.split), want, what)

    return Found(files.fingerprint, read)


def _cifar10_anywhere(root: Path, want: Want) -> Found | None:
    """CIFAR-10 as a zip of JPEG class folders if there is one, else as torchvision keeps it."""
    if (root / "cifar10-jpg.zip").is_file():
        found = pictures(zip_files(root / "cifar10-jpg.zip", order=str), "cifar10")

        def read(want: Want) -> Decoded:
            decoded = found.decode(want)
            decoded.notes.append("from cifar10-jpg.zip: JPEG copies, not bit-equal to the original")
            return decoded

        return Found(found.fingerprint, read)
    return _torchvision("CIFAR10", "cifar-10-batches-py", _CIFAR10)(root, want)


def _emoji(root: Path, want: Want) -> Found | None:
    path = root / emoji.FILE
    if not path.is_file():
        return None
    found = pictures(zip_files(path, order=str), "emoji")

    def read(want: Want) -> Decoded:
        emoji.check(path)
        return found.decode(want)

    return Found(found.fingerprint, read)


FILES = ("background", "damaged", "fit", "range")
SOURCES: dict[str, Source] = {
    s.name: s
    for s in (
        Source(
            "mnist", 28, 1, 60_000, 10, "Y. LeCun, C. Cortes, C. Burges", "CC BY-SA 3.0", 12,
            _torchvision("MNIST", "MNIST", _IDX), fetch.torchvision("MNIST"),
        ),
        Source(
            "fashion-mnist", 28, 1, 60_000, 10, "Zalando Research, 2017", "MIT", 31,
            _torchvision("FashionMNIST", "FashionMNIST", _IDX), fetch.torchvision("FashionMNIST"),
        ),
        Source(
            "kmnist", 28, 1, 60_000, 10, "ROIS-DS CODH, 2018", "CC BY-SA 4.0", 21,
            _torchvision("KMNIST", "KMNIST", _IDX), fetch.torchvision("KMNIST"),
        ),
        Source(
            "cifar10", 32, 3, 50_000, 10, "A. Krizhevsky, 2009", "not stated", 170,
            _cifar10_anywhere, fetch.torchvision("CIFAR10"), FILES,
        ),
        Source(
            "cifar100", 32, 3, 50_000, 100, "A. Krizhevsky, 2009", "not stated", 170,
            _torchvision("CIFAR100", "cifar-100-python", _CIFAR100), fetch.torchvision("CIFAR100"),
        ),
        Source(
            "celeba", 64, 3, 162_770, 0, "Z. Liu et al., 2015, MMLAB", "non-commercial research",
            1_400, celeba.find, fetch.torchvision("CelebA"), FILES,
        ),
        Source(
            "lsun", 64, 3, 3_033_042, 0, "F. Yu et al., 2015", "not stated", 43_000,
            lsun.find, None,
            (*FILES, "category"),
            by_hand=lsun.by_hand,
        ),
        Source(
            "emoji", 64, 3, 3_583, 0, f"googlefonts/noto-emoji {emoji.TAGS[0]}",
            "SIL OFL 1.1", 250, _emoji, emoji.get, FILES, splits=("train",), may=(1, 3, 4),
        ),
    )
}  # fmt: skip
