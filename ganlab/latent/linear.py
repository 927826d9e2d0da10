"""Two linear models with closed or convex solutions: a line through numbers, a plane between
classes. In float64 on the CPU, the same result every time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.errors import DataError, at_least
from ganlab.metrics.arrays import number, shaped
from ganlab.models.latent import seeded


@dataclass(frozen=True)
class Linear:
    """$y = x · "weight" + "bias"$.

    Attributes:
        weight: (D,) float64.
        bias: a number.
    """

    weight: Tensor
    bias: float

    def __call__(self, x: Tensor) -> Tensor:
        """(N, D) -> (N,) float64 on the CPU."""
        return x.detach().cpu().double() @ self.weight + self.bias


def _standard(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x = shaped(x, "codes", ("N", "D")).detach().cpu().double()
    if len(x) < 2:
        raise DataError(f"codes are (N, D) with two at least, not {tuple(x.shape)}")
    mean, scale = x.mean(0), x.std(0)
    scale = torch.where(scale > 1e-9 * (mean.abs() + 1), scale, torch.ones_like(scale))
    return (x - mean) / scale, mean, scale


def _solved(matrix: Tensor, right: Tensor) -> Tensor:
    try:
        return torch.linalg.solve(matrix, right)
    except torch.linalg.LinAlgError as error:
        raise DataError("codes depend on each other: a penalty above 0 is needed") from error


def ridge(x: Tensor, y: Tensor, penalty: float = 1e-3) -> Linear:
    """Least squares with a small penalty on the standardised weights.

    Args:
        x: (N, D).
        y: (N,).
        penalty: times N, on their squares.

    Raises:
        DataError: numbers disagree, fewer than two, or a value is not finite.
        RecipeError: the penalty is below 0.
    """
    penalty = number("penalty", penalty, 0)
    u, mean, scale = _standard(x)
    y = shaped(y, "y", (len(u),)).detach().cpu().double()
    eye = torch.eye(u.shape[1], dtype=u.dtype)
    solution = _solved(u.T @ u + penalty * len(u) * eye, u.T @ (y - y.mean()))
    weight = solution / scale
    return Linear(weight, float(y.mean() - mean @ weight))


def logistic(x: Tensor, y: Tensor, penalty: float = 1e-3, steps: int = 50) -> Linear:
    """Logistic regression by Newton's method with halved steps; positive where y is true.

    Args:
        x: (N, D).
        y: (N,), 0 and 1 or bool.
        penalty: times N/2, on the squares of the standardised weights: it bounds them where the
            classes can be parted.
        steps: at most.

    Raises:
        DataError: only one class is there, numbers disagree, or a value is not finite.
        RecipeError: the penalty is below 0, or no step.
    """
    penalty, steps = number("penalty", penalty, 0), at_least("steps", steps)
    u, mean, scale = _standard(x)
    y = shaped(y, "y", (len(u),)).detach().cpu().double()
    if not bool(((y == 0) | (y == 1)).all()) or float(y.min()) == float(y.max()):
        raise DataError("labels must be 0 and 1, and both must occur")
    u = torch.cat([u, torch.ones(len(u), 1, dtype=u.dtype)], 1)
    shrink = torch.full((u.shape[1],), penalty * len(u), dtype=u.dtype)
    shrink[-1] = 0  # the bias is free
    theta = torch.zeros(u.shape[1], dtype=u.dtype)
    theta[-1] = torch.logit(y.mean())

    def cost(theta: Tensor) -> float:
        fit = F.binary_cross_entropy_with_logits(u @ theta, y, reduction="sum")
        return float(fit + 0.5 * (shrink * theta.square()).sum())

    now = cost(theta)
    for _ in range(steps):
        p = torch.sigmoid(u @ theta)
        slope = u.T @ (p - y) + shrink * theta
        bend = (u * (p * (1 - p))[:, None]).T @ u + torch.diag(shrink + 1e-9)
        step = _solved(bend, slope)
        size = 1.0
        while cost(theta - size * step) > now and size > 1e-4:
            size /= 2
        theta = theta - size * step
        before, now = now, cost(theta)
        if before - now < 1e-9 * (abs(before) + 1):
            break
    weight = theta[:-1] / scale
    return Linear(weight, float(theta[-1] - mean @ weight))


def columns_of(table: Mapping[str, Tensor] | Tensor) -> dict[str, Tensor]:
    """Labels by name, each (N,) on the CPU: of a dict, of (N, F), or of a single (N,).

    Raises:
        DataError: there is none, one has another shape, or a value is not finite.
    """
    if not isinstance(table, Mapping):
        shaped(table, "labels", ("N",), ("N", "F"))
        table = {str(i): column for i, column in enumerate(table.reshape(len(table), -1).T)}
    if not table:
        raise DataError("labels: one column at least is needed")
    return {
        str(name): shaped(value, str(name), ("N",)).detach().cpu() for name, value in table.items()
    }


def halves(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Numbers to learn from and numbers to be judged on, one half each, drawn at random."""
    order = torch.randperm(at_least("n", n), generator=seeded(seed))
    return order[: (n + 1) // 2], order[(n + 1) // 2 :]


def explained(y: Tensor, guess: Tensor) -> float:
    """R²: 1 - the guesses' squared error over y's variance; 0 for guessing the mean.

    Raises:
        DataError: numbers disagree, or a value is not finite.
    """
    shaped(guess, "guess", tuple(shaped(y, "y", ("N",), ("N", "D")).shape))
    y, guess = y.detach().cpu().double(), guess.detach().cpu().double()
    around = (y - y.mean()).square().sum()
    return float(1 - (y - guess).square().sum() / around) if float(around) > 0 else 0.0
