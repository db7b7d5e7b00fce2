"""The host's driver against the generated Verilog, memory-mapped and on a serial line."""

import inspect
from dataclasses import replace

import numpy as np
import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict
from implicore.errors import BadInput
from implicore.fixed import COORDINATE
from implicore.formats import Formats
from implicore.grid import Grid
from implicore.host import (
    DamagedProgram,
    Host,
    MemoryMapped,
    Rejected,
    Transport,
    command,
    grid_writes,
)
from implicore.job import GridJob
from implicore.link import Link, LinkError
from implicore.model.golden import Renderer
from implicore.model.resampling import Resampler
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
from implicore.registers import IDENTITY, VERSION, Error, Refused, addresses, masks
from implicore.sim import session
from implicore.sim.memory_map import MemoryMap
from implicore.sim.serial import SerialBoard
from implicore.stream import program_stream

FORMATS = Formats.parse("w8a8m3")
SHAPE = NetworkShape(frequencies=3, width=5, depth=3, skips=(2,))
CONFIG = AcceleratorConfig.sized(3, 2, FORMATS, [SHAPE])  # the virtual board of test_sim_serial
PROGRAM = random_program(SHAPE, FORMATS, seed=1)
OTHER = random_program(SHAPE, FORMATS, seed=2)
WORDS = program_stream(PROGRAM, CONFIG)
POINTS = np.random.default_rng(0).integers(COORDINATE.low, COORDINATE.high + 1, (200, 3))
GRID = PROGRAM.grid.scaled(2)
GOLDEN = Renderer(PROGRAM)


class Mapped:
    """Memory-mapped registers and DMA channels of the simulated Verilog."""

    def __init__(self, config, stall=0.0):
        self.machine = MemoryMap(config, stall=stall, seed=1, optimize=False)
        self.transport = self.machine.transport()

    def shorten_timeout(self):
        """Make the next job time out."""
        self.machine.timeout = 200
        return RuntimeError, "The job's last voxel did not arrive within 200 cycles"

    def restore_timeout(self):
        self.machine.timeout = 10**9


class Serial:
    """The serial line of a simulated board."""

    def __init__(self, config):
        self.machine = SerialBoard(config, timeout=5000)
        self.transport = Link(self.machine)
        self.transport.reset()

    def shorten_timeout(self):
        self.machine._timeout = 20
        return LinkError, "The board does not respond"

    def restore_timeout(self):
        self.machine._timeout = 5000


@pytest.fixture(params=["mapped", "mapped, held up", "serial"])
def place(request):
    stalls = {"stall": 0.3} if "held up" in request.param else {}
    place = Serial(CONFIG) if request.param == "serial" else Mapped(CONFIG, **stalls)
    with place.machine:
        yield place


@pytest.fixture
def host(place):
    return Host(place.transport, CONFIG)


IDLE = {"loaded": True, "loading": False, "running": False, "held": False}


def test_voxels_are_the_golden_models(host):
    host.load(PROGRAM)
    assert host.status() == IDLE
    assert host.voxels(POINTS).tolist() == GOLDEN.voxels(POINTS).tolist()
    image = host.render(GRID)
    assert image.dtype == np.uint16 and image.shape == GRID.shape
    assert (image == GOLDEN.render(GRID)).all()
    host.load(OTHER)
    assert (host.voxels(POINTS) == Renderer(OTHER).voxels(POINTS)).all()


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_large_job_is_split(host, place, limit):
    host.load(PROGRAM)
    asked = []
    place.transport.max_job_voxels = limit
    decode = place.transport.decode
    place.transport.decode = lambda voxels, points=None: (
        asked.append(voxels) or decode(voxels, points)
    )
    grid = Grid.from_array((5, 3, 4), GRID.affine)
    assert (host.render(grid) == GOLDEN.render(grid)).all()
    assert (host.voxels(POINTS[:30]) == GOLDEN.voxels(POINTS[:30])).all()
    assert max(asked) <= limit and sum(asked) == 60 + 30


