"""A stand-in for Google Colab: its module, its folder, GitHub as a folder, and no index.

The code host is a folder of bare repositories (git's `insteadOf`), and what pip installs goes into
an environment of its own. With an index in reach one more test builds Colab's kernel of June 2026.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import address
import first_cell
import nbformat
import pytest
import torch
from nbclient import NotebookClient

import ganlab
from ganlab import lab
from ganlab.errors import FileError, GanlabError
from ganlab.training import memory as c_memory

SHAPE = (43, 2, 1, 8)  # of no other tensor in the process
ROOT = Path(__file__).resolve().parents[1]
OURS = address.read(ROOT)
HERE, FORK = f"{OURS.repository}@{OURS.branch}", "someone/fork@my/branch"
NO_GPU = "No GPU: Runtime > Change runtime type > T4 GPU"
# An older kernel, older widgets, and a setuptools that cannot build the course.
KERNEL = """ipython==7.34.0 ipykernel==6.17.1 ipywidgets==7.7.1 jupyter_client==7.4.9
    traitlets==5.7.1 setuptools==75.2.0 widgetsnbextension==3.6.10 ipython-genutils==0.2.0
    backcall==0.2.0 pickleshare==0.7.5 decorator==4.4.2 entrypoints==0.4"""


class Stand:
    """An environment with the host's torch and without the course; a code host beside it."""

    def __init__(self, place: Path) -> None:
        hub, fake, source = place / "hub", place / "fake" / "google" / "colab", place / "source"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "env"], check=True)
        self.python = place / "env" / "bin" / "python"
        (self.site,) = (place / "env").glob("lib/python*/site-packages")
        hosts = "\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
        (self.site / "host.pth").write_text(hosts, "utf-8")
        fake.mkdir(parents=True)
        (fake / "__init__.py").write_text("def load_ipython_extension(shell): pass\n", "utf-8")
        git = {"GIT_CONFIG_KEY_0": f"url.{hub.as_uri()}/.insteadOf"}
        git |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_VALUE_0": "https://github.com/"}
        self.env = os.environ | git | {"HOME": str(place), "IPYTHONDIR": str(place / "ipython")}
        self.env |= {"PYTHONPATH": str(fake.parents[1]), "GANLAB_DEVICE": "cpu"}
        self.env["CUDA_VISIBLE_DEVICES"] = ""
        shutil.copytree(ROOT / "ganlab", source / "ganlab")
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        who = "-c user.name=a -c user.email=a@b -c commit.gpgsign=false".split()  # noqa: SIM905
        subprocess.run(["git", "init", "-q"], cwd=source, check=True)
        for name, branch in (course.split("@") for course in (HERE, FORK)):
            (source / "COURSE").write_text(name, encoding="utf-8")
            for command in (
                ["checkout", "-q", "-b", branch],
                ["add", "-A"],
                [*who, "commit", "-q", "-m", name],
                ["clone", "-q", "--bare", "-b", OURS.branch, source, hub / name],
            ):
                subprocess.run(["git", *command], cwd=source, check=True)

    def installed(self) -> set[str]:
        """What pip has put beside the host's packages; the course's own files apart."""
        return {path.name for path in self.site.iterdir() if "ganlab" not in path.name}

    def run(self, content: Path, *cells: str, **env: str) -> subprocess.CompletedProcess:
        """Run cells in one fresh interpreter of this stand, offline, and tell the package used."""
        code = "import sys, google.colab\nfor cell in sys.argv[1:]: exec(cell, {})\n"
        command = [self.python, "-c", code + "import ganlab; print(ganlab.__file__)", *cells]
        env = self.env | {"PIP_NO_INDEX": "1"} | env
        return subprocess.run(command, cwd=content, env=env, capture_output=True, encoding="utf-8")


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Stand:
    if shutil.which("git") is None or os.name != "posix":
        pytest.skip("needs git and a system like Colab's")
    return Stand(tmp_path_factory.mktemp("colab"))


def cell(content: Path, course: str = HERE) -> str:
    """The first cell, with another folder in place of Colab's, and perhaps another course."""
    text = first_cell.source()
    assert (text.count('"/content/'), text.count(f'"{HERE}"')) == (1, 1)
    return text.replace('"/content/', f'"{content}/').replace(f'"{HERE}"', f'"{course}"')


def short(output: str) -> list[str]:
    """What a cell has printed, without what depends on the machine."""
    return re.sub(rf"^(CPU|{NO_GPU}).*", r"\1", output, flags=re.MULTILINE).splitlines()


