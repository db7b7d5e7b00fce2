"""The cocotb benches of components with streams, whose partners rest at random."""

import random
from collections import deque
from itertools import count, pairwise

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, ReadOnly

from implicore.fixed import FREQUENCY, GRID_GUARD, phase_address
from implicore.hw.core import store_layout
from implicore.hw.fourier import tile_layout
from implicore.hw.sequencer import shape_layout
from implicore.job import GridJob
from implicore.registers import Error
from implicore.sincos import SineTable
from implicore.stream import constant_fields, constants, program_stream, weight_writes

from .cases import damaged, random_points
from .component_ports import (
    CONFIG,
    FORMATS,
    TIMEOUT,
    Sink,
    Source,
    drawn,
    fitting_program,
    point_payloads,
    shape_fields,
    signed,
    start,
)


@cocotb.test(**TIMEOUT)
async def coordinate_generator(dut):
    """Grids of any steps, with a taker that rests at random."""
    port = await start(dut, "coordinate_generator")
    mask = (1 << 40) - 1
    for _ in range(8):
        shape = tuple(random.randint(1, 5) for _ in range(3))
        vectors = [tuple(random.randrange(-(1 << 36), 1 << 36) for _ in range(3)) for _ in range(4)]
        job = GridJob(shape, vectors[0], tuple(vectors[1:]))
        vectors[1:] = job.increments
        grid = sum((count - 1) << (16 * axis) for axis, count in enumerate(shape))
        for number, value in enumerate(sum(vectors, ())):
            grid |= (value & mask) << (48 + 40 * number)
        port("grid").value = grid
        port("start").value = 1
        await FallingEdge(dut.clk)
        port("start").value = 0
        expected = [tuple(row) for row in job.coordinates(0, job.voxels).tolist()]
        sink = Sink(port, "points", rest=0.4)
        for _ in range(3):
            assert not int(port("points__valid").value)
            await FallingEdge(dut.clk)
        for number, point in enumerate(expected):
            payload = None
            while payload is None:
                sink.drive()
                await ReadOnly()
                assert int(port("points__valid").value)
                payload = sink.taken()
                await FallingEdge(dut.clk)
            got = tuple(signed(payload >> 16 * axis, 16) for axis in range(3))
            assert got == tuple(signed(value, 16) for value in point), f"point {number} of {shape}"
            assert payload >> 48 == (number == len(expected) - 1)
        assert not int(port("points__valid").value)
    assert GRID_GUARD == 24  # the width of the fields above


@cocotb.test(**TIMEOUT)
async def fourier_mapper(dut):
    """Points that come when they like, tiles that are given back late: every feature."""
    port = await start(dut, "fourier_mapper")
    rows, lanes = CONFIG.rows, CONFIG.lanes
    frequencies = random.randint(1, CONFIG.frequencies)
    matrix = drawn().integers(FREQUENCY.low, FREQUENCY.high + 1, (frequencies, 3))
    coefficients = [int(value) & 0xFFFF for value in matrix.ravel()]
    points = random_points(drawn(), 5 * rows + 1)
    phases = phase_address(matrix, points, FORMATS.table_address_bits)
    table = SineTable(FORMATS.table_address_bits, FORMATS.activation_bits)
    expected = np.concatenate([table.cosines[phases], table.sines[phases]])
    half_bit = len(port("address")) - 1
    port("last_frequency").value = frequencies - 1
    banks = [{} for _ in range(rows)]
    source = Source(port, "points", point_payloads(points), rest=0.5)
    seen = waited = 0
    while seen < len(points):
        source.drive()
        releasing = waited > 2 and random.random() < 0.1
        if releasing:
            half, tile = int(port("select").value), int(port("tile").value)
            count = min(rows, len(points) - seen)
            bits = len(port("tile")) - 1
            assert tile & ((1 << bits) - 1) == count - 1
            assert tile >> bits == (seen + count == len(points))
            for row in range(count):
                got = [banks[row].get(n | half << half_bit) for n in range(2 * frequencies)]
                assert got == expected[:, seen + row].tolist(), f"point {seen + row}"
            seen += count
        port("release_half").value = int(releasing)
        await ReadOnly()
        source.taken()
        asked = (
            int(port("coefficient_address").value)
            if int(port("coefficient_enable").value)
            else None
        )
        address, enables = int(port("address").value), int(port("enables").value)
        features = int(port("features").value) if enables else 0
        for row in range(rows):
            if enables >> row & 1:
                lane = features >> (row % lanes) * FORMATS.activation_bits
                banks[row][address] = lane & FORMATS.activation_max
        waited = 0 if releasing else waited + int(port("full").value)
        await FallingEdge(dut.clk)
        if asked is not None:
            port("coefficient").value = coefficients[asked]


