"""Experiments with the growing and the style-based families (chapters 10 and 11).

Those with short names are sized for two CPU cores. The published networks and settings, for a
GPU, are the ones whose description says so.
"""

from __future__ import annotations

from typing import Any

from ganlab.recipes.adversarial import Recipe

#: Widths for two cores: 128 channels up to 8 px, then half as many at each doubling.
_SMALL: dict[str, Any] = {"channel_base": 1024, "channel_max": 128}
_STYLE: dict[str, Any] = _SMALL | {"latent": 128, "style": 128, "layers": 4}
#: Growth for runs of some 100,000 images; the published phases are of 600,000 each.
_PHASES: dict[str, Any] = {"first": 8, "hold": 10_000, "fade": 10_000}
_BASE = Recipe(
    data="glyphs-color",
    size=32,
    channels=3,
    # Small batches and a high rate: at this length the number of steps decides.
    batch=16,
    betas=(0.0, 0.99),
    g_lr=4e-3,
    d_lr=4e-3,
    half_life=5000,
    steps=8000,
    sample_every=1000,
)
#: Glyphs that two cores learn in an hour: ten digits, all typefaces, on smooth paper.
_DIGITS = {"characters": "0123456789", "textures": ["flat", "gradient"]}
#: The gradient penalty of each paper, and what else it adds.
_FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "progan": (
        "progressive growing (Karras 2018)",
        dict(
            network="progan",
            objective="wasserstein",
            penalties={"gp": 10.0},
            g_lr=2e-3,
            d_lr=2e-3,
            generator=_SMALL | _PHASES | {"latent": 128},
            discriminator=_SMALL | _PHASES,
        ),
    ),
    "stylegan": (
        "styles and progressive growing (Karras 2019)",
        dict(
            network="stylegan",
            penalties={"r1": 0.1},
            generator=_STYLE | _PHASES | {"growing": True},
            discriminator=_SMALL | _PHASES | {"growing": True},
        ),
    ),
    "stylegan2": (
        "weight modulation, lazy R1 and path length (Karras 2020)",
        dict(
            network="stylegan2",
            penalties={"r1": {"weight": 0.1, "every": 16}, "path-length": {"every": 8}},
            generator=_STYLE,
            discriminator=_SMALL,
        ),
    ),
}
#: Data of each recipe's name; `channel_base` is the same, so 64 px add a narrower stage.
_DATA: dict[str, dict[str, Any]] = {
    "glyphs": {"data_options": _DIGITS},
    "glyphs-64": {"data_options": _DIGITS, "size": 64, "steps": 10_000},
    "mnist": {"data": "mnist", "channels": 1},
    "cifar10": {"data": "cifar10", "flip": True, "steps": 10_000},
    "emoji": {"data": "emoji", "size": 64, "flip": True, "steps": 10_000},
}
_FULL: dict[str, Any] = dict(
    channels=3,
    flip=True,
    batch=32,
    g_lr=2e-3,
    d_lr=2e-3,
    half_life=10_000,
    steps=780_000,
    compile=False,
)


def _published() -> list[Recipe]:
    """StyleGAN2's configuration F, and the CIFAR-10 networks of the ADA paper."""
    full = _BASE.with_(
        network="stylegan2",
        penalties={"r1": {"weight": 10.0, "every": 16}, "path-length": {"every": 4}},
        **_FULL,
    )
    wide = {"channel_base": 32768, "channel_max": 512}
    made = [
        full.with_(
            name=f"stylegan2-{data}-{size}",
            data=data,
            size=size,
            generator=wide,
            discriminator=wide,
            about=about,
        )
        for data, size, about in (
            ("celeba", 64, "faces, with the published widths; for a GPU"),
            ("folder", 256, "your pictures: --data FOLDER, with the published widths; for a GPU"),
            ("folder", 1024, "your pictures: --data FOLDER, with the published widths; for a GPU"),
        )
    ]
    made.append(
        full.with_(
            name="stylegan2-cifar10-full",
            about="the CIFAR-10 networks of the ADA paper; for a GPU",
            data="cifar10",
            size=32,
            batch=64,
            steps=1_562_500,
            g_lr=2.5e-3,
            d_lr=2.5e-3,
            half_life=500_000,
            ramp=0.05,
            penalties={"r1": {"weight": 0.01, "every": 16}, "path-length": None},
            generator={"channel_base": 16384, "layers": 2, "mixing": 0.0},
            discriminator={"channel_base": 16384, "residual": False, "group": 32},
            augment="ada",
        )
    )
    return made


def recipes() -> list[Recipe]:
    """All of them."""
    made = []
    for family, (about, rules) in _FAMILIES.items():
        for label, changes in _DATA.items():
            plan = _BASE.with_(name=f"{family}-{label}", about=about, **rules)
            made.append(plan.with_(**changes))
    digits = next(r for r in made if r.name == "stylegan2-mnist")
    made.append(
        digits.with_(
            name="stylegan2-mnist-classes",
            about="digits of the class that is asked for (conditional StyleGAN2)",
            classes=10,
        )
    )
    few = next(r for r in made if r.name == "stylegan2-emoji")
    made.append(
        few.with_(
            name="stylegan2-emoji-ada",
            about="3,583 pictures, with adaptive augmentation (Karras 2020)",
            augment="ada",
            ada_length=50_000.0,
        )
    )
    return made + _published()
