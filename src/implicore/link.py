"""The protocol of the serial link to an accelerator, and the host's end of it.

Both sides send *frames*: bytes between two END bytes, escaped as in SLIP (RFC 1055). A receiver
therefore resynchronizes after any garbage. A frame holds

    kind (1 byte)   payload   CRC-16 of both (2 bytes, high byte first)

The CRC is CRC-16/IBM-3740 (``binascii.crc_hqx`` from 0xFFFF). Numbers are little-endian. Empty
frames are ignored. The host sends requests; the board responds in the order of the requests:

    kind          payload                     response, whose kind is the request's + 0x80
    READ          addresses, 1 byte each      words, 4 bytes each
    WRITE         address and 4 bytes each    empty, once the registers have taken them
    PROGRAM       4 bytes per word            empty, once the program stream has taken them
    PROGRAM_END   the same, the last word with ``tlast``
    POINTS        x, y, z: 6 bytes per point  empty, once the point stream has taken them
    POINTS_END    the same, the last point with ``tlast``
    CREDIT        2 bytes                     empty; the board may send that many more voxels
    RESET         empty                       empty; board and accelerator are as after power-up

If the accelerator answers accesses of a READ or WRITE with an error, the response has one more
byte, the address of the last one. The others take effect.

The board also sends VOXELS: 2 bytes per voxel, then one byte that is 1 if the last voxel had
``tlast``, else 0. It never sends more voxels than the credit allows. In place of the response to a
request that it rejects, it sends NAK with a ``NakReason`` in one byte. A rejected request has no
effect.

**Flow control.** The board stores requests in ``REQUEST_BUFFER_BYTES`` bytes until they are
executed. A request occupies its kind, its payload and one more byte until its response arrives; the
host keeps the sum within the buffer. Points and programs wait until the accelerator takes them, and
later requests wait behind them, except CREDIT and RESET, which take effect at once. The host must
therefore send the credit for voxels before their points. Without credit, the board and the
accelerator wait.

**Errors.** A frame with a wrong CRC is rejected as a whole. Neither side retransmits; after a
``LinkError`` call ``Link.reset`` and start again.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Protocol

import numpy as np

from .errors import BadInput
from .job import pack_points
from .registers import Refused

END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE = 0xC0, 0xDB, 0xDC, 0xDD
"""The special bytes of SLIP."""

REQUEST_BUFFER_BYTES = 2048
"""Size of the board's buffer for requests that have not been executed yet."""

PAYLOAD_BYTES = 768
"""Maximum payload that the host sends: the request buffer holds two frames, one of them waiting."""

CREDIT_WINDOW = 1024
"""Maximum number of voxels that the host gives credit for in advance."""

RESPONSE = 0x80
"""The kind of a response is the kind of its request plus this."""


class Kind(IntEnum):
    """The kind of a frame. Only the board sends VOXELS and NAK."""

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
"""Size of a payload's items. A payload has at least one item; CREDIT has exactly one."""


QUEUED = (Kind.READ, Kind.WRITE, Kind.PROGRAM, Kind.PROGRAM_END, Kind.POINTS, Kind.POINTS_END)
"""Requests that the board stores and executes in order; the others take effect at once."""


class NakReason(IntEnum):
    """Why the board rejects a request."""

    CORRUPT = 1
    NO_SPACE = 2
    UNKNOWN_KIND = 3
    WRONG_SIZE = 4


NAK_MEANINGS: Mapping[int, str] = {
    NakReason.CORRUPT: "its CRC or framing is wrong",
    NakReason.NO_SPACE: "the request buffer is full",
    NakReason.UNKNOWN_KIND: "its kind is unknown",
    NakReason.WRONG_SIZE: "its size does not match its kind",
}


class LinkError(BadInput):
    """The line or the board failed. Call ``Link.reset`` and start again."""


