"""Benches of the components that never wait."""

import numpy as np

from implicore.dataflow import PE_LATENCY, decoder_latency, requantizer_latency
from implicore.ecc import Code
from implicore.formats import Formats
from implicore.hw.core import coefficient_code
from implicore.hw.requantizer import Requantizer
from implicore.hw.row import gated_fields, step_layout
from implicore.hw.voxel_bank import lane_bits
from implicore.sincos import BIPARTITE_FROM, SineTable

from .ports import Ports, signed
from .reference import (
    Accumulator,
    Drain,
    Requantization,
    VoxelWords,
    random_address,
    random_requantization,
    results,
    row_drain_layout,
)


async def processing_element(ports: Ports, steps: int = 2000):
    """Dot products without a gap, with the extremes and zero often among the operands."""
    rng, formats = ports.rng, ports.formats
    half, top = 1 << (formats.weight_bits - 1), formats.activation_max
    model = Accumulator()
    for _ in range(steps):
        weight = rng.choice([0, -half, half - 1, rng.randrange(-half, half)])
        activation = rng.choice([0, top, rng.randint(0, top)])
        # The accumulator is sure to hold 2^7 products.
        done = rng.random() < 0.05
        ports.set(weight_in=weight, activation_in=activation, done=done)
        await ports.settle()
        if model.sum is not None:
            empty = ports.config.gate_zeros and ports.get("empty")
            expected = signed(model.sum, formats.accumulator_bits)
            assert (0 if empty else ports.get_signed("sum")) == expected
            assert ports.get("activation_out") == model.activation
            assert ports.get_signed("weight_out") == model.weight
        await ports.tick()
        model.tick(weight, activation, done)


async def array_row(ports: Ports):
    """Dot products without a gap, each column a cycle behind its neighbour; bypass sums."""
    rng, formats, columns = ports.rng, ports.formats, ports.config.columns
    bits = formats.accumulator_bits
    half = 1 << (formats.weight_bits - 1)
    steps, sums = [], {}
    ports.set(last=1)  # clears the accumulators
    for _ in range(8):
        await ports.tick()
    for _ in range(20):
        inputs = columns + rng.randrange(4)
        vector = [rng.randint(0, formats.activation_max) for _ in range(inputs)]
        matrix = [[rng.randrange(-half, half) for _ in range(columns)] for _ in range(inputs)]
        steps += [
            (activation, number == inputs - 1, weights)
            for number, (activation, weights) in enumerate(zip(vector, matrix, strict=True))
        ]
        products = (np.array(vector) @ np.array(matrix)).tolist()
        for column, product in enumerate(products):
            sums[len(steps) - 1 + PE_LATENCY + 1 + column] = product
    weights_before, captured, shown = 0, 0, None
    for cycle in range(len(steps) + columns + PE_LATENCY + 1):
        activation, last, _ = steps[cycle] if cycle < len(steps) else (0, 0, None)
        packed = 0
        for column in range(columns):
            if 0 <= cycle - column < len(steps):
                weight = steps[cycle - column][2][column] & (2 * half - 1)
                packed |= weight << (column * formats.weight_bits)
        bypass_sum = 0
        if cycle + 1 not in sums:  # the register is free
            bypass_sum = rng.choice([0, rng.getrandbits(bits)])
            if bypass_sum:
                sums[cycle + 1] = bypass_sum
        shown = sums.get(cycle, 0) if captured else shown
        captured = int(cycle + 1 in sums or rng.random() < 0.3)
        ports.set(activation=activation, last=last, weights_in=packed)
        ports.set(bypass_sum=bypass_sum, capture_enable=captured)
        await ports.settle()
        if shown is not None:
            assert ports.get_signed("sum") == signed(shown, bits)
        assert ports.get("weights_out") == weights_before
        weights_before = packed
        await ports.tick()


async def requantizer(ports: Ports, cases: list[Requantization] | None = None):
    """Accumulators in some cycles, each constant in its own cycle.

    With ``cases`` these, one a cycle, else random ones.
    """
    rng, formats = ports.rng, ports.formats
    delays = {"sum": 0, **Requantizer.constant_delays(formats)}
    latency = requantizer_latency(formats)
    valid = [True] * len(cases or ())
    if cases is None:
        cases = [random_requantization(rng, formats, rng.randrange(2)) for _ in range(1500)]
        valid = [rng.random() < 0.7 for _ in cases]
    inputs, due, shown = [case.inputs() for case in cases], results(cases, formats), None
    for cycle in range(len(cases) + latency):
        stages = enumerate(range(cycle, cycle - latency, -1))
        enables = sum(
            valid[number] << stage for stage, number in stages if 0 <= number < len(cases)
        )
        ports.set(enables=enables)
        for name, delay in delays.items():
            if 0 <= cycle - delay < len(cases):
                ports.set(**{name: inputs[cycle - delay][name]})
        await ports.settle()
        if cycle >= latency:
            case = cases[cycle - latency]
            if valid[cycle - latency]:
                high = formats.output_max if case.voxel else formats.activation_max
                shown = ports.get("result")
                assert shown & high == due[cycle - latency], case
            elif shown is not None:  # the previous result stays
                assert ports.get("result") == shown
        await ports.tick()


