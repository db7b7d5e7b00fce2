"""The whole link: the host in Python and the Verilog of the board, against the golden model."""

import numpy as np
import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.fixed import COORDINATE
from implicore.formats import Formats
from implicore.host import command, grid_writes
from implicore.job import GridJob
from implicore.link import (
    END,
    REQUEST_BUFFER_BYTES,
    Kind,
    Link,
    LinkError,
    NakReason,
    decode,
    encode,
    point_payload,
)
from implicore.model.golden import Renderer
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
from implicore.registers import IDENTITY, Error, Refused, addresses
from implicore.sim.serial import SerialBoard
from implicore.stream import program_stream

FORMATS = Formats.parse("w8a8m3")
SHAPE = NetworkShape(frequencies=3, width=5, depth=3, skips=(2,))
CONFIG = AcceleratorConfig.sized(3, 2, FORMATS, [SHAPE])
PROGRAM = random_program(SHAPE, FORMATS, seed=1)
WORDS = program_stream(PROGRAM, CONFIG)
POINTS = np.random.default_rng(0).integers(COORDINATE.low, COORDINATE.high + 1, (700, 3))
EXPECTED = Renderer(PROGRAM).voxels(POINTS)
JOB = GridJob.of(PROGRAM.grid, PROGRAM.frame)
VOLUME = Renderer(PROGRAM).render(PROGRAM.grid).ravel(order="F")
AT = addresses()


@pytest.fixture
def board():
    with SerialBoard(CONFIG, timeout=5000) as board:
        yield board


@pytest.fixture
def link(board):
    link = Link(board)
    link.reset()
    return link


def start(link, name):
    link.write([command(name)])


def load(link):
    link.program(WORDS)
    assert link.read(AT["error"], AT["status"]) == [Error.NONE, 1]


def check_points(link, number=20):
    start(link, "start_points")
    assert (link.decode(number, POINTS[:number]) == EXPECTED[:number]).all()


def frames(board) -> list:
    """Return all frames that the board sends until it is silent."""
    data = b""
    while byte := board.read(1):
        data += byte
    return [decode(frame) for frame in data.split(bytes([END])) if frame]


def nak(reason):
    return [(Kind.NAK, bytes([reason]))]


def test_registers(link):
    assert link.read(AT["identity"], AT["configuration"]) == [IDENTITY, CONFIG.digest]
    values = np.random.default_rng(1).integers(0, 1 << 32, 24).tolist()
    places = [AT["grid_origin"] + 8 * n for n in range(3)]
    link.write(zip(places, values, strict=False))
    assert link.read(*places) == values[:3]
    # More than one frame, and more than the request buffer holds.
    assert link.read(*places * 1000) == values[:3] * 1000


def test_a_refused_access_is_named_and_the_others_take_effect(link, board):
    at = AT["grid_origin"]
    write = bytes([at]) + b"abcd"
    refused = bytes([AT["status"]]) + b"efgh"
    board.write(encode(Kind.WRITE, write + refused + bytes([at + 8]) + b"ijkl"))
    board.write(encode(Kind.READ, bytes([at, 252, at + 8])))
    board.write(encode(Kind.READ, bytes([at])))
    assert frames(board) == [
        (Kind.WRITE + 0x80, bytes([AT["status"]])),
        (Kind.READ + 0x80, b"abcd" + bytes(4) + b"ijkl" + bytes([252])),
        (Kind.READ + 0x80, b"abcd"),
    ]
    with pytest.raises(Refused, match=r"^The accelerator has no register at address 0xfc\.$"):
        link.read(*[at] * 1000, 252, *[at] * 1000)
    with pytest.raises(Refused, match="no register that can be written at address 0x14"):
        link.write([(at, 1), (AT["status"], 2), (at + 8, 3)])
    assert link.read(at, at + 8) == [1, 3]


def test_points_and_a_grid_are_decoded_bit_for_bit(link):
    load(link)
    start(link, "start_points")
    assert (link.decode(len(POINTS), POINTS) == EXPECTED).all()
    link.write(grid_writes(JOB))
    for _ in range(2):
        start(link, "start_grid")
        assert (link.decode(JOB.voxels) == VOLUME).all()


def test_job_waits_for_credit(link, board):
    load(link)
    link.write(grid_writes(JOB))
    start(link, "start_grid")
    assert frames(board) == []
    board.write(encode(Kind.CREDIT, b"\5\0"))
    credited, voxels = frames(board)
    assert credited == (Kind.CREDIT + 0x80, b"")
    assert voxels == (Kind.VOXELS, VOLUME[:5].astype("<u2").tobytes() + b"\0")
    assert (link.decode(JOB.voxels - 5) == VOLUME[5:]).all()


