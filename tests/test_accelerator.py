"""The accelerator through its ports alone, as software and other hardware see it."""

import dataclasses
from functools import partial
from itertools import chain, islice

import numpy as np
import pytest
from amaranth import ResetInserter, Signal
from amaranth.sim import Simulator

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict
from implicore.fixed import COORDINATE
from implicore.formats import Formats
from implicore.hw.accelerator import Accelerator
from implicore.hw.memory import Ram
from implicore.job import GridJob, pack_points
from implicore.model.golden import Renderer
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
from implicore.registers import ADDRESS_BITS, IDENTITY, REGISTERS, Error, Response, addresses, masks
from implicore.stream import HEADER, program_stream

FORMATS = Formats.parse("w8a8m3")
SHAPE = NetworkShape(frequencies=3, width=5, depth=3, skips=(2,))
OTHER = NetworkShape(frequencies=2, width=4, depth=2)
CONFIG = AcceleratorConfig.sized(3, 2, FORMATS, [SHAPE, OTHER])
WORDS = {register.name: register.words for register in REGISTERS}
ACCESS = [r.access for r in REGISTERS for _ in range(r.words * r.count)]
MAP_WORDS = len(ACCESS)
COMMAND = {"start_grid": 1, "start_points": 2, "abort": 4}


class Host:
    """The host's view of the accelerator: registers and streams, which stall at random."""

    def __init__(self, ctx, dut, stall=0.0, seed=0):
        self.ctx, self.dut, self.stall = ctx, dut, stall
        self.rng = np.random.default_rng(seed)

    async def tick(self):
        """Run a cycle. A point that is accepted in it is not offered any more."""
        accepted = self.ctx.get(self.dut.s_axis_points_tready)
        await self.ctx.tick()
        if accepted:
            self.ctx.set(self.dut.s_axis_points_tvalid, 0)

    async def until(self, signal):
        """Wait for a signal, with a time limit."""
        for _ in range(1000):
            if self.ctx.get(signal):
                return
            await self.tick()
        raise AssertionError(f"{signal.name} never came")

    async def write(self, address, value, strobe=15):
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.s_axi_awaddr, address)
        ctx.set(dut.s_axi_wdata, value & 0xFFFFFFFF)
        ctx.set(dut.s_axi_wstrb, strobe)
        ctx.set(dut.s_axi_awvalid, 1)
        ctx.set(dut.s_axi_wvalid, 1)
        await self.until(dut.s_axi_awready)
        assert ctx.get(dut.s_axi_wready)
        await self.tick()
        ctx.set(dut.s_axi_awvalid, 0)
        ctx.set(dut.s_axi_wvalid, 0)
        ctx.set(dut.s_axi_bready, 1)
        await self.until(dut.s_axi_bvalid)
        response = ctx.get(dut.s_axi_bresp)
        await self.tick()
        ctx.set(dut.s_axi_bready, 0)
        return response

    async def read_word(self, address, response=Response.OKAY):
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.s_axi_araddr, address)
        ctx.set(dut.s_axi_arvalid, 1)
        await self.until(dut.s_axi_arready)
        await self.tick()
        ctx.set(dut.s_axi_arvalid, 0)
        ctx.set(dut.s_axi_rready, 1)
        await self.until(dut.s_axi_rvalid)
        value = ctx.get(dut.s_axi_rdata)
        assert ctx.get(dut.s_axi_rresp) == response
        await self.tick()
        ctx.set(dut.s_axi_rready, 0)
        return value

    async def read(self, name):
        address = addresses()[name]
        words = [await self.read_word(address + 4 * part) for part in range(WORDS[name])]
        return sum(word << 32 * part for part, word in enumerate(words))

    async def command(self, name):
        assert await self.write(addresses()["control"], COMMAND[name]) == Response.OKAY

    async def send(self, words, last=True):
        ctx, dut = self.ctx, self.dut
        for number, word in enumerate(words):
            while self.rng.random() < self.stall:
                await self.tick()
            ctx.set(dut.s_axis_program_tdata, int(word))
            ctx.set(dut.s_axis_program_tlast, last and number == len(words) - 1)
            ctx.set(dut.s_axis_program_tvalid, 1)
            await self.until(dut.s_axis_program_tready)
            await self.tick()
            ctx.set(dut.s_axis_program_tvalid, 0)

    async def load(self, words):
        """Send a program; return the error register."""
        await self.send(words)
        for _ in range(6):
            await self.tick()
        return Error(await self.read("error"))

    async def set_grid(self, job: GridJob):
        numbers = [n - 1 for n in job.shape]
        for index, value in enumerate(numbers):
            await self.write(addresses()["grid_size_minus_one"] + 4 * index, value)
        vectors = [
            ("grid_origin", job.origin),
            ("grid_increments", chain(*job.increments)),
        ]
        for name, values in vectors:
            for index, value in enumerate(values):
                await self.write(addresses()[name] + 8 * index, value)
                await self.write(addresses()[name] + 8 * index + 4, value >> 32)

    async def take(self, number=None, points=(), limit=20_000):
        """Receive voxels up to ``tlast`` or a count, while sending points.

        A point that is offered at the end stays offered.
        """
        ctx, dut = self.ctx, self.dut
        taken, offered, words = [], 0, pack_points(points).tolist()
        for _ in range(limit):
            idle = not ctx.get(dut.s_axis_points_tvalid)
            if offered < len(points) and idle and self.rng.random() >= self.stall:
                ctx.set(dut.s_axis_points_tvalid, 1)
                ctx.set(dut.s_axis_points_tdata, words[offered])
                offered += 1
                ctx.set(dut.s_axis_points_tlast, offered == len(points))
            ready = self.rng.random() >= self.stall
            ctx.set(dut.m_axis_voxels_tready, ready)
            valid = ctx.get(dut.m_axis_voxels_tvalid)
            voxel, last = ctx.get(dut.m_axis_voxels_tdata), ctx.get(dut.m_axis_voxels_tlast)
            await self.tick()
            if valid and ready:
                taken.append(voxel)
                if last or len(taken) == number:
                    break
        ctx.set(dut.m_axis_voxels_tready, 0)
        return taken


