"""Directed parts of the sessions: what random steps would take too long to reach."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.fixed import COORDINATE
from implicore.host import command, grid_writes
from implicore.job import GridJob
from implicore.program import Program
from implicore.registers import (
    ADDRESS_BITS,
    REGISTERS,
    Error,
    Response,
    addresses,
    masks,
)
from implicore.sim import session
from implicore.sim.cases import random_points
from implicore.sim.script import Script
from implicore.stream import HEADER, format_code, program_stream


def _corner_points(bits: int) -> np.ndarray:
    """Return points with the first and the last phase of each quadrant.

    They have them in the program whose first frequency turns a coordinate into its phase.
    """
    quarter = 1 << (bits - 2)
    phases = [q * quarter + rest for q in range(4) for rest in (0, quarter - 1)]
    x = np.array(phases) << (COORDINATE.bits - bits)
    x = np.where(x > COORDINATE.high, x - (1 << COORDINATE.bits), x)
    return np.stack([x, np.zeros_like(x), np.zeros_like(x)], axis=1)


def all_programs(script: Script, rng, programs: list[Program]) -> None:
    """Decode full tiles, short tiles, grids of every kind and corner points of every program."""
    rows = script.config.rows
    for program in programs:
        script.load(program)
        for count in (1, rows, rows + 1, 2 * rows, 3 * rows + max(1, rows // 2)):
            script.points(random_points(rng, count))
        for shape in ((1, 1, 1), (2 * rows + 1, 1, 1), (1, 3, 1), (2, 1, 3), (3, 2, 2)):
            script.grid(_grid(rng, shape))
        script.points(_corner_points(script.config.formats.table_address_bits))
        script.points(np.array([[COORDINATE.low] * 3, [COORDINATE.high] * 3, [-1, 0, 1]]))


def _grid(rng, shape: tuple[int, int, int]) -> GridJob:
    """Return a random grid of a few voxels on each axis, far from the limits of a coordinate."""
    origin = tuple(rng.integers(-(1 << 38), 1 << 38, 3).tolist())
    steps = tuple(tuple(rng.integers(-(1 << 32), 1 << 32, 3).tolist()) for _ in range(3))
    return GridJob(shape, origin, steps)


def errors(script: Script, programs: list[Program]) -> None:
    """Load programs with every error."""
    config = script.config
    words = program_stream(programs[0], config)
    sizes = {
        "frequencies": (config.frequencies, Error.TOO_MANY_FREQUENCIES),
        "width": (config.width, Error.TOO_WIDE),
        "depth": (config.depth, Error.TOO_DEEP),
    }
    wrong = [
        ({"magic": 0}, Error.NOT_A_PROGRAM),
        ({"magic": 1, "version": 9}, Error.NOT_A_PROGRAM),
        ({"version": 0}, Error.WRONG_VERSION),
        ({"columns": config.columns + 1}, Error.WRONG_COLUMNS),
        ({"formats": format_code(config.formats) ^ 1}, Error.WRONG_FORMATS),
        ({"last_output": config.outputs}, Error.TOO_MANY_OUTPUTS),
    ]
    for name, (limit, error) in sizes.items():
        wrong += [({name: value}, error) for value in (0, limit + 1, 0xFFFF)]
    for name, limit, error in (
        ("weights", config.weight_depth, Error.TOO_MANY_WEIGHTS),
        ("neurons", config.constant_depth, Error.TOO_MANY_NEURONS),
    ):
        wrong += [
            ({f"{name}_low": value & 0xFFFF, f"{name}_high": value >> 16}, error)
            for value in (0, limit + 1, 0xFFFFFFFF)
        ]
    wrong.append((dict.fromkeys(HEADER, 0xFFFF), Error.NOT_A_PROGRAM))
    for items, error in wrong:
        script.load_damaged(_changed(words, items), error)
    for program in programs:
        words = program_stream(program, config)
        for end in _section_ends(program, config):
            script.load_damaged(words[:end], Error.CUT_SHORT)
        script.load_damaged(np.append(words, words[:1]), Error.TOO_LONG)
        script.load_damaged(np.append(words[:-1], words[-1] ^ 1), Error.WRONG_CRC)


def rejected_jobs(script: Script, program: Program) -> None:
    """Start jobs without a program, in all states that are busy, and together with an abort."""
    config = script.config
    words = program_stream(program, config)
    points = np.zeros((3 * config.rows, 3), int)
    for start in ("start_grid", "start_points"):
        script.load_damaged(words[:1], Error.CUT_SHORT)
        script.rejected(start, Error.NO_PROGRAM)
        script.do(session.Send(words, 3), 3)
        script.rejected(start, Error.BUSY)
        script.do(session.Write(*command("abort")))
        script.load(program)
        script.do(session.Write(*command("abort")))
        script.do(session.Write(*command("start_points")))
        script.rejected(start, Error.BUSY)  # it waits for the end of the aborted job
        script.do(session.Write(*command("abort")))
        script.do(session.Idle(config.abort_latency + 20), 0)
        script.do(session.Write(*command("start_points")))
        script.rejected(start, Error.BUSY)
        script.do(session.Write(*command("abort")))
        both = masks("control")["abort"] | masks("control")[start]
        script.do(session.Write(addresses()["control"], both))
        script.points(points)
        for wait in range(config.abort_latency + 4):
            script.do(session.Write(*command("abort")))
            script.do(session.Write(*command(start)))
            script.do(session.Idle(wait))
        script.do(session.Write(*command("abort")))
    _start_grid(script, _grid(np.random.default_rng(0), (3 * config.rows, 1, 1)))
    script.do(session.Send(words), 0)
    script.interrupted(points, 0, reset=True)


def _changed(words: np.ndarray, items: dict[str, int]) -> np.ndarray:
    """Return a stream with other items in its header."""
    halves = words.view("<u2").copy()
    for name, value in items.items():
        halves[HEADER.index(name)] = value
    return halves.view("<u4")


def _section_ends(program: Program, config: AcceleratorConfig) -> list[int]:
    """Return numbers of words that end in each section of a program's stream."""
    words = program_stream(program, config)
    header = len(HEADER) // 2
    coefficients = header + 3 * program.shape.frequencies // 2
    return [1, header - 1, header, header + 1, coefficients + 3, len(words) - 2, len(words) - 1]


