"""Fit unit costs and delays to synthesized samples."""

from __future__ import annotations

from math import log2

import numpy as np

from implicore.network_shape import NetworkShape

from .. import asic, energy
from ..blocks import TOP
from ..memories import Memory
from .regressors import macros_of, regressors
from .samples import Sample

# --------------------------------------------------------------------------------- area and power


def fit_samples(
    samples: list[Sample], network: NetworkShape | None
) -> dict[str, dict[str, tuple[float, ...]]]:
    """Fit unit costs by block and share, in the order of the regressors.

    Parameters
    ----------
    samples : list of Sample
    network : NetworkShape or None
        The network of the decode that the samples' power comes from; None without power.
    """
    counts: dict[tuple[str, str], list] = {}
    observed: dict[tuple[str, str], list] = {}
    blocks: dict[str, list[str]] = {}
    for sample in samples:
        job = energy.long_job(network, sample.config) if network else None
        macros = {f"memory {memory.role}": macros_of(memory, n) for memory, n in sample.banks}
        for block, shares in regressors(sample.config, sample.banks, job).items():
            blocks[block] = list(shares)
            for share, numbers in shares.items():
                value = sample.shares[block].get(share)
                if value is None:
                    continue
                value -= macros.get(block, {}).get(share, 0.0)
                key = pool(block, share), share
                counts.setdefault(key, []).append(numbers)
                observed.setdefault(key, []).append(value)
    fitted = {key: fit(np.array(counts[key]), np.array(observed[key])) for key in counts}
    return {
        block: {
            share: fitted[pool(block, share), share]
            for share in shares
            if (pool(block, share), share) in fitted
        }
        for block, shares in blocks.items()
    }


def pool(block: str, share: str) -> str:
    """Return the block or blocks that a unit cost is fitted to.

    The logic around the macros is the same whatever they contain; only its activity differs.
    """
    return "memories" if block.startswith("memory ") and share != "data_mw" else block


def fit(counts: np.ndarray, observed: np.ndarray) -> tuple[float, ...]:
    """Return non-negative unit costs x that minimize the relative errors of ``counts @ x``.

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


# ------------------------------------------------------------------------------------------ clock

INSIDE_PE = "core/array/row_*/pe_*/"
"""Prefix of the paths that begin in a processing element."""


def fit_clock(designs: list[asic.Design]) -> dict[str, float | tuple[float, float]]:
    """Return the fields of ``UnitCosts`` that limit the clock, from the designs' longest paths."""
    in_pes, in_logic, after_access = [], [0.0], []
    for design in designs:
        slowest = None
        for path in design.paths:  # longest first
            if path.start.startswith(INSIDE_PE):
                in_pes.append(path.delay_ns)
            elif (memory := _memory_at(design, path.start)) is None:
                in_logic.append(path.delay_ns)
            elif slowest is None:
                slowest = log2(memory.deep), path.delay_ns - memory.access_ns
                after_access.append(slowest)
    return {
        "pe_period_ns": max(in_pes),
        "after_access_ns": fit_after_access(after_access),
        "logic_period_ns": max(in_logic),
    }


def fit_after_access(slowest: list[tuple[float, float]]) -> tuple[float, float]:
    """Fit a non-decreasing line to delays in ns over doublings of the tiles in depth.

    Parameters
    ----------
    slowest : list of (float, float)
        Doublings, and the delay that follows the macro's access.

    Returns
    -------
    constant, per_doubling : float
    """
    if not slowest:
        return 0.0, 0.0
    doublings, delays = np.array(slowest).T
    per_doubling = 0.0
    if np.ptp(doublings):
        per_doubling = max(0.0, float(np.polyfit(doublings, delays, 1)[0]))
    return float(np.mean(delays - per_doubling * doublings)), per_doubling


def _memory_at(design: asic.Design, start: str) -> Memory | None:
    """Return the memory that a path begins in, or None."""
    module = TOP
    for label in start.split("/"):
        if module in design.memories:
            return design.memories[module]
        children = design.modules[module].children if module in design.modules else {}
        if label not in children:
            return None
        module = children[label]
    return design.memories.get(module)
