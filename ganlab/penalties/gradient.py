"""Gradient penalties: a function of the gradient of D's logit at chosen points."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.errors import RecipeError
from ganlab.penalties.base import Judged, Penalty, input_gradient, penalty_family


def squared_norm(g: Tensor) -> Tensor:
    """(B, ...) -> (B,): squared Euclidean norm over all of a sample's dimensions."""
    if g.dtype in (torch.bfloat16, torch.float16):  # a generated batch under autocast
        g = g.float()
    return g.flatten(1).square().sum(1)


def gradient_norm(g: Tensor) -> Tensor:
    """(B, ...) -> (B,): Euclidean norm over all of a sample's dimensions.

    At exactly 0, where the norm has no derivative, its gradient is 0 and not NaN.
    """
    squared = squared_norm(g)
    zero = squared == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, squared).sqrt())


class GradientPenalty(Penalty):
    """The mean of a function of D's gradient, at points that the subclass chooses.

    The term is $λ E[f(∇D(x))]$, where $D(x)$ is the logit.

    Subclasses define `of`, and either `needs` (one batch, whose pass is shared with the loss)
    or `points` (a pass of their own).
    """

    def points(self, real: Tensor, fake: Tensor, rand: Tensor | None = None) -> Tensor:
        """Where to look, (B, ...) without a graph; `rand` replaces what `draw` would give."""
        raise NotImplementedError

    def draw(self, real: Tensor) -> Tensor | None:
        """The random numbers that `points` uses; None if it uses none."""
        return None

    def of(self, gradient: Tensor) -> Tensor:
        """(B, ...) gradients -> (B,) penalties."""
        raise NotImplementedError

    def term(self, judged: Judged) -> Tensor:
        """Mean over the batch."""
        if self.needs:
            (which,) = self.needs
            return self.of(judged.gradient(which)).mean()
        real, fake = judged.real.detach(), judged.fake.detach()
        x = self.points(real, fake).requires_grad_()
        return self.of(input_gradient(judged.judge(x), x)).mean()


class _AtInterpolates(GradientPenalty):
    """Points on the lines between real and generated samples, one coefficient per sample."""

    def draw(self, real: Tensor) -> Tensor:
        """(B,) uniform on [0, 1)."""
        return torch.rand(len(real), device=real.device, dtype=real.dtype)

    def points(self, real: Tensor, fake: Tensor, rand: Tensor | None = None) -> Tensor:
        """$x̂ = ε x + (1 - ε) G(z)$ with ε of shape (B,)."""
        rand = self.draw(real) if rand is None else rand
        # Under autocast the generator draws in 16 bits; the data's precision is kept.
        return torch.lerp(fake.to(real), real, rand.to(real).view(-1, *[1] * (real.dim() - 1)))


@penalty_family("gp", weight=10.0, paper="gulrajani2017improved")
class OneCentred(_AtInterpolates):
    """A slope of 1 at interpolates x̂ (Gulrajani et al. 2017, Eq. 3).

    The term is

        λ E(‖∇D(x̂)‖ - 1)²

    An optimal critic has a slope of 1 almost everywhere on lines between samples coupled by
    optimal transport (Prop. 1); the penalty asks for it on lines between random pairs.
    """

    def of(self, gradient: Tensor) -> Tensor:
        """$(‖g‖ - 1)²$."""
        return (gradient_norm(gradient) - 1).square()


@penalty_family("lp", weight=10.0, paper="petzka2018regularization")
class OneSided(_AtInterpolates):
    """A slope of at most 1 at interpolates: only what is above costs (Petzka et al. 2018).

    The term is

        λ E max(0, ‖∇D(x̂)‖ - 1)²

    A Lipschitz constant of 1 is a bound, not a target.
    """

    def of(self, gradient: Tensor) -> Tensor:
        """$max(0, ‖g‖ - 1)²$."""
        return (gradient_norm(gradient) - 1).clamp(min=0).square()


@penalty_family("gp0", weight=10.0, paper="thanhtung2019improving")
class ZeroCentred(_AtInterpolates):
    """A slope of 0 at interpolates (Thanh-Tung et al. 2019).

    The term is, without the factor ½ of `r1`,

        λ E‖∇D(x̂)‖²

    A flat D between real and generated samples, which no longer overfits single ones.
    """

    def of(self, gradient: Tensor) -> Tensor:
        """$‖g‖²$."""
        return squared_norm(gradient)


@penalty_family("dragan", weight=10.0, paper="kodali2017convergence")
class AroundData(GradientPenalty):
    """A slope of 1 around real samples (Kodali et al. 2017, DRAGAN, Sec. 2).

    The term is, with δ Gaussian,

        λ E(‖∇D(x + δ)‖ - 1)²

    The paper's δ has a fixed variance. Here, as in the authors' program, its scale follows the
    data: `spread` times the standard deviation of the batch. That program draws δ uniformly
    from [0, 1) instead, which moves all samples in the same direction.

    Args:
        weight, every: see `Penalty`.
        spread: standard deviation of δ in units of the batch's.

    Raises:
        RecipeError: `spread` is not positive.
    """

    def __init__(self, weight: float, every: int = 1, spread: float = 0.5) -> None:
        super().__init__(weight, every)
        if not spread > 0:
            raise RecipeError(f"'spread' of penalty 'dragan' must be positive, not {spread}")
        self.spread = spread

    def draw(self, real: Tensor) -> Tensor:
        """Standard normal, shaped as `real`."""
        return torch.randn_like(real)

    def points(self, real: Tensor, fake: Tensor, rand: Tensor | None = None) -> Tensor:
        """$x + δ$."""
        rand = self.draw(real) if rand is None else rand
        return real + self.spread * real.std() * rand

    def of(self, gradient: Tensor) -> Tensor:
        """$(‖g‖ - 1)²$."""
        return (gradient_norm(gradient) - 1).square()


@penalty_family("r1", weight=10.0, paper="mescheder2018which")
class R1(GradientPenalty):
    """A slope of 0 at real samples (Mescheder et al. 2018, Eq. 9).

    The term is, with γ the `weight`,

        γ/2 E‖∇D(x)‖²
    """

    needs = frozenset({"real"})

    def of(self, gradient: Tensor) -> Tensor:
        """$‖g‖²/2$."""
        return squared_norm(gradient) / 2


@penalty_family("r2", weight=10.0, paper="mescheder2018which")
class R2(R1):
    """A slope of 0 at generated samples (Mescheder et al. 2018, Eq. 10).

    The term is, with γ the `weight`,

        γ/2 E‖∇D(G(z))‖²
    """

    needs = frozenset({"generated"})
