"""The pages of the package: a heading for every module, formulas that parse; and one Python."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import tomllib
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import docutils.core
import plain_docstrings
import pytest
import yaml
from docutils import nodes
from docutils.parsers.rst import roles
from matplotlib.mathtext import MathTextParser
from sphinx.ext.napoleon import Config, GoogleDocstring

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "book" / "api.md", *sorted(ROOT.glob("book/api/*.md"))]

# ---- a heading for every module ----

SECTION = re.compile(
    r"^### (?P<title>\S[^`\n]*) `(?P<module>[\w.]+)`\n\n"
    r"```\{eval-rst\}\n\.\. automodule:: (?P=module)\n(   :members:(?P<members>.*)\n)?```$",
    re.MULTILINE,
)


def sections(text: str) -> dict[str, str | None]:
    """Module -> the members that its page names; "" for all, None for none.

    Raises:
        AssertionError: an automodule without a heading that names it, or a module twice.
    """
    found = list(SECTION.finditer(text))
    asked = re.findall(r"\.\. auto\w+:: (\S+)", text)
    alone = Counter(asked) - Counter(match["module"] for match in found)
    assert not alone, f"under no heading of their own: {sorted(alone)}"
    twice = [name for name, count in Counter(asked).items() if count > 1]
    assert not twice, f"more than once: {twice}"
    return {match["module"]: match["members"] for match in found}


@functools.cache
def documented() -> dict[str, str | None]:
    return sections("\n".join(page.read_text(encoding="utf-8") for page in PAGES))


def public(on_pages: dict[str, str | None]) -> set[str]:
    """The ground, the fronts, and every module that a front hands on or takes a name from."""
    loose = {path.stem for path in ROOT.glob("ganlab/*.py")} - {"__init__", "__main__"}
    rooms = {path.parent.name for path in ROOT.glob("ganlab/*/__init__.py")}
    found = {"ganlab"} | {f"ganlab.{name}" for name in loose | rooms}
    for room in sorted(rooms):
        front = importlib.import_module(f"ganlab.{room}")
        here = on_pages.get(front.__name__)
        for name in getattr(front, "__all__", ()):
            value = getattr(front, name)
            if isinstance(value, types.ModuleType):
                found.add(value.__name__)
            elif here != "" and name not in (here or "").replace(",", " ").split():
                home = getattr(value, "__module__", None) or ""
                found |= {home} if home.startswith("ganlab.") else set()
    return found


def test_every_public_module_has_one_heading_with_its_introduction_below() -> None:
    missing = public(documented()) - set(documented())
    assert not missing
    for name in documented():
        module = importlib.import_module(name)
        assert module.__doc__, name
        assert len(module.__doc__.split("\n")[0]) > 15, name


def test_members_that_a_page_names_are_there() -> None:
    for name, members in documented().items():
        module = importlib.import_module(name)
        assert [m for m in re.findall(r"\w+", members or "") if not hasattr(module, m)] == []


def test_titles_tell_modules_of_a_page_apart() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for part in re.split(r"^## ", text, flags=re.MULTILINE):
            titles = [match["title"] for match in SECTION.finditer(part)]
            assert len(set(titles)) == len(titles), page.name


GOOD = """### Errors `ganlab.errors`

