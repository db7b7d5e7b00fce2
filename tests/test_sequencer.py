from collections import deque

import pytest
from amaranth.sim import Simulator

from implicore.accelerator_config import AcceleratorConfig
from implicore.dataflow import (
    array_layers,
    output_layer_bypasses_array,
    requantizer_latency,
    weight_words,
)
from implicore.formats import Formats
from implicore.hw.sequencer import Sequencer
from implicore.network_shape import NetworkShape

FORMATS = Formats.parse("w8a8m0")


def expected_steps(shape: NetworkShape, columns: int):
    """Bank, position and last of each step of a voxel tile."""
    for layer in array_layers(shape):
        inputs = [("features", n) for n in range(layer.features)]
        inputs += [("hidden", n) for n in range(layer.hidden)]
        for _ in range(0, layer.outputs, columns):
            for bank, position in inputs:
                yield bank, position, (bank, position) == inputs[-1]


@pytest.mark.parametrize("columns", [1, 3, 8])
@pytest.mark.parametrize(
    "shape",
    [
        NetworkShape(3, 5, 1),
        NetworkShape(1, 1, 2),
        NetworkShape(2, 7, 4, (3,)),
        NetworkShape(4, 3, 3, (2, 3)),
    ],
    ids=str,
)
def test_order_of_steps_and_tokens(shape, columns):
    config = AcceleratorConfig.sized(1, columns, FORMATS, [shape])
    sequencer = Sequencer(config)
    steps, tokens = [], []
    tiles = 3

    async def bench(ctx):
        layout = {
            "last_frequency": shape.frequencies - 1,
            "last_neuron": shape.width - 1,
            "last_layer": shape.depth - 1,
            "skips": sum(1 << (layer - 1) for layer in shape.skips),
        }
        ctx.set(sequencer.shape, layout)
        assert ctx.get(sequencer.step.last)  # idle: clears the accumulators
        ctx.set(sequencer.start, 1)
        await ctx.tick()
        ctx.set(sequencer.start, 0)
        for name in ("running", "full", "output_free"):
            ctx.set(getattr(sequencer, name), 1)
        on_the_way = deque([0] * (4 + requantizer_latency(FORMATS)))
        finished = 0
        for _ in range(5000):
            ctx.set(sequencer.select, finished & 1)
            ctx.set(sequencer.written, on_the_way.popleft())
            step = sequencer.step
            features, hidden = ctx.get(step.features), ctx.get(step.hidden)
            if features or hidden:
                address, last = ctx.get(step.address), ctx.get(step.last)
                steps.append(("features" if features else "hidden", address, last))
                assert ctx.get(sequencer.weight_address) == (len(steps) - 1) % words
            assert ctx.get(sequencer.weight_enable) == features + hidden
            kinds = ("voxel", "output_mac", "output_mac_last")
            token = {kind: ctx.get(getattr(sequencer, kind)) for kind in kinds}
            if ctx.get(sequencer.drain):
                tokens.append(token)
            on_the_way.append(
                ctx.get(sequencer.drain) and not token["voxel"] and not token["output_mac"]
            )
            finished += ctx.get(sequencer.finish)
            ctx.set(sequencer.running, finished < tiles)
            await ctx.tick()
            if finished == tiles and not any(on_the_way):
                break

    words = weight_words(shape, columns)
    simulator = Simulator(sequencer)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    expected = list(expected_steps(shape, columns)) * tiles
    assert [(bank, last) for bank, _, last in steps] == [(b, last) for b, _, last in expected]
    for number, ((bank, address, _), (_, position, _)) in enumerate(
        zip(steps, expected, strict=True)
    ):
        bits = len(sequencer.step.address) - 1
        if bank == "features":
            bits = max(1, (2 * config.frequencies - 1).bit_length())
            assert address >> bits == number // words & 1
        else:
            bits = max(1, (config.width - 1).bit_length())
        assert address & ((1 << bits) - 1) == position
    neurons = sum(layer.outputs for layer in shape.layers)
    for first in range(0, (tiles - 1) * neurons, neurons):
        tile = tokens[first : first + neurons]
        assert [token["voxel"] for token in tile] == [0] * (neurons - 1) + [1]
        feeding = shape.width if output_layer_bypasses_array(shape) else 0
        assert sum(token["output_mac"] for token in tile) == feeding
        assert [t["output_mac_last"] for t in tile[-2:]] == (
            [1, 0] if feeding else [0] * len(tile[-2:])
        )