def run(scenario, config=CONFIG, **options):
    """Run ``await scenario(host)`` on a fresh accelerator; ``host.reset`` resets it."""
    accelerator = Accelerator(config)
    reset = Signal()
    finished = []

    async def bench(ctx):
        await ctx.tick()
        host = Host(ctx, accelerator, **options)
        host.reset = reset
        await scenario(host)
        finished.append(True)

    simulator = Simulator(ResetInserter(reset)(accelerator))
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.add_process(partial(watch, accelerator, reset))
    simulator.run()
    assert finished


async def watch(dut, reset, ctx):
    """Fail when a channel withdraws or changes what it offers before it is taken."""
    channels = {
        "s_axi_aw": ("addr",),
        "s_axi_w": ("data", "strb"),
        "s_axi_b": ("resp",),
        "s_axi_ar": ("addr",),
        "s_axi_r": ("data", "resp"),
        "s_axis_program_t": ("data", "last"),
        "s_axis_points_t": ("data", "last"),
        "m_axis_voxels_t": ("data", "last"),
    }
    names = [(f"{c}valid", f"{c}ready", *(f"{c}{p}" for p in ps)) for c, ps in channels.items()]
    ports = [[getattr(dut, name) for name in each] for each in names]
    waiting = {}
    async for _, _, now, *values in ctx.tick().sample(reset, *chain(*ports)):
        values = iter(values)
        for valid, _, *payload in ports:
            there, taken, *content = islice(values, 2 + len(payload))
            before = waiting.pop(valid.name, None)
            assert before is None or now or (there and content == before), valid.name
            if there and not taken and not now:
                waiting[valid.name] = content


