"""The workflows run only what is pinned, with the least rights; weak spots are found by name."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".github"
WORKFLOWS = {p.stem: p for p in sorted((HOME / "workflows").glob("*.yml"))}
ACTIONS = {p.parent.name: p for p in sorted((HOME / "actions").glob("*/action.yml"))}
FILES = {**WORKFLOWS, **{f"action {name}": path for name, path in ACTIONS.items()}}
# Rights to write, for jobs that run no packages. Everything else only reads.
WRITES = {
    ("pages", "notebooks"): {"contents"},
    ("pages", "deploy"): {"pages", "id-token"},
    ("release", "publish"): {"contents"},
    ("weekly", "record"): {"contents", "pull-requests"},
    ("weekly", "report"): {"issues"},
}
PACKAGES = re.compile(r"\b(make|pip|npm|npx|docker|python3?)\b|\.venv|actions/setup\b")
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def read(text: str) -> dict[str, Any]:
    return yaml.load(text, Loader=yaml.BaseLoader)  # BaseLoader: `on` stays a word


def steps(tree: dict[str, Any]) -> list[dict[str, Any]]:
    jobs = tree.get("jobs", {}).values()
    return [*tree.get("runs", {}).get("steps", []), *(s for j in jobs for s in j.get("steps", []))]


def weak(text: str, name: str = "new") -> list[str]:
    """What is wrong with a workflow or a composite action, one line each."""
    tree, found = read(text), []
    for line in re.findall(r"^\s*(?:- )?(uses: .*)$", text, re.MULTILINE):
        local = re.fullmatch(r"uses: \./(\S+)", line)
        if local and not (ROOT / local[1] / "action.yml").is_file():
            found.append(f"no such action: {line}")
        if not local and not PINNED.fullmatch(line):
            found.append(f"not pinned by hash, with its version behind it: {line}")
    for step in steps(tree):
        kept = step.get("with", {}).get("persist-credentials") != "false"
        if kept and step.get("uses", "").startswith("actions/checkout@"):
            found.append("checkout leaves its token on the disk")
        if "${{" in step.get("run", ""):
            found.append(f"an expression in a script; hand it over in env: {step['run'][:60]}")
    if "jobs" not in tree:
        return found
    if tree.get("permissions") != {}:
        found.append("permissions of the whole workflow: give them to jobs")
    if "pull_request_target" in tree["on"]:
        found.append("pull_request_target runs strangers' code with rights")
    for job, body in tree["jobs"].items():
        if not 0 < int(body.get("timeout-minutes", 0)) <= 120:
            found.append(f"{job}: no timeout, or one above two hours")
        rights = body.get("permissions")
        if not isinstance(rights, dict):
            found.append(f"{job}: no permissions of its own")
            continue
        write = {right for right, kind in rights.items() if kind != "read"}
        if write != WRITES.get((name, job), set()):
            found.append(f"{job}: may write {sorted(write)}")
        said = [s.get("run", "") + s.get("uses", "") for s in body["steps"]]
        if write and any(PACKAGES.search(text) for text in said):
            found.append(f"{job}: runs packages with rights to write")
    return found


@pytest.mark.parametrize("name", FILES)
def test_a_workflow_has_no_weak_spot(name: str) -> None:
    assert weak(FILES[name].read_text(encoding="utf-8"), name) == []


SOUND = """\
on: [push]
permissions: {}
jobs:
  one:
    runs-on: ubuntu-latest
    timeout-minutes: 5
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@0123456789012345678901234567890123456789 # v1.2.3
        with:
          persist-credentials: false
      - run: make test
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("0123456789012345678901234567890123456789 # v1.2.3", "v4", "not pinned"),
        ("0123456789012345678901234567890123456789 # v1.2.3", "main # v1.2.3", "not pinned"),
        (" # v1.2.3", "", "not pinned"),
        (" # v1.2.3", " # v1", "not pinned"),
        ("run: make test", "uses: docker://alpine", "not pinned"),
        ("run: make test", "uses: ./.github/actions/nothing", "no such action"),
        ("persist-credentials: false", "fetch-depth: 0", "token on the disk"),
        ("make test", "echo ${{ github.event.issue.title }}", "expression in a script"),
        ("permissions: {}", "permissions: write-all", "whole workflow"),
        ("permissions: {}\n", "", "whole workflow"),
        ("[push]", "[pull_request_target]", "strangers"),
        ("    timeout-minutes: 5\n", "", "no timeout"),
        ("minutes: 5\n", "minutes: 360\n", "no timeout"),
        ("    permissions:\n      contents: read\n", "", "no permissions"),
        ("contents: read", "contents: write", "may write"),
        ("contents: read", "id-token: write", "may write"),
    ],
)
def test_a_weak_spot_is_found(old: str, new: str, told: str) -> None:
    assert weak(SOUND) == []
    assert old in SOUND
    assert any(told in line for line in weak(SOUND.replace(old, new)))


def test_a_job_that_may_write_runs_no_packages() -> None:
    text = SOUND.replace("one:", "report:").replace("contents: read", "issues: write")
    assert weak(text, "weekly") == ["report: runs packages with rights to write"]


