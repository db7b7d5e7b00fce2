"""Unit costs of a family of accelerators, fitted to a few synthesized ones.

A family shares target, formats, zero gating, and whether a point may have several voxels. A few
small accelerators of it go through the flow of ``implicore.synth`` (``samples``): they are mapped,
timed and, with a program, simulated at gate level. Area, power and leakage of each block are then
written as sums of regressors (``regressors``) times non-negative unit costs (``fitting``). SRAM
macros and how often they are accessed are known exactly and not fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from implicore.accelerator_config import AcceleratorConfig
from implicore.cache import cached_json
from implicore.digest import json_digest, source_digest
from implicore.errors import BadInput
from implicore.network_shape import NetworkShape
from implicore.program import Program

from .. import asic, yosys
from ..target import Target
from .fitting import fit_clock, fit_samples
from .samples import FLOW, sample_configs, sample_of, stand_in


@dataclass(frozen=True, eq=False)
class UnitCosts:
    """Unit costs and delays of all accelerators of a family.

    Attributes
    ----------
    family : str
    key : str
        Digest of everything that the unit costs depend on: equal keys, equal unit costs.
    target : Target
    network : NetworkShape or None
        The network of the program whose activity the power comes from; None without a program.
    period_ns : float
        Clock period that modules are mapped for and memories chosen for.
    pe_area_um2, pe_period_ns : float
        Area of a processing element; minimum period of the paths between its registers.
    by_block : dict of str to dict of str to tuple of float
        Unit costs by block and share, in the order of the regressors; power in pJ per cycle,
        leakage in mW.
    after_access_ns : tuple of float
        Delay from a macro's data output to the next register, setup included: a constant, and an
        increment for each doubling of the tiles in depth. The sum is at least 0.
    logic_period_ns : float
        The longest path that begins neither in a memory nor in a processing element.
    """

    family: str
    key: str
    target: Target
    network: NetworkShape | None
    period_ns: float
    pe_area_um2: float
    pe_period_ns: float
    by_block: dict[str, dict[str, tuple[float, ...]]]
    after_access_ns: tuple[float, float]
    logic_period_ns: float

    def __eq__(self, other):
        return isinstance(other, UnitCosts) and self.key == other.key

    def __hash__(self):
        return hash(self.key)


def family(config: AcceleratorConfig, target: Target) -> str:
    """Return the name of the family that a configuration belongs to on a target."""
    protected = config.protection != "none"
    kinds = {
        "gated": config.gate_zeros,
        "patches": config.outputs > 1,
        config.protection: protected,
    }
    return " ".join([target.name, str(config.formats), *(kind for kind in kinds if kinds[kind])])


def characterize(
    config: AcceleratorConfig,
    target: Target,
    program: Program | None = None,
    *,
    report: Callable[[str], None] = lambda line: None,
) -> UnitCosts:
    """Return the unit costs of a configuration's family, from the cache if they are there.

    Parameters
    ----------
    config : AcceleratorConfig
        Any configuration of the family.
    target : Target
    program : Program, optional
        A program of the family's formats. Its decode gives the activity. Without one, there are
        unit costs of area only.
    report : function of a line
        Called at the beginning of each sample: a family takes minutes.

    Raises
    ------
    BadInput
        The program has other formats, or a tool is missing.
    """
    if program is not None and program.formats != config.formats:
        raise BadInput(
            f"The program's formats are {program.formats} and the accelerator's {config.formats}: "
            f"compile the model with --formats {config.formats}."
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
    network = None if program is None else program.shape
    return UnitCosts(name, key, target, network, **_tuples(fitted))


def _tuples(value):
    """Convert the lists in a value read from JSON back to tuples."""
    if isinstance(value, dict):
        return {name: _tuples(entry) for name, entry in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _characterize(config, target, program, report) -> dict:
    """Synthesize the samples and return the fitted fields of ``UnitCosts``."""
    name = family(config, target)
    network = stand_in(config) if program is None else program.shape
    samples, designs = [], []
    for sampled in sample_configs(
        config.formats,
        config.gate_zeros,
        network,
        patches=config.outputs > 1,
        protection=config.protection,
    ):
        report(f"{name}: {sampled.rows} x {sampled.columns}")
        design = asic.map_accelerator(sampled, target)
        samples.append(sample_of(design, program))
        designs.append(design)
    return {
        "period_ns": designs[0].period_ns,
        "pe_area_um2": designs[0].modules[asic.PE].area_um2,
        "by_block": fit_samples(samples, None if program is None else network),
        **fit_clock(designs),
    }
