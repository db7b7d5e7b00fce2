import numpy as np

from implicore.registers import Response, addresses
from implicore.sim import session

OPERATIONS = [
    session.Reset(3),
    session.Write(16, 0x12345678),
    session.Read("error"),
    session.Read("cycles"),
    session.ReadWord(12),
    session.Send(np.array([7, 8, 9], np.uint32), 2),
    session.Decode(1 << 33, np.array([[1, -2, 3], [-32768, 32767, 0]])),
    session.Decode(5),
    session.Idle(4),
    session.Trace(6),
    session.Access(192),
    session.Access(8, 77),
    session.Access(8, 77, strobes=3),
    session.Stall(0.25),
    session.Post(8),
    session.Post(8, 77),
]


def test_words_of_a_session():
    words = session.encode(OPERATIONS, stall=0.5, seed=11)
    at = addresses()
    assert words.dtype == np.uint32
    assert words.tolist() == [
        *(1 << 31, 11, 0, 3, 1, 16, 0x12345678),
        *(2, at["error"], 2, at["cycles"], 2, at["cycles"] + 4, 2, 12),
        *(3, 3, 2, 7, 8, 9),
        *(4, 0, 2, 2, 1 | 0xFFFE << 16, 3, 0x8000 | 0x7FFF << 16, 0),
        *(4, 5, 0, 0, 5, 4, 6, 6),
        *(7, 0, 192, 0, 7, 15, 8, 77, 7, 3, 8, 77),
        *(8, 1 << 30, 9, 0, 8, 0, 9, 15, 8, 77),
    ]


def test_stalls_are_a_probability():
    assert session.encode([], 0.0, 0).tolist() == [0, 0]
    assert session.encode([], 1.0, 1 << 32).tolist() == [2**32 - 1, 0]


def test_responses():
    words = [1, 2, 3, 9, 2, 1, 2, 70, 80, 0, 0, 9, 2, 0, 0, 6, 0, 4, 5, 1, 2_000_000, 0]
    responses = session.decode(np.array(words, np.uint32), OPERATIONS)
    first, second = responses.values[6:8]
    assert responses.values[:6] == [None, None, 1, 2 + (3 << 32), 9, 2]
    assert first.ended and first.voxels.tolist() == [70, 80]
    assert not second.ended and second.voxels.tolist() == []
    accesses = [(Response.SLVERR, 0), (Response.OKAY, 6), (Response.OKAY, 4)]
    assert responses.values[8:] == [9, None, *accesses, None, None, None]
    assert responses.cycles == 5 + (1 << 32) and responses.seconds == 2
