"""What a host does with an accelerator, as a list of operations that every simulator carries out.

A session goes to the simulator as 32-bit words and its responses come back as such; the compiled
simulator's ``fast.cpp`` and cocotb's ``accelerator_bench.py`` interpret the same words. A number
wider than 32 bits takes two words, the lower half first.

    operation   words                                                    response
    Reset       0 cycles
    Write       1 address value
    Read        2 address                                                value
    Send        3 count stop words...                                    words taken
    Decode      4 limit limit count (xy z)...                            ended, count, voxels...
    Idle        5 cycles                                                 cycles with a voxel offered
    Trace       6 cycles

The first two words are the probability, in units of 2^-32, with which each stream is held up in
each cycle, and the seed of these stalls. The last four words of the response are the cycles since
the beginning and the microseconds that they took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from implicore.job import pack_points
from implicore.registers import WORDS, addresses


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
class ReadWord:
    """One AXI4-Lite read."""

    address: int


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
    """Response to ``Decode``: the voxels, and whether the last of them came with ``tlast``."""

    voxels: np.ndarray
    ended: bool


@dataclass(frozen=True)
class Responses:
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


SETTLE = 8
"""Cycles after its last word in which the accelerator has judged a program, and some more."""


def _halves(value: int) -> tuple[int, int]:
    return value & 0xFFFFFFFF, value >> 32


def header(stall: float, seed: int) -> np.ndarray:
    """The words that a session begins with, uint32."""
    return np.array([min(round(stall * 2**32), 2**32 - 1), seed & 0xFFFFFFFF], np.uint32)


def words_of(operation) -> np.ndarray:
    """The words of an operation, uint32."""
    match operation:
        case Reset(cycles):
            parts = [[0, cycles]]
        case Write(address, value):
            parts = [[1, address, value]]
        case Read(name):
            parts = [[2, addresses()[name] + 4 * part] for part in range(WORDS[name])]
        case ReadWord(address):
            parts = [[2, address]]
        case Send(words, stop):
            parts = [[3, len(words), len(words) if stop is None else stop], words]
        case Decode(limit, points):
            points = np.empty((0, 3), int) if points is None else np.asarray(points)
            parts = [[4, *_halves(limit), len(points)], pack_points(points).view("<u4")]
        case Idle(cycles):
            parts = [[5, cycles]]
        case Trace(cycles):
            parts = [[6, cycles]]
    return np.concatenate([np.asarray(part, np.uint32) for part in parts])


def response_to(operation, take: Callable[[int], np.ndarray]):
    """What is answered to an operation, in the words that ``take`` gives, so many at a time."""
    match operation:
        case Read(name):
            words = take(WORDS[name]).tolist()
            return sum(word << 32 * part for part, word in enumerate(words))
        case ReadWord() | Send() | Idle():
            return int(take(1)[0])
        case Decode():
            ended, count = take(2).tolist()
            return Decoded(take(count).astype(np.uint16), bool(ended))


def encode(operations: Iterable, stall: float, seed: int) -> np.ndarray:
    """The words of a session, uint32."""
    return np.concatenate([header(stall, seed), *map(words_of, operations)])


def decode(responses: np.ndarray, operations: Sequence) -> Responses:
    """What the words of the response mean."""
    place = 0

    def take(count: int) -> np.ndarray:
        nonlocal place
        place += count
        return responses[place - count : place]

    values = [response_to(operation, take) for operation in operations]
    cycles, microseconds = (take(2).astype("<u4").view("<u8").item() for _ in range(2))
    return Responses(values, cycles, microseconds / 1e6)
