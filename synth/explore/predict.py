"""Predict the metrics of an accelerator without synthesis, in about a millisecond.

Area, clock and power follow from the unit costs of its family (``unit_costs``), cycles and
accesses from ``implicore.cycles``, macros from ``implicore.synth.memories``.
``python bench/predict.py`` compares the metrics with those of real synthesis.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import log2

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import Prediction
from implicore.errors import BadInput
from implicore.hw.verilog import memory_list
from implicore.network_shape import NetworkShape

from .. import energy, memories
from ..memories import Memory
from .regressors import AREA, LEAKAGE, POWERS, macros_of, regressors
from .unit_costs import UnitCosts, family


def predict(
    config: AcceleratorConfig,
    shape: NetworkShape,
    costs: UnitCosts,
    *,
    clock_mhz: float | None = None,
) -> dict:
    """Predict the metrics of an accelerator that decodes a network.

    Parameters
    ----------
    config : AcceleratorConfig
        A configuration of the family that the unit costs belong to.
    shape : NetworkShape
        The decoded network. Its nets are assumed to toggle as often as those of the network that
        the unit costs come from.
    costs : UnitCosts
    clock_mhz : float, optional
        Clock of the accelerator. The default is its maximum.

    Returns
    -------
    dict
        Named as in ``synthesis.synthesize``: ``area_um2``, ``logic_area_um2``,
        ``pe_area_um2``; ``blocks``, block to its area; ``fmax_mhz``, ``clock_mhz``,
        ``cycles_per_slice`` of 256 x 256 voxels, ``utilization``, ``voxels_per_second``;
        ``macros``. If the unit costs come from a program, also ``power_mw``, ``pj_per_mac``,
        ``nj_per_voxel``, ``mj_per_slice`` and ``voxels_per_joule``, and ``power_mw`` with its
        shares in each block.

    Raises
    ------
    ValueError
        The configuration is of another family.
    BadInput
        The network does not fit the accelerator, or the accelerator packs single voxels.
    """
    if family(config, costs.target) != costs.family:
        raise ValueError(
            f"Unit costs of {costs.family} do not apply to a configuration of "
            f"{family(config, costs.target)}."
        )
    if config.outputs == 1 < config.voxels_per_beat:
        raise BadInput(
            "Accelerators for single voxels are only predicted for beats of one: voxels_per_beat "
            f"must be 1 with outputs 1, not {config.voxels_per_beat}."
        )
    # Cycles do not depend on zero gating: both configurations share a cached prediction.
    job = _job(shape, replace(config, gate_zeros=False))
    chosen = _banks(config, costs)
    counts = regressors(config, chosen, job if costs.network else None)
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
        "pe_area_um2": costs.pe_area_um2,
        "blocks": {block: {AREA: area} for block, area in areas.items()},
        "fmax_mhz": fmax,
        "clock_mhz": clock,
        "cycles_per_slice": job.cycles / shape.outputs,
        "utilization": job.utilization,
        "voxels_per_second": job.voxels / job.cycles * clock * 1e6,
        "macros": {memory.role: memory.tiling for memory, _ in chosen},
    }
    if costs.network:
        powers = {}
        for block, shares in shares_of.items():
            powers[block] = {share: shares[share] * clock / 1000 for share in POWERS}
            powers[block] |= {LEAKAGE: shares[LEAKAGE], "sram_mw": 0.0}
        for memory, _ in chosen:
            powers[f"memory {memory.role}"]["sram_mw"] = energy.sram_mw(memory, job, clock)
        result |= energy.costs(powers, job, clock)
        for block, shares in result.pop("power_blocks").items():
            result["blocks"][block] |= shares
    return result


def _period(chosen: list[tuple[Memory, int]], costs: UnitCosts) -> float:
    """Return the minimum clock period in ns."""
    constant, per_doubling = costs.after_access_ns
    periods = [costs.pe_period_ns, costs.logic_period_ns]
    for memory, _ in chosen:
        after_access = max(0.0, constant + per_doubling * log2(memory.deep))
        periods.append(memory.access_ns + after_access)
    return max(periods)


def _banks(config: AcceleratorConfig, costs: UnitCosts) -> list[tuple[Memory, int]]:
    """Return what ``regressors.banks`` returns, with cached choices of macros."""
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
def _job(shape: NetworkShape, config: AcceleratorConfig) -> Prediction:
    return energy.long_job(shape, config)
