import numpy as np
import pytest
from amaranth.sim import Simulator

from implicore.formats import Formats
from implicore.hw.processing_element import ProcessingElement


@pytest.mark.parametrize("gate_zeros", [False, True])
@pytest.mark.parametrize("formats", ["w4a4", "w8a12", "w16a16c40"])
def test_dot_products_follow_each_other_without_a_gap(formats, gate_zeros):
    formats = Formats.parse(formats)
    element = ProcessingElement(formats, gate_zeros=gate_zeros)
    rng = np.random.default_rng(0)
    half = 1 << formats.weight_bits - 1
    lengths = rng.integers(1, 9, 60)
    weights = rng.integers(-half, half, lengths.sum())
    activations = rng.integers(0, formats.activation_max + 1, lengths.sum())
    activations[rng.random(lengths.sum()) < 0.4] = 0
    weights[:8], activations[:8] = -half, formats.activation_max
    ends = np.cumsum(lengths) - 1
    starts = ends - lengths + 1
    expected = [
        int(weights[a : b + 1] @ activations[a : b + 1]) for a, b in zip(starts, ends, strict=True)
    ]
    got = []

    async def bench(ctx):
        for cycle in range(-2, lengths.sum() + element.LATENCY):
            there = 0 <= cycle < lengths.sum()
            ctx.set(element.weight_in, int(weights[cycle]) if there else 0)
            ctx.set(element.activation_in, int(activations[cycle]) if there else 0)
            done = cycle - element.LATENCY in ends
            # Before the first product arrives `done` clears what the sum held.
            ctx.set(element.done, done or cycle < element.LATENCY)
            if done:
                empty = gate_zeros and ctx.get(element.empty)
                got.append(0 if empty else ctx.get(element.sum))
            if there and cycle:
                assert ctx.get(element.weight_out) == weights[cycle - 1]
                assert ctx.get(element.activation_out) == activations[cycle - 1]
            await ctx.tick()

    simulator = Simulator(element)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert got == expected


def test_a_zero_activation_leaves_the_sum_as_it_is():
    element = ProcessingElement(Formats(8, 8), gate_zeros=True)
    steps = [
        (3, 5),
        (7, 0),
        (-9, 0),
        (2, 6),
        (1, 0),
        (5, 0),
        (5, 0),
        (5, 0),
        (4, 1),
        (0, 0),
        (0, 0),
    ]
    seen = []

    async def bench(ctx):
        for number, (weight, activation) in enumerate(steps):
            ctx.set(element.weight_in, weight)
            ctx.set(element.activation_in, activation)
            ctx.set(element.done, number < 2 or number == 7)  # the sum of the first five
            await ctx.tick()
            seen.append((ctx.get(element.sum), ctx.get(element.empty)))

    simulator = Simulator(element)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    # The first three cycles clear what was there; a cleared sum keeps its value and is empty.
    assert seen[2:] == [(15, 0)] * 3 + [(27, 0)] * 2 + [(27, 1)] * 3 + [(4, 0)]
