"""Downloads: only when a set is asked for by name, tried again, checked, and announced."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import shutil
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ganlab import progress
from ganlab.data.cache import acquired, say
from ganlab.errors import one_line
from ganlab.files import reason

TRIES = 3
WAIT = 1.0  # seconds before the second try; doubled for each one after it
TIMEOUT = 30.0  # seconds without an answer
#: What the system says of the disk, not of the network: another try changes nothing.
_DISK = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG,
         errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}  # fmt: skip


def _idx(*digests: str) -> dict[str, str]:
    names = [
        f"{s}-{kind}-ubyte.gz" for s in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
    ]
    return dict(zip(names, digests, strict=True))


#: SHA-256 of the archives that torchvision downloads (and itself checks by MD5 only).
SHA256 = {
    "MNIST": _idx(
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "FashionMNIST": _idx(
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    "KMNIST": _idx(
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
    "CIFAR10": {
        "cifar-10-python.tar.gz": (
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
        ),
    },
    "CIFAR100": {
        "cifar-100-python.tar.gz": (
            "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
        ),
    },
    "CelebA": {
        "img_align_celeba.zip": (
            "46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74"
        ),
        "list_attr_celeba.txt": (
            "f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0"
        ),
        "list_eval_partition.txt": (
            "fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7"
        ),
    },
}
_ARCHIVES = (".gz", ".zip")


class Unreachable(Exception):
    """The source could not be reached, or broke off, on every try."""


class Corrupt(Exception):
    """What came is not what was expected; the text says what."""


def offline() -> bool:
    """Whether ``GANLAB_OFFLINE`` is set: sets that are not on disk are replaced by glyphs."""
    return os.environ.get("GANLAB_OFFLINE", "0") not in ("", "0")


def persist(what: str, megabytes: int, to: Path, get: Callable[[], None]) -> None:
    """Run a download up to three times, alone among the processes that want it.

    Raises:
        Unreachable: if every try fails, or the disk takes no file.
        Corrupt: if what arrives fails its check.
    """
    say(f"downloading {what} (about {megabytes:,} MB) to {to}")
    problem: Exception | None = None
    for attempt in range(TRIES):
        if attempt:
            time.sleep(WAIT * 2 ** (attempt - 1))
        try:
            with _patience():
                return get()
        # RuntimeError is what torchvision raises when every mirror failed
        except (OSError, EOFError, RuntimeError) as e:
            problem = e
            if isinstance(e, OSError) and e.errno in _DISK:
                raise Unreachable(f"{one_line(to)} cannot be written: {reason(e)}") from e
    raise Unreachable(_reason(problem))


def _reason(problem: Exception | None) -> str:
    """The cause in a few words; torchvision's message lists every mirror on a line of its own."""
    text = " ".join(f"{type(problem).__name__}: {problem}".split())
    cause = re.search(r"<urlopen error (.+?)>", text)
    return cause.group(1) if cause else text[:160]


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """A connection that goes silent is an error, not a wait without end."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _where_bars_belong() -> Iterator[None]:
    """What torchvision prints goes to stderr; its bar goes nowhere if bars are not wanted."""
    aside = sys.stderr if progress.wanted() else io.StringIO()
    with contextlib.redirect_stdout(aside), contextlib.redirect_stderr(aside):
        yield


@contextlib.contextmanager
def staged(root: Path, name: str) -> Iterator[Path]:
    """A scratch folder under ``root`` for one process at a time, removed in the end."""
    root.mkdir(parents=True, exist_ok=True)
    lock = acquired(root / f".{name}.lock", f"downloading {name}")
    try:
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as scratch:
            yield Path(scratch)
    finally:
        lock.release()


def torchvision(kind: str) -> Callable[[Path, Callable[[], bool]], None]:
    """``fetch`` for a set that torchvision downloads.

    The files arrive in a scratch folder, are compared with :data:`SHA256` and move to their place
    when they are all there: a download that was killed leaves nothing that looks whole.
    """

    def get(root: Path, here: Callable[[], bool]) -> None:
        import torchvision.datasets

        with staged(root, kind) as scratch:
            if here():  # another process was faster
                return
            try:
                with _where_bars_belong():
                    getattr(torchvision.datasets, kind)(str(scratch), download=True)
            except ModuleNotFoundError as e:  # CelebA lies on Google Drive
                raise Corrupt(
                    f"its download needs the package {e.name}: pip install {e.name}"
                ) from e
            verify(kind, scratch)
            for item in list(scratch.iterdir()):
                _move(item, root / item.name)

    return get


def verify(kind: str, folder: Path) -> None:
    """Compare what was downloaded with its SHA-256, then delete archives that are unpacked.

    Raises:
        Corrupt: naming the first file that is missing or differs.
    """
    for name, expected in SHA256[kind].items():
        path = next(folder.rglob(name), None)
        if path is None:
            raise Corrupt(f"the download has no file {name}")
        with open(path, "rb") as f:
            found = hashlib.file_digest(f, "sha256").hexdigest()
        if found != expected:
            raise Corrupt(f"the SHA-256 of {name} is {found[:12]}..., not {expected[:12]}...")
        if name.endswith(_ARCHIVES):
            path.unlink()


def _move(item: Path, to: Path) -> None:
    """Rename ``item`` to ``to``; where a folder stands already, move what is in it one by one."""
    if item.is_dir() and to.is_dir():
        for child in list(item.iterdir()):
            _move(child, to / child.name)
    else:
        os.replace(item, to)


def download(url: str, to: Path) -> None:
    """Write what ``url`` serves to the file ``to``.

    Raises:
        OSError: if the connection fails or ends early.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "ganlab"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, open(to, "wb") as f:
        shutil.copyfileobj(answer, f, 1 << 20)
        expected: Any = answer.headers.get("Content-Length")
    if expected is not None and to.stat().st_size != int(expected):
        raise OSError(f"{url} broke off after {to.stat().st_size} of {expected} bytes")
