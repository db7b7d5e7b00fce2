"""Talking to an accelerator over a serial line: the protocol, and the host's end of it.

Either side sends *frames*: bytes between two END bytes, escaped as in SLIP (RFC 1055), so that a
receiver finds the next frame after whatever garbage. A frame holds

    kind (1 byte)   payload   CRC-16 of both (2 bytes, the higher one first)

the CRC being CRC-16/IBM-3740 (``binascii.crc_hqx`` from 0xFFFF). Numbers are little-endian. An
empty frame is nothing. The host asks, the board responds, in the order of the requests:

    kind          payload                     response, its kind being the request's + 0x80
    READ          1 byte of address, each     4 bytes, each
    WRITE         address, 4 bytes, each      nothing, once the registers have taken them
    PROGRAM       4 bytes a word              nothing, once the program stream has taken them
    PROGRAM_END   the same, the last word with ``tlast``
    POINTS        x, y, z: 6 bytes a point    nothing, once the point stream has taken them
    POINTS_END    the same, the last point with ``tlast``
    CREDIT         2 bytes                     nothing; so many more voxels may come
    RESET         nothing                     nothing; board and accelerator are as after power-up

Beside the responses the board sends VOXELS (2 bytes each, and one more byte: 1 if the last voxel
came with ``tlast``), never more of them than the credit allows; and NAK with a ``NakReason``, one
byte, instead of a response: the request has had no effect.

**Nothing is ever lost for want of room.** The board keeps requests in ``REQUEST_BUFFER_BYTES``
bytes until they have been carried out; the host counts a request's kind, payload and one byte
more until its
response has come, and stays below that. Points and programs wait until the accelerator takes them;
what comes after them waits as well, but for CREDIT and RESET, which act at once. So credit
is sent before the points that they belong to are sent. Accelerator and board wait for a host that
credits nothing.

**Nothing wrong is ever taken**: what the CRC does not vouch for is rejected whole. Nothing is sent
again of itself; after a ``LinkError`` call ``Link.reset`` and begin anew.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections import deque
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Protocol

import numpy as np

from .errors import BadInput
from .job import pack_points

END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE = 0xC0, 0xDB, 0xDC, 0xDD
"""SLIP's bytes."""

REQUEST_BUFFER_BYTES = 2048
"""Bytes that the board keeps of requests that it has not carried out."""

PAYLOAD_BYTES = 768
"""Bytes of payload that the host puts into a frame: two frames wait while a third is at work."""

CREDIT_WINDOW = 1024
"""Voxels that the host lets come before it has looked at the last ones."""

RESPONSE = 0x80
"""Added to a request's kind it gives the response's."""


class Kind(IntEnum):
    """What a frame is; the last two are the board's own."""

    READ = 1
    WRITE = 2
    PROGRAM = 3
    PROGRAM_END = 4
    POINTS = 5
    POINTS_END = 6
    CREDIT = 7
    RESET = 8
    VOXELS = 9
    NAK = 10


ITEM_BYTES = {
    Kind.READ: 1,
    Kind.WRITE: 5,
    Kind.PROGRAM: 4,
    Kind.PROGRAM_END: 4,
    Kind.POINTS: 6,
    Kind.POINTS_END: 6,
    Kind.CREDIT: 2,
}
"""Bytes of what a payload is made of. There is at least one, of CREDIT exactly one."""


QUEUED = (Kind.READ, Kind.WRITE, Kind.PROGRAM, Kind.PROGRAM_END, Kind.POINTS, Kind.POINTS_END)
"""Requests that the board stores and executes in order; the others take effect at once."""


class NakReason(IntEnum):
    """Why the board rejected a request."""

    CORRUPT = 1
    NO_SPACE = 2
    UNKNOWN_KIND = 3
    WRONG_SIZE = 4


NAK_MEANINGS = {
    NakReason.CORRUPT: "it arrived garbled",
    NakReason.NO_SPACE: "there was no room for it",
    NakReason.UNKNOWN_KIND: "its kind is unknown",
    NakReason.WRONG_SIZE: "its size does not suit its kind",
}


