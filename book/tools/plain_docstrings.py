"""Sphinx extension: docstrings are plain text with `code`, and need no reStructuredText.

The package's docstrings are written to be read in an editor. Before Napoleon sees them, text in
single backticks becomes code, *words* become emphasis, characters that mean something to
reStructuredText are escaped, and an indented block after a line that ends with a colon becomes a
code block.

A formula is written as one would in a letter, with the signs that Unicode has, and `tex` makes
TeX of it. Between dollars it stands within a line: $γ/2 E‖∇D(x)‖²$. A block that is indented
after an empty line, under a line *without* a colon, is a formula on lines of its own, in which
a/b is a fraction:

    D and G minimise

        ℒ_D = -E log D(x) - E log(1 - D(G(z)))
        ℒ_G = E log(1 - D(G(z)))

A letter is a variable, and E the mean. Several letters are a function that `FUNCTIONS` knows;
"words" stand in double quotes. Everything else is an error, as is a bracket that stays open.
"""

from __future__ import annotations

import re
import types
import typing

from sphinx.domains.python import PyObject

_SECTION = re.compile(
    r"^(Args|Arguments|Attributes|Example|Examples|Note|Notes|Raises|References|Returns|Return|"
    r"Warning|Warns|Yields|Shapes?|Sources?):$"
)
# Code, a role or a formula: not text.
_SPAN = re.compile(r"(``.+?``|:[a-z:]+:`[^`]+`|`[^`]+`|\$[^$]+\$)")
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=\w)([^*]*?[\w.])\*(?![\w*])")

# ---- formulas ----

#: Names of several letters, which are set upright: those that TeX knows, and others.
FUNCTIONS = {
    **{name: rf"\{name}" for name in ("log", "exp", "sin", "cos", "max", "min", "sup", "inf")},
    **{name: rf"\operatorname{{{name}}}" for name in ("sign", "softplus", "tr", "Var", "KL")},
}
_SIGNS = {
    "∇": r"\nabla ", "∂": r"\partial ", "∞": r"\infty ", "·": r"\cdot ", "×": r"\times ",
    "≤": r"\leq ", "≥": r"\geq ", "≠": r"\neq ", "≈": r"\approx ", "∈": r"\in ", "±": r"\pm ",
    "∼": r"\sim ", "∗": r"* ", "…": r"\ldots ", "∑": r"\sum ", "∏": r"\prod ", "½": r"\frac{1}{2}",
    "→": r"\to ", "←": r"\leftarrow ", "⋃": r"\bigcup ", "⊙": r"\odot ", "ℒ": r"\mathcal{L}",
}  # fmt: skip
_RELATIONS = "=≤≥<>≈←"
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᵀ", "0123456789+-n⊤")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉ᵢⱼₖₙ", "0123456789ijkn")
_ACCENTS = {"\N{COMBINING CIRCUMFLEX ACCENT}": "hat", "\N{COMBINING MACRON}": "bar",
            "\N{COMBINING TILDE}": "tilde"}  # fmt: skip
_CLOSING = {"(": ")", "[": "]", "{": "}", "|": "|", "‖": "‖", "⌈": "⌉"}
_BRACKETS = {"‖": r"\|", "{": r"\{", "}": r"\}", "⌈": r"\lceil ", "⌉": r"\rceil "}
_TOKEN = re.compile(
    r'\s+|"[^"]*"|\d+(?:\.\d+)?(?:e-?\d+)?|[A-Za-z]+|[⁰¹²³⁴-⁹⁺⁻ⁿᵀ]+|[₀-₉ᵢⱼₖₙ]+|.', re.DOTALL
)