PATCHES = NetworkShape(frequencies=3, width=5, depth=3, skips=(2,), outputs=6)
PATCHED = random_program(PATCHES, FORMATS, seed=3, patch=(2, 3, 1))
PATCH_CONFIG = replace(AcceleratorConfig.sized(3, 2, FORMATS, [PATCHES]), voxels_per_beat=4)


@pytest.mark.parametrize("kind", [Mapped, Serial])
def test_patches(kind):
    """Voxels are flat; whole patches make the program's own grid; large jobs are split."""
    place, golden = kind(PATCH_CONFIG), Renderer(PATCHED)
    with place.machine:
        host = Host(place.transport, PATCH_CONFIG)
        host.load(PATCHED)
        points = POINTS[:31]
        assert host.voxels(points).tolist() == golden.voxels(points).tolist()
        place.transport.max_job_voxels = 41
        assert (host.render(PATCHED.grid) == golden.render(PATCHED.grid)).all()
        assert (host.voxels(points) == golden.voxels(points)).all()
        with pytest.raises(BadInput, match=r"^Hardware decodes patches only on their lattice: "):
            host.render(PATCHED.grid.scaled(2))
        grid = PATCHED.grid.scaled(0.5)
        resampled = Resampler(PATCHED, host.voxels).render(grid, np.asarray)
        assert (resampled == golden.render(grid)).all()
        place.transport.max_job_voxels = 5
        with pytest.raises(BadInput, match=r"^A point has 6 voxels, but a job of this transport"):
            host.voxels(points)


def test_counters(host, place):
    host.load(PROGRAM)
    host.voxels(POINTS)
    counters, due = host.counters(), predict(SHAPE, CONFIG, len(POINTS))
    assert counters["useful_macs"] == due.useful_macs
    assert counters["active_cycles"] == due.steps
    assert counters["mac_slots"] == due.steps * CONFIG.rows * CONFIG.columns
    held_up = place.transport.__class__ is Link or counters["cycles"] > due.cycles
    assert held_up or (counters["cycles"], counters["output_stall"]) == (due.cycles, 0)


