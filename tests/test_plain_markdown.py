"""What people open in Colab and JupyterLab: nothing raw, nothing given away, nothing lost."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import execute
import hygiene
import nbformat
import pytest
import references
import variants
from markdown_it import MarkdownIt
from nbformat import NotebookNode
from plain_markdown import Translator, Untranslatable

REFS = references.References()
CHAPTERS = execute.chapters()
GOODFELLOW = "[[Goodfellow et al. 2014]](https://arxiv.org/abs/1406.2661)"
NASH = "[[Nash 1950]](https://doi.org/10.1073/pnas.36.1.48)"
SITE = REFS.address.site.rstrip("/")

CASES = {
    "plain text stays": ("# Title\n\nA *word* and `code`, $x_1$.", None),
    "a citation": ("The game {cite}`goodfellow2014generative`.", f"The game {GOODFELLOW}."),
    "two works": (
        "As in {cite}`goodfellow2014generative, nash1950equilibrium`:",
        f"As in {GOODFELLOW} {NASH}:",
    ),
    "a role within emphasis and a list": (
        "- **see {cite}`nash1950equilibrium`**\n  and on\n- next",
        f"- **see {NASH}**\n  and on\n- next",
    ),
    "a role in a table, a bar in a formula": (
        "| a | b |\n| --- | ---: |\n| $p(a \\| b)$ | {cite}`nash1950equilibrium` |",
        f"| a | b |\n| --- | ---: |\n| $p(a \\| b)$ | {NASH} |",
    ),
    "the same words in two cells": (
        "| x | x |\n| --- | --- |\n| {eq}`eq-value` | {eq}`eq-value` |",
        "| x | x |\n| --- | --- |\n| (2.1) | (2.1) |",
    ),
    "a role in code stays": ("Write `` {cite}`key` `` so.", None),
    "here and elsewhere": (
        "{prf:ref}`thm-optimal-discriminator` and {prf:ref}`def-kl`",
        f"Theorem 2.1 and [Definition 1.2]({SITE}/book/01_generative_models.html#def-kl)",
    ),
    "a numbered equation": (
        "$$\na\n= b\n$$ (eq-value)",
        r"$$ a = b \tag{2.1} $$",
    ),
    "a page of the book": ("[symbols](notation.md)", f"[symbols]({SITE}/book/notation.html)"),
    "other links stay": ("[site](https://example.org) and [here](#top)", None),
    "a theorem": (
        "```{prf:theorem} On $D$\n:label: thm-optimal-discriminator\n\nText\n\n$$\nx\n$$\n```",
        "> **Theorem 2.1 (On $D$).** Text\n>\n> $$ x $$",
    ),
    "a formula over two lines": ("For $a =\nb$ and on.", "For $a = b$ and on."),
    "a proof": ("```{prf:proof}\nEasy.\n```", "*Proof.* Easy. ∎"),
    "a proof that ends in a formula": ("```{prf:proof}\nSee\n\n$$\nx\n$$\n```", "*Proof.* See\n\n"
                                       "$$ x $$\n\n∎"),
    "a hint": (
        ":::{admonition} Hint 1\n:class: tip, dropdown\nThink.\n:::",
        "<details>\n<summary>Hint 1</summary>\n\nThink.\n\n</details>",
    ),
    "an answer, its question with a formula": (
        ":::{dropdown} Is $a < b$ *always*?\nNo: {cite}`nash1950equilibrium`.\n:::",
        "<details>\n<summary>Is $a &lt; b$ <em>always</em>?</summary>\n\nNo: " + NASH
        + ".\n\n</details>",
    ),
    "an admonition": (":::{admonition} Mind\nthe gap\n:::", "> **Mind.** the gap"),
    "a note within a hint": (
        "::::{dropdown} More\n:::{note}\nRead.\n:::\n::::",
        "<details>\n<summary>More</summary>\n\n> **Note.** Read.\n\n</details>",
    ),
    "an exercise": (
        "````{exercise} ★ Best\n:label: ex-best-d\n\nWrite.\n````",
        "> **Exercise 2.1 ★ Best.** Write.",
    ),
    "code stays code": ("```python\nx = {1}\n```", None),
    "a comment goes": ("<!-- last-run -->\nText.", "Text."),
    "a function": ("{py:func}`ganlab.load`", "`ganlab.load`"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), CASES.values(), ids=CASES)
def test_translation(text: str, wanted: str | None) -> None:
    assert Translator(REFS, "02_minimax_game")(text) == (text if wanted is None else wanted)


REFUSED = {
    "an unknown directive": "```{tableofcontents}\n```",
    "an unknown role": "{abbr}`GAN`",
    "HTML that is no live figure": "```{raw} html\n<p>hello</p>\n```",
    "a formula with a comment": "$$\na % b\nc\n$$",
    "an environment without dollars": "\\begin{align}\na\n\\end{align}",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_no_notebook_would_show_is_refused(text: str) -> None:
    with pytest.raises(Untranslatable):
        Translator(REFS, "02_minimax_game")(text)


def test_an_unknown_label_or_work_is_refused() -> None:
    for text in ("{cite}`nobody1900`", "{eq}`eq-none`", "{prf:ref}`thm-none`"):
        with pytest.raises(KeyError):
            Translator(REFS, "02_minimax_game")(text)


# ---- every chapter, every set ----


@pytest.fixture(scope="module", params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request: pytest.FixtureRequest) -> tuple[NotebookNode, dict[str, NotebookNode]]:
    path: Path = request.param
    source = nbformat.read(path, as_version=4)
    made = {kind: variants.translated(source, kind, path.stem, REFS) for kind in variants.SETS}
    return source, made


def words(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


class Details(HTMLParser):
    """Counts what opens, what is open, and what was never closed."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = self.count = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "details":
            assert not attrs, "an answer is given away"
            self.depth, self.count = self.depth + 1, self.count + 1

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "details"