class _Formula:
    """Reads one formula from left to right."""

    def __init__(self, text: str, display: bool) -> None:
        self.text, self.display = text, display
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def fail(self, what: str) -> ValueError:
        return ValueError(f"{what} in the formula '{self.text.strip()}'")

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def until(self, closing: str) -> str:
        """All up to this sign, which is taken too; nothing closes at the end of the text."""
        parts: list[str] = []
        bare: dict[int, str] = {}  # what stands in a bracket, by its place in `parts`
        over: int | None = None  # the place of a numerator
        while self.next != closing:
            if not self.next:
                raise self.fail(f"'{closing}' is missing")
            if self.next.isspace():
                self.take()
                continue
            if self.display and self.next == "/" and parts:
                self.take()
                over = len(parts) - 1
                continue
            part, inside = self.item()
            if over is not None:
                above = bare.get(over, parts[over])
                parts[over] = rf"\frac{{{above}}}{{{inside or part}}}"
                bare.pop(over, None)
                over = None
                continue
            parts.append(part)
            if inside:
                bare[len(parts) - 1] = inside
        if over is not None:
            raise self.fail("nothing follows '/'")
        if closing:
            self.take()
        return " ".join(parts)

    def item(self) -> tuple[str, str]:
        """One factor with its exponents and indices; and what stands in a bracket, if it is one."""
        token = self.take()
        inside = ""
        if token in _CLOSING and self.opens(token):
            inside = self.until(_CLOSING[token])
            part = self.bracket(token, inside)
            if token != "(":
                inside = ""
        else:
            part = self.atom(token)
        if scripts := self.scripts():
            part, inside = part + scripts, ""
        if token == "E":
            part += r"\,"
        elif token.isalpha() and self.next == "(":  # D(x)
            part += self.item()[0]
        return part, inside

    def opens(self, token: str) -> bool:
        """Whether a sign opens a bracket: bars in p(y|x) and in KL(p ‖ q) do not."""
        before = "".join(self.tokens[: self.at - 1])
        if token == "|" and re.search(r"[^\WE]$|[)\]]$", before):
            return False
        return token not in ("|", "‖") or not self.next.isspace()

    def bracket(self, opening: str, inside: str) -> str:
        left, right = opening, _CLOSING[opening]
        left, right = _BRACKETS.get(left, left), _BRACKETS.get(right, right)
        if r"\frac" in inside and self.display:
            return rf"\left{left}{inside}\right{right}"
        return left + inside + right

    def atom(self, token: str) -> str:
        if token.startswith('"'):
            return rf"\text{{{token[1:-1]}}}"
        if token == "√":
            if self.next == "(":
                self.take()
                return rf"\sqrt{{{self.until(')')}}}"
            return rf"\sqrt{{{self.item()[0]}}}"
        if self.next in _ACCENTS:
            return rf"\{_ACCENTS[self.take()]}{{{self.atom(token)}}}"
        if token == "E":
            return r"\mathbb{E}"
        if token in FUNCTIONS:
            return FUNCTIONS[token]
        if token in _SIGNS:
            return _SIGNS[token]
        if token in "|‖":
            return r"\mid " if token == "|" else r"\,\|\,"
        if re.fullmatch(r"[A-Za-zα-ωΑ-Ω]|[\d.]+|[-+=<>,;:./!]", token):
            return token
        if number := re.fullmatch(r"([\d.]+)e(-?\d+)", token):
            return rf"{number[1]} \cdot 10^{{{number[2]}}}"
        if token.isalpha() and token.isascii():
            raise self.fail(f"'{token}' is no function: letters stand apart, words in quotes,")
        raise self.fail(f"'{token}' is not known")

    def scripts(self) -> str:
        found = ""
        while self.next:
            sign = self.next
            if sign.translate(_RAISED) != sign:
                found += f"^{{{self.take().translate(_RAISED)}}}".replace("⊤", r"\top ")
            elif sign.translate(_LOWERED) != sign:
                found += f"_{{{self.take().translate(_LOWERED)}}}"
            elif sign in ("^", "_"):
                self.take()
                found += f"{sign}{{{self.script()}}}"
            elif sign in ("'", "′"):
                found += "'" * len(self.take())
            else:
                break
        return found

    def script(self) -> str:
        if not self.next:
            raise self.fail("nothing is raised or lowered")
        token = self.take()
        if token == "(":
            kept, self.display = self.display, False
            inside = self.until(")")
            self.display = kept
            return inside
        if token.isalpha() and token.isascii():
            return token if len(token) <= 3 else rf"\text{{{token}}}"
        return self.atom(token)


