"""What docs/dft.md promises to a scan tool, checked on the generated Verilog."""

import json

import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.process import ToolFailed
from implicore.sim import simulators
from implicore.synth import yosys

CONFIGS = {
    "voxels": AcceleratorConfig.sized(2, 3, Formats.parse("w4a5m2t12"), [NetworkShape(5, 7, 3)]),
    "patches": AcceleratorConfig.sized(
        3, 2, Formats.parse("w4a4"), [NetworkShape(3, 5, 2, outputs=6)], gate_zeros=True
    ),
}
FLIP_FLOPS = {"$dff", "$dffe", "$sdff", "$sdffe", "$sdffce"}
"""Yosys' flip-flops that are neither latches nor set or reset asynchronously."""


def states(sources, folder):
    """The states of the flattened accelerator: type, clock bits, edge; and the bit of ``clk``.

    ``check`` fails for a combinational loop.
    """
    files = " ".join(map(str, sources))
    yosys.yosys(
        f"read_verilog {files}\nhierarchy -check -top implicore\nproc\nflatten\n"
        "check -assert\nmemory_collect\nopt_clean\nwrite_json flat.json\n",
        folder,
    )
    module = json.loads((folder / "flat.json").read_text())["modules"]["implicore"]
    found = set()
    for cell in module["cells"].values():
        kind, pins, parameters = cell["type"], cell["connections"], cell["parameters"]
        if kind.startswith("$mem"):
            ports = int(parameters["WR_PORTS"], 2)  # a ROM has none
            edges = zip(
                pins["WR_CLK"][:ports], parameters["WR_CLK_POLARITY"][-ports:], strict=False
            )
            found |= {("memory", clock, edge) for clock, edge in edges}
        elif "ff" in kind or "latch" in kind or kind == "$sr":
            clock = pins.get("CLK", ["none"])[0]
            found.add((kind, clock, parameters.get("CLK_POLARITY", "")[-1:]))
    return found, module["ports"]["clk"]["bits"][0]


def clean(found, clk) -> bool:
    """Whether all states are flip-flops and memories at the rising edge of the clock."""
    kinds = {kind for kind, _, _ in found}
    return kinds <= FLIP_FLOPS | {"memory"} and {state[1:] for state in found} == {(clk, "1")}


@pytest.mark.parametrize("name", CONFIGS)
def test_one_clock_and_neither_latch_nor_loop_nor_asynchronous_reset(name, tmp_path):
    found, clk = states(simulators.verilog(CONFIGS[name]), tmp_path)
    assert clean(found, clk), found
    assert ("memory", clk, "1") in found


FAULTS = {
    "latch": "always @* if (rst) fault = s_axi_bready;",
    "falling edge": "always @(negedge clk) fault <= s_axi_bready;",
    "derived clock": "always @(posedge s_axi_bready) fault <= rst;",
    "asynchronous reset": "always @(posedge clk, posedge rst)\n"
    "  if (rst) fault <= 0; else fault <= s_axi_bready;",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(fault, tmp_path):
    logic, memories = simulators.verilog(CONFIGS["voxels"])
    broken = tmp_path / "broken.v"
    added = f"(* keep *) reg fault;\n{FAULTS[fault]}\nendmodule\n"
    broken.write_text(logic.read_text().replace("endmodule\n", added, 1))
    assert not clean(*states([broken, memories], tmp_path))


def test_loop_is_found(tmp_path):
    logic, memories = simulators.verilog(CONFIGS["voxels"])
    broken = tmp_path / "broken.v"
    added = "wire fault = ~fault & rst;\nendmodule\n"
    broken.write_text(logic.read_text().replace("endmodule\n", added, 1))
    with pytest.raises(ToolFailed, match="found logic loop in module implicore"):
        states([broken, memories], tmp_path)
