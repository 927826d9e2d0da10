"""Where weights come from: a file that is named, or one whose SHA-256 is the published one.

Nothing is downloaded unless it is asked for, and files are read with `weights_only=True`, which
runs no code.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ganlab.data import fetch
from ganlab.errors import CheckpointError
from ganlab.files import as_path, digest, told

#: The state dict of the FID network, under its two public names (the same bytes).
URLS = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
)
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
MEGABYTES = 96
_OLD_NAMES = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])(?=\.)")


def cached(url: str) -> Path:
    """Where `torch.hub` keeps a file that it has downloaded."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]


def inception(path: str | Path | None = None) -> Path:
    """The file of the FID network: `path`, else `$GANLAB_INCEPTION`, else torch.hub's cache.

    Raises:
        CheckpointError: there is none, or it is another file; the line names URL and SHA-256.
    """
    named = path or os.environ.get("GANLAB_INCEPTION")
    if named:
        found = as_path(named)
        if not found.is_file():
            raise CheckpointError(f"no weights at {found}: download {URLS[0]} (SHA-256 {SHA256})")
    else:
        here = [cached(url) for url in URLS if cached(url).is_file()]
        if not here:
            raise CheckpointError(
                "the Inception network needs its weights: --download-weights fetches them"
                f" ({MEGABYTES} MB), or download {URLS[0]} (SHA-256 {SHA256}) and name the file"
                " with --weights or GANLAB_INCEPTION"
            )
        found = here[0]
    check(found)
    return found


def check(path: Path) -> None:
    """Compare the file with the published SHA-256.

    Raises:
        CheckpointError: it differs.
        FileError: it cannot be read.
    """
    with told(path, "be read"):
        found = digest(path)
    if found != SHA256:
        raise CheckpointError(
            f"{path} is not the FID network of {URLS[0]}: its SHA-256 is {found}, not {SHA256}"
        )


def hash_in(path: Path) -> str:
    """The beginning of the SHA-256 that ends the name of a file of PyTorch's.

    Raises:
        CheckpointError: there is none.
    """
    named = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    if named is None:
        raise CheckpointError(f"{path} cannot be checked: there is no SHA-256 in its name")
    return named.group(1)


def check_named(path: Path) -> None:
    """Compare a file of PyTorch's with the beginning of its SHA-256, which ends its name.

    torch.hub does so after a download only: a file in its cache that was damaged since would be
    loaded, and give other scores.

    Raises:
        CheckpointError: it differs, or the name has none.
        FileError: it cannot be read.
    """
    right = hash_in(path)
    with told(path, "be read"):
        found = digest(path)
    if not found.startswith(right):
        raise CheckpointError(
            f"{path} is damaged: its SHA-256 begins with {found[: len(right)]}, not {right}: delete"
            " it, and it is downloaded again"
        )


def download() -> Path:
    """Fetch the FID network's weights into torch.hub's cache, unless they are there.

    Raises:
        CheckpointError: GANLAB_OFFLINE forbids it, no source answers, or what came is another
            file.
    """
    for url in URLS:
        if cached(url).is_file():
            check(cached(url))
            return cached(url)
    to = cached(URLS[0])
    if fetch.offline():
        raise CheckpointError(f"GANLAB_OFFLINE forbids downloading {URLS[0]} (SHA-256 {SHA256})")

    def get() -> None:
        with fetch.staged(to.parent, to.stem) as scratch:
            if to.is_file():  # another process was faster
                return
            part = scratch / to.name
            try:
                fetch.download(URLS[0], part)
            except OSError:
                fetch.download(URLS[1], part)
            try:
                check(part)
            except CheckpointError as error:
                raise fetch.Corrupt(str(error)) from error
            os.replace(part, to)

    try:
        fetch.persist("the FID network", MEGABYTES, to, get)
    except fetch.Unreachable as e:
        raise CheckpointError(f"{URLS[0]} cannot be downloaded ({e})") from None
    except fetch.Corrupt as e:
        raise CheckpointError(str(e)) from None
    check(to)
    return to


def load(network: nn.Module, path: Path) -> None:
    """Load a state dict into `network`, in place.

    Raises:
        CheckpointError: the file is no state dict, or not of this network.
    """
    if not path.is_file():
        raise CheckpointError(f"no weights at {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read as weights ({type(error).__name__}): a state dict is expected"
        ) from error
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path} holds no state dict, but a {type(state).__name__}")
    own = network.state_dict()
    # torchvision's files of DenseNets say `norm.1` where its networks have said `norm1` for years
    state = {_OLD_NAMES.sub(r"\1\2", k) if k not in own else k: v for k, v in state.items()}
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        raise CheckpointError(
            f"{path} holds the weights of another network: {lines[0][:120]}"
        ) from None


def randomize(network: nn.Module, seed: int = 0) -> None:
    """Draw weights with which activations keep their size (He et al. 2015), in place.

    The global random state stays as it is.
    """
    draw = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=draw)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def fingerprint(network: nn.Module) -> str:
    """Short SHA-256 of all weights and buffers: scores are comparable only if it agrees."""
    total = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        total.update(name.encode())
        total.update(_bytes(tensor))
    return total.hexdigest()[:12]


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().tobytes()