def tex(text: str, display: bool = False) -> str:
    """TeX of a formula in Unicode.

    Raises:
        ValueError: a bracket is not closed, or a sign or word is not known.
    """
    made = _Formula(text.rstrip("."), display).until("").removesuffix(r"\,")
    return made + "." * text.endswith(".")


def _displayed(lines: list[str], at: int) -> list[str]:
    """The lines of a formula as a directive, each a row; a line that is indented goes on.

    Args:
        lines: as in the docstring.
        at: indentation of the text around it.
    """
    margin = min(map(_indent, lines))
    rows: list[str] = []
    for line in lines:
        if _indent(line) > margin and rows:
            rows[-1] += " " + line.strip()
        else:
            rows.append(line.strip())
    made = []
    for row in rows:
        left, sign, right = re.match(f"([^{_RELATIONS}]*)([{_RELATIONS}]?)(.*)", row).groups()
        if len(rows) == 1:
            made.append(tex(row, True))
        elif sign:
            made.append(f"{tex(left, True)} & {tex(sign + right, True)}")
        else:
            made.append(f"& {tex(row, True)}")
    start = " " * at
    return [f"{start}.. math::", "", f"{start}   " + r" \\ ".join(made), ""]


# ---- text ----


def _inline(text: str) -> str:
    parts = _SPAN.split(text)
    for i, part in enumerate(parts):
        if i % 2 == 0:
            part = part.replace("->", "→")
            words = _EMPHASIS.split(part)
            words[::2] = [re.sub(r"([*|_`\\])", r"\\\1", word) for word in words[::2]]
            words[1::2] = [f"*{word}*" for word in words[1::2]]
            parts[i] = "".join(words)
            if "$" in part:
                raise ValueError(f"a formula must end on its line: {text.strip()}")
        elif part.startswith("$"):
            before = "\\ " if re.search(r"[^\s(\[]$", "".join(parts[:i])) else ""
            formula = tex(part[1:-1])
            if stop := re.match(r"[.,;]", parts[i + 1]):  # would stand alone on the next line
                formula += rf"\text{{{stop[0]}}}"
                parts[i + 1] = parts[i + 1][1:]
            after = "\\ " if re.match(r"\w", parts[i + 1]) else ""
            parts[i] = f"{before}:math:`{formula}`{after}"
        elif part.startswith("`") and not part.startswith("``"):
            parts[i] = f"`{part}`"
    return "".join(parts)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def plain(lines: list[str]) -> list[str]:
    """Return the docstring `lines` as reStructuredText with Google sections."""
    out: list[str] = []
    code_above: int | None = None  # indentation of the line that introduced the block
    formula: list[str] = []
    above = -1  # indentation of the last line of text
    for i, line in enumerate(lines):
        if code_above is not None:
            if not line.strip() or _indent(line) > code_above:
                out.append(line)
                continue
            code_above = None
        if formula:
            if line.strip() and _indent(line) > above:
                formula.append(line)
                continue
            out += _displayed(formula, above)
            formula = []
        if line.strip():
            if i and not lines[i - 1].strip() and _indent(line) > above >= 0:
                formula = [line]
                continue
            above = _indent(line)
        following = next((other for other in lines[i + 1 :] if other.strip()), "")
        opens = line.rstrip().endswith(":") and _indent(following) > _indent(line)
        name = re.match(r"^\s*([*\w., ]+):(\s|$)", line)
        if _SECTION.match(line.strip()):
            out.append(line)
        elif opens:
            out += [_inline(line.rstrip()) + ":", ""]
            code_above = _indent(line)
        elif name and line.startswith(" "):  # an entry of a section: Napoleon escapes its name
            end = name.end(1)
            out.append(line[:end] + _inline(line[end:]))
        else:
            out.append(_inline(line))
    return out + (_displayed(formula, above) if formula else [])


#: Stands for a colon while Napoleon reads the words of an attribute: it would take what comes
#: before one for a type.
_COLON = "\N{RATIO}"


