"""The cocotb benches of single components: random operands in, a model beside them."""

import json
import os
import random

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from implicore.fixed import COORDINATE, FREQUENCY, GRID_GUARD, phase_address, requantize
from implicore.job import GridJob
from implicore.machine import AcceleratorConfig, requantizer_latency
from implicore.sincos import BIPARTITE_FROM, SineTable

CONFIG = AcceleratorConfig.from_dict(json.loads(os.environ["IMPLICORE_CONFIG"]))
FORMATS = CONFIG.formats
RESET = 3
"""Cycles of reset; inputs are set and outputs looked at while the clock is low."""


async def start(dut, name):
    """Clock and reset; a function that gives a port of the component."""
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    for port in dut:
        if port._name.startswith(f"{name}__") and port._name in INPUTS[name]:
            port.value = 0
    for _ in range(RESET):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    return lambda port: getattr(dut, f"{name}__{port}")


def signed(value, bits):
    """Two's complement."""
    return value - (value >> (bits - 1) << bits)


INPUTS = {
    name: [f"{name}__{port}" for port in ports.split()]
    for name, ports in {
        "processing_element": "weight_in activation_in done",
        "array_row": "activation last weights_in beside",
        "requantizer": "sum multiplier coarse fine offset voxel",
        "sin_cos_table": "phase cosine",
        "coordinate_generator": "start grid points__ready",
        "column_unit": "enable_in address_in write_enable write_address write_data",
        "fourier_mapper": "points__payload points__valid last_frequency element freed",
        "ram_features": "write_enable write_address write_data read_enable read_address",
    }.items()
}


@cocotb.test()
async def processing_element(dut):
    """Every sum after a done, extremes often."""
    port = await start(dut, "processing_element")
    weight_bits, top = FORMATS.weight_bits, FORMATS.activation_max
    weights = [0, -(1 << (weight_bits - 1)), (1 << (weight_bits - 1)) - 1]
    weight = activation = product = total = 0
    known = False
    for _ in range(2000):
        inputs = (
            random.choice([*weights, random.randrange(weights[1], weights[2] + 1)]),
            random.choice([0, top, random.randint(0, top)]),
        )
        # The widest sum that the accumulator must hold is of 2^7 products.
        done = random.random() < 0.05
        port("weight_in").value = inputs[0] & ((1 << weight_bits) - 1)
        port("activation_in").value = inputs[1]
        port("done").value = done
        if known:
            got = signed(int(port("sum").value), FORMATS.accumulator_bits)
            bits = FORMATS.accumulator_bits
            assert got == signed(total & ((1 << bits) - 1), bits)
            assert int(port("activation_out").value) == activation
            assert signed(int(port("weight_out").value), weight_bits) == weight
        await FallingEdge(dut.clk)
        total = (0 if done else total) + product
        product = weight * activation
        weight, activation = inputs
        known = known or done


@cocotb.test()
async def array_row(dut):
    """Dot products one after the other, each column a cycle behind its neighbour."""
    port = await start(dut, "array_row")
    columns, bits = CONFIG.columns, FORMATS.accumulator_bits
    half = 1 << (FORMATS.weight_bits - 1)
    steps, sums = [], {}
    port("last").value = 1  # held before the first: it clears
    for _ in range(8):
        await FallingEdge(dut.clk)
    for _ in range(20):
        inputs = columns + random.randrange(4)
        vector = [random.randint(0, FORMATS.activation_max) for _ in range(inputs)]
        matrix = [[random.randrange(-half, half) for _ in range(columns)] for _ in range(inputs)]
        steps += [
            (activation, number == inputs - 1, weights)
            for number, (activation, weights) in enumerate(zip(vector, matrix, strict=True))
        ]
        for column in range(columns):
            total = sum(a * w[column] for a, w in zip(vector, matrix, strict=True))
            sums[len(steps) - 1 + 4 + column] = total
    for cycle in range(len(steps) + columns + 4):
        if cycle in sums:
            assert signed(int(port("sum").value), bits) == sums[cycle], f"cycle {cycle}"
        activation, last, _ = steps[cycle] if cycle < len(steps) else (0, 0, None)
        packed = 0
        for column in range(columns):
            if 0 <= cycle - column < len(steps):
                weight = steps[cycle - column][2][column] & (2 * half - 1)
                packed |= weight << (column * FORMATS.weight_bits)
        port("activation").value = activation
        port("last").value = int(last)
        port("weights_in").value = packed
        await FallingEdge(dut.clk)


