"""Run notebooks from top to bottom, in place, and stamp them with when and where they ran.

Without names every notebook of ``_toc.yml`` runs, in reading order. A notebook is written only
if all of its cells ran and no cell stores more than 150 kB of output.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import sys
import time
from pathlib import Path

import first_cell
import hygiene
import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]

# Asked of the kernel after the last cell, in the state that the chapter left.
_PROBE = """
import os as _os
import torch as _torch
from ganlab import lab as _lab
_kind = str(getattr(_lab.device, "type", _lab.device))
if _kind == "cuda":
    _kind = _torch.cuda.get_device_name(0)
elif _kind == "cpu":
    _cores = len(_os.sched_getaffinity(0)) if hasattr(_os, "sched_getaffinity") else _os.cpu_count()
    _kind = f"CPU ({_cores} cores)"
print(_kind, _torch.__version__.split("+")[0], sep="|", end="")
"""


def chapters(root: Path = ROOT) -> list[Path]:
    """Return the notebooks of ``_toc.yml``, in reading order (those that exist)."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    parts = toc.get("parts", [toc])
    files = [chapter["file"] for part in parts for chapter in part.get("chapters", [])]
    paths = [root / f"{file}.ipynb" for file in files]
    return [path for path in paths if path.exists()]


def normalise(notebook: NotebookNode) -> None:
    """Reduce metadata to what the book needs, so that two runs differ only where results do."""
    python = {"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3"}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": python})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    ids: set[str] = set()
    for i, cell in enumerate(notebook.cells):
        kept = {k: v for k, v in cell.metadata.items() if k in hygiene.CELL_METADATA}
        cell.metadata = NotebookNode(kept)
        if cell.get("id") in ids | {None}:
            cell["id"] = f"cell-{i}"
        ids.add(cell["id"])
        if cell.cell_type == "code":
            cell.source = cell.source.rstrip()
            for output in cell.outputs:
                if "metadata" in output:
                    output["metadata"] = NotebookNode()


def stamp(notebook: NotebookNode, line: str) -> bool:
    """Put `line` below the marker in the first cell that holds it; say whether one does."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and hygiene.MARKER in cell.source.splitlines():
            lines = cell.source.splitlines()
            here = lines.index(hygiene.MARKER) + 1
            if lines[here:] and lines[here].startswith("*Last run:"):
                lines[here] = line
            else:
                lines.insert(here, line)
            cell.source = "\n".join(lines)
            return True
    return False


def run(notebook: NotebookNode, folder: Path, timeout: int) -> tuple[str, str, float]:
    """Execute `notebook` with `folder` as working directory; return device, torch, seconds."""
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,  # or the outputs depend on how fast a cell prints
        resources={"metadata": {"path": str(folder)}},
    )
    start = time.perf_counter()
    with client.setup_kernel():
        client.reset_execution_trackers()
        for i, cell in enumerate(notebook.cells):
            client.execute_cell(cell, i, execution_count=client.code_cells_executed + 1)
        seconds = time.perf_counter() - start
        notebook.cells.append(nbformat.v4.new_code_cell(_PROBE))
        client.execute_cell(notebook.cells[-1], i + 1, store_history=False)
        probe = notebook.cells.pop()
    device, torch = "".join(o.get("text", "") for o in probe.outputs).split("|")
    return device, torch, seconds


def execute(path: Path, profile: str, timeout: int) -> list[str]:
    """Run the notebook at `path`, write it, and return what is still wrong with it.

    Raises ``CellExecutionError`` if a cell fails and ``ValueError`` if an output is too large;
    in both cases the file stays as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    first_cell.write_into(notebook)
    normalise(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    device, torch, seconds = run(notebook, ROOT / "book", timeout)
    normalise(notebook)
    if too_large := list(hygiene.output_size(notebook)):
        raise ValueError("; ".join(too_large))
    today = datetime.date.today().isoformat()
    line = f"*Last run: {today}, {device}, torch {torch}, {seconds:.0f} s, profile {profile}.*"
    stamp(notebook, line)
    temporary = path.with_suffix(".tmp")
    nbformat.write(notebook, temporary)
    os.replace(temporary, path)
    print(f"{path.name}: {seconds:.1f} s on {device}, torch {torch}, profile {profile}")
    return hygiene.problems(notebook)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of _toc.yml")
    parser.add_argument(
        "--profile",
        choices=("quick", "standard", "full"),
        default=os.environ.get("GANLAB_PROFILE", "standard"),
        help="how long the training cells run (default: standard)",
    )
    parser.add_argument("--timeout", type=int, default=1800, help="seconds a cell may take")
    arguments = parser.parse_args()
    os.environ["GANLAB_PROFILE"] = arguments.profile
    # The kernel named python3 must be this interpreter's, not one from the home folder.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ["PIP_NO_INDEX"] = "1"

    failed = False
    for path in arguments.notebooks or chapters():
        try:
            for problem in execute(path, arguments.profile, arguments.timeout):
                print(f"  to mend: {problem}")
        except (CellExecutionError, ValueError) as error:
            failed = True
            print(f"{path.name}: not written: {re.sub(chr(27) + r'[^m]*m', '', str(error))}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
