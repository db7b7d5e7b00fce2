"""Unit costs of a family of accelerators, taken from real synthesis.

A family shares target, formats and zero gating. A few small accelerators of it, with unequal sides
and memories of several sizes, go through the flow of ``implicore.synth``: mapped, timed and, with a
program, simulated gate by gate. Area, power and leakage of each block are then written as sums of
non-negative unit costs times regressors: instances, address bits, events in a
cycle. ``docs/exploration.md`` lists the regressors. What is known exactly is not fitted: the SRAM
macros of a memory of any size (``implicore.synth.memories``), and how often they are accessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import log2

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.cache import cached_json
from implicore.cycles import Prediction, predict
from implicore.digest import json_digest, source_digest
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.hw.memory import address_bits
from implicore.hw.verilog import memory_list
from implicore.network_shape import NETWORKS, NetworkShape
from implicore.program import Program

from .. import asic, energy, memories, yosys
from ..blocks import TOP
from ..memories import Memory
from ..target import Target

SAMPLES = (
    (4, 4, 1, None),
    (2, 40, 1, "quality"),
    (12, 6, 3, None),
    (16, 32, 1, "quality"),
    (16, 8, 2, None),
)
"""Rows, columns, lanes, and a network whose memories they have beside those of the program's.

With one lane 16 x 32 has to wait: only there can idle cycles be told from busy ones.
"""

NETWORK = NETWORKS["demo"]
"""Held by the samples where there is no program."""

FLOW = ("implicore", "implicore.hw", "implicore.sim", "implicore.synth")
"""Packages that a synthesized design depends on."""

CLOCK_MHZ = 1000.0
"""At which a milliwatt is a picojoule a cycle."""

AREA = "area_um2"
POWERS = tuple(share for share in energy.SHARES if share != "sram_mw")
"""Shares of a block's power that have unit costs."""

Regressors = dict[str, dict[str, tuple[float, ...]]]
"""Block, to share, to the counts that its unit costs are multiplied with."""


@dataclass(frozen=True, eq=False)
class UnitCosts:
    """What all accelerators of a family are made of.

    Attributes
    ----------
    family : str
    key : str
        Of everything that the unit costs depend on: equal keys, equal unit costs.
    target : Target
    network : NetworkShape or None
        Of the program whose activity the powers have; None if there was none.
    period_ns : float
        Of the clock that modules are mapped for and memories chosen for.
    element_area_um2, element_period_ns : float
        Of a processing element; its registers' least period.
    by_block : dict of str to dict of str to tuple of float
        By block and share, in the order of ``regressors``; powers in pJ a cycle, leakage in mW.
    beyond_access_ns : tuple of float
        From a macro's data to the next register, setup included: a constant, and for each doubling
        of the tiles that are chosen between. Together no less than 0.
    logic_period_ns : float
        The longest path that begins neither in a memory nor within a processing element.
    """

    family: str
    key: str
    target: Target
    network: NetworkShape | None
    period_ns: float
    element_area_um2: float
    element_period_ns: float
    by_block: dict[str, dict[str, tuple[float, ...]]]
    beyond_access_ns: tuple[float, float]
    logic_period_ns: float

    def __eq__(self, other):
        return isinstance(other, UnitCosts) and self.key == other.key

    def __hash__(self):
        return hash(self.key)


def family(config: AcceleratorConfig, target: Target) -> str:
    """The name of the family that a configuration belongs to on a target."""
    return f"{target.name} {config.formats}{' gated' if config.gate_zeros else ''}"


def banks(config: AcceleratorConfig, target: Target, period_ns: float) -> list[tuple[Memory, int]]:
    """The memories of an accelerator in macros, each with the number of its instances."""
    return [
        (memories.choose(entry, target, period_ns), entry["instances"])
        for entry in memory_list(config)
    ]


# ---------------------------------------------------------------------------------- the regressors


