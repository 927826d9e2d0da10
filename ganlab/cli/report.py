"""What `ganlab evaluate` says: its table."""

from __future__ import annotations

from typing import Any


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
