"""Write ``book/all_results.md``: every result that is stored in ``book/results``, on one page.

``python book/tools/results_page.py`` writes it; a test fails if it is not what this would write.
A result of a form that is not known here stops it, so that none is left out.
"""

from __future__ import annotations

import json
from pathlib import Path

from results_kinds import diagnosis, fair, minutes, points, rows, search, seeds, stacks

BOOK = Path(__file__).resolve().parents[1]
RESULTS, PAGE = BOOK / "results", BOOK / "all_results.md"

HEAD = """\
# All results

Every score that the chapters report, as it is stored in `book/results`; this page is written
from those files. A score is the mean over seeds ± their standard deviation. Its *floor* is the
same score of real samples against other real ones, in the same number: the best that can be
expected. Fréchet distances are taken in the features of a small classifier, so they compare
within one fingerprint of its weights, never across two, and never with published FIDs. A verdict
is arithmetic: it names the rows whose mean differs from the first row's by more than twice the
standard error of the difference. Minutes were spent on shared machines. A commit that ends in
`-dirty` had changes that were committed later; such results are marked: they are due to be
made again.
"""

#: Headings, and how results are told by what they hold: the first that fits.
KINDS = (
    ("Trained generators", lambda r: "runs" in r, seeds),
    ("Stacked digits", lambda r: "judge" in r, stacks),
    ("Failures, made and mended", lambda r: "sound" in r, diagnosis),
    ("Modes of points", lambda r: "protocol" in r, points),
    ("One change at a time", lambda r: "rows" in r, rows),
    ("Settings that were tried", lambda r: "models" in r, search),
    ("The same search for every family", lambda r: "families" in r, fair),
)
ORDER = (0, 6, 4, 3, 1, 2, 5)  # of the headings on the page


def page(folder: Path = RESULTS) -> str:
    """The text of the page.

    Raises:
        ValueError: a result of a form that is not known.
    """
    sections: dict[str, list[str]] = {KINDS[i][0]: [] for i in ORDER}
    total = 0.0
    for path in sorted(folder.glob("*/*.json")):
        if path.name == "progress.json":  # the steps of a picture, no score
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        name = path.parent.name + ("" if path.stem == "results" else f": {path.stem}")
        found = [(title, make) for title, fits, make in KINDS if fits(result)]
        if not found:
            raise ValueError(f"{path} has a form that book/tools/results_page.py does not know")
        title, make = found[0]
        sections[title].append(make(name, f"{path.parent.name}/{path.name}", result))
        total += minutes(result)
    count = sum(map(len, sections.values()))
    parts = [f"## {title}\n\n" + "\n".join(made) for title, made in sections.items() if made]
    return "\n".join([HEAD, f"{count} results, {total / 60:.1f} hours of training.\n", *parts])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
