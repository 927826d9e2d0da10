"""The code cell that opens every notebook, byte for byte the same.

``python book/tools/first_cell.py`` prints it; with notebook names it writes it into them, as
their first code cell. In Colab it clones the course, with its stored results, once for each fork
and branch, and puts the clone on the path: that is all the chapters need. pip adds the command
``ganlab``, without dependencies: torch, numpy and the few others are there already, and must not
be replaced. It builds in isolation, since Colab's own setuptools is older than the project asks
for; should the index be out of reach, one line says so and the chapters run all the same.
Elsewhere the cell does nothing but import.
"""

from __future__ import annotations

import sys
from pathlib import Path

import address
import nbformat

TAGS = ["setup", "hide-cell"]
LABEL = {"code_prompt_show": "Set-up", "code_prompt_hide": "Set-up"}  # where the site hides it

_TEXT = """\
# Opens every chapter. In Colab it fetches the course; elsewhere, nothing.
import sys

if "google.colab" in sys.modules:
    import os
    import subprocess

    course = "{repository}@{branch}"  # a fork? owner/name@branch
    repository, branch = course.split("@")
    home = "/content/course/" + course
    if not os.path.exists(home):
        print("Fetching", course, "(once, less than a minute)")
        git = ["git", "clone", "-q", "--depth=1", "-b", branch]
        git += ["https://github.com/" + repository, home]
        if subprocess.run(git).returncode:
            sys.exit("Not fetched: mend the line `course`, or try again")
        # without dependencies: Colab has them, and its torch must stay
        pip = "pip install -q --no-deps -e " + home
        command = [sys.executable, "-m", *pip.split()]
        if subprocess.run(command, capture_output=True).returncode:
            print("Chapters run. For the command ganlab, later: !" + pip)
    sys.path.insert(0, home)  # this kernel started before the install

from ganlab import lab

lab.setup()"""


def source() -> str:
    """Return the text of the cell."""
    where = address.read()
    return _TEXT.format(repository=where.repository, branch=where.branch)


def metadata() -> dict[str, object]:
    """Return the metadata of the cell."""
    return {"tags": list(TAGS), "mystnb": dict(LABEL)}


def write_into(notebook: nbformat.NotebookNode) -> bool:
    """Make the first code cell of `notebook` the standard one; say whether it changed.

    A first cell that calls ``lab.setup()`` is replaced, otherwise the cell is inserted below
    the title.
    """
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if codes and "lab.setup()" in codes[0].source:
        cell = codes[0]
        same = cell.source == source() and dict(cell.metadata) == metadata()
        cell.source, cell.metadata = source(), nbformat.from_dict(metadata())
        return not same
    cell = nbformat.v4.new_code_cell(source(), id="first-cell", metadata=metadata())
    notebook.cells.insert(min(1, len(notebook.cells)), cell)
    return True


def renew(path: str | Path) -> bool:
    """Make the first code cell of the notebook at `path` the standard one; say if it changed."""
    notebook = nbformat.read(path, as_version=4)
    changed = write_into(notebook)
    if changed:
        nbformat.write(notebook, path)
    return changed


def main() -> None:
    if len(sys.argv) == 1:
        print(source())
    for name in sys.argv[1:]:
        if renew(name):
            print("wrote the first cell of", name)


if __name__ == "__main__":
    main()
