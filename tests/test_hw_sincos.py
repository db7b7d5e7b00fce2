import numpy as np
import pytest
from amaranth.sim import Simulator

from implicore.hw.sincos import SinCosTable
from implicore.sincos import SineTable


def read(table: SinCosTable, phases, cosine: int) -> list[int]:
    got = []

    async def bench(ctx):
        ctx.set(table.cosine, cosine)
        for cycle in range(len(phases) + table.latency):
            ctx.set(table.phase, int(phases[min(cycle, len(phases) - 1)]))
            if cycle >= table.latency:
                got.append(ctx.get(table.value))
            await ctx.tick()

    simulator = Simulator(table)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return got


@pytest.mark.parametrize("address_bits", range(6, 15))
@pytest.mark.parametrize("output_bits", [4, 8, 12, 16])
def test_every_phase(address_bits, output_bits):
    table = SinCosTable(address_bits, output_bits)
    golden = SineTable(address_bits, output_bits)
    phases = np.arange(1 << address_bits)
    # Unit in the last place of the exact sine, at the middle of each phase's interval.
    turns = 2 * np.pi * (phases + 0.5) / (1 << address_bits)
    amplitude = 1 << output_bits - 1
    for cosine, expected, exact in (
        (0, golden.sines, np.sin(turns)),
        (1, golden.cosines, np.cos(turns)),
    ):
        got = read(table, phases, cosine)
        assert got == expected.tolist()
        assert np.abs(np.array(got) + 0.5 - amplitude - amplitude * exact).max() <= 1


@pytest.mark.parametrize("output_bits", [8, 12, 16])
@pytest.mark.parametrize("address_bits", range(6, 15))
def test_storage(address_bits, output_bits):
    bits = SineTable(address_bits, output_bits).storage_bits
    quarter_wave = (1 << address_bits - 2) * (output_bits - 1)
    assert bits == quarter_wave if address_bits < 12 else bits < 0.6 * quarter_wave
