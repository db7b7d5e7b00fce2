"""Sets of AXI ports."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from implicore.accelerator_config import ACCELERATORS
from implicore.hw.accelerator import Accelerator
from implicore.hw.axi import axi_lite, axi_stream_sink, axi_stream_source, connect, opposite, peer


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