async def sin_cos_table(ports: Ports):
    """Every phase, cosine and sine."""
    address_bits = ports.formats.table_address_bits
    table = SineTable(address_bits, ports.formats.activation_bits)
    latency = 2 + (address_bits >= BIPARTITE_FROM)
    lookups = [(phase, cosine) for phase in range(1 << address_bits) for cosine in (1, 0)]
    sines, cosines = table.sines.tolist(), table.cosines.tolist()
    for cycle in range(len(lookups) + latency):
        if cycle < len(lookups):
            ports.set(phase=lookups[cycle][0], cosine=lookups[cycle][1])
        await ports.settle()
        if cycle >= latency:
            phase, cosine = lookups[cycle - latency]
            expected = (cosines if cosine else sines)[phase]
            assert ports.get("value") == expected, f"phase {phase}, cosine {cosine}"
        await ports.tick()


async def ram_features(ports: Ports, depth: int | None = None):
    """Reads and writes of any words; a word that was read stays until the next read."""
    rng, width = ports.rng, ports.width("write_data")
    depth = depth or min(1 << ports.width("read_address"), 2 * 2 * ports.config.frequencies)
    words, shown = {}, None
    for _ in range(1500):
        write, read = rng.random() < 0.6, rng.random() < 0.6
        to, at, word = rng.randrange(depth), rng.randrange(depth), rng.getrandbits(width)
        read = read and at in words and not (write and to == at)
        ports.set(write_enable=write, write_address=to, write_data=word)
        ports.set(read_enable=read, read_address=at)
        await ports.settle()
        if shown is not None:
            assert ports.get("read_data") == shown
        await ports.tick()
        shown = words[at] if read else shown
        if write:
            words[to] = word


async def word_decoder(ports: Ports, code: Code | None = None):
    """Words without an error and with one to three, between words that are not read.

    ``code`` is that of the coefficient memory by default.
    """
    rng, code = ports.rng, code or coefficient_code(ports.config)
    read, shown, reports = [False], None, [(False, False)] * 2
    for _ in range(3000):
        enable, word = rng.random() < 0.6, rng.getrandbits(code.bits)
        codeword = code.encode(word)
        for bit in rng.sample(
            range(code.width), min(code.width, rng.choice((0, 0, 1, 1, 2, 2, 3)))
        ):
            codeword ^= 1 << bit
        ports.set(read_enable=enable, codeword=codeword)
        await ports.settle()
        if shown is not None:
            assert ports.get("word") == shown
        assert (ports.get("corrected"), ports.get("error")) == reports[-2]
        await ports.tick()
        # This codeword belongs to the read of the cycle before.
        decoded = code.decode(codeword) if read[-1] else None
        if decoded:
            shown = decoded.word
        reports.append((decoded.corrected, decoded.error) if decoded else (False, False))
        read.append(enable)


async def column_unit(ports: Ports):
    """Words written in any order; the weights of a column two cycles after their address.

    Each further column's weight comes a cycle later. Protection adds a cycle.
    """
    late = 2 + decoder_latency(ports.config.protection)
    rng, bits, columns = ports.rng, ports.formats.weight_bits, ports.config.columns_per_bank
    words = [rng.randrange(1 << bits * columns) for _ in range(ports.config.weight_depth)]
    addresses = list(range(len(words)))
    rng.shuffle(addresses)
    for address in addresses:
        ports.set(write_enable=1, write_address=address, write_data=words[address])
        await ports.tick()
    ports.set(write_enable=0, write_address=0, write_data=0)
    await ports.tick()
    reads = [rng.choice([None, rng.randrange(len(words))]) for _ in range(500)]
    for cycle, address in enumerate(reads):
        ports.set(read_enable=address is not None, read_address=address or 0)
        await ports.settle()
        weights = ports.get("weights") if cycle >= late + columns else 0
        if late > 2:
            assert not (ports.get("corrected") or ports.get("error"))
        for column in range(columns):
            due = reads[cycle - late - column] if cycle >= late + columns else None
            if due is not None:
                assert (weights ^ words[due]) >> bits * column & (1 << bits) - 1 == 0
        await ports.tick()


def check_word(word: int, voxels: list[int] | None, formats: Formats) -> None:
    """Assert that a word has these voxels from its lowest bits; without voxels, that it is 0."""
    bits = formats.output_bits
    due = sum(voxel << bits * lane for lane, voxel in enumerate(voxels or []))
    assert (word & ((1 << bits * len(voxels)) - 1) if voxels else word) == due


