import pytest
from amaranth.sim import Simulator

from benches import feed_forward
from benches.in_amaranth import run, smallest_config
from implicore.formats import Formats
from implicore.hw.processing_element import ProcessingElement


@pytest.mark.parametrize("gate_zeros", [False, True])
@pytest.mark.parametrize("formats", ["w4a4", "w8a12", "w16a16c40"])
def test_dot_products_follow_each_other_without_a_gap(formats, gate_zeros):
    config = smallest_config(formats, gate_zeros=gate_zeros)
    pe = ProcessingElement(config.formats, gate_zeros=gate_zeros)
    run(feed_forward.processing_element, pe, config, steps=600)


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
    # The first three cycles clear the accumulator; when cleared, it keeps its value and is empty.
    assert seen[2:] == [(15, 0)] * 3 + [(27, 0)] * 2 + [(27, 1)] * 3 + [(4, 0)]