@pytest.mark.parametrize("kind", variants.SETS)
def test_nothing_is_raw(chapter: tuple, kind: str) -> None:
    read = references.parser()
    for text in words(chapter[1][kind]):
        for token in read.parse(text):
            assert token.type not in ("math_block_label", "myst_target", "substitution_block")
            assert not (token.type.endswith("fence") and token.info.startswith("{")), token.info
            kinds = {child.type for child in token.children or ()}
            assert not kinds & {"myst_role", "substitution_inline", "footnote_ref"}, token.content
        for token in MarkdownIt("gfm-like").parse(text):  # as a reader without MyST has it
            for child in token.children or ():
                if child.type == "link_open":
                    assert re.match(r"https?:|#", str(child.attrs["href"])), child.attrs
                if child.type == "image":
                    assert child.content, "a picture without alt text"


@pytest.mark.parametrize("kind", variants.SETS)
def test_what_is_closed_stays_closed(chapter: tuple, kind: str) -> None:
    source, made = chapter
    count = 0
    for text in words(made[kind]):
        found = Details()
        found.feed(text)
        assert found.depth == 0, text[:200]
        count += found.count
    whole = "\n".join(words(source))
    closed = len(re.findall(r"^:{3,}\{dropdown\}|^:class: .*dropdown", whole, re.MULTILINE))
    gates = whole.count("{solution-start}")
    assert gates
    assert count == closed - (gates if kind != "read" else 0)


def test_a_student_is_given_nothing(chapter: tuple) -> None:
    source, made = chapter
    secret, inside = [], False
    for cell in source.cells:
        inside = inside or "{solution-start}" in cell.source
        if inside:
            secret += [line.strip() for line in cell.source.splitlines()]
        inside = inside and "{solution-end}" not in cell.source
    # Lines of code that a starter or a figure has too give nothing away.
    known = {line.strip() for _, c in hygiene.code_cells(made["student"])
             for line in c.source.splitlines()}  # fmt: skip
    secret = [line for line in secret if len(line) > 20 and line not in known]
    assert len(secret) > 20
    # A hint may show one line of the answer.
    hint = re.compile(r"<details>\n<summary>Hint.*?</details>", re.DOTALL)
    text = hint.sub("", "\n".join(words(made["student"])))
    assert [line for line in secret if line in text] == []
    assert [line for line in secret if line in "\n".join(words(made["read"]))]
    assert not any(c.outputs for _, c in hygiene.code_cells(made["student"]))


@pytest.mark.parametrize("kind", variants.SETS)
def test_all_code_is_there(chapter: tuple, kind: str) -> None:
    """The notebooks that nbval runs hold the code of the sources, with its outputs."""
    left_out = {"read": {"solution"}, "student": {"solution"}, "solution": {"exercise", "check"}}
    source, made = chapter
    cells = [c for _, c in hygiene.code_cells(source) if not left_out[kind] & set(hygiene.tags(c))]
    mine = [c for _, c in hygiene.code_cells(made[kind])]
    assert [c.source for c in mine] == [c.source for c in cells]
    assert [hygiene.tags(c) for c in mine] == [hygiene.tags(c) for c in cells]
    if kind != "student":
        for was, now in zip(cells, mine, strict=True):
            assert [o.get("data", o.get("text")) for o in now.outputs] == [
                o.get("data", o.get("text")) for o in was.outputs
            ]
        assert [c.execution_count for c in mine] == list(range(1, len(mine) + 1))


def test_the_site_s_folds_and_alt_texts_are_kept(chapter: tuple) -> None:
    source, made = chapter
    folded = {c.source for _, c in hygiene.code_cells(source)
              if hygiene.FOLDED & set(hygiene.tags(c))}  # fmt: skip
    for _, cell in hygiene.code_cells(made["read"]):
        hidden = cell.source in folded
        assert cell.metadata.get("jupyter", {}).get("source_hidden", False) == hidden
        assert (cell.metadata.get("cellView") == "form") == hidden
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 14
    for notebook in made.values():
        nbformat.validate(notebook)


def test_the_live_figure_is_a_picture_and_a_link(chapter: tuple) -> None:
    source, made = chapter
    live = "\n".join(words(source)).count("```{raw} html")
    for notebook in made.values():
        text = "\n".join(words(notebook))
        assert text.count("**Live figure.** [Open it") == live
        assert text.count("](data:image/png;base64,") == live
        assert "<script" not in text
        assert "<div" not in text
