"""A simulated accelerator as a processor sees it: mapped registers and three DMA channels.

It replaces PYNQ's objects in ``implicore.host.MemoryMapped``. A process with the compiled simulator
performs the operations of a session one after another. Simulated time advances only during an
operation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.host import MemoryMapped
from implicore.job import unpack_points
from implicore.registers import Refused, Response

from . import fast, session
from .interactive import InteractiveSimulator

POLL = 20
"""Cycles in which an active transfer of voxels goes on before a register is read."""


class MemoryMap(InteractiveSimulator):
    """A memory-mapped simulated accelerator; a context manager.

    Parameters
    ----------
    config : AcceleratorConfig
    stall : float
        Probability of a stall of each stream in each cycle.
    seed : int
        Seed of the stalls.
    timeout : int
        Maximum cycles of a job.
    optimize : bool
        Optimize for long simulations, see ``fast.build``.

    Attributes
    ----------
    registers : host.Registers
    program, points, voxels : host.Channel
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        *,
        stall: float = 0.0,
        seed: int = 0,
        timeout: int = 10**9,
        optimize: bool = True,
    ):
        super().__init__([fast.build(config, optimize=optimize).executable, "-", "-"])
        self._send_words(session.header(stall, seed))
        self.timeout = timeout
        self.registers = _Registers(self)
        self.program = _ProgramChannel(self)
        self.points = _Channel(self)
        self.voxels = _VoxelChannel(self)

    def transport(self, **options: Any) -> MemoryMapped:
        """Return a transport for ``host.Host``; options as for ``host.MemoryMapped``."""
        return MemoryMapped(self.registers, self.program, self.points, self.voxels, **options)

    def do(self, operation: Any) -> Any:
        """Perform an operation of a session and return the response."""
        self._send_words(session.words_of(operation))
        return session.response_to(operation, self._take)

    def _send_words(self, words: np.ndarray) -> None:
        self.send(words.astype("<u4").tobytes())

    def _take(self, count: int) -> np.ndarray:
        return np.frombuffer(self.receive(4 * count), "<u4")


class _Registers:
    def __init__(self, memory_map: MemoryMap):
        self._memory_map = memory_map

    def read(self, offset: int) -> int:
        self._memory_map.voxels.advance()
        response, value = self._memory_map.do(session.Access(offset))
        if response != Response.OKAY:
            raise Refused(offset)
        return value

    def write(self, offset: int, value: int) -> None:
        response, _ = self._memory_map.do(session.Access(offset, value))
        if response != Response.OKAY:
            raise Refused(offset, write=True)


class _Channel:
    """The channel of points; they are sent while their voxels are received."""

    def __init__(self, memory_map: MemoryMap):
        self._memory_map = memory_map
        self.start()

    def start(self) -> None:
        self.buffer: np.ndarray | None = None
        self.transferred = 0

    stop = start

    def transfer(self, buffer: np.ndarray) -> None:
        if self.buffer is not None:
            raise RuntimeError("The channel already has a transfer.")
        self.buffer, self.transferred = buffer, 0

    def wait(self) -> None:
        self._memory_map.voxels.run()

    def finish(self, transferred: int) -> None:
        self.buffer, self.transferred = None, transferred


class _ProgramChannel(_Channel):
    def wait(self) -> None:
        assert self.buffer is not None  # a transfer has begun
        accepted = self._memory_map.do(session.Send(self.buffer))
        if accepted < len(self.buffer):
            raise RuntimeError(
                f"The accelerator accepted {accepted} of the program's {len(self.buffer)} words."
            )
        self.finish(4 * accepted)


class _VoxelChannel(_Channel):
    def start(self) -> None:
        super().start()
        self._received = 0

    def transfer(self, buffer: np.ndarray) -> None:
        super().transfer(buffer)
        self._received = 0

    stop = start

    def wait(self) -> None:
        self.run()

    def advance(self) -> None:
        """Go on with an active transfer for some cycles."""
        if self.buffer is not None:
            self._take(session.Decode(POLL))

    def run(self) -> None:
        """Send the buffered points and receive the voxels of the job."""
        if self.buffer is None:
            return
        points, timeout, coordinates = self._memory_map.points, self._memory_map.timeout, None
        if points.buffer is not None:
            coordinates = unpack_points(points.buffer)
        if not self._take(session.Decode(timeout, coordinates)):
            raise RuntimeError(f"The job's last voxel did not arrive within {timeout} cycles.")
        self.finish(2 * self._received)
        if points.buffer is not None:
            points.finish(points.buffer.nbytes)

    def _take(self, decode: session.Decode) -> bool:
        """Receive voxels into the buffer; return whether the last one of the job came."""
        assert self.buffer is not None  # a transfer has begun
        response = self._memory_map.do(decode)
        end = self._received + len(response.voxels)
        if end > len(self.buffer):
            raise RuntimeError("The job has more voxels than the buffer.")
        self.buffer[self._received : end] = response.voxels
        self._received = end
        return response.ended