PROGRAM = random_program(SHAPE, FORMATS, seed=1)
GOOD = program_stream(PROGRAM, CONFIG)
POINTS = np.random.default_rng(2).integers(COORDINATE.low, COORDINATE.high + 1, (8, 3))
EXPECTED = Renderer(PROGRAM).voxels(POINTS).tolist()


def test_identity_and_registers():
    async def scenario(host):
        assert await host.read("identity") == IDENTITY
        assert await host.read("configuration") == CONFIG.digest
        assert await host.read("array") == 3 | 2 << 16
        assert await host.read("status") == 0
        origin = addresses()["grid_origin"]
        await host.write(origin, 0x12345678)
        await host.write(origin + 4, 0xFFFFFFAB)
        await host.write(origin, 0xAABBCCDD, strobe=0b0100)
        assert await host.read_word(origin) == 0x12BB5678
        assert await host.read_word(origin + 4) == 0xAB
        assert await host.read_word(addresses()["control"]) == 0

    run(scenario)


def test_forbidden_accesses_are_answered_with_an_error():
    """Those to an address without a register, and writes to read-only registers."""

    async def scenario(host):
        before = [await host.read_word(4 * word) for word in range(MAP_WORDS)]
        for word in range(1 << ADDRESS_BITS - 2):
            if word >= MAP_WORDS:
                assert await host.read_word(4 * word, Response.SLVERR) == 0
            okay = word < MAP_WORDS and ACCESS[word] != "ro"
            expected = Response.OKAY if okay else Response.SLVERR
            for strobe in (0, 15):  # the strobes do not matter
                assert await host.write(4 * word, 0, strobe) == expected
        for word in range(MAP_WORDS, 1 << ADDRESS_BITS - 2):
            assert await host.write(4 * word, 0xFFFFFFFF) == Response.SLVERR
        assert [await host.read_word(4 * word) for word in range(MAP_WORDS)] == before

    run(scenario)