def registers(script: Script, rng, program: Program) -> None:
    """Write and read every word of the map; raise and clear every interrupt."""
    at = addresses()
    enable, pending = at["interrupt_enable"], at["interrupt"]
    everything = 0xFFFFFFFF
    for register in REGISTERS:
        for word in range(register.count * register.words):
            address = at[register.name] + 4 * word
            if register.access == "rw":
                bits = register.bits - 32 * (word % register.words)
                mask = (1 << min(bits, 32)) - 1
                for value in (0, everything, int(rng.integers(1 << 32)), 0):
                    script.do(session.Write(address, value))
                    script.do(session.ReadWord(address), value & mask)
            else:
                script.do(session.ReadWord(address))
                script.do(session.ReadWord(address | 3))
    end = sum(4 * register.count * register.words for register in REGISTERS)
    for address in (*range(end, 1 << ADDRESS_BITS, 4), (1 << ADDRESS_BITS) - 1):
        script.do(session.Access(address), (Response.SLVERR, 0))
        script.do(session.Access(address, everything), (Response.SLVERR, 0))
    for name in ("identity", "status", "cycles"):
        script.do(session.Access(at[name], everything), (Response.SLVERR, 0))
    origin = at["grid_origin"]
    for strobes in (1, 2, 4, 8, 3, 6, 12, 7, 14):
        mask = sum(0xFF << 8 * byte for byte in range(4) if strobes >> byte & 1)
        script.do(session.Write(origin, 0x12345678))
        script.do(session.Access(origin + 3, everything, strobes), (Response.OKAY, 0))
        script.do(session.ReadWord(origin), 0x12345678 | mask)
    for stall in (0.0, 0.8):
        script.stalls(stall)
        for value in range(20):
            script.do(session.Post(origin, value))
            script.do(session.Post(origin))
            script.do(session.Post(origin))
        script.do(session.Write(origin, 0))
    script.stalls(0.0)
    for mask in (0, 1, 2, 4, 7):
        script.do(session.Write(enable, mask))
        script.do(session.Write(pending, everything))
        script.do(session.Read("interrupt"), 0)
        script.load(program)
        script.do(session.Read("interrupt"), masks("interrupt")["loaded"])
        script.points(random_points(rng, 3))
        script.do(session.Write(*command("start_points")))
        script.do(session.Write(*command("start_points")))
        script.do(session.Write(*command("abort")))
        script.do(session.Read("interrupt"), 7)
        for bit in (1, 2, 4):
            script.do(session.Write(pending, bit))
    words = program_stream(program, script.config)
    for wait in range(10):  # the interrupt is cleared about when it is raised
        script.do(session.Send(words), len(words))
        script.do(session.Idle(wait), 0)
        script.do(session.Write(pending, everything))
        script.do(session.Idle(session.SETTLE), 0)


