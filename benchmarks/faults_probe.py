"""What `faults.py` puts between a process and its disk: every file operation is seen and counted.

A `Probe` wraps `open`, and the functions of `os` and `fcntl` that change files, for paths below
one folder. Each call is an operation with a number, a kind and a name; before it, halfway through
it or after it the probe does what it was told: note it, die, fill the disk, or answer that the
disk is full. Written bytes are seen where Python hands them to the system, below its buffers.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

DEAD = 99  # exit status of a process that died where it was told to
#: Moments at which a process dies, of each kind of operation; `power` is a machine that dies.
MOMENTS = {
    "write": ("before", "middle", "after", "power"),
    "fsync": ("before", "after", "power"),
    "replace": ("before", "after", "power"),
}
USUAL = ("before", "after")


class Operation(NamedTuple):
    """A file operation: its kind, the name of its file, and how often that has been so far."""

    kind: str
    name: str
    nth: int


def plain(name: str) -> str:
    """A name below the folder without what differs from process to process and step to step."""
    name = re.sub(r"\.\d+(-\w+)?\.partial\.", "partial ", name)
    name = re.sub(r"^.*\(deleted\)$", "nameless", name)
    return re.sub(r"\d{5,}", "N", name)


class Raw(io.FileIO):
    """A file whose writes are operations; `probe` is set by `Probe.install`."""

    probe: Probe

    def __init__(self, path: Any, mode: str, opener: Any = None) -> None:
        super().__init__(path, mode, opener=opener)
        self.probe.opened(str(path), os.fstat(self.fileno()))

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if not view:
            return 0

        def half() -> None:
            os.write(self.fileno(), view[: max(1, len(view) // 2)])

        return self.probe.around(
            "write", str(self.name), lambda: super(Raw, self).write(view), half
        )


class Probe:
    """Sees the file operations of this process below `root`.

    Args:
        root: the folder.
        at: where the process dies.
        moment: of that operation: "before", "middle" (of a write), "after", or "power": after
            it, and what was written but not flushed to the disk is lost.
        full: the disk is full from the `nth` write on whose file has such a name (a pattern).
        fill: fills the disk; without it writes are refused here as a full disk does.
    """

    def __init__(
        self,
        root: Path,
        at: Operation | None = None,
        moment: str = "",
        full: str = "",
        nth: int = 1,
        fill: Callable[[], None] | None = None,
    ) -> None:
        self.root = os.path.realpath(root)
        self.at, self.moment = at, moment
        self.full, self.nth, self.fill = full, nth, fill
        self.seen: list[Operation] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self.refusing = False
        self._unsynced: dict[int, tuple[str, int]] = {}  # by inode: path, bytes that are safe
        self._real: dict[str, Any] = {}

    # ---- what is wrapped ----

    def install(self) -> Probe:
        """Wrap the functions of this process, for good: it is a child that ends soon."""
        Raw.probe = self
        self._real = {"open": builtins.open, "os.open": os.open, "fsync": os.fsync}
        self._real["truncate"] = os.truncate
        builtins.open = io.open = self._open  # type: ignore[assignment]
        os.open = self._os_open  # type: ignore[assignment]
        os.fsync = self._fsync  # type: ignore[assignment]
        for name in ("mkdir", "rmdir", "unlink", "remove", "truncate"):
            setattr(os, name, self._on_path(name, getattr(os, name)))
        for name in ("replace", "rename", "link"):
            setattr(os, name, self._moving(name, getattr(os, name)))
        lock = fcntl.flock
        fcntl.flock = lambda fd, how: self.around("lock", self._of(fd), lambda: lock(fd, how))
        return self

    def _open(self, file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None,
              errors: Any = None, newline: Any = None, closefd: bool = True,
              opener: Any = None) -> Any:  # fmt: skip
        writing = set(mode) & set("wax+")
        if not writing or isinstance(file, int) or not self.mine(file):
            return self._real["open"](
                file, mode, buffering, encoding, errors, newline, closefd, opener
            )
        raw = Raw(os.fspath(file), mode.replace("b", "").replace("t", ""), opener)
        buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffer if "b" in mode else io.TextIOWrapper(buffer, encoding, errors, newline)

    def _os_open(self, path: Any, flags: int, *rest: Any, **more: Any) -> int:
        real = self._real["os.open"]
        if not flags & os.O_CREAT or not self.mine(path) or os.path.exists(path):
            return real(path, flags, *rest, **more)
        return self.around("make", path, lambda: real(path, flags, *rest, **more))

    def _fsync(self, fd: Any) -> None:
        number: int = fd if isinstance(fd, int) else fd.fileno()
        if not self.mine(self._of(number)):
            return self._real["fsync"](fd)

        def flush() -> None:
            self._real["fsync"](fd)
            self._unsynced.pop(os.fstat(number).st_ino, None)

        return self.around("fsync", self._of(number), flush)

    def _on_path(self, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *rest: Any, **more: Any) -> Any:
            if not self.mine(path):
                return real(path, *rest, **more)
            return self.around(kind, path, lambda: real(path, *rest, **more))

        return call

    def _moving(self, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(old: Any, new: Any, *rest: Any, **more: Any) -> Any:
            if not self.mine(new):
                return real(old, new, *rest, **more)
            number = os.stat(old).st_ino

            def move() -> None:
                real(old, new, *rest, **more)
                if number in self._unsynced:
                    self._unsynced[number] = (str(new), self._unsynced[number][1])

            return self.around(kind, new, move)

        return call

    @staticmethod
    def _of(fd: Any) -> str:
        try:
            return os.readlink(f"/proc/self/fd/{fd}")
        except OSError:  # no Linux
            return ""

    # ---- what is done ----

    def mine(self, path: Any) -> bool:
        """Whether a path lies below the root."""
        if isinstance(path, int):
            return False
        full = os.path.abspath(os.fsdecode(path))
        return full == self.root or full.startswith(self.root + os.sep)

    def opened(self, path: str, found: os.stat_result) -> None:
        """A file was opened for writing: what it holds is taken to be safe."""
        self._unsynced.setdefault(found.st_ino, (path, found.st_size))

    def around(
        self, kind: str, path: Any, do: Callable[[], Any], half: Callable[[], None] | None = None
    ) -> Any:
        """Count an operation and do it, or what was asked for in its place."""
        name = plain(os.path.relpath(os.path.abspath(os.fsdecode(path)), self.root))
        self._counts[kind, name] += 1
        self.seen.append(Operation(kind, name, self._counts[kind, name]))
        here = self.seen[-1] == self.at
        if here and self.moment == "before":
            os._exit(DEAD)
        if here and self.moment == "middle" and half is not None:
            half()
            os._exit(DEAD)
        if self.full and kind == "write" and not self.refusing and re.search(self.full, name):
            self.nth -= 1
            if self.nth == 0:
                self.refusing = True
                if self.fill is not None:
                    self.fill()
        if self.refusing and self.fill is None and kind == "write":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            return do()
        finally:  # also if the system refused: a folder may be there already
            if here:
                if self.moment == "power":
                    self._power()
                os._exit(DEAD)

    def _power(self) -> None:
        """Lose what was written and not flushed."""
        for path, safe in self._unsynced.values():
            if os.path.exists(path) and os.path.getsize(path) > safe:
                self._real["truncate"](path, safe)
