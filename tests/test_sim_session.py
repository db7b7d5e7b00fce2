import numpy as np

from implicore.config import Formats, NetworkShape
from implicore.job import GridJob
from implicore.random_program import random_program
from implicore.registers import addresses
from implicore.sim import session

OPERATIONS = [
    session.Reset(3),
    session.Write(16, 0x12345678),
    session.Read("error"),
    session.Read("cycles"),
    session.Send(np.array([7, 8, 9], np.uint32), 2),
    session.Decode(1 << 33, np.array([[1, -2, 3], [-32768, 32767, 0]])),
    session.Decode(5),
    session.Idle(4),
    session.Trace(6),
]


def test_words_of_a_session():
    words = session.encode(OPERATIONS, stall=0.5, seed=11)
    at = addresses()
    assert words.dtype == np.uint32
    assert words.tolist() == [
        *(1 << 31, 11, 0, 3, 1, 16, 0x12345678),
        *(2, at["error"], 2, at["cycles"], 2, at["cycles"] + 4),
        *(3, 3, 2, 7, 8, 9),
        *(4, 0, 2, 2, 1 | 0xFFFE << 16, 3, 0x8000 | 0x7FFF << 16, 0),
        *(4, 5, 0, 0, 5, 4, 6, 6),
    ]


def test_stalls_are_a_probability():
    assert session.encode([], 0.0, 0).tolist() == [0, 0]
    assert session.encode([], 1.0, 1 << 32).tolist() == [2**32 - 1, 0]


def test_answers():
    words = [1, 2, 3, 2, 1, 2, 70, 80, 0, 0, 9, 5, 1, 2_000_000, 0]
    answers = session.decode(np.array(words, np.uint32), OPERATIONS)
    first, second = answers.values[5:7]
    assert answers.values[:5] == [None, None, 1, 2 + (3 << 32), 2]
    assert first.ended and first.voxels.tolist() == [70, 80]
    assert not second.ended and second.voxels.tolist() == []
    assert answers.values[7:] == [9, None]
    assert answers.cycles == 5 + (1 << 32) and answers.seconds == 2


def test_a_grid_in_registers():
    program = random_program(NetworkShape(1, 1, 1), Formats(8, 8), seed=1)
    job = GridJob.of(program.grid, program.frame)
    values = {write.address: write.value for write in session.grid_writes(job)}
    at = addresses()
    assert [values[at["grid_ends"] + 4 * axis] + 1 for axis in range(3)] == list(job.shape)

    def signed(address):
        value = values[address] | values[address + 4] << 32
        return value - (value >> 39 << 40)

    assert [signed(at["grid_origin"] + 8 * n) for n in range(3)] == list(job.origin)
    moves = [signed(at["grid_moves"] + 8 * n) for n in range(9)]
    assert tuple(moves) == sum(job.moves, ())
    assert len(values) == 27