@pytest.mark.parametrize("word", [0, 1, 5, len(WORDS) // 2, len(WORDS) - 1])
def test_a_damaged_program_is_rejected(host, word):
    host.load(PROGRAM)
    damaged = WORDS.copy()
    damaged[word] ^= 0x00010001
    with pytest.raises(Rejected, match=r"^The accelerator rejected the program: .+\.$") as rejected:
        host.send(damaged)
    assert rejected.value.error not in (Error.NONE, Error.NO_PROGRAM, Error.BUSY)
    assert host.program is None and not host.status()["loaded"]
    with pytest.raises(
        Rejected, match="the job: a job was started while no valid program was loaded"
    ) as no:
        host.voxels(POINTS)
    assert no.value.error == Error.NO_PROGRAM
    host.load(PROGRAM)
    assert (host.voxels(POINTS) == GOLDEN.voxels(POINTS)).all()


@pytest.mark.parametrize("length", [1, 20, len(WORDS) - 1])
def test_a_truncated_program_is_rejected(host, length):
    with pytest.raises(Rejected, match="the stream ended before the checksum"):
        host.send(WORDS[:length])
    host.load(PROGRAM)


@pytest.mark.parametrize("points", [None, POINTS])
def test_an_abort_during_a_job(host, place, points):
    host.load(PROGRAM)
    host.voxels(POINTS[:5])
    error, message = place.shorten_timeout()
    with pytest.raises(error, match=message):
        host.render(GRID) if points is None else host.voxels(points)
    place.restore_timeout()
    host.abort()
    assert not host.status()["running"]
    if isinstance(place, Mapped):
        assert host.program is PROGRAM and host.status()["loaded"]
    else:  # only a reset empties the line
        assert host.program is None
        host.load(PROGRAM)
    assert (host.voxels(POINTS[:50]) == GOLDEN.voxels(POINTS[:50])).all()
    assert (host.render(GRID) == GOLDEN.render(GRID)).all()


def test_a_job_during_a_job_is_rejected(host, place):
    host.load(PROGRAM)
    place.transport.write(grid_writes(GridJob.of(GRID, PROGRAM.frame)))
    host._start("start_grid")
    with pytest.raises(Rejected, match="a job was started during another job"):
        host.voxels(POINTS)
    host.abort()


@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_an_abort_takes_the_voxel_that_is_offered(stall):
    """No channel has asked for the job's voxels."""
    place = Mapped(CONFIG, stall)
    with place.machine:
        host = Host(place.transport, CONFIG)
        host.load(PROGRAM)
        place.transport.write(grid_writes(GridJob.of(GRID, PROGRAM.frame)))
        host._start("start_grid")
        place.machine.do(session.Idle(1000))
        place.transport.write([command("abort")])
        assert host.status() == {**IDLE, "held": True}
        host.abort()
        assert host.status() == IDLE
        assert (host.render(GRID) == GOLDEN.render(GRID)).all()


def test_a_channel_that_does_not_take_the_last_beat_is_reported(monkeypatch):
    monkeypatch.setattr("implicore.host.ABORT_SECONDS", 0.01)
    with MemoryMap(CONFIG, optimize=False) as machine:
        host = Host(machine.transport(), CONFIG)
        host.load(PROGRAM)
        machine.voxels.advance = lambda: None
        host._start("start_points")
        machine.do(session.Decode(200, POINTS[:9]))
        machine.do(session.Idle(200))
        with pytest.raises(BadInput, match=r"did not take the last beat .* within 0\.01 s: reset"):
            host.abort()


def test_registers_that_do_not_exist_or_are_read_only_are_refused(host, place):
    host.load(PROGRAM)
    end = max(addresses().values()) + 8
    with pytest.raises(Refused, match=rf"^The accelerator has no register at address {end:#x}\.$"):
        place.transport.read(0, end, 4)
    message = r"^The accelerator has no register that can be written at address 0x08\.$"
    with pytest.raises(Refused, match=message):
        place.transport.write([(addresses()["configuration"], 5)])
    assert (host.voxels(POINTS[:3]) == GOLDEN.voxels(POINTS[:3])).all()


def test_an_abort_without_a_job(host):
    host.abort()
    host.load(PROGRAM)
    assert (host.voxels(POINTS[:3]) == GOLDEN.voxels(POINTS[:3])).all()


def test_a_configuration_mismatch_is_rejected(place):
    other = AcceleratorConfig.sized(3, 3, FORMATS, [SHAPE])
    message = (
        r"^The accelerator does not match the configuration: its configuration digest is "
        rf"{CONFIG.digest:#x}, not {other.digest:#x}\.$"
    )
    with pytest.raises(BadInput, match=message):
        Host(place.transport, other)
    place.transport.read = lambda *addresses: [0] * len(addresses)
    with pytest.raises(BadInput, match=r"its identity is 0x0, not 0x494d5043\.$"):
        Host(place.transport, CONFIG)


def test_arguments_are_checked_first(host):
    with pytest.raises(
        BadInput, match=r"^Load a program first: it defines the coordinates of the grid\.$"
    ):
        host.render(GRID)
    host.load(PROGRAM)
    with pytest.raises(BadInput, match=r"^Points must have the shape \(points, 3\), not \(3,\)\.$"):
        host.voxels(np.zeros(3, int))
    with pytest.raises(BadInput, match="^Coordinates must be from -32768 to 32767"):
        host.voxels(np.full((1, 3), 40000))
    assert host.voxels(np.zeros((0, 3), int)).tolist() == []
    too_big = random_program(NetworkShape(frequencies=3, width=50, depth=3), FORMATS, seed=1)
    with pytest.raises(BadInput, match="^The program does not fit the accelerator"):
        host.load(too_big)
    assert host.program is PROGRAM


def test_a_missing_status_is_a_timeout(host, place):
    host._timeout = 0.01
    place.transport.program = lambda words: None
    with pytest.raises(BadInput, match=r"reported no status of the program within 0\.01 s"):
        host.load(PROGRAM)


def test_transfers_stay_within_the_dma_limit():
    with MemoryMap(CONFIG, optimize=False) as machine:
        sizes = []
        for channel in (machine.points, machine.voxels):
            transfer = channel.transfer
            channel.transfer = lambda b, transfer=transfer: sizes.append(b.nbytes) or transfer(b)
        host = Host(machine.transport(max_transfer_bytes=len(WORDS) * 4), CONFIG)
        host.load(PROGRAM)
        assert (host.voxels(POINTS) == GOLDEN.voxels(POINTS)).all()
        assert max(sizes) <= len(WORDS) * 4 < POINTS.size / 3 * 8
        host = Host(machine.transport(max_transfer_bytes=len(WORDS) * 4 - 1), CONFIG)
        with pytest.raises(BadInput, match="widen the DMA's length register"):
            host.load(PROGRAM)


def test_a_job_with_fewer_voxels_than_requested():
    with MemoryMap(CONFIG, optimize=False) as machine:
        host = Host(machine.transport(), CONFIG)
        host.load(PROGRAM)
        host._start("start_points")
        machine.points.transfer(np.zeros(3, np.uint64))
        with pytest.raises(BadInput, match=r"^The job delivered 3 voxels, not 4\.$"):
            host.transport.decode(4)


def test_buffers_come_from_the_allocator():
    shapes = []

    def allocate(shape, dtype):
        shapes.append((shape, np.dtype(dtype).name))
        return np.empty(shape, dtype)

    with MemoryMap(CONFIG, optimize=False) as machine:
        host = Host(machine.transport(allocate=allocate), CONFIG)
        host.load(PROGRAM)
        host.voxels(POINTS[:9])
    assert shapes == [((len(WORDS),), "uint32"), ((9,), "uint16"), ((9,), "uint64")]


def test_a_grid_in_registers():
    job = GridJob.of(PROGRAM.grid, PROGRAM.frame)
    values = dict(grid_writes(job))
    at = addresses()
    assert [values[at["grid_size_minus_one"] + 4 * axis] + 1 for axis in range(3)] == list(
        job.shape
    )

    def signed(address):
        value = values[address] | values[address + 4] << 32
        return value - (value >> 39 << 40)

    assert [signed(at["grid_origin"] + 8 * n) for n in range(3)] == list(job.origin)
    increments = [signed(at["grid_increments"] + 8 * n) for n in range(9)]
    assert tuple(increments) == sum(job.increments, ())
    assert len(values) == 27


class Registers:
    """A transport of which only the registers matter; every job finds this many memory errors."""

    max_job_voxels = 1 << 20

    def __init__(self, config, errors):
        loaded = masks("interrupt")["loaded"]
        self.errors = errors
        self.values = {"identity": IDENTITY, "version": VERSION, "configuration": config.digest}
        self.values |= {"interrupt": loaded, "memory_errors": 0}

    def read(self, address):
        return [next(self.values[n] for n in self.values if addresses()[n] == address)]

    def write(self, pairs):
        if command("start_points") in pairs or command("start_grid") in pairs:
            self.values["memory_errors"] = self.errors

    def program(self, words):
        pass

    def decode(self, voxels, points=None):
        return np.zeros(voxels, np.uint16)


@pytest.mark.parametrize("protection", ["none", "secded"])
def test_a_damaged_memory_is_reported(protection):
    config = replace(CONFIG, protection=protection)
    for errors in (0, 7):
        host = Host(Registers(config, errors), config)
        host.load(PROGRAM)
        for job, what in ((host.voxels, POINTS), (host.render, GRID)):
            if errors and protection != "none":
                with pytest.raises(DamagedProgram, match=r"damaged words .* 7 times .*: load the"):
                    job(what)
            else:
                job(what)


def test_link_and_memory_map_are_transports():
    """Every method of the protocol exists, with the same parameters."""
    for kind in (Link, MemoryMapped):
        for name, member in inspect.getmembers(Transport, inspect.isfunction):
            if not name.startswith("_"):
                due = inspect.signature(member).parameters
                assert inspect.signature(getattr(kind, name)).parameters.keys() == due.keys()
