"""What the tests of the live figures share: the page's script, run in Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

LIVE = Path(__file__).resolve().parents[1] / "book" / "static" / "live"

needs_node = pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")


def played(program: str, *arguments: Any) -> Any:
    """What a program prints as JSON.

    Args:
        program: JavaScript.
        *arguments: `process.argv[1]` and on; paths as they are, what is no path as JSON.
    """
    told = [str(a) if isinstance(a, str | Path) else json.dumps(a) for a in arguments]
    run = subprocess.run(
        ["node", "-e", program, *told],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        encoding="utf-8",
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
