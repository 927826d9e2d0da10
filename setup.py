"""Puts the published generators of `book/results` into the wheel; the rest is in pyproject.toml.

They lie in the repository once. A wheel gets a copy as `ganlab/published/NAME`, and an editable
install gets none: it finds them in the checkout.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

RESULTS = Path(__file__).parent / "book" / "results"


class WithGenerators(build_py):
    """Copies the generators beside the modules."""

    def run(self) -> None:  # noqa: D102
        super().run()
        if self.editable_mode:
            return
        found = sorted(RESULTS.glob("*/generator.safetensors"))
        if not found:
            raise SystemExit(f"no generator in {RESULTS}: build from a whole checkout")
        for weights in found:
            place = Path(self.build_lib) / "ganlab" / "published" / weights.parent.name
            place.mkdir(parents=True, exist_ok=True)
            for file in (weights, weights.with_name("results.json")):
                self.copy_file(str(file), str(place / file.name))


setup(cmdclass={"build_py": WithGenerators})
