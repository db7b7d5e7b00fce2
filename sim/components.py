"""Components of the generated Verilog side by side in one module, so that one build benches all."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from implicore.accelerator_config import AcceleratorConfig
from implicore.cache import cached

from . import cosim, simulators

TOP = "implicore_components"
BENCHED = (
    *("processing_element", "array_row", "requantizer", "sin_cos_table"),
    *("ram_features", "column_unit", "row_unit"),
    *("coordinate_generator", "fourier_mapper", "voxel_buffer", "program_loader"),
    *("sequencer", "control_registers", "core"),
)
"""Modules, less their common prefix; each has one bench of its name."""

BENCHES = ("component_bench", "stream_bench", "control_bench")


def wrapper(verilog: str, modules: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """A module with the named modules' ports, each with its module's name and ``__`` before it.

    Clock and reset are common to all. While the port ``fault`` is n, the lowest bit of the n-th
    output, counted from 1, is wrong.

    Returns
    -------
    str
        The module.
    list of str, list of str
        Its inputs and outputs, less clock, reset and fault.
    """
    inputs, outputs, ports, body = [], [], [], []
    for name in modules:
        text = re.search(
            rf"^module implicore_{name} *\(.*?^endmodule", verilog, re.M | re.S
        ).group()
        declared = re.findall(r"^ +(input|output)(?: reg)? (\[\d+:0\] )?(\w+)[;,]?$", text, re.M)
        connections = []
        for direction, width, port in declared:
            outer = inner = f"{name}__{port}"
            if port in ("clk", "rst"):
                inner = port
            elif direction == "input":
                inputs.append(outer)
            else:
                outputs.append(outer)
                inner = f"{outer}__right"
                body.append(f"  wire {width}{inner};\n")
                body.append(f"  assign {outer} = {inner} ^ (fault == {len(outputs)});\n")
            if port not in ("clk", "rst"):
                ports.append(f"  {direction} wire {width}{outer}")
            connections.append(f"    .{port}({inner})")
        body.append(f"  implicore_{name} {name} (\n" + ",\n".join(connections) + "\n  );\n")
    common = ["  input wire clk", "  input wire rst", "  input wire [15:0] fault"]
    head = f"module {TOP} (\n" + ",\n".join(common + ports) + "\n);\n"
    return head + "".join(body) + "endmodule\n", inputs, outputs


def bench(
    config: AcceleratorConfig,
    simulator: Literal["icarus", "verilator"],
    seed: int,
    *,
    only: str | None = None,
) -> int:
    """Run every component's bench on a configuration's Verilog; the number of benches.

    With ``only``, one of ``BENCHED``, that one alone. Raises ToolFailed if one fails.
    """
    return _run(config, simulator, seed, BENCHES, only)


def bench_faults(
    config: AcceleratorConfig, simulator: Literal["icarus", "verilator"], seed: int
) -> int:
    """Run the bench of its component for each output with that output wrong; their number.

    Raises ToolFailed if a bench does not notice.
    """
    return _run(config, simulator, seed, ["fault_bench"])


def _run(config, simulator, seed, modules, only=None) -> int:
    sources = simulators.verilog(config)
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    whole, inputs, outputs = wrapper(text, BENCHED)

    def make(folder: Path) -> None:
        (folder / f"{TOP}.v").write_text(whole, encoding="utf-8")

    folder = cached("components", whole, make)
    sources = [*sources, folder / f"{TOP}.v"]
    machine = cosim.build(config, simulator, sources=sources, toplevel=TOP, optimize=False)
    environment = {
        "IMPLICORE_CONFIG": json.dumps(config.to_dict()),
        "IMPLICORE_INPUTS": " ".join(inputs),
        "IMPLICORE_OUTPUTS": " ".join(outputs),
    }
    modules = [f"implicore.sim.{module}" for module in modules]
    return machine.bench(modules, only=only, seed=seed, environment=environment)
