"""The core against the golden model, bit for bit, and against the schedule, cycle for cycle."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from amaranth.sim import Simulator

import implicore.hw.core
from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict
from implicore.fixed import COORDINATE
from implicore.formats import Formats
from implicore.hw.core import Core
from implicore.hw.memory import Ram
from implicore.model.golden import Renderer
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
from implicore.stream import constants, weight_writes


class Bench:
    """Fills a core's memories, gives it points and takes its voxels, each with pauses or without.

    After ``run``: ``voxels``, ``last`` (of each voxel), ``cycles``, ``steps``, ``useful_macs``.
    """

    def __init__(self, config, program, points, *, stall=0.0, seed=0):
        self.config, self.program, self.points = config, program, points
        self.stall = stall
        self.rng = np.random.default_rng(seed)
        self.core = Core(config)

    def run(self, watch=()):
        """Simulate to the last voxel, counting the accesses of the banks to ``watch``."""
        self.voxels, self.last, self.useful_macs, self.steps = [], [], 0, 0
        self.accesses = Counter()
        self.watch = watch
        simulator = Simulator(self.core)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self.bench)
        simulator.run()
        return self

    async def fill(self, ctx):
        store = self.core.store
        for address, coefficient in enumerate(self.program.frequencies.ravel().tolist()):
            ctx.set(
                store,
                {
                    "coefficient_enable": 1,
                    "coefficient_address": address,
                    "coefficient": coefficient,
                },
            )
            await ctx.tick()
        for address, (offset, shift, multiplier, output_weight) in enumerate(
            constants(self.program)
        ):
            word = {
                "offset": offset,
                "fine": shift & 7,
                "coarse": shift >> 3,
                "output_weight": output_weight,
            }
            if self.config.formats.multiplier_bits:
                word["multiplier"] = multiplier
            ctx.set(store, {"constant_enable": 1, "constant_address": address, "constant": word})
            await ctx.tick()
        for bank, address, word in weight_writes(self.program, self.config):
            ctx.set(store, {"weight_enables": bank, "weight_address": address, "weight": word})
            await ctx.tick()
        ctx.set(store, {})

    async def bench(self, ctx):
        core, shape = self.core, self.program.shape
        await self.fill(ctx)
        ctx.set(
            core.shape,
            {
                "last_frequency": shape.frequencies - 1,
                "last_neuron": shape.width - 1,
                "last_layer": shape.depth - 1,
                "skips": sum(1 << (layer - 1) for layer in shape.skips),
            },
        )
        ctx.set(core.start, 1)
        await ctx.tick()
        ctx.set(core.start, 0)
        ctx.set(core.running, 1)
        given, cycle, first = 0, 0, None
        offered = None
        while len(self.voxels) < len(self.points):
            there = given < len(self.points) and self.rng.random() >= self.stall
            taking = self.rng.random() >= self.stall
            ctx.set(core.points.valid, there)
            if there:
                last = given == len(self.points) - 1
                point = {"xyz": self.points[given].tolist(), "last": last}
                ctx.set(core.points.payload, point)
            ctx.set(core.voxels.ready, taking)
            if there and ctx.get(core.points.ready):
                first = cycle if first is None else first
                given += 1
            self.steps += ctx.get(core.step)
            for bank in self.watch if first is not None else ():
                self.accesses[bank.role, "reads"] += ctx.get(bank.read_enable)
                self.accesses[bank.role, "writes"] += ctx.get(bank.write_enable)
            valid = ctx.get(core.voxels.valid)
            payload = (ctx.get(core.voxels.payload.value), ctx.get(core.voxels.payload.last))
            if offered is not None:  # valid and payload hold until taken
                assert valid and payload == offered
            offered = payload if valid and not taking else None
            if valid and taking:
                self.voxels.append(payload[0])
                self.last.append(payload[1])
                self.useful_macs += ctx.get(core.useful_macs)
                self.cycles = cycle - first + 1
            await ctx.tick()
            cycle += 1
            assert cycle < 100_000, "the machine hangs"


def points_of(number, seed=1):
    return np.random.default_rng(seed).integers(COORDINATE.low, COORDINATE.high + 1, (number, 3))


def random_pair(seed):
    """A configuration, a program that need not fill it, and a number of points."""
    rng = np.random.default_rng(seed)
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(1, 7))
    formats = Formats.parse(
        str(rng.choice(["w8a12", "w4a4m1o8", "w8a8m4", "w5a7t12", "w16a16t14m15", "w8a16o8"]))
    )
    depth = int(rng.integers(1, 6))
    shape = NetworkShape(
        frequencies=int(rng.integers(1, 7)),
        width=int(rng.integers(1, 13)),
        depth=depth,
        skips=tuple(layer for layer in range(2, depth + 1) if rng.random() < 0.3),
    )
    fitting = AcceleratorConfig.sized(rows, columns, formats, [shape])
    room = [int(value) for value in rng.integers(0, 5, 5)]
    config = AcceleratorConfig(
        rows,
        columns,
        formats,
        frequencies=fitting.frequencies + room[0],
        width=fitting.width + room[1],
        depth=fitting.depth + room[2],
        weight_depth=fitting.weight_depth + room[3],
        constant_depth=fitting.constant_depth + room[4],
        lanes=int(rng.integers(1, rows + 1)),
        gate_zeros=bool(rng.random() < 0.3),
    )
    return config, random_program(shape, formats, seed=seed), int(rng.integers(1, 4 * rows + 2))


@pytest.fixture
def memories(monkeypatch):
    """Every bank that is elaborated from here on."""
    found = []
    elaborate = Ram.elaborate

    def watched(self, platform):
        found.append(self)
        return elaborate(self, platform)

    monkeypatch.setattr(Ram, "elaborate", watched)
    return found


@pytest.mark.parametrize("seed", range(56))
def test_random_pairs(seed, memories):
    """Voxels equal the golden model's; cycles, steps and accesses equal the predicted ones."""
    config, program, number = random_pair(seed)
    points = points_of(number)
    bench = Bench(config, program, points).run(memories)
    assert bench.voxels == Renderer(program).voxels(points).tolist()
    assert bench.last == [0] * (number - 1) + [1]
    prediction = predict(program.shape, config, number)
    assert bench.cycles == prediction.cycles
    assert bench.steps == prediction.steps
    assert bench.useful_macs == prediction.useful_macs
    for role, accesses in prediction.memories.items():
        assert (bench.accesses[role, "reads"], bench.accesses[role, "writes"]) == (
            accesses.reads,
            accesses.writes,
        ), role


