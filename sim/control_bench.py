"""The cocotb benches of what decides: sequencer, registers, and the core, which holds it all."""

import random
from collections import Counter, deque
from itertools import count
from typing import NamedTuple

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from implicore.cycles import predict
from implicore.dataflow import (
    PE_LATENCY,
    array_layers,
    output_layer_bypasses_array,
    output_mac_latency,
    requantizer_latency,
)
from implicore.hw.control import layout
from implicore.hw.core import store_layout
from implicore.hw.memory import address_bits
from implicore.hw.row import step_layout
from implicore.hw.sequencer import shape_layout
from implicore.model.golden import Renderer
from implicore.registers import ADDRESS_BITS, REGISTERS, addresses
from implicore.stream import constant_fields, constants, weight_writes

from .cases import random_points
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
    start,
)


class Step(NamedTuple):
    """A step of a voxel tile.

    ``number`` is that of the input in its bank, ``address`` where it lies (a feature's without the
    half); ``used`` are the columns at work; ``last`` tells the last step of a column tile,
    ``final`` that of the voxel tile.
    """

    layer: int
    bank: str
    number: int
    address: int
    used: int
    last: bool
    final: bool = False


def steps_of(shape):
    """The steps of a voxel tile in their order."""
    steps = []
    for layer, size in enumerate(array_layers(shape)):
        half = ~layer & 1  # to which the layer before has written
        inputs = [("features", n, n) for n in range(size.features)]
        inputs += [
            ("hidden", n, n | half << address_bits(CONFIG.width)) for n in range(size.hidden)
        ]
        for first in range(0, size.outputs, CONFIG.columns):
            used = min(CONFIG.columns, size.outputs - first)
            steps += [Step(layer, *place, used, place == inputs[-1]) for place in inputs]
    return [*steps[:-1], steps[-1]._replace(final=True)]


class Token(NamedTuple):
    """A drain token."""

    layer: int
    voxel: bool = False
    output_mac: bool = False
    output_mac_last: bool = False


def tokens_of(shape, step):
    """The drain tokens after the last step of a column tile, by the cycles after it."""
    output_mac = output_layer_bypasses_array(shape) and step.layer == shape.depth - 2
    token = Token(step.layer, voxel=step.layer == shape.depth - 1, output_mac=output_mac)
    tokens = {n + 1: token for n in range(step.used)}
    if output_mac and step.final:
        tokens[step.used] = token._replace(output_mac_last=True)
        tokens[step.used + output_mac_latency(FORMATS)] = Token(step.layer + 1, voxel=True)
    return tokens


@cocotb.test(**TIMEOUT)
async def sequencer(dut):
    """Features and room for voxels that come when they like: every step in its very cycle."""
    port = await start(dut, "sequencer")
    step_shape, rng = step_layout(2 * CONFIG.frequencies, CONFIG.width), drawn()
    feature_half, hidden_half = address_bits(2 * CONFIG.frequencies), address_bits(CONFIG.width)
    half = 0

    def issued():
        return step_shape.from_bits(int(port("step").value))

    for _ in range(30):
        shape = fitting_program(rng).shape
        steps, tiles = steps_of(shape), random.randint(1, 4)
        port("shape").value = shape_layout(CONFIG).const(shape_fields(shape)).as_bits()
        port("running").value = 0
        port("start").value = 1
        await ReadOnly()
        assert issued()["last"]  # clears the accumulators
        await FallingEdge(dut.clk)
        port("start").value = 0
        port("running").value = 1

        at = drain_free = 0
        full = output_free = True
        tokens, written = {}, Counter()  # by cycle; by layer
        on_the_way = deque([None] * (PE_LATENCY + 1 + requantizer_latency(FORMATS)))
        for cycle in count():
            if not (tiles or tokens or any(on_the_way)):
                break
            full = tiles > 0 and (full or random.random() < 0.2)
            output_free = output_free or random.random() < 0.05
            arriving = on_the_way.popleft()
            port("full").value, port("select").value = int(full), half
            port("output_free").value = int(output_free)
            port("written").value = int(arriving is not None)
            await ReadOnly()

            step = steps[at]
            from_features = step.bank == "features"
            missing = {
                "features": from_features and not full,
                "neuron": not from_features and step.number >= written[step.layer - 1],
                "drain": step.last and cycle < drain_free,
                "buffer": step.final and not output_free,
            }
            issues = not any(missing.values())
            ends, finishes = issues and step.last, issues and step.final
            where = f"cycle {cycle}, {step}, missing {missing}"
            got = issued()
            banks = issues and from_features, issues and not from_features
            assert (got["features"], got["hidden"]) == banks, where
            assert int(port("weight_enable").value) == issues, where
            assert got["last"] == ends, where
            assert int(port("finish").value) == int(port("release_half").value) == finishes, where
            if issues:
                address = step.address | (half << feature_half if from_features else 0)
                assert got["address"] == address, where
                assert int(port("weight_address").value) == at, where
                assert int(port("columns_used").value) == step.used, where

            token = tokens.pop(cycle, None)
            assert int(port("drain").value) == bool(token), where
            for name in ("voxel", "output_mac", "output_mac_last"):
                assert int(port(name).value) == bool(token and getattr(token, name)), where
            following = tokens_of(shape, step) if ends else {}
            feeds_output_mac = any(token.output_mac for token in following.values())
            assert int(port("feeds_output_mac").value) == feeds_output_mac, where
            if arriving:
                address = written[arriving.layer] | (arriving.layer & 1) << hidden_half
                assert int(port("write_address").value) == address, where
                written[arriving.layer] += 1

            on_the_way.append(token if token and not (token.voxel or token.output_mac) else None)
            tokens |= {cycle + later: token for later, token in following.items()}
            if ends:
                drain_free = max(tokens)
            at += issues
            if finishes:
                at, tiles, half = 0, tiles - 1, 1 - half
                full = output_free = False
                written.clear()
            await FallingEdge(dut.clk)


