"""The words of the checks: claims that hold, tables that name a slip, answers of any kind."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch

from ganlab.lab import checks
from ganlab.lab.checks import Fail
from ganlab.lab.checks.read import draw, either, number, numbers, parts, points, tensor
from ganlab.lab.checks.words import close, equal, need, of_batches, refuse, when

MEAN = {
    6.0: "a sum: take the mean",
    when(False): "never",
    ...: "yours is {found:.2f}, right is {right:.1f}, {off:.3f} apart",
}


def verdict(claim: Any, *arguments: Any, **options: Any) -> str:
    """The diagnosis of a claim, or nothing if it holds."""
    try:
        claim(*arguments, **options)
    except Fail as failure:
        return str(failure)
    return ""


def test_a_claim_that_holds_says_nothing() -> None:
    assert verdict(equal, 2.0, 2.0, "it", MEAN) == ""
    assert verdict(equal, 2.0 + 1e-6, 2.0, "it", MEAN) == ""
    assert verdict(equal, (2, 0.5), (2.0, 0.5), "it") == ""
    assert verdict(need, True, "no") == ""
    assert verdict(refuse, {when(False): "no", 3.0: "no"}, 2.0) == ""


def test_a_claim_that_fails_gives_its_line() -> None:
    assert verdict(need, torch.tensor(False), "sort copies") == "sort copies"
    assert verdict(equal, 2.5, 2.0, "it", MEAN) == "yours is 2.50, right is 2.0, 0.500 apart"
    assert verdict(equal, float("nan"), 2.0, "it", {...: "yours is {found}"}) == "yours is nan"


@pytest.mark.parametrize(
    ("found", "right", "line"),
    [
        (2.5, 2.0, "it is 2.5 where 2 is right: see Hint 1"),
        (float("inf"), 2.0, "it is inf: is there a division by 0?: see Hint 1"),
        ([1.0, 2.5], [1.0, 2.0], "it is off by up to 0.5: see Hint 1"),
        ([1.0], [1.0, 2.0], "it must have shape (2,), yours has (1,)"),
        (torch.ones(3), 2.0, "it must be one number, but has shape (3,)"),
        (None, 2.0, "it is None: is a return missing?"),
    ],
)
def test_without_a_line_of_its_own_the_complaint_is_general(
    found: Any, right: Any, line: str
) -> None:
    assert verdict(equal, found, right, "it", {7.0: "no"}, "Hint 1") == line


def test_what_was_found_stands_before_a_named_diagnosis() -> None:
    assert (
        verdict(equal, 6.0, 2.0, "G's loss", MEAN, named=True) == "G's loss: a sum: take the mean"
    )
    assert verdict(equal, 7.0, 2.0, "it", {6.0: "no"}, named=True) == "it is 7 where 2 is right"


def test_a_loss_of_two_batches_has_its_usual_slips() -> None:
    real, fake = points([1.0, 2.0, 6.0], [0.5, 1.5])
    slips = of_batches(real, fake)
    words = {-4.0: "sign", 2.0: "half", 2.2: "joined", 4.4: "joined", 11.0: "sums"}
    words |= {3.0: "generated samples", 1.0: "real samples"}
    for found, word in words.items():
        assert word in verdict(equal, found, 4.0, "the loss", slips)
    real, fake = points([1.0, 2.0, 6.0], [0.5, 4.5])
    assert "second term" in verdict(equal, 0.5, 5.5, "the loss", of_batches(real, fake))


def test_a_known_slip_comes_before_the_general_complaint() -> None:
    assert verdict(equal, 6.0, 2.0, "it", MEAN) == "a sum: take the mean"
    assert verdict(equal, 7.0, 2.0, "it", {when(True): "by condition", **MEAN}) == "by condition"


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
    assert numbers((value, 1), "one", "two") == [2.5, 1.0]


@pytest.mark.parametrize("kind", [torch.Tensor.float, torch.Tensor.numpy, torch.Tensor.tolist])
def test_tensors_of_every_kind_are_read(kind: Any) -> None:
    right = points([1.0, 0.5])[0]
    found = tensor(kind(right), (2,), "D")
    assert found.dtype == torch.float64
    assert torch.equal(found, right)
    assert verdict(equal, kind(right), right, "D") == ""


def test_an_array_that_numpy_reads_backwards_is_read() -> None:
    assert tensor(np.arange(3.0)[::-1], (3,), "D").tolist() == [2, 1, 0]


def test_what_cannot_be_read_is_named() -> None:
    assert verdict(number, None, "JS") == "JS is None: is a return missing?"
    assert verdict(number, torch.ones(3), "JS") == "JS must be one number, but has shape (3,)"
    assert verdict(tensor, [1.0], (2,), "D") == "D must have shape (2,), yours has (1,)"
    assert verdict(tensor, "D", (2,), "D") == "D must be a tensor or a number; you returned str"
    assert verdict(number, 1j, "JS").startswith("JS is complex")
    for value in (1.0, (1, 2, 3), torch.ones(3), torch.tensor(1.0)):
        assert verdict(parts, value, "a", "b") == "return two things: a, b"
    assert parts([1, 2], "a", "b") == [1, 2]
    assert parts(np.array([1, 2]), "a", "b") == [1, 2]


@pytest.mark.parametrize("own", [torch.float32, torch.float64])
def test_an_answer_with_numbers_of_its_own_type_is_played_in_that_type(own: torch.dtype) -> None:
    @either
    def check(answer: Any, dtype: torch.dtype) -> Any:
        return answer(torch.ones(2, 2, dtype=dtype))

    assert check(lambda m: m @ torch.ones(2, dtype=own)).dtype == own
    with pytest.raises(RuntimeError):
        check(lambda m: m @ torch.ones(3, dtype=own))


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
        equal(answer(3.0), 6.0, "it", {3.0: "unchanged", ...: "yours is {found:g}"})
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
        (functools.partial(lambda y, x: ..., 1), f"○ 0.1: {checks.NOT_STARTED}"),
    ],
)  # fmt: skip
def test_an_exercise_made_of_the_words(doubling: str, answer: Any, line: str) -> None:
    assert str(checks.run(doubling, answer)) == line
