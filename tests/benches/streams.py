"""Benches of the components with streams, whose partners pause at random."""

from collections import deque
from collections.abc import Iterator
from itertools import count, pairwise
from typing import NamedTuple

from implicore.dataflow import (
    FIFO_LATENCY,
    decoder_latency,
    mapper_cycles,
    mapper_latency,
    voxel_read_latency,
)
from implicore.hw.coordinates import GRID
from implicore.hw.core import store_layout
from implicore.hw.fourier import tile_layout
from implicore.hw.sequencer import shape_layout
from implicore.hw.voxels import beat_layout, word_layout
from implicore.job import GridJob
from implicore.model.golden import Renderer
from implicore.registers import Error
from implicore.sim.cases import damaged, random_points
from implicore.stream import program_stream

from .ports import Ports, Sink, Source
from .reference import MemoryWrite, grid_fields, memory_writes, point_payloads, shape_fields


async def coordinate_generator(ports: Ports, job: GridJob | None = None, pause: float = 0.4):
    """The points of grids: of ``job``, started twice, or of several with random increments."""
    jobs = [job] * 2 if job else [_random_grid(ports.rng) for _ in range(8)]
    for job in jobs:
        ports.set(grid=GRID.const(grid_fields(job)).as_bits(), start=1)
        await ports.tick()
        ports.set(start=0)
        sink = Sink(ports, "points", pause)
        for _ in range(3):
            assert not ports.get("points__valid")
            await ports.tick()
        for number, expected in enumerate(point_payloads(job.coordinates(0, job.voxels))):
            payload = None
            while payload is None:
                sink.drive()
                await ports.settle()
                assert ports.get("points__valid")
                payload = sink.taken()
                await ports.tick()
            assert payload == expected, f"point {number} of {job.shape}"
        assert not ports.get("points__valid")


def _random_grid(rng) -> GridJob:
    shape = tuple(rng.randint(1, 5) for _ in range(3))
    origin, *steps = (tuple(rng.randrange(-(1 << 36), 1 << 36) for _ in range(3)) for _ in range(4))
    return GridJob(shape, origin, tuple(steps))


