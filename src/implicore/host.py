"""The host's driver of an accelerator: loads programs, starts jobs, returns voxels.

A ``Host`` uses a ``Transport``, which moves words and knows nothing about jobs. There are two:

    link.Link       a serial line, of a board or simulated by ``sim.serial``
    MemoryMapped    AXI4-Lite registers and AXI DMA channels, of PYNQ or simulated by
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
from .patch import POINT, Lattice
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
    """A way to move words to and from an accelerator.

    Attributes
    ----------
    max_job_voxels : int
        Maximum number of points or voxels in one job.
    """

    max_job_voxels: int

    def read(self, *addresses: int) -> list[int]:
        """Return the words at byte addresses of the registers; Refused if one has none."""

    def write(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Write words, given as pairs of byte address and value, in this order.

        Raises Refused if one cannot be written.
        """

    def program(self, words: np.ndarray) -> None:
        """Send the words of a program; ``tlast`` is high with the last one."""

    def decode(self, voxels: int, points: np.ndarray | None = None) -> np.ndarray:
        """Receive the voxels, uint16, of a job that has been started, while sending its points."""

    def abort(self) -> None:
        """Abort the job and discard all data in flight. The program may be lost."""


class Rejected(BadInput):
    """The accelerator rejected a program or a job.

    Attributes
    ----------
    error : Error
        The value of its ``error`` register.
    """

    def __init__(self, subject: str, error: Error):
        self.error = error
        super().__init__(f"The accelerator rejected {subject}: {ERROR_MEANINGS[error]}.")


class DamagedProgram(BadInput):
    """Words of the program have changed in the accelerator's memories beyond correction.

    The voxels of the job may be wrong. Load the program again.

    Attributes
    ----------
    words : int
        The value of the register ``memory_errors``: how often such a word was read.
    """

    def __init__(self, words: int):
        self.words = words
        super().__init__(
            f"The accelerator read damaged words of the program {words} times in this job: load "
            "the program again."
        )


