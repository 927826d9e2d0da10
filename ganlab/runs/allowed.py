"""Which fields of a run may have another value after a resume, once somebody says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ganlab.errors import RecipeError, unknown
from ganlab.recipes import BaseRecipe

_LEARNED = "it learns from these pictures: begin a new run with --from this one"
_SHAPED = "the networks are made of it: begin a new run with --from this one"
_KEPT = "the checkpoint holds what only the old value can use"
_OTHER = "that is another game: begin a new run with --from this one"
#: Fields that no word allows, each with the reason; any other may change.
FIXED = {
    **dict.fromkeys(("data", "data_options", "data_count", "size", "channels"), _LEARNED),
    **dict.fromkeys(("network", "generator", "discriminator", "options", "method"), _SHAPED),
    **dict.fromkeys(("classes", "pack"), _SHAPED),
    **dict.fromkeys(("optimizer", "augment", "pool"), _KEPT),
    **dict.fromkeys(("game", "objective", "objective_options"), _OTHER),
    "seed": "all that was drawn so far came from it",
    "world": "each process has its own random numbers: start as many as before",
}
#: Fields whose value may change, but not from none or to none.
LASTING = ("half_life", "augment_p")


class Allowed:
    """What may differ between a checkpoint and the training that goes on from it.

    Args:
        plan: the recipe of that training.
        words: names of fields, or of one option of a table as `penalties.r1`.
        resume: whether a run is resumed.

    Called as `ganlab.training.Trainer` calls a judge.

    Raises:
        RecipeError: a word is no field, or of a field that cannot change; or nothing is resumed.
    """

    def __init__(self, plan: BaseRecipe, words: str | Sequence[str], resume: bool) -> None:
        split = words.split(",") if isinstance(words, str) else words
        self.words = {str(word).strip() for word in split} - {""}
        if self.words and not resume:
            raise RecipeError(
                "allow: a new run has no value to change: leave it out, or resume a run"
            )
        fields = [key for key in type(plan).model_fields if key != "game"]
        for word in sorted(self.words):
            field = word.split(".")[0]
            if field not in fields:
                raise RecipeError("allow: " + unknown("field", word, fields))
            if field in FIXED:
                raise RecipeError(f"allow: {word} cannot change, because {FIXED[field]}")

    def __call__(self, key: str, before: Any, now: Any) -> str | None:
        """Why `key` may not go from one value to another; None if it may."""
        field = key.split(".")[0]
        if field in FIXED:
            return FIXED[field]
        if field == "steps" and (before is None or now is None):
            return None  # it counts only while something moves over them
        why = self._never(key, before, now)
        if why is None and not {key, field} & self.words:
            return f"--allow {field} if you mean it"
        return why

    def _never(self, key: str, before: Any, now: Any) -> str | None:
        if key in LASTING and not (before and now):
            return "it cannot be turned on or off"
        if key.startswith("penalties.") and _but_weight(before) != _but_weight(now):
            return "of a penalty only the weight can change"
        return None


def _but_weight(value: Any) -> Any:
    """The options of a penalty without its weight; None if there is no penalty."""
    if isinstance(value, dict):
        return {k: v for k, v in value.items() if k != "weight"}
    return None if value is None else {}
