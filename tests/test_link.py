"""The host's end of the link, against scripted responses of a board."""

import numpy as np
import pytest

from implicore.link import (
    PAYLOAD_BYTES,
    REQUEST_BUFFER_BYTES,
    Kind,
    Link,
    LinkError,
    NakReason,
    decode,
    encode,
    point_payload,
)


class ScriptedPort:
    """A port that returns given bytes and records the frames it is sent."""

    def __init__(self, *frames):
        self.data = b"".join(frames)
        self.sent = []

    def write(self, data):
        self.sent.append(decode(data.strip(b"\xc0")))

    def read(self, size):
        given, self.data = self.data[:size], self.data[size:]
        return given


def response(kind, payload=b""):
    return encode(kind + 0x80, payload)


@pytest.mark.parametrize("seed", range(20))
def test_frames(seed):
    rng = np.random.default_rng(seed)
    payload = bytes(rng.choice([0xC0, 0xDB, 0xDC, 0xDD, 0x11], rng.integers(0, 50)).tolist())
    frame = encode(0xC0, payload)
    assert frame[0] == frame[-1] == 0xC0
    assert 0xC0 not in frame[1:-1]
    assert decode(frame[1:-1]) == (0xC0, payload)


def test_the_crc_has_the_standard_check_value():
    """CRC-16/IBM-3740: the check value of its catalogue."""
    assert encode(ord("1"), b"23456789") == b"\xc0123456789\x29\xb1\xc0"


@pytest.mark.parametrize("frame", [b"", b"\xff\xff", b"ab", b"abc\xdb", b"\xdbabc", b"abcdef"])
def test_corrupt_frames(frame):
    with pytest.raises(LinkError, match=r"^A frame from the board is corrupt\.$"):
        decode(frame)


def test_requests_stay_within_the_buffer():
    """No response arrives: the host sends no more than the buffer holds."""
    port = ScriptedPort()
    words = np.arange(3 * REQUEST_BUFFER_BYTES, dtype=np.uint32)
    with pytest.raises(LinkError, match=r"^The board does not respond\.$"):
        Link(port).program(words)
    assert all(len(payload) <= PAYLOAD_BYTES for _, payload in port.sent)
    assert sum(len(payload) + 2 for _, payload in port.sent) <= REQUEST_BUFFER_BYTES
    assert {kind for kind, _ in port.sent} == {Kind.PROGRAM}


def test_a_program_ends_with_its_last_word():
    words = np.arange(PAYLOAD_BYTES // 4 + 1, dtype=np.uint32)
    port = ScriptedPort(response(Kind.PROGRAM), response(Kind.PROGRAM_END))
    Link(port).program(words)
    assert [kind for kind, _ in port.sent] == [Kind.PROGRAM, Kind.PROGRAM_END]
    assert b"".join(payload for _, payload in port.sent) == words.astype("<u4").tobytes()


def test_voxels_arrive_between_responses_and_give_new_credit():
    voxels = np.arange(1500, dtype=np.uint16)
    payload = voxels.astype("<u2").tobytes()
    port = ScriptedPort(
        response(Kind.CREDIT),
        encode(Kind.VOXELS, payload[:1200] + b"\0"),
        response(Kind.POINTS),
        response(Kind.CREDIT),
        *[response(Kind.POINTS)] * 10,
        response(Kind.POINTS_END),
        encode(Kind.VOXELS, payload[1200:] + b"\1"),
    )
    got = Link(port).decode(1500, np.zeros((1500, 3), int))
    assert got.dtype == np.uint16
    assert (got == voxels).all()
    credits = [int.from_bytes(p, "little") for kind, p in port.sent if kind == Kind.CREDIT]
    assert credits == [1024, 476]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (
            [encode(Kind.NAK, bytes([NakReason.CORRUPT]))],
            "rejected a request: its CRC or framing is wrong",
        ),
        ([encode(Kind.NAK, b"\x63")], "rejected a request: reason 99"),
        ([response(Kind.WRITE)], "responded to READ with a frame of kind 0x82"),
        ([encode(Kind.VOXELS, b"\0\0\0")], "sent voxels without credit"),
        ([], "does not respond"),
    ],
)
def test_wrong_frames_from_the_board(frames, message):
    with pytest.raises(LinkError, match=rf"^The board {message}\.$"):
        Link(ScriptedPort(*frames)).read(0)


@pytest.mark.parametrize(
    ("voxels", "flag", "message"),
    [
        (b"\1\0\2\0", b"\1", "delivered 2 voxels, not 3"),
        (b"", b"\1", "delivered 0 voxels, not 3"),
        (b"\1\0\2\0\3\0", b"\0", "did not end after 3 voxels"),
    ],
)
def test_a_job_of_another_size(voxels, flag, message):
    port = ScriptedPort(response(Kind.CREDIT), encode(Kind.VOXELS, voxels + flag))
    with pytest.raises(LinkError, match=rf"^The job {message}\.$"):
        Link(port).decode(3)


def test_a_reset_discards_what_was_pending():
    port = ScriptedPort(
        b"rubbish", response(Kind.READ, b"abcd"), b"\xc0\xdb\xc0", response(Kind.RESET)
    )
    link = Link(port)
    link.reset()
    port.data = response(Kind.READ, b"\1\0\0\0")
    assert link.read(4) == [1]


def test_a_point_is_six_bytes_lowest_first():
    assert point_payload(np.array([[1, -2, 0x0304]])) == b"\x01\0\xfe\xff\x04\x03"
