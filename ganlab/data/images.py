"""``load``: any picture set by name, folder or zip, decoded once and cached."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ganlab.data import fetch, glyphs, stacked
from ganlab.data.arrays import MOST, array_file
from ganlab.data.cache import cached, lookup, say, writable
from ganlab.data.folder import folder_files, zip_files
from ganlab.data.formats import missing
from ganlab.data.imageset import ImageSet
from ganlab.data.pictures import choose
from ganlab.data.sizes import Size, as_size, compact
from ganlab.data.sources import FILES, SOURCES, Source, Want, pictures
from ganlab.data.spots import roots, spot
from ganlab.errors import DataError, one_line, unknown
from ganlab.files import reason

GLYPHS = {"glyphs": 1, "glyphs-color": 3}
STACKED = {"stacked-mnist": "mnist", "stacked-glyphs": "glyphs"}
NAMES = (*GLYPHS, *STACKED, *SOURCES)  # of all sets
SPLITS = ("train", "test")
Side = int | tuple[int, int]  # of a square, or (height, width)
_GLYPH_OPTIONS = ("count", "seed", "characters", "typefaces", "textures")


def load(
    name: str,
    *,
    size: Size | None = None,
    channels: int | None = None,
    split: str = "train",
    root: str | os.PathLike | None = None,
    limit: int | None = None,
    **options: Any,
) -> ImageSet:
    """A picture set as bytes, fitted and resized (antialiased) to a square or rectangle.

    Args:
        name: one of :func:`available`, or ``folder:PATH``, ``zip:PATH`` or a plain path to a
            folder or zip of pictures, with or without class folders and train/test folders, or to
            an array file (``.npy``, ``.npz``; see `ganlab.data.arrays.array_file`).
        size: side of a square in pixels, or (height, width), or text such as "64x128" (height
            first); by default the set's own, 64 for a folder. Glyphs are square.
        channels: 1 (grey) or 3 (red, green, blue); of a folder, a zip or emoji also 4 (alpha is
            kept); of an array whatever it has, 1 to 8. By default the set's own, 3 for a folder.
        split: "train" or "test".
        root: where sets lie; by default ``$GANLAB_DATA``, else the user's cache folder. A set
            that is not there is downloaded to it.
        limit: keep at most this many pictures: a fixed random choice (for glyphs, the first).
        options: for files (folders, zips, emoji, celeba, lsun): ``background`` (a colour put
            under transparency, default "white"), ``damaged`` ("skip", the default, or "refuse"),
            ``fit`` (what becomes of other sides' ratios: "crop", the default, "pad" or
            "stretch"; see `ganlab.data.pictures.fit`) and ``range`` (which values of pictures
            with more than 8 bits become 0 and 255: "auto", the lowest and highest of the set,
            "full", or "LOW:HIGH"). For arrays: ``background``, ``fit``, ``range``. For lsun:
            ``category``. For glyphs: ``count``, ``seed``, ``characters``, ``typefaces``,
            ``textures`` (see :mod:`ganlab.data.glyphs`). For stacks: ``count``, ``seed`` (see
            :mod:`ganlab.data.stacked`).

    Returns:
        The set; its ``note`` says what was left out, fitted or replaced.

    Raises:
        DataError: one line, if the name, an option or the files are wrong, or if the set is not
            on disk and cannot be downloaded. With ``GANLAB_OFFLINE=1`` a set that is not on disk
            is replaced by glyphs of the same shape instead.
    """
    name = str(name)
    if split not in SPLITS:
        raise DataError(unknown("split", str(split), SPLITS))
    side = None if size is None else compact(*as_size(size))
    known = name in GLYPHS or name in STACKED or name in SOURCES
    _check_channels(channels, SOURCES[name].may if name in SOURCES else (1, 3) if known else None)
    if limit is not None and limit < 1:
        raise DataError(f"limit={limit} must be at least 1")
    if name in GLYPHS:
        _check_options(name, options, _GLYPH_OPTIONS)
        return _glyphs(name, side, channels, split, limit, options)
    if name in STACKED:
        _check_options(name, options, ("count", "seed"))
        return _stacked(name, side, channels, split, root, limit, **options)
    if name in SOURCES:
        return _named(SOURCES[name], side, channels, split, root, limit, options)
    return _path(name, side, channels, split, limit, options)


def _check_channels(channels: Any, may: tuple[int, ...] | None) -> None:
    """Refuse a number of channels that is none of those; what an array may have without any."""
    if channels is None:
        return
    whole = isinstance(channels, int) and not isinstance(channels, bool)
    if whole and channels in (may or range(1, MOST + 1)):
        return
    words = {1: "1 (grey)", 3: "3 (colour)", 4: "4 (colour and alpha)"}
    *most, last = [words[c] for c in may or words]
    arrays = "" if may else f", and for an array as many as it has, 1 to {MOST}"
    raise DataError(
        f"channels={one_line(repr(channels))} is not a choice: use {', '.join(most)} or"
        f" {last}{arrays}"
    )


def _check_options(name: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    for option in options:
        if option not in known:
            if not known:
                raise DataError(f"{name} takes no option '{option}'")
            raise DataError(unknown(f"option of {name}", option, known))


def _glyphs(
    name: str,
    size: Side | None,
    channels: int | None,
    split: str,
    limit: int | None,
    options: dict[str, Any],
) -> ImageSet:
    count = options.pop("count", glyphs.COUNTS[split])
    count = count if limit is None else min(count, limit)
    made = glyphs.make(
        size=size or 32, channels=channels or GLYPHS[name], split=split, count=count, **options
    )
    return replace(made, name=name)


def _stacked(
    name: str,
    size: Side | None,
    channels: int | None,
    split: str,
    root: str | os.PathLike | None,
    limit: int | None,
    count: int | None = None,
    seed: int = 0,
) -> ImageSet:
    """Stacks of the digits of the same split; the splits' seeds have nothing in common."""
    if channels == 1:
        raise DataError(f"{name} is made of three channels: leave channels out, or give 3")
    kind: dict[str, Any] = {"characters": stacked.DIGITS} if STACKED[name] in GLYPHS else {}
    digits = load(STACKED[name], size=size, channels=1, split=split, root=root, **kind)
    count = stacked.COUNTS[split] if count is None else count
    count = count if limit is None else min(count, limit)
    return stacked.stack(digits, count, 2 * seed + (split == "test"), name)


