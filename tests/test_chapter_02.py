"""Chapter 2: the live figure's descent, and formulas that fit a phone."""

from __future__ import annotations

import math
import re

import pytest
import torch
from chapter_kit import words
from live_kit import LIVE, needs_node, played
from torch.distributions import Categorical, MixtureSameFamily, Normal
from torch.nn.functional import softplus

SCRIPT = LIVE / "minimax.js"
PROGRAM = """
globalThis.window = globalThis;
globalThis.ganlabKit = { whenReady() {} };
eval(require("fs").readFileSync(process.argv[1], "utf8"));
const live = globalThis.minimaxLive, found = { slopes: [], ends: {} };
for (const [mean, scale] of JSON.parse(process.argv[2])) {
  const whole = live.measure(mean, scale);
  found.slopes.push({ js: whole.js,
    saturating: [whole.saturating.slice(0, 2), live.slope(mean, scale, "saturating")],
    other: [whole.other.slice(0, 2), live.slope(mean, scale, "other")] });
}
for (const loss of ["saturating", "other"]) {
  const state = { ...live.START };
  live.descend(state, loss, 1000);
  found.ends[loss] = [state.mean, state.scale];
}
console.log(JSON.stringify(found));
"""
PLACES = [(-3.0, 0.7), (0.0, 2.0), (1.5, 0.3)]


@pytest.fixture(scope="module")
def live() -> dict:
    return played(PROGRAM, SCRIPT, PLACES)


def real(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


DATA = MixtureSameFamily(Categorical(real(0.6, 0.4)), Normal(real(-1.5, 1.5), real(0.5, 0.7)))


def pushes(mean: float, scale: float, saturating: bool) -> list[float]:
    """Minus the gradient of a loss in mean and log scale, the best D frozen, by quadrature."""
    theta = real(mean, math.log(scale)).requires_grad_()
    z = torch.linspace(-9, 9, 4001, dtype=torch.float64)
    x = theta[0] + theta[1].exp() * z
    logit = DATA.log_prob(x) - Normal(real(mean)[0], real(scale)[0]).log_prob(x)
    loss = -softplus(logit) if saturating else softplus(-logit)
    mean_loss = torch.trapezoid(Normal(real(0.0)[0], real(1.0)[0]).log_prob(z).exp() * loss, z)
    return [-g for g in torch.autograd.grad(mean_loss, theta)[0].tolist()]


@needs_node
def test_the_figures_pushes_are_those_of_the_losses(live: dict) -> None:
    for (mean, scale), found in zip(PLACES, live["slopes"]):
        for name, saturating in (("saturating", True), ("other", False)):
            whole, quick = found[name]
            right = pushes(mean, scale, saturating)
            assert whole == pytest.approx(right, abs=1e-4)
            assert quick == pytest.approx(right, abs=1e-4)


@needs_node
def test_a_thousand_steps_end_where_the_text_says(live: dict) -> None:
    mean, scale = live["ends"]["saturating"]
    assert abs(mean) < 0.5  # across both modes
    assert scale > 1.4
    mean, scale = live["ends"]["other"]
    assert abs(mean + 1.5) < 0.1  # on the left mode alone
    assert scale < 0.6


def test_the_figure_has_a_colour_for_each_loss_beside_the_generators() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    for theme in re.findall(r"(?:light|dark): \{(.*?)\}", text, re.DOTALL):
        colours = dict(re.findall(r'(\w+): "(#\w+)"', theme))
        named = [colours[k] for k in ("data", "fake", "disc", "saturating", "other")]
        assert len(set(named)) == 5
    assert "[100, 1000]" in text


def displayed(name: str) -> list[str]:
    """Displayed formulas of a chapter, each line of an aligned one by itself."""
    lines = []
    for formula in re.findall(r"^\$\$\n(.*?)^\$\$", words(name), re.DOTALL | re.MULTILINE):
        lines += re.split(r"\\\\(?:\[\dpt\])?\s", formula)
    return lines


def width(formula: str) -> float:
    """Roughly how many letters wide a line of TeX is set."""
    text = re.sub(r"\\(?:begin|end)\{\w+\}|\\(?:big|Big|bigl|bigr|Bigl|Bigr)\b|\s|&", "", formula)
    text = re.sub(r"\\[dt]?frac(?:\{((?:[^{}]|\{[^{}]*\})*)\}\{((?:[^{}]|\{[^{}]*\})*)\}|\d\d)",
                  lambda m: max(m[1] or "1", m[2] or "2", key=len), text)  # fmt: skip
    small = 0.0
    for script in re.findall(r"[_^](\{(?:[^{}]|\{[^{}]*\})*\}|\\?\w)", text):
        small += 0.6 * len(re.sub(r"\\text\{(\w+)\}|\\\w+", r"\1", script).strip("{}"))
    text = re.sub(r"[_^](\{(?:[^{}]|\{[^{}]*\})*\}|\\?\w)", "", text)
    text = re.sub(r"\\(?:mathrm|operatorname|text|mathbb)\{(\w+)\}", r"\1", text)
    text = re.sub(r"\\(?:log|max|min)", "log", text)
    text = re.sub(r"\\[,;! ]|\\q?quad|\\[a-zA-Z]+|\\.", "o", text)
    return len(re.sub(r"[{}]", "", text)) + small


@pytest.mark.parametrize("name", ["01_generative_models", "02_minimax_game"])
def test_formulas_fit_a_phone(name: str) -> None:
    """At 390 px the text is some 360 px wide: about 42 letters of a formula."""
    wide = {line.strip(): round(width(line)) for line in displayed(name) if width(line) > 42}
    assert not wide