async def voxel_bank(ports: Ports):
    """Voxels with pauses, and reads of any words that were written."""
    rng, config, formats = ports.rng, ports.config, ports.formats
    bank, read = VoxelWords(rng, config), [None, None, None]

    def arrive():
        valid, voxel = rng.random() < 0.7, rng.randint(0, formats.output_max)
        address, write = bank.put(voxel) if valid else (rng.getrandbits(16), False)
        written = address >> lane_bits(config.voxels_per_beat) if write else None
        return {"valid": valid, "write": write, "address": address, "voxel": voxel}, written

    inputs, _ = arrive()
    for cycle in range(1500):
        ports.set(**inputs)
        known = dict(bank.words)
        inputs, written = arrive()
        # The read takes place in the next cycle, never while the word is written.
        at = rng.choice([None, *(known.keys() - {written})])
        read.append(known.get(at))
        ports.set(read_enable=at is not None, read_address=at or 0)
        await ports.settle()
        if cycle >= 3:
            check_word(ports.get("word"), read[cycle], formats)
        await ports.tick()


async def row_unit(ports: Ports):
    """Steps and accumulators in any order: activations, write-back, voxels, bypass sums."""
    rng, config, formats = ports.rng, ports.config, ports.formats
    step_shape = step_layout(2 * config.frequencies, config.width)
    drain_shape = row_drain_layout(config)
    bits, cycles = formats.accumulator_bits, 1500
    drain = Drain(rng, config, cycles)
    banks = {"features": {}, "hidden": {}}
    steps, shown = [], [0, 0]  # activations by cycle: 0 after a step that reads no bank
    passed = {}  # the token for the row below
    voxels, read = {}, [None] * 3  # words of the voxel bank; the one that is read, by cycle
    for cycle in range(cycles):
        writing, reading = drain.written.get(cycle), None
        if steps:  # the bank reads for the previous step while this cycle's word is written
            before = steps[-1]
            reading = next(((b, before["address"]) for b in banks if before[b]), None)
            shown.append(banks[reading[0]][reading[1]] if reading else 0)
        if writing:
            banks["hidden"][writing[0]] = writing[1]
        feature = random_address(rng, 2 * config.frequencies)
        word = rng.randint(0, formats.activation_max)
        enable = rng.random() < 0.5 and reading != ("features", feature)
        if enable:
            banks["features"][feature] = word
        ports.set(write_enable=enable, write_address=feature, write_data=word)

        bank = rng.choice((*banks, None))
        known = set(banks.get(bank, ()))
        if bank == "hidden" and cycle + 1 in drain.written:  # never read while it is written
            known.discard(drain.written[cycle + 1][0])
        chosen = {bank: 1, "address": rng.choice(sorted(known))} if known else {}
        steps.append(step_shape.const({"last": rng.randrange(2), **chosen}))
        ports.set(step_in=steps[-1].as_bits())
        ports.set(drain_in=drain_shape.const(drain.tokens[cycle]).as_bits())
        ports.set(sum=drain.sums.get(cycle, rng.getrandbits(bits)))
        if config.outputs > 1:
            stored = drain.stored.get(cycle, (None, None))
            voxels.update([stored] if stored[1] else [])
            # The read takes place in the next cycle, never while the word is written.
            following = drain.stored.get(cycle + 1, (None, None))[0]
            address = rng.choice([None, *(voxels.keys() - {following})])
            read.append(voxels.get(address))
            ports.set(read_enable=address is not None, read_address=address or 0)
        await ports.settle()

        assert ports.get("capture_enable") == drain.tokens[cycle]["sum"]
        if cycle >= 1:
            assert step_shape.from_bits(ports.get("step_out")) == steps[-2]
            token = dict(drain.tokens[cycle - 1])
            for name, delay in gated_fields(formats).items():
                if not (cycle > delay and drain.tokens[cycle - 1 - delay]["sum"]):
                    token[name] = passed.get(name)
            passed = token
            for name, field in drain_shape:
                if token[name] is not None:
                    got = ports.get_bits("drain_out", field.offset, field.width)
                    assert got == token[name] & (1 << field.width) - 1, name
        if cycle >= 2:
            assert ports.get("last") == steps[-3]["last"]
            assert ports.get("activation") == shown[cycle], f"cycle {cycle}"
        if config.outputs > 1:
            check_word(ports.get("word"), read[cycle], formats)
        else:
            voxel = ports.get("voxel_valid"), ports.get("voxel")
            due = cycle in drain.voxels, drain.voxels.get(cycle, 0)
            assert voxel == due, f"voxel in cycle {cycle}"
        if cycle > PE_LATENCY:  # until then the output-layer MAC is cleared
            bypass_sum = signed(drain.bypass_sums.get(cycle, 0), bits)
            assert ports.get_signed("bypass_sum") == bypass_sum, f"bypass sum in cycle {cycle}"
        await ports.tick()