class LinkError(BadInput):
    """The line or the board failed: reset the link and begin anew."""


class Port(Protocol):
    """A serial port as the link needs it; an open ``serial.Serial`` with a timeout is one."""

    def write(self, data: bytes, /) -> object:
        """Send all of it."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; fewer, or none, when the port's time is over."""


def encode(kind: int, payload: bytes = b"") -> bytes:
    """A frame."""
    content = bytes([kind]) + payload
    content += crc_hqx(content, 0xFFFF).to_bytes(2, "big")
    content = content.replace(bytes([ESCAPE]), bytes([ESCAPE, ESCAPED_ESCAPE]))
    content = content.replace(bytes([END]), bytes([ESCAPE, ESCAPED_END]))
    return bytes([END]) + content + bytes([END])


def point_payload(points: np.ndarray) -> bytes:
    """Return the payload of POINTS: of each packed point the bytes that are not always zero."""
    octets = pack_points(points).view(np.uint8).reshape(-1, 8)
    return octets[:, : ITEM_BYTES[Kind.POINTS]].tobytes()


def decode(frame: bytes) -> tuple[int, bytes]:
    """Kind and payload of what stood between two END bytes; LinkError if it is garbled."""
    parts = frame.split(bytes([ESCAPE]))
    escapes = {ESCAPED_END: END, ESCAPED_ESCAPE: ESCAPE}
    if all(part and part[0] in escapes for part in parts[1:]):
        content = b"".join([parts[0], *(bytes([escapes[p[0]]]) + p[1:] for p in parts[1:])])
        if len(content) >= 3 and crc_hqx(content, 0xFFFF) == 0:
            return content[0], content[1:-2]
    raise LinkError("A frame from the board arrived garbled.")


