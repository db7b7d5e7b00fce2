"""What an accelerator will be like, without synthesis: about a millisecond a configuration.

Area, clock and power from the unit costs of its family (``unit_costs``), cycles and accesses from
``implicore.cycles``, macros from ``implicore.synth.memories``. ``python bench/predict.py`` holds
the metrics with real synthesis.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import log2

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import Prediction
from implicore.cycles import predict as predict_cycles
from implicore.errors import BadInput
from implicore.hw.verilog import memory_list
from implicore.network_shape import NetworkShape

from .. import ecp5, energy, fpga, memories
from ..memories import Memory
from .unit_costs import AREA, POWERS, UnitCosts, family, macros_of, regressors


def predict(
    config: AcceleratorConfig,
    shape: NetworkShape,
    costs: UnitCosts,
    *,
    clock_mhz: float | None = None,
) -> dict:
    """Metrics of an accelerator that decodes a network, named as ``synthesize`` names them.

    Parameters
    ----------
    config : AcceleratorConfig
        Of the same family as the unit costs.
    shape : NetworkShape
        The decoded network. Its toggling is taken to be that of the program behind the unit costs.
    costs : UnitCosts
    clock_mhz : float, optional
        At which it runs; else the greatest.

    Returns
    -------
    dict
        ``area_um2``, ``logic_area_um2``, ``element_area_um2``; ``blocks``, each with its area and,
        with unit costs from a program, ``power_mw`` and its shares; ``fmax_mhz``, ``clock_mhz``,
        ``cycles_per_slice`` of 256 x 256 voxels, ``utilization``, ``voxels_per_second``;
        ``macros``; with unit costs from a program also ``power_mw``, ``pj_per_mac``,
        ``nj_per_voxel``, ``mj_per_slice`` and ``voxels_per_joule``.

    Raises
    ------
    ValueError
        The configuration is of another family.
    BadInput
        The network does not fit the accelerator.
    """
    if family(config, costs.target) != costs.family:
        raise ValueError(
            f"Unit costs of {costs.family} do not apply to a configuration of "
            f"{family(config, costs.target)}."
        )
    config.check_holds(shape)
    slice_ = _slice(shape, replace(config, gate_zeros=False))  # which has no part in it
    chosen = _banks(config, costs)
    counts = regressors(config, chosen, slice_ if costs.network else None)
    shares_of = {
        block: {
            share: sum(map(float.__mul__, costs.by_block[block][share], map(float, numbers)))
            for share, numbers in shares.items()
            if share in costs.by_block[block]
        }
        for block, shares in counts.items()
    }
    for memory, instances in chosen:
        block = shares_of[f"memory {memory.role}"]
        for share, value in macros_of(memory, instances).items():
            if share in block:
                block[share] += value
    areas = {block: shares[AREA] for block, shares in shares_of.items()}
    fmax = 1000 / _period(chosen, costs)
    clock = clock_mhz or fmax
    result = {
        "area_um2": sum(areas.values()),
        "logic_area_um2": sum(
            area for block, area in areas.items() if not block.startswith("memory ")
        ),
        "element_area_um2": costs.element_area_um2,
        "blocks": {block: {AREA: area} for block, area in areas.items()},
        "fmax_mhz": fmax,
        "clock_mhz": clock,
        "cycles_per_slice": slice_.cycles,
        "utilization": slice_.utilization,
        "voxels_per_second": energy.SLICE / slice_.cycles * clock * 1e6,
        "macros": {
            memory.role: f"{memory.deep} x {memory.wide} {memory.macro.name}"
            for memory, _ in chosen
        },
    }
    if costs.network:
        powers = {}
        for block, shares in shares_of.items():
            powers[block] = {share: shares[share] * clock / 1000 for share in POWERS}
            powers[block] |= {"leakage_mw": shares["leakage_mw"], "sram_mw": 0.0}
        for memory, _ in chosen:
            powers[f"memory {memory.role}"]["sram_mw"] = energy.sram_mw(memory, slice_, clock)
        result |= energy.costs(powers, slice_, clock)
        for block, shares in result.pop("power_blocks").items():
            result["blocks"][block] |= shares
    return result


def _period(chosen: list[tuple[Memory, int]], costs: UnitCosts) -> float:
    """The least clock period, in ns."""
    constant, doubling = costs.beyond_access_ns
    periods = [costs.element_period_ns, costs.logic_period_ns]
    for memory, _ in chosen:
        beyond = max(0.0, constant + doubling * log2(memory.deep))
        periods.append(memory.macro.access_ns + beyond)
    return max(periods)


DSP_BITS = 18
"""Width of a multiplier's operands."""


def _banks(config: AcceleratorConfig, costs: UnitCosts) -> list[tuple[Memory, int]]:
    return [
        (_memory(costs, *(entry[name] for name in _ENTRY)), entry["instances"])
        for entry in memory_list(config)
    ]


_ENTRY = ("module", "role", "depth", "width", "reads_while_written")


@cache
def _memory(costs: UnitCosts, *values) -> Memory:
    entry = dict(zip(_ENTRY, values, strict=True))
    return memories.choose(entry, costs.target, costs.period_ns)


@cache
def _slice(shape: NetworkShape, config: AcceleratorConfig) -> Prediction:
    return predict_cycles(shape, config, energy.SLICE)


# ------------------------------------------------------------------------------------------ FPGAs

DEVICES = tuple(fpga.DEVICES)
"""That ``fits`` knows."""

DSP_BITS = 18
"""Width of a multiplier's operands."""


def resources(config: AcceleratorConfig, device: str = DEVICES[0]) -> dict:
    """Multipliers and block RAMs of an accelerator on its board, and whether they are there.

    One multiplier for each processing element and each output-layer MAC, two for each Fourier
    lane, and where scales are no powers of two those of the requantizers. Block RAMs of the shape
    that costs least for each bank; one for each lane's sine table and one for the link. Logic is
    not counted: multipliers or memories are used up long before.

    Parameters
    ----------
    config : AcceleratorConfig
    device : str
        One of ``DEVICES``; BadInput if it is none.

    Returns
    -------
    dict
        ``dsps``, ``brams``, ``available`` of each, ``fits``.
    """
    if device not in fpga.DEVICES:
        raise BadInput(f"{device} is no device: they are {', '.join(DEVICES)}.")
    rows, formats = config.rows, config.formats
    scales = -(-formats.accumulator_bits // DSP_BITS) if formats.multiplier_bits else 0
    used = {
        "dsps": rows * (config.columns + 1 + scales) + 2 * config.lanes,
        "brams": config.lanes
        + 1
        + sum(bank["instances"] * block_rams(bank) for bank in memory_list(config)),
    }
    available = fpga.DEVICES[device]
    fits = all(used[what] <= there for what, there in available.items())
    return {**used, "available": available, "fits": fits}


def fits(config: AcceleratorConfig, device: str) -> bool:
    """Whether a device has the multipliers and the block RAMs of an accelerator."""
    return resources(config, device)["fits"]


def block_rams(bank: dict) -> int:
    """Block RAMs of a memory of the list beside the Verilog.

    As Yosys weighs it: a bit chosen between two of them costs 1/256 of one.
    """
    shapes = [
        (-(-bank["depth"] // depth), -(-bank["width"] // width)) for depth, width in ecp5.BLOCK_RAM
    ]
    deep, wide = min(shapes, key=lambda n: n[0] * n[1] + (n[0] - 1) * bank["width"] / 256)
    return deep * wide
