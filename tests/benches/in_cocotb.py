"""Benches on components of the generated Verilog, under cocotb: a test for each component.

``verilog`` builds the design, which holds all of them, and runs this module in a simulator.
"""

import json
import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from implicore.accelerator_config import AcceleratorConfig

from . import control, feed_forward, registers, streams
from .ports import Ports

CONFIG = AcceleratorConfig.from_dict(json.loads(os.environ["IMPLICORE_CONFIG"]))
INPUTS = os.environ["IMPLICORE_INPUTS"].split()
"""The inputs of all components."""

RESET_CYCLES = 3

BENCHES = {
    bench.__name__: bench
    for bench in (
        feed_forward.processing_element,
        feed_forward.array_row,
        feed_forward.requantizer,
        feed_forward.sin_cos_table,
        feed_forward.ram_features,
        feed_forward.word_decoder,
        feed_forward.column_unit,
        feed_forward.row_unit,
        feed_forward.voxel_bank,
        streams.coordinate_generator,
        streams.fourier_mapper,
        streams.voxel_buffer,
        streams.voxel_reader,
        streams.voxel_packer,
        streams.program_loader,
        control.sequencer,
        control.core,
        registers.control_registers,
    )
}
"""Benches by the module's name without its prefix."""


class CocotbPorts(Ports):
    """The ports of one component of the design ``dut``. The clock is low while they are set."""

    def __init__(self, dut, component: str):
        super().__init__(CONFIG, random.getrandbits(64))  # which cocotb has seeded
        self.dut = dut
        self._component = component
        self._handles = {}

    def _handle(self, name):
        if name not in self._handles:
            self._handles[name] = getattr(self.dut, f"{self._component}__{name}")
        return self._handles[name]

    async def reset(self, fault: int = 0) -> None:
        """Start the clock and reset, with all inputs 0; ``fault`` as in ``verilog.wrapper``."""
        Clock(self.dut.clk, 10, "ns").start()
        self.dut.rst.value, self.dut.fault.value = 1, fault
        for name in INPUTS:
            getattr(self.dut, name).value = 0
        for _ in range(RESET_CYCLES):
            await self.tick()
        self.dut.rst.value = 0

    def width(self, name):
        return len(self._handle(name))

    def write(self, name, value):
        self._handle(name).value = value

    def get(self, name):
        return int(self._handle(name).value)

    def get_bits(self, name, low, width):
        return int(self._handle(name).value[low + width - 1 : low])

    async def settle(self):
        await ReadOnly()

    async def tick(self):
        await FallingEdge(self.dut.clk)


async def run(dut, component: str, fault: int = 0) -> None:
    """Reset the design and run the bench of a component."""
    ports = CocotbPorts(dut, component)
    await ports.reset(fault)
    await BENCHES[component](ports)


def _test(component: str):
    async def test(dut):
        await run(dut, component)

    test.__doc__ = BENCHES[component].__doc__
    # 100,000 cycles.
    return cocotb.test(timeout_time=1, timeout_unit="ms", name=component)(test)


COMPONENTS = {name.partition("__")[0] for name in INPUTS}
globals().update({component: _test(component) for component in BENCHES if component in COMPONENTS})
