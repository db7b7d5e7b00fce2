"""Components of the generated Verilog in one design, so that one build serves all their benches."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from implicore.accelerator_config import AcceleratorConfig
from implicore.cache import cached
from implicore.sim import cosim, simulators

TOP = "implicore_components"
BENCHED = (
    *("processing_element", "array_row", "requantizer", "sin_cos_table"),
    *("ram_features", "word_decoder", "column_unit", "row_unit"),
    *("coordinate_generator", "fourier_mapper", "voxel_buffer", "program_loader"),
    *("voxel_bank", "voxel_reader", "voxel_packer"),
    *("sequencer", "control_registers", "core"),
)
"""Modules, without their common prefix; each has one bench of its name."""


def benched(config: AcceleratorConfig) -> list[str]:
    """Return the modules of ``BENCHED`` that a configuration has."""
    several, packed = config.outputs > 1, config.voxels_per_beat > 1
    absent = {"voxel_buffer"} if several else {"voxel_bank", "voxel_reader"}
    if not packed:
        absent.add("voxel_packer")
    if config.protection == "none":
        absent.add("word_decoder")
    return [name for name in BENCHED if name not in absent]


def wrapper(verilog: str, modules: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """Return a module that holds the named modules.

    It has the ports of all of them, prefixed with the module's name and ``__``. Clock and reset are
    common to all. While the port ``fault`` is n, the lowest bit of the n-th output, counted from 1,
    is inverted.

    Parameters
    ----------
    verilog : str
        What the modules are declared in.
    modules : sequence of str
        Their names, without the prefix.

    Returns
    -------
    str
        The module.
    list of str, list of str
        Its inputs and its outputs, without clock, reset and fault.
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
    """Run the bench of every component on a configuration's Verilog, or of ``only`` one.

    Returns the number of benches. Raises ToolFailed if one fails.
    """
    return _run(config, simulator, seed, "in_cocotb", only)


def bench_faults(
    config: AcceleratorConfig, simulator: Literal["icarus", "verilator"], seed: int
) -> int:
    """Run, for each output, the bench of its component with that output wrong.

    Returns the number of outputs. Raises ToolFailed if a bench passes.
    """
    return _run(config, simulator, seed, "faults")


def _run(config, simulator, seed, module, only=None) -> int:
    sources = simulators.verilog(config)
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    whole, inputs, outputs = wrapper(text, benched(config))

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
    modules = [f"{__package__}.{module}"]
    return machine.bench(modules, only=only, seed=seed, environment=environment)
