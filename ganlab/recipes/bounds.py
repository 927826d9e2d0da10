"""What a value in a recipe may be, and how that is said to people.

Every value is checked once, where a recipe is made. A refusal is one line: the field, what was
given, what is allowed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from ganlab import schedules
from ganlab.errors import RecipeError


def within(
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """Bounds of a number, for `Annotated[int, within(1, 64)]`: `above` and `below` are open."""
    ends = {"ge": low, "le": high, "gt": above, "lt": below}
    return Field(strict=True, **{k: v for k, v in ends.items() if v is not None})  # type: ignore


def whole(low: int, high: int) -> Any:
    """The type of a whole number from `low` to `high`."""
    return Annotated[int, within(low, high)]


def number(low: float, high: float = 1e12, open_low: bool = False, open_high: bool = False) -> Any:
    """The type of a finite number between two ends; an open one does not belong to it."""
    ends: dict[str, Any] = {"gt" if open_low else "ge": low, "lt" if open_high else "le": high}
    return Annotated[float, Field(strict=True, allow_inf_nan=False, **ends)]


def scheduled(low: float, high: float = 1e12, open_low: bool = False) -> Any:
    """A number within these bounds, or a schedule (`ganlab.schedules`) that stays within them."""

    def inside(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        try:
            found = schedules.schedule(value)
        except RecipeError as error:
            raise ValueError from error
        for x in (found.start, found.end):
            if not (math.isfinite(x) and (low < x if open_low else low <= x) and x <= high):
                raise ValueError
        return value if isinstance(value, str) else float(value)

    span = f"above {low:g}" if open_low else f"from {low:g}"
    top = f" to {high:g}" if high < 1e12 else ""
    words = f"a number {span}{top}, or a schedule of such, like cosine:START:END"
    # For programs; `words` is what people are told.
    schema = {"anyOf": [{"type": "number"}, {"type": "string"}], "words": words}
    return Annotated[float | str, BeforeValidator(inside), WithJsonSchema(schema)]


if TYPE_CHECKING:
    Rate = float | str
    Weight = float | str
    Decay = float | str
    Chance = float | str
else:
    Rate = scheduled(0, 1e38, open_low=True)
    Weight = scheduled(0)
    Decay = scheduled(0, 0.9999999)
    Chance = scheduled(0, 1)


def lists(value: Any) -> Any:
    """Tuples as lists, the form that JSON keeps."""
    return list(value) if isinstance(value, tuple) else value


def not_bool(value: Any) -> Any:
    """Python takes true for 1; a field does not."""
    if isinstance(value, bool):
        raise ValueError
    return value


def tuples(value: Any) -> Any:
    """Lists as tuples: JSON has no tuples."""
    return tuple(value) if isinstance(value, list) else value


def words_of(annotation: Any) -> str:
    """What a type allows, for people."""
    return _words(TypeAdapter(annotation).json_schema())


def _words(schema: dict[str, Any]) -> str:
    if "words" in schema:
        return schema["words"]
    if "$ref" in schema or "$defs" in schema:
        return "a table of options"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_words(part) for part in schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return "(" + ", ".join(_words(part) for part in schema["prefixItems"]) + ")"
        return "a list of " + _words(schema["items"]).replace("a whole number", "whole numbers")
    if schema.get("type") in ("integer", "number"):
        kind = "a whole number" if schema["type"] == "integer" else "a number"
        low = f" from {schema['minimum']:g}" if "minimum" in schema else ""
        low = f" above {schema['exclusiveMinimum']:g}" if "exclusiveMinimum" in schema else low
        high = f" to {_short(schema['maximum'])}" if schema.get("maximum", 1e12) < 1e12 else ""
        high = f" below {schema['exclusiveMaximum']:g}" if "exclusiveMaximum" in schema else high
        return kind + low + high
    names = {
        "boolean": "true or false",
        "string": "text",
        "null": "none",
        "object": "a table of options, as FIELD.NAME=VALUE",
    }
    return names.get(schema.get("type", ""), "any value")


def _short(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def shown(value: Any) -> str:
    """A value as it was given, on one line and not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def checked(field: str, annotation: Any, value: Any) -> Any:
    """`value` as the type wants it.

    Raises:
        RecipeError: one line: field, what was given, what is allowed.
    """
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        raise RecipeError(f"{field}: {shown(value)} is not {words_of(annotation)}") from None
