"""Sets of AXI ports."""

import json
import re
from collections import deque
from dataclasses import replace

import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from implicore.accelerator_config import ACCELERATORS, AcceleratorConfig
from implicore.formats import Formats
from implicore.hw.accelerator import Accelerator
from implicore.hw.axi import axi_lite, axi_stream_sink, axi_stream_source, connect, opposite, peer
from implicore.network_shape import NetworkShape
from implicore.sim import simulators
from implicore.synth.yosys import yosys


class Ends(wiring.Component):
    """A manager's and a subordinate's ends, which nothing drives but a test."""

    def __init__(self, ports):
        super().__init__(ports)

    def elaborate(self, platform):
        return Module()


def test_a_stream_source_drives_data_and_takes_ready():
    flows = {name: port.flow for name, port in axi_stream_source("m_axis_x", 5).items()}
    assert flows == {
        "m_axis_x_tdata": Out,
        "m_axis_x_tvalid": Out,
        "m_axis_x_tready": In,
        "m_axis_x_tlast": Out,
    }


def test_the_peer_of_a_peer_is_the_port_set_itself():
    ports = {**axi_lite("s_axi"), **axi_stream_source("m_axis_voxels", 16)}
    assert peer(peer(ports)) == ports
    assert peer(axi_stream_sink("s_axis_x", 3)) == axi_stream_source("m_axis_x", 3)
    assert peer(ports).keys().isdisjoint(ports)


def test_connected_ports_have_equal_values_in_both_directions():
    ports = {**axi_lite("s_axi"), **axi_stream_source("m_axis_voxels", 16)}
    subordinate, manager = Ends(ports), Ends(peer(ports))
    m = Module()
    m.submodules += [subordinate, manager]
    m.d.comb += connect(subordinate, manager, ports, opposite)

    async def bench(ctx):
        for name, port in ports.items():
            here, there = getattr(subordinate, name), getattr(manager, opposite(name))
            driver, driven = (here, there) if port.flow is Out else (there, here)
            ctx.set(driver, 1)
            assert ctx.get(driven) == 1
            ctx.set(driver, 0)
            assert ctx.get(driven) == 0

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


def test_the_accelerator_has_one_name_for_each_axi_port():
    accelerator = Accelerator(ACCELERATORS["tiny"])
    names = [name for name in accelerator.signature.members if name != "irq"]
    assert len(names) == 19 + 3 * 4
    assert all(name.startswith(("s_axi_", "s_axis_", "m_axis_")) for name in names)


FORMATS = Formats.parse("w8a8m3")
SHAPES = [NetworkShape(3, 5, 3, (2,)), NetworkShape(2, 4, 2, outputs=7)]
CONFIGS = {
    "tiny": ACCELERATORS["tiny"],
    "odd": AcceleratorConfig.sized(3, 2, FORMATS, SHAPES[:1], gate_zeros=True),
    "patches": replace(AcceleratorConfig.sized(3, 5, FORMATS, SHAPES), voxels_per_beat=4),
}

REGISTER = re.compile(r"\$(s|a|al)?dff(e|ce|sr|sre)?")


def combinational_paths(sources, folder) -> set[tuple[str, str]]:
    """Return the pairs of an input and an output port that a combinational path connects.

    Registers and the write ports of memories end a path. A read port is combinational: where its
    data are registered, the register is a cell of its own.
    """
    for path in sources:
        (folder / path.name).write_text(path.read_text())
    files = " ".join(path.name for path in sources)
    yosys(
        f"read_verilog {files}\nhierarchy -check -top implicore\nproc\nflatten\nopt_clean\n"
        "write_json netlist.json\n",
        folder,
    )
    top = json.loads((folder / "netlist.json").read_text())["modules"]["implicore"]
    driven_by = {}  # the bits that each bit depends on
    for cell in top["cells"].values():
        if REGISTER.fullmatch(cell["type"]) or cell["type"] == "$memwr_v2":
            continue
        bits = {"input": [], "output": []}
        for name, connected in cell["connections"].items():
            bits[cell["port_directions"][name]] += connected
        for bit in bits["output"]:
            driven_by[bit] = bits["input"]
    inputs = {
        bit: name
        for name, port in top["ports"].items()
        if port["direction"] == "input" and name != "clk"
        for bit in port["bits"]
    }
    found = set()
    for name, port in top["ports"].items():
        if port["direction"] == "output":
            queue, seen = deque(port["bits"]), set()
            while queue:
                bit = queue.popleft()
                if bit in seen:
                    continue
                seen.add(bit)
                if bit in inputs:
                    found.add((inputs[bit], name))
                queue += driven_by.get(bit, ())
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_no_combinational_path_from_an_input_to_an_output(name, tmp_path):
    assert combinational_paths(simulators.verilog(CONFIGS[name]), tmp_path) == set()


def test_a_combinational_path_is_found(tmp_path):
    """Through gates, and through the address of a memory."""
    sources = []
    for path in simulators.verilog(CONFIGS["tiny"]):
        text = path.read_text()
        port = "  assign m_axis_voxels_tvalid = "
        wrong = "  reg [3:0] table_ [3:0];\n  assign irq = table_[s_axis_points_tdata[1:0]][2];\n"
        text = text.replace(".interrupt(irq)", ".interrupt()")
        text = text.replace(port, f"{wrong}{port}m_axis_voxels_tready & ")
        sources.append(tmp_path / path.name)
        sources[-1].write_text(text)
    (tmp_path / "yosys").mkdir()
    assert combinational_paths(sources, tmp_path / "yosys") == {
        ("m_axis_voxels_tready", "m_axis_voxels_tvalid"),
        ("s_axis_points_tdata", "irq"),
    }
