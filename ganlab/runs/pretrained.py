"""A training that begins with the weights of another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ganlab import ranks
from ganlab.data.cache import say
from ganlab.errors import CheckpointError, GanlabError, unknown
from ganlab.files import as_path, digest, told
from ganlab.models.growing import Growing
from ganlab.runs import published
from ganlab.runs.run import Run
from ganlab.runs.stored import finite, read_table, weights
from ganlab.training import checkpoint

State = Mapping[str, Tensor]
#: Fields that decide which weights a network has, beside its own options.
SHAPING = ("network", "method", "size", "channels", "classes", "pack")


@dataclass
class Start:
    """Trained weights that a new training begins with.

    Attributes:
        place: where they were found, for people.
        file: that holds them.
        sha256: of that file.
        players: name -> weights.
        averages: name -> weights of the running average, where there is one.
        step: rounds that were played for them, if that is known.
        recipe: fields of the recipe that trained them, as far as known.
        skip: layers that do not fit begin anew.
    """

    place: str
    file: Path
    sha256: str
    players: dict[str, State]
    averages: dict[str, State] = field(default_factory=dict)
    step: int | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    skip: bool = False

    def give(self, game: Any, plan: Any, data: Any) -> dict[str, Any]:
        """Put the weights into a game that has not been played; returns what to note of it.

        Raises:
            CheckpointError: the game has no such player, or a layer does not fit.
        """
        theirs = {p.name: p for p in game.players if p.name in self.players}
        if not theirs:
            raise CheckpointError(
                f"{self.place} holds no {' and no '.join(p.name for p in game.players)}, but"
                f" {', '.join(self.players)}: there is nothing to begin with"
            )
        given: dict[str, tuple[State, State]] = {}
        anew: list[str] = []
        for name, player in theirs.items():
            state = self.players[name]
            wrong = _misfits(player.network, state)
            if len(wrong) == len(player.network.state_dict()) or (wrong and not self.skip):
                raise CheckpointError(self._unfit(name, player.network, wrong, plan))
            average = self.averages.get(name, state)
            given[name] = _without(state, wrong), _without(average, wrong)
            anew += [f"{name}.{key}" for key in wrong if key in player.network.state_dict()]
        for name, player in theirs.items():
            player.begin(*given[name])
        if plan.classes:  # how often each occurs is a matter of the data, not of the weights
            for side in ("network", "best"):
                plan.learn({p.name: getattr(p, side) for p in game.players}, data)
        game.images = _grown(game)
        missing = [p.name for p in game.players if p.name not in theirs]
        self._say(list(theirs), missing, anew)
        return {
            "from": self.place,
            "file": str(self.file.resolve()),
            "sha256": self.sha256,
            "step": self.step,
            "recipe": self.recipe.get("name"),
            "players": list(theirs),
            "anew": missing + anew,
        }

    def _say(self, names: list[str], missing: list[str], anew: list[str]) -> None:
        if ranks.rank():
            return
        at = "" if self.step is None else f" at step {self.step}"
        line = f"begins with the {' and the '.join(names)} of {self.place}{at}"
        rest = [f"the {name}, which it does not have" for name in missing]
        if anew:
            more = f" and {len(anew) - 3} more" if len(anew) > 3 else ""
            rest.append(f"layers that do not fit: {', '.join(anew[:3])}{more}")
        say(line + (f"; anew: {'; '.join(rest)}" if rest else ""))

    def _unfit(self, name: str, network: nn.Module, wrong: list[str], plan: Any) -> str:
        """One line: which layer does not fit, and what to do."""
        own, key = network.state_dict(), wrong[0]
        here, there = (
            "x".join(map(str, state[key].shape)) or "a number" if key in state else "missing"
            for state in (own, self.players[name])
        )
        more = f", with {len(wrong) - 1} more layers" if len(wrong) > 1 else ""
        now, known = flat(plan.model_dump(), name), flat(self.recipe, name)
        other = [
            f"{k}={known.get(k, 'default')} there, {now.get(k, 'default')} here"
            for k in dict.fromkeys([*known, *now])
            if known and known.get(k) != now.get(k)
        ]
        why = f" ({'; '.join(other[:4])})" if other else ""
        skip = ", or begin such layers anew with --from-skip"
        return (
            f"{self.place} does not fit: {name}.{key} is {there} there and {here} here{more}{why}:"
            f" use the fields of that recipe{'' if self.skip else skip}"
        )


def flat(fields: Mapping[str, Any], player: str) -> dict[str, Any]:
    """What decides the shapes of a player's network among a recipe's fields, options by their
    full name."""
    found: dict[str, Any] = {}
    for key in (*SHAPING, player, "options"):
        value = fields.get(key)
        if isinstance(value, dict):
            found |= {f"{key}.{k}": v for k, v in value.items()}
        elif value:
            found[key] = value
    return found


def found(source: Any, skip: bool = False, resume: bool = False) -> Start | None:
    """Read the weights that a training is to begin with.

    Args:
        source: a `Run`, a run's folder, a safetensors file, or the name of a published generator;
            None for none.
        skip: see `Start`.
        resume: whether the training is one that goes on.

    Raises:
        CheckpointError: it is damaged, or holds no weights.
        NonFiniteLoss: a weight is infinite or not a number.
        GanlabError: there is nothing of that name, or a run is resumed.
    """
    if source is None:
        if skip:
            raise GanlabError("--from-skip: there is no --from whose layers could be skipped")
        return None
    if resume:
        raise GanlabError("--from begins a new run and --resume goes on with one: leave one out")
    folder = source.folder if isinstance(source, Run) else as_path(source)
    if (folder / "recipe.json").is_file() or (folder / "checkpoints").is_dir():
        start = _of_run(folder)
    elif folder.is_file():
        start = _of_file(folder)
    else:
        start = _of_result(folder, str(source))
    for name, state in [*start.players.items(), *start.averages.items()]:
        finite(state, f"{start.place}, {name}")
    start.skip = skip
    return start


def _of_run(folder: Path) -> Start:
    path = checkpoint.latest(folder / "checkpoints")
    if path is None:
        raise CheckpointError(
            f"{folder} holds no checkpoint: name its generator.safetensors, or another run"
        )
    sum_, state = _digest(path), checkpoint.read(path)
    game = state.get("game")
    parts = {
        name: part
        for name, part in (game.items() if isinstance(game, dict) else ())
        if isinstance(part, dict) and isinstance(part.get("network"), dict)
    }
    if not parts:
        raise CheckpointError(f"{path} is no checkpoint of a training: name another run")
    return Start(
        str(folder),
        path,
        sum_,
        {name: part["network"] for name, part in parts.items()},
        {name: part["average"]["network"] for name, part in parts.items() if "average" in part},
        state.get("step"),
        _recipe_in(folder),
    )


def _of_file(path: Path) -> Start:
    """Of the player whose name the file has among what a run keeps; anywhere else a generator."""
    recipe = _recipe_in(path.parent)
    name = path.stem if recipe else "generator"
    return Start(str(path), path, _digest(path), {name: weights(path)}, recipe=recipe)


def _of_result(folder: Path, name: str) -> Start:
    if not (folder / published.WEIGHTS).is_file():
        if name not in published.names():
            kind = "run, file or published generator"
            raise GanlabError("--from: " + unknown(kind, name, published.names()))
        folder = published.folder(name)
    path, told_in = folder / published.WEIGHTS, folder / published.RESULTS
    facts = read_table(told_in, "fetch it again") if told_in.is_file() else {}
    published.prove(folder, facts)
    given: dict[str, State] = {"generator": weights(path)}
    return Start(name, path, _digest(path), given, recipe=facts.get("recipe", {}))


def _recipe_in(folder: Path) -> dict[str, Any]:
    path = folder / "recipe.json"
    return read_table(path, "restore it, or name another run") if path.is_file() else {}


def _digest(path: Path) -> str:
    with told(path, "be read"):
        return digest(path)


def _misfits(network: nn.Module, state: State) -> list[str]:
    """Weights that only one side has, or that differ in shape."""
    own = network.state_dict()
    return [
        key
        for key in dict.fromkeys([*own, *state])
        if key not in own or key not in state or own[key].shape != state[key].shape
    ]


def _without(state: State, keys: list[str]) -> State:
    return {key: value for key, value in state.items() if key not in keys}


def _grown(game: Any) -> int:
    """Pictures after which growing networks are in the phase that theirs were; else 0."""
    for player in game.players:
        network = player.network
        if isinstance(network, Growing) and network.growing:
            level, alpha = network.phase.tolist()
            steps = level - (network.first.bit_length() - 3)
            if steps > 0:
                before = (steps - 1) * (network.fade + network.hold)
                return round(network.hold + before + alpha * network.fade)
    return 0
