import numpy as np
import pytest
from amaranth.sim import Simulator

from implicore.hw.memory import Ram, Rom, address_bits


def run(component, bench):
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("depth", [1, 2, 5, 32])
def test_ram(depth):
    ram = Ram("weights", depth, 9)
    rng = np.random.default_rng(depth)
    words = [0] * depth

    async def bench(ctx):
        shown = 0
        for _ in range(200):
            write, read = rng.integers(0, 2, 2)
            to, at, value = (int(v) for v in rng.integers(0, (depth, depth, 512)))
            if to == at:
                read = 0
            ctx.set(ram.write_enable, int(write))
            ctx.set(ram.write_address, to)
            ctx.set(ram.write_data, value)
            ctx.set(ram.read_enable, int(read))
            ctx.set(ram.read_address, at)
            await ctx.tick()
            if read:
                shown = words[at]
            if write:
                words[to] = value
            assert ctx.get(ram.read_data) == shown  # held while read_enable is low

    run(ram, bench)


def test_rom():
    rom = Rom([3, 1, 4, 1, 5], 3)

    async def bench(ctx):
        for address, word in enumerate(rom.words):
            ctx.set(rom.address, address)
            assert ctx.get(rom.data) == word

    simulator = Simulator(rom)
    simulator.add_testbench(bench)
    simulator.run()


def test_address_bits():
    assert [address_bits(depth) for depth in (1, 2, 3, 4, 5, 256, 257)] == [1, 1, 2, 2, 3, 8, 9]