class Host:
    """Drive one accelerator. Voxels equal those of ``model.golden.Renderer`` bit for bit.

    Parameters
    ----------
    transport : Transport
    config : AcceleratorConfig
        The configuration that the accelerator was generated from, as in ``implicore.json``.
    timeout : float
        Seconds within which the accelerator must report the status of a program.

    Raises
    ------
    BadInput
        If identity, register map version or configuration differ.
    """

    def __init__(self, transport: Transport, config: AcceleratorConfig, *, timeout: float = 10.0):
        self.transport = transport
        self.config = config
        self.program: Program | None = None
        self._timeout = timeout
        values = [self.register(name) for name in ("identity", "version", "configuration")]
        for name, value, expected in zip(
            ("identity", "register map version", "configuration digest"),
            values,
            (IDENTITY, VERSION, config.digest),
            strict=True,
        ):
            if value != expected:
                raise BadInput(
                    f"The accelerator does not match the configuration: its {name} is {value:#x}, "
                    f"not {expected:#x}."
                )

    def load(self, program: Program) -> None:
        """Load a program; BadInput if it does not fit, Rejected if the accelerator rejects it."""
        self.send(program_stream(program, self.config))
        self.program = program

    def send(self, words: np.ndarray) -> None:
        """Send the words of a program stream and wait for the status; Rejected if it is bad."""
        self.program = None
        self._clear_events()
        self.transport.program(words)
        end = monotonic() + self._timeout
        while not (event := self._events()):
            if monotonic() > end:
                raise BadInput(
                    f"The accelerator reported no status of the program within {self._timeout:g} s."
                )
        if event & masks("interrupt")["error"]:
            raise Rejected("the program", Error(self.register("error")))

    def voxels(self, points: np.ndarray) -> np.ndarray:
        """Decode points.

        Parameters
        ----------
        points : integer array, shape (points, 3)
            In ``fixed.COORDINATE`` units.

        Returns
        -------
        uint16 array, shape (points * outputs,)
            Point after point.

        Raises
        ------
        DamagedProgram
            Only with protected memories. ``render`` raises it as well.
        """
        points = checked_points(points)
        parts = [np.empty(0, np.uint16)]
        for first in range(0, len(points), self._max_job_points):
            part = points[first : first + self._max_job_points]
            self._start("start_points")
            parts.append(self.transport.decode(len(part) * self._outputs, part))
            self._check_memories()
        return np.concatenate(parts)

    def render(self, grid: Grid) -> np.ndarray:
        """Decode every voxel of a grid: uint16 array of the grid's shape.

        A grid of more than ``transport.max_job_voxels`` voxels is split into several jobs. A
        program with patches decodes its own grid only, patch by patch.
        """
        if self.program is None:
            raise BadInput("Load a program first: it defines the coordinates of the grid.")
        lattice = Lattice(grid, self.program.patch)
        if self.program.patch != POINT and grid != self.program.grid:
            raise BadInput(
                "Hardware decodes patches only on their lattice: render the program's own grid, or "
                "interpolate another one by model.resampling.Resampler with Host.voxels."
            )
        parts = []
        for job in GridJob.of(lattice.grid, self.program.frame).parts(self._max_job_points):
            self.transport.write(grid_writes(job))
            self._start("start_grid")
            parts.append(self.transport.decode(job.voxels * self._outputs))
            self._check_memories()
        return lattice.join(np.concatenate(parts))

    @property
    def _outputs(self) -> int:
        """Voxels of a point; 1 without a program, whose jobs the accelerator rejects."""
        return self.program.shape.outputs if self.program else 1

    @property
    def _max_job_points(self) -> int:
        limit = self.transport.max_job_voxels // self._outputs
        if not limit:
            raise BadInput(
                f"A point has {self._outputs} voxels, but a job of this transport has at most "
                f"{self.transport.max_job_voxels}: allow larger transfers."
            )
        return limit

    def counters(self) -> dict[str, int]:
        """Return the counters of the last job: the registers ``COUNTERS``."""
        return {name: self.register(name) for name in COUNTERS}

    def status(self) -> dict[str, bool]:
        """Return the bits of the status register."""
        value = self.register("status")
        return {name: bool(value & mask) for name, mask in masks("status").items()}

    def abort(self) -> None:
        """Abort the running job, or discard the rest of a failed one.

        The program stays loaded if the transport can empty its streams without a reset of the
        accelerator; otherwise ``program`` becomes None.
        """
        self.transport.abort()
        if not self.status()["loaded"]:
            self.program = None

    def register(self, name: str) -> int:
        """Return the value of a register, or of the first one of an array of registers."""
        first = addresses()[name]
        words = self.transport.read(*(first + 4 * part for part in range(WORDS[name])))
        return sum(word << 32 * part for part, word in enumerate(words))

    def _start(self, name: str) -> None:
        self._clear_events()
        self.transport.write([command(name)])
        if self._events() & masks("interrupt")["error"]:
            raise Rejected("the job", Error(self.register("error")))

    def _check_memories(self) -> None:
        if self.config.protection != "none" and (words := self.register("memory_errors")):
            raise DamagedProgram(words)

    def _events(self) -> int:
        return self.register("interrupt")

    def _clear_events(self) -> None:
        self.transport.write([(addresses()["interrupt"], sum(masks("interrupt").values()))])


def command(name: str) -> tuple[int, int]:
    """Return address and value of ``start_grid``, ``start_points`` or ``abort``."""
    return addresses()["control"], masks("control")[name]


def grid_writes(job: GridJob) -> list[tuple[int, int]]:
    """Return addresses and values of the registers that describe a grid."""
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


class Registers(Protocol):
    """A window into memory, such as ``pynq.MMIO`` or the ``mmio`` of an overlay's block.

    A processor turns SLVERR into a bus error, which no method returns.
    """

    def read(self, offset: int, /) -> int:
        """Return the word at a byte offset."""

    def write(self, offset: int, value: int, /) -> None:
        """Write a word at a byte offset."""