def test_the_cell_runs_twice_survives_a_restart_and_changes_to_a_fork(stand, tmp_path):
    before = stand.installed()
    home, other = (tmp_path / "course" / name for name in (HERE, FORK))
    done = stand.run(tmp_path, cell(tmp_path), cell(tmp_path), cell(tmp_path, FORK))
    assert (done.returncode, done.stderr) == (0, "")
    assert lab.describe().split(" · ")[1] in done.stdout  # the host's torch
    later = "Chapters run. For the command ganlab, later: !pip install -q --no-deps -e"
    assert short(done.stdout) == [
        *(f"Fetching {HERE} (once, less than a minute)", f"{later} {home}", "CPU", NO_GPU),
        *("CPU", NO_GPU),
        *(f"Fetching {FORK} (once, less than a minute)", f"{later} {other}", "CPU"),
        f"This kernel still holds {home}: Runtime > Restart session, then run again",
        *(NO_GPU, str(home / "ganlab" / "__init__.py")),
    ]
    # after a restart, with no code host in reach: the clone is there
    done = stand.run(tmp_path, cell(tmp_path, FORK), GIT_ALLOW_PROTOCOL="none")
    assert (done.returncode, done.stderr) == (0, "")
    assert short(done.stdout) == ["CPU", NO_GPU, str(other / "ganlab" / "__init__.py")]
    assert stand.installed() == before
    fetched = [(place / "COURSE").read_text("utf-8") for place in (home, other)]
    assert fetched == [OURS.repository, "someone/fork"]
    assert (home / ".git" / "shallow").exists()


def test_a_branch_that_is_not_there_is_one_line_and_leaves_nothing(stand, tmp_path):
    done = stand.run(tmp_path, cell(tmp_path, f"{OURS.repository}@nowhere"))
    *why, line = done.stderr.splitlines()  # git's own reason comes first
    assert (done.returncode, "nowhere" in str(why)) == (1, True)
    assert line == "Not fetched: mend the line `course`, or try again"
    assert not list((tmp_path / "course").rglob("*.py"))


@pytest.mark.skipif("PIP_NO_INDEX" in os.environ, reason="PIP_NO_INDEX is set: no package index")
def test_with_an_index_pip_adds_the_command_alone_in_colabs_kernel(stand, tmp_path, monkeypatch):
    pip = [stand.python, "-m", "pip", "install", "-q", "--no-deps", *KERNEL.split()]
    if subprocess.run(pip, env=stand.env, capture_output=True).returncode:
        pytest.skip("no package index in reach")
    spec = tmp_path / "kernels" / "colab" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [str(stand.python), "-m", "ipykernel_launcher", "--ext=google.colab", "-f"]
    about = {"argv": [*argv, "{connection_file}"], "display_name": "Colab", "language": "python"}
    spec.write_text(json.dumps(about), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    explore = "def f(first=3, psi=0.8): print(first, psi)\nimport ipywidgets\n"
    explore += "ipywidgets.interact(f, first=(0, 99), psi=(-0.5, 1.5, 0.1))"
    cells = map(nbformat.v4.new_code_cell, (cell(tmp_path), cell(tmp_path), explore))
    book, before = nbformat.v4.new_notebook(cells=list(cells)), stand.installed()
    for first in (True, False):  # "Run all", then the same after a restart
        began = sum(os.times()[2:4])  # seconds of processors: other programs do not count
        client = NotebookClient(book, kernel_name="colab", startup_timeout=600)
        client.execute(cwd=str(tmp_path), env=stand.env)
        assert sum(os.times()[2:4]) - began < 60
        texts = ["".join(o.get("text", "") for o in c.outputs) for c in book.cells]
        fetching = [f"Fetching {HERE} (once, less than a minute)"] * first
        assert short(texts[0] + texts[1]) == [*fetching, "CPU", NO_GPU, "CPU", NO_GPU]
        shown = [kind for o in book.cells[2].outputs for kind in o.get("data", {})]
        assert "application/vnd.jupyter.widget-view+json" in shown
    assert stand.installed() == before  # torch and numpy are still the host's
    assert subprocess.run([stand.python.with_name("ganlab"), "--version"]).returncode == 0


@pytest.mark.parametrize("path", sorted(ROOT.glob("book/*.ipynb")), ids=lambda p: p.stem)
def test_chapters_ask_for_sliders_that_colabs_own_manager_draws(path):
    """Others need its manager of third parties; `interact` is in ipywidgets 7.7 and 8 alike."""
    text = "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code")
    assert set(re.findall(r"ipywidgets\.(\w+)", text)) <= {"interact"}
    assert "from ipywidgets" not in text


# ---- runs on Drive ----


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """Colab with a Drive that mounts, or fails to with `drive.error`."""
    faked = SimpleNamespace(error=None, root=tmp_path / "content" / "drive")

    def mount(place: str) -> None:
        if faked.error:
            raise faked.error
        (Path(place) / "My Drive").mkdir(parents=True, exist_ok=True)

    colab = SimpleNamespace(drive=SimpleNamespace(mount=mount))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.setattr(lab.colab, "DRIVE", faked.root)
    monkeypatch.setattr(lab.colab, "_kept", [])
    faked.root.parent.mkdir()
    monkeypatch.chdir(faked.root.parent)
    return faked


