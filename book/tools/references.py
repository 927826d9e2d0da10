"""What a chapter may refer to: numbered statements and equations, works cited, the pages' address.

On the site Sphinx numbers theorems, exercises and equations, chapter by chapter, and prints
citations. A notebook that people open has no Sphinx, so the same numbers are counted here, from
the sources; `tests/test_site.py` compares them with those of the built pages.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import address
import execute
import nbformat
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from pybtex.database import parse_file
from pybtex.richtext import Text

EXTENSIONS = {"amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath", "html_image",
              "linkify", "smartquotes", "substitution", "tasklist"}  # fmt: skip
#: Directives that carry a number of their own, and the word before it.
NUMBERED = {
    **{f"prf:{kind}": kind.capitalize() for kind in (
        "algorithm", "assumption", "axiom", "conjecture", "corollary", "criterion", "definition",
        "example", "lemma", "observation", "property", "proposition", "remark", "theorem",
    )},
    "exercise": "Exercise",
}  # fmt: skip
_DIRECTIVE = re.compile(r"^\{(?P<name>[\w:-]+)\}\s*(?P<title>.*)$")
_OPTION = re.compile(r"^:(?P<key>[\w-]+):[ \t]*(?P<value>.*)$")


@dataclass(frozen=True)
class Directive:
    """A directive of MyST: ```` ```{name} title ````, options, body."""

    name: str
    title: str
    options: dict[str, str]
    body: str

    @property
    def classes(self) -> list[str]:
        """The names in ``:class:``."""
        return re.split(r"[,\s]+", self.options.get("class", ""))


def parser() -> MarkdownIt:
    """MyST as the site reads it (`_config.yml`)."""
    return create_md_parser(MdParserConfig(enable_extensions=EXTENSIONS), RendererHTML)


def directive(token: Token) -> Directive | None:
    """The directive that a fence is, or None for code in a language."""
    found = _DIRECTIVE.match(token.info.strip()) if token.type.endswith("fence") else None
    if not found:
        return None
    lines, options = token.content.split("\n"), {}
    while lines and (option := _OPTION.match(lines[0])):
        options[option["key"]] = option["value"].strip()
        lines.pop(0)
    return Directive(found["name"], found["title"].strip(), options, "\n".join(lines).strip("\n"))


@dataclass(frozen=True)
class Target:
    """Something with a label: 'Theorem' '2.1' of the chapter '02_minimax_game'."""

    word: str
    number: str
    chapter: str


def numbered(path: Path, number: int, read: MarkdownIt) -> dict[str, Target]:
    """Label -> target of one chapter; what has no label is counted, too."""
    found: dict[str, Target] = {}
    counts: Counter[str] = Counter()

    def visit(text: str) -> None:
        for token in read.parse(text):
            inner = directive(token)
            if token.type == "math_block_label":
                counts["eq"] += 1
                found[token.info] = Target("", f"{number}.{counts['eq']}", path.stem)
            if inner and inner.name in NUMBERED and "nonumber" not in inner.options:
                counts[inner.name] += 1
                at = Target(NUMBERED[inner.name], f"{number}.{counts[inner.name]}", path.stem)
                found[inner.options["label"]] = at
            if inner and inner.name != "raw":
                visit(inner.body)

    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            visit(cell.source)
    return found


class References:
    """All that chapters may refer to, read once."""

    def __init__(self) -> None:
        root = address.ROOT
        self.parser = parser()
        self.address = address.read()
        self.targets: dict[str, Target] = {}
        for path in execute.chapters():
            number = int(path.name.split("_")[0])
            self.targets |= numbered(path, number, self.parser)
        self.works = parse_file(str(root / "book" / "references.bib")).entries

    def with_chapter(self, path: Path, number: int) -> References:
        """The same with a chapter that `_toc.yml` does not have, a draft."""
        more = copy.copy(self)
        more.targets = self.targets | numbered(path, number, self.parser)
        return more

    def page(self, name: str) -> str:
        """Address of a page of the site, from its source: '02_minimax_game', 'preface.md#top'."""
        stem, _, anchor = name.partition("#")
        stem = stem.removesuffix(".md").removesuffix(".ipynb")
        site = self.address.site.rstrip("/")
        return f"{site}/book/{stem}.html" + (f"#{anchor}" if anchor else "")

    def number(self, label: str, chapter: str, equation: bool = False) -> str:
        """'Theorem 2.1' or '(2.3)': plain in its own chapter, elsewhere a link to the site.

        Raises:
            KeyError: no chapter has this label.
        """
        at = self.targets[label]
        text = f"({at.number})" if equation else f"{at.word} {at.number}"
        if at.chapter == chapter:
            return text
        return f"[{text}]({self.page(at.chapter)}#{'equation-' * equation}{label})"

    def cited(self, key: str) -> str:
        """A work as author and year, linked to where it can be read.

        Raises:
            KeyError: no such entry in `references.bib`.
        """
        entry = self.works[key]
        names = [str(Text.from_latex(" ".join([*p.prelast_names, *p.last_names])))
                 for p in entry.persons.get("author") or entry.persons["editor"]]  # fmt: skip
        if len(names) > 2:
            names = [f"{names[0]} et al."]
        text = f"{' & '.join(names)} {entry.fields['year']}"
        if "eprint" in entry.fields:
            where = f"https://arxiv.org/abs/{entry.fields['eprint']}"
        elif "doi" in entry.fields:
            where = f"https://doi.org/{entry.fields['doi']}"
        else:
            where = entry.fields["url"]
        return f"[[{text}]]({where.replace('(', '%28').replace(')', '%29')})"
