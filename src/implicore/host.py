"""The host's driver of an accelerator: programs go in, jobs are started, voxels come out.

A ``Host`` needs a ``Transport``, which moves words and knows nothing of jobs. There are two:

    link.Link       a serial line: a board's, or the simulated one of ``sim.serial``
    MemoryMapped    AXI4-Lite registers and AXI DMA channels: PYNQ's, or the simulated ones of
                    ``sim.memory_map``
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from time import monotonic
from typing import Protocol

import numpy as np

from .accelerator_config import AcceleratorConfig
from .errors import BadInput
from .grid import Grid
from .job import GridJob, checked_points, pack_points
from .program import Program
from .registers import (
    COUNTERS,
    ERROR_MEANINGS,
    IDENTITY,
    VERSION,
    WORDS,
    Error,
    addresses,
    masks,
)
from .stream import program_stream


class Transport(Protocol):
    """How words reach an accelerator and come back.

    Attributes
    ----------
    voxels_at_once : int
        The greatest job whose points and voxels it can take.
    """

    voxels_at_once: int

    def read(self, *addresses: int) -> list[int]:
        """The words at some byte addresses of the registers."""

    def write(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Write words: pairs of byte address and value, in this order."""

    def program(self, words: np.ndarray) -> None:
        """Send the words of a program, the last one with ``tlast``."""

    def decode(self, voxels: int, points: np.ndarray | None = None) -> np.ndarray:
        """Take the voxels, uint16, of a job that has been started; send its points meanwhile."""

    def abort(self) -> None:
        """Drop what is under way, in the accelerator as well. The program may be gone."""


class Refused(BadInput):
    """The accelerator refused a program or a job.

    Attributes
    ----------
    error : Error
        The reason that it gave.
    """

    def __init__(self, what: str, error: Error):
        self.error = error
        super().__init__(f"The accelerator refused {what}: {ERROR_MEANINGS[error]}.")


class Host:
    """Drives one accelerator; decodes as ``model.golden.Renderer`` does, bit for bit.

    Parameters
    ----------
    transport : Transport
    config : AcceleratorConfig
        What the accelerator was generated from; ``implicore.json`` holds it.
    timeout : float
        Seconds within which a program that has been sent must be judged.

    Raises
    ------
    BadInput
        If another thing than this accelerator answers.
    """

    def __init__(self, transport: Transport, config: AcceleratorConfig, *, timeout: float = 10.0):
        self.transport = transport
        self.config = config
        self.program: Program | None = None
        self._timeout = timeout
        found = [self.register(name) for name in ("identity", "version", "configuration")]
        for name, is_, due in zip(
            ("identity", "register map's version", "configuration's digest"),
            found,
            (IDENTITY, VERSION, config.digest),
            strict=True,
        ):
            if is_ != due:
                raise BadInput(
                    f"This is not the accelerator of the configuration: its {name} is {is_:#x}, "
                    f"not {due:#x}."
                )

    def load(self, program: Program) -> None:
        """Load a program; BadInput if it does not fit, Refused if it arrived damaged."""
        self.send(program_stream(program, self.config))
        self.program = program

    def send(self, words: np.ndarray) -> None:
        """Send the words of a program stream and wait for the verdict; Refused if it is bad."""
        self.program = None
        self._forget_events()
        self.transport.program(words)
        end = monotonic() + self._timeout
        while not (event := self._events()):
            if monotonic() > end:
                raise BadInput("The accelerator gives no verdict on the program it was sent.")
        if event & masks("interrupt")["error"]:
            raise Refused("the program", Error(self.register("error")))

    def voxels(self, points: np.ndarray) -> np.ndarray:
        """Decode points.

        Parameters
        ----------
        points : integer array, shape (points, 3)
            In ``fixed.COORDINATE`` units.

        Returns
        -------
        uint16 array, shape (points,).
        """
        points = checked_points(points)
        found = [np.empty(0, np.uint16)]
        for first in range(0, len(points), self.transport.voxels_at_once):
            part = points[first : first + self.transport.voxels_at_once]
            self._start("start_points")
            found.append(self.transport.decode(len(part), part))
        return np.concatenate(found)

    def render(self, grid: Grid) -> np.ndarray:
        """Decode every voxel of a grid: uint16 array of the grid's shape.

        What is more than the transport can take at once becomes several jobs.
        """
        if self.program is None:
            raise BadInput("Load a program first: the grid is placed by it.")
        found = []
        for job in GridJob.of(grid, self.program.frame).parts(self.transport.voxels_at_once):
            self.transport.write(grid_writes(job))
            self._start("start_grid")
            found.append(self.transport.decode(job.voxels))
        return np.concatenate(found).reshape(grid.shape, order="F")

    def counters(self) -> dict[str, int]:
        """What the last job took: the registers ``COUNTERS``."""
        return {name: self.register(name) for name in COUNTERS}

    def status(self) -> dict[str, bool]:
        """The bits of the status register."""
        value = self.register("status")
        return {name: bool(value & mask) for name, mask in masks("status").items()}

    def abort(self) -> None:
        """Drop the job at work, or what is left of one that failed.

        A program survives this where the transport can empty its streams without a reset of the
        accelerator; ``program`` is None where not.
        """
        self.transport.abort()
        if not self.status()["loaded"]:
            self.program = None

    def register(self, name: str) -> int:
        """A register's value, the first one's where there are several."""
        first = addresses()[name]
        words = self.transport.read(*(first + 4 * part for part in range(WORDS[name])))
        return sum(word << 32 * part for part, word in enumerate(words))

    def _start(self, name: str) -> None:
        self._forget_events()
        self.transport.write([command(name)])
        if self._events() & masks("interrupt")["error"]:
            raise Refused("the job", Error(self.register("error")))

    def _events(self) -> int:
        return self.register("interrupt")

    def _forget_events(self) -> None:
        self.transport.write([(addresses()["interrupt"], sum(masks("interrupt").values()))])


