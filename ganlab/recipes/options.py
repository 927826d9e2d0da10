"""Options of networks, penalties and data, checked against what takes them.

Which options there are is read from the signature of what takes them; how far each may go stands
here, once for all families, since a name means the same in each.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from ganlab import losses, schedules
from ganlab.data.sizes import as_size, compact
from ganlab.errors import DataError, RecipeError, unknown
from ganlab.recipes.bounds import checked, lists, number, scheduled, whole

Strict = {
    int: whole(-(10**9), 10**9),
    float: number(-1e12),
    bool: Annotated[bool, Field(strict=True)],
    str: Annotated[str, Field(strict=True)],
}
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=4096)]
Texts = Annotated[Text | list[Text], BeforeValidator(lists)]


def _one_or_each(low: int, high: int) -> Any:
    """A whole number, or one for each stage."""
    one: Any = whole(low, high)
    many: Any = Annotated[list[one], Field(min_length=1, max_length=12)]
    return Annotated[one | many, BeforeValidator(lists)]


#: Options of networks, beside those whose type says enough.
NETWORK: dict[str, Any] = {
    "latent": whole(1, 16384),
    "style": whole(1, 4096),
    "width": _one_or_each(1, 4096),
    "blocks": _one_or_each(1, 64),
    "depth": whole(0, 64),
    "layers": whole(1, 64),
    "cardinality": whole(1, 4096),
    "expansion": whole(1, 64),
    "patch": whole(1, 64),
    "group": whole(1, 4096),
    "channel_base": whole(1, 2**20),
    "channel_max": whole(1, 4096),
    "first": whole(4, 4096),
    "hold": whole(0, 10**9),
    "fade": whole(0, 10**9),
    "rate": number(0, 1, open_low=True),
    "mixing": number(0, 1),
    "decay": number(0, 1, open_high=True),
    "dropout": number(0, 1, open_high=True),
}
#: Options of penalties.
PENALTY: dict[str, Any] = {
    "weight": scheduled(0),
    "every": whole(1, 10_000),
    "shift": whole(0, 4096),
    "noise": number(0, 100),
    "spread": number(0, 100),
    "decay": number(0, 1, open_high=True),
    "shrink": whole(1, 4096),
    "side": Literal["d", "g"],
}
#: Options of objectives.
OBJECTIVE: dict[str, Any] = {"real_target": number(0, 1, open_low=True)}
#: Options of picture sets (`ganlab.data.load`); which set takes which, the set itself says.
DATA: dict[str, Any] = {
    "count": whole(1, 10**8),
    "limit": whole(1, 10**8),
    "seed": whole(0, 2**32 - 1),
    "split": Literal["train", "test"],
    "characters": Text,
    "typefaces": Texts,
    "textures": Texts,
    "background": Text,
    "damaged": Literal["skip", "refuse"],
    "category": Text,
    "root": Text,
}
#: Parameters that the recipe itself decides.
OWN = frozenset({"self", "size", "channels", "out", "classes", "transform"})


def parameters(maker: Callable[..., Any]) -> dict[str, Any]:
    """name -> type of what a class or function takes; `**options` are those of its bases."""
    found: dict[str, Any] = {}
    makers: list[Any] = [maker]
    if isinstance(maker, type):
        makers = [vars(base)["__init__"] for base in maker.__mro__ if "__init__" in vars(base)]
    for one in makers:
        try:
            signature, hints = inspect.signature(one), typing.get_type_hints(one)
        except (TypeError, ValueError, NameError):
            break
        for name, p in signature.parameters.items():
            if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
                continue
            if name not in OWN:
                found.setdefault(name, hints.get(name, Any))
        if all(p.kind is not p.VAR_KEYWORD for p in signature.parameters.values()):
            break
    return found


def check(
    field: str, maker: Callable[..., Any], given: Any, known: dict[str, Any], of: str
) -> dict[str, Any]:
    """Options `given` to a maker, each within its bounds.

    Args:
        field: of the recipe, for the line.
        maker: the class or function that takes them.
        known: bounds of names; of others the type in the signature holds.
        of: what takes them, for people.

    Raises:
        RecipeError: one line: field and option, what was given, what is allowed.
    """
    table(field, given)
    takes = parameters(maker)
    out = {}
    for name, value in given.items():
        if name not in takes:
            raise RecipeError(f"{field}.{name}: " + unknown(f"option of {of}", str(name), takes))
        out[name] = checked(f"{field}.{name}", bound(name, takes[name], known), value)
    return out


def bound(name: str, annotation: Any, known: dict[str, Any]) -> Any:
    """The type that an option must have: the one known by its name, or its annotation, strictly."""
    if name in known and annotation is not bool:
        kind = known[name]
        return kind | None if type(None) in typing.get_args(annotation) else kind
    parts = typing.get_args(annotation) if annotation not in Strict else ()
    if parts and set(parts) <= {*Strict, type(None)}:
        kinds = [Strict.get(part, part) for part in parts]
        return typing.Union[tuple(kinds)]  # noqa: UP007 - of a list made here
    return Strict.get(annotation, annotation if isinstance(annotation, type) else Any)


def table(field: str, given: Any) -> dict[str, Any]:
    """`given`, unless it is no table of options."""
    if not isinstance(given, dict):
        raise RecipeError(f"{field}: takes options, as {field}.NAME=VALUE, not {given!r}")
    return given


def data(given: Any) -> dict[str, Any]:
    """Options of a picture set within their bounds."""
    table("data_options", given)
    for name in given:
        if name in ("size", "channels"):
            raise RecipeError(f"data_options.{name}: is a field of its own: {name}={given[name]}")
        if name not in DATA:
            raise RecipeError(f"data_options.{name}: " + unknown("option", str(name), DATA))
    return {k: checked(f"data_options.{k}", DATA[k], v) for k, v in given.items()}


def objective(name: str, given: Any) -> dict[str, Any]:
    """Options of an objective, tried out: it says itself what it refuses."""
    table("objective_options", given)
    if name not in losses.objectives():
        raise RecipeError("objective: " + unknown("objective", name, losses.objectives()))
    for key, value in given.items():
        if not isinstance(value, str):
            bounds = OBJECTIVE.get(key, number(-1e6, 1e6))
            checked(f"objective_options.{key}", bounds, value)
    losses.objective(name, **given)
    return dict(given)


def says_name() -> Any:
    """A recipe's name: also that of a folder."""
    return StringConstraints(pattern=r"^[\w .+-]*$", max_length=100)


def says_text() -> Any:
    """Text that says something."""
    return StringConstraints(min_length=1, max_length=4096)


def size(value: int | str | None) -> int | tuple[int, int] | None:
    """The field `size`: a side, or the (height, width) of "64x128"; squares as one number.

    Raises:
        RecipeError: it is none.
    """
    if not isinstance(value, str):
        return value
    try:
        return compact(*as_size(value))
    except DataError as error:
        raise RecipeError(str(error)) from error


def moving(value: float | str) -> bool:
    """Whether a field's value changes during the training."""
    return schedules.changes(value)
