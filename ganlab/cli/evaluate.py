"""`ganlab evaluate`: a run, or any two sets of pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganlab.cli.places import ready
from ganlab.cli.report import table
from ganlab.errors import DataError, GanlabError, at_least
from ganlab.files import as_path, write_json

if TYPE_CHECKING:
    from torch import Tensor

EXAMPLES = """\
examples:
  ganlab evaluate runs/dcgan-mnist                        a run, against the data it learned from
  ganlab evaluate runs/dcgan-mnist --against mnist --metrics fid,pr,is
  ganlab evaluate drawn.zip --against ~/photographs       pictures from anywhere
  ganlab evaluate drawn/ --against cifar10 --features inception --resizer tf -n 50000
  ganlab evaluate drawn/ --against real/ --features torchvision:resnet18 --weights random

metrics:  fid  Fréchet distance           pr   precision and recall
          kid  kernel distance            dc   density and coverage
          is   Inception Score            swd  sliced Wasserstein distance of the pixels

features: classifier  a small network that learns the reference on the spot, no download; its
                      numbers compare with those of the same fingerprint only
          inception   the network of FID, for numbers that compare with published ones; its
                      weights come from --weights, GANLAB_INCEPTION, torch.hub's cache, or with
                      --download-weights (96 MB, SHA-256 checked)
          torchvision:NAME  any network of torchvision; --weights FILE, download or random