def map_words():
    """Access, lowest bit in its layout, and width of each word of the register map."""
    found = {}
    for register in REGISTERS:
        field = layout(register.access)[register.name]
        for number in range(register.count * register.words):
            index, part = divmod(number, register.words)
            low = field.offset + index * register.bits + 32 * part
            width = min(32, register.bits - 32 * part, field.width)
            found[addresses()[register.name] // 4 + number] = register.access, low, width
    return found


@cocotb.test(**TIMEOUT)
async def control_registers(dut):
    """Reads and writes of any octets by cocotbext-axi, while values and events come and go."""
    port = await start(dut, "control_registers")
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "control_registers_"), dut.clk, dut.rst)
    write, read = master.write_if, master.read_if
    for part in (write, read):
        part.log.setLevel("WARNING")
    for channel in (
        *(write.aw_channel, write.w_channel, write.b_channel),
        *(read.ar_channel, read.r_channel),
    ):
        channel.set_pause_generator(random.random() < 0.3 for _ in count())

    events_and_commands = [addresses()[r.name] for r in REGISTERS if r.access in ("w1c", "wo")]

    def place():
        anywhere = random.randrange(1 << ADDRESS_BITS)
        address = random.choice([anywhere, *events_and_commands]) | random.choice((0, 0, 1, 2))
        return address, random.randint(1, min(8, (1 << ADDRESS_BITS) - address))

    async def writes():
        for _ in range(200):
            address, length = place()
            await master.write(address, random.randbytes(length))

    async def reads():
        for _ in range(200):
            address, length = place()
            got.append((address, bytes((await master.read(address, length)).data)))

    def high(*names):
        return all(int(port(name).value) for name in names)

    def strobed():
        strobe = int(port("wstrb").value)
        return sum(0xFF << 8 * octet for octet in range(4) if strobe >> octet & 1)

    words = map_words()
    enable = layout("rw")["interrupt_enable"]
    values = {"ro": 0, "rw": 0, "w1c": 0}
    got, due = [], []  # octets that the master read; words that were read, with their addresses
    answering = {"b": False, "r": False}
    tasks = [cocotb.start_soon(task) for task in (writes(), reads())]
    while not all(task.done() for task in tasks):
        if random.random() < 0.3:
            values["ro"] = random.getrandbits(len(port("ro")))
        events = random.getrandbits(3) if random.random() < 0.5 else 0
        port("ro").value, port("events").value = values["ro"], events
        if high("wvalid"):  # the master makes the other octets 0, which would hide them
            port("wdata").value = int(port("wdata").value) | 0xFFFFFFFF & ~strobed()
        await ReadOnly()

        assert int(port("rw").value) == values["rw"]
        enabled = values["rw"] >> enable.offset & ((1 << enable.width) - 1)
        assert int(port("interrupt").value) == bool(values["w1c"] & enabled)
        for channel, answers in answering.items():
            assert high(f"{channel}valid") == answers
            assert not int(port(f"{channel}resp").value)
        if answering["r"]:
            assert int(port("rdata").value) == due[-1][1]

        # Nothing new is taken while an answer stands; address and data are taken together.
        stands = {channel: answering[channel] and not high(f"{channel}ready") for channel in "br"}
        writing = high("awvalid", "wvalid") and not stands["b"]
        reading = high("arvalid") and not stands["r"]
        assert high("awready") == high("wready") == writing
        assert high("arready") == reading
        answering = {"b": stands["b"] or writing, "r": stands["r"] or reading}
        if reading:
            word = int(port("araddr").value) >> 2
            access, low, width = words.get(word, ("wo", 0, 0))
            due.append((4 * word, values.get(access, 0) >> low & ((1 << width) - 1)))

        commands = cleared = 0
        if writing:
            access, low, width = words.get(int(port("awaddr").value) >> 2, ("ro", 0, 0))
            mask = strobed() & ((1 << width) - 1)
            data = int(port("wdata").value) & mask
            if access == "rw":
                values["rw"] = values["rw"] & ~(mask << low) | data << low
            elif access == "w1c":
                cleared = data << low
            elif access == "wo":
                commands = data << low
        assert int(port("wo").value) == commands
        values["w1c"] = values["w1c"] & ~cleared | events
        await FallingEdge(dut.clk)

    octets = iter([(address + n, word >> 8 * n & 0xFF) for address, word in due for n in range(4)])
    for address, data in got:
        for number, octet in enumerate(data):
            assert next(pair for pair in octets if pair[0] == address + number)[1] == octet