def test_an_action_has_one_version() -> None:
    found: dict[str, set[str]] = {}
    for path in FILES.values():
        text = path.read_text(encoding="utf-8")
        for action, version in re.findall(r"uses: ([^.\s][^@\s]*)@(.*)", text):
            found.setdefault(action, set()).add(version)
    assert {action: v for action, v in found.items() if len(v) > 1} == {}
    assert "actions/checkout" in found


def test_each_weekly_job_that_fails_is_reported() -> None:
    jobs = read(WORKFLOWS["weekly"].read_text(encoding="utf-8"))["jobs"]
    checks = set(jobs) - {"report", "record"}
    assert checks == {"newest", "colab", "links"}
    assert set(jobs["report"]["needs"]) == checks
    reported = [s for s in jobs["report"]["steps"] if s["uses"] == "./.github/actions/open-issue"]
    assert {s["if"] for s in reported} == {f"needs.{job}.result == 'failure'" for job in checks}


def test_colab_runs_by_digest() -> None:
    job = read(WORKFLOWS["weekly"].read_text(encoding="utf-8"))["jobs"]["colab"]
    (run,) = [s for s in job["steps"] if "docker run" in s.get("run", "")]
    assert run["env"]["IMAGE"] == "${{ steps.pull.outputs.image }}"
    assert "RepoDigests" in next(s for s in job["steps"] if s.get("id") == "pull")["run"]
    lines = (HOME / "colab-image.txt").read_text(encoding="utf-8").splitlines()
    image = r"us-docker\.pkg\.dev/colab-images/public/runtime@sha256:[0-9a-f]{64}"
    recorded = [line for line in lines if not line.startswith("#")]
    assert len(recorded) <= 1
    assert all(re.fullmatch(image, line) for line in recorded)


def test_dependabot_looks_after_actions_tools_and_the_browser_tests() -> None:
    path = HOME / "dependabot.yml"
    schema = ["check_jsonschema", "--builtin-schema", "vendor.dependabot", str(path)]
    run = subprocess.run(
        [sys.executable, "-m", *schema], capture_output=True, text=True, encoding="utf-8"
    )
    assert run.returncode == 0, run.stdout
    updates = read(path.read_text(encoding="utf-8"))["updates"]
    assert {u["package-ecosystem"] for u in updates} == {"github-actions", "pip", "npm"}
    for update in updates:
        assert update["schedule"]["interval"] == "weekly"
        assert int(update["cooldown"]["default-days"]) >= 7
        for folder in update.get("directories", [update.get("directory")]):
            assert folder == "/" or list(ROOT.glob(folder.strip("/"))), folder


def test_tools_of_a_release_are_pinned() -> None:
    lines = (HOME / "tools" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    tools = [line for line in lines if not line.startswith("#")]
    assert tools
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", line) for line in tools)


# ---- versions that the course is tested with ----


def pins(name: str) -> dict[str, tuple[int, ...]]:
    lines = (HOME / f"{name}-constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {package: tuple(map(int, version.split("."))) for package, version in pairs}


def bounds() -> dict[str, tuple[int, ...]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    book = [line for line in project["optional-dependencies"]["book"] if "scipy" in line]
    pairs = [line.split(">=") for line in [*project["dependencies"], *book]]
    return {package: tuple(map(int, version.split("."))) for package, version in pairs}


def test_the_oldest_versions_are_the_bounds() -> None:
    assert pins("oldest") == bounds()


def test_colab_has_what_the_bounds_ask_for() -> None:
    colab, least = pins("colab"), bounds()
    assert set(least) <= set(colab)
    assert {name: colab[name] for name in least if colab[name] < least[name]} == {}


def test_oldest_and_colab_run_unit_tests_and_notebooks() -> None:
    jobs = read(WORKFLOWS["checks"].read_text(encoding="utf-8"))["jobs"]
    rows = jobs["test"]["strategy"]["matrix"]["include"]
    for name in ("oldest", "colab"):
        (row,) = [r for r in rows if f"{name}-constraints.txt" in r["constraints"]]
        assert row["targets"].split() == ["unit", "notebooks"]


def test_notebooks_become_the_only_commit_of_their_branch(tmp_path: Path) -> None:
    remote, made = tmp_path / "remote.git", tmp_path / "made with spaces"
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], check=True)
    program = str(HOME / "publish-notebooks")
    refused = subprocess.run([program, str(tmp_path), str(remote), "c0"], capture_output=True)
    assert refused.returncode == 2
    for text in ("first", "second"):
        (made / "read").mkdir(parents=True, exist_ok=True)
        (made / "read" / "01_generative_models.ipynb").write_text(text, encoding="utf-8")
        subprocess.run([program, str(made), str(remote), text], check=True)

    def git(*words: str) -> str:
        command = ["git", "-C", str(remote), *words]
        return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout

    assert git("log", "--format=%s", "notebooks").split("\n")[:-1] == ["Notebooks of second"]
    assert git("show", "notebooks:read/01_generative_models.ipynb") == "second"
    assert "Made from commit second" in git("show", "notebooks:README.md")
