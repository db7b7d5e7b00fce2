"""The program file: sections of integers behind a header, compressed and protected by a checksum.

``docs/numerics.md`` describes the file byte by byte. A file holds no code, and reading it never
allocates more than the sizes in its header allow, so files from untrusted sources are safe to open.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .errors import BadInput

MAGIC = b"INRPROG\0"
VERSIONS = (1, 2)
"""Version 2 holds programs with patches. All others are written as version 1, byte for byte as the
releases that knew no patches wrote them."""

PREFIX = struct.Struct("<8sII")  # magic, version, bytes of the header
LENGTH = struct.Struct("<I")  # bytes of a compressed plane
CHECK_BYTES = hashlib.sha256().digest_size
MAX_HEADER = 1 << 16

MAX_FILE = 1 << 26
"""Maximum size in bytes, more than any network within ``MAX_WEIGHTS`` needs."""


class Section(NamedTuple):
    """A section of the file: ``size`` integers of ``bits`` bits."""

    name: str
    bits: int
    signed: bool
    size: int


def encode(version: int, header: bytes, planes: Sequence[bytes]) -> bytes:
    """Return the file of this version with this header and these uncompressed planes."""
    parts = [PREFIX.pack(MAGIC, version, len(header)), header]
    for plane in planes:
        stream = _compress(plane)
        parts += [LENGTH.pack(len(stream)), stream]
    body = b"".join(parts)
    return body + hashlib.sha256(body).digest()


def decode(data: bytes) -> tuple[int, bytes, bytes]:
    """Return the version, the header and the streams of a file.

    Raises
    ------
    BadInput
        The data are not a complete program file of a known version.
    """
    if not data.startswith(MAGIC):
        raise BadInput("The file does not begin like a program file: compile writes such files.")
    if len(data) > MAX_FILE:
        raise BadInput(f"The file is larger than the limit of {MAX_FILE} bytes.")
    if len(data) < PREFIX.size + CHECK_BYTES:
        raise BadInput("The file is cut short.")
    _, version, header_bytes = PREFIX.unpack_from(data)
    if version not in VERSIONS:
        raise BadInput(
            f"The file has format version {version}, but this release reads versions "
            f"{' and '.join(map(str, VERSIONS))}."
        )
    body = data[:-CHECK_BYTES]
    if hashlib.sha256(body).digest() != data[-CHECK_BYTES:]:
        raise BadInput("The checksum does not match: the file is damaged or cut short.")
    if header_bytes > min(MAX_HEADER, len(body) - PREFIX.size):
        raise BadInput("The header is too long.")
    streams = PREFIX.size + header_bytes
    return version, body[PREFIX.size : streams], body[streams:]


def content_digest(header: bytes, planes: Sequence[bytes]) -> str:
    """Return the SHA-256 of header and uncompressed planes in hexadecimal."""
    content = hashlib.sha256(header)
    for plane in planes:
        content.update(plane)
    return content.hexdigest()


def to_planes(values: np.ndarray, bits: int) -> list[bytes]:
    """Split integers of ``bits`` bits, int64 or narrower, into planes, highest bits first."""
    values = values.astype(np.int64)
    planes = []
    for low, width in _slices(bits):
        part = ((values >> low) & ((1 << width) - 1)).astype(np.uint8)
        packed = low == 0 and bits > 8
        planes.append(_pack(part, width) if packed else part.tobytes())
    return planes


def read_sections(data: bytes, sections: Sequence[Section]) -> dict[str, np.ndarray]:
    """Return the integers of each section, int64, by name.

    Raises
    ------
    BadInput
        The streams do not hold exactly these sections.
    """
    position = 0

    def plane(count: int) -> np.ndarray:
        nonlocal position
        (length,) = LENGTH.unpack_from(data, position)
        stream = data[position + LENGTH.size : position + LENGTH.size + length]
        position += LENGTH.size + length
        decompressor = zlib.decompressobj()
        octets = decompressor.decompress(stream, count + 1)
        complete = decompressor.eof and not decompressor.unused_data
        if len(octets) != count or not complete or len(stream) != length:
            raise BadInput("The file does not hold as many integers as its header states.")
        return np.frombuffer(octets, np.uint8)

    integers = {}
    try:
        for name, bits, signed, size in sections:
            values = np.zeros(size, np.int64)
            for low, width in _slices(bits):
                if low == 0 and bits > 8:
                    part = _unpack(plane(-(-width * size // 8)), width, size)
                else:
                    part = plane(size)
                values |= part.astype(np.int64) << low
            if signed:
                values = (values ^ (1 << (bits - 1))) - (1 << (bits - 1))
            integers[name] = values
    except (struct.error, zlib.error):
        raise BadInput("The integers cannot be decompressed.") from None
    if position != len(data):
        raise BadInput("The file holds more data than its header states.")
    return integers


def _slices(bits: int) -> list[tuple[int, int]]:
    """Return the lowest bit and the width of each plane, the highest plane first.

    The highest 8 bits compress best; the last plane has the remaining 1 to 8 bits.
    """
    lows = range(bits - 8, 0, -8)
    return [(low, 8) for low in lows] + ([(0, bits - 8 * len(lows))] if bits else [])


def _pack(values: np.ndarray, width: int) -> bytes:
    """Concatenate unsigned integers of ``width`` bits, most significant bit first."""
    bits = np.unpackbits(values[:, None], axis=1)[:, 8 - width :]
    return np.packbits(bits.ravel()).tobytes()


def _unpack(octets: np.ndarray, width: int, count: int) -> np.ndarray:
    """Return the uint8 integers that ``_pack`` packed."""
    bits = np.unpackbits(octets, count=width * count).reshape(count, width)
    return np.packbits(np.pad(bits, ((0, 0), (8 - width, 0))), axis=1)[:, 0]


def _compress(plane: bytes) -> bytes:
    """Return the shortest of three zlib streams: uncompressed, Huffman codes only, full search.

    Weights have no repeated strings, and Huffman codes alone come within about one percent of
    their entropy. Constant planes benefit from the search for repeated strings.
    """
    streams = []
    for level, strategy in (
        (0, zlib.Z_DEFAULT_STRATEGY),
        (9, zlib.Z_HUFFMAN_ONLY),
        (9, zlib.Z_DEFAULT_STRATEGY),
    ):
        compressor = zlib.compressobj(level, zlib.DEFLATED, 15, 9, strategy)
        streams.append(compressor.compress(plane) + compressor.flush())
    return min(streams, key=len)
