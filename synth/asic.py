"""An accelerator in cells and macros: what it is made of, and how fast it is."""

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

ELEMENT = "implicore_processing_element"


FAN_OUT = 12
"""Pins behind a module's input from which it should have a buffer."""


@dataclass(frozen=True)
class Design:
    """A mapped accelerator.

    Attributes
    ----------
    config : AcceleratorConfig
    target : Target
    period_ns : float
        Of the clock that the modules were mapped for.
    modules : dict
        ``Mapped`` by name, the memories' logic included.
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
        """Every module, the block it belongs to, and how often it stands there."""
        children = {name: module.children for name, module in self.modules.items()}
        roles = {name: memory.role for name, memory in self.memories.items()}
        return list(blocks.instances(children, roles))

    @cached_property
    def block_areas(self) -> dict[str, float]:
        """Area of each block in um2, macros included."""
        areas: dict[str, float] = {}
        for name, block, times in self.instances:
            area = self.modules[name].area_um2
            if name in self.memories:
                area += self.memories[name].area_um2
            areas[block] = areas.get(block, 0.0) + times * area
        return areas

    @property
    def area_um2(self) -> float:
        """Of everything."""
        return sum(self.block_areas.values())

    @property
    def logic_area_um2(self) -> float:
        """Of everything but the memories."""
        return sum(
            area for block, area in self.block_areas.items() if not block.startswith("memory ")
        )

    @cached_property
    def paths(self) -> list[timing.TimingPath]:
        """The longest paths of the whole accelerator, longest first.

        Of the processing elements, what lies between their registers is looked at once.
        """
        library = self.target.liberty
        macros = sorted({memory.macro.liberty for memory in self.memories.values()})
        netlists = {name: module.folder / "netlist.v" for name, module in self.modules.items()}
        element = netlists[ELEMENT]
        inside = timing.longest_paths(ELEMENT, [element], [library], inside=True)
        netlists[ELEMENT] = boundary(element, ELEMENT, library)
        whole = timing.longest_paths(TOP, list(netlists.values()), [library, *macros])
        at = "core/array/row_*/pe_*/"
        inside = [replace(path, start=at + path.start, end=at + path.end) for path in inside]
        return sorted(inside + whole, key=lambda path: -path.delay_ns)

    @property
    def fmax_mhz(self) -> float:
        """Of the whole accelerator."""
        return 1000 / self.paths[0].delay_ns

    @property
    def element_fmax_mhz(self) -> float:
        """Of one processing element alone."""
        return 1000 / self.modules[ELEMENT].period_ns


def sources(
    config: AcceleratorConfig, target: Target, period_ns: float
) -> tuple[dict[str, Source], dict[str, Memory]]:
    """The modules of an accelerator and, made of macros, its memories, by name."""
    logic, _ = simulators.verilog(config)
    listed = json.loads((logic.parent / "implicore.json").read_text(encoding="utf-8"))["memories"]
    banks = {entry["module"]: memories.choose(entry, target, period_ns) for entry in listed}
    modules = mapping.split(logic.read_text(encoding="utf-8"))
    return modules | {name: Source(name, bank.verilog) for name, bank in banks.items()}, banks


def map_accelerator(
    config: AcceleratorConfig, target: Target, *, clock_mhz: float | None = None
) -> Design:
    """Map every module with the first recipe, the smallest coming first, that meets the clock.

    One that loads its neighbours does not do either. Where none does, it is the one least late.

    Parameters
    ----------
    config : AcceleratorConfig
    target : Target
    clock_mhz : float, optional
        Without it, that of the processing element with the least product of area and period.
    """
    if clock_mhz is None:
        period = best_element(config, target).period_ns
    else:
        period = 1000 / clock_mhz
    modules, banks = sources(config, target, period)
    found = mapping.map_all(
        mappers(modules, banks).values(), lambda mapper: _first_good(mapper, target, period)
    )
    return Design(config, target, period, {module.name: module for module in found}, banks)


def _first_good(
    mapper: Callable[[Recipe, Target], Mapped], target: Target, period: float
) -> Mapped:
    """A module by the first recipe that does, else the one least late: each takes seconds."""
    found = []
    for recipe in RECIPES:
        found.append(mapper(recipe, target))
        *shortcomings, _ = _cost(found[-1], period)
        if not any(shortcomings):
            break
    return min(found, key=lambda module: _cost(module, period))


def _cost(module: Mapped, period: float) -> tuple[float, bool, float]:
    """What is late is worse than what loads its neighbours, and that worse than what is large."""
    return max(0.0, module.period_ns - period), module.fan_out > FAN_OUT, module.area_um2


def best_element(config: AcceleratorConfig, target: Target) -> Mapped:
    """The processing element of the least product of area and period."""
    modules, banks = sources(config, target, period_ns=1.0)
    mapper = mappers(modules, banks)[ELEMENT]
    found = mapping.map_all(RECIPES, lambda recipe: mapper(recipe, target))
    return min(found, key=lambda element: element.area_um2 * element.period_ns)


def flat_area(config: AcceleratorConfig, target: Target, recipe: Recipe) -> tuple[float, float]:
    """Area in um2 of all cells, mapped module by module and mapped as one; macros apart.

    All modules by the same recipe: what is compared is the hierarchy alone.
    """
    modules, banks = sources(config, target, period_ns=1.0)
    jobs = mappers(modules, banks).values()
    found = mapping.map_all(jobs, lambda mapper: mapper(recipe, target))
    mapped = {module.name: module for module in found}
    design = Design(config, target, 1.0, mapped, banks)
    apart = sum(times * mapped[name].area_um2 for name, _, times in design.instances)
    text = "\n".join(module.text for module in modules.values())
    stubs = "".join(
        {bank.macro.name: memories.stub(bank.macro) for bank in banks.values()}.values()
    )
    return apart, mapping.map_module(text, TOP, stubs, {}, recipe, target).area_um2


def mappers(
    modules: dict[str, Source], banks: dict[str, Memory]
) -> dict[str, Callable[[Recipe, Target], Mapped]]:
    """What maps each module, by name; the macros of a memory belong to it."""
    found = {}
    for module, text, children, stubs in mapping.merged(modules):
        macros = []
        if module.name in banks:
            macro = banks[module.name].macro
            text += memories.stub(macro)
            macros.append(macro.liberty)
        found[module.name] = partial(
            mapping.map_module, text, module.name, stubs, children, macros=macros
        )
    return found