def test_responses_are_sent_between_voxels(link, board):
    load(link)
    start(link, "start_points")
    request = encode(Kind.READ, bytes([AT["identity"]]))
    board.write(encode(Kind.POINTS_END, point_payload(POINTS[:100])) + request)
    assert frames(board) == []  # array and voxel buffer are full, some points are not taken
    board.write(encode(Kind.CREDIT, b"\0\1"))
    found = frames(board)
    assert found[0] == (Kind.CREDIT + 0x80, b"")
    voxels = [payload for kind, payload in found if kind == Kind.VOXELS]
    assert b"".join(part[:-1] for part in voxels) == EXPECTED[:100].astype("<u2").tobytes()
    assert [part[-1] for part in voxels] == [0] * (len(voxels) - 1) + [1]
    responses = [frame for frame in found[1:] if frame[0] != Kind.VOXELS]
    assert responses == [
        (Kind.POINTS_END + 0x80, b""),
        (Kind.READ + 0x80, IDENTITY.to_bytes(4, "little")),
    ]


def test_program_waits_for_the_end_of_a_job(link, board):
    load(link)
    start(link, "start_points")
    board.write(encode(Kind.PROGRAM, WORDS[:3].astype("<u4").tobytes()))
    assert frames(board) == []
    # The points would have to follow the program: only a reset helps.
    link.reset()
    assert link.read(AT["status"]) == [0]
    load(link)
    check_points(link)


@pytest.mark.parametrize("seed", range(3))
def test_garbage_on_the_line_has_no_effect(link, board, seed):
    load(link)
    board.write(np.random.default_rng(seed).bytes(3000))
    frames_before = len(frames(board))
    assert frames_before > 0  # NAKs
    board.write(bytes([END]))
    frames(board)
    check_points(link)  # it had no effect


def test_truncated_frame_is_rejected(link, board):
    load(link)
    address, value = command("abort")
    whole = encode(Kind.WRITE, bytes([address]) + value.to_bytes(4, "little"))
    for length in range(1, len(whole) - 1):
        board.write(whole[:length] + encode(Kind.READ, bytes([AT["array"]])))
        *naks, response = frames(board)
        assert response == (Kind.READ + 0x80, (3 | 2 << 16).to_bytes(4, "little"))
        assert naks == (nak(NakReason.CORRUPT) if length > 1 else [])
    check_points(link)


def test_reset_clears_all_state(link, board):
    load(link)
    link.write(grid_writes(JOB))
    start(link, "start_grid")
    board.write(encode(Kind.CREDIT, b"\xff\xff") + encode(Kind.POINTS, bytes(600)))
    board.read(50)  # into a frame, while points are pending
    board.write(encode(Kind.READ, bytes(100))[:70])
    link.reset()
    assert frames(board) == []
    assert link.read(AT["identity"], AT["status"], AT["grid_size_minus_one"]) == [IDENTITY, 0, 0]
    load(link)
    check_points(link)


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        (0, b"", NakReason.UNKNOWN_KIND),
        (11, b"abcd", NakReason.UNKNOWN_KIND),
        (Kind.VOXELS, b"\0", NakReason.UNKNOWN_KIND),
        (Kind.READ, b"", NakReason.WRONG_SIZE),
        (Kind.WRITE, bytes(9), NakReason.WRONG_SIZE),
        (Kind.PROGRAM, bytes(5), NakReason.WRONG_SIZE),
        (Kind.POINTS, bytes(7), NakReason.WRONG_SIZE),
        (Kind.CREDIT, bytes(3), NakReason.WRONG_SIZE),
        (Kind.CREDIT, bytes(4), NakReason.WRONG_SIZE),
        (Kind.RESET, bytes(1), NakReason.WRONG_SIZE),
        (Kind.POINTS, bytes(6 * 400), NakReason.NO_SPACE),
    ],
)
def test_rejected_requests_have_no_effect(link, board, kind, payload, reason):
    load(link)
    board.write(encode(kind, payload))
    assert frames(board) == nak(reason)
    check_points(link)


def test_the_request_buffer_has_its_stated_size(link, board):
    """A request fills it to the last byte and is not executed."""
    load(link)
    count = (REQUEST_BUFFER_BYTES - 2) // 6
    assert 6 * count == REQUEST_BUFFER_BYTES - 2
    points = encode(Kind.POINTS, point_payload(POINTS[:count]))
    board.write(points)
    assert frames(board) == []
    # The first point has left the buffer, which frees its bytes, and no others.
    board.write(encode(Kind.READ, bytes(40)))
    assert frames(board) == nak(NakReason.NO_SPACE)
    # Immediate requests need no space.
    board.write(encode(Kind.CREDIT, b"\1\0"))
    assert frames(board) == [(Kind.CREDIT + 0x80, b"")]
    link.reset()
    load(link)
    check_points(link)


def test_request_that_lost_a_byte_is_rejected_after_space_is_free(link, board):
    """Responses take four times as long as requests: the second request finds the first stored."""
    for count in range(1500, 1504):
        board.write(encode(Kind.READ, bytes(1500)) + encode(Kind.READ, bytes(count)))
        response, rejection = frames(board)
        assert (response[0], len(response[1])) == (Kind.READ + 0x80, 4 * 1500)
        assert [rejection] == nak(NakReason.NO_SPACE)


def test_board_that_does_not_respond_is_an_error():
    with SerialBoard(CONFIG, timeout=1000) as board:
        link = Link(board)
        link.reset()
        board.write = lambda data: None
        with pytest.raises(LinkError, match=r"^The board does not respond\.$"):
            link.read(0)
