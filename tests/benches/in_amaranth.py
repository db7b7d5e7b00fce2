"""Benches on components in Amaranth's simulator."""

from __future__ import annotations

from collections.abc import Callable

from amaranth.lib import wiring
from amaranth.sim import Simulator

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.hw.verilog.ports import ports_of
from implicore.network_shape import NetworkShape

from .ports import Ports, signed

MOST_CYCLES = 100_000
"""Cycles after which a bench fails: as many as under cocotb."""


class AmaranthPorts(Ports):
    """The ports of a component in Amaranth's simulator; ``ctx`` is the testbench's context."""

    def __init__(self, ctx, component: wiring.Component, config: AcceleratorConfig, seed: int):
        super().__init__(config, seed)
        self.ctx = ctx
        self._cycle = 0
        self._values = {port.name: value for port, value in ports_of(component).items()}
        self._widths = {name: len(value) for name, value in self._values.items()}
        self._signed = {name for name, value in self._values.items() if value.shape().signed}

    def width(self, name):
        return self._widths[name]

    def write(self, name, value):
        if name in self._signed:
            value = signed(value, self._widths[name])
        self.ctx.set(self._values[name], value)

    def get_bits(self, name, low, width):
        return self.ctx.get(self._values[name]) >> low & ((1 << width) - 1)

    async def settle(self):
        pass  # reading a signal waits for it

    async def tick(self):
        self._cycle += 1
        assert self._cycle < MOST_CYCLES, "the component hangs"
        await self.ctx.tick()


def smallest_config(formats: str, *, gate_zeros: bool = False) -> AcceleratorConfig:
    """Return a configuration for a component that depends on nothing but these."""
    shape = NetworkShape(frequencies=1, width=1, depth=1)
    return AcceleratorConfig.sized(1, 1, Formats.parse(formats), [shape], gate_zeros=gate_zeros)


def run(
    bench: Callable,
    component: wiring.Component,
    config: AcceleratorConfig,
    *arguments,
    seed: int = 0,
    **options,
) -> object:
    """Run a bench on a component of a configuration, and return its result.

    What follows the configuration is passed on to the bench.
    """
    result = None

    async def testbench(ctx):
        nonlocal result
        result = await bench(AmaranthPorts(ctx, component, config, seed), *arguments, **options)

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return result
