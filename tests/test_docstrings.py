"""The pages of the package are made from plain docstrings."""

from __future__ import annotations

from pathlib import Path

import docutils.core
import plain_docstrings
import pytest
from sphinx.ext.napoleon import Config, GoogleDocstring


def html(text: str) -> str:
    lines = plain_docstrings.plain(text.splitlines())
    rst = str(GoogleDocstring(lines, Config(napoleon_use_ivar=True)))
    settings = {"halt_level": 2, "report_level": 2}  # a warning is an error
    return docutils.core.publish_parts(rst, writer_name="html", settings_overrides=settings)["body"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("A path `a_b` and *args.", "a_b</tt> and *args."),
        ("The distance |mu1 - mu2|^2, in x_ units.", "|mu1 - mu2|^2, in x_ units."),
        ("Use it so:\n\n    f(**options)\n    g()", 'literal-block">\nf(**options)\ng()'),
        ("Use it so:\n    f(**options)\n\nThen stop.", "<p>Then stop.</p>"),
        ("Do.\n\nRaises:\n    ValueError: `x_` is *bad*.", "x_</tt> is <em>bad</em>."),
        ("All *args, **options and 2 * 3 * 4.", "All *args, **options and 2 * 3 * 4."),
        ("From (B, C) -> (B,).", "From (B, C) → (B,)."),
        ("Do.\n\nArgs:\n    x: a value_.\n    *rest: more.", "more."),
    ],
)
def test_plain_text_is_shown_as_written(text: str, shown: str) -> None:
    assert shown in html(text)


def test_fields_of_recipes_are_shown_with_types_that_people_read():
    # In a process of its own: the recipes of this one keep their bounds.
    import subprocess
    import sys

    code = (
        "import sys; sys.path.insert(0, 'book/tools'); import plain_docstrings as p;"
        "from ganlab.recipes import BaseRecipe; p.plain_fields(BaseRecipe);"
        "print(BaseRecipe.__annotations__['batch'], BaseRecipe.__annotations__['betas'],"
        " BaseRecipe.__annotations__['size'] == (int | str | None))"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert done.stdout.strip() == ("<class 'int'> tuple[float, float | str] True")
