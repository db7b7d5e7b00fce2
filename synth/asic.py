"""An accelerator in cells and macros: what it is made of, and how fast it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

from implicore.machine import AcceleratorConfig
from implicore.sim import simulators

from . import mapping, memories, timing
from .mapping import RECIPES, Mapped, Source
from .memories import Memory
from .target import Target

TOP = "implicore"
ELEMENT = "implicore_processing_element"


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
    def counts(self) -> dict[str, int]:
        """Instances of each module in the whole accelerator."""
        counts = dict.fromkeys(self.modules, 0)

        def visit(name: str, times: int) -> None:
            counts[name] += times
            children = list(self.modules[name].children.values())
            for child in set(children):
                visit(child, times * children.count(child))

        visit(TOP, 1)
        return counts

    @cached_property
    def paths(self) -> list[timing.TimingPath]:
        """The longest paths of the whole accelerator."""
        macros = {memory.macro.liberty for memory in self.memories.values()}
        netlists = [module.folder / "netlist.v" for module in self.modules.values()]
        return timing.longest_paths(TOP, netlists, [self.target.liberty, *sorted(macros)])

    @property
    def fmax_mhz(self) -> float:
        """Of the whole accelerator."""
        return 1000 / self.paths[0].delay_ns

    @property
    def element_fmax_mhz(self) -> float:
        """Of one processing element alone."""
        return 1000 / self.modules[ELEMENT].period_ns


def map_accelerator(
    config: AcceleratorConfig, target: Target, *, clock_mhz: float | None = None
) -> Design:
    """Map every module with the smallest recipe that meets the clock, or the fastest.

    Parameters
    ----------
    config : AcceleratorConfig
    target : Target
    clock_mhz : float, optional
        Without it, that of the processing element with the least product of area and period.
    """
    logic, _ = simulators.verilog(config)
    modules = mapping.split(logic.read_text(encoding="utf-8"))
    listed = json.loads((logic.parent / "implicore.json").read_text(encoding="utf-8"))["memories"]
    if clock_mhz is None:
        found = _candidates(modules, [ELEMENT], {}, target)
        period = min(found, key=lambda element: element.area_um2 * element.period_ns).period_ns
    else:
        period = 1000 / clock_mhz
    banks = {entry["module"]: memories.choose(entry, target, period) for entry in listed}
    modules |= {name: Source(name, bank.verilog) for name, bank in banks.items()}
    chosen: dict[str, Mapped] = {}
    for mapped in _candidates(modules, list(modules), banks, target):
        best = chosen.get(mapped.name, mapped)
        chosen[mapped.name] = min(best, mapped, key=lambda module: _cost(module, period))
    return Design(config, target, period, chosen, banks)


def _cost(module: Mapped, period: float) -> tuple[float, float]:
    """What is late is worse than what is large."""
    return max(0.0, module.period_ns - period), module.area_um2


def _candidates(
    modules: dict[str, Source], names: list[str], banks: dict[str, Memory], target: Target
) -> list[Mapped]:
    """The named modules by every recipe."""
    jobs = []
    for module, text, children, stubs in mapping.merged(modules):
        if module.name not in names:
            continue
        if module.name in banks:
            stubs += memories.stub(banks[module.name].macro)
        jobs += [(text, module.name, stubs, children, recipe, target) for recipe in RECIPES]
    return mapping.map_all(jobs, lambda job: mapping.map_module(*job))