@cocotb.test()
async def requantizer(dut):
    """Sums and constants of any size, each constant in its own cycle."""
    port = await start(dut, "requantizer")
    limit, offset_limit = 1 << (FORMATS.accumulator_bits - 1), 1 << (FORMATS.offset_bits - 1)
    names = ["multiplier", "coarse", "fine", "offset", "voxel"]
    if not FORMATS.multiplier_bits:
        del names[0]
    cases = []
    for _ in range(1500):
        spread = random.randrange(FORMATS.accumulator_bits)
        total = random.choice([-limit, limit - 1, random.randrange(-limit, limit) >> spread])
        shift = random.randrange(64)
        case = {
            "sum": total,
            "multiplier": random.randrange(1 << FORMATS.multiplier_bits),
            "coarse": shift >> 3,
            "fine": shift & 7,
            "offset": random.randrange(-offset_limit, offset_limit) >> random.randrange(16),
            "voxel": random.randrange(2),
        }
        if not FORMATS.multiplier_bits:
            case["multiplier"] = 1
        high = FORMATS.output_max if case["voxel"] else FORMATS.activation_max
        arrays = (np.array([case[name]]) for name in ("sum", "multiplier", "offset"))
        case["result"] = int(requantize(*arrays, np.array([shift]), high)[0])
        case["high"] = high
        cases.append(case)
    latency = requantizer_latency(FORMATS)
    for cycle in range(len(cases) + latency):
        if cycle >= latency:
            case = cases[cycle - latency]
            assert int(port("result").value) & case["high"] == case["result"], case
        for wait, name in [(0, "sum"), *enumerate(names)]:
            if 0 <= cycle - wait < len(cases):
                width = len(port(name))
                port(name).value = cases[cycle - wait][name] & ((1 << width) - 1)
        await FallingEdge(dut.clk)


@cocotb.test()
async def sin_cos_table(dut):
    """Every phase, cosine and sine."""
    port = await start(dut, "sin_cos_table")
    table = SineTable(FORMATS.table_address_bits, FORMATS.activation_bits)
    latency = 2 + (FORMATS.table_address_bits >= BIPARTITE_FROM)
    phases = list(range(1 << FORMATS.table_address_bits))
    asked = [(phase, cosine) for phase in phases for cosine in (1, 0)]
    for cycle in range(len(asked) + latency):
        if cycle >= latency:
            phase, cosine = asked[cycle - latency]
            expected = (table.cosines if cosine else table.sines)[phase]
            assert int(port("value").value) == expected, f"phase {phase}, cosine {cosine}"
        if cycle < len(asked):
            port("phase").value, port("cosine").value = asked[cycle]
        await FallingEdge(dut.clk)


@cocotb.test()
async def coordinate_generator(dut):
    """Grids of any steps, with a taker that rests at random."""
    port = await start(dut, "coordinate_generator")
    mask = (1 << 40) - 1
    for _ in range(8):
        shape = tuple(random.randint(1, 5) for _ in range(3))
        vectors = [tuple(random.randrange(-(1 << 36), 1 << 36) for _ in range(3)) for _ in range(4)]
        job = GridJob(shape, vectors[0], tuple(vectors[1:]))
        grid = sum((count - 1) << (16 * axis) for axis, count in enumerate(shape))
        for number, value in enumerate(sum(vectors, ())):
            grid |= (value & mask) << (48 + 40 * number)
        port("grid").value = grid
        port("start").value = 1
        await FallingEdge(dut.clk)
        port("start").value = 0
        expected = [tuple(row) for row in job.coordinates(0, job.voxels).tolist()]
        for number, point in enumerate(expected):
            ready = False
            while not ready:
                ready = random.random() < 0.6
                port("points__ready").value = int(ready)
                assert int(port("points__valid").value)
                payload = int(port("points__payload").value)
                got = tuple(signed(payload >> 16 * axis & 0xFFFF, 16) for axis in range(3))
                wrapped = tuple(signed(value & 0xFFFF, 16) for value in point)
                assert got == wrapped, f"point {number} of {shape}"
                assert payload >> 48 == (number == len(expected) - 1)
                await FallingEdge(dut.clk)
        port("points__ready").value = 0
        assert not int(port("points__valid").value)
    assert GRID_GUARD == 24  # the width of the fields above