```{eval-rst}
.. automodule:: ganlab.errors
   :members:
```
"""


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("### Errors `ganlab.errors`\n\n", ""),
        GOOD.replace("### Errors `ganlab.errors`", "### Errors `ganlab.files`"),
        GOOD.replace("### Errors `ganlab.errors`", "### `ganlab.errors`"),
        GOOD + GOOD,
        GOOD.replace("```\n", ".. automodule:: ganlab.files\n```\n", 1)[:-1],
    ],
)
def test_the_check_finds_a_module_without_a_heading(text: str) -> None:
    assert sections(GOOD) == {"ganlab.errors": ""}
    with pytest.raises(AssertionError):
        sections(text)


def test_the_check_finds_a_module_without_a_page() -> None:
    assert "ganlab.losses" in public({})
    assert "ganlab.game.player" in public({})
    assert "ganlab.data.images" not in public({"ganlab.data": " load, available"})
    assert "ganlab.data.images" in public({"ganlab.data": None})


def test_a_front_links_what_it_hands_on() -> None:
    game = importlib.import_module("ganlab.game")
    line = "".join(plain_docstrings.handed_on(game, None))
    assert ":py:obj:`Player <ganlab.game.player.Player>`" in line
    assert line.endswith(" and the module :py:mod:`tricks <ganlab.game.tricks>`.")


# ---- formulas ----


def docstrings() -> Iterator[tuple[str, str]]:
    for name in documented():
        module = importlib.import_module(name)
        tree = ast.parse(inspect.getsource(module))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                yield f"{name}:{getattr(node, 'name', '')}", ast.get_docstring(node) or ""


@functools.cache
def mathtext() -> Callable:
    return MathTextParser("path").parse


def check_tex(formula: str) -> None:
    """An independent reader of TeX takes it, and its braces close in order."""
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", formula):
        depth += 1 if brace == "{" else -1
        assert depth >= 0, formula
    assert depth == 0, formula
    for row in formula.replace(r"\ldots", "x").split(r"\\"):
        mathtext()(f"${row.replace('&', '').strip()}$")


def _known(name, rawtext, text, lineno, inliner, options=None, content=None):
    return [nodes.literal(rawtext, text)], []


def shown(text: str) -> tuple[list[str], str]:
    """The formulas of a docstring as TeX, and what a reader sees besides, code left out."""
    for role in ("mod", "class", "func", "py:mod", "py:class", "py:func", "py:obj"):
        roles.register_local_role(role, _known)
    lines = plain_docstrings.plain(text.splitlines())
    rst = str(GoogleDocstring(lines, Config(napoleon_use_ivar=True)))
    tree = docutils.core.publish_doctree(
        rst, settings_overrides={"halt_level": 2, "report_level": 2}
    )
    formulas = []
    for node in list(tree.findall(lambda n: isinstance(n, (nodes.math, nodes.math_block)))):
        formulas.append(node.astext())
        node.parent.remove(node)
    for code in list(tree.findall(lambda n: isinstance(n, (nodes.literal, nodes.literal_block)))):
        code.parent.remove(code)
    return formulas, tree.astext()


def test_every_formula_is_drawn_and_none_is_left_as_text() -> None:
    count = 0
    for name, text in docstrings():
        if "$" not in text and ":math:" not in text and not re.search(r"\n\n +\S", text):
            continue
        formulas, rest = shown(text)
        assert "$" not in rest, name
        assert "math:" not in rest, name
        assert not re.search(r"\\[a-z]|\^\{|_\{", rest), (name, rest)
        for formula in formulas:
            check_tex(formula)
        count += len(formulas)
    assert count > 150


@pytest.mark.parametrize(
    ("formula", "display", "drawn"),
    [
        ("-E log(1 - D(G(z)))", False, r"- \mathbb{E}\, \log(1 - D(G(z)))"),
        ("γ/2 E‖∇D(x)‖²", True, r"\frac{γ}{2} \mathbb{E}\, \|\nabla  D(x)\|^{2}"),
        ("p/(p+q)", False, "p / (p + q)"),
        ("p/(p+q)", True, r"\frac{p}{p + q}"),
        ("D(x)/2", True, r"\frac{D(x)}{2}"),
        ("p(y|x)", False, r"p(y \mid  x)"),
        ("E|x|", False, r"\mathbb{E}\, |x|"),
        ("KL(p ‖ q)", False, r"\operatorname{KL}(p \,\|\, q)"),
        ("tr (Σ₁ Σ₂)^(1/2)", True, r"\operatorname{tr} (Σ_{1} Σ_{2})^{1 / 2}"),
        ("√(h + ε)", False, r"\sqrt{h + ε}"),
        ("Jᵀ y_ij", False, r"J^{\top } y_{ij}"),
        ("x̂ = 1e-3", False, r"\hat{x} = 1 \cdot 10^{-3}"),
        ('c = "gain"/√n', True, r"c = \frac{\text{gain}}{\sqrt{n}}"),
        ("(a/b + 1)³", True, r"\left(\frac{a}{b} + 1\right)^{3}"),
    ],
)
def test_formulas_in_unicode_become_tex(formula: str, display: bool, drawn: str) -> None:
    assert plain_docstrings.tex(formula, display) == drawn
    check_tex(drawn)


@pytest.mark.parametrize("formula", ["(1 - β", "1 - β)", "ab + c", "1/", "x ☃ y", "‖x", "x^", "$"])
def test_what_is_no_formula_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match="formula"):
        plain_docstrings.tex(formula, display=True)


@pytest.mark.parametrize(
    "text", ["A price of $5.", "Half $(1 -\nβ)$ a line.", "Do it so\n\n    f(**options)\n"]
)
def test_a_docstring_with_half_a_formula_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="formula"):
        plain_docstrings.plain(text.splitlines())


@pytest.mark.parametrize("formula", [r"\frac{1}{2", r"x}{", r"\nothing"])
def test_the_check_of_tex_finds_faults(formula: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        check_tex(formula)


# ---- one Python ----

PROSE = ["README.md", "CONTRIBUTING.md", "Makefile", "book/preface.md", "book/intro.md"]


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def floor() -> str:
    bound = pyproject()["project"]["requires-python"]
    assert re.fullmatch(r">=3\.\d+", bound), bound
    return bound.removeprefix(">=")


def minor(version: str) -> int:
    return int(version.split(".")[1])


def told(text: str) -> list[str]:
    """Versions of Python that a text asks for, as it writes them."""
    return re.findall(r"Python (3(?:\.\d+)+)", text)


@pytest.mark.parametrize("name", PROSE)
def test_texts_ask_for_the_python_of_pyproject(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert told(text), name
    assert set(told(text)) == {floor()}
    examples = re.findall(r"\bpython(3\.\d+)", text)
    assert all(minor(version) >= minor(floor()) for version in examples)


def test_the_check_of_texts_finds_another_python() -> None:
    assert told("Python 3.11.5 or newer, or Python 3.12.") == ["3.11.5", "3.12"]


def test_the_reason_stands_in_one_place() -> None:
    assert f"Why {floor()}:" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_make_refuses_what_pyproject_refuses() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    refused = re.findall(r"version_info < \(([\d, ]+)\)", makefile)
    assert [bound.replace(", ", ".") for bound in refused] == [floor()]


def test_tools_read_the_code_as_the_python_of_pyproject() -> None:
    tool = pyproject()["tool"]
    assert tool["ruff"]["target-version"] == "py" + floor().replace(".", "")
    assert tool["mypy"]["python_version"] == floor()
    kinds = [kind.rpartition(":: ")[2] for kind in pyproject()["project"]["classifiers"]]
    versions = [kind for kind in kinds if re.fullmatch(r"3\.\d+", kind)]
    assert not versions or min(versions, key=minor) == floor()
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert f"python>={floor()}" in conda


def test_the_checks_run_the_oldest_python_and_none_that_is_older() -> None:
    files = [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob(".github/actions/*/action.yml")]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in files}
    versions = {
        name: re.findall(r"python(?:-version)?:\s*\"?(3\.\d+)", text)
        + re.findall(r"default:\s*\"(3\.\d+)\"", text)
        for name, text in texts.items()
    }
    assert floor() in versions[".github/workflows/checks.yml"]
    assert versions[".github/actions/setup/action.yml"]
    assert min((v for found in versions.values() for v in found), key=minor) == floor()