def _named(
    source: Source,
    size: Side | None,
    channels: int | None,
    split: str,
    root: str | os.PathLike | None,
    limit: int | None,
    options: dict[str, Any],
) -> ImageSet:
    name = source.name
    _check_options(name, options, source.options)
    if split not in source.splits:
        raise DataError(f"{name} has no split '{split}', only {', '.join(source.splits)}")
    want = Want(
        size or source.size, channels or source.channels, split, limit, **options
    ).checked()  # fmt: skip
    for here in roots(root):
        found = _find(source, here, want)
        if found is not None:
            return _decoded(name, name, found, want)
    looked = " and ".join(map(str, roots(root)))
    if fetch.offline():
        return _stand_in(source, want, looked)
    to = next((p for p in roots(root) if writable(p)), None)
    instead = f"set GANLAB_OFFLINE=1 or use the set '{_like(want)}', which needs no download"
    get = source.fetch
    if get is None:
        how = source.by_hand(want) if source.by_hand else "put it"
        raise DataError(f"{name} is not in {looked}: {how} there, or {instead}")
    if to is None:
        raise DataError(f"{name} is not in {looked}, where nothing can be written: {instead}")
    try:
        fetch.persist(
            name, source.megabytes, to, lambda: get(to, lambda: source.find(to, want) is not None)
        )
    except fetch.Unreachable as e:
        raise DataError(
            f"{name} is not in {looked} and cannot be downloaded ({e}): {instead}"
        ) from None
    except fetch.Corrupt as e:
        raise DataError(f"{name} is refused: {e}; looked in {looked}; {instead}") from None
    found = source.find(to, want)
    if found is None:
        raise DataError(f"{name} was downloaded to {to} but cannot be found there; {instead}")
    return _decoded(name, name, found, want)


def _find(source: Source, root: Path, want: Want) -> Any:
    try:
        return source.find(root, want)
    except OSError as error:
        raise DataError(f"{source.name} in {one_line(root)}: {reason(error)}") from error


