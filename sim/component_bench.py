"""The cocotb benches of components that never wait: operands in, a model beside them."""

import random

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, ReadOnly

from implicore.dataflow import PE_LATENCY, requantizer_latency
from implicore.fixed import requantize
from implicore.hw.memory import address_bits
from implicore.hw.requantizer import Requantizer
from implicore.hw.row import drain_layout, gated_fields, step_layout
from implicore.sincos import BIPARTITE_FROM, SineTable

from .component_ports import CONFIG, FORMATS, signed, start


def random_sum(high):
    """A sum, its constants, and what the requantizer makes of them: 0 to ``high``."""
    limit, offset_limit = 1 << (FORMATS.accumulator_bits - 1), 1 << (FORMATS.offset_bits - 1)
    spread = random.randrange(FORMATS.accumulator_bits)
    shift = random.randrange(64)
    case = {
        "sum": random.choice([-limit, limit - 1, random.randrange(-limit, limit) >> spread]),
        "multiplier": random.randrange(1 << FORMATS.multiplier_bits),
        "coarse": shift >> 3,
        "fine": shift & 7,
        "offset": random.randrange(-offset_limit, offset_limit) >> random.randrange(16),
    }
    if not FORMATS.multiplier_bits:
        case["multiplier"] = 1
    arrays = (np.array([case[name]]) for name in ("sum", "multiplier", "offset"))
    return {**case, "result": int(requantize(*arrays, np.array([shift]), high)[0])}


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
        await ReadOnly()
        if known:
            bits = FORMATS.accumulator_bits
            empty = CONFIG.gate_zeros and int(port("empty").value)
            found = 0 if empty else signed(int(port("sum").value), bits)
            assert found == signed(total, bits)
            assert int(port("activation_out").value) == activation
            assert signed(int(port("weight_out").value), weight_bits) == weight
        await FallingEdge(dut.clk)
        total = (0 if done else total) + product
        product = weight * activation
        weight, activation = inputs
        known = known or done


@cocotb.test()
async def array_row(dut):
    """Dot products one after the other, each column a cycle behind its neighbour; bypass sums."""
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
    weights_before, captured, shown = 0, 0, None
    for cycle in range(len(steps) + columns + 4):
        activation, last, _ = steps[cycle] if cycle < len(steps) else (0, 0, None)
        packed = 0
        for column in range(columns):
            if 0 <= cycle - column < len(steps):
                weight = steps[cycle - column][2][column] & (2 * half - 1)
                packed |= weight << (column * FORMATS.weight_bits)
        port("activation").value = activation
        port("last").value = int(last)
        port("weights_in").value = packed
        bypass = 0
        if cycle + 1 not in sums:  # the place is free
            bypass = random.choice([0, random.getrandbits(bits)])
            if bypass:
                sums[cycle + 1] = bypass
        port("bypass_sum").value = bypass
        shown = sums.get(cycle, 0) if captured else shown
        captured = int(cycle + 1 in sums or random.random() < 0.3)
        port("capture_enable").value = captured
        await ReadOnly()
        if shown is not None:
            assert signed(int(port("sum").value), bits) == signed(shown, bits)
        assert int(port("weights_out").value) == weights_before
        weights_before = packed
        await FallingEdge(dut.clk)