async def fourier_mapper(ports: Ports, pause: float = 0.5, release: float = 0.1):
    """Points with pauses and tiles that are released late: every feature.

    Without a pause, the first tile is full in its very cycle.
    """
    rng, formats = ports.rng, ports.formats
    rows, lanes = ports.config.rows, ports.config.lanes
    program = ports.program()
    frequencies = program.shape.frequencies
    coefficients = program.frequencies.ravel().tolist()
    points = random_points(ports.generator(), 5 * rows + max(1, rows // 2))
    expected = Renderer(program).features(points).astype(int)
    half_bit = ports.width("address") - 1
    ports.set(last_frequency=frequencies - 1)
    banks = [{} for _ in range(rows)]
    source = Source(ports, "points", point_payloads(points), pause)
    seen = waited = half = 0
    lookups = deque([None] * decoder_latency(ports.config.protection))
    first_full = None
    for cycle in count():
        source.drive()
        releasing = bool(waited) and rng.random() < release
        if releasing:
            tile = tile_layout(rows).from_bits(ports.get("tile"))
            number = min(rows, len(points) - seen)
            assert ports.get("select") == half
            assert tile["rows"] == number - 1
            assert tile["last"] == (seen + number == len(points))
            for row, bank in enumerate(banks):  # of which the last ones may have no point
                got = [bank.pop(n | half << half_bit, None) for n in range(2 * frequencies)]
                due = expected[:, seen + row].tolist() if row < number else got
                assert got == due, f"point {seen + row}"
            seen, half = seen + number, 1 - half
        ports.set(release_half=releasing)
        await ports.settle()
        source.taken()
        full = ports.get("full")
        first_full = cycle if full and first_full is None else first_full
        enable = ports.get("coefficient_enable")
        lookups.append(ports.get("coefficient_address") if enable else None)
        address, enables = ports.get("address"), ports.get("enables")
        features = ports.get("features") if enables else 0
        for row in range(rows):
            if enables >> row & 1:
                assert address not in banks[row], "written again before it was released"
                feature = features >> (row % lanes) * formats.activation_bits
                banks[row][address] = feature & formats.activation_max
        if seen == len(points):
            break
        waited = 0 if releasing else waited + full
        await ports.tick()
        lookup = lookups.popleft()
        if lookup is not None:
            ports.set(coefficient=coefficients[lookup])
    assert not any(banks)
    due = mapper_cycles(frequencies, rows, lanes) - 1
    due += mapper_latency(formats, ports.config.protection)
    assert pause or first_full == due


async def voxel_buffer(ports: Ports, pause: float = 0.4):
    """Tiles of any size, whose voxels are put and taken with pauses."""
    rng, rows, bits = ports.rng, ports.config.rows, ports.formats.output_bits
    sink = Sink(ports, "voxels", pause)
    tiles, free = 50, True
    coming = deque()  # of this tile: whether a voxel ends the job, None for a row without a point
    stored = deque()
    done_since = 0
    while tiles or coming or stored:
        reserving = bool(free and tiles) and rng.random() < 0.5
        points, last = rng.randint(1, rows), rng.randrange(2)
        tile = tile_layout(rows).const({"rows": points - 1, "last": last}).as_bits()
        putting = bool(coming) and rng.random() < 0.6
        value = rng.getrandbits(bits)
        ports.set(reserve=reserving, tile=tile, put=putting, value=value)
        sink.drive()
        await ports.settle()

        done_since = 0 if coming or stored else done_since + 1
        free = bool(ports.get("free"))
        assert not (free and (coming or stored)), "free before all is delivered"
        assert free or done_since < 2, "not free though all is delivered"
        assert ports.get("voxels__valid") == bool(stored)
        voxel = sink.taken()
        assert voxel is None or voxel == stored.popleft()
        if putting and (ends := coming.popleft()) is not None:
            stored.append(value | ends << bits)
        if reserving:
            tiles, free = tiles - 1, False
            coming.extend([0] * (points - 1) + [last] + [None] * (rows - points))
        await ports.tick()


async def voxel_packer(ports: Ports, pause: float = 0.4):
    """Jobs of words with any number of voxels: full beats but the last, in order.

    Without pauses, each word takes one cycle, and the last one of a job at most two.
    """
    rng, bits, per_beat = ports.rng, ports.formats.output_bits, ports.config.voxels_per_beat
    words, beats, flushes = [], deque(), 0
    for _ in range(60):
        voxels, remaining = [], rng.randint(1, 9)
        while remaining:
            # The voxels that a word does not have may have any value.
            value, more = rng.getrandbits(per_beat * bits), rng.randrange(per_beat)
            waiting, remaining = len(voxels) % per_beat, remaining - 1
            voxels += [value >> bits * number & (1 << bits) - 1 for number in range(more + 1)]
            fields = {"value": value, "last": not remaining, "more": more}
            words.append(word_layout(bits, per_beat).const(fields).as_bits())
        flushes += waiting + more + 1 > per_beat
        for first in range(0, len(voxels), per_beat):
            kept = voxels[first : first + per_beat]
            last = first + per_beat >= len(voxels)
            value = sum(voxel << number * bits for number, voxel in enumerate(kept))
            fields = {"value": value, "last": last, "keep": (1 << len(kept)) - 1}
            beats.append(beat_layout(bits, per_beat).const(fields).as_bits())
    source, sink = Source(ports, "words", words, pause), Sink(ports, "beats", pause)
    cycles = 0
    while beats:
        source.drive()
        sink.drive()
        await ports.settle()
        source.taken()
        beat = sink.taken()
        assert beat is None or beat == beats.popleft()
        await ports.tick()
        cycles += 1
    assert not source.left
    assert pause or cycles == len(words) + flushes + 1


async def voxel_reader(ports: Ports, pause: float = 0.4):
    """Tiles of any size that are claimed and completed at random times, for several programs.

    Without pauses, a word is read in each cycle of a tile.
    """
    rng, config, bits = ports.rng, ports.config, ports.formats.output_bits
    rows, per_beat = config.rows, config.voxels_per_beat
    latency = voxel_read_latency(rows)
    half_bit = ports.width("read_address") - 1
    layout = word_layout(bits, per_beat)
    for outputs in (config.outputs, *(rng.randint(1, config.outputs) for _ in range(3))):
        sink, tiles = Sink(ports, "words", pause), 12
        claimed, reads, words = deque(), deque(), deque()  # words not delivered yet
        arriving = deque([None] * (latency - 1))
        half = unread = unclaimed = 0
        in_tile = ends_point = False
        first_read = first_word = None
        ports.set(last_output=outputs - 1)
        for cycle in count():
            free = ports.get("free")
            reserving = bool(free and tiles) and rng.random() < 0.5
            completing = bool(claimed) and rng.random() < 0.3
            points, last = rng.randint(1, rows), rng.randrange(2)
            tile = tile_layout(rows).const({"rows": points - 1, "last": last}).as_bits()
            word = arriving.popleft()
            ports.set(reserve=reserving, tile=tile, complete=completing)
            ports.set(word=rng.getrandbits(per_beat * bits) if word is None else word)
            sink.drive()
            await ports.settle()

            enables = ports.get("read_enables")
            assert enables or not ends_point
            if enables:
                read = reads.popleft()
                first_read = cycle if first_read is None else first_read
                assert (enables, ports.get("read_address")) == (1 << read.row, read.address)
                assert ends_point == read.ends_point
                unread -= read.ends_tile
            assert enables or pause or not in_tile, "a cycle without a read"
            in_tile = not read.ends_tile if enables else in_tile
            arriving.append(read.value if enables else None)
            ends_point = ports.get("point")
            assert not free or unread < 2, "free while both halves are claimed"
            unclaimed = 0 if unread == 2 else unclaimed + 1
            assert free or unclaimed < 2, "not free though a half is read"
            if first_word is None and ports.get("words__valid"):
                first_word = cycle
            taken = sink.taken()
            assert taken is None or layout.from_bits(taken) == words.popleft()

            if completing:
                assert ports.get("half") == half
                number, ends_job = claimed.popleft()
                for read in _reads(rng, number, outputs, per_beat, bits):
                    reads.append(read._replace(address=read.address | half << half_bit))
                    more = {"more": read.voxels - 1} if per_beat > 1 else {}
                    ends = read.ends_tile and ends_job
                    words.append(layout.const({"value": read.value, "last": ends, **more}))
                half = 1 - half
            if reserving:
                tiles, unread = tiles - 1, unread + 1
                claimed.append((points, last))
            if not (tiles or claimed or words):
                break
            await ports.tick()
        assert not reads
        # The enables follow the read by a cycle.
        assert pause or first_word == first_read - 1 + latency + FIFO_LATENCY
        await ports.tick()


class _Read(NamedTuple):
    row: int
    address: int
    value: int
    voxels: int
    ends_point: bool
    ends_tile: bool


def _reads(rng, points: int, outputs: int, per_beat: int, bits: int) -> Iterator[_Read]:
    """Yield the reads of a tile's words, with random voxels, from the first half."""
    for row in range(points):
        for first in range(0, outputs, per_beat):
            ends = first + per_beat >= outputs
            value, voxels = rng.getrandbits(per_beat * bits), min(per_beat, outputs - first)
            ends_tile = ends and row == points - 1
            yield _Read(row, first // per_beat, value, voxels, ends, ends_tile)


DAMAGES = 11
"""Causes that ``damaged`` knows."""


def _good_and_damaged(ports: Ports):
    """Yield programs, their streams and the error due: good ones between one of each damage."""
    causes, rng = set(), ports.generator()
    while len(causes) < DAMAGES:
        program = ports.program()
        words, cause = damaged(rng, program, ports.config)
        if cause in causes:
            continue
        causes.add(cause)
        good = ports.program()
        yield good, program_stream(good, ports.config), Error.NONE
        yield program, words, cause


def _writes(store) -> list[MemoryWrite]:
    """Return what the port ``store`` writes to the memories in this cycle."""
    found = []
    for memory in ("coefficient", "constant", "weight"):
        enables = store["weight_enables" if memory == "weight" else f"{memory}_enable"]
        if enables:
            word = store[memory]
            if memory == "constant":
                word = {name: word[name] for name, _ in word.shape()}
            elif memory == "weight":
                word = list(word)
            found.append(MemoryWrite(memory, enables, store[f"{memory}_address"], word))
    return found


async def program_loader(ports: Ports):
    """Good and damaged programs in turns: the writes to the memories, and the status."""
    config = ports.config
    streams = list(_good_and_damaged(ports))
    words = [
        word | (number == len(stream) - 1) << 32
        for _, stream, _ in streams
        for number, word in enumerate(stream.tolist())
    ]
    source = Source(ports, "words", words, pause=0)
    for program, stream, cause in streams:
        written, taken = [], []
        for cycle in count():
            enable = ports.rng.random() >= source.pause
            ports.set(enable=enable)
            source.drive()
            await ports.settle()
            loading = ports.get("loading")
            assert loading or not taken or cycle < taken[0] + 3
            assert taken or not loading
            assert enable or not ports.get("words__ready")
            written += _writes(store_layout(config).from_bits(ports.get("store")))
            if source.taken():
                taken.append(cycle)
            if ports.get("done"):
                break
            assert len(taken) < len(stream) or cycle < taken[-1] + 4, "no status"
            await ports.tick()
        assert len(taken) == len(stream)
        assert source.pause or {b - a for a, b in pairwise(taken)} <= {2}, "a word in two cycles"
        source.pause = 0.3
        assert Error(ports.get("error")) == cause
        due = list(memory_writes(program, config))
        if cause in (Error.NONE, Error.TOO_LONG):
            assert written == due
        elif cause is Error.CUT_SHORT:
            assert written == due[: len(written)]
        elif cause is Error.WRONG_CRC:  # one bit, perhaps that of the checksum itself
            assert sum(a != b for a, b in zip(written, due, strict=True)) <= 1
        else:
            assert not written
        if cause is Error.NONE:
            shape = shape_layout(config)
            assert shape.from_bits(ports.get("shape")) == shape.const(shape_fields(program.shape))
        await ports.tick()
