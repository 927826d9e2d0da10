"""Sphinx extension: docstrings are plain text with `code`, and need no reStructuredText.

The package's docstrings are written to be read in an editor. Before Napoleon sees them, text in
single backticks becomes code, characters that mean something to reStructuredText are escaped,
and an indented block after a line that ends with a colon becomes a code block.
"""

from __future__ import annotations

import re

_SECTION = re.compile(
    r"^(Args|Arguments|Attributes|Example|Examples|Note|Notes|Raises|References|Returns|Return|"
    r"Warning|Warns|Yields|Shapes?|Sources?):$"
)
_SPAN = re.compile(r"(``.+?``|:[a-z:]+:`[^`]+`|`[^`]+`)")  # code or a role: left as it is


def _inline(text: str) -> str:
    parts = _SPAN.split(text)
    for i, part in enumerate(parts):
        if i % 2 == 0:
            parts[i] = re.sub(r"([*|_`\\])", r"\\\1", part)
        elif part.startswith("`") and not part.startswith("``"):
            parts[i] = f"`{part}`"
    return "".join(parts)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def plain(lines: list[str]) -> list[str]:
    """Return the docstring `lines` as reStructuredText with Google sections."""
    out: list[str] = []
    code_above: int | None = None  # indentation of the line that introduced the block
    for i, line in enumerate(lines):
        if code_above is not None:
            if not line.strip() or _indent(line) > code_above:
                out.append(line)
                continue
            code_above = None
        following = next((other for other in lines[i + 1 :] if other.strip()), "")
        opens = line.rstrip().endswith(":") and _indent(following) > _indent(line)
        name = re.match(r"^\s*([*\w., ]+):(\s|$)", line)
        if _SECTION.match(line.strip()):
            out.append(line)
        elif opens:
            out += [_inline(line.rstrip()) + ":", ""]
            code_above = _indent(line)
        elif name and line.startswith(" "):  # an entry of a section: Napoleon escapes its name
            end = name.end(1)
            out.append(line[:end] + _inline(line[end:]))
        else:
            out.append(_inline(line))
    return out


def _process(app, what, name, obj, options, lines) -> None:
    lines[:] = plain(lines)


def setup(app) -> dict[str, bool]:
    """Register with Sphinx, ahead of Napoleon."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    return {"parallel_read_safe": True}
