"""The core against the golden model, bit for bit, and against the schedule, cycle for cycle."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import implicore.dataflow
import implicore.hw.core
from benches.control import check, decode
from benches.in_amaranth import run
from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict
from implicore.ecc import PROTECTIONS
from implicore.fixed import COORDINATE
from implicore.formats import Formats
from implicore.hw.core import Core
from implicore.hw.memory import Ram
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program


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
        outputs=1 if seed % 2 else int(rng.integers(1, 20)),
    )
    fitting = AcceleratorConfig.sized(rows, columns, formats, [shape])
    room = [int(value) for value in rng.integers(0, 5, 6)]
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
        outputs=fitting.outputs + room[5] * (seed % 4 == 2),
        voxels_per_beat=int(rng.choice([1, 1, 2, 4, 8])),
        protection=str(rng.choice(PROTECTIONS)),
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
    points, accesses = points_of(number), Counter()

    async def bench(ports):
        def count():
            for bank in memories:
                accesses[bank.role, "reads"] += ports.ctx.get(bank.read_enable)
                accesses[bank.role, "writes"] += ports.ctx.get(bank.write_enable)

        decoded = await decode(ports, program, points, observe=count)
        check(decoded, ports, program, points, timed=True)

    run(bench, Core(config), config)
    voxels = number * program.shape.outputs
    for role, expected in predict(program.shape, config, voxels).memories.items():
        found = accesses[role, "reads"], accesses[role, "writes"]
        assert found == (expected.reads, expected.writes), role


def run_job(config, program, number, pause=0.0):
    async def bench(ports):
        decoded = await decode(ports, program, points_of(number), pause=pause)
        check(decoded, ports, program, points_of(number), timed=not pause)

    run(bench, Core(config), config)


@pytest.mark.parametrize("seed", range(100, 108))
def test_pauses_on_both_sides_change_nothing(seed):
    run_job(*random_pair(seed), pause=0.7)


@pytest.mark.parametrize("seed", range(200, 206))
def test_write_fan_out_groups(seed, monkeypatch):
    monkeypatch.setattr(implicore.hw.core, "WRITE_FANOUT", 2)
    config, program, number = random_pair(seed)
    run_job(replace(config, weight_word_bits=16), program, number)  # several banks of few columns


def test_features_are_read_before_they_are_written_again():
    """A tile of one point follows full tiles: it fills its half while the last rows read it."""
    shape = NetworkShape(frequencies=1, width=1, depth=1, outputs=40)
    formats = Formats.parse("w4a4")
    config = replace(AcceleratorConfig.sized(24, 1, formats, [shape]), lanes=24)
    run_job(config, random_program(shape, formats), 2 * 24 + 1)


@pytest.mark.parametrize("seed", range(300, 306))
def test_read_groups(seed, monkeypatch):
    monkeypatch.setattr(implicore.dataflow, "GROUP_ROWS", 2)
    monkeypatch.setattr(implicore.hw.core, "GROUP_ROWS", 2)
    config, program, number = random_pair(seed)
    run_job(replace(config, outputs=max(config.outputs, 2)), program, number)


@pytest.mark.parametrize("weights", ["max", "min", "zero"])
def test_extreme_weights(weights):
    formats = Formats.parse("w8a8")
    shape = NetworkShape(frequencies=3, width=5, depth=3, skips=(3,))
    program = random_program(shape, formats, weights=weights)
    run_job(AcceleratorConfig.sized(2, 2, formats, [shape]), program, 3)
