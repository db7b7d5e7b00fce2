"""A simulated accelerator as a processor sees it: mapped registers and three DMA channels.

What ``implicore.host.MemoryMapped`` takes for PYNQ's is here the verilated accelerator of
``fast.py``, which carries out one operation after the other for as long as it lives. It only runs
while somebody waits for it.
"""

from __future__ import annotations

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.host import MemoryMapped
from implicore.job import unpack_points

from . import fast, session
from .interactive import InteractiveSimulator


class MemoryMap(InteractiveSimulator):
    """An accelerator in memory; a context manager.

    Parameters
    ----------
    config : AcceleratorConfig
    stall : float
        Probability with which each stream is held up in each cycle.
    seed : int
        Of these stalls.
    timeout : int
        Cycles that a job's voxels may take.
    optimize : bool
        Whether many cycles are to follow, see ``fast.build``.

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

    def transport(self, **options) -> MemoryMapped:
        """What a ``host.Host`` needs; options as of ``host.MemoryMapped``."""
        return MemoryMapped(self.registers, self.program, self.points, self.voxels, **options)

    def do(self, operation):
        """Carry out an operation of a session; the response to it."""
        self._send_words(session.words_of(operation))
        return session.response_to(operation, self._take)

    def _send_words(self, words: np.ndarray) -> None:
        self.send(words.astype("<u4").tobytes())

    def _take(self, count: int) -> np.ndarray:
        return np.frombuffer(self.receive(4 * count), "<u4")


class _Registers:
    def __init__(self, machine: MemoryMap):
        self._machine = machine

    def read(self, offset: int) -> int:
        return self._machine.do(session.ReadWord(offset))

    def write(self, offset: int, value: int) -> None:
        self._machine.do(session.Write(offset, value))


class _Channel:
    """What points go through: they are taken while their voxels are."""

    def __init__(self, machine: MemoryMap):
        self._machine = machine
        self.start()

    def start(self) -> None:
        self.buffer, self.transferred = None, 0

    stop = start

    def transfer(self, buffer: np.ndarray) -> None:
        if self.buffer is not None:
            raise RuntimeError("A transfer is under way.")
        self.buffer, self.transferred = buffer, 0

    def wait(self) -> None:
        self._machine.voxels.run()

    def finish(self, transferred: int) -> None:
        self.buffer, self.transferred = None, transferred


class _ProgramChannel(_Channel):
    def wait(self) -> None:
        taken = self._machine.do(session.Send(self.buffer))
        if taken < len(self.buffer):
            raise RuntimeError(f"{taken} of {len(self.buffer)} words of a program were taken.")
        self.finish(4 * taken)


class _VoxelChannel(_Channel):
    def wait(self) -> None:
        self.run()

    def run(self) -> None:
        """Send the points that wait, and take voxels up to the job's last one."""
        if self.buffer is None:
            return
        points, timeout, coordinates = self._machine.points, self._machine.timeout, None
        if points.buffer is not None:
            coordinates = unpack_points(points.buffer)
        response = self._machine.do(session.Decode(timeout, coordinates))
        if not response.ended:
            raise RuntimeError(f"No last voxel came within {timeout} cycles.")
        if len(response.voxels) > len(self.buffer):
            raise RuntimeError("The job has more voxels than the buffer.")
        self.buffer[: len(response.voxels)] = response.voxels
        self.finish(2 * len(response.voxels))
        if points.buffer is not None:
            points.finish(points.buffer.nbytes)
