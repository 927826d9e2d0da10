"""What `ganlab evaluate` says: its table, and when a run's scores would say nothing."""

from __future__ import annotations

from typing import Any

from ganlab.errors import DataError


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
    from ganlab.metrics.features import pixels

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


def table(report: dict[str, Any]) -> str:
    """The report for people: a row a metric, then what the numbers depend on."""
    head = ("metric", "score", "real vs real", "better")
    cells = [
        (row["label"], _number(row["value"]), _number(row["floor"]), row["better"])
        for row in report["rows"].values()
    ]
    widths = [max(len(line[i]) for line in (head, *cells)) for i in range(3)]

    def line(row: tuple[str, ...]) -> str:
        name, score, floor, better = row
        return f"{name:{widths[0]}}  {score:>{widths[1]}}  {floor:>{widths[2]}}  {better}"

    learned = ""
    if report["accuracy"] is not None:
        learned = f" ({report['task']}, accuracy {report['accuracy']:.1%} on held-out pictures)"
    channels, height, width = report["shape"]
    floor = f"{report['floor_n']:,} against {report['floor_n']:,} other"
    lines = [
        f"{report['pictures']} against {report['data']}",
        *map(line, (head, *cells)),
        f"pictures   n = {report['n']} of {channels} x {height} x {width}, seed {report['seed']};"
        f" {report['data_count']:,} real ones, floor: {floor} real ones",
        f"features   {report['dims']}-d {report['features']}{learned}",
        f"resizer    {report['resizer']}",
        *(f"note       {note}" for note in report["notes"]),
    ]
    return "\n".join(lines)


def _number(value: float) -> str:
    """Four significant digits, without an exponent where people would not use one."""
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.2e}"