class Port(Protocol):
    """The serial port that a link needs, such as an open ``serial.Serial`` with a timeout."""

    def write(self, data: bytes, /) -> object:
        """Send all bytes."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; fewer, or none, after the port's timeout."""


def encode(kind: int, payload: bytes = b"") -> bytes:
    """Return a frame with its CRC, escaped, between two END bytes."""
    content = bytes([kind]) + payload
    content += crc_hqx(content, 0xFFFF).to_bytes(2, "big")
    content = content.replace(bytes([ESCAPE]), bytes([ESCAPE, ESCAPED_ESCAPE]))
    content = content.replace(bytes([END]), bytes([ESCAPE, ESCAPED_END]))
    return bytes([END]) + content + bytes([END])


def point_payload(points: np.ndarray) -> bytes:
    """Return the payload of POINTS: the six bytes of each packed point that hold coordinates."""
    octets = pack_points(points).view(np.uint8).reshape(-1, 8)
    return octets[:, : ITEM_BYTES[Kind.POINTS]].tobytes()


def decode(frame: bytes) -> tuple[int, bytes]:
    """Return kind and payload of the bytes between two ENDs; LinkError if they are corrupt."""
    parts = frame.split(bytes([ESCAPE]))
    escapes = {ESCAPED_END: END, ESCAPED_ESCAPE: ESCAPE}
    if all(part and part[0] in escapes for part in parts[1:]):
        content = b"".join([parts[0], *(bytes([escapes[p[0]]]) + p[1:] for p in parts[1:])])
        if len(content) >= 3 and crc_hqx(content, 0xFFFF) == 0:
            return content[0], content[1:-2]
    raise LinkError("A frame from the board is corrupt.")


