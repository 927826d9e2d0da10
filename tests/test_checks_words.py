"""The words of the checks: claims that hold, tables that name a slip, answers of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ganlab.lab import checks
from ganlab.lab.checks import Fail
from ganlab.lab.checks.read import draw, finite_number, number, parts, points, started, tensor
from ganlab.lab.checks.words import close, equal, need, refuse, when

MEAN = {
    6.0: "a sum: take the mean",
    when(False): "never",
    ...: "yours is {found:.2f}, right is {right:.1f}, {off:.3f} apart",
}


def verdict(claim: Any, *arguments: Any) -> str:
    """The diagnosis of a claim, or nothing if it holds."""
    try:
        claim(*arguments)
    except Fail as failure:
        return str(failure)
    return ""


def test_a_claim_that_holds_says_nothing() -> None:
    assert verdict(equal, 2.0, 2.0, MEAN) == ""
    assert verdict(equal, 2.0 + 1e-6, 2.0, MEAN) == ""
    assert verdict(equal, (2, 0.5), (2.0, 0.5), {...: "no"}) == ""
    assert verdict(need, True, "no") == ""
    assert verdict(refuse, {when(False): "no", 3.0: "no"}, 2.0) == ""


def test_a_claim_that_fails_gives_its_line() -> None:
    assert verdict(need, torch.tensor(False), "sort copies") == "sort copies"
    assert verdict(equal, 2.5, 2.0, MEAN) == "yours is 2.50, right is 2.0, 0.500 apart"
    assert verdict(equal, float("nan"), 2.0, {...: "yours is {found}"}) == "yours is nan"


def test_a_known_slip_comes_before_the_general_complaint() -> None:
    assert verdict(equal, 6.0, 2.0, MEAN) == "a sum: take the mean"
    assert verdict(equal, 7.0, 2.0, {when(True): "by condition", **MEAN}) == "by condition"


def test_the_first_line_that_fits_is_the_verdict() -> None:
    one, two = points([1.0, 2.0], [1.0, 2.0])
    slips = {one: "first", two: "second", ...: "neither"}
    assert len(slips) == 3  # equal tensors are two lines, not one
    assert verdict(refuse, slips, one.clone()) == "first"
    assert verdict(refuse, slips, 5.0) == "neither"


def test_a_number_stands_for_a_tensor_of_it() -> None:
    assert verdict(refuse, {1.0: "ones"}, torch.ones(2, 3)) == "ones"
    assert verdict(refuse, {1.0: "ones"}, torch.tensor([1.0, 2.0])) == ""


def test_a_function_waits_until_the_lines_above_have_passed() -> None:
    asked: list[int] = []
    slips = {when(True): "above", when(lambda: asked.append(1) or True): "below"}
    assert verdict(refuse, slips) == "above"
    assert asked == []


@pytest.mark.parametrize("within", [1e-3, 1e-6])
def test_the_tolerance_is_absolute_and_relative(within: float) -> None:
    for size in (0.0, 1.0, 1e4):
        assert close(size + 0.9 * within * (1 + size), size, within)
        assert not close(size + 1.1 * within * (1 + size), size, within)


@pytest.mark.parametrize(
    "value",
    [2.5, np.float32(2.5), np.array([2.5]), torch.tensor(2.5),
     torch.ones(1, requires_grad=True) + 1.5],
    ids=["float", "numpy number", "numpy array", "float32 tensor", "with a graph"],
)  # fmt: skip
def test_numbers_of_every_kind_are_read(value: Any) -> None:
    assert number(value, "it") == 2.5
    assert finite_number(value, "it") == 2.5


@pytest.mark.parametrize("kind", [torch.Tensor.float, torch.Tensor.numpy, torch.Tensor.tolist])
def test_tensors_of_every_kind_are_read(kind: Any) -> None:
    right = points([1.0, 0.5])[0]
    found = tensor(kind(right), (2,), "D")
    assert found.dtype == torch.float64
    assert torch.equal(found, right)
    assert verdict(equal, kind(right), right, {...: "no"}) == ""


def test_what_cannot_be_read_is_named() -> None:
    assert verdict(number, None, "JS") == "JS is None: is a return missing?"
    assert verdict(number, torch.ones(3), "JS") == "JS must be one number, but has shape (3,)"
    assert verdict(finite_number, float("inf"), "JS") == "JS is inf"
    assert verdict(tensor, [1.0], (2,), "D") == "D must have shape (2,), yours has (1,)"
    assert verdict(parts, torch.ones(2), 2, "return two things") == "return two things"
    assert parts([1, 2], 2, "return two things") == [1, 2]


@pytest.mark.parametrize(
    "read", [started, lambda v: number(v, "it"), lambda v: parts((1, v), 2, "")]
)
def test_dots_are_not_started(read: Any) -> None:
    with pytest.raises(NotImplementedError):
        read(...)


def test_draws_leave_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    assert torch.equal(draw(3, 2, 2), draw(3, 2, 2))
    rng = torch.Generator().manual_seed(3)
    assert torch.equal(draw(rng, 2, 2), draw(3, 2, 2))
    assert not torch.equal(draw(rng, 2, 2), draw(3, 2, 2))
    assert torch.equal(before, torch.get_rng_state())


@pytest.fixture
def doubling(monkeypatch: pytest.MonkeyPatch) -> str:
    """A registered exercise: the answer must double its argument."""
    monkeypatch.setattr(checks, "_REGISTRY", {})

    @checks.check("0.1", "right: twice as much")
    def _(answer: Any) -> str | None:
        equal(number(answer(3.0), "it"), 6.0, {3.0: "unchanged", ...: "yours is {found:g}"})
        return "right, a plain float" if isinstance(answer(0.1), float) else None

    return "0.1"


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (lambda x: 2 * x, "✓ 0.1: right, a plain float"),
        (lambda x: np.float32(2 * x), "✓ 0.1: right: twice as much"),
        (lambda x: torch.tensor(2 * x), "✓ 0.1: right: twice as much"),
        (lambda x: x, "✗ 0.1: unchanged"),
        (lambda x: x + 1, "✗ 0.1: yours is 4"),
        (lambda x: [][0], "✗ 0.1: your code stopped with IndexError: list index out of range"),
        (lambda x: None, "✗ 0.1: it is None: is a return missing?"),
        (lambda x: ..., f"○ 0.1: {checks.NOT_STARTED}"),
    ],
)  # fmt: skip
def test_an_exercise_made_of_the_words(doubling: str, answer: Any, line: str) -> None:
    assert str(checks.run(doubling, answer)) == line
