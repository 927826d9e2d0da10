"""Run the exercises of a student's notebook once more, on cases that the student has not seen.

    verdicts = rerun("02_minimax_game.ipynb", seed=481516, limit=300)

A process of its own plays the cells: those tagged `setup`, then every cell of code from the first
tagged `exercise` to the last tagged `check`, so that functions that a student wrote in between are
there too. Each call of `lab.check` is answered by the real check. What a student's code prints is
dropped, the working folder is a temporary one, and after `limit` seconds the process is ended.

This *runs the student's code*: do it where that may do no harm, in a container or under an account
of its own. It finds out that a table was edited or an answer only knew the published cases. It
does not find out that code attacks the checks themselves; for that, read it.
"""

from __future__ import annotations

import contextlib
import json
import linecache
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError
from ganlab.files import as_path, read_text

#: What a verdict is in the result: status, message, code of the answer.
Verdict = tuple[str, str, str]

_CHECK = re.compile(r"lab\.check\(\s*[\"']([\d.]+)[\"']")
_MAGIC = re.compile(r"^(?P<indent>\s*)[%!].*$", re.MULTILINE)


def cells_of(path: str | Path) -> list[tuple[str, set[str]]]:
    """Code and tags of the cells that a re-run plays, in order.

    Raises:
        GanlabError: the file is no notebook, or none of its cells is an exercise or a check.
    """
    try:
        cells = json.loads(read_text(path))["cells"]
        codes = [
            ("".join(cell["source"]), set(cell.get("metadata", {}).get("tags", [])))
            for cell in cells
            if cell["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise GanlabError(f"{path} is no notebook") from error
    first = next((i for i, (_, tags) in enumerate(codes) if "exercise" in tags), None)
    last = next((i for i, (_, tags) in reversed([*enumerate(codes)]) if "check" in tags), None)
    if first is None or last is None:
        raise GanlabError(f"{path} has no cells tagged exercise and check: is it a lab notebook?")
    opening = [(code, tags) for code, tags in codes[:first] if "setup" in tags]
    return opening + codes[first : last + 1]


def plain(code: str) -> str:
    """Code without the lines that only a notebook understands."""
    if code.lstrip().startswith("%%"):
        return ""
    return _MAGIC.sub(r"\g<indent>pass", code)


def play(path: Path, out: Path) -> None:
    """Play the cells in this process, and write the verdicts to `out` after each one."""
    from ganlab import lab

    found: dict[str, Verdict] = {}
    run, written = lab.run, lab.written

    def check(exercise: str, answer: Any) -> Any:
        verdict = run(exercise, answer)
        found[exercise] = verdict.status, verdict.message, written(answer)
        lab.check_log.append(verdict)
        return verdict

    names: dict[str, Any] = {"__name__": "__main__", "display": print}
    for i, (code, tags) in enumerate(cells_of(path)):
        name = f"<cell {i}>"
        text = plain(code)
        # So that `inspect` finds the code of an answer.
        linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
        lab.check, lab.run = check, run  # whatever an earlier cell has made of them
        names["lab"] = lab if "check" in tags else names.get("lab", lab)
        try:
            exec(compile(text, name, "exec"), names)
        except BaseException as error:  # also of a cell that wants to end the process
            line = f"the cell stopped with {type(error).__name__}: {error}"
            for exercise in _CHECK.findall(code) if "check" in tags else []:
                found.setdefault(exercise, ("failed", line, ""))
        part = out.with_suffix(".part")  # moved when it is whole: the process may be ended
        part.write_text(json.dumps(found), encoding="utf-8")
        os.replace(part, out)


def rerun(path: str | Path, seed: int, limit: float = 300) -> tuple[dict[str, Verdict], bool]:
    """The verdicts on the exercises of the notebook at `path`, tried on the cases of `seed`.

    Args:
        path: of a student's notebook; its cells have kept their tags.
        seed: for `GANLAB_CHECK_SEED`; 0 are the published cases.
        limit: seconds after which the process is ended.

    Returns:
        The verdicts by exercise, as far as it came, and whether it came to the end.

    Raises:
        GanlabError: the notebook cannot be read, or has no exercises.
    """
    notebook = as_path(path).resolve()
    cells_of(notebook)
    package = str(Path(__file__).resolve().parents[3])
    old = {k: v for k, v in os.environ.items() if k != "GANLAB_GRADING"}
    stored = Path.cwd() / "book" / "results"
    new = {
        "GANLAB_CHECK_SEED": str(seed),
        "GANLAB_PROGRESS": "0",
        "GANLAB_RESULTS": str(as_path(old.get("GANLAB_RESULTS") or stored).resolve()),
        "MPLBACKEND": "Agg",
        "PYTHONPATH": os.pathsep.join([package, *filter(None, [old.get("PYTHONPATH")])]),
    }
    with tempfile.TemporaryDirectory(prefix="ganlab-rerun-") as folder:
        out = Path(folder) / "verdicts.json"
        command = [sys.executable, "-m", "ganlab.lab.checks.rerun", str(notebook), str(out)]
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=old | new,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            ended = process.wait(limit) == 0
        except subprocess.TimeoutExpired:
            ended = False
        finally:
            _end(process)
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(out.read_text(encoding="utf-8"))
            return {number: tuple(verdict) for number, verdict in found.items()}, ended
    return {}, False


def _end(process: subprocess.Popen) -> None:
    """End a process and what it has started."""
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


if __name__ == "__main__":
    play(Path(sys.argv[1]), Path(sys.argv[2]))