Beside each score stands that of real pictures against other real ones: the best to expect, and
for a Fréchet distance never 0. It shrinks with n, so compare scores of the same n only.
Points are scored by modes found and share of good samples.
"""
FOR_PICTURES = ("against", "metrics", "features", "resizer", "weights", "download_weights")
SMALLEST = 16  # pixels that the classifier can work with


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `ganlab evaluate`."""
    parser.add_argument(
        "run", metavar="RUN|PICTURES", help="what to score: a run, a folder, a zip, .npy or .npz"
    )
    parser.add_argument(
        "--against", metavar="DATA", help="real pictures: a name, folder, zip or array file"
    )
    parser.add_argument("--metrics", help="of fid,kid,pr,dc,is,swd (default: fid,kid,pr,dc)")
    parser.add_argument("--features", help="classifier (default), inception or torchvision:NAME")
    parser.add_argument("--resizer", help="tf or clean (default), before inception or torchvision")
    parser.add_argument("--weights", metavar="FILE", help="of the features' network")
    parser.add_argument(
        "--download-weights", action="store_true", help="fetch those of inception if need be"
    )
    parser.add_argument("-n", type=int, help="samples (default: 5000, or what there is)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    parser.add_argument("--device", help="of the features (default: the classifier's is the CPU)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the report, as JSON")


def evaluate(args: argparse.Namespace) -> int:
    """`ganlab evaluate`."""
    from ganlab.runs.run import Run

    target = as_path(args.run)
    if not (target / "recipe.json").is_file():
        report = _files(target, args)
        where = Path("evaluation.json")
    else:
        run = Run(target)
        if run.recipe.points:
            return _points(run, args)
        report = _run(run, args)
        own = args.against is None and report["kind"] == "frechet"
        usual = own and report["features"].startswith("classifier:")
        where = run.folder / ("scores.json" if usual else "evaluation.json")
    print(table(report))
    _write(report, args.out or where)
    return 0


def _write(report: dict[str, Any], path: Path) -> None:
    print(f"written to {write_json(path, report)}")


def _points(run: Any, args: argparse.Namespace) -> int:
    """Modes found, and share of good samples."""
    from ganlab.metrics.scoring import score, verdict
    from ganlab.recipes.building import source
    from ganlab.runs.origin import same_data

    for option in FOR_PICTURES:
        if getattr(args, option) not in (None, False):
            name = option.replace("_", "-")
            raise GanlabError(f"--{name} is for pictures: points are scored by their modes")
    n = min(at_least("-n", 2500 if args.n is None else args.n, most=sys.maxsize), 2500)
    _seed(args)
    same_data(run)
    run.generator()  # none yet: say so first
    where = ready(args.out or run.folder / "scores.json", (".json",))
    scores = score(run.sample, source(run.recipe), True, n, args.seed)
    scores |= {"recipe": run.recipe.name, "step": run.step}
    print(verdict(scores))
    _write(scores, where)
    return 0


def _run(run: Any, args: argparse.Namespace) -> dict[str, Any]:
    """The report on a run, against its own data or others."""
    from ganlab.data import load
    from ganlab.data.native import native, resized
    from ganlab.data.stacked import stacked
    from ganlab.metrics import evaluation
    from ganlab.metrics.scoring import count_modes
    from ganlab.recipes.building import source
    from ganlab.runs.origin import same_data

    if args.against is None:
        same_data(run)
    run.generator()  # none yet: say so before anything takes time
    ready_made = _check(args, run.folder / "evaluation.json")
    shape = run.shape
    notes: list[str] = []
    if args.against is None:
        real = source(run.recipe)
        same_data(run, real)
    else:
        notes = resized(args.against, native(args.against), shape)
        real = load(args.against, size=shape[1], channels=shape[0])
    fake = evaluation.Pictures(str(run.folder), lambda n, seed: generated(run, n, seed))
    judge, pool, learned = _judge(args, real, ready_made)
    report = evaluation.evaluate(pool, fake, judge, _metrics(args), args.n, args.seed)
    report["notes"] += learned + notes
    if stacked(real) and report["features"].startswith("classifier:"):
        report |= count_modes(run.sample, real, judge, args.seed)
        report["notes"].append(
            f"{report['found']} of {report['modes']} modes in {report['modes_n']:,} samples (real:"
            f" {report['real_found']}), reverse KL {report['reverse_kl']:.3f} (real:"
            f" {report['real_reverse_kl']:.3f})"
        )
    return report | {"recipe": run.recipe.name, "step": run.step}


def _files(target: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The report on a folder or zip of pictures."""
    from ganlab.data import load
    from ganlab.data.native import native, resized
    from ganlab.metrics import evaluation

    if not target.exists():
        raise DataError(f"there is no run, folder or zip {target}")
    if args.against is None:
        raise GanlabError(
            f"{target} is not a run: name the real pictures with --against (a folder, a zip or a"
            " data set)"
        )
    if as_path(args.against).resolve() == target.resolve():
        raise GanlabError(f"{target} against itself says nothing: name other pictures")
    ready_made = _check(args, Path("evaluation.json"))
    mine, theirs = native(str(target)), native(args.against)
    side = min(mine.short, theirs.short)
    shape = (max(mine.channels, theirs.channels), side, side)
    notes = resized(str(target), mine, shape) + resized(args.against, theirs, shape)
    drawn, real = (load(p, size=side, channels=shape[0]) for p in (str(target), args.against))
    evaluation.enough(drawn.name, len(drawn))
    fake = evaluation.Pictures(str(target), lambda n, seed: picked(drawn, n, seed), len(drawn))
    judge, pool, learned = _judge(args, real, ready_made)
    report = evaluation.evaluate(pool, fake, judge, _metrics(args), args.n, args.seed)
    report["notes"] += learned + notes + ([drawn.note] if drawn.note else [])
    return report


def _metrics(args: argparse.Namespace) -> tuple[str, ...]:
    from ganlab.metrics.evaluation import DEFAULT, chosen

    return DEFAULT if args.metrics is None else chosen(args.metrics)


def _seed(args: argparse.Namespace) -> None:
    from ganlab.models.latent import SEEDS

    at_least("--seed", args.seed, 0, SEEDS)


def _check(args: argparse.Namespace, usual: Path) -> Any:
    """Refuse what cannot be done, before pictures are read.

    Args:
        args: as given.
        usual: where the report goes without `--out`.

    Returns:
        The extractor; None for the classifier, which learns from the pictures.

    Raises:
        GanlabError: saying what can.
    """
    from ganlab.metrics import weights
    from ganlab.metrics.evaluation import LEAST
    from ganlab.metrics.extractors import check_name, extractor
    from ganlab.metrics.resize import resizer
    from ganlab.runs import pick_device

    metrics, name = _metrics(args), check_name(args.features or "classifier")
    at_least("-n", LEAST if args.n is None else args.n, LEAST, sys.maxsize)
    _seed(args)
    if name == "classifier":
        for option in ("resizer", "weights"):
            if getattr(args, option) is not None:
                raise GanlabError(f"--{option} goes with --features inception or torchvision:NAME")
    if args.download_weights and name != "inception":
        raise GanlabError("--download-weights goes with --features inception")
    if args.resizer is not None:
        resizer(args.resizer)
    if "is" in metrics and name.startswith("torchvision:"):
        raise GanlabError(f"the Inception Score needs classes, and {name} has none")
    device = pick_device(args.device or ("cpu" if name == "classifier" else None))
    ready(args.out or usual, (".json",))
    if name == "classifier":
        return None
    if args.download_weights:
        weights.download()
    return extractor(name, None, args.weights, args.resizer, device)


def _judge(args: argparse.Namespace, real: Any, ready_made: Any) -> tuple[Any, Any, list[str]]:
    """The extractor, the real pictures that scores may take, and what is to be said about it."""
    from ganlab.data.stacked import stacked
    from ganlab.metrics.evaluation import LEAST, enough
    from ganlab.metrics.scoring import learned
    from ganlab.runs import pick_device

    if ready_made is not None:
        enough(real.name, len(real), 2 * LEAST)
        return ready_made, real, []
    if real.shape[1] < SMALLEST:
        raise DataError(
            f"{real.name}: {real.shape[1]} px are too few for the classifier ({SMALLEST}): use"
            " --features inception"
        )
    enough(real.name, len(real), 4 * LEAST)
    if "is" in _metrics(args) and (real.labels is None or len(real.classes) < 2 or stacked(real)):
        raise GanlabError(f"the Inception Score needs classes: {real.name} has none")
    # On the CPU, unless told otherwise: the same weights, hence fingerprint, every time.
    judge, rest = learned(real, device=pick_device(args.device or "cpu"))
    if len(rest) == len(real):
        return judge, rest, []
    seen, left = f"{len(real) - len(rest):,}", f"{len(rest):,}"
    note = f"the classifier has learned from {seen} of the real pictures, scores take the other"
    return judge, rest, [f"{note} {left}"]


def generated(run: Any, n: int, seed: int) -> Iterator[Tensor]:
    """The pictures of `run.sample(n, seed)`, batch by batch, as bytes.

    Raises:
        DataError: one is not finite.
    """
    from ganlab.metrics.arrays import as_bytes
    from ganlab.models.latent import drawn

    name = f"a picture of {run.folder}"
    return (as_bytes(part, name) for part in drawn(run.generator(), n, seed))


def picked(data: Any, n: int, seed: int) -> Iterator[Tensor]:
    """`n` pictures of a set in random order, batch by batch.

    The order is another than that of the reference: sets of which number i is made from number
    i would else be drawn in pairs.
    """
    import torch

    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed + 10**6))
    return (data.images[part] for part in order[:n].split(256))
