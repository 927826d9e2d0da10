"""A trained network as a file that runs without this package: ONNX, or bare weights.

Every file is checked before it gets its name: ONNX is run by onnxruntime on random inputs, in
batches of 1 and of 5, and must agree with torch to `TOLERANCE`; weights are read back.

The noise inputs of style-based networks are the fixed ones: a picture depends on z only.
"""

from __future__ import annotations

import copy
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.deploy import onnx_files
from ganlab.deploy.parts import Part, inputs
from ganlab.errors import GanlabError, at_least, unknown
from ganlab.files import as_path, replacing
from ganlab.models.latent import SEEDS
from ganlab.models.style_layers import StyleGenerator
from ganlab.training import checkpoint

PARTS = ("whole", "mapping", "synthesis")
OPSET = 18
OPSETS = (17, 21)  # the newest that every onnxruntime from 1.20 on reads
TOLERANCE = 1e-4
BATCHES = (1, 5)  # that a file is tried with
#: What comes out of networks that are no generators.
OUTPUTS = {"classifier": "logits", "encoder": "code"}


@dataclass
class Exported:
    """What was written, and how it compares with torch.

    Attributes:
        path: of the file.
        difference: the largest to torch, over pictures of about [-1, 1]; with `half` to torch
            with the weights in 32 bits.
        inputs, outputs: name to shape, in words.
        seconds: {batch: (onnxruntime, torch)} per run, the median; empty if not timed.
        half: whether weights are stored in 16 bits.
    """

    path: Path
    difference: float
    inputs: dict[str, str]
    outputs: dict[str, str]
    seconds: dict[int, tuple[float, float]] = field(default_factory=dict)
    half: bool = False

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size


