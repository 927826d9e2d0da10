"""The notebooks' own hygiene, and the programs that run and vary them.

Each rule is applied to every chapter, and each is shown to fail on a notebook that breaks it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import execute
import first_cell
import hygiene
import nbformat
import pytest
import variants
import yaml
from nbformat import NotebookNode
from references import References

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = execute.chapters(ROOT)
REFS = References()
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
STAMP = "*Last run: 2026-11-21, CPU (2 cores), torch 2.15.0, 12 s, profile standard.*"


def code(source: str, *tags: str, outputs: list | None = None) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(source, outputs=outputs or [])
    if tags:
        cell.metadata["tags"] = list(tags)
    return cell


def text(source: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(source)


def picture() -> NotebookNode:
    return nbformat.v4.new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"})


def good() -> NotebookNode:
    """Return a notebook that keeps every rule."""
    drawn = code("plt.plot(xs, ys)\nplt.show()", outputs=[picture()])
    drawn.metadata["mystnb"] = {"image": {"alt": "A curve that falls from one to zero."}}
    checked = nbformat.v4.new_output("stream", name="stdout", text="12\n")
    cells = [
        text(f"# A sample\n\nWhat you will do.\n\n{hygiene.MARKER}\n{STAMP}"),
        nbformat.v4.new_code_cell(first_cell.source(), metadata=first_cell.metadata()),
        code("import matplotlib.pyplot as plt\nxs, ys = [0, 1], [1, 0]", "setup"),
        text("## See it first"),
        drawn,
        text("## Predict, then run"),
        text("## Theory"),
        code("print(3 * 4)", "nbval-check-output", outputs=[checked]),
        text("## The code\n\n```python\n# not a heading\n```"),
        text("## The experiment"),
        text("## What goes wrong"),
        text("## Takeaways\n\n* One line."),
        text("## Exercises\n\n```{exercise} Twelve\n:label: s-one\nReturn twelve.\n```"),
        code("def twelve():\n    ...", "exercise"),
        code('lab.check("9.1", twelve)', "check"),
        text("```{solution-start} s-one\n:class: dropdown\n```\n\nThree times four."),
        code('def twelve():\n    return 12\n\n\nlab.check("9.1", twelve)', "solution"),
        text("```{solution-end}\n```"),
        text("## Recall questions"),
        text("## References and next"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    execute.normalise(notebook)
    for count, (_, cell) in enumerate(hygiene.code_cells(notebook), 1):
        cell.execution_count = count
    return notebook


def test_the_good_notebook_keeps_every_rule() -> None:
    assert hygiene.problems(good()) == []


Break = Callable[[NotebookNode], object]


def find(notebook: NotebookNode, part: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if part in cell.source)


def drop(notebook: NotebookNode, part: str) -> None:
    notebook.cells.remove(find(notebook, part))


def swap_text(part: str, old: str, new: str) -> Break:
    def change(notebook: NotebookNode) -> None:
        cell = find(notebook, part)
        cell.source = cell.source.replace(old, new)

    return change


def add_output(**output: object) -> Break:
    def change(notebook: NotebookNode) -> None:
        kind = str(output["output_type"])
        values = {key: value for key, value in output.items() if key != "output_type"}
        find(notebook, "plt.plot").outputs.append(nbformat.v4.new_output(kind, **values))

    return change


def add_kind(kind: str, data: str = "x") -> Break:
    return add_output(output_type="display_data", data={kind: data})


BREAKS: dict[str, tuple[Callable, Break]] = {
    "another kernel": (hygiene.kernel, lambda n: n.metadata.kernelspec.update(name="conda")),
    "no kernel": (hygiene.kernel, lambda n: n.metadata.pop("kernelspec")),
    "widget state": (hygiene.kernel, lambda n: n.metadata.update(widgets={})),
    "cell timing": (hygiene.metadata, lambda n: n.cells[1].metadata.update(execution={})),
    "not valid": (hygiene.valid, lambda n: n.cells[1].pop("outputs")),
    "not run": (
        hygiene.execution_order,
        lambda n: find(n, "plt.plot").update(execution_count=None),
    ),
    "run out of order": (
        hygiene.execution_order,
        lambda n: find(n, "plt.plot").update(execution_count=99),
    ),
    "an error": (
        hygiene.no_errors,
        add_output(output_type="error", ename="ValueError", evalue="no", traceback=[]),
    ),
    "stderr": (hygiene.no_stderr, add_output(output_type="stream", name="stderr", text="w")),
    "150 kB of text": (
        hygiene.output_size,
        add_output(output_type="stream", name="stdout", text="x" * 150_001),
    ),
    "two pictures": (
        hygiene.output_kinds,
        lambda n: find(n, "plt.plot").outputs.append(picture()),
    ),
    "SVG": (hygiene.output_kinds, add_kind("image/svg+xml")),
    "PDF": (hygiene.output_kinds, add_kind("application/pdf")),
    "widget": (hygiene.output_kinds, add_kind("application/vnd.jupyter.widget-view+json")),
    "HTML video": (hygiene.output_kinds, add_kind("text/html", "<video controls>")),
    "HTML script": (hygiene.output_kinds, add_kind("text/html", "<script>")),
    "progress bar": (
        hygiene.output_kinds,
        add_output(output_type="stream", name="stdout", text=" 12%|###   | 3/25 [00:01"),
    ),
    "no alt text": (hygiene.alt_text, lambda n: find(n, "plt.plot").metadata.pop("mystnb")),
    "empty alt text": (
        hygiene.alt_text,
        lambda n: find(n, "plt.plot").metadata.mystnb.image.update(alt="plot"),
    ),
    "marker with a word more": (
        hygiene.nbval_markers,
        swap_text("print(3", "print", "# NBVAL_CHECK_OUTPUT (theory)\nprint"),
    ),
    "marker behind code": (
        hygiene.nbval_markers,
        swap_text("print(3", "print(3 * 4)", "print(3)  # NBVAL_CHECK_OUTPUT"),
    ),
    "misspelt marker": (
        hygiene.nbval_markers,
        swap_text("print(3", "print", "# NBVAL_CHECK_OUTPUTS\nprint"),
    ),
    "marker that readers see": (
        hygiene.nbval_markers,
        swap_text("print(3", "print", "# NBVAL_CHECK_OUTPUT\nprint"),
    ),
    "misspelt tag": (
        hygiene.nbval_markers,
        lambda n: find(n, "print(3").metadata.tags.append("nbval-check-outputs"),
    ),
    "another first cell": (
        hygiene.opening_cell,
        swap_text("lab.setup()", "import sys", ""),
    ),
    "first cell without tags": (hygiene.opening_cell, lambda n: n.cells[1].metadata.pop("tags")),
    "long line": (hygiene.line_length, swap_text("plt.plot", "xs, ys", "xs, ys" + " " * 70 + ")")),
    "no marker": (hygiene.last_run, swap_text("# A sample", hygiene.MARKER, "")),
    "marker not filled": (hygiene.last_run, swap_text("# A sample", STAMP, "")),
    "no takeaways": (hygiene.sections, lambda n: drop(n, "## Takeaways")),
    "recall before exercises": (
        hygiene.sections,
        lambda n: (drop(n, "## Recall"), n.cells.insert(3, text("## Recall questions"))),
    ),
    "two titles": (hygiene.sections, swap_text("## Theory", "## Theory", "# Theory")),
    "no check": (hygiene.exercises, lambda n: drop(n, '\nlab.check("9.1"') or drop(n, "lab.check")),
    "solution outside its gate": (hygiene.exercises, lambda n: drop(n, "{solution-end}")),
    "wrong number": (hygiene.exercises, swap_text('lab.check("9.1"', '"9.1"', '"9.3"')),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_rule_is_found(name: str) -> None:
    rule, breaks = BREAKS[name]
    notebook = good()
    breaks(notebook)
    assert list(rule(notebook)), f"{rule.__name__} accepts a notebook with {name}"


def test_every_rule_has_a_notebook_that_breaks_it() -> None:
    assert {rule for rule, _ in BREAKS.values()} == set(hygiene.RULES)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def test_the_contents_name_files_that_exist() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"]]
    files += [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    missing = [f for f in files if not any((ROOT / f"{f}{s}").exists() for s in (".md", ".ipynb"))]
    assert not missing


@pytest.mark.parametrize("rule", hygiene.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path: Path, rule: Callable) -> None:
    assert not list(rule(read(path)))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_exercise_can_be_checked_and_solved(path: Path) -> None:
    program = ROOT / "book" / "tools" / "variants.py"
    run = subprocess.run(
        [sys.executable, str(program), "--try", str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT / "book",
        timeout=300,
        encoding="utf-8",
    )
    assert run.returncode == 0, run.stderr[-3000:]
    results = json.loads(run.stdout.splitlines()[-1])
    numbers = [number for number, _ in results["student"]]
    assert numbers, "the chapter has no exercise"
    assert numbers == [number for number, _ in results["solution"]]
    assert {status for _, status in results["student"]} == {"not started"}, results["student"]
    assert {status for _, status in results["solution"]} == {"passed"}, results["solution"]


def test_student_variant_holds_no_solution() -> None:
    student = variants.student(good())
    whole = "\n".join(cell.source for cell in student.cells)
    assert "return 12" not in whole
    assert "Three times four" not in whole
    assert "solution-" not in whole
    assert "def twelve" in whole
    assert "## Recall questions" in whole
    assert "Last run" not in whole


def test_solution_variant_replaces_the_starter() -> None:
    solution = variants.solution(good())
    whole = "\n".join(cell.source for cell in solution.cells)
    assert whole.count("def twelve") == 1
    assert "return 12" in whole
    assert "Three times four." in whole
    assert "solution-start" not in whole
    assert "solution-end" not in whole


def test_read_variant_closes_the_solution() -> None:
    made = variants.read(good())
    answers = [cell.source for cell in made.cells if "return 12" in cell.source]
    assert len(answers) == 1
    assert answers[0].startswith("::::::{dropdown} Solution\nThree times four.\n\n```python\ndef")
    assert "Three times four." in answers[0]
    assert "solution-" not in "".join(cell.source for cell in made.cells)
    counts = [cell.execution_count for _, cell in hygiene.code_cells(made)]
    assert counts == list(range(1, len(counts) + 1))


def test_variants_have_stable_names(tmp_path: Path) -> None:
    nbformat.write(good(), tmp_path / "09_sample.ipynb")
    refs = REFS.with_chapter(tmp_path / "09_sample.ipynb", 9)
    written = variants.write(tmp_path / "09_sample.ipynb", tmp_path / "class", refs)
    names = [path.relative_to(tmp_path / "class").as_posix() for path in written]
    assert names == [f"{kind}/09_sample.ipynb" for kind in ("read", "student", "solution")]
    before = [path.read_bytes() for path in written]
    variants.write(tmp_path / "09_sample.ipynb", tmp_path / "class", refs)
    assert before == [path.read_bytes() for path in written]
    outputs = []
    for path in written:
        notebook = read(path)
        nbformat.validate(notebook)
        outputs.append(any(cell.outputs for _, cell in hygiene.code_cells(notebook)))
    assert outputs == [True, False, True]


def sample(tmp_path: Path) -> Path:
    """Write a short notebook, as a writer would hand it in: not run, no first cell."""
    notebook = good()
    notebook.cells = [c for c in notebook.cells if not {"check", "solution"} & set(hygiene.tags(c))]
    drop(notebook, "lab.setup()")
    find(notebook, "# A sample").source = f"# A sample\n\n{hygiene.MARKER}\n\nText."
    find(notebook, "plt.plot").metadata["collapsed"] = True
    notebook.metadata.kernelspec.name = "conda-x"
    for _, cell in hygiene.code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, tmp_path / "sample.ipynb")
    return tmp_path / "sample.ipynb"


def test_execute_runs_stamps_and_cleans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLAB_PROFILE", "quick")
    path = sample(tmp_path)
    left = execute.execute(path, "quick", timeout=120)
    assert [problem for problem in left if not problem.startswith("exercises")] == []
    notebook = read(path)
    assert "Text." in notebook.cells[0].source
    assert ", profile quick.*" in notebook.cells[0].source
    shown = find(notebook, "plt.plot").outputs
    assert [set(output.data) for output in shown] == [{"text/plain", "image/png"}]
    execute.stamp(notebook, STAMP)
    assert notebook.cells[0].source.count("Last run") == 1


def test_execute_leaves_a_notebook_that_fails(tmp_path: Path, monkeypatch) -> None:
    path = sample(tmp_path)
    before = path.read_bytes()

    def too_much(notebook: NotebookNode, *_: object) -> tuple[str, str, float]:
        output = nbformat.v4.new_output("stream", name="stdout", text="x" * 200_000)
        find(notebook, "plt.plot").outputs.append(output)
        return "CPU", "2.15.0", 1.0

    monkeypatch.setattr(execute, "run", too_much)
    with pytest.raises(ValueError, match="200 kB"):
        execute.execute(path, "quick", timeout=10)
    assert path.read_bytes() == before