class Link:
    """The host's end. Every method raises LinkError if line or board fail.

    Parameters
    ----------
    port : Port
        Its timeout is how long the board may be silent. That must be longer than the array takes
        for its first voxels, and than the rest of a job where a program has to wait for its end.
    """

    def __init__(self, port: Port):
        self._port = port
        self._forget()

    def _forget(self) -> None:
        self._received = b""
        self._voxels: list[np.ndarray] = []
        self._ended = False
        self._uncredited = 0  # voxels that no credit has been sent for yet
        self._credited = 0  # voxels that credit has been sent for, and have not come
        self._credit_pending = False

    voxels_at_once = 1 << 24
    """The line itself sets no limit; a job of that size takes it some minutes."""

    def abort(self) -> None:
        """Drop everything under way: that takes a reset, and so the program is gone."""
        self.reset()

    def reset(self) -> None:
        """Board, accelerator and link as after power-up: any program is gone."""
        self._forget()
        self._port.write(bytes([END]) + encode(Kind.RESET))
        while True:
            try:
                if self._frame() == (Kind.RESET + RESPONSE, b""):
                    return
            except _Silence:
                raise
            except LinkError:
                pass  # what was under way when the reset came

    def read(self, *addresses: int) -> list[int]:
        """The words at some byte addresses of the registers."""
        payload = bytes(addresses)
        chunks = (
            payload[first : first + PAYLOAD_BYTES]
            for first in range(0, len(payload), PAYLOAD_BYTES)
        )
        responses = self._transact((Kind.READ, chunk) for chunk in chunks)
        return np.frombuffer(b"".join(responses), "<u4").tolist()

    def write(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Write words: pairs of byte address and value."""
        self._transact((Kind.WRITE, struct.pack("<BI", *pair)) for pair in pairs)

    def program(self, words: np.ndarray) -> None:
        """Send a program, see ``stream.program_stream``; its ``error`` register tells the rest."""
        payload = np.asarray(words).astype("<u4").tobytes()
        self._transact(_chunks(Kind.PROGRAM, Kind.PROGRAM_END, payload))

    def decode(self, voxels: int, points: np.ndarray | None = None) -> np.ndarray:
        """Start nothing, but take the voxels of a job that has been started; uint16.

        Parameters
        ----------
        voxels : int
            Their number.
        points : array of int of shape (voxels, 3), optional
            Those of a job of points, which are sent meanwhile.
        """
        self._voxels, self._ended, self._uncredited = [], False, voxels
        self._send_credit()
        if points is not None:
            self._transact(_chunks(Kind.POINTS, Kind.POINTS_END, point_payload(points)))
        while self._uncredited or self._credited or self._credit_pending:
            if self._response() is not None:
                raise LinkError("The board sent a response that no request awaits.")
            if self._ended and (self._uncredited or self._credited):
                break
        found = np.concatenate([np.empty(0, "<u2"), *self._voxels]).astype(np.uint16)
        if len(found) != voxels:
            raise LinkError(f"The job gave {len(found)} voxels and not {voxels}.")
        if not self._ended:
            raise LinkError(f"The job did not end with its voxel {voxels}.")
        return found

    # --------------------------------------------------------------------------- what it is made of

    def _transact(self, requests: Iterable[tuple[Kind, bytes]]) -> list[bytes]:
        """The payloads of the responses. Requests are sent ahead as far as the board has room."""
        asked, responses, taken = deque(), [], 0

        def take() -> None:
            nonlocal taken
            kind, size = asked.popleft()
            response = None
            while response is None:
                response = self._response()
            if response[0] != kind + RESPONSE:
                raise LinkError(f"The board answered {response[0]:#x} to a {kind.name}.")
            responses.append(response[1])
            taken -= size

        for kind, payload in requests:
            size = len(payload) + 2
            while asked and taken + size > REQUEST_BUFFER_BYTES:
                take()
            self._port.write(encode(kind, payload))
            asked.append((kind, size))
            taken += size
        while asked:
            take()
        return responses

    def _send_credit(self) -> None:
        """Let voxels come, as many as are wanted and one may leave unread."""
        more = min(self._uncredited, CREDIT_WINDOW - self._credited)
        # In portions, or there would be a credit for each frame of voxels.
        if (
            not self._credit_pending
            and more
            and (more == self._uncredited or more >= CREDIT_WINDOW // 2)
        ):
            self._port.write(encode(Kind.CREDIT, struct.pack("<H", more)))
            self._credit_pending = True
            self._uncredited -= more
            self._credited += more

    def _response(self) -> tuple[int, bytes] | None:
        """The next frame if it is a response; None if it has been dealt with here."""
        kind, payload = self._frame()
        if kind == Kind.NAK and len(payload) == 1:
            reason = NAK_MEANINGS.get(payload[0], f"reason {payload[0]}")
            raise LinkError(f"The board rejected a request: {reason}.")
        if kind == Kind.VOXELS and len(payload) % 2:
            voxels = np.frombuffer(payload[:-1], "<u2")
            if len(voxels) > self._credited:
                raise LinkError("The board sent voxels that nobody had asked for.")
            self._voxels.append(voxels)
            self._credited -= len(voxels)
            self._ended = bool(payload[-1])
        elif kind == Kind.CREDIT + RESPONSE:
            self._credit_pending = False
        else:
            return kind, payload
        self._send_credit()
        return None

    def _frame(self) -> tuple[int, bytes]:
        while True:
            frame, end, rest = self._received.partition(bytes([END]))
            if end:
                self._received = rest
                if frame:
                    return decode(frame)
                continue
            # One byte that is waited for, then whatever has come with it.
            more = self._port.read(1)
            if not more:
                raise _Silence("The board does not respond.")
            self._received += more + self._port.read(getattr(self._port, "in_waiting", 0))


class _Silence(LinkError):
    """Nothing came in time."""


def _chunks(kind: Kind, last: Kind, payload: bytes) -> Iterator[tuple[Kind, bytes]]:
    size = PAYLOAD_BYTES // ITEM_BYTES[kind] * ITEM_BYTES[kind]
    for first in range(0, len(payload), size):
        ends = first + size >= len(payload)
        yield (last if ends else kind), payload[first : first + size]
