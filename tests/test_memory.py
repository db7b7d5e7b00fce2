import pytest
from amaranth.sim import Simulator

from benches import feed_forward
from benches.in_amaranth import run, smallest_config
from implicore.hw.memory import Ram, Rom, address_bits


@pytest.mark.parametrize("depth", [1, 2, 5, 32])
def test_ram(depth):
    ram = Ram("weights", depth, 9)
    run(feed_forward.ram_features, ram, smallest_config("w8a8"), depth)


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
