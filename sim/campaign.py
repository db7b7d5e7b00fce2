"""Run random cases, and shrink those that fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from implicore.process import ToolFailed

from . import cosim, fast
from .cases import Case, Size, random_case

ICARUS_MAX_PES = 16
"""Largest number of PEs for which Icarus is fast enough."""


def simulator_of(case: Case) -> str:
    """Return ``icarus`` (with cocotbext-axi on the ports) for a small array, else ``fast``."""
    small = case.config.rows * case.config.columns <= ICARUS_MAX_PES
    return "icarus" if small else "fast"


def run(case: Case, simulator: str | None = None, sources=None) -> list[str]:
    """Run a case and return a sentence for each failure.

    Parameters
    ----------
    case : Case
    simulator : str, optional
        ``icarus``, ``verilator`` or ``fast``; ``simulator_of`` unless given.
    sources : sequence of Path, optional
        Verilog files to use instead of the generated ones.
    """
    simulator = simulator or simulator_of(case)
    if simulator == "fast":
        simulation = fast.build(case.config, sources=sources, optimize=False)
    else:
        simulation = cosim.build(case.config, simulator, sources=sources)
    script = case.script
    try:
        responses = simulation.run(script.operations, stall=case.stall, seed=case.seed)
    except ToolFailed as error:
        return str(error).splitlines()
    return script.mismatches(responses)


@dataclass(frozen=True)
class Recipe:
    """The parameters that reproduce a case."""

    seed: int
    size: Size
    keep: tuple[int, ...]

    def case(self) -> Case:
        """Return the case."""
        return random_case(self.seed, self.size, list(self.keep))

    def command(self) -> str:
        """Return the command that runs the case."""
        default = Size()
        limits = ",".join(
            f"{field.name}={getattr(self.size, field.name)}"
            for field in fields(Size)
            if getattr(self.size, field.name) != getattr(default, field.name)
        )
        text = f"python bench/campaign.py --count 1 --seed {self.seed}"
        text += f" --size {limits}" if limits else ""
        if len(self.keep) < self.size.steps:
            text += f" --keep {','.join(map(str, self.keep))}"
        return text


def shrink(recipe: Recipe, fails: Callable[[Case], bool], attempts: int = 40) -> Recipe:
    """Return a smaller recipe that still fails, after at most ``attempts`` runs.

    Omit the steps one by one, then halve the limits; keep every smaller recipe that fails.
    """

    def smaller(recipe: Recipe):
        for number in recipe.keep:
            rest = tuple(other for other in recipe.keep if other != number)
            if rest:
                yield replace(recipe, keep=rest)
        for field in fields(Size):
            value = getattr(recipe.size, field.name)
            if field.name != "steps" and value > 1:
                yield replace(recipe, size=replace(recipe.size, **{field.name: value // 2}))

    progress = True
    while progress:
        progress = False
        for candidate in smaller(recipe):
            if not attempts:
                return recipe
            attempts -= 1
            if fails(candidate.case()):
                recipe, progress = candidate, True
                break
    return recipe