class Channel(Protocol):
    """One direction of an AXI DMA: ``sendchannel`` or ``recvchannel`` of ``pynq.lib.DMA``."""

    transferred: int

    def transfer(self, buffer: np.ndarray, /) -> None:
        """Start sending a buffer, ending with ``tlast``, or filling one until ``tlast``."""

    def wait(self) -> None:
        """Wait for the end of the transfer; ``transferred`` is then its number of bytes."""

    def start(self) -> None:
        """Restart the channel after ``stop``."""

    def stop(self) -> None:
        """Abort the transfer."""


ABORT_SECONDS = 1.0
"""Time within which an aborted job's last beat must be taken."""


class MemoryMapped:
    """A ``Transport`` over AXI4-Lite registers and AXI DMA.

    Parameters
    ----------
    registers : Registers
        The window in which ``s_axi`` is mapped.
    program, points, voxels : Channel
        The channels of ``s_axis_program`` (32 bits), ``s_axis_points`` (64 bits) and
        ``m_axis_voxels`` (16 bits for each voxel of a beat).
    allocate : function of a shape and a dtype
        Allocates the buffers, such as ``pynq.allocate``.
    max_transfer_bytes : int
        Maximum transfer size, set by the width of the DMA's length register.
    """

    def __init__(
        self,
        registers: Registers,
        program: Channel,
        points: Channel,
        voxels: Channel,
        *,
        allocate: Callable = np.empty,
        max_transfer_bytes: int = (1 << 26) - 1,
    ):
        self._registers = registers
        self._program, self._points, self._voxels = program, points, voxels
        self._allocate = allocate
        self._max_transfer_bytes = max_transfer_bytes
        self.max_job_voxels = max_transfer_bytes // 8  # the size of a point

    def read(self, *addresses: int) -> list[int]:
        """Return the words at byte addresses of the registers."""
        return [int(self._registers.read(address)) for address in addresses]

    def write(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Write words, given as pairs of byte address and value, in this order."""
        for address, value in pairs:
            self._registers.write(address, value)

    def program(self, words: np.ndarray) -> None:
        """Send the words of a program; BadInput if they exceed one transfer."""
        if 4 * len(words) > self._max_transfer_bytes:
            raise BadInput(
                f"The program has {4 * len(words)} bytes, but one transfer has at most "
                f"{self._max_transfer_bytes}: widen the DMA's length register."
            )
        buffer = self._filled(np.asarray(words, np.uint32))
        self._program.transfer(buffer)
        self._program.wait()

    def decode(self, voxels: int, points: np.ndarray | None = None) -> np.ndarray:
        """Receive the voxels, uint16, of a started job; BadInput if it delivers fewer."""
        buffer = self._allocate((voxels,), np.uint16)
        self._voxels.transfer(buffer)
        if points is not None:
            packed = self._filled(pack_points(points))
            self._points.transfer(packed)
            self._points.wait()
        self._voxels.wait()
        if self._voxels.transferred != buffer.nbytes:
            raise BadInput(
                f"The job delivered {self._voxels.transferred // 2} voxels, not {voxels}."
            )
        return np.array(buffer)

    def abort(self) -> None:
        """Abort the job and all transfers; a loaded program stays loaded.

        The accelerator drops the rest of the points. A beat of voxels that it offers stays until
        the voxels' channel has taken it. BadInput if that takes more than ``ABORT_SECONDS``.
        """
        self.write([command("abort")])
        if self._holds_a_beat():
            self._voxels.stop()
            self._voxels.start()
            self._voxels.transfer(self._allocate((8,), np.uint16))  # the largest beat
            end = monotonic() + ABORT_SECONDS
            while self._holds_a_beat():
                if monotonic() > end:
                    raise BadInput(
                        "The voxels' channel did not take the last beat of an aborted job within "
                        f"{ABORT_SECONDS:g} s: reset the accelerator."
                    )
        for channel in (self._program, self._points, self._voxels):
            channel.stop()
            channel.start()
        # Words of a program that came after the abort are no longer waited for.
        self.write([command("abort")])

    def _holds_a_beat(self) -> bool:
        (status,) = self.read(addresses()["status"])
        return bool(status & masks("status")["held"])

    def _filled(self, words: np.ndarray) -> np.ndarray:
        buffer = self._allocate(words.shape, words.dtype)
        buffer[:] = words
        return buffer
