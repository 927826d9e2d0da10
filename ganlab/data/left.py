"""Files that are left out of a set: each with its reason, told in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ganlab.errors import one_line

NAMED = 5  # files named one by one before "and N more"


class Unread(Exception):
    """Why a file is left out.

    Args:
        words: of the kind of reason, to follow a number: "damaged", "not readable".
        detail: what more there is to say of it.
    """

    def __init__(self, words: str, detail: str = "") -> None:
        super().__init__(words, detail)
        self.words, self.detail = words, one_line(" ".join(detail.split()))[:160]

    def __str__(self) -> str:
        return f"{self.words}: {self.detail}" if self.detail else self.words


def plural(count: int, what: str) -> str:
    """A number and its noun: "1 file", "1,200 files"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def named(names: list[str]) -> str:
    """The first few names, and how many more there are; any terminal may show them."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(map(one_line, names[:NAMED])) + more


def left_out(where: str, rows: Iterable[tuple[str, Unread]]) -> str:
    """One line on all files that are left out; empty if there are none.

    Those of one kind are counted together. Details are told where they decide what to do, not of
    damage, which has as many as there are files.

    >>> rows = [("a.png", Unread("damaged")), ("b.png", Unread("not readable", "no right"))]
    >>> left_out("F", rows)
    'left out 2 files in F: 1 damaged (a.png), 1 not readable (no right: b.png)'
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name, why in rows:
        groups.setdefault((why.words, "" if why.words == "damaged" else why.detail), []).append(
            name
        )
    if not groups:
        return ""
    told = [
        f"{len(names):,} {words} ({detail + ': ' if detail else ''}{named(names)})"
        for (words, detail), names in groups.items()
    ]
    total = plural(sum(map(len, groups.values())), "file")
    return f"left out {total} in {one_line(where)}: {', '.join(told)}"


def not_looked_at(others: Mapping[str, int], read: Iterable[str]) -> str:
    """One line on files whose names end in nothing that is read; empty if there are none.

    Args:
        others: how many files there are of each ending.
        read: the endings that are read.
    """
    if not others:
        return ""
    ends = sorted(others, key=lambda end: (-others[end], end))
    more = f" and {len(ends) - NAMED} other endings" if len(ends) > NAMED else ""
    total = sum(others.values())
    return (
        f"{plural(total, 'file')} {'was' if total == 1 else 'were'} not looked at"
        f" ({', '.join(one_line(end) for end in ends[:NAMED])}{more}): only"
        f" {' '.join(sorted(read))} are read"
    )