async def fill(dut, port, program):
    """Write a program into the core's memories."""
    stores = [
        {"coefficient_enable": 1, "coefficient_address": address, "coefficient": coefficient}
        for address, coefficient in enumerate(program.frequencies.ravel().tolist())
    ]
    for address, neuron in enumerate(constants(program)):
        word = constant_fields(*neuron, FORMATS)
        stores.append({"constant_enable": 1, "constant_address": address, "constant": word})
    for bank, address, word in weight_writes(program, CONFIG):
        stores.append({"weight_enables": bank, "weight_address": address, "weight": word})
    for fields in [*stores, {}]:
        port("store").value = store_layout(CONFIG).const(fields).as_bits()
        await FallingEdge(dut.clk)


@cocotb.test(**TIMEOUT)
async def core(dut):
    """Programs one after the other: the golden model's voxels in the predicted cycles."""
    port = await start(dut, "core")
    rng = drawn()
    for rest in (0, 0.6) * 3:
        program = fitting_program(rng)
        await fill(dut, port, program)
        points = random_points(rng, random.randint(1, 3 * CONFIG.rows + 1))
        expected = Renderer(program).voxels(points).tolist()
        expected[-1] |= 1 << FORMATS.output_bits
        shape = shape_layout(CONFIG).const(shape_fields(program.shape))
        port("shape").value, port("start").value = shape.as_bits(), 1
        await FallingEdge(dut.clk)
        port("start").value, port("running").value = 0, 1
        source = Source(port, "points", point_payloads(points), rest)
        sink = Sink(port, "voxels", rest)
        begun, steps, voxels = None, 0, []
        for cycle in count():
            source.drive()
            sink.drive()
            await ReadOnly()
            if source.taken() and begun is None:
                begun = cycle
            steps += int(port("step").value)
            voxel = sink.taken()
            if voxel is not None:
                assert voxel == expected[len(voxels)], f"voxel {len(voxels)}"
                assert int(port("useful_macs").value) == program.shape.weights
                voxels.append(voxel)
            if len(voxels) == len(expected):
                break
            await FallingEdge(dut.clk)
        prediction = predict(program.shape, CONFIG, len(points))
        assert rest or cycle - begun + 1 == prediction.cycles
        assert steps == prediction.steps
        await FallingEdge(dut.clk)
        port("running").value = 0
