import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.sim import Simulator

from implicore.hw.pipeline import delay_line, enabled_register


def run(m, bench):
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("cycles", [0, 1, 4])
def test_delay_line(cycles):
    m, value = Module(), Signal(8)
    m.d.sync += Signal().eq(0)  # a clock even without a register
    delayed = delay_line(m, value, cycles, name="delayed")
    values = np.random.default_rng(0).integers(0, 256, 50).tolist()
    seen = []

    async def bench(ctx):
        for number in values:
            ctx.set(value, number)
            seen.append(ctx.get(delayed))
            await ctx.tick()

    run(m, bench)
    assert seen[cycles:] == values[: len(values) - cycles]


def test_enabled_register():
    m, value, enable = Module(), Signal(8), Signal()
    register = enabled_register(m, value, enable, name="register")
    rng = np.random.default_rng(0)

    async def bench(ctx):
        expected = 0
        for number, enabled in zip(rng.integers(0, 256, 50), rng.integers(0, 2, 50), strict=True):
            ctx.set(value, int(number))
            ctx.set(enable, int(enabled))
            await ctx.tick()
            expected = int(number) if enabled else expected
            assert ctx.get(register) == expected

    run(m, bench)
