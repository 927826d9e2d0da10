"""Pack what a bare GPU machine lacks: the data of the trainings, and Python packages.

    python benchmarks/pack_gpu.py runs/pack --data /path/to/data
    python benchmarks/pack_gpu.py runs/pack --data /path/to/data --python 3.11 --python 3.12
    python benchmarks/pack_gpu.py runs/pack --data /path/to/data --set emoji --no-wheels

The folder holds `NAME.zip.xz` for each data set, `wheels/` and `commit.txt`. There, set
`GANLAB_DATA` to it: `gpu.py` unpacks what it finds and takes the packages that are missing.

CIFAR-10 is packed as the JPEG files of its training split, byte for byte, in a zip that is not
compressed inside a stream that is: 50,000 files repeat the same 609 bytes of header, so this takes
a quarter of the zip's room (decoded bytes would take ten times as much). Emoji stay the published
PNG files, because the loader checks their bytes.

A set that lies in the folder already is not packed again: delete its file for that.
The pack may have --limit MiB, less what the checkout itself takes, since both travel together.
"""

from __future__ import annotations

import argparse
import io
import lzma
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from gpu_machine import NEEDS

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 64.0
#: Installed on the lent machines: torch and what comes with it.
THERE = ("torch", "torchvision", "numpy", "pillow", "matplotlib", "safetensors", "tqdm", "filelock")


def stored(path: Path, keep: Callable[[str], bool]) -> bytes:
    """The files of a zip that `keep` wants, as a zip without compression or dates."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for name in sorted(source.namelist()):
            if keep(name) and not name.endswith("/"):
                info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
                target.writestr(info, source.read(name), zipfile.ZIP_STORED)
    return out.getvalue()


#: Set -> (file below the data folder, which of its files a training needs).
SETS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "cifar10": ("cifar10-jpg.zip", lambda name: name.startswith("train/")),
    "emoji": ("noto-emoji-72.zip", lambda name: True),
}


def tree_bytes() -> int:
    """Bytes of the checkout that travel: tracked files, and new ones that git does not ignore."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    paths = {ROOT / p.decode() for p in done.stdout.split(b"\0") if p}
    return sum(p.stat().st_size for p in paths if p.is_file())


def wheels(to: Path, pythons: list[str]) -> None:
    """Download the wheels of the installed versions of what is missing there.

    Raises:
        SystemExit: pip could not.
    """
    names = [name for name in NEEDS.values() if name not in THERE]
    wanted = [f"{name}=={metadata.version(name)}" for name in names]
    platforms = [
        word
        for p in ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
        for word in ("--platform", p)
    ]
    for version in pythons:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps",
                   "--only-binary=:all:", "--python-version", version, "--implementation", "cp",
                   *platforms, "-d", str(to), *wanted]  # fmt: skip
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, encoding="utf-8"
        )
        if done.returncode:
            raise SystemExit(
                f"pip has no wheels for Python {version}: {done.stderr.strip().splitlines()[-1]}"
            )


def size(folder: Path) -> dict[str, int]:
    """name -> bytes of what is in a pack, without what was unpacked from it."""
    found = [*folder.glob("*.xz"), *folder.glob("wheels/*.whl"), *folder.glob("commit.txt")]
    return {str(p.relative_to(folder)): p.stat().st_size for p in sorted(found)}


def pack(
    out: Path, data: Path, sets: list[str], pythons: list[str], limit: float, tree: int
) -> dict[str, int]:
    """Fill the folder; name -> bytes.

    Raises:
        SystemExit: a set is not in `data`, `data` is `out`, or all is more than `limit` MiB.
    """
    for name in sets:
        if not (data / SETS[name][0]).is_file():
            raise SystemExit(f"{data} has no {SETS[name][0]}, which {name} is packed from")
    if out.resolve() == data.resolve():
        raise SystemExit(f"{out} is the data folder itself: pack into another")
    out.mkdir(parents=True, exist_ok=True)
    for packed in out.glob("*.xz"):  # what was unpacked in a trial must not travel
        packed.with_suffix("").unlink(missing_ok=True)
    shutil.rmtree(out / "site", ignore_errors=True)
    for name in sets:
        file, keep = SETS[name]
        to = out / f"{file}.xz"
        if not to.exists():
            print(f"packing {name} ...", flush=True)
            to.write_bytes(lzma.compress(stored(data / file, keep), preset=6))
    if pythons:
        (out / "wheels").mkdir(exist_ok=True)
        wheels(out / "wheels", pythons)
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False,
                          capture_output=True, text=True, encoding="utf-8")  # fmt: skip
    (out / "commit.txt").write_text(done.stdout.strip() + "\n", encoding="utf-8")
    sizes = size(out)
    total = sum(sizes.values())
    for name, count in sizes.items():
        print(f"  {count / 2**20:7.2f} MiB  {name}")
    print(f"  {total / 2**20:7.2f} MiB  packed, and {tree / 2**20:.2f} MiB of checkout", flush=True)
    if total + tree > limit * 2**20:
        raise SystemExit(
            f"{(total + tree) / 2**20:.1f} MiB are more than the {limit:g} MiB that travel: leave"
            " out a --set or a --python, or move large files out of the checkout"
        )
    return sizes


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder to fill; git should ignore it")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the zips")
    parser.add_argument("--set", action="append", choices=SETS, help="(default: all)")
    parser.add_argument("--python", action="append", help="of the machine there (default: 3.12)")
    parser.add_argument("--no-wheels", action="store_true", help="data only")
    parser.add_argument("--limit", type=float, default=LIMIT, help="MiB in all (default: 64)")
    parser.add_argument(
        "--alone", action="store_true", help="do not count the checkout towards the limit"
    )
    args = parser.parse_args(argv)
    pythons = [] if args.no_wheels else args.python or ["3.12"]
    tree = 0 if args.alone else tree_bytes()
    pack(args.out, args.data, args.set or list(SETS), pythons, args.limit, tree)
    print(f"there: GANLAB_DATA={args.out} python3 benchmarks/gpu.py --minutes 10")


if __name__ == "__main__":
    main()
