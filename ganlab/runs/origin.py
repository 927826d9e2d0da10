"""Whether a set of pictures is the one that a run has learned from."""

from __future__ import annotations

from typing import Any

from ganlab.errors import DataError
from ganlab.metrics.features import pixels


def same_data(run: Any, real: Any = None) -> None:
    """Refuse to score a run against a set that it has not learned from.

    The recipe names a set; `ganlab.train(recipe, data=mine)` learns from another, and what it
    was is in `about.json`: its name, the number of its pictures, a digest of the first.

    Args:
        run: a `Run`.
        real: what the recipe names, once it is loaded; before that only the name is compared.

    Raises:
        DataError: it is another set.
    """
    about, instead = run.about, "name the real pictures with --against"
    name = about.get("data") or run.recipe.data
    if name != run.recipe.data:
        raise DataError(
            f"{run.folder} learned from '{name}', which was handed over, not from"
            f" '{run.recipe.data}' as its recipe says: {instead}"
        )
    if real is None or run.recipe.points:
        return
    count = about.get("count") or len(real)
    if count != len(real):
        raise DataError(
            f"{run.folder} learned from {count:,} pictures named '{name}', and the set of that name"
            f" has {len(real):,} here: {instead}"
        )
    if about.get("pixels") and about["pixels"] != pixels(real):
        raise DataError(
            f"{run.folder} learned from other pictures than '{name}' has here: {instead}"
        )
