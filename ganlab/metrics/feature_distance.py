"""How different two pictures look to a network: the LPIPS formula without its learned weights.

Zhang et al. 2018, Eq. 1: with $f̂_lhw$ the feature vector at a position $h$, $w$ of layer $l$,
divided by its length,

    d(a, b) = ∑_l 1/(H_l W_l) ∑_hw ‖f̂_lhw(a) - f̂_lhw(b)‖²

LPIPS proper weighs the channels with numbers fitted to human judgements of an AlexNet or VGG;
here every channel counts once and the network is whatever is at hand. So this is a *feature
distance*, comparable only with itself, and not LPIPS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import DataError

EPS = 1e-10


class FeatureDistance:
    """A distance between pictures, (B, C, H, W) twice -> (B,).

    It is differentiable, also where all features of a position are zero, and takes no part in
    training: the network is put into eval mode.

    Args:
        network: a `Classifier` of `ganlab.metrics`, any `nn.Module`, or a function from pictures
            to a list of maps (B, K, ...). Of a module that has a method or part `features`, as
            several of torchvision have, only that is run, unless layers are named.
        layers: names of the modules whose outputs are compared, as `named_modules` gives them;
            by default every ReLU (of `features`, where there is that).

    Raises:
        DataError: a layer is not there, or there is nothing to compare.
    """

    def __init__(
        self, network: nn.Module | Callable[..., Any], layers: Sequence[str] | None = None
    ) -> None:
        inner = getattr(network, "network", network)  # of a Classifier
        self._of: Callable[[Tensor], Sequence[Tensor]]
        if not isinstance(inner, nn.Module):
            if layers is not None:
                raise DataError("layers: a function returns its own maps; leave them out")
            if not callable(inner):
                raise DataError(f"network: a module or a function, not {type(inner).__name__}")
            self._of = inner
            return
        inner.eval()
        self.network = inner
        modules = dict(inner.named_modules())
        part = getattr(inner, "features", None)
        self._run = part if layers is None and callable(part) else inner
        if layers is None:
            layers = [name for name, module in modules.items() if isinstance(module, nn.ReLU)]
            if not layers:
                raise DataError("layers: the network has no ReLU; name the modules to compare")
        missing = [name for name in layers if name not in modules]
        if missing or not layers:
            raise DataError(
                f"layers: {', '.join(missing) or 'none'} not in the network, which has"
                f" {', '.join(name for name in modules if name)}"
            )
        self.layers = tuple(layers)
        self._of = self._maps

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances (B,) of pictures a and b, in [-1, 1], both (B, C, H, W).

        Raises:
            DataError: shapes disagree, pictures are bytes, or the network returned no map.
        """
        for name, x in (("a", a), ("b", b)):
            if not isinstance(x, Tensor) or x.ndim < 2 or len(x) == 0:
                raise DataError(f"{name}: a tensor of pictures (B, C, H, W) expected")
        if a.shape != b.shape:
            raise DataError(f"a {tuple(a.shape)} and b {tuple(b.shape)} have different shapes")
        if not (a.is_floating_point() and b.is_floating_point()):
            raise DataError(f"pictures must be floats in [-1, 1], not {a.dtype}")
        both = torch.cat([a, b])
        if not bool(both.isfinite().all()):
            raise DataError("pictures contain NaN or infinity")
        maps = self._of(both)
        total: Tensor | None = None
        for map_ in maps:
            both = map_.float() if map_.dtype in (torch.float16, torch.bfloat16) else map_
            both = both.flatten(2) if both.ndim > 2 else both[..., None]
            both = both * (both.square().sum(1, keepdim=True) + EPS).rsqrt()
            part = (both[: len(a)] - both[len(a) :]).square().sum(1).mean(1)
            total = part if total is None else total + part
        if total is None:
            raise DataError("network: no feature map was returned")
        return total

    def _maps(self, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        modules = dict(self.network.named_modules())
        hooks = [
            # A copy, as the layer after may write over its input.
            modules[name].register_forward_hook(lambda _m, _i, out: found.append(out.clone()))
            for name in self.layers
        ]
        try:
            self._run(x)
        finally:
            for hook in hooks:
                hook.remove()
        return found


def feature_distance(
    a: Tensor,
    b: Tensor,
    network: nn.Module | Callable[..., Any],
    layers: Sequence[str] | None = None,
) -> Tensor:
    """Distances (N,) between pictures a and b (N, C, H, W) in [-1, 1]; see `FeatureDistance`."""
    return FeatureDistance(network, layers)(a, b)