def command(name: str) -> tuple[int, int]:
    """Address and value of ``start_grid``, ``start_points`` or ``abort``."""
    return addresses()["control"], masks("control")[name]


def grid_writes(job: GridJob) -> list[tuple[int, int]]:
    """Addresses and values of the registers that describe a grid."""
    at = addresses()
    writes = [
        (at["grid_size_minus_one"] + 4 * axis, count - 1) for axis, count in enumerate(job.shape)
    ]
    vectors = {"grid_origin": job.origin, "grid_increments": tuple(chain(*job.increments))}
    for name, values in vectors.items():
        for index, value in enumerate(values):
            address = at[name] + 8 * index
            writes.append((address, value & 0xFFFFFFFF))
            writes.append((address + 4, value >> 32 & 0xFF))
    return writes


# ------------------------------------------------------------------------------ memory-mapped I/O


class Registers(Protocol):
    """A window into memory; ``pynq.MMIO`` is one, or the ``mmio`` of an overlay's block."""

    def read(self, offset: int, /) -> int:
        """The word at a byte offset."""

    def write(self, offset: int, value: int, /) -> None:
        """Write a word."""


class Channel(Protocol):
    """One direction of an AXI DMA; ``sendchannel`` and ``recvchannel`` of ``pynq.lib.DMA`` are."""

    transferred: int

    def transfer(self, buffer: np.ndarray, /) -> None:
        """Begin to send a buffer, ``tlast`` with its end, or to fill one up to ``tlast``."""

    def wait(self) -> None:
        """Until the transfer is over; ``transferred`` then has its bytes."""

    def start(self) -> None:
        """Run, after a ``stop``."""

    def stop(self) -> None:
        """Drop the transfer."""


class MemoryMapped:
    """A ``Transport`` over AXI4-Lite registers and AXI DMA.

    Parameters
    ----------
    registers : Registers
        Where ``s_axi`` is mapped.
    program, points, voxels : Channel
        At ``s_axis_program`` (32 bits), ``s_axis_points`` (64) and ``m_axis_voxels`` (16).
    allocate : function of a shape and a dtype
        Gives the buffers: ``pynq.allocate``.
    most_bytes : int
        The greatest transfer, which the width of the DMA's length register sets.
    """

    def __init__(
        self,
        registers: Registers,
        program: Channel,
        points: Channel,
        voxels: Channel,
        *,
        allocate: Callable = np.empty,
        most_bytes: int = (1 << 26) - 1,
    ):
        self._registers = registers
        self._program, self._points, self._voxels = program, points, voxels
        self._allocate = allocate
        self._most_bytes = most_bytes
        self.voxels_at_once = most_bytes // 8  # a point's bytes

    def read(self, *addresses: int) -> list[int]:
        """The words at some byte addresses of the registers."""
        return [int(self._registers.read(address)) for address in addresses]

    def write(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Write words: pairs of byte address and value."""
        for address, value in pairs:
            self._registers.write(address, value)

    def program(self, words: np.ndarray) -> None:
        """Send the words of a program; BadInput if they are more than one transfer."""
        if 4 * len(words) > self._most_bytes:
            raise BadInput(
                f"The program has {4 * len(words)} bytes and the DMA moves at most "
                f"{self._most_bytes} at once: widen its length register."
            )
        buffer = self._filled(np.asarray(words, np.uint32))
        self._program.transfer(buffer)
        self._program.wait()

    def decode(self, voxels: int, points: np.ndarray | None = None) -> np.ndarray:
        """Take the voxels, uint16, of a job that has been started; BadInput if there are fewer."""
        buffer = self._allocate((voxels,), np.uint16)
        self._voxels.transfer(buffer)
        if points is not None:
            sent = self._filled(pack_points(points))
            self._points.transfer(sent)
            self._points.wait()
        self._voxels.wait()
        if self._voxels.transferred != buffer.nbytes:
            raise BadInput(f"The job gave {self._voxels.transferred // 2} voxels and not {voxels}.")
        return np.array(buffer)

    def abort(self) -> None:
        """Abort the job and drop all transfers; a loaded program stays."""
        self.write([command("abort")])
        for channel in (self._program, self._points, self._voxels):
            channel.stop()
            channel.start()

    def _filled(self, words: np.ndarray) -> np.ndarray:
        buffer = self._allocate(words.shape, words.dtype)
        buffer[:] = words
        return buffer