def test_the_register_port_takes_a_read_and_a_write_every_two_cycles():
    cycles = 20

    async def scenario(host):
        ctx, dut = host.ctx, host.dut
        ctx.set(dut.s_axi_awaddr, addresses()["grid_origin"])
        ctx.set(dut.s_axi_araddr, addresses()["identity"])
        for name in ("awvalid", "wvalid", "bready", "arvalid", "rready"):
            ctx.set(getattr(dut, f"s_axi_{name}"), 1)
        responses = {"b": [], "r": []}
        for _ in range(cycles):
            for channel, seen in responses.items():
                seen.append(ctx.get(getattr(dut, f"s_axi_{channel}valid")))
            await host.tick()
        assert all(seen == [0, 0, *[1, 0] * (cycles // 2 - 1)] for seen in responses.values())

    run(scenario)


@pytest.mark.parametrize("stall", [0, 0.6])
def test_points_grids_and_counters(stall):
    grid = PROGRAM.grid.plane("axial", float(PROGRAM.grid.matrix[2, 3]) + 1, 0.4)
    job = GridJob.of(grid, PROGRAM.frame)
    volume = Renderer(PROGRAM).render(grid).ravel(order="F").tolist()
    assert job.voxels > 6

    async def scenario(host):
        await host.write(addresses()["interrupt_enable"], 1)
        assert await host.load(GOOD) == Error.NONE
        assert await host.read("status") == 1
        for _ in range(2):
            await host.command("start_points")
            assert await host.take(points=POINTS) == EXPECTED
            if not stall:
                prediction = predict(SHAPE, CONFIG, len(POINTS))
                assert await host.read("cycles") == prediction.cycles
                assert await host.read("active_cycles") == prediction.steps
                assert await host.read("mac_slots") == prediction.steps * 6
                assert await host.read("input_stall") == await host.read("output_stall") == 0
            else:
                assert await host.read("output_stall") > 0
            assert await host.read("useful_macs") == len(POINTS) * SHAPE.weights
        await host.set_grid(job)
        assert host.ctx.get(host.dut.irq) == 1
        assert await host.read("interrupt") == 0b011
        await host.write(addresses()["interrupt"], 1)
        assert host.ctx.get(host.dut.irq) == 0
        await host.command("start_grid")
        assert await host.take() == volume
        if not stall:
            assert await host.read("cycles") == predict(SHAPE, CONFIG, job.voxels).cycles
        assert await host.read("status") == 1
        assert host.ctx.get(host.dut.irq) == 1

    run(scenario, stall=stall)


def changed(item, value):
    """Return the good program with one item of the header changed and the old checksum."""
    items = GOOD.view("<u2").copy()
    items[HEADER.index(item)] = value
    return items.view("<u4")


BROKEN = {
    "not a program": (changed("magic", 7), Error.NOT_A_PROGRAM),
    "version": (changed("version", 2), Error.WRONG_VERSION),
    "columns": (changed("columns", 3), Error.WRONG_COLUMNS),
    "formats": (changed("formats", 0), Error.WRONG_FORMATS),
    "no frequency": (changed("frequencies", 0), Error.TOO_MANY_FREQUENCIES),
    "frequencies": (changed("frequencies", 4), Error.TOO_MANY_FREQUENCIES),
    "width": (changed("width", 6), Error.TOO_WIDE),
    "depth": (changed("depth", 4), Error.TOO_DEEP),
    "weights": (changed("weights_high", 1), Error.TOO_MANY_WEIGHTS),
    "neurons": (changed("neurons_low", CONFIG.constant_depth + 1), Error.TOO_MANY_NEURONS),
    "one word": (GOOD[:1], Error.CUT_SHORT),
    "header": (GOOD[:8], Error.CUT_SHORT),
    "coefficients": (GOOD[:9], Error.CUT_SHORT),
    "constants": (GOOD[:20], Error.CUT_SHORT),
    "weights end": (GOOD[:-2], Error.CUT_SHORT),
    "checksum": (GOOD[:-1], Error.CUT_SHORT),
    "a word more": (np.append(GOOD, GOOD[-1]), Error.TOO_LONG),
    "twice": (np.append(GOOD, GOOD), Error.TOO_LONG),
    "skips": (changed("skips_0", 4), Error.WRONG_CRC),
    "a bit": (GOOD ^ (np.arange(len(GOOD)) == 30).astype(np.uint32) * 512, Error.WRONG_CRC),
    "the checksum": (GOOD ^ (np.arange(len(GOOD)) == len(GOOD) - 1) * 1, Error.WRONG_CRC),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_program_reports_its_cause_and_the_next_one_loads(name):
    words, cause = BROKEN[name]

    async def scenario(host):
        assert await host.load(GOOD) == Error.NONE
        assert await host.load(words) == cause
        assert await host.read("status") == 0
        assert await host.read("interrupt") == 0b110
        await host.command("start_points")  # delivers no voxel
        assert await host.read("error") == Error.NO_PROGRAM
        assert await host.take(limit=300) == []
        assert await host.load(GOOD) == Error.NONE
        await host.command("start_points")
        assert await host.take(points=POINTS) == EXPECTED

    run(scenario)


def test_programs_of_different_shapes_in_sequence():
    other = random_program(OTHER, FORMATS, seed=5)

    async def scenario(host):
        for program in (PROGRAM, other, PROGRAM):
            assert await host.load(program_stream(program, CONFIG)) == Error.NONE
            await host.command("start_points")
            assert await host.take(points=POINTS) == Renderer(program).voxels(POINTS).tolist()

    run(scenario)


@pytest.mark.parametrize("columns", [4, 5])  # the last bank is full, or holds one column
def test_each_weight_bank_gets_the_weights_of_its_columns(columns):
    word = 2 * FORMATS.weight_bits
    config = AcceleratorConfig.sized(2, columns, FORMATS, [SHAPE], weight_word_bits=word)

    async def scenario(host):
        assert await host.load(program_stream(PROGRAM, config)) == Error.NONE
        await host.command("start_points")
        assert await host.take(points=POINTS) == EXPECTED

    run(scenario, config)


@pytest.mark.parametrize("after", [0, 5, 20, 60, 100, 150, 200, 250, 300])
@pytest.mark.parametrize("wait", [0, 70])
def test_abort_during_a_job(after, wait):
    """A voxel that is offered stays until it is taken; none follows it."""
    points = np.concatenate([POINTS, POINTS])
    expected = Renderer(PROGRAM).voxels(points).tolist()

    async def scenario(host):
        ctx, dut = host.ctx, host.dut
        assert await host.load(GOOD) == Error.NONE
        await host.command("start_points")
        taken = await host.take(points=points, limit=after)
        for _ in range(wait):
            await host.tick()
        await host.command("start_points")
        assert await host.read("error") == Error.BUSY
        await host.command("abort")
        held = ctx.get(dut.m_axis_voxels_tvalid)
        last = ctx.get(dut.m_axis_voxels_tlast)
        assert await host.read("status") == 1 | held << 3
        if wait and after > 150:
            assert held
        await host.command("start_points")  # the program is still loaded
        for _ in range(wait):
            await host.tick()
        assert await host.read("status") == 1 | 1 << 2 | held << 3
        if held:  # the next job waits
            assert not ctx.get(dut.s_axis_points_tready)
            assert await host.take(number=1) == expected[len(taken) :][:1]
            assert last == (len(taken) + 1 == len(expected))
            assert await host.read("interrupt") & 1 == 0
        assert await host.take(points=POINTS) == EXPECTED
        assert await host.read("interrupt") & 1 == 1

    run(scenario)


@pytest.mark.parametrize(("sent", "left"), [(3, True), (8, False)])
def test_points_of_an_aborted_job_are_dropped_up_to_its_last_one(sent, left):
    """The next job starts with the first point after it, or after its own start."""

    async def scenario(host):
        assert await host.load(GOOD) == Error.NONE
        await host.command("start_points")
        await host.take(points=POINTS[:sent], limit=0)
        await host.command("abort")
        await host.take(points=POINTS[:sent] if not left else POINTS, limit=4)
        await host.take(limit=40)
        await host.command("start_points")
        assert await host.take(points=POINTS) == EXPECTED

    run(scenario)


@pytest.mark.parametrize("shape", [OTHER, NetworkShape(1, 1, 1)], ids=str)
def test_an_aborted_job_does_not_affect_the_next_one(shape):
    """Short jobs start right after aborts at any time, on an array that drains slowly."""
    config = AcceleratorConfig.sized(40, 2, FORMATS, [shape])
    program = random_program(shape, FORMATS, seed=3)
    points = np.concatenate([POINTS] * 11)
    expected = Renderer(program).voxels(points).tolist()
    rng = np.random.default_rng(0)

    async def scenario(host):
        assert await host.load(program_stream(program, config)) == Error.NONE
        for after in rng.integers(40, 200, 10).tolist():
            await host.command("start_points")
            await host.take(points=points, limit=after)
            await host.command("abort")
            await host.take(limit=2)  # at most one voxel
            await host.command("start_points")
            assert await host.take(points=points[: after % 3 + 1]) == expected[: after % 3 + 1]

    run(scenario, config)


@pytest.mark.parametrize("words", [1, 5, 9, 20, 40])
def test_abort_while_a_program_loads(words):
    async def scenario(host):
        await host.send(GOOD[:words], last=False)
        await host.command("start_points")
        assert await host.read("error") == Error.BUSY
        await host.command("abort")
        assert await host.read("status") == 0
        assert await host.load(GOOD) == Error.NONE
        await host.command("start_points")
        assert await host.take(points=POINTS) == EXPECTED

    run(scenario)


@pytest.mark.parametrize("after", [0, 3, 33, 77, 123, 211])
@pytest.mark.parametrize("during", ["program", "job"])
def test_reset_at_any_time(during, after):
    async def scenario(host):
        ctx, dut = host.ctx, host.dut
        if during == "program":
            await host.send(GOOD[: after // 3], last=False)
        else:
            assert await host.load(GOOD) == Error.NONE
            await host.command("start_points")
            await host.take(points=np.concatenate([POINTS, POINTS]), limit=after)
        ctx.set(dut.s_axis_points_tvalid, 0)
        ctx.set(host.reset, 1)
        await host.tick()
        ctx.set(host.reset, 0)
        assert await host.read("status") == await host.read("error") == 0
        assert not ctx.get(dut.m_axis_voxels_tvalid)
        assert await host.load(GOOD) == Error.NONE
        await host.command("start_points")
        assert await host.take(points=POINTS) == EXPECTED

    run(scenario)


def test_a_program_waits_for_the_end_of_a_job():
    async def scenario(host):
        assert await host.load(GOOD) == Error.NONE
        await host.command("start_points")
        host.ctx.set(host.dut.s_axis_program_tvalid, 1)
        host.ctx.set(host.dut.s_axis_program_tdata, int(GOOD[0]))
        taken = await host.take(number=len(POINTS) - 1, points=POINTS)
        assert not host.ctx.get(host.dut.s_axis_program_tready)
        assert taken + await host.take() == EXPECTED
        assert host.ctx.get(host.dut.s_axis_program_tready)

    run(scenario)


@pytest.fixture
def contents(monkeypatch):
    """The contents of each memory that is elaborated from here on, by its role, in order."""
    found = {}
    elaborate = Ram.elaborate

    def watched(self, platform):
        module = elaborate(self, platform)
        found.setdefault(self.role, []).append(module.submodules.array.data)
        return module

    monkeypatch.setattr(Ram, "elaborate", watched)
    return found


@pytest.mark.parametrize("protection", ["parity", "secded"])
def test_errors_of_the_memories_are_counted_and_raise_the_interrupt(protection, contents):
    """A word of each memory, with one bit changed and with two."""
    config = dataclasses.replace(
        CONFIG,
        weight_word_bits=8,
        protection=protection,
        weight_depth=CONFIG.weight_depth + 1,
        constant_depth=CONFIG.constant_depth + 1,
    )
    program = program_stream(PROGRAM, config)
    tiles = -(-len(POINTS) // config.rows)
    assert config.lanes == config.rows  # one lane batch a tile
    reads = dict.fromkeys(("coefficients", "constants", "weights"), tiles)
    events = masks("interrupt")
    corrects = protection == "secded"

    async def scenario(host):
        async def job():
            await host.write(addresses()["interrupt"], sum(events.values()))
            await host.command("start_points")
            voxels = await host.take(points=POINTS)
            counts = [await host.read(name) for name in ("memory_corrected", "memory_errors")]
            return voxels, counts, await host.read("interrupt") & ~events["done"]

        def change(role, address, bits):
            word = contents[role][-1][address]
            host.ctx.set(word, host.ctx.get(word) ^ bits)

        await host.write(addresses()["interrupt_enable"], sum(events.values()) & ~events["done"])
        for role in reads:
            assert await host.load(program) == Error.NONE
            change(role, 1, 0b100)
            voxels, counts, event = await job()
            if corrects:
                assert (voxels, counts) == (EXPECTED, [reads[role], 0])
                assert event == events["memory_corrected"]
            else:
                assert (counts, event) == ([0, reads[role]], events["memory_error"])
            assert host.ctx.get(host.dut.irq) == 1
            change(role, 1, 0b1000)
            voxels, counts, event = await job()
            assert counts == [0, reads[role]] if corrects else voxels and counts == [0, 0]
            assert event == (events["memory_error"] if corrects else 0)
            assert host.ctx.get(host.dut.irq) == corrects
        # A job of a good program; a word that no program has written is never read.
        assert await host.load(program) == Error.NONE
        change("weights", config.weight_depth - 1, 1)
        change("constants", config.constant_depth - 1, 1)
        assert await job() == (EXPECTED, [0, 0], 0)

    run(scenario, config)
