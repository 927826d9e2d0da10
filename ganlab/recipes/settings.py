"""Settings as a command line gives them: `FIELD=VALUE` and `TABLE.OPTION=VALUE`."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from ganlab.errors import RecipeError

WORDS = {"true": True, "false": False, "none": None}


def settings(words: Iterable[str]) -> dict[str, Any]:
    """`["g_lr=1e-4", "generator.width=64"]` as keyword arguments for `BaseRecipe.with_`.

    Values are Python literals, true, false and none, or else text; whether one fits its field,
    the recipe says.

    Raises:
        RecipeError: a setting is not of this form.
    """
    changes: dict[str, Any] = {}
    for word in words:
        key, sign, text = word.partition("=")
        if not sign or not key:
            raise RecipeError(f"'{word}' is not of the form field=value")
        *path, last = key.split(".")
        if not all([*path, last]):
            raise RecipeError(f"'{word}' is not of the form field.option=value")
        place = changes
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise RecipeError(f"'{word}': {part} has been given a value already")
        if isinstance(place.get(last), dict):
            raise RecipeError(f"'{word}': {last} has been given options already")
        place[last] = literal(text)
    return changes


def literal(text: str) -> Any:
    """A value as a command line writes it."""
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if text[:2].lower() in ("0x", "0o", "0b"):  # 0x64 is a mistaken size, not one hundred
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
