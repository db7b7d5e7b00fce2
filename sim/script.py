"""Sessions with their expected responses: voxels of the golden model, predicted cycles."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import Prediction, predict
from implicore.host import command, grid_writes
from implicore.job import GridJob
from implicore.model.golden import Renderer
from implicore.program import Program
from implicore.registers import WORDS, Error
from implicore.stream import program_stream

from . import session

SLACK = 2000
"""Cycles beyond the predicted ones after which a job times out."""

DRAIN = 40
"""Cycles without stalls in which a host takes the voxels that are offered at an abort."""


@dataclass
class Script:
    """A session under construction: operations and the expected response to each of them.

    An expected response of None is not checked.

    Attributes
    ----------
    config : AcceleratorConfig
    stall : float
        Probability of a stall of each stream in each cycle. With stalls, cycles are not checked.
    """

    config: AcceleratorConfig
    stall: float = 0.0
    operations: list = field(default_factory=list)
    expected: list = field(default_factory=list)
    _program: Program | None = None

    def do(self, operation, expected=None) -> None:
        """Add an operation."""
        self.operations.append(operation)
        self.expected.append(expected)

    def stalls(self, probability: float) -> None:
        """Change the probability of a stall."""
        self.do(session.Stall(probability))
        self.stall = probability

    def load(self, program: Program) -> None:
        """Load a program, which must fit the configuration."""
        self._send(program_stream(program, self.config), Error.NONE)
        self._program = program
        self._golden = Renderer(program)

    def load_damaged(self, words: np.ndarray, error: Error) -> None:
        """Load a stream that the accelerator must reject with this error."""
        self._send(words, error)
        self._program = None

    def load_part(self, words: np.ndarray, stop: int) -> None:
        """Send the first ``stop`` words of a program, then abort."""
        self.do(session.Send(words, stop), stop)
        self._start("abort")
        if stop:
            self._program = None

    def _send(self, words, error):
        self.do(session.Send(words), len(words))
        self.do(session.Idle(session.SETTLE), 0)
        self.do(session.Read("error"), int(error))

    def points(self, coordinates: np.ndarray) -> None:
        """Decode a list of points."""
        voxels = self._golden.voxels(coordinates)
        self._start("start_points")
        self._decode(voxels, coordinates)

    def grid(self, job: GridJob) -> None:
        """Decode a grid of points."""
        voxels = self._golden.voxels(job.coordinates(0, job.voxels))
        for write in grid_writes(job):
            self.do(session.Write(*write))
        self._start("start_grid")
        self._decode(voxels, None)

    def rejected(self, name: str, error: Error) -> None:
        """Start a job that the accelerator must reject with this error and without a voxel."""
        self._start(name)
        self.do(session.Read("error"), int(error))
        self.do(session.Idle(20), 0)

    def interrupted(self, coordinates: np.ndarray, cycles: int, *, reset: bool) -> None:
        """Decode points for a number of cycles, then reset or abort."""
        voxels = self._golden.voxels(coordinates)
        self._start("start_points")
        self.do(session.Decode(cycles, coordinates), _Prefix(voxels))
        if reset:
            self.do(session.Reset(2))
            self._program = None
        else:
            self._start("abort")
            drain = int(DRAIN / (1 - min(self.stall, 0.99)))
            self.do(session.Decode(drain), _Held(voxels, self.config.voxels_per_beat))
        self.do(session.Idle(5), 0)

    @property
    def loaded(self) -> bool:
        """Whether a program is loaded and a job can be started."""
        return self._program is not None

    def _start(self, name):
        self.do(session.Write(*command(name)))

    def prediction(self, points: int) -> Prediction:
        """Return the predicted cycles and operations of a job of the loaded program."""
        shape = self._program.shape
        return predict(shape, self.config, points * shape.outputs)

    def _decode(self, voxels, coordinates):
        prediction = self.prediction(len(voxels) // self._program.shape.outputs)
        # The stream with the most stalls sets the pace.
        expected = (prediction.cycles + 8 * len(voxels)) / (1 - min(self.stall, 0.99)) ** 2
        timeout = int(expected) + SLACK
        self.do(session.Decode(timeout, coordinates), session.Decoded(voxels, ended=True))
        exact = not self.stall
        counters = {
            "cycles": prediction.cycles if exact else None,
            "active_cycles": prediction.steps,
            "input_stall": 0 if exact else None,
            "output_stall": 0 if exact else None,
            "useful_macs": prediction.useful_macs,
            "mac_slots": prediction.steps * self.config.rows * self.config.columns,
            "memory_corrected": 0,
            "memory_errors": 0,
        }
        for name, value in counters.items():
            self.do(session.Read(name), value)
        self.do(session.Idle(3), 0)

    def mismatches(self, responses: session.Responses) -> list[str]:
        """Return a sentence for each response that differs from the expected one, in order."""
        found, received = [], 0
        pairs = zip(self.operations, self.expected, responses.values, strict=True)
        for number, (operation, expected, value) in enumerate(pairs):
            if expected is None:
                continue
            where = f"operation {number} ({type(operation).__name__})"
            if isinstance(expected, _Prefix):
                received = len(value.voxels)
                if not np.array_equal(value.voxels, expected.voxels[:received]):
                    found.append(f"{where}: voxels differ before the interruption")
            elif isinstance(expected, _Held):
                found += [f"{where}: {fault}" for fault in expected.faults(value, received)]
            elif isinstance(expected, session.Decoded):
                found += _differences(where, expected.voxels, value)
            elif value != expected:
                name = f" {operation.name}" if isinstance(operation, session.Read) else ""
                found.append(f"{where}:{name} {value} instead of {expected}")
        return found

    def expected_words(self) -> np.ndarray:
        """Return the expected responses as words, uint32; ValueError if one is unknown."""
        words = []
        for operation, expected in zip(self.operations, self.expected, strict=True):
            match operation, expected:
                case session.Read(name), int():
                    words += [expected >> 32 * part for part in range(WORDS[name])]
                case session.Decode(), session.Decoded():
                    words += [int(expected.ended), len(expected.voxels), *expected.voxels.tolist()]
                case ((session.Send() | session.Idle()), int()):
                    words.append(expected)
                case session.Access(), (int(response), int(value)):
                    words += [response, value]
                case (
                    (
                        session.Read()
                        | session.Decode()
                        | session.Send()
                        | session.Idle()
                        | session.Access()
                    ),
                    _,
                ):
                    raise ValueError(f"The response to {operation} is unknown.")
        return np.array([word & 0xFFFFFFFF for word in words], np.uint32)


@dataclass(frozen=True)
class _Prefix:
    """Expected response to an interrupted job: any prefix of these voxels."""

    voxels: np.ndarray


@dataclass(frozen=True)
class _Held:
    """Expected response after an abort: at most one beat, which continues the job's voxels."""

    voxels: np.ndarray
    per_beat: int

    def faults(self, value: session.Decoded, received: int) -> list[str]:
        """Return what is wrong with the response to an abort after ``received`` voxels."""
        rest, count = self.voxels[received:], len(value.voxels)
        found = []
        if count not in (0, min(self.per_beat, len(rest))):
            found.append(f"{count} voxels after the abort")
        if not np.array_equal(value.voxels, rest[:count]):
            found.append("voxels differ after the abort")
        if value.ended != bool(count and count == len(rest)):
            found.append("tlast changed after the abort")
        return found


def _differences(where: str, expected: np.ndarray, value: session.Decoded) -> list[str]:
    count = min(len(expected), len(value.voxels))
    wrong = np.flatnonzero(expected[:count] != value.voxels[:count])
    found = []
    if len(wrong):
        first = wrong[0]
        found.append(
            f"{where}: {len(wrong)} of {len(expected)} voxels differ, the first is number {first}: "
            f"{value.voxels[first]} instead of {expected[first]}"
        )
    if len(value.voxels) != len(expected):
        found.append(f"{where}: {len(value.voxels)} voxels instead of {len(expected)}")
    elif not value.ended:
        found.append(f"{where}: the last voxel had no tlast")
    return found
