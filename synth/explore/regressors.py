"""The counts that the area and the power of each block are proportional to.

``docs/exploration.md`` lists them. A block's area or power is the sum of these regressors, each
times its unit cost (``unit_costs``). SRAM macros are known exactly and have no regressors.
"""

from __future__ import annotations

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import Prediction
from implicore.dataflow import voxel_read_latency
from implicore.hw.memory import address_bits
from implicore.hw.verilog import memory_list
from implicore.hw.voxel_bank import lane_bits, voxel_address_bits, word_address_bits

from .. import energy, memories
from ..memories import Memory
from ..target import Target

AREA = "area_um2"
LEAKAGE = "leakage_mw"
POWERS = tuple(share for share in energy.SHARES if share != "sram_mw")
"""Shares of a block's power that have unit costs."""

Regressors = dict[str, dict[str, tuple[float, ...]]]
"""Counts by block and share. The shares are ``AREA`` and ``POWERS``."""


def banks(config: AcceleratorConfig, target: Target, period_ns: float) -> list[tuple[Memory, int]]:
    """Return the memories of an accelerator in macros, each with the number of its instances."""
    return [
        (memories.choose(entry, target, period_ns), entry["instances"])
        for entry in memory_list(config)
    ]


def macros_of(memory: Memory, instances: int) -> dict[str, float]:
    """Return area and leakage of a memory's macros, which are known exactly."""
    return {
        AREA: instances * memory.area_um2,
        LEAKAGE: instances * memory.leakage_mw,
    }


def regressors(
    config: AcceleratorConfig, banks: list[tuple[Memory, int]], job: Prediction | None
) -> Regressors:
    """Return the regressors of each block, share by share.

    Parameters
    ----------
    config : AcceleratorConfig
    banks : list of (Memory, int)
        See ``banks``.
    job : Prediction, optional
        Cycles and accesses of a decode. Without one, only area and leakage have regressors.
    """
    parts = _part_counts(config)
    found = {block: {AREA: counts, LEAKAGE: counts} for block, counts in parts.items()}
    for memory, count in banks:
        found[f"memory {memory.role}"] = _wrapper_counts(memory, count)
    if job is None:
        return found
    for block, counts in _event_rates(config, job).items():
        found[block] |= {"data_mw": counts, "clock_mw": parts[block] + counts}
    for memory, _ in banks:
        reads, writes = _rate(job, memory.role), _rate(job, memory.role, "writes")
        found[f"memory {memory.role}"] |= {
            "data_mw": (reads, reads * memory.deep, writes, writes * memory.deep)
        }
    return found


def _part_counts(config: AcceleratorConfig) -> dict[str, tuple[float, ...]]:
    """Return the numbers of parts in each block."""
    rows, columns, lanes = config.rows, config.columns, config.lanes
    weight_banks, per_bank = config.weight_banks, config.columns_per_bank
    patches = config.outputs > 1
    feature, hidden, weight, constant = (
        address_bits(depth)
        for depth in (
            2 * config.frequencies,
            config.width,
            config.weight_depth,
            config.constant_depth,
        )
    )
    pes = rows * columns
    drained = hidden  # bits of an address that moves down the rows with an accumulator
    if patches:
        drained = max(drained, voxel_address_bits(config.outputs, config.voxels_per_beat) - 1)
    counts = {
        "array": (pes, rows),
        "row units": (rows, rows * (max(feature, hidden) + drained)),
        "requantizers": (rows,),
        # Registers of enable and address, of the word to write, and of the skew of the word read.
        "column units": (
            weight_banks * (weight + 1),
            weight_banks * per_bank,
            weight_banks * per_bank * (per_bank - 1),
        ),
        "Fourier mapper": (1, lanes, rows, feature),
        "sine tables": (lanes,),
        "coordinates": (1,),
        "program loader": (
            1,
            columns,
            feature + constant + weight,
            config.depth + per_bank * config.formats.weight_bits,
        ),
        "control": (
            1,
            rows,
            (weight_banks - 1) * per_bank * (weight + 1),
            feature + hidden + constant + weight,
            bool(pes & (pes - 1)),
            lanes,
            *((rows * config.voxels_per_beat,) if patches else ()),
        ),
    }
    if patches:
        address = word_address_bits(config.outputs, config.voxels_per_beat)
        counts["voxel banks"] = rows, rows * (config.voxels_per_beat - 1), rows * address
        words = voxel_read_latency(rows) * (config.voxels_per_beat * config.formats.output_bits + 1)
        counts["voxel reader"] = 1, rows, words
    else:
        counts["voxel buffer"] = 1, rows
    if config.voxels_per_beat > 1:
        lane = lane_bits(config.voxels_per_beat)
        counts["voxel packer"] = config.voxels_per_beat, config.voxels_per_beat * lane
    return counts


def _event_rates(config: AcceleratorConfig, job: Prediction) -> dict[str, tuple[float, ...]]:
    """Return the numbers of events per cycle in each block."""
    rows, columns, lanes = config.rows, config.columns, config.lanes
    weight_banks = config.weight_banks
    step = _rate(job, "weights") / weight_banks
    drain = _rate(job, "constants")
    coefficient = _rate(job, "coefficients")
    written = _rate(job, "features", "writes")
    voxel = job.voxels / job.cycles
    rates = {
        "array": (rows * columns * step, job.useful_macs / job.cycles),
        "row units": (rows * step, rows * drain, written),
        "requantizers": (rows * drain,),
        "column units": (weight_banks * step, columns * step),
        "Fourier mapper": (coefficient, lanes * coefficient, written),
        "sine tables": (lanes * coefficient,),
        "coordinates": (voxel,),
        "program loader": (1,),
        "control": (1, step, drain, written, weight_banks * step),
    }
    if config.outputs > 1:
        word = _rate(job, "voxels")
        rates["voxel banks"] = voxel, word * config.voxels_per_beat
        rates["voxel reader"] = word, word * config.voxels_per_beat
        rates["control"] += (word * config.voxels_per_beat,)
    else:
        rates["voxel buffer"] = (voxel,)
    if config.voxels_per_beat > 1:
        rates["voxel packer"] = (voxel,)
    return rates


def _rate(job: Prediction, role: str, way: str = "reads") -> float:
    """Return the accesses per cycle of a memory's instances."""
    return getattr(job.memories[role], way) / job.cycles


def _wrapper_counts(memory: Memory, count: int) -> dict[str, tuple[float, ...]]:
    """Return the regressors of the logic around macros: address decoding, selection of a tile."""
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
    return {AREA: counts, LEAKAGE: counts, "clock_mw": clocked}