@cocotb.test()
async def requantizer(dut):
    """Sums and constants of any size now and then, each constant in its own cycle."""
    port = await start(dut, "requantizer")
    wait = {"sum": 0, **Requantizer.constant_delays(FORMATS)}
    latency = requantizer_latency(FORMATS)
    cases = []
    for _ in range(1500):
        voxel = random.randrange(2)
        high = FORMATS.output_max if voxel else FORMATS.activation_max
        cases.append({**random_sum(high), "voxel": voxel, "high": high})
        cases[-1]["valid"] = random.random() < 0.7
    shown = None
    for cycle in range(len(cases) + latency):
        stages = cases[max(0, cycle - latency + 1) : cycle + 1][::-1]
        first = max(0, cycle - len(cases) + 1)
        port("enables").value = sum(
            case["valid"] << stage for stage, case in enumerate(stages, first)
        )
        for name, later in wait.items():
            if 0 <= cycle - later < len(cases):
                width = len(port(name))
                port(name).value = cases[cycle - later][name] & ((1 << width) - 1)
        await ReadOnly()
        if cycle >= latency:
            case = cases[cycle - latency]
            result = int(port("result").value) if shown is not None or case["valid"] else None
            if case["valid"]:
                assert result & case["high"] == case["result"], case
            else:  # what came last stays
                assert result == shown
            shown = result
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
        if cycle < len(asked):
            port("phase").value, port("cosine").value = asked[cycle]
        await ReadOnly()
        if cycle >= latency:
            phase, cosine = asked[cycle - latency]
            expected = (table.cosines if cosine else table.sines)[phase]
            assert int(port("value").value) == expected, f"phase {phase}, cosine {cosine}"
        await FallingEdge(dut.clk)


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
        await ReadOnly()
        if shown is not None:
            assert int(port("read_data").value) == shown
        await FallingEdge(dut.clk)
        shown = words[asked] if reads else shown
        if writes:
            words[address] = data


@cocotb.test()
async def column_unit(dut):
    """Words written in any order; the first column's weight is there two cycles after its address.

    The next column's comes a cycle later, and so on.
    """
    port = await start(dut, "column_unit")
    bits = FORMATS.weight_bits
    columns = CONFIG.columns_per_bank
    words = [random.randrange(1 << bits * columns) for _ in range(CONFIG.weight_depth)]
    addresses = list(range(len(words)))
    random.shuffle(addresses)
    for address in addresses:
        port("write_enable").value = 1
        port("write_address").value, port("write_data").value = address, words[address]
        await FallingEdge(dut.clk)
    port("write_enable").value = 0
    port("write_address").value = port("write_data").value = 0
    await FallingEdge(dut.clk)
    asked = [random.choice([None, random.randrange(len(words))]) for _ in range(500)]
    for cycle, address in enumerate(asked):
        port("read_enable").value = int(address is not None)
        port("read_address").value = address or 0
        await ReadOnly()
        weights = int(port("weights").value) if cycle >= 2 + columns else 0
        for column in range(columns):
            due = asked[cycle - 2 - column] if cycle >= 2 + columns else None
            if due is not None:
                assert (weights ^ words[due]) >> bits * column & (1 << bits) - 1 == 0
        await FallingEdge(dut.clk)


class Drained:
    """Sums of any kind, drained one a cycle, and what must come of them.

    ``sums`` and ``tokens`` (fields of ``drain_layout``) stand at the ports, by cycle. Due are
    ``written`` (address and word), ``voxels`` and ``bypass_sums``, by cycle.
    """

    COMMANDS = ("voxel", "write", "output_mac", "output_mac_last")

    def __init__(self, cycles):
        layout, latency = drain_layout(FORMATS, CONFIG.width), requantizer_latency(FORMATS)
        self.tokens = [
            {name: random.getrandbits(field.width) for name, field in layout}
            | dict.fromkeys((*self.COMMANDS, "sum"), 0)
            for _ in range(cycles)
        ]
        self.sums, self.written, self.voxels, self.bypass_sums = {}, {}, {}, {}
        with_result = dict.fromkeys(("write", "output_mac", "output_mac_last"), latency)
        later = (
            {"sum": 0} | Requantizer.constant_delays(FORMATS) | gated_fields(FORMATS) | with_result
        )
        total = 0
        for cycle in range(1, cycles - latency - PE_LATENCY):
            command = random.choice(("voxel", "write", "write", "output_mac", None))
            high = FORMATS.output_max if command == "voxel" else FORMATS.activation_max
            if not command:
                continue
            token = random_sum(high)
            self.sums[cycle], result = token.pop("sum"), token.pop("result")
            ends = cycle + latency
            token |= {"sum": 1, "voxel": 0, command: 1}
            if command == "voxel":
                self.voxels[ends] = result
            elif command == "write":
                token["address"] = random_address(CONFIG.width)
                self.written[ends] = token["address"], result
            elif command == "output_mac":
                half = 1 << (FORMATS.weight_bits - 1)
                token["output_weight"] = random.randrange(-half, half)
                total += result * token["output_weight"]
                token["output_mac_last"] = int(random.random() < 0.2)
                if token["output_mac_last"]:
                    self.bypass_sums[ends + PE_LATENCY], total = total, 0
            for name in token.keys() & later.keys():
                self.tokens[cycle + later[name] - 1][name] = token[name]