#: Types of other packages are shown without their modules: the tilde says so to Sphinx.
_FOREIGN = re.compile(r"(?<![\w.~])(?=(?:collections\.abc|torch|typing|pathlib)\.(?:\w+\.)*[A-Z])")


def handed_on(module: types.ModuleType, documented: object) -> list[str]:
    """What is imported from a front, linked to where it is described: names, then modules.

    Args:
        module: with `__all__`.
        documented: the option `members` of the page: what is described under the front itself.
    """
    links, modules = [], []
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        home = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
        if isinstance(value, types.ModuleType):
            modules.append(f":py:mod:`{name} <{value.__name__}>`")
        elif isinstance(documented, list) and name in documented:
            links.append(f":py:obj:`{name} <{module.__name__}.{name}>`")
        elif home.startswith(module.__name__.partition(".")[0] + "."):
            links.append(f":py:obj:`{name} <{home}>`")
        elif not name.startswith("_"):
            links.append(f"``{name}``")
    said = ["From here one imports " + ", ".join(links)] if links else []
    if modules:
        noun = "the modules " if len(modules) > 1 else "the module "
        said.append("and " * bool(links) + noun + ", ".join(modules))
    return ["", ", ".join(said) + ".", ""] if said else []


def _process(app, what, name, obj, options, lines) -> None:
    try:
        lines[:] = plain(lines)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    members = options.get("members")
    if what == "module" and hasattr(obj, "__path__") and (not members or isinstance(members, list)):
        lines += handed_on(obj, members)
    if what == "attribute":
        lines[:] = [line.replace(":", _COLON) for line in lines]


def _after_napoleon(app, what, name, obj, options, lines) -> None:
    if what == "attribute":
        lines[:] = [line.replace(_COLON, ":") for line in lines]
    made: list[str] = []
    for field in _fields_of(lines):
        names = re.match(r"(\s*:ivar )([\w, ]+)(:.*)", field[0])
        if re.match(r"\s*:(var|r)?type\b", field[0]):
            field[0] = _FOREIGN.sub("~", field[0])
        for each in names[2].split(", ") if names else ():  # as Napoleon does with arguments
            made += [names[1] + each + names[3], *field[1:]]
        if not names:
            made += field
    lines[:] = made


def _fields_of(lines: list[str]) -> list[list[str]]:
    """The lines in groups, each of which begins where a field does."""
    groups: list[list[str]] = [[]]
    for line in lines:
        if groups[-1] and re.match(r"\s*:\w+", line):
            groups.append([])
        groups[-1].append(line)
    return [group for group in groups if group]


def plain_fields(model: type) -> None:
    """Leave a recipe's fields their types without bounds: people read those in the words below."""
    hints = typing.get_type_hints(model)
    model.__annotations__ = {name: hints[name] for name in vars(model).get("__annotations__", {})}


def _type_variables(app, config) -> None:
    """A single capital is a type variable: no page describes it."""
    config.nitpick_ignore_regex.append(("py:class", r"ganlab\.(\w+\.)*[A-Z]"))


def _fields(app) -> None:
    from ganlab.recipes import BaseRecipe

    for model in (BaseRecipe, *BaseRecipe.GAMES.values()):
        plain_fields(model)


def _signature(app, what, name, obj, options, signature, returns) -> tuple[str, str | None] | None:
    """A recipe takes its fields by name, each of which stands below; other types lose modules."""
    if hasattr(obj, "model_fields"):
        return ("(name, **fields)", None)
    if signature is None:
        return None
    return _FOREIGN.sub("~", signature), returns and _FOREIGN.sub("~", returns)


def _skip(app, what, name, obj, skip, options) -> bool | None:
    return True if name == "model_config" else None


def setup(app) -> dict[str, bool]:
    """Register with Sphinx, ahead of Napoleon."""
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"  # as the docstrings say, not "Variables"
    app.connect("config-inited", _type_variables)
    app.connect("builder-inited", _fields)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _process, priority=100)
    app.connect("autodoc-process-docstring", _after_napoleon, priority=900)
    return {"parallel_read_safe": True}
