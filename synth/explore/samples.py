"""The small accelerators that a family's unit costs are fitted to, as synthesized."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from implicore.accelerator_config import AcceleratorConfig
from implicore.cache import cached_json
from implicore.digest import source_digest
from implicore.formats import Formats
from implicore.network_shape import MAX_OUTPUTS, NETWORKS, NetworkShape
from implicore.program import Program

from .. import asic, energy
from ..memories import Memory
from .regressors import AREA, POWERS, banks

SAMPLES = (
    (4, 4, 1, None),
    (2, 40, 1, "quality"),
    (12, 6, 3, None),
    (16, 32, 1, "quality"),
    (16, 8, 2, None),
)
"""Rows, columns, lanes, and a network that the memories hold besides that of the program.

The sides are unequal and the memories differ in size, which makes the regressors independent. With
one lane, 16 x 32 has to wait for features: it separates the costs of idle and of active cycles.
"""

VOXELS = (
    (1, 1),
    (4, 2),
    (2, 4),
    (8, 8),
    (1, 2),
)
"""Of the samples of a family of patches: voxels of a beat, and the number by which the outputs of
the program are multiplied, which varies the depth of the voxel banks."""


def stand_in(config: AcceleratorConfig) -> NetworkShape:
    """Return the network that the samples of a family hold when there is no program."""
    return NETWORKS["patch" if config.outputs > 1 else "demo"]


FLOW = ("implicore", "implicore.hw", "implicore.sim", "implicore.synth")
"""Packages that a synthesized design depends on."""

CLOCK_MHZ = 1000.0
"""Clock at which a milliwatt is a picojoule per cycle."""


@dataclass(frozen=True)
class Sample:
    """One accelerator as synthesized.

    Attributes
    ----------
    config : AcceleratorConfig
    banks : list of (Memory, int)
        See ``regressors.banks``.
    shares : dict of str to dict of str to float
        Block to its area and the shares of its power.
    """

    config: AcceleratorConfig
    banks: list[tuple[Memory, int]]
    shares: dict[str, dict[str, float]]


def sample_configs(
    formats: Formats,
    gate_zeros: bool,
    network: NetworkShape,
    *,
    patches: bool = False,
    protection: str = "none",
) -> Iterator[AcceleratorConfig]:
    """Yield the configurations of a family's samples."""
    for (rows, columns, lanes, other), (voxels_per_beat, factor) in zip(
        SAMPLES, VOXELS, strict=True
    ):
        networks = [network] if other is None else [network, NETWORKS[other]]
        config = AcceleratorConfig.sized(
            rows, columns, formats, networks, gate_zeros=gate_zeros, protection=protection
        )
        config = replace(config, lanes=lanes)
        if patches:
            outputs = min(max(2, network.outputs) * factor, MAX_OUTPUTS)
            config = replace(config, outputs=outputs, voxels_per_beat=voxels_per_beat)
        yield config


def sample_of(design: asic.Design, program: Program | None) -> Sample:
    """Return the area and, with a program, the power of a mapped design."""
    shares = {block: {AREA: area} for block, area in design.block_areas.items()}
    if program is not None:
        for block, powers in powers_of(design, program).items():
            shares[block] |= powers
    return Sample(design.config, banks(design.config, design.target, design.period_ns), shares)


def powers_of(design: asic.Design, program: Program) -> dict[str, dict[str, float]]:
    """Return shares of the power of each block at ``CLOCK_MHZ``, from a gate-level decode.

    They are cached: an interrupted characterization resumes at the next sample.
    """
    inputs = {
        "modules": [module.folder.name for module in design.modules.values()],
        "macros": [
            macro.liberty for memory in design.memories.values() for macro in memory.macros.values()
        ],
        "program": program.digest,
        "code": source_digest(*FLOW),
    }

    def compute() -> dict:
        found = energy.simulate(design, program)
        return energy.summary(design, program, found, CLOCK_MHZ)["power_blocks"]

    blocks = cached_json("powers", inputs, compute)
    return {block: {share: powers[share] for share in POWERS} for block, powers in blocks.items()}
