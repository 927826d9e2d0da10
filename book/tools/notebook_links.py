"""Sphinx extension: the buttons of a chapter open the notebook that people can read.

The theme's buttons lead to the chapter's source, which is written for the site: in Colab its
theorems would be grey boxes and its solutions would lie open. Here the button for Colab leads to
the chapter of the set *read* (`variants`), the one that downloads an `.ipynb` to the same file
beside the page, and the sets themselves are written into the site as ``notebooks/``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import address
import execute
import variants
from references import References

FOLDER = "notebooks"


def _links(buttons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every button that leads somewhere, those within menus too."""
    found = []
    for button in buttons:
        found += _links(button.get("buttons", [])) if button["type"] == "group" else [button]
    return found


def point(app: Any, pagename: str, template: str, context: Any, doctree: Any) -> None:
    """Let the buttons of a page that is a notebook lead to the set *read*."""
    name = Path(pagename).name
    if not str(app.env.doc2path(pagename)).endswith(".ipynb") or not doctree:
        return
    for button in _links(context.get("header_buttons", [])):
        url = str(button.get("url", ""))
        if "colab." in url:
            button["url"] = address.read().colab(name)
        elif url.endswith(".ipynb") and "_sources/" in url:
            up = "../" * pagename.count("/")
            button["url"] = f"{up}{FOLDER}/read/{name}.ipynb"


def write(app: Any, failed: Exception | None) -> None:
    """Write the three sets into the built site."""
    if failed or app.builder.format != "html":
        return
    refs = References()
    for path in execute.chapters():
        variants.write(path, Path(app.outdir) / FOLDER, refs)


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx, after the theme's own buttons."""
    app.connect("html-page-context", point, priority=600)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
