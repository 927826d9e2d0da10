"""What `diagnosis.py` breaks: for each failure its symptom, cause and remedy, and the runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.game import AdversarialGame
from ganlab.losses import Objective
from ganlab.recipes import recipe

BASE = recipe(
    "dcgan-mnist",
    size=16,
    generator={"width": 16},
    discriminator={"width": 16},
    half_life=0.0,
    precision="fp32",
    steps=600,
)

Twist = Callable[[AdversarialGame], None]


def log_of_sigmoid(game: AdversarialGame) -> None:
    """Cross-entropy as the formula has it: log(σ(a)) instead of one function of the logit."""
    game.objective = Objective(
        lambda real, fake: -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean(),
        lambda fake, real=None: -fake.sigmoid().log().mean(),
    )


def one_pass(game: AdversarialGame) -> None:
    """D judges real and generated pictures as one batch, BatchNorm or not."""
    game._joint = True


def undetached(game: AdversarialGame) -> None:
    """D's loss runs back into G, and what it leaves there is not cleared before G's step."""
    d_step, fakes_of, kept = game._d_step, game._fakes, {}

    def fakes(n: int, keep_graph: bool) -> list[Tensor]:
        kept["fakes"] = fakes_of(n, keep_graph=True)
        return kept["fakes"]

    def step(real: Tensor, made: list[Tensor]) -> dict[str, Tensor]:
        network = game.discriminator.network
        loss = game.objective.d_loss(network(real), network(kept["fakes"][0]))
        loss.backward(inputs=game.generator.weights)
        return d_step(real, [x.detach() for x in made])

    game._fakes, game._d_step = fakes, step  # type: ignore[method-assign, assignment]


def odd_kernels(game: AdversarialGame) -> None:
    """Transposed convolutions of kernel 3 and stride 2, whose stamps overlap unevenly."""
    network: Any = game.generator.network
    for i, layer in enumerate(network.layers):
        if isinstance(layer, nn.ConvTranspose2d) and layer.stride == (2, 2):
            new = nn.ConvTranspose2d(
                layer.in_channels, layer.out_channels, 3, 2, 1, output_padding=1, bias=False
            )
            nn.init.normal_(new.weight, 0.0, 0.02)
            network.layers[i] = new
    player = game.generator
    player.weights = list(network.parameters())
    player.optimizer = torch.optim.Adam(player.weights, BASE.g_lr, BASE.betas, fused=True)


@dataclass(frozen=True)
class Row:
    """One way to fail: what is seen, what causes it, what mends it."""

    symptom: str
    cause: str
    remedy: str
    sign: str  # the instrument to look at
    broken: dict[str, Any]
    mended: dict[str, Any] | None = None  # None: the sound run that all such rows share
    twist: Twist | None = None
    limit: int | None = None  # training pictures


_CRITIC = {
    "objective": "wasserstein",
    "discriminator": {"norm": "none"},
    "d_steps": 3,
    "d_lr": 1e-3,
    "betas": (0.0, 0.9),
    "steps": 300,
}

#: The chapter's table, in its order. `sign` names the instrument that tells this failure.
ROWS: dict[str, Row] = {
    "D wins at once": Row(
        "loss of D near 0; D(generated) near 0; loss of G high; pictures grey or noise",
        "D learns much faster than G",
        "a slower D, a faster G",
        "d_fake",
        {"d_lr": 2e-3, "g_lr": 2e-5},
    ),
    "G wins": Row(
        "loss of G near 0; D(generated) above D(data); pictures noise",
        "D learns too slowly to say anything",
        "a faster D",
        "d_gap",
        {"d_lr": 1e-6},
    ),
    "collapse": Row(
        "many latent vectors, one picture, and another one at the next look",
        "G outruns D",
        "fewer steps of G, a slower G",
        "variety",
        {"g_steps": 8, "g_lr": 2e-3},
    ),
    "oscillation": Row(
        "the same noise draws other pictures at every look, to the end",
        "rates that stay high to the end",
        "a running average; rates that decay",
        "moved",
        {"g_lr": 5e-3, "d_lr": 5e-3},
        {"g_lr": 5e-3, "d_lr": 5e-3, "schedule": "cosine", "half_life": 5000.0},
    ),
    "BatchNorm mixing": Row(
        "loss of D near 0 and loss of G near 0, at the same time",
        "real and generated pictures in one batch of a D with BatchNorm",
        "a pass for each",
        "both",
        {},
        twist=one_pass,
    ),
    "no detach": Row(
        "G has a gradient before its own backward; grey pictures, all the same",
        "D's loss runs back into G, and what it leaves there is not cleared",
        "detach in D's step; clear before each backward",
        "leak",
        {},
        twist=undetached,
    ),
    "saturating loss": Row(
        "loss of G flat at 0; gradient of G vanishes",
        "log(1 - D(G(z))) against a D that is sure",
        "the non-saturating loss",
        "g_grad",
        {"objective": "minimax", "d_lr": 1e-3, "d_steps": 3},
        {"d_lr": 1e-3, "d_steps": 3},
    ),
    "not finite": Row(
        "a loss is inf or NaN, and everything after it",
        "log of a sigmoid that has rounded to 0 or 1",
        "losses of logits",
        "finite",
        {"d_lr": 2e-3, "g_lr": 2e-4, "d_steps": 2, "discriminator": {"norm": "none"}},
        {"d_lr": 2e-3, "g_lr": 2e-4, "d_steps": 2, "discriminator": {"norm": "none"}},
        log_of_sigmoid,
    ),
    "runaway critic": Row(
        "losses and gradients of ever larger size",
        "Wasserstein loss without a Lipschitz constraint",
        "gradient penalty",
        "size",
        {**_CRITIC},
        {**_CRITIC, "penalties": {"gp": 10.0}},
    ),
    "checkerboard": Row(
        "a weave of period two pixels",
        "kernel size not a multiple of the stride",
        "resize, then convolution",
        "weave",
        {"steps": 200},
        {"steps": 200, "generator": {"upsample": "nearest"}},
        odd_kernels,
    ),
    "memorised data": Row(
        "D surer of its training pictures than of other real ones, more so with time",
        "few pictures, seen again and again",
        "DiffAugment",
        "held_out",
        {"steps": 1200},
        {"steps": 1200, "augment": "translation,cutout"},
        limit=200,
    ),
}
