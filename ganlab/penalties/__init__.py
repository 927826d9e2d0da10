"""What is added to an objective: gradient penalties, consistency, feature and weight averages.

A penalty is called with a `Judged`, what the discriminator has just seen and said, and returns
a scalar to add to that player's loss. Penalties at real or at generated pictures use the pass
that the loss has made already: `Judged.gradient` differentiates its logits, and one backward
pass then serves loss and penalty. Merged like this R1 costs three forward passes of D over the
plain step; as a step of its own it costs six. Call `backward(inputs=weights)` then, or the
gradient towards the pictures is computed once more, for nothing.

Norms are per sample, over *all* of its dimensions. With BatchNorm the gradient of one sample's
logit with respect to that sample alone is not what is measured, since the others in the batch
depend on it too: use networks without it (Gulrajani et al. 2017, Sec. 4).

A new penalty is one class:

    @penalty_family("gp-at-noise", weight=10.0)
    class AtNoise(GradientPenalty):
        def points(self, real, fake, rand=None):
            return torch.randn_like(real)
        def of(self, gradient):
            return gradient_norm(gradient) ** 2
"""

from ganlab.penalties import averages, gradient, path_length
from ganlab.penalties.averages import shift_and_flip
from ganlab.penalties.base import (
    Judged,
    Penalty,
    family,
    input_gradient,
    penalties,
    penalty,
    penalty_family,
)
from ganlab.penalties.functional import draw, functional_loss
from ganlab.penalties.gradient import GradientPenalty, gradient_norm, squared_norm
from ganlab.penalties.path_length import PathLength

__all__ = [
    "GradientPenalty",
    "Judged",
    "PathLength",
    "Penalty",
    "averages",
    "draw",
    "family",
    "functional_loss",
    "gradient",
    "gradient_norm",
    "input_gradient",
    "path_length",
    "penalties",
    "penalty",
    "penalty_family",
    "shift_and_flip",
    "squared_norm",
]