def interrupted_loads(script: Script, program: Program) -> None:
    """Abort and reset the loading of a program in every word, and in the cycles after the last."""
    words = program_stream(program, script.config)
    for reset in (False, True):
        end = session.Reset() if reset else session.Write(*command("abort"))
        for stop in range(1, len(words)):
            script.do(session.Send(words, stop), stop)
            script.do(end)
        for wait in range(8):
            for stop in range(len(words) - 2, len(words) + 1):
                script.do(session.Send(words, stop), stop)
                script.do(session.Idle(wait), 0)
                script.do(end)
            script.do(session.Send(words, 2), 2)
            script.do(end)
        for rest in range(1, 5):  # an abort comes with the last words
            script.do(session.Send(words, len(words) - rest), len(words) - rest)
            script.do(session.Idle(1), 0)
            script.do(session.Post(*command("abort")))
            script.do(session.Send(words[-rest:]))
            script.do(end)
        damaged = _changed(words, {"columns": 0})
        script.do(session.Send(damaged, len(words) - 1), len(words) - 1)
        script.do(end)
        script.load(program)
        script.points(np.zeros((2, 3), int))


LONG = 1 << 16
"""Cycles that carry a counter into its second part."""


HELD = 60
"""Cycles in which a held voxel is taken."""


def long_stalls(script: Script, rng, programs: list[Program]) -> None:
    """Carry each counter of a job into its second part."""
    program = programs[0]
    config = script.config
    script.load(program)
    prediction = script.prediction(4 * config.rows)
    rounds = -(-LONG * 4 * config.rows // prediction.steps)
    script.points(random_points(rng, rounds + 4 * config.rows))
    points = random_points(rng, 4 * config.rows)
    for cycles in (2, prediction.cycles // 2):
        script.do(session.Write(*command("start_points")))
        script.do(session.Decode(cycles, points))
        script.do(session.Idle(LONG + 100))
        _abort(script)
    script.points(points)


def large_grid(script: Script, program: Program) -> None:
    """Start the largest grid, whose counters have all bits set, and abort it."""
    script.load(program)
    for shape in ((1 << 16,) * 3, (1 << 16, 1, 1), (1, 1 << 16, 1), (1, 1, 1 << 16)):
        _start_grid(script, GridJob(shape, (0, 0, 0), ((1, 0, 0),) * 3))
        script.do(session.Decode(200))
        _abort(script)


def sweeps(script: Script, rng, programs: Iterable[Program]) -> None:
    """Interrupt jobs after each number of cycles, by an abort or a reset."""
    config = script.config
    points = random_points(rng, 2 * config.rows + 1)
    job = _grid(rng, (len(points), 1, 1))
    for program in programs:
        script.load(program)
        _aborts_with_voxels(script, program, points[:2])
        total = script.prediction(len(points)).cycles + 3
        begin, end = range(8), range(max(8, total - 16), total)
        for cycles in (*begin, *range(8, total, max(1, total // 30)), *end):
            script.interrupted(points, cycles, reset=False)
            if cycles % 4 == 0:
                script.points(points[:2])
        for cycles in (*begin, *range(8, total, max(1, total // 10)), *end):
            script.interrupted(points, cycles, reset=True)
            script.load(program)
            script.points(points[:2])
    for cycles in range(0, 40, 2):
        for interruption in (session.Write(*command("abort")), session.Reset()):
            script.load(program)
            _start_grid(script, job)
            script.do(session.Decode(cycles))
            script.do(interruption)
            script.do(session.Decode(HELD))


def _aborts_with_voxels(script: Script, program: Program, points: np.ndarray) -> None:
    """Abort jobs in the cycles in which they deliver voxels, and hold the last voxels of others."""
    prediction = script.prediction(len(points))
    total = prediction.cycles
    for cycles in range(max(0, total - 2 * prediction.voxels - 8), total + 4):
        script.do(session.Write(*command("start_points")))
        script.do(session.Decode(cycles, points))
        script.do(session.Post(*command("abort")))
        script.do(session.Decode(HELD))
        script.do(session.Write(*command("start_points")))
        script.do(session.Decode(cycles, points))
        for name in ("abort", "start_points", "abort"):
            script.do(session.Write(*command(name)))
        _abort(script)
        if cycles % 5 == 0:
            script.do(session.Write(*command("start_points")))
            script.do(session.Decode(cycles, points))
            script.do(session.Write(*command("abort")))
            script.do(session.Write(*command("start_points")))
            script.do(session.Reset())
            script.load(program)
        if cycles % 4 == 0:
            script.points(points)


def _abort(script: Script) -> None:
    """Abort a job, take what it holds, and wait until it has drained."""
    script.do(session.Write(*command("abort")))
    script.do(session.Decode(HELD))
    script.do(session.Idle(script.config.abort_latency + 20), 0)


def _start_grid(script: Script, job: GridJob) -> None:
    for write in grid_writes(job):
        script.do(session.Write(*write))
    script.do(session.Write(*command("start_grid")))
