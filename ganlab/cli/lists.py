"""`ganlab recipes | data | info`: what there is."""

from __future__ import annotations

import argparse
import json
import os

EXAMPLES = """\
examples:
  ganlab recipes                      all of them, a line each
  ganlab recipes dcgan-mnist          its fields, what they are and what they may be
  ganlab recipes dcgan-mnist --json   its fields as JSON
  ganlab recipes vae-mnist --schema   the JSON schema of its game's fields
"""


def recipes_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `ganlab recipes`."""
    parser.add_argument("name", nargs="?", help="of the recipe to show")
    parser.add_argument("--json", action="store_true", help="the fields as JSON")
    parser.add_argument("--schema", action="store_true", help="the JSON schema of the fields")


def recipes(args: argparse.Namespace) -> int:
    """`ganlab recipes`."""
    from ganlab.errors import GanlabError
    from ganlab.recipes import RECIPES, BaseRecipe, recipe

    if args.json and args.schema:
        raise GanlabError("--json and --schema are two answers: ask for one")
    if args.name:
        plan = recipe(args.name)
        if args.schema:
            print(json.dumps(plan.model_json_schema(), indent=2, ensure_ascii=False))
        else:
            print(plan.to_json() if args.json else described(plan))
        return 0
    if args.schema:
        made = {name: game.model_json_schema() for name, game in BaseRecipe.GAMES.items()}
        print(json.dumps(made, indent=2, ensure_ascii=False))
        return 0
    if args.json:
        print(json.dumps({name: plan.model_dump() for name, plan in RECIPES.items()}, indent=2))
        return 0
    width = max(map(len, RECIPES))
    for name, plan in RECIPES.items():
        print(f"{name:{width}}  {plan.about}; {plan.steps} steps of {plan.batch}")
    print("\nganlab recipes NAME shows every field; ganlab train NAME --set FIELD=VALUE changes it")
    return 0


def literal(value: object) -> str:
    """A value as `--set` takes it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def described(plan: object) -> str:
    """The fields of a recipe: value, and a line of help."""
    rows = []
    for key, (help_text, allowed) in type(plan).lines().items():  # type: ignore[attr-defined]
        value = getattr(plan, key)
        if isinstance(value, dict):
            told = ", ".join(f"{key}.{k}={v}" for k, v in value.items()) or "(nothing)"
        else:
            told = "(empty)" if value == "" else literal(value)
        rows.append((key, told, f"{help_text} ({allowed})"))
    width = max(len(key) for key, *_ in rows)
    lines = []
    for key, told, text in rows:
        lines.append(f"{key:{width}} = {told}")
        lines.append(f"    {text}")
    return "\n".join(lines)


def data(args: argparse.Namespace) -> int:
    """`ganlab data`."""
    from ganlab.data import available
    from ganlab.data.toy import NAMES

    rows = [
        [str(r[k]) for k in ("name", "size", "channels", "count", "here", "source")]
        for r in available()
    ]
    rows.insert(0, ["name", "px", "ch", "pictures", "here", "source, licence"])
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        cells = [cell.ljust(w) for cell, w in zip(row, widths)]
        print("  ".join(cells) + "  " + row[5])
    print(f"\npoints: {', '.join(NAMES)}")
    print("or any folder or zip of pictures: ganlab train dcgan-glyphs-color --data PATH")
    return 0


def info(args: argparse.Namespace) -> int:
    """`ganlab info`."""
    from ganlab import lab
    from ganlab.data import cache_root, data_root

    print(lab.describe())
    print(f"data:  {data_root()}  (GANLAB_DATA)")
    print(f"cache: {cache_root()}  (GANLAB_CACHE)")
    print(
        f"offline: {'yes' if os.environ.get('GANLAB_OFFLINE') == '1' else 'no'}  (GANLAB_OFFLINE)"
    )
    return 0
