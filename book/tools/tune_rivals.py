"""Choose the settings of the six models that chapter 1 compares.

``python book/tools/tune_rivals.py`` takes the models from the notebook itself (its cells tagged
`setup` and `rivals`), trains each with six settings on two seeds that the chapter does not show,
and writes ``book/results/ch01-rivals/search.json``. It takes some ten minutes on one core; with
names of models as arguments it tries only those again and keeps the others' records.
The best setting has the largest mean share of good samples among those that found all modes with
both seeds; the notebook's functions have it as their defaults, which a test makes sure of.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import io
import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import hygiene
import nbformat
import torch

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "book" / "01_generative_models.ipynb"
TARGET = ROOT / "book" / "results" / "ch01-rivals" / "search.json"
SEEDS = (100, 101)


def product(**options: list[Any]) -> list[dict[str, Any]]:
    """Every combination of the options."""
    keys = list(options)
    return [dict(zip(keys, values)) for values in itertools.product(*options.values())]


SETTINGS: dict[str, list[dict[str, Any]]] = {
    "mixture": [{}],  # told the number of modes; nothing to choose
    "autoregressive": product(bins=[64, 128], lr=[2e-3, 5e-3, 1e-2]),
    "flow": product(layers=[4, 6], lr=[2e-3, 5e-3, 1e-2]),  # a coupling each, and a network in it
    "vae": product(latent=[2, 4], lr=[5e-3, 1e-2, 2e-2]),
    "diffusion": product(T=[50, 100], lr=[5e-3, 1e-2, 2e-2]),
    "gan": product(beta=[0.0, 0.5], lr=[1e-3, 2e-3, 4e-3]),
}


def names_of(notebook: Path = NOTEBOOK) -> dict[str, Any]:
    """Run the notebook's cells tagged `setup` or `rivals` and return what they define."""
    names: dict[str, Any] = {"__name__": "rivals"}
    for i, cell in hygiene.code_cells(nbformat.read(notebook, as_version=4)):
        if {"setup", "rivals"} & set(hygiene.tags(cell)):
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(cell.source, f"{notebook.stem}[{i}]", "exec"), names)
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", choices=[*SETTINGS, []], help="default: all")
    wanted = parser.parse_args().models or list(SETTINGS)
    os.environ["GANLAB_PROFILE"] = "standard"
    torch.set_num_threads(1)
    names = names_of()
    record: dict[str, Any] = {
        "what": "settings tried for the models of chapter 1 on the ring, by the share of good"
        " samples among 2,500 and the modes found, one value a seed",
        "steps": names["TRAIN"],
        "seeds": list(SEEDS),
        "device": "cpu, 1 thread",
        "torch": torch.__version__.split("+")[0],  # of the newest entry; each has its own
        "models": {},
    }
    if wanted != list(SETTINGS):
        record["models"] = json.loads(TARGET.read_text(encoding="utf-8"))["models"]
    for model in wanted:
        begin, settings = time.perf_counter(), SETTINGS[model]
        make = names["RIVALS"][model]
        defaults = {k: p.default for k, p in inspect.signature(make).parameters.items()}
        tried = []
        for setting in settings:
            covers = []
            for seed in SEEDS:
                torch.manual_seed(seed)
                covers.append(names["judge"](make(**setting))[0])
            good = [round(cover.good, 4) for cover in covers]
            found = [cover.found for cover in covers]
            tried.append({"setting": setting, "good": good, "found": found})
            print(model, setting, good, found, flush=True)
        whole = [t for t in tried if min(t["found"]) == len(names["ring"].centers)] or tried
        best = max(whole, key=lambda t: sum(t["good"]))["setting"]
        chosen = {key: defaults[key] for key in best}
        minutes = round((time.perf_counter() - begin) / 60, 1)
        version = torch.__version__.split("+")[0]
        entry = {"tried": tried, "best": best, "minutes": minutes, "torch": version}
        record["models"][model] = entry
        if best != chosen:
            print(f"  best {best}, but the notebook has {chosen}")
    known = record["models"]
    record["models"] = {model: known[model] for model in SETTINGS if model in known}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print("wrote", TARGET.relative_to(ROOT))


if __name__ == "__main__":
    main()