def to_onnx(
    generator: nn.Module,
    path: str | Path,
    part: str = "whole",
    psi: float | None = 1.0,
    half: bool = False,
    seed: int = 0,
    about: Mapping[str, str] | None = None,
    timed: bool = False,
    opset: int = OPSET,
    shape: Sequence[int] = (),
    output: str = "",
) -> Exported:
    """Write a network as one ONNX file (any batch), checked against torch.

    Args:
        generator: any of `ganlab.models`, or a network of pictures; it is put into evaluation
            mode.
        path: of the file; folders are made.
        part: "whole": z to picture. Of a style-based generator also "mapping": z to w, one for
            each layer, (B, L, W), and "synthesis": these to a picture.
        psi: truncation of a style-based generator; None makes it an input, a scalar.
        half: store weights in 16 bits. The arithmetic stays in 32.
        seed: of the random inputs of the check.
        about: what to write into the file's metadata.
        timed: also measure how long a run takes, in batches of 1 and of 16.
        opset: version of ONNX's operators, 17 to 21. Not every network can be written in 17.
        shape: (C, H, W) of what a network of pictures takes, its input `image`.
        output: name of what comes out; by default "image", or "points".

    Returns:
        What was written, and how it compares; a conditional generator has `labels` as its
        second input, (B,) class numbers.

    Raises:
        GanlabError: a package is missing, the part does not exist, a weight is not finite, the
            opset does not fit, or the file does not agree with torch.
        FileError: it cannot be written there. Nothing is left in either case.
    """
    onnx_files.require()
    opset = at_least("opset", opset, *OPSETS)
    seed = at_least("seed", seed, 0, SEEDS)
    path, generator = as_path(path), _finite(generator.eval())
    styled = isinstance(generator, StyleGenerator)
    if part not in PARTS:
        raise GanlabError(unknown("part", part, PARTS))
    if not styled and (part != "whole" or psi != 1):
        raise GanlabError("a mapping, a synthesis and psi are of style-based generators only")
    if part == "synthesis" and psi != 1:
        raise GanlabError("psi belongs to the mapping: the synthesis takes its vectors as they are")
    network = Part(generator, part, psi).eval()
    made = inputs(generator, part, psi, shape)
    name = "ws" if part == "mapping" else output or _drawn_by(generator)
    example = made(2, torch.Generator().manual_seed(seed))
    batch = torch.export.Dim("batch", min=1, max=65536)
    shapes = tuple(None if x.dim() == 0 else {0: batch} for x in example.values())
    with onnx_files.quiet(), torch.no_grad():
        program = torch.onnx.export(
            network,
            tuple(example.values()),
            input_names=list(example),
            output_names=[name],
            dynamic_shapes=(shapes,),
            dynamo=True,
            opset_version=opset,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    onnx_files.check_opset(model, opset)
    onnx_files.strip(model)
    for key, value in {"made_by": "ganlab", "part": part, **(about or {})}.items():
        model.metadata_props.add(key=key, value=value)
    with replacing(path) as partial:
        partial.write_bytes(model.SerializeToString())
        difference = compare(network, partial, made, seed)
        if not difference <= TOLERANCE:  # nor NaN
            raise GanlabError(
                f"the exported network differs from torch by {difference:.1e}, more than"
                f" {TOLERANCE:.0e}: nothing was written"
            )
        if half:
            onnx_files.halve(model)
            partial.write_bytes(model.SerializeToString())
            difference = _halved(compare(network, partial, made, seed))
        seconds = {n: _race(network, partial, made, n, seed) for n in (1, 16) if timed}
    with torch.no_grad():
        result = network(*example.values())
    words = {key: _words(value) for key, value in example.items()}
    return Exported(path, difference, words, {name: _words(result)}, seconds, half)


def to_safetensors(
    generator: nn.Module,
    path: str | Path,
    half: bool = False,
    seed: int = 0,
    about: Mapping[str, str] | None = None,
    shape: Sequence[int] = (),
    output: str = "",
) -> Exported:
    """Write a network's weights, for `load_state_dict` of the same network.

    Args:
        generator: any of `ganlab.models`, or a network of pictures; it is put into evaluation
            mode.
        path: of the file; folders are made.
        half: store them in 16 bits.
        seed: of the random inputs of the check.
        about: what to write into the file's metadata.
        shape, output: see `to_onnx`.

    Returns:
        What was written; `difference` is that of results with what was read back.

    Raises:
        GanlabError: a weight is not finite, or too large for 16 bits.
        FileError: it cannot be written there. Nothing is left in either case.
    """
    from safetensors.torch import load_file

    from ganlab.runs.stored import save_generator

    seed = at_least("seed", seed, 0, SEEDS)
    path, generator = as_path(path), _finite(generator.eval(), half)
    made = inputs(generator, shape=shape)
    example = made(5, torch.Generator().manual_seed(seed))
    twin: Any = copy.deepcopy(generator)
    with replacing(path) as partial:
        save_generator(generator, partial, half, {"made_by": "ganlab", **(about or {})})
        twin.load_state_dict(load_file(partial))
        with torch.no_grad():
            before, after = (Part(g, "whole", 1.0)(*example.values()) for g in (generator, twin))
        difference = _halved((before - after).abs().max().item())
    words = {key: _words(value) for key, value in example.items()}
    name = output or _drawn_by(generator)
    return Exported(path, difference, words, {name: _words(after)}, half=half)


def _finite(network: nn.Module, half: bool = False) -> nn.Module:
    """The network, if other programs can work with its weights: in 16 bits, with `half`.

    Raises:
        GanlabError: one of them is NaN or infinite.
    """
    state = network.state_dict()
    broken = checkpoint.not_finite(state)
    if broken is not None:
        raise GanlabError(f"the weights {broken} contain NaN or infinity: nothing was written")
    halved = {k: x.half() for k, x in state.items() if half and x.is_floating_point()}
    broken = checkpoint.not_finite(halved)
    if broken is not None:
        raise GanlabError(f"16 bits cannot hold the weights {broken}: leave out half")
    return network


def _halved(difference: float) -> float:
    """The difference to what was stored, if the results are numbers at all."""
    if not math.isfinite(difference):
        raise GanlabError("with these weights the results are no numbers: nothing was written")
    return difference


def compare(
    network: nn.Module,
    path: Path,
    made: Callable[[int, torch.Generator], dict[str, Tensor]],
    seed: int = 0,
) -> float:
    """The largest difference between onnxruntime and torch, over batches of 1 and of 5."""
    session, source = onnx_files.session(path), torch.Generator().manual_seed(seed + 1)
    differences = []
    for n in BATCHES:
        given = made(n, source)
        with torch.no_grad():
            expected = network(*given.values())
        found = session.run(None, {key: x.numpy() for key, x in given.items()})[0]
        differences.append((torch.from_numpy(found) - expected).abs().max())
    return float(torch.stack(differences).max())  # NaN if one is, which Python's max may drop


def _race(network: nn.Module, path: Path, made: Any, n: int, seed: int) -> tuple[float, float]:
    """Seconds per run of onnxruntime and of torch, the median of a fifth of a second each."""
    session = onnx_files.session(path)
    given = made(n, torch.Generator().manual_seed(seed))
    arrays = {key: x.numpy() for key, x in given.items()}

    def median(run: Callable[[], Any]) -> float:
        run()
        times: list[float] = []
        while len(times) < 3 or (sum(times) < 0.2 and len(times) < 100):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    with torch.no_grad():
        return (
            median(lambda: session.run(None, arrays)),
            median(lambda: network(*given.values())),
        )


def _drawn_by(generator: nn.Module) -> str:
    return "points" if isinstance(getattr(generator, "out", None), int) else "image"


def _words(x: Tensor) -> str:
    """A shape for people: (batch, 3, 64, 64)."""
    if x.dim() == 0:
        return "()"
    return f"(batch{''.join(f', {n}' for n in x.shape[1:])}{',' if x.dim() == 1 else ''})"


def about(recipe: Any, shape: list[int] | tuple[int, ...]) -> dict[str, str]:
    """What belongs into an exported file's metadata: version, recipe, shape, value range."""
    import ganlab

    return {
        "ganlab": ganlab.__version__,
        "name": recipe.name,
        "recipe": json.dumps(json.loads(recipe.to_json())),
        "shape": json.dumps(list(shape)),
        "range": "pictures are RGB or grey, channels first, -1 black to 1 white",
    }
