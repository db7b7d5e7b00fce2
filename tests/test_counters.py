import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.sim import Simulator

from implicore.hw import counters


@pytest.mark.parametrize(("bits", "amount_bits"), [(1, 0), (7, 0), (9, 0), (9, 3), (8, 5), (3, 3)])
def test_totals(bits, amount_bits, monkeypatch):
    """Sums that overflow every part, and the counter itself, again and again."""
    monkeypatch.setattr(counters, "PART", 2)
    rng = np.random.default_rng(1)
    m = Module()
    total, when, clear = Signal(bits), Signal(), Signal()
    amount = Signal(amount_bits) if amount_bits else 1
    counters.tally(m, total, when, amount, clear)

    async def bench(ctx):
        expected = 0
        for _ in range(300):
            for _ in range(int(rng.integers(1, 20))):
                now = int(rng.random() < 0.8)
                add = int(rng.integers(1, 1 << amount_bits)) if amount_bits else 1
                ctx.set(when, now)
                if amount_bits:
                    ctx.set(amount, add)
                await ctx.tick()
                expected += now * add
                assert amount_bits or ctx.get(total) == expected % (1 << bits)
            ctx.set(when, 0)
            await ctx.tick()
            assert ctx.get(total) == expected % (1 << bits)
            if rng.random() < 0.1:
                ctx.set(clear, 1)
                await ctx.tick()
                ctx.set(clear, 0)
                expected = 0

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_saturating_total():
    rng = np.random.default_rng(2)
    m = Module()
    total, amount, clear = Signal(5), Signal(2), Signal()
    counters.saturating_tally(m, total, amount, clear)

    async def bench(ctx):
        expected = 0
        for _ in range(1000):
            add, cleared = int(rng.integers(4)), int(rng.random() < 0.03)
            ctx.set(amount, add)
            ctx.set(clear, cleared)
            await ctx.tick()
            expected = 0 if cleared else min(31, expected + add)
            assert ctx.get(total) == expected

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
