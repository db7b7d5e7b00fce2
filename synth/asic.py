"""A mapped accelerator: its modules, memories, areas and timing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

from implicore.accelerator_config import AcceleratorConfig
from implicore.sim import simulators

from . import blocks, mapping, memories, timing
from .blocks import TOP
from .boundary import boundary
from .mapping import RECIPES, Mapped, Recipe, Source
from .memories import Memory
from .target import Target

PE = "implicore_processing_element"


FAN_OUT = 12
"""Fan-out above which an input of a module should have a buffer."""


@dataclass(frozen=True)
class Design:
    """A mapped accelerator.

    Attributes
    ----------
    config : AcceleratorConfig
    target : Target
    period_ns : float
        Period that the modules were mapped for.
    modules : dict
        ``Mapped`` by name, including the logic of memories.
    memories : dict
        ``Memory`` by the name of its module.
    """

    config: AcceleratorConfig
    target: Target
    period_ns: float
    modules: dict[str, Mapped]
    memories: dict[str, Memory]

    @cached_property
    def instances(self) -> list[tuple[str, str, int]]:
        """Every module, the block it belongs to, and its number of instances there."""
        children = {name: module.children for name, module in self.modules.items()}
        roles = {name: memory.role for name, memory in self.memories.items()}
        return list(blocks.instances(children, roles))

    @cached_property
    def block_areas(self) -> dict[str, float]:
        """Area of each block in um2, including macros."""
        areas: dict[str, float] = {}
        for name, block, times in self.instances:
            area = self.modules[name].area_um2
            if name in self.memories:
                area += self.memories[name].area_um2
            areas[block] = areas.get(block, 0.0) + times * area
        return areas

    @property
    def area_um2(self) -> float:
        """Total area, including macros."""
        return sum(self.block_areas.values())

    @property
    def logic_area_um2(self) -> float:
        """Area without memories."""
        return sum(
            area for block, area in self.block_areas.items() if not block.startswith("memory ")
        )

    @cached_property
    def paths(self) -> list[timing.TimingPath]:
        """The longest paths of the whole accelerator, longest first.

        The paths inside a processing element are analysed once for all instances.
        """
        library = self.target.liberty
        macros = sorted(
            {macro.liberty for memory in self.memories.values() for macro in memory.macros.values()}
        )
        netlists = {name: module.folder / "netlist.v" for name, module in self.modules.items()}
        pe = netlists[PE]
        inside = timing.longest_paths(PE, [pe], [library], inside=True)
        netlists[PE] = boundary(pe, PE, library)
        whole = timing.longest_paths(TOP, list(netlists.values()), [library, *macros])
        at = "core/array/row_*/pe_*/"
        inside = [replace(path, start=at + path.start, end=at + path.end) for path in inside]
        return sorted(inside + whole, key=lambda path: -path.delay_ns)

    @property
    def fmax_mhz(self) -> float:
        """Maximum clock frequency of the whole accelerator."""
        return 1000 / self.paths[0].delay_ns

    @property
    def pe_fmax_mhz(self) -> float:
        """Maximum clock frequency of one processing element alone."""
        return 1000 / self.modules[PE].period_ns


def sources(
    config: AcceleratorConfig, target: Target, period_ns: float
) -> tuple[dict[str, Source], dict[str, Memory]]:
    """Return the modules of an accelerator, and its memories made of macros, by name."""
    logic, _ = simulators.verilog(config)
    listed = json.loads((logic.parent / "implicore.json").read_text(encoding="utf-8"))["memories"]
    banks = {entry["module"]: memories.choose(entry, target, period_ns) for entry in listed}
    modules = mapping.split(logic.read_text(encoding="utf-8"))
    return modules | {name: Source(name, bank.verilog) for name, bank in banks.items()}, banks


def map_accelerator(
    config: AcceleratorConfig, target: Target, *, clock_mhz: float | None = None
) -> Design:
    """Map every module by the first suitable recipe, in order of increasing area.

    A recipe is suitable if the module meets the clock and has no input with a fan-out above
    ``FAN_OUT``. If no recipe is suitable, take the one that misses the clock least.

    Parameters
    ----------
    config : AcceleratorConfig
    target : Target
    clock_mhz : float, optional
        By default, the clock of the PE with the smallest product of area and period.
    """
    if clock_mhz is None:
        period = best_pe(config, target).period_ns
    else:
        period = 1000 / clock_mhz
    modules, banks = sources(config, target, period)
    found = mapping.map_all(
        mappers(modules, banks).values(), lambda mapper: _first_suitable(mapper, target, period)
    )
    return Design(config, target, period, {module.name: module for module in found}, banks)


def _first_suitable(
    mapper: Callable[[Recipe, Target], Mapped], target: Target, period: float
) -> Mapped:
    """Map a module by the first suitable recipe, else by the best; each recipe takes seconds."""
    found = []
    for recipe in RECIPES:
        found.append(mapper(recipe, target))
        missed_ns, too_much_fan_out, _ = _cost(found[-1], period)
        if not (missed_ns or too_much_fan_out):
            break
    return min(found, key=lambda module: _cost(module, period))


def _cost(module: Mapped, period: float) -> tuple[float, bool, float]:
    """Order results: first by time missed, then by excess fan-out, then by area."""
    return max(0.0, module.period_ns - period), module.fan_out > FAN_OUT, module.area_um2


def best_pe(config: AcceleratorConfig, target: Target) -> Mapped:
    """Map the processing element and return the result with the smallest area times period."""
    modules, banks = sources(config, target, period_ns=1.0)
    mapper = mappers(modules, banks)[PE]
    found = mapping.map_all(RECIPES, lambda recipe: mapper(recipe, target))
    return min(found, key=lambda pe: pe.area_um2 * pe.period_ns)


def flat_area(config: AcceleratorConfig, target: Target, recipe: Recipe) -> tuple[float, float]:
    """Return the area in um2 of all cells, mapped module by module and mapped as one module.

    Macros are not included. All modules use the same recipe, so only the hierarchy differs.
    """
    modules, banks = sources(config, target, period_ns=1.0)
    jobs = mappers(modules, banks).values()
    found = mapping.map_all(jobs, lambda mapper: mapper(recipe, target))
    mapped = {module.name: module for module in found}
    design = Design(config, target, 1.0, mapped, banks)
    separate = sum(times * mapped[name].area_um2 for name, _, times in design.instances)
    text = "\n".join(module.text for module in modules.values())
    stubs = "".join(
        {
            name: memories.stub(macro)
            for bank in banks.values()
            for name, macro in bank.macros.items()
        }.values()
    )
    return separate, mapping.map_module(text, TOP, stubs, {}, recipe, target).area_um2


def mappers(
    modules: dict[str, Source], banks: dict[str, Memory]
) -> dict[str, Callable[[Recipe, Target], Mapped]]:
    """Return a function that maps each module, by name, a memory with its macros."""
    found = {}
    for module, text, children, stubs in mapping.merged(modules):
        macros = []
        for macro in banks[module.name].macros.values() if module.name in banks else ():
            text += memories.stub(macro)
            macros.append(macro.liberty)
        found[module.name] = partial(
            mapping.map_module, text, module.name, stubs, children, macros=macros
        )
    return found
