"""Adversarial objectives: pairs of functions of logits.

The discriminator's output is a logit $a$; $D(x) = σ(a)$ where it is a probability. Working on
logits keeps every loss finite and its gradient exact where σ would round to 0 or 1, because

    log σ(a) = -softplus(-a)
    log(1 - σ(a)) = -softplus(a)

All losses are means over the batch, written $E$, in natural logarithms. $ℒ_D$ is what the
discriminator minimises, $ℒ_G$ what the generator does; $p$ is the density of the data, $q$ that of
the generator's samples.

A new objective is one definition:

    @objective_family("quadratic")
    def quadratic() -> Objective:
        return Objective(
            d_loss=lambda real, fake: (real**2 / 2 - real).mean() + (fake**2 / 2 + fake).mean(),
            g_loss=lambda fake, real=None: -fake.mean(),
            optimum=lambda p, q: (p - q) / (p + q),
        )
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.nn.functional import relu, softplus

from ganlab.errors import RecipeError, unknown


@dataclass(frozen=True)
class Objective:
    """What each player minimises, as functions of logits of any equal shape.

    Attributes:
        d_loss: `(real_logits, fake_logits) -> scalar`, the discriminator's.
        g_loss: `(fake_logits, real_logits) -> scalar`, the generator's; `real_logits` is None
            unless `needs_real`.
        needs_real: the generator's loss compares with real logits (relativistic objectives).
        optimum: `(p_data, p_g) -> a*`, the logit that minimises `d_loss` at points where the
            densities have these values (any equal shape, not both 0); None where the best
            logit at a point depends on more than the two densities there.
        name: under which `objective` finds it.
        paper: key in the book's bibliography.
    """

    d_loss: Callable[[Tensor, Tensor], Tensor]
    g_loss: Callable[..., Tensor]
    needs_real: bool = False
    name: str = ""
    paper: str = ""
    optimum: Callable[[Tensor, Tensor], Tensor] | None = None


_FAMILIES: dict[str, Callable[..., Objective]] = {}


def objective_family(name: str, paper: str = "") -> Callable:
    """Register the decorated function, which returns an `Objective`, under `name`."""

    def register(build: Callable[..., Objective]) -> Callable[..., Objective]:
        def named(*args: Any, **options: Any) -> Objective:
            return replace(build(*args, **options), name=name, paper=paper)

        named.__doc__, named.__name__ = build.__doc__, build.__name__
        _FAMILIES[name] = named
        return named

    return register


def objective(name: str, **options: Any) -> Objective:
    """The objective of that name.

    Raises:
        RecipeError: there is none of that name, or it does not take one of the options.
    """
    if name not in _FAMILIES:
        raise RecipeError(unknown("objective", name, _FAMILIES))
    try:
        return _FAMILIES[name](**options)
    except TypeError as error:
        raise RecipeError(f"objective '{name}' does not take {sorted(options)}") from error


def objectives() -> list[str]:
    """Names of all objectives."""
    return sorted(_FAMILIES)


def _cross_entropy(real_target: float, g_loss: Callable[..., Tensor]) -> Objective:
    """$ℒ_D = -E[t log D(x) + (1-t) log(1-D(x))] - E log(1-D(G(z)))$, with the target $t$."""
    if not 0.5 < real_target <= 1:
        raise RecipeError(f"real_target must be in (0.5, 1], not {real_target}")

    def d_loss(real: Tensor, fake: Tensor) -> Tensor:
        # t·softplus(-a) + (1-t)·softplus(a) = softplus(-a) + (1-t)·a: one softplus less
        loss = softplus(-real).mean() + softplus(fake).mean()
        return loss + (1 - real_target) * real.mean() if real_target < 1 else loss

    def optimum(p: Tensor, q: Tensor) -> Tensor:
        return (real_target * p).log() - ((1 - real_target) * p + q).log()

    return Objective(d_loss, g_loss, optimum=optimum)


@objective_family("minimax", paper="goodfellow2014generative")
def minimax(real_target: float = 1.0) -> Objective:
    """The game of the original paper, played as written (the *saturating* generator).

    The two minimise (Goodfellow et al. 2014, Eq. 1)

        ℒ_D = -E log D(x) - E log(1 - D(G(z)))
        ℒ_G = E log(1 - D(G(z)))

    The gradient of $ℒ_G$ in the logit is $-D(G(z))$: next to nothing where D rejects the picture
    with confidence. The optimal D is $p/(p+q)$ (Prop. 1), a logit of $log(p/q)$.

    Args:
        real_target: one-sided label smoothing (Salimans et al. 2016, Sec. 3.4): the target $t$ on
            real data, in (0.5, 1]. The optimal D becomes $t p/(p+q)$.
    """
    return _cross_entropy(real_target, lambda fake, real=None: -softplus(fake).mean())


@objective_family("non-saturating", paper="goodfellow2014generative")
def non_saturating(real_target: float = 1.0) -> Objective:
    """The original paper's remedy for a gradient that vanishes (Goodfellow et al. 2014, Sec. 3).

    $ℒ_D$ is that of `minimax`, and

        ℒ_G = -E log D(G(z))

    Its gradient in the logit is $-(1 - D(G(z)))$: largest where D rejects the picture. The fixed
    point is that of `minimax`, the gradients are not.

    Args:
        real_target: one-sided label smoothing, as in `minimax`.
    """
    return _cross_entropy(real_target, lambda fake, real=None: softplus(-fake).mean())


_CODINGS = {"0-1": (0.0, 1.0, 1.0), "-1-1-0": (-1.0, 1.0, 0.0)}


@objective_family("least-squares", paper="mao2017least")
def least_squares(coding: str = "0-1") -> Objective:
    """Regression on labels instead of classification (Mao et al. 2017, Eq. 2).

    With D's output taken as it is, not squashed, the two minimise

        ℒ_D = 1/2 E(D(x) - b)² + 1/2 E(D(G(z)) - a)²
        ℒ_G = 1/2 E(D(G(z)) - c)²

    The gradient in the output is the distance to the label: it grows with the error, and never
    saturates, on either side. Samples on the right side of the boundary but far from the data's
    label are pulled back too. The optimal D is the mean label, $(b p + a q)/(p + q)$.

    Args:
        coding: the labels $a$, $b$, $c$: "0-1" for 0, 1, 1, which gives generated samples the
            label of real ones, or "-1-1-0" for -1, 1, 0, with which G minimises the Pearson χ²
            divergence between $p + q$ and $2q$ at the optimal D (Sec. 3.2).
    """
    if coding not in _CODINGS:
        raise RecipeError(unknown("coding", coding, _CODINGS))
    a, b, c = _CODINGS[coding]
    return Objective(
        d_loss=lambda real, fake: ((real - b).square().mean() + (fake - a).square().mean()) / 2,
        g_loss=lambda fake, real=None: (fake - c).square().mean() / 2,
        optimum=lambda p, q: (b * p + a * q) / (p + q),
    )


@objective_family("wasserstein", paper="arjovsky2017wasserstein")
def wasserstein() -> Objective:
    """The dual of the Wasserstein-1 distance (Arjovsky et al. 2017, Eq. 2 and Algorithm 1).

    The critic $f$ and G minimise

        ℒ_D = E f(G(z)) - E f(x)
        ℒ_G = -E f(G(z))

    The gradient in the output is constant, on either side. The loss is bounded only under a
    Lipschitz constraint on $f$, which is not part of the objective: weight clipping, a gradient
    penalty or spectral normalisation must bring it. Minus the critic's loss then estimates the
    distance, times the Lipschitz constant. The best critic depends on the whole of both
    distributions, and is not a function of the densities at a point.
    """
    return Objective(
        d_loss=lambda real, fake: fake.mean() - real.mean(),
        g_loss=lambda fake, real=None: -fake.mean(),
    )


@objective_family("hinge", paper="lim2017geometric")
def hinge() -> Objective:
    """The margin loss (Lim and Ye 2017; Tran et al. 2017; Miyato et al. 2018, Eqs. 16-17).

    With D's output taken as it is, the two minimise

        ℒ_D = E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))
        ℒ_G = -E D(G(z))

    Samples that D has right by the margin give it no gradient; all others the same, and G's
    gradient in the output is constant. The optimal D is $sign(p - q)$: anything in [-1, 1] does
    where $p = q$.
    """
    return Objective(
        d_loss=lambda real, fake: relu(1 - real).mean() + relu(1 + fake).mean(),
        g_loss=lambda fake, real=None: -fake.mean(),
        optimum=lambda p, q: (p - q).sign(),
    )


@objective_family("relativistic", paper="jolicoeur2019relativistic")
def relativistic() -> Objective:
    """Each real sample against one generated sample (Jolicoeur-Martineau 2019, Sec. 4).

    With $d$ the real logit minus the generated one of the same row, the two minimise

        ℒ_D = E softplus(-d)
        ℒ_G = E softplus(d)

    D must rank pairs and not place a boundary. The gradients in the two logits of a pair are
    opposite, of size $σ(-d)$ for D and $σ(d)$ for G, so that G's is largest for pairs that D
    ranks with confidence, and D's vanishes once it does. The optimal logit is $log(p/q)$ plus
    any constant. Huang et al. (2024) train R3GAN with it.
    """
    return Objective(
        d_loss=lambda real, fake: softplus(fake - real).mean(),
        g_loss=lambda fake, real: softplus(real - fake).mean(),
        needs_real=True,
        optimum=lambda p, q: p.log() - q.log(),
    )


@objective_family("relativistic-average", paper="jolicoeur2019relativistic")
def relativistic_average() -> Objective:
    """Each sample against the other side's mean logit (Jolicoeur-Martineau 2019, Sec. 4).

    With $r = D(x) - E D(G(z))$ and $f = D(G(z)) - E D(x)$, in logits, the two minimise

        ℒ_D = E softplus(-r) + E softplus(f)
        ℒ_G = E softplus(-f) + E softplus(r)

    G's gradient reaches a logit both directly and through the mean. Because of the means, the
    best logit at a point depends on the distributions elsewhere: it is not $log(p/q)$, and not a
    function of the two densities.
    """

    def loss(up: Tensor, down: Tensor) -> Tensor:
        above, below = up - down.mean(), down - up.mean()
        return softplus(-above).mean() + softplus(below).mean()

    return Objective(
        d_loss=loss,
        g_loss=lambda fake, real: loss(fake, real),
        needs_real=True,
    )
