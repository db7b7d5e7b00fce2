import numpy as np
import pytest
from amaranth.sim import Simulator

from benches import feed_forward
from benches.in_amaranth import run
from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.hw.systolic_array import ArrayRow, SystolicArray
from implicore.network_shape import NetworkShape


@pytest.mark.parametrize(
    ("rows", "columns", "gate_zeros"),
    [(1, 1, False), (1, 5, True), (4, 1, False), (3, 5, False), (6, 2, True)],
)
def test_matrix_products(rows, columns, gate_zeros):
    formats = Formats.parse("w5a7")
    array = SystolicArray(rows, columns, formats, gate_zeros=gate_zeros)
    rng = np.random.default_rng(rows)
    # Products follow each other; each has at least as many inputs as its predecessor has columns.
    lengths = [columns, columns + 3, columns, columns + 1]
    products = [
        (rng.integers(0, 128, (rows, k)), rng.integers(-16, 16, (k, columns))) for k in lengths
    ]
    activations = np.concatenate([a for a, _ in products], axis=1)
    weights = np.concatenate([w for _, w in products])
    steps = sum(lengths)
    ends = np.cumsum(lengths) - 1
    start = columns + 3  # `last` held high until then clears the accumulators
    bypass = {(start - 2, 0): -77}  # (cycle, row)
    got = {}

    async def bench(ctx):
        for cycle in range(start + steps + rows + columns + array.latency):
            for r in range(rows):
                step = cycle - start - r
                there = 0 <= step < steps
                ctx.set(array.activations[r], int(activations[r, step]) if there else 0)
                ctx.set(array.last[r], step < 0 or step in ends)
                ctx.set(array.bypass_sum[r], bypass.get((cycle, r), 0))
                ctx.set(array.capture_enable[r], 1)
                got[cycle, r] = ctx.get(array.sums[r])
            for c in range(columns):
                step = cycle - start - c
                there = 0 <= step < steps
                ctx.set(array.weights[c], int(weights[step, c]) if there else 5)
            await ctx.tick()

    simulator = Simulator(array)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    for (a, w), end in zip(products, ends, strict=True):
        expected = a @ w
        for r in range(rows):
            for c in range(columns):
                assert got[start + end + array.latency + r + c, r] == expected[r, c]
    assert got[start - 1, 0] == -77


@pytest.mark.parametrize(("columns", "gate_zeros"), [(1, False), (4, True), (5, False)])
def test_row_with_bypass_sums(columns, gate_zeros):
    formats, shape = Formats.parse("w5a7"), NetworkShape(1, 1, 1)
    config = AcceleratorConfig.sized(1, columns, formats, [shape], gate_zeros=gate_zeros)
    run(feed_forward.array_row, ArrayRow(columns, formats, gate_zeros=gate_zeros), config)


def test_invalid_arguments():
    with pytest.raises(ValueError, match=r"^Array rows must be an integer from 1 to 256, not 0\.$"):
        SystolicArray(0, 1, Formats(8, 8))
    with pytest.raises(ValueError, match=r"^Array columns must be .* from 1 to 256, not 257\.$"):
        SystolicArray(1, 257, Formats(8, 8))
