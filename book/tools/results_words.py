"""What the page of results says of a result in words: its rates, its penalties, its verdict.

Nothing here is judgement: a verdict is arithmetic on the stored scores, so that it changes when
they do.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: Result -> the chapter that reads it; a test looks for the name there.
CHAPTERS = {
    "ch01-rivals": "01_generative_models",
    "mlp-mnist": "03_first_gan",
    "dcgan-ablation": "04_dcgan",
    "dcgan-cifar10": "04_dcgan",
    "dcgan-glyphs": "08_tricks",
    "dcgan-glyphs-color": "04_dcgan",
    "dcgan-mnist": "04_dcgan",
    "clipping": "06_wasserstein",
    "loss-and-quality": "06_wasserstein",
    "wgan-mnist": "06_wasserstein",
    "wgan-gp-mnist": "06_wasserstein",
    "fair": "07_objectives",
    "fair-points": "07_objectives",
    "modern-mnist": "07_objectives",
    "modes-points": "07_objectives",
    "modes-stacked": "07_objectives",
    "objectives": "07_objectives",
    "diagnosis": "08_tricks",
    "tricks": "08_tricks",
    "limited": "10_stylegan",
    "style-steps": "10_stylegan",
    "stylegan2-glyphs-64": "10_stylegan",
    "stylegan2-mnist-classes": "10_stylegan",
}
SURE = 2.0  # standard errors that a difference must exceed to be called one


def number(value: float, like: float | None = None) -> str:
    """A value with the digits that its size, or that of `like`, deserves."""
    size = abs(value if like is None else like)
    digits = next((d for limit, d in ((1, 3), (10, 2), (1000, 1)) if size < limit), 0)
    return f"{value:,.{digits}f}"


def spread(values: Iterable[float | None], scale: float = 1) -> str:
    """Mean ± standard deviation; counts have one digit, and values that are missing are told."""
    every = list(values)
    known = [scale * v for v in every if v is not None]
    if not known:
        return "none"
    mean = statistics.fmean(known)
    counts = scale == 1 and all(float(v).is_integer() for v in known)
    size = 10.0 if counts else mean
    if len(known) > 1:
        text = f"{number(mean, size)} ± {number(statistics.stdev(known), size)}"
    else:
        text = f"{mean:,.0f}" if counts else number(mean)
    return text if len(known) == len(every) else f"{text} ({len(known)} of {len(every)} seeds)"


def several(values: Iterable[Any], word: str = ", ") -> str:
    """Different values in order; whole numbers that follow each other as a range."""
    found = sorted(set(values))
    whole = all(isinstance(v, int) for v in found)
    if whole and len(found) > 3 and found[-1] - found[0] == len(found) - 1:
        return f"{found[0]} to {found[-1]}"
    return word.join(f"{v:,}" if isinstance(v, int) else str(v) for v in found)


def small(value: Any) -> str:
    """A rate or a weight as people write it: 2e-4, 0.05, or the schedule's own words."""
    if isinstance(value, str):
        return value
    if value and abs(value) < 0.01:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:g}"


def rates(plan: Mapping[str, Any]) -> str:
    """Learning rates of G and D; nothing if the recipe does not say."""
    values = [small(plan[key]) for key in ("g_lr", "d_lr") if key in plan]
    return values[0] if len(set(values)) == 1 and len(values) == 2 else ", ".join(values)


def penalties(plan: Mapping[str, Any]) -> str:
    """Penalties with their weights (γ of R1 and R2, λ of the others), as in `r1 1, r2 1`."""
    words = []
    for name, options in (plan.get("penalties") or {}).items():
        weight = options.get("weight") if isinstance(options, Mapping) else options
        every = options.get("every") if isinstance(options, Mapping) else None
        words.append(" ".join([name, *([small(weight)] if weight is not None else []),
                               *([f"every {every}"] if every else [])]))  # fmt: skip
    if plan.get("clip"):
        words.append(f"clip {small(plan['clip'])}")
    return ", ".join(words) or "none"


def changed(plan: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A stored recipe with a row's changes; of another recipe only what the row itself says."""
    return dict(changes) if "recipe" in changes else {**plan, **changes}


def different(these: Sequence[float], those: Sequence[float]) -> float:
    """Difference of two means in its standard errors (Welch); 0 where a spread is unknown."""
    if len(these) < 2 or len(those) < 2:
        return 0.0
    error = math.hypot(
        statistics.stdev(these) / math.sqrt(len(these)),
        statistics.stdev(those) / math.sqrt(len(those)),
    )
    gap = statistics.fmean(these) - statistics.fmean(those)
    return gap / error if error else math.copysign(math.inf, gap) if gap else 0.0


def verdict(rows: Mapping[str, Sequence[float]], larger: bool = False) -> str:
    """One line: which rows differ from the first by more than twice the standard error.

    Args:
        rows: label -> one value a seed; the first row is what the others are held against.
        larger: larger values are better.
    """
    labels = [label for label, values in rows.items() if values]
    if len(labels) < 2:
        return "one row: nothing to hold it against"
    first, *others = labels
    gaps = {label: different(rows[label], rows[first]) for label in others}
    sign = 1 if larger else -1
    better = [label for label in others if sign * gaps[label] > SURE]
    worse = [label for label in others if sign * gaps[label] < -SURE]
    if len(rows[first]) < 2 or all(len(rows[label]) < 2 for label in others):
        return "one seed a row: differences cannot be told from chance"

    def named(found: list[str]) -> str:
        return "; ".join(found) if found else "none"

    rest = len(others) - len(better) - len(worse)
    return (
        f"against *{first}*, beyond {SURE:g} standard errors, better: {named(better)}. Worse:"
        f" {named(worse)}. Not told apart: {rest}"
    )