@cocotb.test()
async def ram_features(dut):
    """Reads and writes of any words; a word read stays until the next is asked for."""
    port = await start(dut, "ram_features")
    depth, width = 1 << len(port("read_address")), len(port("write_data"))
    depth = min(depth, 2 * 2 * CONFIG.frequencies)
    words, shown = {}, None
    for _ in range(1500):
        writes, reads = random.random() < 0.6, random.random() < 0.6
        address, data = random.randrange(depth), random.randrange(1 << width)
        asked = random.randrange(depth)
        reads = reads and asked in words and not (writes and asked == address)
        port("write_enable").value, port("read_enable").value = int(writes), int(reads)
        port("write_address").value, port("write_data").value = address, data
        port("read_address").value = asked
        await FallingEdge(dut.clk)
        shown = words[asked] if reads else shown
        if writes:
            words[address] = data
        if shown is not None:
            assert int(port("read_data").value) == shown


@cocotb.test()
async def column_unit(dut):
    """Weights written in any order and read two cycles later; the address goes on after one."""
    port = await start(dut, "column_unit")
    words = [random.randrange(1 << FORMATS.weight_bits) for _ in range(CONFIG.weight_depth)]
    addresses = list(range(len(words)))
    random.shuffle(addresses)
    port("write_enable").value = 1
    for address in addresses:
        port("write_address").value, port("write_data").value = address, words[address]
        await FallingEdge(dut.clk)
    port("write_enable").value = 0
    asked = [random.choice([None, random.randrange(len(words))]) for _ in range(500)]
    for cycle, address in enumerate(asked):
        if cycle >= 1 and asked[cycle - 1] is not None:
            assert int(port("enable_out").value)
            assert int(port("address_out").value) == asked[cycle - 1]
        if cycle >= 2 and asked[cycle - 2] is not None:
            assert int(port("weight").value) == words[asked[cycle - 2]]
        port("enable_in").value = int(address is not None)
        port("address_in").value = address or 0
        await FallingEdge(dut.clk)


@cocotb.test()
async def fourier_mapper(dut):
    """Points that come when they like, tiles that are given back late: every feature."""
    port = await start(dut, "fourier_mapper")
    rows, lanes = CONFIG.rows, CONFIG.lanes
    frequencies = random.randint(1, CONFIG.frequencies)
    matrix = np.array(
        [
            [random.randint(FREQUENCY.low, FREQUENCY.high) for _ in range(3)]
            for _ in range(frequencies)
        ]
    )
    elements = [int(value) & 0xFFFF for value in matrix.ravel()]
    points = np.array(
        [
            [random.randint(COORDINATE.low, COORDINATE.high) for _ in range(3)]
            for _ in range(5 * rows + 1)
        ]
    )
    phases = phase_address(matrix, points, FORMATS.table_address_bits)
    table = SineTable(FORMATS.table_address_bits, FORMATS.activation_bits)
    expected = np.concatenate([table.cosines[phases], table.sines[phases]])
    half_bit = len(port("address")) - 1
    port("last_frequency").value = frequencies - 1
    banks = [{} for _ in range(rows)]
    given = seen = waited = taken = 0
    offering = False
    while seen < len(points):
        if int(port("points__valid").value) and taken:
            given, offering = given + 1, False
        if given < len(points):
            offering = offering or random.random() < 0.5
            x, y, z = (int(value) & 0xFFFF for value in points[given])
            last = given == len(points) - 1
            port("points__payload").value = x | y << 16 | z << 32 | int(last) << 48
        else:
            offering = False
        port("points__valid").value = int(offering)
        freed = waited > 2 and random.random() < 0.1
        if freed:
            half, tile = int(port("half").value), int(port("tile").value)
            count = min(rows, len(points) - seen)
            bits = len(port("tile")) - 1
            assert tile & ((1 << bits) - 1) == count - 1
            assert tile >> bits == (seen + count == len(points))
            for row in range(count):
                got = [banks[row].get(n | half << half_bit) for n in range(2 * frequencies)]
                assert got == expected[:, seen + row].tolist(), f"point {seen + row}"
            seen += count
        port("freed").value = int(freed)
        asked = int(port("element_address").value) if int(port("element_enable").value) else None
        address, enables = int(port("address").value), int(port("enables").value)
        features = int(port("features").value) if enables else 0
        for row in range(rows):
            if enables >> row & 1:
                lane = features >> (row % lanes) * FORMATS.activation_bits
                banks[row][address] = lane & FORMATS.activation_max
        taken = int(port("points__ready").value)
        waited = 0 if freed else waited + int(port("filled").value)
        await FallingEdge(dut.clk)
        if asked is not None:
            port("element").value = elements[asked]
