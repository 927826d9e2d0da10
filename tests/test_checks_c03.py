"""The checks of chapter 3 accept right answers, and name each usual wrong one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import softplus

from ganlab.data import toy
from ganlab.lab import run
from ganlab.lab.checks import NOT_STARTED, c03


def g_step(G: Any, D: Any, opt: Any, z: Tensor) -> Any:
    D.requires_grad_(False)
    a = D(G(z))
    D.requires_grad_(True)
    loss = bce(a, torch.ones_like(a))
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss


def g_step_with(
    loss: Any = lambda a: softplus(-a).mean(),
    freeze: bool = True,
    thaw: bool = True,
    clear: bool = True,
    result: Any = lambda loss: loss,
) -> Any:
    def step(G: Any, D: Any, opt: Any, z: Tensor) -> Any:
        D.requires_grad_(not freeze)
        value = loss(D(G(z)))
        if clear:
            opt.zero_grad()
        value.backward()
        if freeze and thaw:
            D.requires_grad_(True)
        opt.step()
        return result(value)

    return step


def g_step_detached(G: Any, D: Any, opt: Any, z: Tensor) -> Any:
    loss = softplus(-D(G(z).detach())).mean()
    loss.backward()
    opt.step()
    return loss


def g_step_moves_d(G: Any, D: Any, opt: Any, z: Tensor) -> Any:
    loss = softplus(-D(G(z))).mean()
    loss.backward()
    torch.optim.SGD([*G.parameters(), *D.parameters()], 0.1).step()
    return loss


def a_round(cut: bool = True, before: bool = True, label: float = 1.0) -> Any:
    def play(G: Any, D: Any, opt_g: Any, opt_d: Any, x: Tensor, z: Tensor) -> None:
        c03._round(G, D, opt_g, opt_d, x, z, cut, before, label)

    return play


def d_only(G: Any, D: Any, opt_g: Any, opt_d: Any, x: Tensor, z: Tensor) -> None:
    opt_d.zero_grad()
    (softplus(-D(x)).mean() + softplus(D(G(z).detach())).mean()).backward()
    opt_d.step()


def g_only(G: Any, D: Any, opt_g: Any, opt_d: Any, x: Tensor, z: Tensor) -> None:
    opt_g.zero_grad()
    softplus(-D(G(z))).mean().backward()
    opt_g.step()


def g_first(G: Any, D: Any, opt_g: Any, opt_d: Any, x: Tensor, z: Tensor) -> None:
    g_only(G, D, opt_g, opt_d, x, z)
    d_only(G, D, opt_g, opt_d, x, z)


def count(radius: float = 3.0, squared: bool = False, masked: bool = True) -> Any:
    def answer(samples: Tensor, centers: Tensor, std: float) -> tuple[int, float]:
        distance, index = torch.cdist(samples, centers).min(1)
        good = (distance**2 if squared else distance) <= radius * std
        return len((index[good] if masked else index).unique()), good.float().mean().item()

    return answer


def count_as(change: Any) -> Any:
    return lambda *arguments: change(*count()(*arguments))


def count_square(samples: Tensor, centers: Tensor, std: float) -> tuple[int, float]:
    inside = ((samples[:, None] - centers).abs() <= 3 * std).all(2)
    return int(inside.any(0).sum()), inside.any(1).float().mean().item()


def count_absolute(samples: Tensor, centers: Tensor, std: float) -> tuple[int, float]:
    return count(3 / std)(samples, centers, std)


def smooth(a_real: Tensor, a_fake: Tensor, target: float = 0.9) -> Tensor:
    on_real = bce(a_real, torch.full_like(a_real, target))
    return on_real + bce(a_fake, torch.zeros_like(a_fake))


def smooth_with(real: Any, fake: Any) -> Any:
    """Labels as functions of the target."""

    def answer(a_real: Tensor, a_fake: Tensor, target: float = 0.9) -> Tensor:
        on_real = bce(a_real, torch.full_like(a_real, real(target)))
        return on_real + bce(a_fake, torch.full_like(a_fake, fake(target)))

    return answer


def smooth_naive(a_real: Tensor, a_fake: Tensor, target: float = 0.9) -> Tensor:
    d_real, d_fake = a_real.sigmoid(), a_fake.sigmoid()
    on_real = target * d_real.log() + (1 - target) * (1 - d_real).log()
    return -on_real.mean() - (1 - d_fake).log().mean()


class Painter(nn.Module):
    """A "generator" that knows the grid: exact samples, some modes left out, some noise."""

    def __init__(self, modes: int = 25, std: float = 0.05) -> None:
        super().__init__()
        self.modes, self.std = modes, std

    def sample_latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.rand(n, 3, generator=generator)

    def forward(self, z: Tensor) -> Tensor:
        centers = toy.make("grid25").centers[: self.modes]
        noise = torch.erfinv((2 * z[:, 1:] - 1).clamp(-0.999, 0.999)) * 2**0.5
        return centers[(z[:, 0] * self.modes).long()] + self.std * noise


def one(loss: Any) -> Any:
    return g_step_with(loss)


RIGHT = [
    ("3.1", g_step),
    ("3.2", a_round()),
    ("3.2", a_round(cut=False)),
    ("3.3", count()),
    ("3.4", smooth),
    ("3.4", lambda a, b, t=0.9: softplus(-a).mean() + (1 - t) * a.mean() + softplus(b).mean()),
    ("3.5", (Painter(), 1000)),
    ("3.5", (Painter(c03.GRID_MODES), c03.GRID_BUDGET)),
]

WRONG = [
    ("3.1", one(lambda a: softplus(a).mean()), "label is 1"),
    ("3.1", one(lambda a: -softplus(a).mean()), "saturating"),
    ("3.1", one(lambda a: softplus(-a).sum()), "a sum over the batch"),
    ("3.1", one(lambda a: -a.mean()), "not along the gradient"),
    ("3.1", g_step_detached, "has not moved"),
    ("3.1", g_step_moves_d, "only opt_g may step"),
    ("3.1", g_step_with(freeze=False), "was left in the discriminator"),
    ("3.1", g_step_with(thaw=False), "never learn again"),
    ("3.1", g_step_with(clear=False), "where is zero_grad"),
    ("3.1", g_step_with(result=lambda loss: 2 * loss), "the loss you return"),
    ("3.1", g_step_with(result=lambda loss: None), "is a return missing"),
    ("3.2", a_round(cut=False, before=False, label=0.0), "two slips more"),
    ("3.2", a_round(before=False, label=0.0), "two slips are left"),
    ("3.2", a_round(label=0.0), "helps the discriminator"),
    ("3.2", a_round(before=False), "added to D's own"),
    ("3.2", a_round(cut=False, before=False), "gradients still cross"),
    ("3.2", d_only, "the generator does not move"),
    ("3.2", g_only, "the discriminator does not move"),
    ("3.2", g_first, "the order of the steps"),
    ("3.3", count(1.0), "yours is 1"),
    ("3.3", count(2.0), "yours is 2"),
    ("3.3", count_absolute, "where is std"),
    ("3.3", count(squared=True), "squared"),
    ("3.3", count(masked=False), "bad samples find modes"),
    ("3.3", count_square, "a square, not a disc"),
    ("3.3", count_as(lambda found, good: (good, found)), "wrong order"),
    ("3.3", count_as(lambda found, good: (found, 100 * good)), "percent"),
    ("3.3", count_as(lambda found, good: (found, 11 * good)), "divide by the number"),
    ("3.3", count_as(lambda found, good: found), "return two things"),
    ("3.3", count_as(lambda found, good: (found + 1, good / 2)), "of 11 samples"),
    ("3.4", smooth_with(lambda t: t, lambda t: 1 - t), "both sides"),
    ("3.4", smooth_with(lambda t: 1, lambda t: 1 - t), "the generated side"),
    ("3.4", smooth_with(lambda t: 1, lambda t: 0), "not used"),
    ("3.4", smooth_with(lambda t: 1 - t, lambda t: 0), "label itself"),
    ("3.4", smooth_with(lambda t: t, lambda t: 1), "carry the label 1"),
    ("3.4", lambda a, b, t=0.9: smooth(b, a, t), "exchanged"),
    ("3.4", lambda a, b, t=0.9: smooth(a, b, t) / 2, "half of it"),
    ("3.4", lambda a, b, t=0.9: t * softplus(-a).mean() + softplus(b).mean(), "soft label"),
    ("3.4", smooth_naive, "not finite"),
    ("3.4", lambda a, b, t=0.9: smooth(a, b, t) + 1, "see Hint 2"),
    ("3.5", Painter(), "return two things"),
    ("3.5", (torch.zeros(2500, 2), 1000), "the generator itself"),
    ("3.5", (Painter(), 0), "must be positive"),
    ("3.5", (Painter(), c03.GRID_BUDGET + 1), "the budget is"),
    ("3.5", (Painter(10), 1000), "some modes are lost"),
    ("3.5", (Painter(std=0.52), 1000), "must be good"),
    ("3.5", (Painter(5, std=0.6), 1000), "wander between modes"),
    ("3.5", (Painter(1, std=0.0), 1000), "one point"),
    ("3.5", (Painter(std=float("nan")), 1000), "not finite"),
]


@pytest.mark.parametrize(("number", "answer"), RIGHT, ids=lambda v: v if type(v) is str else "")
def test_a_right_answer_passes(number: str, answer: Any) -> None:
    verdict = run(number, answer)
    assert verdict.passed, verdict.message


@pytest.mark.parametrize(("number", "answer", "part"), WRONG, ids=[f"{n}-{p}" for n, _, p in WRONG])
def test_a_wrong_answer_gets_its_diagnosis(number: str, answer: Any, part: str) -> None:
    verdict = run(number, answer)
    assert verdict.status == "failed"
    assert part in verdict.message


@pytest.mark.parametrize("number", ["3.1", "3.2", "3.3", "3.4", "3.5"])
@pytest.mark.parametrize("blank", [..., None, (..., ...)], ids=["dots", "none", "pair"])
def test_blanks_are_not_failures(number: str, blank: Any) -> None:
    assert run(number, blank).message == NOT_STARTED


@pytest.mark.parametrize(
    ("number", "starter"),
    [
        ("3.1", lambda *a: ...),
        ("3.2", lambda *a: ...),
        ("3.3", lambda *a: (..., ...)),
        ("3.4", lambda *a: ...),
    ],
)
def test_untouched_starters_are_not_started(number: str, starter: Any) -> None:
    assert run(number, starter).status == "not started"


def test_the_check_leaves_the_global_random_state() -> None:
    before = torch.get_rng_state()
    run("3.1", g_step)
    run("3.2", a_round())
    run("3.5", (Painter(), 1000))
    assert torch.equal(before, torch.get_rng_state())


def test_old_gradients_of_d_may_stay_or_go_but_new_ones_must_not() -> None:
    def step_that_clears(G: Any, D: Any, opt: Any, z: Tensor) -> Any:
        loss = g_step_with(freeze=False)(G, D, opt, z)
        D.zero_grad()
        return loss

    def step_that_adds_little(G: Any, D: Any, opt: Any, z: Tensor) -> Any:
        loss = g_step(G, D, opt, z)
        for p in D.parameters():
            p.grad = (0 if p.grad is None else p.grad) + 1e-3 * torch.ones_like(p)
        return loss

    for answer in (g_step, step_that_clears):
        assert run("3.1", answer).passed, run("3.1", answer)
    assert "was left in the discriminator" in run("3.1", step_that_adds_little).message


def test_the_solution_keeps_the_words_of_exercise_1() -> None:
    """The notebook's own solution, on networks whose D holds an earlier step's gradient."""
    notebook = Path(__file__).resolve().parents[1] / "book" / "03_first_gan.ipynb"
    cells = nbformat.read(notebook, as_version=4).cells
    source = next(c.source for c in cells if c.source.startswith("def my_g_step") and
                  "solution" in c.metadata.get("tags", []))  # fmt: skip
    scope: dict[str, Any] = {"bce": bce, "torch": torch, "lab": SimpleNamespace(check=run)}
    exec(source, scope)
    G, D = c03._pair()
    for p in D.parameters():
        p.grad = torch.full_like(p, 2.0)
    scope["my_g_step"](G, D, c03._sgd(G), torch.randn(8, 2))
    assert all(p.grad is not None and (p.grad == 2).all() for p in D.parameters())


def test_the_notebook_states_the_bars_of_the_check() -> None:
    notebook = Path(__file__).resolve().parents[1] / "book" / "03_first_gan.ipynb"
    text = notebook.read_text(encoding="utf-8")
    for bar in (
        f"least {c03.GRID_MODES} of",
        f"{c03.GRID_GOOD:.0%} of its",
        f"{c03.GRID_BUDGET:,}",
    ):
        assert bar in text
