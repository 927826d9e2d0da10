"""Write the public address of the course into every file that shows it.

The address stands once, in ``[tool.ganlab]`` of ``pyproject.toml``: repository (owner/name),
branch and site. After editing it run ``make address``. With ``--check`` nothing is written;
every address that does not derive from the table is printed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = "notebooks"  # the branch on which the site's workflow puts what people open

# Other people's repositories and pages that the text or the workflows may name. Anything on
# GitHub, Colab or GitHub Pages that is neither ours nor listed here fails the check.
THIRD_PARTY = {
    "poloclub/ganlab",
    "poloclub.github.io/ganlab",
    "googlefonts/noto-emoji",
    "mathjax/mathjax",
    "googlecolab/backend-info",
    "toshas/torch-fidelity",
    "mseitzer/pytorch-fid",
}

SUFFIXES = {
    *(".md", ".ipynb", ".py", ".toml", ".yml", ".yaml", ".cff", ".cfg", ".bib", ".txt"),
    *(".css", ".js", ".mjs", ".json", ".html", ".svg", ""),
}
SKIPPED_FOLDERS = {"_build", "node_modules", "vendor", "build", "dist"}

_NAME = r"[\w.-]*\w"
_PATTERNS = (
    # host, owner/name, then what follows: a branch where the link names one
    re.compile(
        rf"(?P<host>github\.com|colab\.research\.google\.com/github|"
        rf"raw\.githubusercontent\.com|nbviewer\.org/github|mybinder\.org/v2/gh)/"
        rf"(?P<repo>{_NAME}/{_NAME})(?P<rest>[^\s\"'<>)\]}}]*)"
    ),
    re.compile(rf"(?P<pages>{_NAME}\.github\.io(?:/{_NAME})?)"),
)
_BRANCH = re.compile(r"^(?:/(?:blob|tree|raw|edit)/|(?:\.git)?@)(?P<branch>[\w.-]*\w)")
_NOT_REPOSITORIES = ("sponsors/", "orgs/", "settings/", "features/", "marketplace/")


@dataclass(frozen=True)
class Address:
    """Where the course is published."""

    repository: str
    branch: str
    site: str

    @property
    def url(self) -> str:
        return f"https://github.com/{self.repository}"

    @property
    def pip(self) -> str:
        return f"git+{self.url}@{self.branch}"

    def colab(self, chapter: str) -> str:
        """Link that opens the notebook of a chapter, '02_minimax_game', in Colab."""
        host = "https://colab.research.google.com/github"
        return f"{host}/{self.repository}/blob/{NOTEBOOKS}/read/{chapter}.ipynb"


def read(root: Path = ROOT) -> Address:
    """Return the address that ``pyproject.toml`` declares."""
    with open(root / "pyproject.toml", "rb") as file:
        return Address(**tomllib.load(file)["tool"]["ganlab"])


def written(root: Path = ROOT) -> Address:
    """Return the address that was written last, as ``_config.yml`` shows it."""
    text = (root / "_config.yml").read_text(encoding="utf-8")

    def field(pattern: str) -> str:
        found = re.search(pattern, text, re.MULTILINE)
        if not found:
            raise SystemExit(f"_config.yml: no line matches {pattern}")
        return found[1].strip("\"'")

    return Address(
        repository=field(r"^  url: https://github\.com/(\S+)"),
        branch=field(r"^  branch: (\S+)"),
        site=field(r"^  baseurl: (\S+)"),
    )


def text_files(root: Path = ROOT) -> Iterator[Path]:
    """Yield the text files of the project: what git tracks or would track."""
    command = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"]
    listing = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if listing.returncode == 0:
        paths = [root / name for name in listing.stdout.split("\0") if name]
    else:  # an unpacked archive
        paths = [p for p in root.rglob("*") if p.relative_to(root).parts[0] != ".venv"]
    for path in sorted(paths):
        skipped = SKIPPED_FOLDERS & set(path.relative_to(root).parts)
        if path.suffix in SUFFIXES and path.is_file() and not skipped:
            yield path


def strangers(text: str, address: Address) -> list[str]:
    """Return every address in `text` that is neither ours nor a listed third party's."""
    wrong = []
    for match in _PATTERNS[0].finditer(text):
        repository, rest = match["repo"].removesuffix(".git"), match["rest"]
        if repository in THIRD_PARTY or repository.startswith(_NOT_REPOSITORIES):
            continue
        raw = match["host"].startswith("raw.")  # there the branch follows the name at once
        branch = re.match(r"/(?P<branch>[\w.-]+)", rest) if raw else _BRANCH.match(rest)
        if repository != address.repository or (
            branch and branch["branch"] not in (address.branch, NOTEBOOKS)
        ):
            wrong.append(match[0])
    own_pages = address.site.removeprefix("https://").rstrip("/")
    for match in _PATTERNS[1].finditer(text):
        page = match["pages"]
        if page not in THIRD_PARTY and not own_pages.startswith(page):
            wrong.append(page)
    return wrong


def rewrite(text: str, old: Address, new: Address) -> str:
    """Return `text` with every address derived from `old` replaced by the one from `new`."""
    text = text.replace(old.site, new.site).replace(old.site.rstrip("/"), new.site.rstrip("/"))
    with_branch = re.compile(
        rf"{re.escape(old.repository)}"
        rf"(?P<link>/(?:(?:blob|tree|raw|edit)/)?|(?:\.git)?@){re.escape(old.branch)}(?![\w-])"
    )
    text = with_branch.sub(lambda m: f"{new.repository}{m['link']}{new.branch}", text)
    text = re.sub(rf"(?<![\w.-]){re.escape(old.repository)}(?![\w-])", new.repository, text)
    return text


def update(root: Path = ROOT) -> list[Path]:
    """Write the declared address everywhere; return the files that changed."""
    old, new = written(root), read(root)
    changed = []
    for path in text_files(root):
        text = path.read_text(encoding="utf-8")
        fresh = rewrite(text, old, new)
        if path == root / "_config.yml":
            fresh = re.sub(r"^(  branch: )\S+", rf"\g<1>{new.branch}", fresh, flags=re.MULTILINE)
        if path == root / "pyproject.toml":  # the table itself is the source
            head, table, tail = text.partition("[tool.ganlab]")
            fresh = rewrite(head, old, new) + table + tail
        if fresh != text:
            path.write_text(fresh, encoding="utf-8")
            changed.append(path)
    return changed


def check(root: Path = ROOT) -> list[str]:
    """Return one line for every address that does not derive from the table."""
    address = read(root)
    if written(root) != address:
        return [f"_config.yml holds {written(root)}, pyproject.toml {address}: run `make address`"]
    own = Path(__file__).resolve()
    return [
        f"{path.relative_to(root)}: {stranger}"
        for path in text_files(root)
        if path.resolve() != own
        for stranger in strangers(path.read_text(encoding="utf-8"), address)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="only report, write nothing")
    if parser.parse_args().check:
        wrong = check()
        print("\n".join(wrong) or f"every address derives from {read().repository}")
        sys.exit(bool(wrong))
    changed = update()
    for path in dict.fromkeys(changed):
        print("rewrote", path.relative_to(ROOT))


if __name__ == "__main__":
    main()