class Link:
    """The host's end of the link, a ``host.Transport``. Methods raise LinkError if it fails.

    Parameters
    ----------
    port : Port
        Its timeout is how long the board may be silent. It must exceed the array's latency to the
        first voxels and, if a program is sent during a job, the time that the job still takes.
    """

    max_job_voxels = 1 << 24
    """The line sets no limit; a job of this size takes minutes."""

    def __init__(self, port: Port):
        self._port = port
        self._clear()

    def _clear(self) -> None:
        self._received = b""
        self._voxels: list[np.ndarray] = []
        self._last_seen = False
        self._uncredited = 0  # voxels without credit yet
        self._credited = 0  # voxels with credit that have not arrived
        self._credit_pending = False

    def abort(self) -> None:
        """Abort the job by a reset, which also discards the program."""
        self.reset()

    def reset(self) -> None:
        """Reset board, accelerator and link to their state after power-up, without a program."""
        self._clear()
        self._port.write(bytes([END]) + encode(Kind.RESET))
        while True:
            try:
                if self._frame() == (Kind.RESET + RESPONSE, b""):
                    return
            except _Timeout:
                raise
            except LinkError:
                pass  # a frame that the reset cut short

    def read(self, *addresses: int) -> list[int]:
        """Return the words at byte addresses of the registers; Refused if one has none."""
        payload = bytes(addresses)
        responses = self._transact(_chunks(Kind.READ, Kind.READ, payload))
        for response in responses:
            if len(response) % 4:
                raise Refused(response[-1])
        return np.frombuffer(b"".join(responses), "<u4").tolist()

    def write(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Write words, given as pairs of byte address and value, in this order.

        Raises Refused if one cannot be written; the others are written nevertheless.
        """
        requests = ((Kind.WRITE, struct.pack("<BI", *pair)) for pair in pairs)
        for response in self._transact(requests):
            if response:
                raise Refused(response[-1], write=True)

    def program(self, words: np.ndarray) -> None:
        """Send the words of ``stream.program_stream``; read the status from ``error``."""
        payload = np.asarray(words).astype("<u4").tobytes()
        self._transact(_chunks(Kind.PROGRAM, Kind.PROGRAM_END, payload))

    def decode(self, voxels: int, points: np.ndarray | None = None) -> np.ndarray:
        """Receive the voxels of a job that has been started.

        Parameters
        ----------
        voxels : int
            Number of voxels of the job.
        points : integer array, shape (voxels, 3), optional
            The points of the job, in ``fixed.COORDINATE`` units, to send at the same time.

        Returns
        -------
        uint16 array, shape (voxels,).
        """
        self._voxels, self._last_seen, self._uncredited = [], False, voxels
        self._send_credit()
        if points is not None:
            self._transact(_chunks(Kind.POINTS, Kind.POINTS_END, point_payload(points)))
        while self._uncredited or self._credited or self._credit_pending:
            if self._response() is not None:
                raise LinkError("The board sent a response that no request awaits.")
            if self._last_seen and (self._uncredited or self._credited):
                break
        received = np.concatenate([np.empty(0, "<u2"), *self._voxels]).astype(np.uint16)
        if len(received) != voxels:
            raise LinkError(f"The job delivered {len(received)} voxels, not {voxels}.")
        if not self._last_seen:
            raise LinkError(f"The job did not end after {voxels} voxels.")
        return received

    def _transact(self, requests: Iterable[tuple[Kind, bytes]]) -> list[bytes]:
        """Send requests as far ahead as the board has space; return the responses' payloads."""
        pending: deque[tuple[Kind, int]] = deque()
        responses: list[bytes] = []
        used = 0

        def receive() -> None:
            nonlocal used
            kind, size = pending.popleft()
            response = None
            while response is None:
                response = self._response()
            if response[0] != kind + RESPONSE:
                raise LinkError(
                    f"The board responded to {kind.name} with a frame of kind {response[0]:#x}."
                )
            responses.append(response[1])
            used -= size

        for kind, payload in requests:
            size = len(payload) + 2
            while pending and used + size > REQUEST_BUFFER_BYTES:
                receive()
            self._port.write(encode(kind, payload))
            pending.append((kind, size))
            used += size
        while pending:
            receive()
        return responses

    def _send_credit(self) -> None:
        """Send credit for the next voxels, up to ``CREDIT_WINDOW``."""
        more = min(self._uncredited, CREDIT_WINDOW - self._credited)
        # At least half a window at once; otherwise every frame of voxels would cause a CREDIT.
        enough = more == self._uncredited or more >= CREDIT_WINDOW // 2
        if more and enough and not self._credit_pending:
            self._port.write(encode(Kind.CREDIT, struct.pack("<H", more)))
            self._credit_pending = True
            self._uncredited -= more
            self._credited += more

    def _response(self) -> tuple[int, bytes] | None:
        """Return the next frame if it is a response; handle VOXELS, NAK and CREDIT here."""
        kind, payload = self._frame()
        if kind == Kind.NAK and len(payload) == 1:
            reason = NAK_MEANINGS.get(payload[0], f"reason {payload[0]}")
            raise LinkError(f"The board rejected a request: {reason}.")
        if kind == Kind.VOXELS and len(payload) % 2:
            voxels = np.frombuffer(payload[:-1], "<u2")
            if len(voxels) > self._credited:
                raise LinkError("The board sent voxels without credit.")
            self._voxels.append(voxels)
            self._credited -= len(voxels)
            self._last_seen = bool(payload[-1])
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
            # Wait for one byte, then take all that has arrived.
            more = self._port.read(1)
            if not more:
                raise _Timeout("The board does not respond.")
            self._received += more + self._port.read(getattr(self._port, "in_waiting", 0))


class _Timeout(LinkError):
    """Nothing arrived within the port's timeout."""


def _chunks(kind: Kind, last: Kind, payload: bytes) -> Iterator[tuple[Kind, bytes]]:
    """Split items into requests of kind ``kind``; the last request has the kind ``last``."""
    size = PAYLOAD_BYTES // ITEM_BYTES[kind] * ITEM_BYTES[kind]
    for first in range(0, len(payload), size):
        ends = first + size >= len(payload)
        yield (last if ends else kind), payload[first : first + size]