def _decoded(name: str, label: str, found: Any, want: Want) -> ImageSet:
    """From the cache: all of the set cut to the limit if that is there, else as asked for."""
    key = {"name": name, "source": found.fingerprint} | {
        k: v for k, v in vars(want).items() if k != "limit"
    }
    if missing():  # with another Pillow there may be more pictures
        key["missing"] = missing()
    sides = want.size if isinstance(want.size, tuple) else (want.size,)
    label = f"{label}-{want.split}-{'x'.join(map(str, (*sides, want.channels)))}"
    if want.limit is not None:
        whole = lookup(name, label, key)
        if whole is not None:
            return whole.select(torch.from_numpy(choose(len(whole), want.limit)))
        key["limit"] = want.limit
    return cached(name, label, key, lambda: found.decode(want))


def _like(want: Want) -> str:
    return "glyphs" if want.channels == 1 else "glyphs-color"


def _stand_in(source: Source, want: Want, looked: str) -> ImageSet:
    """Glyphs of the same shape, and as many classes if there are so many characters."""
    c, h, w = want.shape
    if h != w or c not in (1, 3):
        cannot = f"drawn square, not {h}x{w}" if h != w else f"without alpha, not of {c} channels"
        raise DataError(
            f"{source.name} is not in {looked}, and glyphs, which would stand in for it with"
            f" GANLAB_OFFLINE, are {cannot}"
        )
    characters = glyphs.CHARACTERS[: source.classes or None]
    count = min(source.count, glyphs.COUNTS[want.split], want.limit or source.count)
    made = glyphs.make(
        size=h, channels=c, split=want.split, count=count,
        characters=characters,
    )  # fmt: skip
    note = (
        f"{source.name} is not in {looked} and GANLAB_OFFLINE is set: "
        f"{len(made):,} glyphs of {c}x{h}x{w} stand in for it"
    )
    say(note)
    return replace(made, name=source.name, note=note)


def _path(
    name: str,
    size: Side | None,
    channels: int | None,
    split: str,
    limit: int | None,
    options: dict[str, Any],
) -> ImageSet:
    """A folder, zip or array file that the user names."""
    kind, path = spot(name, NAMES)
    if kind == "array":
        _check_options("an array", options, ("background", "fit", "range"))
        (c, h, w), found = array_file(path)
        want = Want(size or compact(*as_size((h, w))), channels or c, split, limit, **options)
    else:
        _check_options(f"a {kind}", options, FILES)
        _check_channels(channels, (1, 3, 4))
        want = Want(size or 64, channels or 3, split, limit, **options)
        found = pictures(folder_files(path) if kind == "folder" else zip_files(path), path.name)
    label = "".join(c if c.isalnum() or c in "-_" else "-" for c in path.stem)[:40]
    return _decoded(name, label or kind, found, want.checked())


def available(root: str | os.PathLike | None = None) -> list[dict[str, Any]]:
    """What can be loaded by name, one record each.

    Returns:
        Dictionaries with ``name``, ``size`` (pixels), ``channels``, ``count`` (training pictures),
        ``source`` (with its licence), ``licence`` and ``here`` ("built in", "yes" if the set is
        under the root, "no" if it would be downloaded).
    """
    rows: list[dict[str, Any]] = [
        {
            "name": name, "size": 32, "channels": channels, "count": glyphs.COUNTS["train"],
            "source": "drawn from the fonts of matplotlib", "licence": "MIT", "here": "built in",
        }
        for name, channels in GLYPHS.items()
    ]  # fmt: skip
    looked = roots(root)
    for s in SOURCES.values():
        want = Want(s.size, s.channels, "train")
        here = any(_find(s, root, want) is not None for root in looked)
        rows.append(
            {
                "name": s.name, "size": s.size, "channels": s.channels, "count": s.count,
                "source": f"{s.origin}; {s.licence}", "licence": s.licence,
                "here": "yes" if here else "no",
            }
        )  # fmt: skip
    known = {row["name"]: row for row in rows}
    for name, digits in STACKED.items():
        of = f"three of {digits}; {known[digits]['licence']}"
        rows.append(
            known[digits]
            | {"name": name, "channels": 3, "count": stacked.COUNTS["train"], "source": of}
        )
    return rows
