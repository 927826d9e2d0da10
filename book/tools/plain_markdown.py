"""Translate the site's Markdown (MyST) into what Colab, JupyterLab and GitHub show.

Notebooks that people open know headings, tables, quotes, links, `$…$` and a little HTML, and
nothing of directives and roles. So a theorem becomes a quote with a bold title, a dropdown a
closed `<details>`, a citation a link, a reference its number, a live figure its picture with a
link to the page where it lives. The text is parsed by the parser that the site uses; only what
differs is replaced, at the place where the parser found it, and the rest stays as it was written.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from markdown_it.token import Token
from references import Directive, References, directive, parser

BOOK = Path(__file__).resolve().parents[1]
QUOTED_MATH = re.compile(r"\s*\n\s*")
#: Admonitions with a title of their own.
NAMED = ("attention", "caution", "danger", "error", "hint", "important", "note", "seealso", "tip",
         "warning")  # fmt: skip


class Untranslatable(Exception):
    """Text for which nothing is known that a notebook would show."""


@dataclass
class _Edit:
    start: int
    end: int
    text: str


@dataclass
class _Found:
    """What the inline parser found: kind, where in the text, and the token."""

    kind: str
    start: int
    end: int
    token: Token


class Translator:
    """Translates the text of one chapter."""

    def __init__(self, refs: References, chapter: str) -> None:
        self.refs, self.chapter = refs, chapter
        self._spans: list[_Found] = []
        self.parser = parser()
        self._watch()

    def __call__(self, text: str) -> str:
        """Translate Markdown.

        Raises:
            Untranslatable: a directive, a role or a kind of block that this does not know.
        """
        lines = text.split("\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        edits: list[_Edit] = []
        cursor: dict[int, int] = {}  # line -> where its next table cell begins
        for token in self.parser.parse(text):
            if token.type == "inline":
                edits += self._inline(token, lines, starts, cursor)
                continue
            new = self._block(token)
            if new is not None:
                first, last = token.map or (0, 0)
                while last > first and not lines[last - 1].strip():
                    last -= 1
                indent = re.match(r"[ \t]*", lines[first])[0]  # type: ignore[index]
                new = new.replace("\n", "\n" + indent)
                edits.append(_Edit(starts[first], starts[last] - 1, indent + new if new else ""))
        for edit in sorted(edits, key=lambda e: e.start, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        return re.sub(r"\n{3,}", "\n\n", text).strip("\n")

    # ---- blocks ----

    def _block(self, token: Token) -> str | None:
        """The text in place of a block; None where it stays."""
        if token.type.endswith("fence"):
            found = directive(token)
            return self._directive(found) if found else None
        if token.type in ("math_block", "math_block_label"):
            return self._math(token)
        if token.type == "html_block":
            return "" if re.fullmatch(r"\s*(<!--.*?-->\s*)+", token.content, re.DOTALL) else None
        if token.type in ("myst_target", "myst_line_comment", "myst_block_break"):
            return ""
        if token.type in ("amsmath", "dl_open", "substitution_block", "footnote_block_open"):
            raise Untranslatable(f"{token.type}: {token.content[:60]!r}")
        return None

    def _math(self, token: Token) -> str:
        # On one line, since JupyterLab takes the mark of a quote into a formula of several.
        formula = QUOTED_MATH.sub(" ", token.content.strip())
        if re.search(r"(?<!\\)%", formula):
            raise Untranslatable(f"a comment within a formula: {formula[:60]!r}")
        if token.type == "math_block_label":
            number = self.refs.targets[token.info].number
            formula = rf"{formula} \tag{{{number}}}"
        return f"$$ {formula} $$"

    def _directive(self, it: Directive) -> str:
        body = "" if it.name == "raw" else self(it.body)
        if it.name == "prf:proof":
            apart = body.rstrip().rpartition("\n")[2].startswith(("$$", "-", "*", "</"))
            return f"*Proof.* {body}" + ("\n\n∎" if apart else " ∎")
        if it.name.startswith("prf:") or it.name == "exercise":
            head = self.refs.number(it.options["label"], self.chapter)
            title = f" ({it.title})" if it.name != "exercise" else f" {it.title}"
            return _quote(f"**{head}{self(title) if it.title else ''}.**", body)
        if it.name == "dropdown" or ("dropdown" in it.classes and it.name == "admonition"):
            return details(self.summary(it.title), body)
        if it.name == "admonition":
            return _quote(f"**{self(it.title)}.**", body)
        if it.name in NAMED:
            return _quote(f"**{it.name.capitalize()}.**", f"{self(it.title)}\n{body}".strip())
        if it.name == "raw" and it.title == "html":
            return self._live(it.body)
        if it.name in ("figure", "image"):
            alt = it.options.get("alt", "")
            return f"{picture(BOOK / it.title, alt)}\n\n{body}".strip()
        raise Untranslatable(f"the directive {{{it.name}}}")

    def summary(self, text: str) -> str:
        """A title as HTML, its formulas still between dollars."""
        parts = []
        for token in self.parser.parseInline(self(text))[0].children or ():
            if token.type == "math_inline":
                parts.append(html.escape(f"${token.content}$", quote=False))
            else:
                parts.append(self.parser.renderer.render([token], self.parser.options, {}))
        return "".join(parts)

    def _live(self, markup: str) -> str:
        figure = _Live()
        figure.feed(markup)
        if not figure.name:
            raise Untranslatable(f"HTML that is no live figure: {markup[:60]!r}")
        page = self.refs.page(self.chapter) + f"#{figure.name}"
        words = " ".join("".join(figure.words).split())
        words = words.removeprefix("This live figure needs JavaScript.").strip()
        parts = [f"**Live figure.** [Open it on the course's site]({page}), where it answers to"
                 f" your hand. {words}".strip()]  # fmt: skip
        if figure.source:
            place = BOOK / "static" / figure.source.partition("_static/")[2]
            parts.append(picture(place, " ".join(figure.alt.split())))
        return "\n\n".join(parts)

    # ---- inline ----

    def _watch(self) -> None:
        """Let the parser say where it finds roles, formulas and links."""
        wanted = {"myst_role": "role", "math_inline": "math", "link": "link"}
        for rule in self.parser.inline.ruler.__rules__:
            if rule.name in wanted:
                rule.fn = self._watched(rule.fn, wanted[rule.name])
        self.parser.inline.ruler.__cache__ = None

    def _watched(self, rule: Callable[..., bool], kind: str) -> Callable[..., bool]:
        spans, begins = (
            self._spans,
            {"role": "myst_role", "math": "math_", "link": "link_open"}[kind],
        )

        def watching(state: Any, silent: bool) -> bool:
            start, known = state.pos, len(state.tokens)
            found = rule(state, silent)
            if found and not silent:
                new = state.tokens[known:]  # text that waited comes before it
                token = next(t for t in new if t.type.startswith(begins))
                spans.append(_Found(kind, start, state.pos, token))
            return found

        return watching

    def _inline(
        self, token: Token, lines: list[str], starts: list[int], cursor: dict[int, int]
    ) -> list[_Edit]:
        self._spans.clear()
        self.parser.inline.parse(token.content, self.parser, {}, [])
        places = _places(token, lines, starts, cursor)
        edits = []
        for found in self._spans:
            start, text = found.start, None
            if found.kind == "role":
                text = self._role(found.token)
            elif found.kind == "math" and "\n" in found.token.content:
                text = "$" + found.token.content.replace("\n", " ") + "$"
            elif found.kind == "link":
                href = str(found.token.attrs["href"])
                if not re.match(r"[a-z]+:|#", href):
                    start = token.content.rindex("](", found.start, found.end)
                    text = f"]({self.refs.page(href)})"
            if text is not None:
                edits.append(_Edit(places[start], places[found.end - 1] + 1, text))
        return edits

    def _role(self, token: Token) -> str:
        name, content = token.meta["name"], token.content
        if name == "cite" or name.startswith("cite:"):
            return " ".join(self.refs.cited(key.strip()) for key in content.split(","))
        if name in ("eq", "prf:ref", "numref", "ref"):
            label = re.sub(r"^.*<(.*)>$", r"\1", content)
            return self.refs.number(label, self.chapter, equation=name == "eq")
        if name.startswith("py:"):
            return f"`{content.lstrip('~')}`"
        raise Untranslatable(f"the role {{{name}}}")


class _Live(HTMLParser):
    """Reads the markup of a live figure: its name, what it says without JavaScript, its picture."""

    def __init__(self) -> None:
        super().__init__()
        self.name = self.source = self.alt = ""
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        had = {key: value or "" for key, value in attrs}
        if tag == "div" and not self.name:
            self.name = had.get("id", "")
        if tag == "img":
            self.source, self.alt = had["src"], had.get("alt", "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def _places(token: Token, lines: list[str], starts: list[int], cursor: dict[int, int]) -> list[int]:
    """Place in the source of each character of an inline token, which has lost the marks of quotes,
    lists and tables, and the backslash before a bar within a table."""
    first = (token.map or [0])[0]
    places = []
    for offset, line in enumerate(token.content.split("\n")):
        number = first + offset
        source, at = lines[number], cursor.get(number, 0)
        head = line[: line.find("|")] if "|" in line else line
        at = source.index(head, at)
        for character in line:
            while source[at] != character:
                if source[at] != "\\":
                    raise Untranslatable(f"not found in its own source: {line[:60]!r}")
                at += 1
            places.append(starts[number] + at)
            at += 1
        places.append(starts[number] + at)  # the end of the line
        cursor[number] = at
    return places


def _quote(head: str, body: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in f"{head} {body}".strip().split("\n"))


def details(summary: str, body: str) -> str:
    """What opens at a click: Markdown between blank lines, as all three readers want it."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body.strip()}\n\n</details>"


def picture(path: Path, alt: str) -> str:
    """A picture within the text: Colab would find no file beside the notebook."""
    data = base64.b64encode(path.read_bytes()).decode()
    kind = path.suffix.removeprefix(".").replace("jpg", "jpeg")
    return f"![{alt}](data:image/{kind};base64,{data})"