def regressors(
    config: AcceleratorConfig, banks: list[tuple[Memory, int]], job: Prediction | None
) -> Regressors:
    """What area and power of each block are proportional to, share by share.

    Parameters
    ----------
    config : AcceleratorConfig
    banks : list of (Memory, int)
    job : Prediction, optional
        Without one there are no powers.
    """
    rows, columns, lanes = config.rows, config.columns, config.lanes
    words = config.weight_banks
    per_bank = config.columns_per_bank
    feature, hidden, weight, constant = (
        address_bits(depth)
        for depth in (
            2 * config.frequencies,
            config.width,
            config.weight_depth,
            config.constant_depth,
        )
    )
    slots = rows * columns
    parts = {
        "array": (slots, rows),
        "row units": (rows, rows * (max(feature, hidden) + hidden)),
        "requantizers": (rows,),
        "column units": (words, words * weight, words * per_bank * (per_bank - 1)),
        "Fourier mapper": (1, lanes, rows, feature),
        "sine tables": (lanes,),
        "coordinates": (1,),
        "voxel buffer": (1, rows),
        "program loader": (1, columns, feature + constant + weight, config.depth),
        "control": (
            1,
            rows,
            (words - 1) * per_bank * (weight + 1),
            feature + hidden + constant + weight,
            bool(slots & (slots - 1)),
            lanes,
        ),
    }
    found = {block: {AREA: counts, "leakage_mw": counts} for block, counts in parts.items()}
    for memory, count in banks:
        found[f"memory {memory.role}"] = _wrapper(memory, count)
    if job is None:
        return found

    def rate(role: str, way: str = "reads") -> float:
        return getattr(job.memories[role], way) / job.cycles

    step = rate("weights") / words
    drain = rate("constants")
    coefficient = rate("coefficients")
    written = rate("features", "writes")
    voxel = job.voxels / job.cycles
    events = {
        "array": (slots * step, job.useful_macs / job.cycles),
        "row units": (rows * step, rows * drain, written),
        "requantizers": (rows * drain,),
        "column units": (words * step, columns * step),
        "Fourier mapper": (coefficient, lanes * coefficient, written),
        "sine tables": (lanes * coefficient,),
        "coordinates": (voxel,),
        "voxel buffer": (voxel,),
        "program loader": (1,),
        "control": (1, step, drain, written, words * step),
    }
    for block, counts in events.items():
        found[block] |= {"data_mw": counts, "clock_mw": parts[block] + counts}
    for memory, _ in banks:
        reads, writes = rate(memory.role), rate(memory.role, "writes")
        found[f"memory {memory.role}"] |= {
            "data_mw": (reads, reads * memory.deep, writes, writes * memory.deep)
        }
    return found


def _wrapper(memory: Memory, count: int) -> dict[str, tuple[float, ...]]:
    """Of the logic around a memory's macros: a choice of address, and one between tiles."""
    inside = address_bits(memory.macro.depth)
    select = (memory.deep - 1).bit_length()
    address = memory.deep * inside if memory.ports == 1 else 0
    counts = (
        count,
        count * address,
        count * select,
        count * bool(select) * memory.deep * memory.width,
    )
    clocked = (count, count * select, count * memory.deep * memory.wide)
    return {AREA: counts, "leakage_mw": counts, "clock_mw": clocked}


# ------------------------------------------------------------------------------------- the samples


@dataclass(frozen=True)
class Sample:
    """One accelerator as synthesized.

    Attributes
    ----------
    config : AcceleratorConfig
    banks : list of (Memory, int)
    shares : dict of str to dict of str to float
        Block, to area and the shares of its power.
    """

    config: AcceleratorConfig
    banks: list[tuple[Memory, int]]
    shares: dict[str, dict[str, float]]


def sample_configs(formats: Formats, gate_zeros: bool, network: NetworkShape):
    """The accelerators that a family's unit costs are taken from."""
    for rows, columns, lanes, other in SAMPLES:
        networks = [network] if other is None else [network, NETWORKS[other]]
        config = AcceleratorConfig.sized(rows, columns, formats, networks, gate_zeros=gate_zeros)
        yield replace(config, lanes=lanes)


def characterize(
    config: AcceleratorConfig,
    target: Target,
    program: Program | None = None,
    *,
    report: Callable[[str], None] = lambda line: None,
) -> UnitCosts:
    """The unit costs of a configuration's family, from the cache if they were taken before.

    Parameters
    ----------
    config : AcceleratorConfig
        Any of the family.
    target : Target
    program : Program, optional
        Of the family's formats; its decode is what powers are taken from. Without one there are
        unit costs of area and clock only.
    report : function of a line
        Told what is being done: it takes a minute or two.

    Raises
    ------
    BadInput
        The program is of other formats, or a tool is missing.
    """
    if program is not None and program.formats != config.formats:
        raise BadInput(
            f"The program's formats are {program.formats}, the accelerator's {config.formats}: "
            "energy is taken from a program of the same."
        )
    name = family(config, target)
    inputs = {
        "family": name,
        "target": asdict(target),
        "libraries": [target.liberty, *target.macro_files],
        "program": None if program is None else program.digest,
        "yosys": yosys.version(),
        "code": source_digest(*FLOW, "implicore.synth.explore"),
    }
    key = json_digest(inputs)
    fitted = cached_json("unit-costs", key, lambda: _characterize(config, target, program, report))
    return UnitCosts(
        name, key, target, None if program is None else program.shape, **_tuples(fitted)
    )


