"""The sidecar: a machine-readable description of the generated hardware, in JSON."""

from __future__ import annotations

from dataclasses import asdict

from implicore import __version__
from implicore.accelerator_config import AcceleratorConfig
from implicore.registers import REGISTERS, addresses

from ..accelerator import Accelerator
from .hierarchy import Hierarchy
from .memories import memory_entry
from .ports import Port, ports_of

CLOCK_AND_RESET = (Port("clk", 1, "input"), Port("rst", 1, "input"))


def sidecar(accelerator: Accelerator, hierarchy: Hierarchy) -> dict:
    """Return configuration, ports, memories, modules and registers of a generated accelerator.

    Parameters
    ----------
    accelerator : Accelerator
    hierarchy : Hierarchy
        The hierarchy made from the accelerator.
    """
    config: AcceleratorConfig = accelerator.config
    instances = hierarchy.instances()
    return {
        "version": __version__,
        "configuration": config.to_dict(),
        "digest": f"{config.digest:08x}",
        "ports": [asdict(port) for port in (*CLOCK_AND_RESET, *ports_of(accelerator))],
        "memories": [
            memory_entry(name, ram, instances[name]) for name, ram in hierarchy.rams.items()
        ],
        "modules": instances,
        "registers": [
            {**asdict(register), "address": addresses()[register.name]} for register in REGISTERS
        ],
    }