@cocotb.test(**TIMEOUT)
async def voxel_buffer(dut):
    """Tiles of any size, whose voxels come and are taken when they like."""
    port = await start(dut, "voxel_buffer")
    rows, bits = CONFIG.rows, FORMATS.output_bits
    tile_shape = tile_layout(rows)
    sink = Sink(port, "voxels", rest=0.4)
    tiles, free = 50, True
    coming = deque()  # of this tile: whether a voxel ends the job, None for a row without a point
    held = deque()
    done_since = 0
    while tiles or coming or held:
        reserving = bool(free and tiles) and random.random() < 0.5
        points, last = random.randint(1, rows), random.randrange(2)
        port("reserve").value = int(reserving)
        port("tile").value = tile_shape.const({"rows": points - 1, "last": last}).as_bits()
        putting = bool(coming) and random.random() < 0.6
        value = random.getrandbits(bits)
        port("put").value, port("value").value = int(putting), value
        sink.drive()
        await ReadOnly()

        done_since = 0 if coming or held else done_since + 1
        free = bool(int(port("free").value))
        assert not (free and (coming or held)), "free before all is delivered"
        assert free or done_since < 2, "not free though all is delivered"
        assert int(port("voxels__valid").value) == bool(held)
        voxel = sink.taken()
        assert voxel is None or voxel == held.popleft()
        if putting and (ends := coming.popleft()) is not None:
            held.append(value | ends << bits)
        if reserving:
            tiles, free = tiles - 1, False
            coming.extend([0] * (points - 1) + [last] + [None] * (rows - points))
        await FallingEdge(dut.clk)


DAMAGES = 10
"""Causes that ``damaged`` knows."""


def good_and_damaged(rng):
    """Programs, their streams and what is wrong with them: nothing and each cause in turns."""
    causes = set()
    while len(causes) < DAMAGES:
        program = fitting_program(rng)
        words, cause = damaged(rng, program, CONFIG)
        if cause in causes:
            continue
        causes.add(cause)
        good = fitting_program(rng)
        yield good, program_stream(good, CONFIG), Error.NONE
        yield program, words, cause


def writes(program):
    """What a program's stream tells the memories, in order."""
    for address, coefficient in enumerate(program.frequencies.ravel().tolist()):
        yield "coefficient", address, coefficient
    for address, neuron in enumerate(constants(program)):
        yield "constant", address, constant_fields(*neuron, FORMATS)
    for bank, address, word in weight_writes(program, CONFIG):
        yield "weight", bank, address, word


def written(store):
    """What the store port tells the memories in this cycle."""
    if store["coefficient_enable"]:
        yield "coefficient", store["coefficient_address"], store["coefficient"]
    if store["constant_enable"]:
        word = store["constant"]
        yield "constant", store["constant_address"], {name: word[name] for name, _ in word.shape()}
    if store["weight_enables"]:
        yield "weight", store["weight_enables"], store["weight_address"], list(store["weight"])


@cocotb.test(**TIMEOUT)
async def program_loader(dut):
    """Good and damaged programs in turns: what the memories are told, and the status."""
    port = await start(dut, "program_loader")
    store_shape, rng = store_layout(CONFIG), drawn()
    streams = list(good_and_damaged(rng))
    words = [
        word | (number == len(stream) - 1) << 32
        for _, stream, _ in streams
        for number, word in enumerate(stream.tolist())
    ]
    source = Source(port, "words", words, rest=0)
    for program, stream, cause in streams:
        told, moved = [], []
        for cycle in count():
            enable = random.random() >= source.rest
            port("enable").value = int(enable)
            source.drive()
            await ReadOnly()
            loading = int(port("loading").value)
            assert loading or not moved or cycle < moved[0] + 3
            assert moved or not loading
            assert enable or not int(source.ready.value)
            told += written(store_shape.from_bits(int(port("store").value)))
            if source.taken():
                moved.append(cycle)
            if int(port("done").value):
                break
            assert len(moved) < len(stream) or cycle < moved[-1] + 4, "no status"
            await FallingEdge(dut.clk)
        assert len(moved) == len(stream)
        assert source.rest or {b - a for a, b in pairwise(moved)} == {2}, "a word in two cycles"
        source.rest = 0.3
        assert Error(int(port("error").value)) == cause
        due = list(writes(program))
        if cause in (Error.NONE, Error.TOO_LONG):
            assert told == due
        elif cause is Error.CUT_SHORT:
            assert told == due[: len(told)]
        elif cause is Error.WRONG_CRC:  # one bit, perhaps that of the checksum itself
            assert sum(a != b for a, b in zip(told, due, strict=True)) <= 1
        else:
            assert not told
        if cause is Error.NONE:
            shape = shape_layout(CONFIG).from_bits(int(port("shape").value))
            assert shape == shape_layout(CONFIG).const(shape_fields(program.shape))
        await FallingEdge(dut.clk)
