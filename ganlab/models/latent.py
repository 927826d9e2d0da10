"""Where every generator's latent vectors come from."""

from __future__ import annotations

import torch
from torch import Tensor


class NormalLatent:
    """A generator whose latent vectors are standard normal; `latent` is their length."""

    latent: int

    def sample_latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) standard normal, drawn on the generator's device."""
        device = generator.device if generator is not None else None
        return torch.randn(n, self.latent, generator=generator, device=device)
