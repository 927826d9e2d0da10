"""The repository's own promises: one address, agreeing versions, valid workflows, a true README."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import address
import execute
import first_cell
import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
OURS = address.read(ROOT)
HUB = "github" + ".com"  # in two parts, or this file would fail its own test
COLAB = "colab.research" + ".google.com"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


# ---- one address ----


def test_every_address_derives_from_the_one_place() -> None:
    assert address.check(ROOT) == []


@pytest.mark.parametrize(
    "text",
    [
        f"https://{HUB}/someone/ganlab",
        f"git+https://{HUB}/someone/ganlab.git@main",
        f"https://{HUB}/{OURS.repository}/blob/master/README.md",
        f"git+https://{HUB}/{OURS.repository}@other",
        f"https://{COLAB}/github/someone/ganlab/blob/{OURS.branch}/a.ipynb",
        f"https://{COLAB}/github/{OURS.repository}/blob/old/a.ipynb",
        f"https://raw.{HUB[:6]}usercontent.com/{OURS.repository}/old/a.png",
        f"https://raw.{HUB[:6]}usercontent.com/someone/else/{OURS.branch}/a.png",
        f"https://someone.{HUB[:6]}.io/ganlab/",
        f"https://elsewhere.{HUB[:6]}.io",
    ],
)
def test_an_address_of_another_place_is_found(text: str) -> None:
    assert address.strangers(text, OURS)


@pytest.mark.parametrize(
    "text",
    [
        OURS.url,
        f"{OURS.url}/issues",
        f"{OURS.url}/blob/{OURS.branch}/README.md",
        OURS.colab("02_minimax_game"),
        OURS.pip,
        OURS.site,
        f"{OURS.site}book/preface.html",
        "https://poloclub.github.io/ganlab/",
        "github.com is a host",
    ],
)
def test_our_own_address_passes(text: str) -> None:
    assert not address.strangers(text, OURS)


def test_a_new_address_is_written_everywhere(tmp_path: Path) -> None:
    for name in ("_config.yml", "pyproject.toml", "README.md", "CITATION.cff"):
        text = (ROOT / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "install.txt").write_text(f"pip install {OURS.pip}", encoding="utf-8")
    table = tmp_path / "pyproject.toml"
    head, mark, tail = table.read_text("utf-8").partition("[tool.ganlab]")
    for old, new in (
        (f'"{OURS.repository}"', '"new-owner/new.name"'),
        (f'"{OURS.branch}"', '"trunk"'),
        (f'"{OURS.site}"', f'"https://new-owner.{HUB[:6]}.io/new.name/"'),
    ):
        tail = tail.replace(old, new)
    table.write_text(head + mark + tail, encoding="utf-8")
    assert address.check(tmp_path)

    changed = {path.name for path in address.update(tmp_path)}
    assert changed == {"_config.yml", "pyproject.toml", "README.md", "CITATION.cff", "install.txt"}
    assert address.check(tmp_path) == []
    for path in tmp_path.iterdir():
        text = path.read_text(encoding="utf-8")
        assert OURS.repository not in text, path.name
        assert OURS.site not in text, path.name
    installs = (tmp_path / "install.txt").read_text(encoding="utf-8")
    assert installs == f"pip install git+https://{HUB}/new-owner/new.name@trunk"
    assert address.update(tmp_path) == []


def test_first_cell_does_nothing_outside_colab(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does in Colab stands in test_colab.py."""
    calls: list = []
    package = ModuleType("ganlab")
    package.lab = SimpleNamespace(setup=lambda: calls.append("setup"))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ganlab", package)
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    before = list(sys.path)
    monkeypatch.setattr(sys, "path", list(before))
    monkeypatch.setattr(subprocess, "run", lambda command, **_: calls.append(command))
    exec(first_cell.source(), {})
    assert calls == ["setup"]
    assert sys.path == before


def test_first_cell_is_written_into_notebooks_that_have_another(tmp_path: Path) -> None:
    old = nbformat.v4.new_notebook()
    old.cells = [nbformat.v4.new_markdown_cell("# A"), nbformat.v4.new_code_cell("lab.setup()")]
    nbformat.write(old, tmp_path / "a.ipynb")
    assert first_cell.renew(tmp_path / "a.ipynb")
    cells = nbformat.read(tmp_path / "a.ipynb", as_version=4).cells
    assert [cell.source for cell in cells] == ["# A", first_cell.source()]
    assert not first_cell.renew(tmp_path / "a.ipynb")


