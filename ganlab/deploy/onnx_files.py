"""ONNX files: the packages that they need, what is taken out of them, and how they are run."""

from __future__ import annotations

import contextlib
import importlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ganlab.errors import GanlabError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
FEWEST = 64  # numbers of a weight that is worth storing in 16 bits


def require() -> None:
    """See that the packages are there.

    Raises:
        GanlabError: the line names those to install.
    """
    lack = []
    for package in PACKAGES:
        try:
            importlib.import_module(package)
        except ImportError:
            lack.append(package)
    if lack:
        raise GanlabError(f"the export to ONNX needs more packages: pip install {' '.join(lack)}")


def session(path: Path) -> Any:
    """With as many threads as torch: OMP_NUM_THREADS holds for both."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def check_opset(model: Any, wanted: int) -> None:
    """See that the exporter has written what was asked for: where it cannot, it only warns.

    Raises:
        GanlabError: it has written another version.
    """
    found = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if found != wanted:
        raise GanlabError(f"this network cannot be written in opset {wanted}: it needs {found}")


def strip(model: Any) -> None:
    """Take out the exporter's notes on each node: stack traces, with paths of this machine."""
    graph = model.graph
    for thing in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del thing.metadata_props[:]
        thing.doc_string = ""


def halve(model: Any) -> None:
    """Make each weight a 16-bit one and a cast, which runtimes undo once, when they load."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < FEWEST:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_16"))
        casts.append(
            onnx.helper.make_node("Cast", [f"{name}_16"], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    kept = [v for v in model.graph.value_info if not v.name.endswith("_16")]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporter's remarks on its own workings are not the user's."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
