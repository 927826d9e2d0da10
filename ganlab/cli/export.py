"""`ganlab export`: a trained network for other programs."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any, NamedTuple

from ganlab.cli.places import ready
from ganlab.errors import GanlabError, at_least, unknown
from ganlab.files import as_path

EXAMPLES = """\
examples:
  ganlab export runs/dcgan-mnist --to onnx              z to picture, any batch
  ganlab export dcgan-mnist --to onnx --half            a result of the course, half the size
  ganlab export runs/faces --to onnx --psi 0.7          truncated (style-based generators)
  ganlab export runs/faces --to onnx --psi input        truncation as a second input, a scalar
  ganlab export runs/faces --to onnx --part mapping     z to w, one for each layer
  ganlab export runs/faces --to onnx --part synthesis   these to a picture: mix and edit between
  ganlab export runs/dcgan-mnist --to safetensors --half --out digits.safetensors
  ganlab export runs/classifier-mnist                   picture to logits
  ganlab export runs/vae-mnist --network encoder        picture to means, then log variances

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
        help="default: RUN/NETWORK.onnx, or NAME.onnx here for a stored result",
    )
    parser.add_argument("--part", help="whole (default), mapping or synthesis")
    parser.add_argument(
        "--psi", metavar="P", help="truncation, 0 to 1 (default: 1, none), or the word 'input'"
    )
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="of those that the run keeps (default: its generator, or the only one)",
    )
    parser.add_argument(
        "--opset", type=int, metavar="N", help="ONNX operators of version 17 to 21 (default: 18)"
    )
    parser.add_argument("--half", action="store_true", help="store weights in 16 bits")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the random inputs of the check (default: 0)"
    )


def export(args: argparse.Namespace) -> int:
    """`ganlab export`."""
    from ganlab.deploy import export as maker
    from ganlab.deploy import onnx_files
    from ganlab.models.latent import SEEDS

    if args.to not in FORMATS:
        raise GanlabError(unknown("format", args.to, FORMATS))
    psi = _psi(args.psi)
    at_least("--seed", args.seed, 0, SEEDS)
    onnx = args.to == "onnx"
    if not onnx and (args.part is not None or args.psi is not None):
        raise GanlabError("--part and --psi go with --to onnx: weights are stored whole")
    if not onnx and args.opset is not None:
        raise GanlabError("--opset goes with --to onnx")
    opset = at_least("--opset", maker.OPSET if args.opset is None else args.opset, *maker.OPSETS)
    if onnx:
        onnx_files.require()  # before anything is read
    found = stored(args.run, args.network)
    suffix, part = FORMATS[args.to], args.part or "whole"
    place = found.place
    kept = place.with_name(place.name + ("" if part == "whole" else f"-{part}") + suffix)
    path = ready(args.out or kept, (suffix,) if onnx else ())
    if path.exists() and path.suffix.lower() != suffix:
        raise GanlabError(f"{path} is there and no {suffix} file: name another with --out")
    about = maker.about(found.recipe, found.shape) | {"network": found.name}
    told: dict[str, Any] = {"shape": found.shape, "output": maker.OUTPUTS.get(found.name, "")}
    if onnx:
        made = maker.to_onnx(
            found.network, path, part, psi, args.half, args.seed, about, True, opset, **told
        )
    else:
        made = maker.to_safetensors(found.network, path, args.half, args.seed, about, **told)
    print(report(made))
    return 0


class Stored(NamedTuple):
    """A trained network on disk.

    Attributes:
        network: in eval mode.
        name: among what its run keeps.
        recipe: of the run.
        shape: (C, H, W) of the data, or (d,).
        place: where a file made from it goes, without suffix.
    """

    network: Any
    name: str
    recipe: Any
    shape: tuple[int, ...]
    place: Path


def stored(target: str, name: str | None = None) -> Stored:
    """A network of a run's folder, or the generator of a stored result.

    Args:
        target: the folder, or the name of the result.
        name: of the network; None for the generator, or for the only one.

    Raises:
        GanlabError: there is no such run or result, or it holds no such network.
    """
    from ganlab.runs import published
    from ganlab.runs.run import Run

    folder = as_path(target)
    if any((folder / name).exists() for name in ("recipe.json", "about.json", "checkpoints")):
        run = Run(folder)
        shape = run.shape
        names = list(run.recipe.products(shape))
        if name is None:
            name = "generator" if "generator" in names else names[0]
            if name != "generator" and len(names) > 1:
                raise GanlabError(f"{target}: choose a --network of {', '.join(names)}")
        if name not in names:
            raise GanlabError(unknown("network", name, names))
        return Stored(run.product(name), name, run.recipe, shape, folder / name)
    if not (folder / published.WEIGHTS).is_file():
        if target not in published.names():
            raise GanlabError(unknown("run or stored result", target, published.names()))
        folder = published.folder(target)
    if name not in (None, "generator"):
        raise GanlabError(unknown("network", str(name), ["generator"]))
    network, recipe, shape = published.read(folder)
    return Stored(network, "generator", recipe, shape, Path(folder.name))


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
