"""Sphinx extension: docstrings are plain text with `code`, and need no reStructuredText.

The package's docstrings are written to be read in an editor. Before Napoleon sees them, text in
single backticks becomes code, characters that mean something to reStructuredText are escaped,
and an indented block after a line that ends with a colon becomes a code block.
"""

from __future__ import annotations

import re
import typing

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


#: Stands for a colon while Napoleon reads the words of an attribute: it would take what comes
#: before one for a type.
_COLON = "\N{RATIO}"


def _process(app, what, name, obj, options, lines) -> None:
    lines[:] = plain(lines)
    if what == "attribute":
        lines[:] = [line.replace(":", _COLON) for line in lines]


def _colons(app, what, name, obj, options, lines) -> None:
    if what == "attribute":
        lines[:] = [line.replace(_COLON, ":") for line in lines]


def plain_fields(model: type) -> None:
    """Leave a recipe's fields their types without bounds: people read those in the words below."""
    hints = typing.get_type_hints(model)
    model.__annotations__ = {name: hints[name] for name in vars(model).get("__annotations__", {})}


def _fields(app) -> None:
    from ganlab.recipes import BaseRecipe

    for model in (BaseRecipe, *BaseRecipe.GAMES.values()):
        plain_fields(model)


def _signature(app, what, name, obj, options, signature, returns) -> tuple[str, None] | None:
    """A recipe takes its fields by name; each stands below with its type."""
    return ("(name, **fields)", None) if hasattr(obj, "model_fields") else None


def _skip(app, what, name, obj, skip, options) -> bool | None:
    return True if name == "model_config" else None


def setup(app) -> dict[str, bool]:
    """Register with Sphinx, ahead of Napoleon."""
    app.connect("builder-inited", _fields)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _process, priority=100)
    app.connect("autodoc-process-docstring", _colons, priority=900)
    return {"parallel_read_safe": True}
