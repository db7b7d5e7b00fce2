"""Components of the generated Verilog side by side in one module, so that one build benches all."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from implicore.machine import AcceleratorConfig

from . import cosim, simulators
from .tools import cached

TOP = "implicore_components"
BENCHED = (
    *("processing_element", "array_row", "requantizer", "sin_cos_table"),
    *("coordinate_generator", "fourier_mapper", "column_unit", "ram_features"),
)


def wrapper(verilog: str, modules: Sequence[str]) -> str:
    """A module with the named modules' ports, each with its module's name and ``__`` before it.

    Clock and reset are common to all.
    """
    ports, instances = {}, []
    for name in modules:
        text = re.search(
            rf"^module implicore_{name} *\(.*?^endmodule", verilog, re.M | re.S
        ).group()
        declared = re.findall(r"^ +(input|output)(?: reg)? (\[\d+:0\] )?(\w+)[;,]?$", text, re.M)
        connections = []
        for direction, width, port in declared:
            outer = port if port in ("clk", "rst") else f"{name}__{port}"
            ports[outer] = f"  {direction} wire {width}{outer}"
            connections.append(f"    .{port}({outer})")
        body = ",\n".join(connections)
        instances.append(f"  implicore_{name} {name} (\n{body}\n  );\n")
    return (
        f"module {TOP} (\n"
        + ",\n".join(ports.values())
        + "\n);\n"
        + "".join(instances)
        + "endmodule\n"
    )


def bench(config: AcceleratorConfig, simulator: Literal["icarus", "verilator"], seed: int) -> int:
    """Run every component's bench on a configuration's Verilog; the number of benches.

    Raises ToolFailed if one fails.
    """
    sources = simulators.verilog(config)
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    whole = wrapper(text, BENCHED)

    def make(folder: Path) -> None:
        (folder / f"{TOP}.v").write_text(whole, encoding="utf-8")

    folder = cached("components", whole, make)
    machine = cosim.build(config, simulator, sources=[*sources, folder / f"{TOP}.v"], toplevel=TOP)
    environment = {"IMPLICORE_CONFIG": json.dumps(config.to_dict())}
    return machine.bench("implicore.sim.component_bench", seed=seed, environment=environment)