def random_address(words):
    """An address in either half of a bank."""
    return random.randrange(2) << address_bits(words) | random.randrange(words)


@cocotb.test()
async def row_unit(dut):
    """Steps and sums in any order: activations, write-back, voxels and the output-layer MAC."""
    port = await start(dut, "row_unit")
    step_shape = step_layout(2 * CONFIG.frequencies, CONFIG.width)
    drain_shape = drain_layout(FORMATS, CONFIG.width)
    bits, cycles = FORMATS.accumulator_bits, 1500
    drained = Drained(cycles)
    banks = {"features": {}, "hidden": {}}
    steps, shown = [], [0, 0]  # activations by cycle: 0 after a step that reads no bank
    passed = {}  # what the row below is told
    for cycle in range(cycles):
        writing, reading = drained.written.get(cycle), None
        if steps:  # the step of the cycle before is read, beside what is written in this one
            before = steps[-1]
            reading = next(((b, before["address"]) for b in banks if before[b]), None)
            shown.append(banks[reading[0]][reading[1]] if reading else 0)
        if writing:
            banks["hidden"][writing[0]] = writing[1]
        feature = random_address(2 * CONFIG.frequencies)
        word = random.randint(0, FORMATS.activation_max)
        enable = random.random() < 0.5 and reading != ("features", feature)
        if enable:
            banks["features"][feature] = word
        port("write_enable").value = int(enable)
        port("write_address").value, port("write_data").value = feature, word

        bank = random.choice((*banks, None))
        known = set(banks.get(bank, ()))
        if bank == "hidden" and cycle + 1 in drained.written:  # never read while it is written
            known.discard(drained.written[cycle + 1][0])
        chosen = {bank: 1, "address": random.choice(sorted(known))} if known else {}
        steps.append(step_shape.const({"last": random.randrange(2), **chosen}))
        port("step_in").value = steps[-1].as_bits()
        port("drain_in").value = drain_shape.const(drained.tokens[cycle]).as_bits()
        junk = random.getrandbits(bits)
        port("sum").value = drained.sums.get(cycle, junk) & ((1 << bits) - 1)
        await ReadOnly()

        assert int(port("capture_enable").value) == drained.tokens[cycle]["sum"]
        if cycle >= 1:
            assert step_shape.from_bits(int(port("step_out").value)) == steps[-2]
            token = dict(drained.tokens[cycle - 1])
            for name, later in gated_fields(FORMATS).items():
                if not (cycle > later and drained.tokens[cycle - 1 - later]["sum"]):
                    token[name] = passed.get(name)
            passed = token
            got = port("drain_out").value
            for name, field in drain_shape:
                if token[name] is not None:
                    bits_of = got[field.offset + field.width - 1 : field.offset]
                    assert int(bits_of) == token[name] & (1 << field.width) - 1, name
        if cycle >= 2:
            assert int(port("last").value) == steps[-3]["last"]
            assert int(port("activation").value) == shown[cycle], f"cycle {cycle}"
        voxel = int(port("voxel_valid").value), int(port("voxel").value)
        due = cycle in drained.voxels, drained.voxels.get(cycle, 0)
        assert voxel == due, f"voxel in cycle {cycle}"
        if cycle > PE_LATENCY:  # until then the output-layer MAC is cleared
            total = signed(drained.bypass_sums.get(cycle, 0), bits)
            assert signed(int(port("bypass_sum").value), bits) == total, (
                f"bypass sum in cycle {cycle}"
            )
        await FallingEdge(dut.clk)
