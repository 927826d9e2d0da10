"""LSUN scenes from the LMDB folders of their authors (needs the package ``lmdb``).

torchvision's reader is not used: it pickles a list of keys into the current folder and loads
such a file from there without asking whose it is.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ganlab.data.cache import Decoded, stamp
from ganlab.data.decoding import decode
from ganlab.data.folder import Layout
from ganlab.data.listing import Files, Listing
from ganlab.errors import DataError

if TYPE_CHECKING:
    from ganlab.data.found import Found, Want


def folder(category: str, split: str) -> str:
    """The name that the authors' zip unpacks to; their second split is a validation set."""
    return f"{category}_{'train' if split == 'train' else 'val'}_lmdb"


def by_hand(want: Want) -> str:
    """How to get it: the sets are tens of gigabytes, so that is left to the user."""
    name = folder(want.category, want.split)
    return f"unzip http://dl.yf.io/lsun/scenes/{name}.zip"


def find(root: Path, want: Want) -> Found | None:
    """The category's LMDB folder under ``root`` or ``root/lsun``."""
    from ganlab.data.found import Found

    name = folder(want.category, want.split)
    for place in (root / name, root / "lsun" / name):
        if (place / "data.mdb").is_file():
            return Found(stamp([place / "data.mdb"]), partial(_decode, place))
    return None


def _decode(place: Path, want: Want) -> Decoded:
    try:
        import lmdb
    except ImportError:
        raise DataError('lsun needs the package lmdb: pip install "ganlab[lsun]"') from None
    try:
        store = lmdb.open(str(place), readonly=True, lock=False, readahead=False, meminit=False)
        with store.begin() as look:
            keys = tuple(k.decode("latin-1") for k in look.cursor().iternext(values=False))
    except lmdb.Error as e:
        raise DataError(f"{place} cannot be read as LMDB: {e}") from None

    def read(key: str) -> bytes:
        with store.begin() as look:
            return look.get(key.encode("latin-1"), b"")

    files = Files(place, "", lambda: Listing(keys), read)
    return decode(files, Layout(keys, None, ()), want, "lsun")
