"""What a host does with an accelerator, as a list of operations that every simulator carries out.

A session goes to the simulator as 32-bit words and its answers come back as such; the compiled
simulator's ``fast.cpp`` and cocotb's ``accelerator_bench.py`` interpret the same words. A number
wider than 32 bits takes two words, the lower half first.

    operation   words                                                    answer
    Reset       0 cycles
    Write       1 address value
    Read        2 address                                                value
    Send        3 count stop words...                                    words taken
    Decode      4 limit limit count (xy z)...                            ended, count, voxels...
    Idle        5 cycles                                                 cycles with a voxel offered
    Trace       6 cycles

The first two words are the probability, in units of 2^-32, with which each stream is held up in
each cycle, and the seed of these stalls. The last four words of the answer are the cycles since
the beginning and the microseconds that they took.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from implicore.job import GridJob
from implicore.registers import REGISTERS, addresses

WORDS = {register.name: register.words for register in REGISTERS}
COMMANDS = {
    name: 1 << bit
    for register in REGISTERS
    if register.name == "control"
    for bit, (name, _) in enumerate(register.fields)
}
COUNTERS = ("cycles", "busy", "input_stall", "output_stall", "useful", "spent")
"""The registers that tell what a job took."""


@dataclass(frozen=True)
class Reset:
    """The reset input, high for so many cycles."""

    cycles: int = 1


@dataclass(frozen=True)
class Write:
    """One AXI4-Lite write."""

    address: int
    value: int


@dataclass(frozen=True)
class Read:
    """A register's value, by its name."""

    name: str


@dataclass(frozen=True)
class Send:
    """A program's words. With ``stop`` the sender falls silent after so many of them."""

    words: np.ndarray
    stop: int | None = None


@dataclass(frozen=True)
class Decode:
    """Take voxels up to the one with ``tlast``, or for ``limit`` cycles.

    ``points``, coordinates of shape (points, 3), are sent meanwhile; none of them for a grid.
    """

    limit: int
    points: np.ndarray | None = None


@dataclass(frozen=True)
class Idle:
    """Take nothing and send nothing."""

    cycles: int


@dataclass(frozen=True)
class Trace:
    """Record a waveform from here on, if one is asked for, of so many cycles."""

    cycles: int


@dataclass(frozen=True)
class Decoded:
    """Answer to ``Decode``: the voxels, and whether the last of them came with ``tlast``."""

    voxels: np.ndarray
    ended: bool


@dataclass(frozen=True)
class Answers:
    """What a session brought.

    Attributes
    ----------
    values : list
        One for each operation: a register's value, words taken, ``Decoded``, voxels offered while
        idle, or None.
    cycles : int
        Simulated, everything included.
    seconds : float
        That the simulator took for them.
    """

    values: list
    cycles: int
    seconds: float


def grid_writes(job: GridJob) -> list[Write]:
    """The registers that describe a grid."""
    at = addresses()
    writes = [Write(at["grid_ends"] + 4 * axis, count - 1) for axis, count in enumerate(job.shape)]
    vectors = {"grid_origin": job.origin, "grid_moves": tuple(chain(*job.moves))}
    for name, values in vectors.items():
        for index, value in enumerate(values):
            address = at[name] + 8 * index
            writes.append(Write(address, value & 0xFFFFFFFF))
            writes.append(Write(address + 4, value >> 32 & 0xFF))
    return writes


def command(name: str) -> Write:
    """``start_grid``, ``start_points`` or ``abort``."""
    return Write(addresses()["control"], COMMANDS[name])


SETTLE = 8
"""Cycles after its last word in which the accelerator has judged a program, and some more."""


def load(words: np.ndarray) -> list:
    """Send a program and ask what the accelerator thinks of it."""
    return [Send(words), Idle(SETTLE), Read("error")]


def _halves(value: int) -> tuple[int, int]:
    return value & 0xFFFFFFFF, value >> 32


def encode(operations: Iterable, stall: float, seed: int) -> np.ndarray:
    """The words of a session, uint32."""
    parts = [[min(round(stall * 2**32), 2**32 - 1), seed & 0xFFFFFFFF]]
    for operation in operations:
        match operation:
            case Reset(cycles):
                parts.append([0, cycles])
            case Write(address, value):
                parts.append([1, address, value])
            case Read(name):
                for part in range(WORDS[name]):
                    parts.append([2, addresses()[name] + 4 * part])
            case Send(words, stop):
                parts += [[3, len(words), len(words) if stop is None else stop], words]
            case Decode(limit, points):
                points = np.empty((0, 3), int) if points is None else np.asarray(points)
                x, y, z = points.T & 0xFFFF
                parts.append([4, *_halves(limit), len(points)])
                parts.append(np.stack([x | y << 16, z], axis=1).ravel())
            case Idle(cycles):
                parts.append([5, cycles])
            case Trace(cycles):
                parts.append([6, cycles])
    return np.concatenate([np.asarray(part, np.uint32) for part in parts])


def decode(answers: np.ndarray, operations: Sequence) -> Answers:
    """What the words of the answer mean."""
    words = iter(answers.tolist())
    values = []
    for operation in operations:
        match operation:
            case Read(name):
                values.append(sum(next(words) << 32 * part for part in range(WORDS[name])))
            case Send() | Idle():
                values.append(next(words))
            case Decode():
                ended, count = next(words), next(words)
                voxels = np.array([next(words) for _ in range(count)], np.uint16)
                values.append(Decoded(voxels, bool(ended)))
            case _:
                values.append(None)
    cycles, microseconds = (next(words) + (next(words) << 32) for _ in range(2))
    return Answers(values, cycles, microseconds / 1e6)