@pytest.mark.parametrize("seed", range(100, 108))
def test_stalls_on_both_sides_change_nothing(seed):
    config, program, number = random_pair(seed)
    points = points_of(number)
    bench = Bench(config, program, points, stall=0.7, seed=seed).run()
    assert bench.voxels == Renderer(program).voxels(points).tolist()
    assert bench.last == [0] * (number - 1) + [1]


@pytest.mark.parametrize("seed", range(200, 206))
def test_write_fan_out_groups(seed, monkeypatch):
    monkeypatch.setattr(implicore.hw.core, "WRITE_FANOUT", 2)
    config, program, number = random_pair(seed)
    config = replace(config, weight_word_bits=16)  # few columns a bank, several banks
    points = points_of(number)
    bench = Bench(config, program, points).run()
    assert bench.voxels == Renderer(program).voxels(points).tolist()
    assert bench.cycles == predict(program.shape, config, number).cycles


@pytest.mark.parametrize("weights", ["max", "min", "zero"])
def test_extreme_weights(weights):
    formats = Formats.parse("w8a8")
    shape = NetworkShape(frequencies=3, width=5, depth=3, skips=(3,))
    program = random_program(shape, formats, weights=weights)
    config = AcceleratorConfig.sized(2, 2, formats, [shape])
    points = points_of(3)
    assert Bench(config, program, points).run().voxels == Renderer(program).voxels(points).tolist()
