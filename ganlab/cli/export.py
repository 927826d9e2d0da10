"""`ganlab export`: a trained generator for other programs."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from ganlab.errors import GanlabError, unknown

EXAMPLES = """\
examples:
  ganlab export runs/dcgan-mnist --to onnx              z to picture, any batch
  ganlab export dcgan-mnist --to onnx --half            a result of the course, half the size
  ganlab export runs/faces --to onnx --psi 0.7          truncated (style-based generators)
  ganlab export runs/faces --to onnx --psi input        truncation as a second input, a scalar
  ganlab export runs/faces --to onnx --part mapping     z to w, one for each layer
  ganlab export runs/faces --to onnx --part synthesis   these to a picture: mix and edit between
  ganlab export runs/dcgan-mnist --to safetensors --half --out digits.safetensors

then, anywhere:
  import numpy, onnxruntime
  session = onnxruntime.InferenceSession("runs/dcgan-mnist/generator.onnx")
  z = numpy.random.randn(16, session.get_inputs()[0].shape[1]).astype("float32")
  (pictures,) = session.run(None, {"z": z})    # (16, C, H, W), -1 black to 1 white

Before the file gets its name it is run by onnxruntime on random inputs, in batches of 1 and of
5, and must agree with torch to 1e-4. ONNX needs: pip install onnx onnxscript onnxruntime
"""
FORMATS = {"onnx": ".onnx", "safetensors": ".safetensors"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `ganlab export`."""
    parser.add_argument("run", metavar="RUN", help="a run's folder, or the name of a stored result")
    parser.add_argument("--to", default="onnx", help="onnx (default) or safetensors")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="default: RUN/generator.onnx, or NAME.onnx here for a stored result",
    )
    parser.add_argument("--part", help="whole (default), mapping or synthesis")
    parser.add_argument(
        "--psi", metavar="P", help="truncation, 0 to 1 (default: 1, none), or the word 'input'"
    )
    parser.add_argument("--half", action="store_true", help="store weights in 16 bits")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the random inputs of the check (default: 0)"
    )


def export(args: argparse.Namespace) -> int:
    """`ganlab export`."""
    from ganlab.deploy import export as maker
    from ganlab.deploy import onnx_files

    if args.to not in FORMATS:
        raise GanlabError(unknown("format", args.to, FORMATS))
    psi = _psi(args.psi)
    if args.to == "safetensors" and (args.part is not None or args.psi is not None):
        raise GanlabError("--part and --psi go with --to onnx: weights are stored whole")
    if args.out is not None and args.out.is_dir():
        raise GanlabError(f"--out {args.out} is a folder: name a file")
    if args.to == "onnx":
        onnx_files.require()  # before anything is read
    generator, recipe, shape, place = stored(args.run)
    suffix, part = FORMATS[args.to], args.part or "whole"
    kept = place.with_name(place.name + ("" if part == "whole" else f"-{part}") + suffix)
    path = args.out or kept
    if args.to == "safetensors" and path.resolve().parent == Path(args.run).resolve():
        raise GanlabError(f"{path} lies among what the run itself keeps: name a file with --out")
    about = maker.about(recipe, shape)
    try:
        if args.to == "onnx":
            made = maker.to_onnx(generator, path, part, psi, args.half, args.seed, about, True)
        else:
            made = maker.to_safetensors(generator, path, args.half, args.seed, about)
    except OSError as error:
        raise GanlabError(f"{path} cannot be written: {error.strerror or error}") from error
    print(report(made))
    return 0


def stored(target: str) -> tuple[Any, Any, tuple[int, ...], Path]:
    """The generator of a run's folder or of a stored result, its recipe, its data's shape, and
    where a file made from it goes, without suffix.

    Raises:
        GanlabError: there is no such run or result, or it holds no generator.
    """
    from ganlab.runs import published
    from ganlab.runs.run import Run

    folder = Path(target).expanduser()
    if (folder / "recipe.json").is_file():
        run = Run(folder)
        return run.generator(), run.recipe, tuple(run.about["shape"]), folder / "generator"
    if not (folder / published.WEIGHTS).is_file():
        if target not in published.names():
            raise GanlabError(unknown("run or stored result", target, published.names()))
        folder = published.folder(target)
    return *published.read(folder), Path(folder.name)


def _psi(text: str | None) -> float | None:
    """The number that `--psi` says; None for an input, 1 where it says nothing."""
    if text == "input":
        return None
    try:
        value = 1.0 if text is None else float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise GanlabError(f"--psi is a number from 0 to 1, or the word 'input', not '{text}'")
    return value


def report(made: Any) -> str:
    """What was written, for people."""

    def named(shapes: dict[str, str]) -> str:
        return ", ".join(f"{name} {shape}" for name, shape in shapes.items())

    size = made.bytes / 1000
    bits = " in 32 bits" if made.half else ""
    lines = [
        f"written to {made.path}: {size:,.0f} kB" + (", weights in 16 bits" if made.half else ""),
        f"inputs      {named(made.inputs)}",
        f"outputs     {named(made.outputs)}",
        f"difference  {made.difference:.1e} at most to torch{bits}",
    ]
    lines += [
        f"batch of {n:<3} {1000 * here / n:.2f} ms a sample with onnxruntime,"
        f" {1000 * torch / n:.2f} ms with torch"
        for n, (here, torch) in made.seconds.items()
    ]
    return "\n".join(lines)
