"""Being asked to stop: Ctrl-C, SIGTERM, or a terminal that is gone."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any


class Signals:
    """Inside the block, signals are noted in `asked` and do no more, so that work can be saved.

    A second Ctrl-C goes to whoever listened before: it interrupts at once. Only the main thread
    can listen; in another one nothing changes. A lost terminal that was to be ignored (`nohup`)
    stays so.
    """

    NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

    def __init__(self) -> None:
        self.asked = False
        self._interrupted = False
        self._before: dict[int, Any] = {}
        self._screens: list[int] = []

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._screens = [fd for fd in (1, 2) if _is_screen(fd)]
            for name in self.NAMES:
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                if number is None:
                    continue
                # nohup; the others are heard even by a job in a script's background, which is
                # started with Ctrl-C ignored, and to which `kill -INT` may well be sent
                if name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if number == signal.SIGINT:
            before = self._before.get(number)
            if self._interrupted:
                (before if callable(before) else signal.default_int_handler)(number, frame)
            self._interrupted = True
        elif number == getattr(signal, "SIGHUP", None):
            for fd in self._screens:  # nothing can be shown any more, and trying would fail
                os.dup2(os.open(os.devnull, os.O_WRONLY), fd)


def _is_screen(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False
