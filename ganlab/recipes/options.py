"""Options of networks, penalties and data, checked against what takes them.

Which options there are is read from the signature of what takes them; how far each may go stands
here, once for all families, since a name means the same in each.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from ganlab import losses
from ganlab.data.sizes import as_size, compact
from ganlab.errors import DataError, RecipeError, unknown
from ganlab.recipes.bounds import checked, lists, number, scheduled, whole

Strict = {
    int: whole(-(10**9), 10**9),
    float: number(-1e12),
    bool: Annotated[bool, Field(strict=True)],
    str: Annotated[str, Field(strict=True)],
}
Text = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=4096),
    WithJsonSchema({"type": "string", "words": "text of 1 to 4,096 characters"}),
]
#: A recipe's name is also that of a folder.
Name = Annotated[
    str,
    StringConstraints(pattern=r"^[\w .+-]*$", max_length=100),
    WithJsonSchema({"type": "string", "words": "text of letters, digits, spaces and . + - _"}),
]
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
    "fit": Literal["crop", "pad", "stretch"],
    "range": Text,
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
    field: str, maker: Callable[..., Any], given: dict[str, Any], known: dict[str, Any], of: str
) -> None:
    """Refuse options `given` to a maker that it does not take, or that are out of bounds.

    Args:
        field: of the recipe, for the line.
        maker: the class or function that takes them.
        known: bounds of names; of others the type in the signature holds.
        of: what takes them, for people.

    Raises:
        RecipeError: one line: field and option, what was given, what is allowed.
    """
    takes = parameters(maker)
    for name, value in given.items():
        if name not in takes:
            raise RecipeError(f"{field}.{name}: " + unknown(f"option of {of}", str(name), takes))
        checked(f"{field}.{name}", bound(name, takes[name], known), value)


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


def check_data(given: dict[str, Any]) -> None:
    """Refuse options of a picture set that are none, or out of bounds."""
    for name, value in given.items():
        if name in ("size", "channels"):
            raise RecipeError(f"data_options.{name}: is a field of its own: {name}={value}")
        if name not in DATA:
            raise RecipeError(f"data_options.{name}: " + unknown("option", str(name), DATA))
        checked(f"data_options.{name}", DATA[name], value)


def check_objective(name: str, given: dict[str, Any]) -> None:
    """Refuse an objective's name or options; they are tried out, it says itself what it takes."""
    if name not in losses.objectives():
        raise RecipeError("objective: " + unknown("objective", name, losses.objectives()))
    for key, value in given.items():
        if not isinstance(value, str):
            bounds = OBJECTIVE.get(key, number(-1e6, 1e6))
            checked(f"objective_options.{key}", bounds, value)
    losses.objective(name, **given)


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
