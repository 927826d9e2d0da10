"""What is noted about a run when its training begins or goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganlab.data.cache import say
from ganlab.files import write_json, write_text
from ganlab.runs.run import saved_about
from ganlab.training import Callback, Referee


class Opening(Callback):
    """Writes what a run is, once its checkpoint has been accepted and not before.

    Args:
        folder: of the run.
        plan: its recipe.
        about: its provenance as of this session. What earlier ones noted of the weights that the
            run began with (`start`), and of changed fields (`changes`), stays.
    """

    def __init__(self, folder: Path, plan: Any, about: dict[str, Any]) -> None:
        self.folder, self.plan, self.about = folder, plan, about

    def on_start(self, trainer: Referee) -> None:
        """Write recipe and provenance; of a resumed run say what is another now."""
        before = saved_about(self.folder) if trainer.last_checkpoint else {}
        other = [
            f"{key} {before[key]}, now {self.about[key]}"
            for key in ("threads", "device", "torch", "ganlab")
            if before.get(key) not in (None, self.about[key])
        ]
        if other:
            say(f"resumed with {'; '.join(other)}: the rest will differ in its last bits")
        about = {key: before[key] for key in ("start", "changes") if key in before} | self.about
        # that a run's length has begun to matter, or ceased to, is no change of its length
        changes = {k: v for k, v in trainer.changed.items() if k != "steps" or None not in v}
        if changes:
            about["changes"] = [
                *about.get("changes", []),
                *(
                    {"step": trainer.step, "field": key, "before": old, "after": new}
                    for key, (old, new) in changes.items()
                ),
            ]
            told = ", ".join(f"{key} {new} (was {old})" for key, (old, new) in changes.items())
            say(f"from step {trainer.step} on: {told}")
        if trainer.step <= self.plan.steps:  # fewer steps than were played change nothing
            write_text(self.folder / "recipe.json", self.plan.to_json() + "\n")
        write_json(self.folder / "about.json", about)