# ---- versions and dependencies ----

CONDA_NAMES = {"torch": "pytorch"}


def bounds(requirements: list[str]) -> dict[str, str]:
    found = {}
    for line in requirements:
        name, bound = re.fullmatch(r"([\w.-]+)(.*)", line.replace(" ", "")).groups()  # type: ignore
        found[name] = bound
    return found


def test_environment_and_pyproject_agree() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    listed = bounds([line for line in conda if isinstance(line, str)])
    project = pyproject()["project"]
    expected = bounds(project["dependencies"])
    expected = {CONDA_NAMES.get(name, name): bound for name, bound in expected.items()}
    expected["python"] = project["requires-python"]
    tools = {"pip", "nodejs"}
    assert {k: v for k, v in listed.items() if k not in tools} == expected
    pip = next(line["pip"] for line in conda if isinstance(line, dict))
    assert pip == ["-e .[book,test]"]


def test_core_dependencies_have_lower_bounds_only() -> None:
    for name, bound in bounds(pyproject()["project"]["dependencies"]).items():
        assert re.fullmatch(r">=[\d.]+", bound), name


def test_versions_agree() -> None:
    import ganlab

    version = pyproject()["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert ganlab.__version__ == version
    assert citation["version"] == version
    assert re.search(r"^## (\S+)", changes, re.MULTILINE)[1] == version  # type: ignore[index]


# ---- workflows ----


def validate(schema: str, files: list[Path]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    return subprocess.run(
        [*command, *map(str, files)], capture_output=True, text=True, encoding="utf-8"
    )


def test_workflows_follow_their_schema() -> None:
    assert {path.stem for path in WORKFLOWS} == {"checks", "gpu", "pages", "release", "weekly"}
    run = validate("github-workflows", WORKFLOWS)
    assert run.returncode == 0, run.stdout


def test_actions_and_citation_follow_their_schemas() -> None:
    assert validate("github-actions", ACTIONS).returncode == 0
    assert validate("citation-file-format", [ROOT / "CITATION.cff"]).returncode == 0


def test_a_broken_workflow_is_refused(tmp_path: Path) -> None:
    text = (ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8")
    (tmp_path / "broken.yml").write_text(text.replace("runs-on", "run-on"), encoding="utf-8")
    assert validate("github-workflows", [tmp_path / "broken.yml"]).returncode != 0


def load(name: str) -> dict:
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.BaseLoader)  # BaseLoader: `on` stays a word


def test_notebooks_run_on_a_gpu_whose_label_stands_in_one_place() -> None:
    job = load("gpu")["jobs"]["notebooks"]
    assert "vars.GPU_RUNNER" in job["runs-on"]
    assert any("make notebooks" in step.get("run", "") for step in job["steps"])
    elsewhere = [path for path in WORKFLOWS if path.stem != "gpu"]
    assert all("GPU_RUNNER" not in path.read_text(encoding="utf-8") for path in elsewhere)


def test_workflows_run_targets_that_exist() -> None:
    targets = make_targets()
    for path in [*WORKFLOWS, *ACTIONS, ROOT / ".ci" / "run"]:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"^\s*(?:- )?(?:run: )?make ([a-z-]+)$", text, re.MULTILINE):
            assert target in targets, f"{path.name}: make {target}"


# ---- Makefile, README, .ci/run ----


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_make_without_a_target_explains_every_main_target() -> None:
    run = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    for target in make_targets() - {"help", "guard", "lint", "types", "unit", "notebooks"}:
        assert f"make {target}" in run.stdout
    for target in ("lint", "types", "unit", "notebooks"):
        assert target in run.stdout
        assert target in make_targets()


def bare(makefile: str) -> list[str]:
    """Lines of recipes in which a path stands outside quotes, where a space would split it."""
    found = []
    for line in re.findall(r"^\t(.*)$", makefile, re.MULTILINE):
        rest = re.sub(r'"[^"]*"', "", re.sub(r"'[^']*'", "", line.replace(r"\"", "")))
        if re.search(r"\$\((PY|PYTHON|BIN|VENV|READY|SITE|CURDIR)\)|\$@", rest):
            found.append(line)
    return found


def test_paths_in_recipes_are_quoted() -> None:
    assert bare("\t$(PY) -m x\n") == ["$(PY) -m x"]
    assert bare("\t@\"$(BIN)\"/ruff\n\tfind . './$(VENV)/*'\n") == []
    assert bare((ROOT / "Makefile").read_text(encoding="utf-8")) == []


def test_make_book_builds_with_every_warning_an_error() -> None:
    run = subprocess.run(
        ["make", "-n", "book"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    build = next(line for line in run.stdout.splitlines() if "jupyter-book build" in line)
    assert {"-n", "-W", "--keep-going"} <= set(build.split())


def test_ci_runs_the_tests_and_builds_the_site() -> None:
    path = ROOT / ".ci" / "run"
    assert os.access(path, os.X_OK)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "set -euo pipefail" in lines
    assert [line for line in lines if line.startswith("make")] == [
        "make test",
        "make book",
        "make site-test",
    ]
    assert subprocess.run(["bash", "-n", str(path)]).returncode == 0


def test_readme_shows_results_commands_and_every_chapter() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z-]+)", readme):
        assert target in make_targets(), f"make {target}"
    picture = re.search(r"!\[[^\]]{15,}\]\((book/[^)]+)\)", readme)
    assert picture, "no picture of results"
    assert (ROOT / picture[1]).exists(), picture[1]
    assert readme.index("make book") < readme.index("## Chapters")
    for chapter in execute.chapters(ROOT):
        path = chapter.relative_to(ROOT).as_posix()
        assert f"({path})" in readme
        assert OURS.colab(Path(path).stem) in readme


def test_links_of_the_readme_to_files_exist() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!https?://|#)([^)]+)\)", text):
            assert (ROOT / link).exists(), f"{name}: {link}"


def test_vendored_mathjax_is_complete_and_licensed() -> None:
    folder = ROOT / "book" / "static" / "vendor" / "mathjax"
    assert '"3.2.2"' in (folder / "tex-mml-chtml.js").read_text(encoding="utf-8")
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert list((folder / "output" / "chtml" / "fonts" / "woff-v2").glob("*.woff"))
    extensions = {path.stem for path in (folder / "input" / "tex" / "extensions").glob("*.js")}
    assert {"ams", "boldsymbol", "cancel", "mathtools"} <= extensions


def test_no_folder_that_jupyter_book_would_put_on_every_page() -> None:
    assert not (ROOT / "_static").exists()
    assert not (ROOT / "book" / "_static").exists()


def test_notebook_checkpoints_and_builds_are_ignored() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {".venv/", "_build/", "node_modules/", ".ipynb_checkpoints/"} <= set(ignored)


def test_browser_tests_pin_what_they_install() -> None:
    lock = json.loads((ROOT / "tests" / "browser" / "package-lock.json").read_text("utf-8"))
    assert lock["packages"]["node_modules/playwright-core"]["integrity"].startswith("sha512-")


# ---- text in one encoding on every platform ----


def encoding_left_open(code: str) -> list[int]:
    """Lines that read or write text in the platform's own encoding."""
    found = []
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        words = {word.arg: word.value for word in call.keywords}
        method = call.func.attr if isinstance(call.func, ast.Attribute) else None
        owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else None
        if owner == "files" or "encoding" in words:
            continue
        if isinstance(call.func, ast.Name) and call.func.id == "open":
            mode = call.args[1] if len(call.args) > 1 else words.get("mode", ast.Constant("r"))
            if not (isinstance(mode, ast.Constant) and "b" in mode.value):
                found.append(call.lineno)
            continue
        whole = len(call.args) == {"read_text": 0, "write_text": 1}.get(method or "")
        if whole or (owner == "subprocess" and "text" in words):
            found.append(call.lineno)
    return found


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        ("path.read_text()", False),
        ("path.read_text('utf-8')", True),
        ("path.read_text(encoding='utf-8')", True),
        ("path.write_text(x)", False),
        ("path.write_text(x, 'utf-8')", True),
        ("files.write_text(path, x)", True),
        ("open(path)", False),
        ("open(path, 'a')", False),
        ("open(path, mode='wb')", True),
        ("open(path, 'rb')", True),
        ("open(path, encoding='utf-8')", True),
        ("subprocess.run(x, text=True)", False),
        ("subprocess.run(x)", True),
    ],
)
def test_an_encoding_left_open_is_found(code: str, passes: bool) -> None:
    assert (encoding_left_open(code) == []) == passes


@pytest.mark.parametrize("folder", ["ganlab", "benchmarks", "book/tools", "tests"])
def test_text_is_utf8_on_every_platform(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        lines = encoding_left_open(path.read_text(encoding="utf-8"))
        assert lines == [], f"{path.relative_to(ROOT)}: {lines}"
