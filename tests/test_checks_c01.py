"""The checks of chapter 1 accept the answer and name each anticipated slip."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlab.lab import checks

Answer = Callable[..., Any]


def root(u: Tensor) -> Tensor:
    return u.sqrt()


def flow_with(
    sign: float = -1.0, half: float = 0.5, constant: float | None = None, power: float = 1.0
) -> Answer:
    """The log density of A z + b by its formula, right with the defaults."""

    def answer(x: Tensor, A: Tensor, b: Tensor) -> Tensor:
        z = torch.linalg.solve(A, (x - b).T).T
        d = len(b) if constant is None else constant
        grown = power * torch.linalg.slogdet(A).logabsdet
        return -half * z.square().sum(1) - d / 2 * math.log(2 * math.pi) + sign * grown

    return answer


def flow_from(latent: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Answer:
    """The same, with another guess at the z that each x comes from."""

    def answer(x: Tensor, A: Tensor, b: Tensor) -> Tensor:
        log_p_z = -latent(x, A, b).square().sum(1) / 2 - len(b) / 2 * math.log(2 * math.pi)
        return log_p_z - torch.linalg.slogdet(A).logabsdet

    return answer


def flow_without_abs(x: Tensor, A: Tensor, b: Tensor) -> Tensor:
    return flow_with(power=0.0)(x, A, b) - A.det().log()


def log_density(x: Tensor, centers: Tensor, std: float) -> Tensor:
    square = torch.cdist(x, centers) ** 2
    d = centers.shape[1]
    one = -square / (2 * std**2) - 0.5 * d * math.log(2 * math.pi * std**2)
    return torch.logsumexp(one, 1) - math.log(len(centers))


def mixture_with(
    reduce: Callable[[Tensor], Tensor], constant: float = 1.0, half: float = 2.0, count: bool = True
) -> Answer:
    """A wrong log density: another reduction, share of the constant, exponent or weight."""

    def wrong(x: Tensor, centers: Tensor, std: float) -> Tensor:
        d = centers.shape[1]
        power = {1.0: d, 0.0: 0, 0.5: 1}[constant]
        one = -(torch.cdist(x, centers) ** 2) / (half * std**2)
        one = one - 0.5 * power * math.log(2 * math.pi * std**2)
        return reduce(one) - (math.log(len(centers)) if count else 0)

    return wrong


def through_exp(x: Tensor, centers: Tensor, std: float) -> Tensor:
    square = torch.cdist(x, centers) ** 2
    d = centers.shape[1]
    density = torch.exp(-square / (2 * std**2)) / (2 * math.pi * std**2) ** (d / 2)
    return density.mean(1).log()


def clamped(x: Tensor, centers: Tensor, std: float) -> Tensor:
    return through_exp(x, centers, std).clamp(min=-80)


def lse(one: Tensor) -> Tensor:
    return torch.logsumexp(one, 1)


def copied(samples: Tensor, train: Tensor, test: Tensor) -> float:
    near_train = torch.cdist(samples, train).min(1).values
    near_test = torch.cdist(samples, test).min(1).values
    return (near_train < near_test).float().mean().item()


def copied_by_column(samples: Tensor, train: Tensor, test: Tensor) -> float:
    near_train = torch.cdist(samples, train).min(0).values
    near_test = torch.cdist(samples, test).min(0).values
    return (near_train < near_test).float().mean().item()


def copied_by_mean(samples: Tensor, train: Tensor, test: Tensor) -> float:
    near = torch.cdist(samples, train).mean(1) < torch.cdist(samples, test).mean(1)
    return near.float().mean().item()


def not_a_share(samples: Tensor, train: Tensor, test: Tensor) -> Tensor:
    return torch.cdist(samples, train).min(1).values < torch.cdist(samples, test).min(1).values


def draw(joint: Tensor, n: int) -> Tensor:
    row = torch.multinomial(joint.sum(1), n, replacement=True)
    column = torch.multinomial(joint[row], 1)[:, 0]
    return torch.stack([row, column], 1)


def draw_from_cells(joint: Tensor, n: int) -> Tensor:
    cell = torch.multinomial(joint.flatten(), n, replacement=True)
    return torch.stack([cell // joint.shape[1], cell % joint.shape[1]], 1)


def independent(joint: Tensor, n: int) -> Tensor:
    row = torch.multinomial(joint.sum(1), n, replacement=True)
    column = torch.multinomial(joint.sum(0), n, replacement=True)
    return torch.stack([row, column], 1)


def likeliest_column(joint: Tensor, n: int) -> Tensor:
    row = torch.multinomial(joint.sum(1), n, replacement=True)
    return torch.stack([row, joint[row].argmax(1)], 1)


def likeliest_row(joint: Tensor, n: int) -> Tensor:
    row = joint.sum(1).argmax().expand(n)
    return torch.stack([row, torch.multinomial(joint[row], 1)[:, 0]], 1)


def equal_rows(joint: Tensor, n: int) -> Tensor:
    row = torch.randint(len(joint), (n,))
    return torch.stack([row, torch.multinomial(joint[row], 1)[:, 0]], 1)


def any_column(joint: Tensor, n: int) -> Tensor:
    row = torch.multinomial(joint.sum(1), n, replacement=True)
    return torch.stack([row, torch.randint(joint.shape[1], (n,))], 1)


RIGHT: list[tuple[str, Answer]] = [
    ("1.1", root),
    ("1.1", lambda u: (1 - u).sqrt()),
    ("1.2", flow_with()),
    ("1.2", flow_from(lambda x, A, b: (x - b) @ torch.linalg.inv(A).T)),
    (
        "1.2",
        lambda x, A, b: torch.distributions.MultivariateNormal(b, A @ A.T).log_prob(x),
    ),
    ("1.3", log_density),
    ("1.4", copied),
    ("1.5", draw),
    ("1.5", draw_from_cells),
]

WRONG: list[tuple[str, Answer, str]] = [
    ("1.1", lambda u: u, "uniform"),
    ("1.1", lambda u: u**2, "inverse"),
    ("1.1", lambda u: 1 - u.sqrt(), "mirrored"),
    ("1.1", lambda u: 2 * u, "above 1"),
    ("1.1", lambda u: torch.rand_like(u).sqrt(), "dice"),
    ("1.1", lambda u: u.sqrt() + 0.5, "outside"),
    ("1.1", lambda u: u ** (1 / 3), "it should be"),
    ("1.1", lambda u: 1 / (u - u), "not finite"),
    ("1.1", lambda u: u.sqrt().mean(), "shape"),
    ("1.1", lambda u: "x²", "must be a tensor"),
    ("1.1", lambda u: math.sqrt(u), "your code stopped"),
    ("1.2", flow_with(sign=1.0), "gets *thin*"),
    ("1.2", flow_with(power=0.0), "is missing (Hint 2)"),
    ("1.2", flow_with(power=2.0), "counts once"),
    ("1.2", flow_with(constant=0.0), "constant of the normal density is missing"),
    ("1.2", flow_with(constant=1.0), "one dimension"),
    ("1.2", lambda x, A, b: flow_with(constant=-len(b))(x, A, b), "*divides*"),
    ("1.2", flow_with(half=1.0), "-‖z‖²/2"),
    ("1.2", flow_without_abs, "take |det A|"),
    ("1.2", flow_from(lambda x, A, b: (x - b) @ A.T), "applied A"),
    ("1.2", flow_from(lambda x, A, b: (x - b) @ torch.linalg.inv(A)), "A transposed"),
    ("1.2", flow_from(lambda x, A, b: torch.linalg.solve(A, x.T).T), "subtract b first"),
    ("1.2", flow_from(lambda x, A, b: torch.linalg.solve(A, x.T).T - b), "*before*"),
    ("1.2", flow_from(lambda x, A, b: torch.linalg.solve(A, (x + b).T).T), "b is subtracted"),
    ("1.2", flow_from(lambda x, A, b: x), "x itself"),
    ("1.2", lambda x, A, b: flow_with()(x, A, b).exp(), "return its logarithm"),
    ("1.2", lambda x, A, b: flow_with()(x, A, b).sum(), "shape"),
    ("1.2", lambda x, A, b: flow_with()(x, A, b) / 0 * 0, "not finite"),
    ("1.2", lambda x, A, b: flow_with()(x, A, b) + 0.5, "off by up to"),
    ("1.3", mixture_with(lse, count=False), "number of modes"),
    ("1.3", mixture_with(lse, constant=0.0), "constant in front"),
    ("1.3", mixture_with(lse, constant=0.0, count=False), "1/K and the constant"),
    ("1.3", mixture_with(lse, constant=0.5), "on a line"),
    ("1.3", mixture_with(lse, half=1.0), "2·std²"),
    ("1.3", mixture_with(lambda one: one.amax(1)), "nearest mode alone"),
    ("1.3", mixture_with(lambda one: one.mean(1), count=False), "log of the average"),
    ("1.3", mixture_with(lambda one: one.sum(1), count=False), "multiplies"),
    ("1.3", lambda *a: log_density(*a).exp(), "return its logarithm"),
    (
        "1.3",
        lambda x, c, s: log_density(x, c, s) - x.shape[1] / 2 * math.log(2 * math.pi * s**2),
        "-d/2, not -d",
    ),
    (
        "1.3",
        lambda x, c, s: log_density(x, c, s) + x.shape[1] * math.log(2 * math.pi * s**2),
        "*divides*",
    ),
    ("1.3", lambda x, c, s: log_density(x, c, s) + x.shape[1] / 2 * math.log(s), "2π·std² stands"),
    ("1.3", through_exp, "logsumexp"),
    ("1.3", clamped, "do not clamp"),
    ("1.3", lambda *a: log_density(*a) + 1, "off by up to"),
    ("1.3", lambda *a: log_density(*a)[:, None], "shape"),
    ("1.4", lambda s, a, b: 1 - copied(s, a, b), "swap"),
    ("1.4", lambda s, a, b: 100 * copied(s, a, b), "percent"),
    ("1.4", lambda s, a, b: len(s) * copied(s, a, b), "divide"),
    ("1.4", copied_by_column, "dim=1"),
    ("1.4", copied_by_mean, "nearest point"),
    ("1.4", not_a_share, "one number"),
    ("1.4", lambda s, a, b: 0.123, "0.7 is right"),
    ("1.5", independent, "depend on the row"),
    ("1.5", likeliest_column, "most probable one of its row"),
    ("1.5", likeliest_row, "row is always the most probable"),
    ("1.5", equal_rows, "equally often"),
    ("1.5", any_column, "without a look"),
    ("1.5", lambda j, n: draw(j, n).flip(1), "swapped"),
    ("1.5", lambda j, n: draw(j, n) + 5, "outside"),
    ("1.5", lambda j, n: draw(j, n)[0], "shape"),
    ("1.5", lambda j, n: torch.zeros(n, 2, dtype=torch.long), "same pairs"),
    ("1.5", lambda j, n: draw(j**2, n), "total variation"),
]


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_accepts_the_answer(exercise: str, answer: Answer) -> None:
    verdict = checks.run(exercise, answer)
    assert verdict.status == "passed", verdict.message
    assert verdict.message.startswith("right")


@pytest.mark.parametrize(("exercise", "answer", "diagnosis"), WRONG)
def test_names_the_slip(exercise: str, answer: Answer, diagnosis: str) -> None:
    verdict = checks.run(exercise, answer)
    assert verdict.status == "failed"
    assert diagnosis in verdict.message


@pytest.mark.parametrize("exercise", ["1.1", "1.2", "1.3", "1.4", "1.5"])
def test_dots_are_not_a_wrong_answer(exercise: str) -> None:
    assert checks.run(exercise, ...).status == "not started"
    assert checks.run(exercise, lambda *arguments: ...).status == "not started"


def test_a_check_leaves_the_readers_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    checks.run("1.5", draw)
    assert torch.equal(torch.rand(3), expected)
