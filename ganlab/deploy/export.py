"""A trained generator as a file that runs without this package: ONNX, or bare weights.

Every file is checked before it gets its name: ONNX is run by onnxruntime on random inputs, in
batches of 1 and of 5, and must agree with torch to `TOLERANCE`; weights are read back.

The noise inputs of style-based networks are the fixed ones: a picture depends on z only.
"""

from __future__ import annotations

import copy
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.deploy import onnx_files
from ganlab.errors import GanlabError, unknown
from ganlab.models.modulation import Modulated
from ganlab.models.style_layers import StyleGenerator

PARTS = ("whole", "mapping", "synthesis")
OPSET = 18
TOLERANCE = 1e-4
BATCHES = (1, 5)  # that a file is tried with


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


class _Part(nn.Module):
    """The generator, or a part of it, as a function of tensors alone."""

    def __init__(self, generator: nn.Module, part: str, psi: float | None) -> None:
        super().__init__()
        self.generator, self.part, self.psi = copy.deepcopy(generator).eval(), part, psi
        for module in self.generator.modules():
            if isinstance(module, Modulated):  # the same function, with nothing to group
                module.form = "scale"

    def forward(self, *given: Tensor) -> Tensor:
        g: Any = self.generator
        if not isinstance(g, StyleGenerator):
            return g(given[0])
        if self.part == "synthesis":
            return g.synthesis(given[0], "fixed")
        left = list(given)
        z, labels = left.pop(0), left.pop(0) if g.mapping.classes else None
        ws = g.styles(z, labels, 1.0 if self.psi is None else self.psi)
        if self.psi is None:
            ws = torch.lerp(g.average, ws, left.pop(0))
        return ws if self.part == "mapping" else g.synthesis(ws, "fixed")


def to_onnx(
    generator: nn.Module,
    path: str | Path,
    part: str = "whole",
    psi: float | None = 1.0,
    half: bool = False,
    seed: int = 0,
    about: Mapping[str, str] | None = None,
    timed: bool = False,
) -> Exported:
    """Write a generator as one ONNX file (opset 18, any batch), checked against torch.

    Args:
        generator: any of `ganlab.models`; it is put into evaluation mode.
        path: of the file; folders are made.
        part: "whole": z to picture. Of a style-based generator also "mapping": z to w, one for
            each layer, (B, L, W), and "synthesis": these to a picture.
        psi: truncation of a style-based generator; None makes it an input, a scalar.
        half: store weights in 16 bits. The arithmetic stays in 32.
        seed: of the random inputs of the check.
        about: what to write into the file's metadata.
        timed: also measure how long a run takes, in batches of 1 and of 16.

    Returns:
        What was written, and how it compares; a conditional generator has `labels` as its
        second input, (B,) class numbers.

    Raises:
        GanlabError: a package is missing, the part does not exist, or the file does not agree
            with torch (it is removed).
    """
    onnx_files.require()
    path, generator = Path(path), generator.eval()
    styled = isinstance(generator, StyleGenerator)
    if part not in PARTS:
        raise GanlabError(unknown("part", part, PARTS))
    if not styled and (part != "whole" or psi != 1):
        raise GanlabError("a mapping, a synthesis and psi are of style-based generators only")
    if part == "synthesis" and psi != 1:
        raise GanlabError("psi belongs to the mapping: the synthesis takes its vectors as they are")
    network = _Part(generator, part, psi).eval()
    made = inputs(generator, part, psi)
    name = "ws" if part == "mapping" else "image" if _is_picture(generator) else "points"
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
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    onnx_files.strip(model)
    for key, value in {"made_by": "ganlab", "part": part, **(about or {})}.items():
        model.metadata_props.add(key=key, value=value)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(model.SerializeToString())
        difference = compare(network, partial, made, seed)
        if not difference <= TOLERANCE:
            raise GanlabError(
                f"the exported network differs from torch by {difference:.1e}, more than"
                f" {TOLERANCE:.0e}: nothing was written"
            )
        if half:
            onnx_files.halve(model)
            partial.write_bytes(model.SerializeToString())
            difference = compare(network, partial, made, seed)
        seconds = {n: _race(network, partial, made, n, seed) for n in (1, 16) if timed}
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
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
) -> Exported:
    """Write a generator's weights, for `load_state_dict` of the same network.

    Args:
        generator: any of `ganlab.models`; it is put into evaluation mode.
        path: of the file; folders are made.
        half: store them in 16 bits.
        seed: of the random latent vectors of the check.
        about: what to write into the file's metadata.

    Returns:
        What was written; `difference` is that of pictures made with what was read back.
    """
    from safetensors.torch import load_file

    from ganlab.runs.stored import save_generator

    path, generator = Path(path), generator.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_generator(generator, path, half, {"made_by": "ganlab", **(about or {})})
    twin: Any = copy.deepcopy(generator)
    twin.load_state_dict(load_file(path))
    made = inputs(generator)
    example = made(5, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        before, after = (_Part(g, "whole", 1.0)(*example.values()) for g in (generator, twin))
    words = {key: _words(value) for key, value in example.items()}
    name = "image" if _is_picture(generator) else "points"
    difference = (before - after).abs().max().item()
    return Exported(path, difference, words, {name: _words(after)}, half=half)


def inputs(
    generator: nn.Module, part: str = "whole", psi: float | None = 1.0
) -> Callable[[int, torch.Generator], dict[str, Tensor]]:
    """What draws random inputs of a part: (batch, source of random numbers) to name: tensor."""
    g: Any = generator

    def draw(n: int, source: torch.Generator) -> dict[str, Tensor]:
        z = g.sample_latent(n, source)
        if not isinstance(g, StyleGenerator):
            return {"z": z}
        made = {"z": z}
        if g.mapping.classes:
            made["labels"] = torch.randint(0, g.mapping.classes, (n,), generator=source)
        if part == "synthesis":  # another vector for each layer: a mix-up of layers is seen
            layers = g.layers_used
            many = g.sample_latent(n * layers, source)
            labels = made["labels"].repeat_interleave(layers) if "labels" in made else None
            with torch.no_grad():
                return {"ws": g.mapping(many, labels).unflatten(0, (n, layers))}
        if psi is None:
            made["psi"] = torch.rand((), generator=source)
        return made

    return draw


def compare(
    network: nn.Module,
    path: Path,
    made: Callable[[int, torch.Generator], dict[str, Tensor]],
    seed: int = 0,
) -> float:
    """The largest difference between onnxruntime and torch, over batches of 1 and of 5."""
    session, source = onnx_files.session(path), torch.Generator().manual_seed(seed + 1)
    worst = 0.0
    for n in BATCHES:
        given = made(n, source)
        with torch.no_grad():
            expected = network(*given.values())
        found = session.run(None, {key: x.numpy() for key, x in given.items()})[0]
        worst = max(worst, (torch.from_numpy(found) - expected).abs().max().item())
    return worst


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


def _is_picture(generator: nn.Module) -> bool:
    return not isinstance(getattr(generator, "out", None), int)


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
