"""A session: the operations that a host performs on an accelerator, for every simulator.

Operations and responses are encoded as 32-bit words. The compiled simulator's ``fast.cpp`` and the
cocotb bench ``accelerator_bench.py`` interpret the same words. A wider number takes two words, the
lower half first.

    operation   words                                                    response
    Reset       0 cycles
    Write       1 address value
    Read        2 address                                                value
    Send        3 count stop words...                                    words accepted
    Decode      4 limit limit count (xy z)...                            ended, count, voxels...
    Idle        5 cycles                                                 cycles with a voxel offered
    Trace       6 cycles
    Access      7 strobes address value                                  AXI response, value
    Stall       8 probability
    Post        9 strobes address value

A word, point or voxel that is offered at the end of an operation stays offered until it is taken.
A session begins with two words: the probability of a stall of each stream in each cycle, in units
of 2^-32, and the seed of the stalls. The responses end with four words: the simulated cycles and
the microseconds that they took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from implicore.job import pack_points
from implicore.registers import WORDS, Response, addresses


@dataclass(frozen=True)
class Reset:
    """Hold the reset input high for a number of cycles."""

    cycles: int = 1


@dataclass(frozen=True)
class Write:
    """Write one word by AXI4-Lite."""

    address: int
    value: int


@dataclass(frozen=True)
class Read:
    """Read a register, of any number of words, by its name."""

    name: str


@dataclass(frozen=True)
class ReadWord:
    """Read one word by AXI4-Lite."""

    address: int


@dataclass(frozen=True)
class Access:
    """Read a word by AXI4-Lite, or write ``value`` to it; the access may be answered with an error.

    ``Write``, ``Read`` and ``ReadWord`` must be answered with OKAY, or the session fails.
    ``strobes`` are those of a write, of neighbouring bytes.
    """

    address: int
    value: int | None = None
    strobes: int = 15


@dataclass(frozen=True)
class Send:
    """Send the words of a program; with ``stop``, only the first ``stop`` words."""

    words: np.ndarray
    stop: int | None = None


@dataclass(frozen=True)
class Decode:
    """Receive voxels up to the one with ``tlast``, or for ``limit`` cycles.

    ``points``, coordinates of shape (points, 3), are sent meanwhile; None for a grid job. After
    ``limit`` cycles, no further point is offered.
    """

    limit: int
    points: np.ndarray | None = None


@dataclass(frozen=True)
class Post:
    """Begin an ``Access``, which goes on during the next operations. Its response is ignored."""

    address: int
    value: int | None = None
    strobes: int = 15


@dataclass(frozen=True)
class Idle:
    """Wait; neither send nor receive."""

    cycles: int


@dataclass(frozen=True)
class Trace:
    """Record a waveform of the next ``cycles`` cycles, if the simulator was given a file."""

    cycles: int


@dataclass(frozen=True)
class Stall:
    """Change the probability of a stall of each stream in each cycle."""

    probability: float


@dataclass(frozen=True)
class Decoded:
    """Response to ``Decode``: the voxels, and whether the last one had ``tlast``."""

    voxels: np.ndarray
    ended: bool


@dataclass(frozen=True)
class Responses:
    """The responses to a session.

    Attributes
    ----------
    values : list
        One per operation: a register's value, the number of words accepted, ``Decoded``, the
        number of idle cycles with a voxel offered, the AXI response to an ``Access`` with the
        value that was read, or None.
    cycles : int
        All simulated cycles.
    seconds : float
        Run time of the simulator.
    """

    values: list
    cycles: int
    seconds: float


SETTLE = 8
"""Cycles from the last word of a program to its status, with a margin."""


def _halves(value: int) -> tuple[int, int]:
    return value & 0xFFFFFFFF, value >> 32


def _fraction(probability: float) -> int:
    return min(round(probability * 2**32), 2**32 - 1)


def header(stall: float, seed: int) -> np.ndarray:
    """Return the first words of a session, uint32."""
    return np.array([_fraction(stall), seed & 0xFFFFFFFF], np.uint32)


def words_of(operation) -> np.ndarray:
    """Return the words of an operation, uint32."""
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
        case Access(address, value, strobes):
            parts = [[7, 0 if value is None else strobes, address, value or 0]]
        case Stall(probability):
            parts = [[8, _fraction(probability)]]
        case Post(address, value, strobes):
            parts = [[9, 0 if value is None else strobes, address, value or 0]]
    return np.concatenate([np.asarray(part, np.uint32) for part in parts])


def response_to(operation, take: Callable[[int], np.ndarray]):
    """Return the response to an operation, from the words that ``take(count)`` returns."""
    match operation:
        case Read(name):
            words = take(WORDS[name]).tolist()
            return sum(word << 32 * part for part, word in enumerate(words))
        case ReadWord() | Send() | Idle():
            return int(take(1)[0])
        case Access():
            response, value = take(2).tolist()
            return Response(response), value
        case Decode():
            ended, count = take(2).tolist()
            return Decoded(take(count).astype(np.uint16), bool(ended))


def encode(operations: Iterable, stall: float, seed: int) -> np.ndarray:
    """Return the words of a session, uint32."""
    return np.concatenate([header(stall, seed), *map(words_of, operations)])


def decode(responses: np.ndarray, operations: Sequence) -> Responses:
    """Return the responses to a session's operations from their words."""
    position = 0

    def take(count: int) -> np.ndarray:
        nonlocal position
        position += count
        return responses[position - count : position]

    values = [response_to(operation, take) for operation in operations]
    cycles, microseconds = (take(2).astype("<u4").view("<u8").item() for _ in range(2))
    return Responses(values, cycles, microseconds / 1e6)