def _tuples(value):
    """Make tuples of the lists that JSON has made of them."""
    if isinstance(value, dict):
        return {name: _tuples(entry) for name, entry in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _characterize(config, target, program, report) -> dict:
    """The fields of ``UnitCosts`` that are taken from synthesis."""
    name = family(config, target)
    network = NETWORK if program is None else program.shape
    samples, paths = [], []
    for sampled in sample_configs(config.formats, config.gate_zeros, network):
        report(f"{name}: {sampled.rows} x {sampled.columns}")
        design = asic.map_accelerator(sampled, target)
        shares = {block: {AREA: area} for block, area in design.block_areas.items()}
        if program is not None:
            for block, powers in powers_of(design, program).items():
                shares[block] |= powers
        chosen = banks(sampled, target, design.period_ns)
        samples.append(Sample(sampled, chosen, shares))
        paths += [(design, path) for path in design.paths]
    element = design.modules[asic.ELEMENT]
    beyond, logic = _timing(paths)
    return {
        "period_ns": design.period_ns,
        "element_area_um2": element.area_um2,
        "element_period_ns": max(
            path.delay_ns for _, path in paths if path.start.startswith(INSIDE)
        ),
        "by_block": fit_samples(samples, None if program is None else network),
        "beyond_access_ns": beyond,
        "logic_period_ns": logic,
    }


def powers_of(design: asic.Design, program: Program) -> dict[str, dict[str, float]]:
    """Shares of the power of each block at ``CLOCK_MHZ``, from a decode on its gates.

    They are cached, so that an interrupted characterization resumes at the next sample.
    """
    inputs = {
        "modules": [module.folder.name for module in design.modules.values()],
        "macros": [memory.macro.liberty for memory in design.memories.values()],
        "program": program.digest,
        "code": source_digest(*FLOW),
    }

    def compute() -> dict:
        found = energy.simulate(design, program)
        return energy.summary(design, program, found, CLOCK_MHZ)["power_blocks"]

    blocks = cached_json("powers", inputs, compute)
    return {block: {share: powers[share] for share in POWERS} for block, powers in blocks.items()}


def fit_samples(samples: list[Sample], network: NetworkShape | None) -> dict:
    """Unit costs by block and share, least squares of the samples' relative errors."""
    counts: dict[tuple[str, str], list] = {}
    observed: dict[tuple[str, str], list] = {}
    for sample in samples:
        job = predict(network, sample.config, energy.SLICE) if network else None
        macros = {f"memory {memory.role}": macros_of(memory, n) for memory, n in sample.banks}
        for block, shares in regressors(sample.config, sample.banks, job).items():
            for share, numbers in shares.items():
                value = sample.shares[block].get(share)
                if value is None:
                    continue
                value -= macros.get(block, {}).get(share, 0.0)
                key = pool(block, share), share
                counts.setdefault(key, []).append(numbers)
                observed.setdefault(key, []).append(value)
    fitted = {key: fit(np.array(counts[key]), np.array(observed[key])) for key in counts}
    by_block: dict[str, dict[str, tuple[float, ...]]] = {}
    for block, shares in regressors(sample.config, sample.banks, job).items():
        by_block[block] = {
            share: fitted[pool(block, share), share]
            for share in shares
            if (pool(block, share), share) in fitted
        }
    return by_block


def pool(block: str, share: str) -> str:
    """The logic around the macros is the same whatever they hold; only its activity differs."""
    return "memories" if block.startswith("memory ") and share != "data_mw" else block


def macros_of(memory: Memory, instances: int) -> dict[str, float]:
    """What is exact of a memory's area and leakage."""
    return {
        AREA: instances * memory.area_um2,
        "leakage_mw": instances * memory.leakage_mw,
    }


def fit(counts: np.ndarray, observed: np.ndarray) -> tuple[float, ...]:
    """Non-negative unit costs x with ``counts @ x`` near ``observed``, relative to each of them.

    Parameters
    ----------
    counts : ndarray of shape (samples, regressors)
    observed : ndarray of shape (samples,)
    """
    from scipy.optimize import nnls

    observed = np.maximum(observed, 0.0)
    if not observed.any():
        return (0.0,) * counts.shape[1]
    weights = 1 / np.maximum(observed, observed.max() / 100)
    sizes = np.maximum(np.abs(counts).max(axis=0), 1e-30)
    found, _ = nnls(counts / sizes * weights[:, None], observed * weights)
    return tuple((found / sizes).tolist())


# -------------------------------------------------------------------------------------- the clock

INSIDE = "core/array/row_*/pe_*/"


def _timing(paths) -> tuple[tuple[float, float], float]:
    """What follows a macro's access, and the longest path of logic, from the samples' paths."""
    slowest: dict[int, tuple[float, float]] = {}
    logic = 0.0
    for design, path in paths:
        if path.start.startswith(INSIDE):
            continue
        memory = _memory_at(design, path.start)
        if memory is None:
            logic = max(logic, path.delay_ns)
        else:  # paths come longest first
            beyond = path.delay_ns - memory.macro.access_ns
            slowest.setdefault(id(design), (log2(memory.deep), beyond))
    return beyond_access(list(slowest.values())), logic


def beyond_access(slowest: list[tuple[float, float]]) -> tuple[float, float]:
    """A line through doublings of the tiles and what follows the access, in ns; never falling."""
    if not slowest:
        return 0.0, 0.0
    doublings, beyond = np.array(slowest).T
    slope = 0.0
    if np.ptp(doublings):
        slope = max(0.0, float(np.polyfit(doublings, beyond, 1)[0]))
    return float(np.mean(beyond - slope * doublings)), slope


def _memory_at(design: asic.Design, start: str) -> Memory | None:
    """The memory that a path begins in, if it does."""
    module = TOP
    for label in start.split("/"):
        if module in design.memories:
            return design.memories[module]
        children = design.modules[module].children if module in design.modules else {}
        if label not in children:
            return None
        module = children[label]
    return design.memories.get(module)
