"""What picture files a place has, in order, and what of it is left out."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ganlab.data.formats import SUFFIXES
from ganlab.data.left import Unread, left_out, not_looked_at
from ganlab.errors import DataError, one_line

#: Files that lie beside pictures and are none; others that are not read are counted.
_TEXTS = ".txt .md .rst .csv .tsv .json .jsonl .xml .yaml .yml .html .htm .ini .cfg .toml"
COMPANIONS = frozenset([*_TEXTS.split(), ".log", ".py", ".ipynb", ".db"])
LICENCES = frozenset("readme license licence copying notice authors".split())  # noqa: SIM905


def natural(name: str) -> tuple[list[Any], str]:
    """A key by which "2" comes before "10"."""
    parts: list[Any] = re.split(r"([0-9]+)", name)
    # not as numbers: of a digit string in a zip there may be more than Python turns into one
    parts[1::2] = [(len(digits.lstrip("0")), digits.lstrip("0")) for digits in parts[1::2]]
    return parts, name


@dataclass(frozen=True)
class Listing:
    """What there is in a place.

    Attributes:
        names: '/'-separated paths of the picture files that can be opened, in order.
        left: those that cannot, and why.
        others: how many files there are of each ending that is not read.
    """

    names: tuple[str, ...]
    left: dict[str, Unread] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)


class Files:
    """Named picture files, wherever they lie; listed when they are first asked for.

    Attributes:
        where: the folder or zip, for messages.
        open: returns the bytes of one of them; raises `Unread` of a damaged entry.
        fingerprint: changes when a file does.
    """

    def __init__(
        self,
        where: str | Path,
        fingerprint: str,
        listing: Callable[[], Listing],
        open: Callable[[str], bytes],
    ) -> None:
        self.where, self.fingerprint, self.open = one_line(where), fingerprint, open
        self._listing = listing

    @cached_property
    def listing(self) -> Listing:
        """What there is.

        Raises:
            DataError: the place cannot be read.
        """
        return self._listing()

    @property
    def names(self) -> tuple[str, ...]:
        """'/'-separated paths below ``where``, in order.

        Raises:
            DataError: if there is no picture, or the place cannot be read.
        """
        if not self.listing.names:
            kinds = " ".join(sorted(SUFFIXES))
            none = f"no picture in {self.where} (files ending in {kinds} count)"
            raise DataError("; ".join([none, *self.told()]))
        return self.listing.names

    def told(self, left: Iterable[tuple[str, Unread]] = ()) -> list[str]:
        """Lines on what is left out: of the listing, and `left` while it was read."""
        lines = [
            left_out(self.where, [*self.listing.left.items(), *left]),
            not_looked_at(self.listing.others, SUFFIXES),
        ]
        return [line for line in lines if line]


def ending(name: str) -> str:
    """The ending of a picture's name, of another file's that counts, or nothing."""
    *folders, last = name.split("/")
    if last.startswith(".") or any(map(hidden, folders)):
        return ""
    stem, end = os.path.splitext(last.lower())
    return "" if end in COMPANIONS or (not end and stem in LICENCES) else end or "no ending"


def hidden(folder: str) -> bool:
    """Whether what lies in a folder of this name is nobody's picture."""
    return folder.startswith(".") or folder == "__MACOSX"


def listed(rows: Iterable[tuple[str, Unread | None]], order: Callable[[str], Any]) -> Listing:
    """Names and what forbids to open them, sorted out."""
    names: dict[str, None] = {}
    left: dict[str, Unread] = {}
    others: Counter[str] = Counter()
    for name, why in rows:
        end = ending(name)
        if end in SUFFIXES and why is None:
            names[name] = None
        elif end in SUFFIXES and why is not None:
            left[name] = why
        elif end:
            others[end] += 1
    ordered = sorted(left, key=order)
    return Listing(tuple(sorted(names, key=order)), {n: left[n] for n in ordered}, dict(others))