def test_a_run_kept_on_drive_lies_there_and_goes_on_another_day(drive, capsys):
    place = lab.keep_on_drive()
    assert place == drive.root / "My Drive" / "ganlab runs"
    assert capsys.readouterr().out == f"Runs are kept in {place}\n"
    ganlab.train("mlp-ring", steps=2, evaluate=False)
    assert (place / "mlp-ring" / "recipe.json").is_file()
    Path("runs").unlink()  # another machine
    assert lab.keep_on_drive() == lab.keep_on_drive(str(place)) == place
    assert ganlab.train("mlp-ring", resume=True, steps=4, evaluate=False).step == 4
    assert [lab.run_folder("mine").name for _ in range(2)] == ["mine", "mine-2"]
    assert (place / "mine-2").is_dir()
    shutil.rmtree(drive.root)
    with pytest.raises(FileError, match=r"mine cannot be made .*: call lab\.keep_on_drive"):
        lab.run_folder("mine")


def test_what_stands_in_the_way_of_drive_is_one_line(drive):
    drive.error = ValueError("mount failed")
    with pytest.raises(GanlabError, match=r"not mounted \(mount failed\): run this cell again"):
        lab.keep_on_drive()
    drive.error = None
    for outside in ("/elsewhere", "../../x"):
        with pytest.raises(GanlabError, match=r"lies outside .*: name a folder of My Drive"):
            lab.keep_on_drive(outside)
    Path("runs/old").mkdir(parents=True)
    with pytest.raises(GanlabError, match=r"holds runs already: move them with !mv runs/\* "):
        lab.keep_on_drive()
    Path("runs/old").rmdir()  # nothing was moved
    assert lab.keep_on_drive() == Path("runs").readlink()


def test_outside_colab_runs_stay_and_those_of_chapters_are_temporary(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert lab.keep_on_drive() == tmp_path / "runs"
    assert capsys.readouterr().out == f"This is not Colab: runs stay in {tmp_path / 'runs'}\n"
    one, two = lab.run_folder("a"), lab.run_folder("a")
    assert one != two
    assert list(tmp_path.iterdir()) == []
    lab.setup()
    assert capsys.readouterr().out == lab.describe() + "\n"


# ---- memory ----


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    from IPython.core.interactiveshell import InteractiveShell

    gc.disable()  # garbage waits
    yield InteractiveShell.instance()
    gc.enable()
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    "code",
    [
        "torch.ones(43, 2, 1, 8)",
        "{'deep': [(torch.ones(43, 2, 1, 8).numpy, lambda: 0)]}",
        "def f():\n    x = torch.ones(43, 2, 1, 8)\n    return lambda: x\nf()",
        "def f():\n    x = torch.ones(43, 2, 1, 8)\n    1 / 0\nf()",
        "class A: pass\na, b = A(), A()\na.b, b.a, a.x = b, a, torch.ones(43, 2, 1, 8)\ndel a, b",
    ],
)
def test_what_a_notebook_holds_by_accident_is_freed(shell, code):
    shell.run_cell("import torch")
    shell.run_cell(code, store_history=True)
    for count in (1, 0):
        found = [x for x in gc.get_objects() if type(x) is torch.Tensor and x.shape == SHAPE]
        assert len(found) == count
        del found
        lab.free()


def test_other_outputs_and_variables_stay_and_the_line_names_the_largest(shell, capsys):
    for text in ("import torch; 1 + 1", "big = torch.ones(2**21); small = torch.ones(5); big"):
        shell.run_cell(text, store_history=True)
    capsys.readouterr()
    done = lab.free()
    assert (done.outputs, done.largest) == (("Out[2]",), ("big", 2**23))
    assert shell.user_ns["Out"] == {1: 2}
    assert capsys.readouterr().out == f"{done}\n"
    assert str(done).endswith("most by big (8 MiB); forgotten: Out[2]")
    shell.run_cell("del big")
    assert lab.free().largest is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a size")
def test_what_is_freed_is_measured(shell):
    c_memory.keep()  # as every training does
    shell.run_cell("import torch; torch.ones(2**26)", store_history=True)  # 256 MiB
    assert lab.free().freed > 200 * 2**20
    assert lab.free().freed < 50 * 2**20


def test_on_a_gpu_the_caches_of_torch_are_counted(monkeypatch):
    reserved = [3 * 2**30, 2**30]
    gpu = {"is_available": lambda: True, "device_count": lambda: 1}
    gpu |= {"memory_reserved": lambda i: reserved[0], "empty_cache": lambda: reserved.pop(0)}
    for name in gpu:
        monkeypatch.setattr(torch.cuda, name, gpu[name])
    assert str(lab.free()) == "Freed 2,048 MiB of GPU memory, 1,024 MiB are in use"
