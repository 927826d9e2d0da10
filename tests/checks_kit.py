"""What the tests of a chapter's checks share: right answers pass, wrong ones are named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from ganlab.lab import run
from ganlab.lab.checks import NOT_STARTED


def array_in(value: Any) -> Any:
    """Tensors, also those in a list, as arrays of numpy."""
    if isinstance(value, list):
        return list(map(array_in, value))
    return value.detach().numpy() if torch.is_tensor(value) else value


def numpy(answer: Callable[..., Any]) -> Callable[..., Any]:
    """An answer that is written for arrays alone."""
    return lambda *a: answer(*map(array_in, a))


def suite(
    right: Sequence[tuple[str, Any]],
    wrong: Sequence[tuple[str, Any, str]],
    starters: Sequence[tuple[str, Any]],
) -> tuple[Callable[..., None], ...]:
    """Four tests, to be assigned to names that pytest collects.

    Args:
        right: number of the exercise and an answer that passes.
        wrong: number, a usual mistake, and words that its diagnosis must hold.
        starters: number and the answer as the reader finds it.
    """

    @pytest.mark.parametrize(("number", "answer"), right, ids=[n for n, _ in right])
    def pass_right(number: str, answer: Any) -> None:
        verdict = run(number, answer)
        assert verdict.passed, verdict.message

    names = [f"{n}-{words}" for n, _, words in wrong]

    @pytest.mark.parametrize(("number", "answer", "words"), wrong, ids=names)
    def name_wrong(number: str, answer: Any, words: str) -> None:
        verdict = run(number, answer)
        assert verdict.status == "failed"
        assert words in verdict.message, verdict.message

    @pytest.mark.parametrize(("number", "starter"), starters)
    def not_started(number: str, starter: Any) -> None:
        verdict = run(number, starter)
        assert verdict.status == "not started"
        assert verdict.message == NOT_STARTED

    def keep_random_state() -> None:
        before = torch.get_rng_state()
        for number, answer in right:
            run(number, answer)
        assert torch.equal(before, torch.get_rng_state())

    return pass_right, name_wrong, not_started, keep_random_state
