"""Any network as a feature extractor, those of torchvision by name."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ganlab import progress
from ganlab.data.imageset import to_uint8
from ganlab.errors import CheckpointError, DataError, GanlabError, one_line, unknown
from ganlab.files import as_path
from ganlab.metrics import weights as files
from ganlab.metrics.resize import resizer as filter_named

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def levels(images: Tensor, channels: int, device: torch.device) -> Tensor:
    """Pictures as a network of photographs takes them: floats in 0..255, that many channels.

    Floats in [-1, 1] are rounded to bytes first: a picture that is stored and read scores the
    same. Grey is repeated.
    """
    x = images if images.dtype == torch.uint8 else to_uint8(images)
    x = x.to(device).float()
    return x.expand(-1, channels, -1, -1) if x.shape[1] == 1 else x


class ModuleFeatures:
    """Any network as an extractor.

    Args:
        module: (B, C, H, W) -> (B, D), or (B, D, h, w), which is averaged over places; it is put
            into eval mode.
        size: of its input in pixels; None leaves pictures as they are.
        mean, std: of its input, per channel, for pictures in [0, 1]; by default pictures enter
            in [-1, 1].
        name: for the report.
        resizer: "clean" or "tf", if `size` is given.
    """

    def __init__(
        self,
        module: nn.Module,
        size: int | None = None,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        name: str = "",
        resizer: str = "clean",
        device: torch.device | str = "cpu",
        batch: int = 64,
    ) -> None:
        if (mean is None) != (std is None) or (mean and std and len(mean) != len(std)):
            raise ValueError("mean and std belong together: one value each per channel")
        self._resize = filter_named(resizer)
        self.resizer = "none" if size is None else f"{resizer} to {size} px"
        self.size, self.batch, self.device = size, batch, torch.device(device)
        self.name = name or type(module).__name__
        self.fingerprint = files.fingerprint(module)
        self.module = module.to(self.device).eval()
        # Pictures in [0, 1] less 0.5 over 0.5 lie in [-1, 1]; one value serves every channel.
        self._channels = None if mean is None else len(mean)
        self._mean, self._std = (
            torch.tensor(v or (0.5,), device=self.device)[:, None, None] for v in (mean, std)
        )

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1], or uint8 -> (N, D) float64 on the CPU.

        Raises:
            DataError: the network refuses pictures of this form, or returns no feature vectors.
        """
        parts = []
        for part in images.split(self.batch):
            x = levels(part, self._channels or part.shape[1], self.device)
            x = x if self.size is None else self._resize(x, self.size)
            shape = tuple(x.shape[1:])
            try:
                y = self.module((x / 255 - self._mean) / self._std)
            except (RuntimeError, AssertionError, ValueError) as error:
                reason = str(error).strip().split("\n")[0][:120]
                raise DataError(f"{self.name} refuses pictures of {shape}: {reason}") from error
            if not isinstance(y, Tensor) or y.ndim not in (2, 4):
                raise DataError(f"{self.name} returns no (N, D) or (N, D, h, w) tensor of features")
            parts.append((y.mean((2, 3)) if y.ndim == 4 else y).cpu().double())
        return torch.cat(parts)

    def predict(self, images: Tensor) -> None:
        """No classes: None."""
        return None


def backbone(
    name: str,
    weights: str | Path | None,
    device: torch.device | str = "cpu",
    resizer: str = "clean",
    size: int | None = None,
) -> ModuleFeatures:
    """A classification network of torchvision without its last linear layer.

    Args:
        name: such as "resnet18".
        weights: a file with a state dict of the whole network; "download" for torchvision's own
            ImageNet weights (torch.hub's cache first); "random" for drawn ones, which are cheap,
            need no file, and see texture and colour more than content.
        size: of the input; by default 224, as they were trained, and the pictures' own if
            `weights` is "random".

    Raises:
        GanlabError: an unknown name, or one without a last linear layer.
        CheckpointError: no weights are named, or they do not fit.
    """
    from torchvision import models

    known = models.list_models(models)
    if name not in known:
        raise GanlabError(unknown("torchvision network", name, known))
    if weights is None:
        raise CheckpointError(
            f"torchvision:{name} needs weights: a file, 'download' for those of torchvision, or"
            " 'random' for cheap features that know nothing"
        )
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    network = models.get_model(name, weights=None, **options)
    drawn = str(weights) == "random"
    if drawn:
        files.randomize(network)
    elif str(weights) == "download":
        files.load(network, _published(name))
    else:
        files.load(network, as_path(weights))
    linear = [key for key, m in network.named_modules() if isinstance(m, nn.Linear)]
    if not linear:
        raise GanlabError(f"{name} does not end in a linear layer: choose another network")
    fingerprint = files.fingerprint(network)
    above, _, last = linear[-1].rpartition(".")
    setattr(network.get_submodule(above), last, nn.Identity())
    label = f"torchvision:{name}" + ("-random" if drawn else "")
    side = size or (None if drawn else 224)
    made = ModuleFeatures(network, side, *IMAGENET, label, resizer, device)
    made.fingerprint = fingerprint
    return made


def _published(name: str) -> Path:
    """torchvision's own weights in torch.hub's cache, downloaded if they are not; checked.

    Raises:
        CheckpointError: they cannot be downloaded, or the file is damaged.
    """
    from torchvision import models

    url = models.get_model_weights(name).DEFAULT.url  # type: ignore[attr-defined]
    path = files.cached(url)
    if not path.is_file():
        if files.fetch.offline():
            raise CheckpointError(f"GANLAB_OFFLINE forbids downloading {url}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                url, str(path), files.hash_in(path), progress=progress.wanted()
            )
        except (OSError, RuntimeError) as error:
            line = one_line(str(error).split("\n")[0][:120])
            raise CheckpointError(f"{url} cannot be downloaded ({line})") from None
    files.check_named(path)
    return path
