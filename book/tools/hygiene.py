"""The rules that every committed notebook keeps, each as a function that returns complaints.

``python book/tools/hygiene.py book/02_minimax_game.ipynb`` prints what is wrong with a notebook.
The tests apply the same rules to all chapters.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import first_cell
import nbformat
from nbformat import NotebookNode

OUTPUT_LIMIT = 150_000  # bytes a cell
LINE_LIMIT = 75  # characters: what fits in the site's text column
MARKER = "<!-- last-run -->"
STAMP = re.compile(
    r"^\*Last run: \d{4}-\d\d-\d\d, .+, torch \S+, \d+ s, profile (quick|standard|full)\.\*$"
)
SECTIONS = (
    "See it first",
    "Predict, then run",
    "Theory",
    "The code",
    "The experiment",
    "What goes wrong",
    "Takeaways",
    "Exercises",
    "Recall questions",
    "References and next",
)
CLOSING = SECTIONS[-5:]  # these five stand in this order at the end
NBVAL = {"nbval-check-output", "nbval-ignore-output", "nbval-skip", "nbval-raises-exception"}
MIMETYPES = {"text/plain", "text/html", "text/markdown", "text/latex", "image/png"}
HEAVY_HTML = re.compile(r"<(video|audio|script|iframe|img|svg|object|embed)\b", re.IGNORECASE)
PROGRESS = re.compile(r"\d+%\|.*\||\d(it/s|s/it)\]")
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}  # code that the site hides
CELL_METADATA = {"tags", "mystnb"}

Rule = Callable[[NotebookNode], Iterator[str]]


def tags(cell: NotebookNode) -> list[str]:
    """Return the tags of `cell`."""
    return list(cell.metadata.get("tags", []))


def code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """Return the code cells that hold code, with their positions in the notebook."""
    cells = enumerate(notebook.cells)
    return [(i, c) for i, c in cells if c.cell_type == "code" and c.source.strip()]


def outputs(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode, NotebookNode]]:
    """Yield (position, cell, output) for every stored output."""
    for i, cell in code_cells(notebook):
        for output in cell.outputs:
            yield i, cell, output


def headings(notebook: NotebookNode, level: int) -> list[str]:
    """Return the headings of one level, in order."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"^(`{3,}|:{3,}).*?^\1", "", cell.source, flags=re.MULTILINE | re.DOTALL)
            found += re.findall(rf"^{'#' * level} +(.+?)\s*$", text, re.MULTILINE)
    return found


def valid(notebook: NotebookNode) -> Iterator[str]:
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        yield f"not a valid notebook: {error.message}"


def kernel(notebook: NotebookNode) -> Iterator[str]:
    name = notebook.metadata.get("kernelspec", {}).get("name")
    if name != "python3":
        yield f"kernelspec is {name!r}, not 'python3'"
    if "widgets" in notebook.metadata:
        yield "the notebook stores widget state"


def metadata(notebook: NotebookNode) -> Iterator[str]:
    for i, cell in enumerate(notebook.cells):
        if extra := set(cell.metadata) - CELL_METADATA:
            yield f"cell {i}: metadata {sorted(extra)} (only {sorted(CELL_METADATA)} belong there)"
        if cell.get("attachments"):
            yield f"cell {i}: an attached file"


def execution_order(notebook: NotebookNode) -> Iterator[str]:
    counts = [cell.execution_count for _, cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}: run the notebook from top to bottom"


def no_errors(notebook: NotebookNode) -> Iterator[str]:
    for i, _, output in outputs(notebook):
        if output.output_type == "error":
            yield f"cell {i}: stores the error {output.ename}: {output.evalue[:80]}"


def no_stderr(notebook: NotebookNode) -> Iterator[str]:
    for i, _, output in outputs(notebook):
        if output.output_type == "stream" and output.name == "stderr":
            yield f"cell {i}: stores stderr: {output.text[:80]!r}"


def output_size(notebook: NotebookNode) -> Iterator[str]:
    for i, cell in code_cells(notebook):
        size = len(json.dumps(cell.outputs).encode())
        if size > OUTPUT_LIMIT:
            yield f"cell {i}: {size // 1000} kB of output (at most {OUTPUT_LIMIT // 1000})"


def output_kinds(notebook: NotebookNode) -> Iterator[str]:
    pictures: Counter[int] = Counter()
    for i, _, output in outputs(notebook):
        data = output.get("data", {})
        pictures[i] += "image/png" in data
        if others := set(data) - MIMETYPES:
            yield f"cell {i}: output of kind {sorted(others)}"
        if found := HEAVY_HTML.search("".join(data.get("text/html", ""))):
            yield f"cell {i}: HTML output with {found[0]}>"
        if PROGRESS.search(output.get("text", "")):
            yield f"cell {i}: a progress bar in the output"
    for i, count in pictures.items():
        if count > 1:
            yield f"cell {i}: {count} pictures (at most one a cell)"


def alt_text(notebook: NotebookNode) -> Iterator[str]:
    for i, cell, output in outputs(notebook):
        if "image/png" in output.get("data", {}):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            if len(alt) < 15:
                yield f"cell {i}: its picture has no alt text in metadata mystnb.image.alt"


def nbval_markers(notebook: NotebookNode) -> Iterator[str]:
    for i, cell in code_cells(notebook):
        if "NBVAL" in cell.source:
            yield f"cell {i}: readers see the marker: make it a tag, as nbval-check-output"
        for tag in tags(cell):
            if tag.startswith("nbval") and tag not in NBVAL:
                yield f"cell {i}: nbval ignores the tag {tag!r}"


def opening_cell(notebook: NotebookNode) -> Iterator[str]:
    cells = code_cells(notebook)
    if not cells or cells[0][1].source != first_cell.source():
        yield "the first code cell is not the standard one (book/tools/first_cell.py NOTEBOOK)"
    elif cells[0][1].metadata != first_cell.metadata():
        yield f"the first code cell's metadata are not {first_cell.metadata()}"


def line_length(notebook: NotebookNode) -> Iterator[str]:
    for i, cell in code_cells(notebook):
        for line in cell.source.splitlines():
            if len(line) > LINE_LIMIT:
                yield f"cell {i}: {len(line)} characters (at most {LINE_LIMIT}): {line.strip()}"


def last_run(notebook: NotebookNode) -> Iterator[str]:
    opening = next((c.source for c in notebook.cells if c.cell_type == "markdown"), "")
    lines = opening.splitlines()
    if lines.count(MARKER) != 1:
        yield f"the first cell needs one line {MARKER}"
    elif not STAMP.match((lines[lines.index(MARKER) + 1 :] or [""])[0]):
        yield f"no 'Last run' line below {MARKER}: run book/tools/execute.py"


def sections(notebook: NotebookNode) -> Iterator[str]:
    if len(titles := headings(notebook, 1)) != 1:
        yield f"a chapter has one title, found {titles}"
    found = headings(notebook, 2)

    def place(section: str) -> int | None:
        return next((i for i, h in enumerate(found) if h.startswith(section)), None)

    missing = [section for section in SECTIONS if place(section) is None]
    if missing:
        yield f"missing sections: {missing}"
    places = [p for p in map(place, CLOSING) if p is not None]
    if places != sorted(places):
        yield f"the closing sections stand in another order than {list(CLOSING)}"


def exercises(notebook: NotebookNode) -> Iterator[str]:
    """Starter, check, gated solution; checks numbered chapter.1, chapter.2, ... in order."""
    shape, numbers = "", []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for directive in re.findall(r"\{(solution-(?:start|end))\}", cell.source):
                shape += "(" if directive == "solution-start" else ")"
        else:
            kinds = {"exercise": "e", "check": "c", "solution": "s"}
            shape += "".join(kinds[tag] for tag in tags(cell) if tag in kinds)
            if "check" in tags(cell):
                numbers += re.findall(r"lab\.check\(\s*[\"']([\d.]+)[\"']", cell.source)
    if not re.fullmatch(r"(ec\(s+\))+", shape):
        yield (
            f"exercises read {shape!r}; each must be a starter cell (e), a check cell (c), "
            "then solution cells (s) between {solution-start} and {solution-end}"
        )
    if numbers:
        chapter = numbers[0].split(".")[0]
        expected = [f"{chapter}.{k}" for k in range(1, len(numbers) + 1)]
        if numbers != expected:
            yield f"checks are numbered {numbers}, not {expected}"


RULES: tuple[Rule, ...] = (
    *(valid, kernel, metadata, execution_order, no_errors, no_stderr, output_size),
    *(output_kinds, alt_text, nbval_markers, opening_cell, line_length, last_run, sections),
    exercises,
)


def problems(notebook: NotebookNode) -> list[str]:
    """Return every complaint of every rule."""
    return [complaint for rule in RULES for complaint in rule(notebook)]


def main() -> None:
    count = 0
    for name in sys.argv[1:]:
        for problem in problems(nbformat.read(name, as_version=4)):
            print(f"{Path(name).name}: {problem}")
            count += 1
    sys.exit(bool(count))


if __name__ == "__main__":
    main()
