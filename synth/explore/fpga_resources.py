"""Multipliers and block RAMs of an accelerator on an FPGA, counted without synthesis."""

from __future__ import annotations

from implicore.accelerator_config import AcceleratorConfig
from implicore.errors import BadInput
from implicore.hw.verilog import memory_list

from .. import ecp5, fpga

DEVICES = tuple(fpga.DEVICES)
"""Names of the devices whose resources are known."""

DSP_BITS = 18
"""Width of a multiplier's operands."""


def resources(config: AcceleratorConfig, device: str = DEVICES[0]) -> dict:
    """Count the multipliers and block RAMs of an accelerator and compare them with a device.

    Each processing element and each output-layer MAC takes one multiplier, each Fourier lane two,
    and each requantizer those of its scale unless scales are powers of two. Each memory takes
    block RAMs of the shape that costs least. Each lane's sine table takes one, and so does the
    link. Logic is not counted: multipliers or block RAMs run out long before.

    Parameters
    ----------
    config : AcceleratorConfig
    device : str
        One of ``DEVICES``.

    Returns
    -------
    dict
        ``dsps`` and ``brams``; ``available``, a dictionary with the same keys; ``fits``.

    Raises
    ------
    BadInput
        The device is unknown.
    """
    if device not in fpga.DEVICES:
        raise BadInput(f"There is no device {device}: choose from {', '.join(DEVICES)}.")
    rows, formats = config.rows, config.formats
    scales = -(-formats.accumulator_bits // DSP_BITS) if formats.multiplier_bits else 0
    used = {
        "dsps": rows * (config.columns + 1 + scales) + 2 * config.lanes,
        "brams": config.lanes
        + 1
        + sum(bank["instances"] * block_rams(bank) for bank in memory_list(config)),
    }
    available = fpga.DEVICES[device]
    fits = all(used[resource] <= limit for resource, limit in available.items())
    return {**used, "available": available, "fits": fits}


def fits(config: AcceleratorConfig, device: str) -> bool:
    """Whether a device has enough multipliers and block RAMs for an accelerator."""
    return resources(config, device)["fits"]


def block_rams(bank: dict) -> int:
    """Count the block RAMs of a memory, an entry of the sidecar's list.

    The shape is chosen with the weights of Yosys: each bit that is selected between two block RAMs
    costs 1/256 of a block RAM.
    """
    shapes = [
        (-(-bank["depth"] // depth), -(-bank["width"] // width)) for depth, width in ecp5.BLOCK_RAM
    ]
    deep, wide = min(shapes, key=lambda n: n[0] * n[1] + (n[0] - 1) * bank["width"] / 256)
    return deep * wide
